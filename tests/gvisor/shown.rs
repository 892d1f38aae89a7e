//! What `nsprep plan`, `verify` and `report` show in a real gVisor: docs/output.md.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{Bed, GVISOR_LACKING, Suite, TestResult, equal, section};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("shown", shown);
    suite.run()
}

fn shown(bed: &Bed) -> TestResult {
    let text = r#"echo "== tree"; "$NSPREP" plan --profile crun | grep -o '[a-z].* over it\|[+=~] .*' | tr -s ' ' | sed 's/[0-9]* original.*/originals/'
        echo "== before"; "$NSPREP" plan --diff --profile crun || echo "exit $?"
        echo "== after"; "$NSPREP" attach --profile crun > /dev/null; "$NSPREP" plan --diff --profile crun
        echo "== tap"; "$NSPREP" verify --format tap --profile crun
        echo "== report"; "$NSPREP" report --profile crun -o - | grep -o '<h2 id="[a-z]*">\|badge keep">keep<\|<td>procemu:1<'"#;
    let output = bed.sandbox(GVISOR_LACKING, text)?.succeed()?;
    let said = |name: &str, lines: &[&str]| equal(name, section(&output, name)?, lines);
    said(
        "tree",
        &["kernel/ a tmpfs over it", "+ cap_last_cap 40 ro", "= originals"],
    )?;
    let (plan, count) = ("+++ here, with the plan", "as they are");
    let before = format!("1 key: 1 to add, 0 to replace, 0 {count}");
    said(
        "before",
        &[
            "--- here, now; no layers attached",
            plan,
            "+ kernel/cap_last_cap  40  ro",
            &before,
            "exit 1",
        ],
    )?;
    let (kept, after) = (
        format!("= 1 key {count}: 1 procemu:1"),
        format!("1 key: 0 to add, 0 to replace, 1 {count}"),
    );
    said(
        "after",
        &["--- here, now; layers attached: procemu:1", plan, &kept, &after],
    )?;
    said("tap", &["TAP version 13", "1..1", "ok 1 - kernel/cap_last_cap"])?;
    let ids = ["findings", "keys", "plan", "attached", "profiles", "environment"];
    let mut page = ids.map(|id| format!("<h2 id=\"{id}\">")).to_vec();
    page.splice(2..2, ["badge keep\">keep<", "<td>procemu:1<"].map(str::to_owned));
    equal("report", section(&output, "report")?, page)
}

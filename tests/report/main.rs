//! `nsprep report`: what is on the page is what doctor, plan and verify tell, and nothing on it is anybody else's. In a browser:
//! page.rs.

mod file;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use serde_json::Value;
use support::{Bed, Suite, TestResult, equal, fail, need, section};

/// A layer with three keys, of which one is written to, and a table that asks for more.
pub const PLACE: &str = r#"deprive /proc kernel/cap_last_cap
    printf '[keys]\n"kernel/made_up_key" = { value = 7 }\n"kernel/made/up" = { value = 5, mode = "0644" }\n' > first.toml
    cp first.toml t.toml; printf '"net/ipv4/made_up" = { value = 1 }\n' >> t.toml
    "$NSPREP" attach --table first.toml > /dev/null; echo 9 > /proc/sys/kernel/made/up
    "#;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("told::keys", keys);
    suite.test("told::place", place);
    suite.test("told::no_plan", no_plan);
    suite.test("told::nothing_lacking", nothing_lacking);
    suite.test("hostile::container", hostile);
    suite.test("page::policy", policy);
    suite.test("page::headings", headings);
    suite.test("leaves_nothing", leaves_nothing);
    file::add(&mut suite);
    suite.run()
}

/// As HTML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn has(page: &str, part: &str) -> TestResult {
    match page.contains(part) {
        true => Ok(()),
        false => fail(format!("{part:?} is not in\n{page}")),
    }
}

/// Each key, with what `plan --diff` and `verify` tell of it, and the layer that is there.
fn keys(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let text = format!(
        r#"{PLACE}set -- --profile crun --profile kubelet --table t.toml
        echo "== diff"; "$NSPREP" plan --diff --json "$@" | jq -c '.changes[]'
        echo "== page"; "$NSPREP" report "$@" -o -"#
    );
    let output = bed.script(&text)?.succeed()?;
    let page = section(&output, "page")?.join("\n");
    let changes = section(&output, "diff")?;
    equal("some", changes.len() > 5, true)?;
    for change in &changes {
        let change: Value = serde_json::from_str(change)?;
        let text = |member: &str| change[member].as_str().unwrap_or_default().to_owned();
        let row = format!(
            "<tr data-row data-state=\"{}\"><th scope=\"row\"><code>{}</code></th>",
            text("action"),
            escaped(&text("key"))
        );
        let Some((_, row)) = page.split_once(&row) else {
            return fail(format!("{row} is not in\n{page}"));
        };
        let row = row.split("</tr>").next().unwrap_or_default();
        for member in ["old", "new", "layer", "problem"] {
            has(row, &escaped(&text(member)))?;
        }
    }
    let actions = ["add", "differs", "keep"];
    for action in actions {
        has(
            &page,
            &format!("<td><span class=\"badge {action}\">{action}</span></td>"),
        )?;
    }
    let rows = page.matches("<tr data-row").count();
    let lacking = page
        .split("Keys that are lacking</h3>")
        .nth(1)
        .unwrap_or_default();
    equal(
        "rows",
        rows - lacking.matches("<tr data-row").count(),
        changes.len(),
    )?;
    has(&page, "<th scope=\"row\"><code>procemu:1</code></th><td>2</td>")?;
    has(&page, "<code>net/</code> <span class=\"badge overmounted\">")?;
    has(
        &page,
        "<code>made_up</code> <span class=\"badge add\">add</span> <code>1</code>",
    )
}

/// All that doctor finds, and the time.
fn place(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("jq")?;
    let text = format!(
        r#"{PLACE}echo "== doctor"; "$NSPREP" doctor --json | jq -c . || true
        echo "== day"; date --utc +%F
        echo "== page"; "$NSPREP" report -o -"#
    );
    let output = bed.script(&text)?.succeed()?;
    let page = section(&output, "page")?.join("\n");
    let found: Value = serde_json::from_str(section(&output, "doctor")?[0])?;
    let of = |member: &str| found[member].as_array().cloned().unwrap_or_default();
    for finding in of("findings") {
        for text in ["what", "why"] {
            has(&page, &escaped(finding[text].as_str().unwrap_or_default()))?;
        }
        for line in finding["cure"].as_array().into_iter().flatten() {
            has(&page, &escaped(line.as_str().unwrap_or_default()))?;
        }
    }
    let profiles = of("profiles");
    equal("profiles", profiles.len() > 10, true)?;
    for profile in profiles {
        let (name, keys) = (&profile["profile"], &profile["keys"]);
        let row = format!(
            "<th scope=\"row\">{}</th><td class=\"number\">{keys}</td>",
            name.as_str().unwrap_or("?")
        );
        has(&page, &row)?;
        for key in profile["lacking"].as_array().into_iter().flatten() {
            has(
                &page,
                &format!(
                    "<code>{}</code></th>",
                    escaped(key["key"].as_str().unwrap_or("?"))
                ),
            )?;
        }
    }
    for program in of("programs") {
        has(
            &page,
            &format!("<code>{}</code>", program["path"].as_str().unwrap_or("?")),
        )?;
    }
    has(&page, found["place"]["kernel"].as_str().unwrap_or("?"))?;
    has(
        &page,
        &format!("<time datetime=\"{}T", section(&output, "day")?[0]),
    )
}

/// Why there is none is on the page, beside all that is known.
fn no_plan(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table("t.toml", &[("kernel/random", "{ value = 1 }")])?;
    let page = bed.script(r#""$NSPREP" report --table "$TABLE" -o -"#)?;
    let page = page.env("TABLE", table).succeed()?;
    has(
        &page,
        "There is no plan: kernel/random: names a folder of this kernel; a key is a file",
    )?;
    has(&page, ">Environment</h2>")
}

fn nothing_lacking(bed: &Bed) -> TestResult {
    need::root()?;
    let table = bed.table("t.toml", &[("kernel/ostype", "{ value = 1 }")])?;
    let page = bed.script(r#""$NSPREP" report --table "$TABLE" -o -"#)?;
    let page = page.env("TABLE", table).succeed()?;
    has(&page, "Nothing to do: no key of the table is lacking.")?;
    has(&page, "No layer is attached")?;
    has(&page, "Verify: 1 of 1 key as the table has them.")
}

/// What a container in namespaces of its own shows is on the page, and is text there: values, and names of files.
fn hostile(bed: &Bed) -> TestResult {
    need::unprivileged_user_namespaces()?;
    let table = bed.table(
        "t.toml",
        &[
            ("vm/swappiness", r#"{ value = 1, when = "always" }"#),
            ("fs/made_up", "{ value = 2 }"),
        ],
    )?;
    let text = r#"cat > inner <<'END'
        printf '</code><script>alert(1)</script>\033[0m\n\342\200\256&quot; onload="x()"\n' > mine
        mount --bind mine /proc/sys/vm/swappiness
        mount -t tmpfs tmpfs /proc/sys/fs; mkdir '/proc/sys/fs/<script>alert(2)<' '/proc/sys/fs/"><b'
        touch ready; exec sleep 100
END
        unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc sh inner > /dev/null 2>&1 & outer=$!
        trap 'kill $outer' EXIT; wait_for ready; pid=$(cat /proc/$outer/task/$outer/children)
        "$NSPREP" report --table "$TABLE" --pid $pid -o -"#;
    let page = bed.script(text)?.env("TABLE", table).succeed()?;
    equal("scripts", page.matches("<script").count(), 1)?;
    equal(
        "letters that are obeyed",
        page.contains(['\u{1b}', '\u{202e}']),
        false,
    )?;
    has(
        &page,
        "<code>&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u{1b}[0m\n\\u{202e}&amp;quot; onload=&quot;x()&quot;</code>",
    )?;
    has(&page, "<code>&lt;script&gt;alert(2)&lt;/</code>")?;
    has(&page, "<code>&quot;&gt;&lt;b/</code>")
}

/// The page's own style and script are what its policy allows, and nothing is loaded.
fn policy(bed: &Bed) -> TestResult {
    need::root()?;
    need::command("openssl")?;
    let text = r#""$NSPREP" report -o page.html
        sum() { perl -0777 -ne "print \$1 if m|<$1>(.*)</$1>|s" page.html | openssl dgst -sha256 -binary | base64; }
        sum style; sum script; cat page.html"#;
    let output = bed.script(text)?.succeed()?;
    let mut lines = output.lines();
    let (style, script) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let policy = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
         script-src 'sha256-{script}'; img-src data:; base-uri 'none'; form-action 'none'\">"
    );
    has(&output, &policy)?;
    for loads in [
        " style=\"",
        " src=\"",
        " onclick",
        "@import",
        "url(",
        "http://",
        "https://",
    ] {
        equal(loads, output.contains(loads), false)?;
    }
    let links = output.split(" href=\"").skip(1);
    match links
        .into_iter()
        .find(|link| !link.starts_with('#') && !link.starts_with("data:,\""))
    {
        Some(link) => fail(format!("leads away: {}", &link[..link.len().min(80)])),
        None => Ok(()),
    }
}

/// Headings are nested, header cells say what they head, links lead to what is there.
fn headings(bed: &Bed) -> TestResult {
    need::root()?;
    let page = bed
        .script(&format!("{PLACE}\"$NSPREP\" report --table t.toml -o -"))?
        .succeed()?;
    has(&page, "<html lang=\"en\">")?;
    let mut last = 0;
    for level in page
        .split("<h")
        .skip(1)
        .filter_map(|rest| rest.chars().next()?.to_digit(10))
    {
        equal("no level is left out", level <= last + 1, true)?;
        last = level;
    }
    equal("titles", page.matches("<h1>").count(), 1)?;
    let cells = page
        .split("<th")
        .skip(1)
        .filter(|cell| cell.starts_with([' ', '>', '.']));
    let without = cells.filter(|cell| !cell.split('>').next().unwrap_or_default().contains("scope=\""));
    equal("header cells without a scope", without.count(), 0)?;
    let sections = ["findings", "keys", "plan", "attached", "profiles", "environment"];
    for id in sections {
        has(&page, &format!("<a href=\"#{id}\">"))?;
        has(
            &page,
            &format!("<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">"),
        )?;
    }
    equal("sections", page.matches("<section").count(), sections.len())
}

fn leaves_nothing(bed: &Bed) -> TestResult {
    need::root()?;
    let text = format!(
        r#"{PLACE}cat /proc/self/mountinfo > before; ls -A > files
        "$NSPREP" report --table t.toml -o - > /dev/null; diff before /proc/self/mountinfo; ls -A | diff files -"#
    );
    equal("said", bed.script(&text)?.succeed()?, "")
}

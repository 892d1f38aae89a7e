//! What a browser makes of a report: `make e2e-profiles`, as Chromium is large.

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::{Bed, Script, Suite, TestResult, equal, fail, need, section};

/// A page with values that would run, or load something, if they were taken for HTML; and `chromium NAME OPTION...`, which prints what
/// its console says and which requests the page has made. The browser makes some of its own.
const PLACE: &str = r#"made_up="<script>document.title='ran'</script><img src=http://127.0.0.1:9/x onerror=document.title='ran'>"
    printf '[keys]\n"kernel/made_up_key" = { value = """%s""" }\n"kernel/made_up_2" = { value = 2 }\n"kernel/ostype" = { value = 1 }\n' \
        "$made_up" > t.toml
    "$NSPREP" report --table t.toml -o page.html
    libs=$(echo "$TREE"/usr/lib/*-linux-gnu); export LD_LIBRARY_PATH=$libs:$libs/pulseaudio HOME=$BED
    chromium() {
        local name=$1; shift
        "$TREE/usr/lib/chromium/chromium" --headless --no-sandbox --disable-gpu --enable-logging=stderr --hide-scrollbars --no-first-run \
            --disable-background-networking --disable-component-update --user-data-dir="$BED/user" --log-net-log="$BED/$name.net" \
            "$@" > "$name.dom" 2> "$name.log"
        grep -o 'CONSOLE.*' "$name.log" || true
        jq -r '.events[].params | select(.initiator? and .initiator != "not an origin") | .url' "$name.net"
    }
    "#;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("shown", shown);
    suite.test("filter", filter);
    suite.test("policy", policy);
    suite.test("pictures", pictures);
    suite.run()
}

fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    need::command("jq")?;
    let tree = need::debian("chromium")?;
    Ok(bed.script(&format!("{PLACE}{text}"))?.env("TREE", tree))
}

/// All sections are there, no value has become a tag or a program, and the console is silent.
fn shown(bed: &Bed) -> TestResult {
    let text = r#"chromium shown --dump-dom "file://$BED/page.html"
        echo "== dom"; cat shown.dom"#;
    let output = script(bed, text)?.succeed()?;
    equal("console and requests", output.lines().next(), Some("== dom"))?;
    let dom = section(&output, "dom")?.join("\n");
    for id in ["findings", "keys", "plan", "attached", "profiles", "environment"] {
        equal(id, dom.matches(&format!("<h2 id=\"{id}\">")).count(), 1)?;
    }
    equal("title", dom.contains("<title>procemu report: here</title>"), true)?;
    equal("images", dom.contains("<img"), false)?;
    equal("scripts", dom.matches("<script").count(), 1)?;
    equal(
        "value",
        dom.matches("&lt;script&gt;document.title='ran'&lt;/script&gt;")
            .count(),
        2,
    )
}

/// Rows that are not asked for are hidden, by text, by state and by both; in a link as well.
fn filter(bed: &Bed) -> TestResult {
    let text = r##"rows() { chromium "$1" --dump-dom "file://$BED/page.html$2"
            grep -o '<\(tr\|li\) data-row="" data-state="[a-z]*"\( hidden=""\)\?>' "$1.dom" | grep -vc hidden || true
            grep -o '<output[^>]*>[^<]*' "$1.dom" | sed 's/.*>//; s/ of .*//'; }
        rows all ""; rows text "#q=MADE_UP"; rows state "#state=keep"; rows both "#q=made_up_2&state=add"; rows none "#q=nonesuch"
        typed="const f = document.getElementById('filter'); f.q.value = 'UP_2'; f.q.dispatchEvent(new Event('input', { bubbles: true }))"
        sed -i.own "s|<meta http-equiv[^>]*>||; s|</body>|<script>$typed</script></body>|" page.html; rows typed ""; mv page.html.own page.html
        grep -o '<form [^>]*>' all.dom page.html"##;
    let output = script(bed, text)?.succeed()?;
    let lines: Vec<_> = output.lines().collect();
    let [all, rest @ ..] = lines.as_slice() else {
        return fail(output);
    };
    equal(
        "there are some",
        all.parse::<u32>().is_ok_and(|all| all >= 5),
        true,
    )?;
    let expected = [
        "",
        "4",
        "4",
        "1",
        "1",
        "2",
        "2",
        "0",
        "0",
        "2",
        "2",
        "all.dom:<form class=\"filter\" id=\"filter\" role=\"search\">",
        "page.html:<form class=\"filter\" id=\"filter\" hidden role=\"search\">",
    ];
    equal("rows", rest, expected)
}

/// What is not the page's own does not run and is not loaded; where it would be, that is noticed.
fn policy(bed: &Bed) -> TestResult {
    let text = r#"sed "s|<main|$made_up<main|" page.html > bad.html; sed 's|<meta http-equiv[^>]*>||' bad.html > open.html
        chromium bad --dump-dom "file://$BED/bad.html" | grep -o 'violates the following Content Security Policy directive:\? .[a-z]*-src\|127.0.0.1:9/x$' |
            grep -o '[a-z]*-src$\|127.*' | sort -u
        grep -o '<title>.*</title>' bad.dom
        chromium open --dump-dom "file://$BED/open.html" | grep -o '^http.*'; grep -o '<title>.*</title>' open.dom"#;
    let output = script(bed, text)?.succeed()?;
    let expected =
        "img-src\nscript-src\n<title>procemu report: here</title>\nhttp://127.0.0.1:9/x\n<title>ran</title>";
    equal("said", output, expected)
}

/// Light and dark are two pictures, and it prints.
fn pictures(bed: &Bed) -> TestResult {
    let text = r#"for scheme in 0 1; do
            chromium "$scheme" --window-size=1200,2000 --blink-settings=preferredColorScheme=$scheme --screenshot="$BED/$scheme.png" \
                "file://$BED/page.html"
            head -c 4 $scheme.png | tail -c 3; echo
        done
        cmp -s 0.png 1.png || echo differ
        chromium print --print-to-pdf="$BED/page.pdf" "file://$BED/page.html"; head -c 4 page.pdf"#;
    equal("said", script(bed, text)?.succeed()?, "PNG\nPNG\ndiffer\n%PDF")
}

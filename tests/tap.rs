//! `nsprep verify --format tap`, by perl's own reader of the protocol.

mod support;

use std::process::ExitCode;

use support::{Bed, MADE_UP_WRITABLE, Script, Suite, TestResult, equal, made_up_table, need, section};

/// What TAP::Parser makes of a file: its version, plan, each point, and the values of its YAML.
const READ: &str = r#"use TAP::Parser; binmode STDOUT, ":raw";
my $parser = TAP::Parser->new({ source => $ARGV[0] });
while (my $result = $parser->next) {
    my $type = $result->type;
    print "version ", $result->version, "\n" if $type eq "version";
    print "plan ", $result->plan, " ", $result->directive, "\n" if $type eq "plan";
    print "test ", $result->number, " ", $result->is_ok ? "ok" : "not ok", " ", $result->description, " ", $result->directive, "\n"
        if $type eq "test";
    print "unknown ", $result->as_string, "\n" if $type eq "unknown";
    if ($type eq "yaml") { my $data = $result->data; print "yaml $_=<$$data{$_}>\n" for sort keys %$data }
}
print "error $_\n" for $parser->parse_errors;
print "failed ", join(",", $parser->failed), "\n";"#;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("prove", prove);
    suite.test("points", points);
    suite.test("hostile", hostile);
    suite.test("nothing", nothing);
    suite.test("formats", formats);
    suite.run()
}

fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    need::command("prove")?;
    need::command("jq")?;
    Ok(bed.script(text)?.env("READ", bed.file("read.pl", READ)?))
}

/// prove(1) takes a table for a test: it passes, and fails where a key has another value.
fn prove(bed: &Bed) -> TestResult {
    let text = format!(
        r#"run() {{ prove --exec "$NSPREP verify --format tap --table" "$TABLE" 2> /dev/null || echo "exit $?"; }}
        "$NSPREP" attach --table "$TABLE" > /dev/null
        echo "== same"; run | grep -E '^(Result|exit)'
        echo 99 > /proc/sys/{MADE_UP_WRITABLE}
        echo "== other"; run | grep -E '^ *(Result|exit|Failed test)'"#
    );
    let output = script(bed, &text)?.env("TABLE", made_up_table(bed)?).succeed()?;
    equal("same", section(&output, "same")?, ["Result: PASS"])?;
    let other = ["  Failed test:  1", "Result: FAIL", "exit 1"];
    equal("other", section(&output, "other")?, other)
}

/// A point for each key, and what differs in its YAML.
fn points(bed: &Bed) -> TestResult {
    let table = bed.table(
        "t.toml",
        &[
            ("kernel/ostype", r#"{ value = "Linux" }"#),
            ("kernel/made_up#TODO", "{ value = 1 }"),
            ("kernel/#SKIP", "{ value = 1 }"),
        ],
    )?;
    let text =
        r#""$NSPREP" verify --format tap --table "$TABLE" > out.tap || echo "exit $?"; perl "$READ" out.tap"#;
    let missing =
        "yaml message=<does not exist>\nyaml origin=<missing>\nyaml severity=<fail>\nyaml writable=<false>";
    let expected = format!(
        "exit 1\nversion 13\nplan 1..3 \ntest 1 not ok - kernel/\\#SKIP \n{missing}\n\
         test 2 not ok - kernel/made_up\\#TODO \n{missing}\ntest 3 ok - kernel/ostype \nfailed 1,2"
    );
    equal(
        "read",
        script(bed, text)?.env("TABLE", table).succeed()?,
        expected,
    )
}

/// What a value holds stays in its place: it ends no block and makes no point.
fn hostile(bed: &Bed) -> TestResult {
    let table = bed.table(
        "t.toml",
        &[("vm/swappiness", r#"{ value = 1, when = "always" }"#)],
    )?;
    let text = r#"printf 'a"b\\c\t\033[0m\n  ...\nok 2 - made up\n1..7\nBail out!\n' > mine
        mount --bind mine /proc/sys/vm/swappiness
        "$NSPREP" verify --format tap --table "$TABLE" > out.tap || echo "exit $?"
        perl "$READ" out.tap > read; sed -n '/^yaml value/,/>$/p' read > value
        { printf 'yaml value=<'; head -c -1 mine; printf '>\n'; } | cmp - value
        grep -v yaml read | grep -E '^(version|plan|test|unknown|error|failed)'; grep -c . out.tap"#;
    let expected = "exit 1\nversion 13\nplan 1..1 \ntest 1 not ok - vm/swappiness \nfailed 1\n10";
    equal(
        "read",
        script(bed, text)?.env("TABLE", table).succeed()?,
        expected,
    )
}

/// A table without keys is skipped, and nothing has failed.
fn nothing(bed: &Bed) -> TestResult {
    let table = bed.table("t.toml", &[])?;
    let text = r#""$NSPREP" verify --format tap --table "$TABLE"
        prove --exec "$NSPREP verify --format tap --table" "$TABLE" | grep -o 'skipped: .*\|Result: .*'"#;
    let expected = "TAP version 13\n1..0 # SKIP the table has no keys here\nskipped: the table has no keys here\nResult: NOTESTS";
    equal(
        "said",
        script(bed, text)?.env("TABLE", table).succeed()?,
        expected,
    )
}

/// The same in each format; `--json` is one of them.
fn formats(bed: &Bed) -> TestResult {
    let text = r#"verify() { "$NSPREP" verify --table "$TABLE" "$@" || echo "exit $?"; }
        verify > text; verify --format text | cmp - text; verify --json > json; verify --format json | cmp - json
        grep -c '^differs' text; head -n -1 json | jq -c '[.[0] | keys_unsorted[]]'
        verify --format tap | grep -c '^not ok'; verify --format xml 2>&1 | grep -o 'invalid value .xml.\|exit 2'
        verify --format tap --json 2>&1 | grep -o 'cannot be used with\|exit 2'"#;
    let members = r#"["key","origin","value","writable","problem"]"#;
    let expected = format!("4\n{members}\n4\ninvalid value 'xml'\nexit 2\ncannot be used with\nexit 2");
    equal(
        "said",
        script(bed, text)?.env("TABLE", made_up_table(bed)?).succeed()?,
        expected,
    )
}

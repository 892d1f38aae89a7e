//! Tables that are wrong are refused whole: one line that names file, line, key, what is wrong and what would be right.

mod support;

use std::process::ExitCode;

use support::{Bed, Suite, TestResult, refused};

/// File name, its text, and words that the refusal has to contain besides the file's name.
const TABLES: &[(&str, &str, &str, &[&str])] = &[
    (
        "broken_toml",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1\n",
        &["t.toml:2"],
    ),
    (
        "broken_json",
        "t.json",
        "{\"keys\": {\n\"kernel/x\": {\"value\": 1}\n",
        &["t.json:"],
    ),
    ("not_a_table", "t.json", "[1, 2]", &["t.json:1"]),
    (
        "unknown_field",
        "t.toml",
        "[keys]\n\"kernel/x\" = { valeu = 1 }\n",
        &["t.toml:2", "kernel/x", "valeu"],
    ),
    (
        "unknown_member",
        "t.toml",
        "kesy = 1\n[keys]\n",
        &["t.toml:1", "kesy"],
    ),
    (
        "unknown_probe",
        "t.toml",
        "[keys]\n\"kernel/x\" = { computed = \"horoscope\" }\n",
        &["t.toml:2", "kernel/x", "horoscope"],
    ),
    (
        "no_source",
        "t.toml",
        "[keys]\n\"kernel/x\" = { mode = \"0444\" }\n",
        &["t.toml:2", "kernel/x", "value"],
    ),
    (
        "two_sources",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1, host = true }\n",
        &["t.toml:2", "kernel/x"],
    ),
    (
        "wrong_mode",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1, mode = \"0666\" }\n",
        &["t.toml:2", "kernel/x", "0644"],
    ),
    (
        "octal_mode",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1, mode = 0644 }\n",
        &["t.toml:2: kernel/x: ", "mode \"0644\""],
    ),
    (
        "octal_mode_in_a_table_of_its_own",
        "t.toml",
        "[keys.\"kernel/x\"]\nvalue = 1\nmode = 0644\n",
        &["t.toml:3: kernel/x: ", "mode \"0644\""],
    ),
    (
        "octal_mode_json",
        "t.json",
        "{\"keys\": {\n\"kernel/x\": {\n\"value\": 1, \"mode\": 0644}\n}}",
        &["t.json:3: kernel/x: ", "mode \"0644\""],
    ),
    (
        "number_for_a_word",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1, when = 1 }\n",
        &["t.toml:2: kernel/x: when: ", "`missing`, `unwritable`"],
    ),
    (
        "number_for_a_word_json",
        "t.json",
        "{\"keys\": {\n\"kernel/x\": {\"computed\": 1}\n}}",
        &["t.json:2: kernel/x: computed: ", "`cap_last_cap`"],
    ),
    (
        "wrong_type",
        "t.toml",
        "[keys]\n\"kernel/x\" = { host = 1 }\n",
        &["t.toml:2: kernel/x: host: ", "boolean"],
    ),
    (
        "list_for_an_entry",
        "t.toml",
        "[keys]\n\"kernel/x\" = [1]\n",
        &["t.toml:2: kernel/x: ", "{ value = 1 }"],
    ),
    (
        "list_for_an_entry_json",
        "t.json",
        "{\"keys\": {\n\"kernel/x\": [1]\n}}",
        &["t.json:2: kernel/x: ", "{ value = 1 }"],
    ),
    ("wrong_doc", "t.toml", "doc = 3\n", &["t.toml:1: doc: ", "string"]),
    (
        "wrong_when",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1, when = \"often\" }\n",
        &["t.toml:2", "kernel/x", "often"],
    ),
    (
        "dots",
        "t.toml",
        "[keys]\n\"kernel/../x\" = { value = 1 }\n",
        &["t.toml:2", "kernel/../x"],
    ),
    (
        "leading_dots",
        "t.toml",
        "[keys]\n\"../x\" = { value = 1 }\n",
        &["t.toml:2", "../x"],
    ),
    (
        "absolute",
        "t.toml",
        "[keys]\n\"/etc/passwd\" = { value = 1 }\n",
        &["t.toml:2", "/etc/passwd"],
    ),
    (
        "process",
        "t.toml",
        "[keys]\n\"/proc/self/environ\" = { value = 1 }\n",
        &["t.toml:2", "/proc/self/environ"],
    ),
    (
        "nul_in_key",
        "t.toml",
        "[keys]\n\"kernel/x\\u0000y\" = { value = 1 }\n",
        &["t.toml:2", "character"],
    ),
    (
        "nul_in_value",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = \"a\\u0000b\" }\n",
        &["t.toml:2", "kernel/x", "NUL"],
    ),
    (
        "newline_in_key",
        "t.toml",
        "[keys]\n\"kernel/x\\ny\" = { value = 1 }\n",
        &["t.toml:2"],
    ),
    (
        "empty_key",
        "t.toml",
        "[keys]\n\"\" = { value = 1 }\n",
        &["t.toml:2", "names no file"],
    ),
    (
        "duplicate",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1 }\n\"kernel/x\" = { value = 2 }\n",
        &["t.toml:3", "twice"],
    ),
    (
        "duplicate_spelling",
        "t.toml",
        "[keys]\n\"kernel/x\" = { value = 1 }\n\"kernel.x\" = { value = 2 }\n",
        &["t.toml:3", "twice"],
    ),
    (
        "duplicate_json",
        "t.json",
        "{\"keys\": {\n\"kernel/x\": {\"value\": 1},\n\"kernel/x\": {\"value\": 2}\n}}",
        &["t.json:3", "kernel/x"],
    ),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (name, file, text, words) in TABLES {
        suite.test(format!("cured::{name}"), move |bed| {
            table(bed, file, text.as_bytes(), words)
        });
    }
    suite.test("cured::not_utf8", |bed| {
        table(
            bed,
            "t.toml",
            b"[keys]\n\"kernel/\xff\" = { value = 1 }\n",
            &["t.toml"],
        )
    });
    suite.test("cured::too_long", |bed| {
        let text = format!(
            "[keys]\n\"kernel/x\" = {{ value = \"{}\" }}\n",
            "a".repeat(65_537)
        );
        table(bed, "t.toml", text.as_bytes(), &["t.toml:2", "kernel/x", "65536"])
    });
    suite.test("cured::file_below_a_file", |bed| {
        let text = "[keys]\n\"kernel/x\" = { value = 1 }\n\"kernel/x/y\" = { value = 1 }\n";
        table(bed, "t.toml", text.as_bytes(), &["kernel/x"])
    });
    suite.test("cured::missing_file", missing_file);
    suite.test("cured::profile", |bed| {
        refused(
            bed,
            r#"exec "$NSPREP" attach --profile kublet"#,
            2,
            &["kublet", "kubelet", "container"],
        )
    });
    suite.run()
}

fn table(bed: &Bed, file: &str, text: &[u8], words: &[&str]) -> TestResult {
    bed.file(file, text)?;
    for call in ["attach", "plan", "verify"] {
        refused(bed, &format!("exec \"$NSPREP\" {call} --table {file}"), 2, words)?;
    }
    refused(
        bed,
        &format!("exec \"$NSPREP\" exec --table {file} -- touch ran"),
        125,
        words,
    )
}

fn missing_file(bed: &Bed) -> TestResult {
    refused(
        bed,
        r#"exec "$NSPREP" attach --table nowhere.toml"#,
        2,
        &["nowhere.toml", "no such file"],
    )
}

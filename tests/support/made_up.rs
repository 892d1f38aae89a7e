//! Keys that no kernel has: what works for these works for any.

use std::io;
use std::path::PathBuf;

use super::Bed;

/// Key below /proc/sys, its entry in a table, and what a reader then reads.
pub const MADE_UP: [(&str, &str, &str); 4] = [
    ("kernel/made_up_key", "{ value = 7 }", "7"),
    ("net/ipv4/made_up", "{ value = [4096, 131072] }", "4096\t131072"),
    ("net/made/up", r#"{ value = "some text" }"#, "some text"),
    ("fs/made_up", r#"{ value = 1, mode = "0644" }"#, "1"),
];

/// The one of them that is writable where the place is.
pub const MADE_UP_WRITABLE: &str = "fs/made_up";

/// A table of exactly these keys.
pub fn made_up_table(bed: &Bed) -> io::Result<PathBuf> {
    bed.table("made_up.toml", &MADE_UP.map(|(key, entry, _)| (key, entry)))
}

/// A script, for any shell, that prints each of them.
pub fn print_made_up() -> String {
    MADE_UP
        .map(|(key, _, _)| format!("cat /proc/sys/{key}\n"))
        .concat()
}

/// What that script prints when all is well, without the final newline.
pub fn made_up_values() -> String {
    MADE_UP.map(|(_, _, value)| value).join("\n")
}

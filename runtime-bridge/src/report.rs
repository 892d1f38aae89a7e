//! Errors where an engine finds them.
//!
//! A wrapper's stderr is lost behind containerd; what it shows as the reason of a failed pod is the last line of the
//! runtime's `--log` file in runc's (logrus') form. So an error goes to both.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An error with its causes, in one line: `config.json: trailing comma at line 1 column 8`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = match error.downcast_ref::<std::io::Error>() {
            Some(errno) => format!("{text}: {}", procemu::errno_text(errno)),
            None => format!("{text}: {error}"),
        };
        cause = error.source();
    }
    one_line(text)
}

/// `text` with control characters as Rust escapes them: some of it may be quoted from a file, and no line break there is to begin a line
/// of a log that is not ours.
pub(crate) fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// How much a line weighs; named as in runc's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The container is made as it was to be.
    Info,
    /// The container is made nevertheless.
    Warning,
    /// The container is not made.
    Error,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The way an engine wants to be told, as its call of the runtime says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// `--log`.
    pub log: Option<&'a OsStr>,
    /// `--log-format`: `json`, else runc's text form.
    pub log_format: Option<&'a OsStr>,
}

impl Report<'_> {
    pub(crate) fn is_json(&self) -> bool {
        self.log_format == Some(OsStr::new("json"))
    }

    /// The log file, if one is named that can be opened.
    pub(crate) fn open(&self) -> Option<File> {
        open(self.log.and_then(file)?).ok()
    }

    /// Writes `message` to stderr and appends it to the log file, if one is named.
    ///
    /// Reporting never fails: where the log cannot be written, stderr says so as well.
    pub fn tell(&self, level: Level, message: &str) {
        let message = one_line(message.to_owned());
        say(&message);
        if let Some(path) = self.log.and_then(file) {
            self.append(path, level, &message);
        }
    }

    /// The same, but on stderr only without a log file: what all is well with says nothing there. containerd takes it for a part of what
    /// the runtime answers.
    pub fn note(&self, level: Level, message: &str) {
        let message = one_line(message.to_owned());
        match self.log.and_then(file) {
            Some(path) => self.append(path, level, &message),
            None => say(&message),
        }
    }

    fn append(&self, path: &Path, level: Level, message: &str) {
        let line = line(
            self.is_json(),
            level.name(),
            message,
            Vec::new(),
            SystemTime::now(),
        );
        if let Err(error) = append(path, &line) {
            say(&format!("cannot append to {}: {error}", path.display()));
        }
    }
}

fn say(message: &str) {
    // Nobody is left to tell when stderr is gone too.
    let _ = writeln!(std::io::stderr(), "runtime-bridge: {message}");
}

/// The file behind a `--log` value; crun also takes `file:PATH`, and names of log services, which have none.
fn file(log: &OsStr) -> Option<&Path> {
    let bytes = log.as_bytes();
    if bytes.starts_with(b"journald:") || bytes.starts_with(b"syslog:") {
        return None;
    }
    Some(Path::new(OsStr::from_bytes(
        bytes.strip_prefix(b"file:").unwrap_or(bytes),
    )))
}

/// One write, so that lines of several writers do not mix.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    open(path)?.write_all(line.as_bytes())
}

/// For appending; never through a link, never truncating, and not waiting for a reader should the path be a FIFO.
fn open(path: &Path) -> std::io::Result<File> {
    use nix::fcntl::OFlag;
    File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
}

/// A line of a log as runc writes it, with `fields` after what each line has.
pub(crate) fn line(
    json: bool,
    level: &str,
    message: &str,
    fields: Vec<(&str, Value)>,
    now: SystemTime,
) -> String {
    let time = rfc3339(now);
    if json {
        let mut object = serde_json::Map::new();
        let first = [
            ("level", level.into()),
            ("msg", message.into()),
            ("time", time.into()),
        ];
        object.extend(
            first
                .into_iter()
                .chain(fields)
                .map(|(name, value)| (name.to_owned(), value)),
        );
        return format!("{}\n", Value::Object(object));
    }
    // logrus quotes as Go's %q does, of which JSON's quoting is a readable subset.
    let mut text = format!("time=\"{time}\" level={level} msg={}", Value::from(message));
    for (name, value) in fields {
        text.push_str(&format!(" {name}={value}"));
    }
    text + "\n"
}

/// UTC, to the second, as logrus prints it: `2026-01-02T03:04:05Z`.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the leap day last: 400 of them have 146,097 days, four 1,461, five months 153.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}Z",
        era * 400 + year + carry,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_error_is_one_line() {
        let quoted = std::io::Error::other("unknown field `a\n\u{1b}[2Jb`");
        let error = crate::document::DocumentError::Duplicate {
            at: "x\ry".to_owned(),
            name: "é".to_owned(),
        };
        assert_eq!(chain(&quoted), "unknown field `a\\n\\u{1b}[2Jb`");
        assert_eq!(
            chain(&error),
            "x\\ry: duplicate member \"é\", each name may appear once"
        );
    }

    #[test]
    fn dates() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_735_603_200, "2024-12-31T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(at(seconds)), want);
        }
    }

    #[test]
    fn forms() {
        let message = "open \"x\":\nno";
        assert_eq!(
            line(true, "error", message, Vec::new(), at(0)),
            "{\"level\":\"error\",\"msg\":\"open \\\"x\\\":\\nno\",\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
        assert_eq!(
            line(
                false,
                "warning",
                message,
                vec![("ms", 1.5.into()), ("at", "a\"b".into())],
                at(0)
            ),
            "time=\"1970-01-01T00:00:00Z\" level=warning msg=\"open \\\"x\\\":\\nno\" ms=1.5 at=\"a\\\"b\"\n"
        );
    }

    #[test]
    fn the_log_is_appended_to_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log.json");
        std::fs::write(&log, "before\n").unwrap();
        append(&log, "one\n").unwrap();
        append(&log, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "before\none\ntwo\n");

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&log, &link).unwrap();
        assert!(append(&link, "three\n").is_err());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "before\none\ntwo\n");
    }

    #[test]
    fn crun_log_services() {
        assert_eq!(file(OsStr::new("file:/a")), Some(Path::new("/a")));
        assert_eq!(file(OsStr::new("/a")), Some(Path::new("/a")));
        assert_eq!(file(OsStr::new("journald:x")), None);
    }
}

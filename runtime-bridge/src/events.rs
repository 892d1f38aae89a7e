//! What was looked at, found and done, where `RUST_LOG` or bridge.toml asks for it. Where neither does, nothing is set up: a
//! container's start has no time for it.

use crate::report::{Report, line, one_line};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::time::{Instant, SystemTime};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;

/// The variable that says which events are told: `debug`, `info,procemu=trace`.
pub const VARIABLE: &str = "RUST_LOG";

/// Why no events are told.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} does not say which events to tell: {1}; `debug` does, or `info,procemu=trace`")]
pub struct FilterError(OsString, String);

/// Checks what is to say which events are told.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), FilterError> {
    parse(text.into()).map(drop)
}

fn parse(text: OsString) -> Result<Targets, FilterError> {
    let parsed = match text.to_str() {
        None => Err("not UTF-8".to_owned()),
        Some(text) => text.parse::<Targets>().map_err(|error| error.to_string()),
    };
    parsed.map_err(|what| FilterError(text, what))
}

/// From now on tells events by what [`VARIABLE`] says or, without it, `configured`: as [`begin_by`] does.
///
/// Gives by what they are told, for a program that is to do the same.
///
/// # Errors
/// What the variable says is wrong. Then none are told.
pub fn begin(
    configured: Option<&str>,
    report: &Report<'_>,
    begun: Instant,
) -> Result<Option<String>, FilterError> {
    let text = std::env::var_os(VARIABLE).filter(|text| !text.is_empty());
    begin_by(text.or(configured.map(Into::into)), report, begun)
}

/// From now on tells events by what `text` says, whatever the environment has, to the log file that `report` names or, without one, to
/// standard error. `begun` is when the program began.
///
/// # Errors
/// What it says is wrong. Then none are told.
pub fn begin_by(
    text: Option<OsString>,
    report: &Report<'_>,
    begun: Instant,
) -> Result<Option<String>, FilterError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let targets = parse(text.clone())?;
    let levels = targets.iter().map(|(_, level)| level);
    let most = levels.chain(targets.default_level()).max();
    let Some(most) = most.filter(|most| *most != LevelFilter::OFF) else {
        return Ok(None);
    };
    let events = Events {
        targets,
        most,
        json: report.is_json(),
        // Opened once, while this process is where the file is.
        file: report.open(),
        begun,
    };
    // The first one stays.
    let _ = tracing::subscriber::set_global_default(events);
    Ok(text.into_string().ok())
}

/// How programs that people call tell events.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Telling {
    /// How to write what RUST_LOG asks for (`debug`), on standard error
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        display_order = 1000
    )]
    log_format: Format,
}

impl Telling {
    /// Begins to tell them on standard error, and says there for `program` what is wrong with the variable.
    pub fn begin(self, program: &str, begun: Instant) {
        let report = Report {
            log: None,
            log_format: (self.log_format == Format::Json).then_some("json".as_ref()),
        };
        if let Err(error) = begin(None, &report, begun) {
            // Nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "{program}: {VARIABLE}: {error}");
        }
    }
}

/// How lines of a log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `time="..." level=debug msg="..." ...`
    #[default]
    Text,
    /// An object in each line.
    Json,
}

struct Events {
    targets: Targets,
    most: LevelFilter,
    json: bool,
    file: Option<File>,
    begun: Instant,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.targets.would_enable(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut rest = vec![
            ("ms", Value::from(micros as f64 / 1000.0)),
            ("target", event.metadata().target().into()),
        ];
        rest.extend(fields.rest);
        let line = line(
            self.json,
            name(*event.metadata().level()),
            &fields.message,
            rest,
            SystemTime::now(),
        );
        // One write each, so that lines of several processes do not mix. Nobody is left to tell where it fails.
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }

    // There are no spans: time is told by each line.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// As runc's log has it.
fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Some of it may be quoted from a bundle, and no control character of that is to reach a log or a terminal.
    fn text(&mut self, field: &Field, text: String) {
        let text = one_line(text);
        match field.name() {
            "message" => self.message = text,
            name => self.rest.push((name, text.into())),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest.push((field.name(), value.into()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest.push((field.name(), value.into()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest.push((field.name(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_told_in_one_line() {
        for right in ["debug", "off", "info,procemu=trace", "youki=debug,hyper"] {
            assert!(check(right).is_ok(), "{right}");
        }
        let error = check("procemu=loud\n").unwrap_err().to_string();
        let says = r#""procemu=loud\n" does not say which events to tell: "#;
        assert!(error.starts_with(says), "{error}");
        assert!(
            error.ends_with("; `debug` does, or `info,procemu=trace`"),
            "{error}"
        );
    }
}

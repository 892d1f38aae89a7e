//! containerd's `config.toml`: a runtime handler beside the one that is there, edited so that all else keeps its bytes.

mod version;

pub use version::{beginning, begun, is_blank, new};

use super::{HANDLER, Handler, MADE_BY, Refusal, is_ours};
use toml_edit::{Array, DocumentMut, Item, Table, Value};
use version::{enabled_plugin, plugin};

/// What a pod's annotations have to match for containerd to hand them on to the runtime.
pub(super) const ANNOTATIONS: &str = "procemu.io/*";

/// The runtime that containerd takes where the file names none.
const DEFAULT: &str = "runc";

const DEFAULT_NAME: &str = "default_runtime_name";

/// Leads the former default in a comment beside ours.
const FORMER: &str = "# procemu: was ";

/// Stands there where none was set.
const NOT_SET: &str = "not set";

/// The CRI plugin that has the runtimes in a file of version 2.
const PLUGIN_2: &str = "io.containerd.grpc.v1.cri";

/// The same in a file of version 3.
const PLUGIN_3: &str = "io.containerd.cri.v1.runtime";

/// Uniform ends of lines are kept by [`super::lines`]; toml_edit would write all as LF.
fn refuse_mixed_lines(text: &str) -> Result<(), Refusal> {
    match text.contains('\r') {
        true => Err(Refusal::new(
            "ends some lines in CRLF and some in LF; make them one",
        )),
        false => Ok(()),
    }
}

/// The program that the default handler runs: a name on PATH or an absolute path.
///
/// # Errors
/// If the text is no configuration of version 2 or 3, or its default handler is not run by containerd's runc shim.
pub fn runtime(text: &str) -> Result<String, Refusal> {
    let document = parse(&remove(text)?)?;
    let plugin = enabled_plugin(&document)?;
    let base = base(&document, plugin)?;
    let program = base
        .as_ref()
        .and_then(|base| base.get("options")?.get("BinaryName")?.as_str())
        .filter(|program| !program.is_empty());
    Ok(program.unwrap_or(DEFAULT).to_owned())
}

/// The text with our handler, made after the default one: its options are ours too (`SystemdCgroup`).
///
/// # Errors
/// As [`runtime`]; also if the parts to be edited are written in a form that cannot be kept.
pub fn add(text: &str, handler: &Handler) -> Result<String, Refusal> {
    let clean = remove(text)?;
    refuse_mixed_lines(&clean)?;
    let mut document = parse(&clean)?;
    let plugin = enabled_plugin(&document)?;
    let mut ours = base(&document, plugin)?.unwrap_or_default();
    ours.insert("runtime_type", "io.containerd.runc.v2".into());
    let annotations = ours
        .entry("pod_annotations")
        .or_insert(Value::from(Array::new()).into());
    let annotations = annotations
        .as_array_mut()
        .ok_or_else(|| Refusal::new("has pod_annotations that are no array"))?;
    if !annotations
        .iter()
        .any(|known| known.as_str() == Some(ANNOTATIONS))
    {
        annotations.push(ANNOTATIONS);
    }
    let options = ours.entry("options").or_insert(Table::new().into());
    let options = options
        .as_table_mut()
        .ok_or_else(|| Refusal::new("has options that are no table of their own"))?;
    options.insert("BinaryName", handler.program.as_str().into());
    if handler.no_new_keyring {
        options.insert("NoNewKeyring", true.into());
    }
    ours.decor_mut().set_prefix(format!("\n{MADE_BY}"));
    let containerd = folder(&mut document, &["plugins", plugin, "containerd"])?;
    if handler.default {
        make_default(containerd)?;
    }
    let runtimes = child(containerd, "runtimes")?;
    // Where the file names one, containerd 1.x knows no other: not even its own, without which the plugin does not load.
    if plugin == PLUGIN_2 && runtimes.is_empty() {
        runtimes.insert(DEFAULT, left_to_containerd().into());
    }
    if runtimes.contains_key(HANDLER) {
        return Err(Refusal::new(format!(
            "has a runtime {HANDLER} that runtime-bridge did not make; rename it"
        )));
    }
    runtimes.insert(HANDLER, ours.into());
    let new = document.to_string();
    // Whatever toml_edit made of it: without our part it has to be what it was.
    if values(&remove(&new)?)? == values(&clean)? {
        Ok(new)
    } else {
        Err(Refusal::new(
            "writes its plugins in a form that cannot be edited; use [tables] for them",
        ))
    }
}

/// The text without our handler, and with the default that was there before it.
///
/// # Errors
/// If the text is no TOML, or ends its lines in both ways and has ours.
pub fn remove(text: &str) -> Result<String, Refusal> {
    let mut document = parse(text)?;
    let Ok(plugin) = plugin(&document) else {
        return Ok(text.to_owned());
    };
    let mut changed = false;
    if let Some(containerd) = existing(&mut document, &["plugins", plugin, "containerd"]) {
        let has_ours = containerd
            .get("runtimes")
            .and_then(|all| all.get(HANDLER)?.get("options")?.get("BinaryName")?.as_str())
            .is_some_and(is_ours);
        if has_ours {
            changed = true;
            if let Some(runtimes) = containerd.get_mut("runtimes").and_then(Item::as_table_mut) {
                runtimes.remove(HANDLER);
                if runtimes.get(DEFAULT).is_some_and(is_left_to_containerd) {
                    runtimes.remove(DEFAULT);
                }
                if runtimes.is_empty() && runtimes.is_implicit() {
                    containerd.remove("runtimes");
                }
            }
            give_default_back(containerd);
            // Made for our part, or it said nothing.
            if containerd.is_empty()
                && let Some(plugin) = existing(&mut document, &["plugins", plugin])
            {
                plugin.remove("containerd");
            }
        }
    }
    if !changed {
        return Ok(text.to_owned());
    }
    refuse_mixed_lines(text)?;
    Ok(document.to_string())
}

/// Whether our handler is there, its program, and whether it is the default.
///
/// # Errors
/// If the text is no TOML.
pub fn installed(text: &str) -> Result<Option<Handler>, Refusal> {
    let document = parse(text)?;
    let Ok(plugin) = plugin(&document) else {
        return Ok(None);
    };
    let containerd = document
        .get("plugins")
        .and_then(|all| all.get(plugin)?.get("containerd"));
    let options = containerd.and_then(|all| all.get("runtimes")?.get(HANDLER)?.get("options"));
    let program = options.and_then(|all| all.get("BinaryName")?.as_str());
    let default = containerd.and_then(|all| all.get(DEFAULT_NAME)?.as_str());
    Ok(program.filter(|program| is_ours(program)).map(|program| Handler {
        program: program.to_owned(),
        default: default == Some(HANDLER),
        no_new_keyring: options.and_then(|all| all.get("NoNewKeyring")?.as_bool()) == Some(true),
    }))
}

/// The files that `imports` of the text names: paths and patterns, relative to the file's folder.
///
/// # Errors
/// If the text is no TOML.
pub fn imports(text: &str) -> Result<Vec<String>, Refusal> {
    let document = parse(text)?;
    let listed = document.get("imports").and_then(Item::as_array);
    let names = listed.into_iter().flatten().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

/// Whether `import`, which containerd reads after `text`, has the last word on what [`add`] writes there, or would on what it
/// writes it after.
///
/// # Errors
/// As [`runtime`], for `text`.
pub fn is_overridden(text: &str, import: &str) -> Result<bool, Refusal> {
    let document = parse(&remove(text)?)?;
    let import = parse(import).unwrap_or_default();
    let part = |plugin| import.get("plugins").and_then(|all| all.get(plugin));
    // 1.x takes a plugin whole from the last file that has it, and so does 2.x between files of different versions.
    if plugin(&document)? == PLUGIN_2 {
        return Ok(part(PLUGIN_2).is_some() || part(PLUGIN_3).is_some());
    }
    let Some(containerd) = part(PLUGIN_3).and_then(|plugin| plugin.get("containerd")) else {
        return Ok(false);
    };
    let runtime = |name| containerd.get("runtimes").and_then(|all| all.get(name));
    Ok(containerd.get(DEFAULT_NAME).is_some()
        || runtime(HANDLER).is_some()
        || runtime(default_name(&document, PLUGIN_3)).is_some())
}

fn parse(text: &str) -> Result<DocumentMut, Refusal> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        Refusal::new(format!("line {line}: {}", error.message().replace('\n', ", ")))
    })
}

/// What the text says; tables without anything say nothing.
fn values(text: &str) -> Result<toml::Table, Refusal> {
    fn prune(table: &mut toml::Table) {
        table.retain(|_, value| match value {
            toml::Value::Table(table) => {
                prune(table);
                !table.is_empty()
            }
            _ => true,
        });
    }
    let mut table =
        toml::from_str(text).map_err(|error| Refusal::new(error.message().replace('\n', ", ")))?;
    prune(&mut table);
    Ok(table)
}

/// A copy of the default handler, without its place in the file; `None` where the file leaves it to containerd.
fn base(document: &DocumentMut, plugin: &str) -> Result<Option<Table>, Refusal> {
    let name = default_name(document, plugin);
    let base = document
        .get("plugins")
        .and_then(|all| all.get(plugin)?.get("containerd")?.get("runtimes")?.get(name));
    let Some(base) = base else {
        return match name {
            DEFAULT => Ok(None),
            _ => Err(Refusal::new(format!(
                "has no runtime {name}, which is its default"
            ))),
        };
    };
    let base = base
        .as_table_like()
        .ok_or_else(|| Refusal::new(format!("has a runtime {name} that is no table")))?;
    match base.get("runtime_type").and_then(Item::as_str) {
        None | Some("io.containerd.runc.v2") => Ok(Some(copy(base))),
        Some(kind) => Err(Refusal::new(format!(
            "has the default runtime {name} of type {kind}, expected io.containerd.runc.v2"
        ))),
    }
}

/// What containerd calls its default handler.
fn default_name<'a>(document: &'a DocumentMut, plugin: &str) -> &'a str {
    document
        .get("plugins")
        .and_then(|all| all.get(plugin)?.get("containerd")?.get(DEFAULT_NAME)?.as_str())
        .filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT)
}

/// The handler that containerd has where the file names none.
fn left_to_containerd() -> Table {
    let mut table = Table::new();
    table.insert("runtime_type", "io.containerd.runc.v2".into());
    table.decor_mut().set_prefix(format!("\n{MADE_BY}"));
    table
}

/// Whether that is by us, and nobody has added to it since.
fn is_left_to_containerd(item: &Item) -> bool {
    item.as_table().is_some_and(|table| {
        let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
        table.len() == 1 && prefix.is_some_and(|prefix| prefix.ends_with(MADE_BY))
    })
}

fn copy(table: &dyn toml_edit::TableLike) -> Table {
    let mut new = Table::new();
    for (name, item) in table.iter() {
        let item = match (item.as_table_like(), item) {
            (Some(table), _) => copy(table).into(),
            (None, Item::Value(value)) => Item::Value(value.clone().decorated(" ", "")),
            (None, other) => other.clone(),
        };
        new.insert(name, item);
    }
    new
}

/// Makes our handler the default, and notes beside it what was.
fn make_default(containerd: &mut Table) -> Result<(), Refusal> {
    let Some(item) = containerd.get_mut(DEFAULT_NAME) else {
        let ours = Value::from(HANDLER).decorated(" ", format!(" {FORMER}{NOT_SET}"));
        containerd.insert(DEFAULT_NAME, ours.into());
        return Ok(());
    };
    let old = item
        .as_value()
        .filter(|old| old.is_str())
        .ok_or_else(|| Refusal::new(format!("has a {DEFAULT_NAME} that is no string")))?;
    let (prefix, suffix) = decor(old);
    let former = old.clone().decorated("", "");
    *item = Value::from(HANDLER)
        .decorated(prefix, format!("{suffix} {FORMER}{former}"))
        .into();
    Ok(())
}

/// Makes what was the default before ours the default again.
fn give_default_back(containerd: &mut Table) {
    let Some(item) = containerd.get_mut(DEFAULT_NAME) else {
        return;
    };
    let Some(ours) = item.as_value().filter(|value| value.as_str() == Some(HANDLER)) else {
        return;
    };
    let (prefix, suffix) = decor(ours);
    let former = suffix
        .rsplit_once(FORMER)
        .filter(|(_, former)| *former != NOT_SET)
        .and_then(|(before, former)| Some((before.strip_suffix(' ')?, former.parse::<Value>().ok()?)));
    match former {
        Some((before, former)) => *item = former.decorated(prefix, before).into(),
        None => drop(containerd.remove(DEFAULT_NAME)),
    }
}

/// What stands before and behind a value on its line.
fn decor(value: &Value) -> (String, String) {
    let text = |raw: Option<&toml_edit::RawString>, default: &str| {
        raw.and_then(|raw| raw.as_str()).unwrap_or(default).to_owned()
    };
    (
        text(value.decor().prefix(), " "),
        text(value.decor().suffix(), ""),
    )
}

/// The table below `path`, made where it is missing.
fn folder<'a>(document: &'a mut DocumentMut, path: &[&str]) -> Result<&'a mut Table, Refusal> {
    path.iter()
        .try_fold(document.as_table_mut(), |table, name| child(table, name))
}

fn child<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table, Refusal> {
    let new = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    table
        .entry(name)
        .or_insert_with(new)
        .as_table_mut()
        .ok_or_else(|| Refusal::new(format!("has {name} in {{braces}}, expected a [table]")))
}

fn existing<'a>(document: &'a mut DocumentMut, path: &[&str]) -> Option<&'a mut Table> {
    path.iter().try_fold(document.as_table_mut(), |table, name| {
        table.get_mut(name)?.as_table_mut()
    })
}

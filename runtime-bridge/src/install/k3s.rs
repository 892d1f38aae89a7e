//! k3s' template of containerd's configuration: text that is no TOML yet, in which a block is ours.

use super::containerd::ANNOTATIONS;
use super::{HANDLER, Handler, MADE_BY};

const END: &str = "# The end of what `runtime-bridge install` wrote.\n";

/// What k3s would write without a template.
const BASE: &str = "{{ template \"base\" . }}\n";

/// The template with our handler, of containerd's CRI plugin `plugin`.
pub fn add(text: &str, plugin: &str, handler: &Handler) -> String {
    let clean = remove(text);
    let base = if clean.is_empty() { BASE } else { &clean };
    let gap = if base.ends_with('\n') { "" } else { "\n" };
    let table = format!("plugins.'{plugin}'.containerd.runtimes.{HANDLER}");
    let program = toml::Value::from(handler.program.as_str());
    let keyring = match handler.no_new_keyring {
        true => "NoNewKeyring = true\n",
        false => "",
    };
    format!(
        "{base}{gap}{MADE_BY}[{table}]\nruntime_type = \"io.containerd.runc.v2\"\npod_annotations = [\"{ANNOTATIONS}\"]\n\
         [{table}.options]\nBinaryName = {program}\n{keyring}SystemdCgroup = {{{{ .SystemdCgroup }}}}\n{END}"
    )
}

/// The template without it.
pub fn remove(text: &str) -> String {
    let block = text
        .find(MADE_BY)
        .zip(text.find(END))
        .filter(|(begin, end)| begin < end);
    match block {
        Some((begin, end)) => format!("{}{}", &text[..begin], &text[end + END.len()..]),
        None => text.to_owned(),
    }
}

/// Our handler in the template.
pub fn installed(text: &str) -> Option<Handler> {
    let block = &text[text.find(MADE_BY)?..text.find(END)?];
    let line = block
        .lines()
        .find_map(|line| line.strip_prefix("BinaryName = "))?;
    let program: toml::Table = toml::from_str(&format!("it = {line}")).ok()?;
    Some(Handler {
        program: program.get("it")?.as_str()?.to_owned(),
        default: false,
        no_new_keyring: block.contains("\nNoNewKeyring = true\n"),
    })
}

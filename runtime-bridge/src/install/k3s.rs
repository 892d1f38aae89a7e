//! k3s' template of containerd's configuration: text that is no TOML yet, in which a block is ours.

use super::containerd::ANNOTATIONS;
use super::{HANDLER, Handler, MADE_BY};
use std::ops::Range;

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
    match block(text) {
        Some(block) => format!("{}{}", &text[..block.start], &text[block.end..]),
        None => text.to_owned(),
    }
}

/// Our handler in the template.
pub fn installed(text: &str) -> Option<Handler> {
    let block = &text[block(text)?];
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

/// Where our block is: the last beginning that has an end. A part of one that somebody left is none.
fn block(text: &str) -> Option<Range<usize>> {
    let mut beginnings = text.rmatch_indices(MADE_BY);
    beginnings.find_map(|(begin, _)| {
        let end = text[begin..].find(END)?;
        Some(begin..begin + end + END.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_block_are_none() {
        let ours = Handler {
            program: "/b/procemu-runc".to_owned(),
            default: false,
            no_new_keyring: true,
        };
        let stray = [MADE_BY, END, &format!("{END}{MADE_BY}"), "{{ . }}\n"];
        for text in stray {
            assert_eq!((installed(text), remove(text).as_str()), (None, text));
            let new = add(text, "p", &ours);
            assert_eq!(installed(&new).as_ref(), Some(&ours), "{new}");
            assert_eq!(remove(&new), text);
            for other in stray {
                let later = format!("{new}{other}");
                assert_eq!(installed(&later).as_ref(), Some(&ours), "{later}");
                assert_eq!(remove(&later), format!("{text}{other}"));
            }
        }
    }
}

//! Manual pages and completions, by the programs that read them.

use crate::packages::{self, Kind};
use crate::support::{Bed, Script, TestResult, equal, fail, need};

fn script(bed: &Bed, text: &str) -> TestResult<Script> {
    need::root()?;
    Ok(bed.script(text)?.env("TREE", packages::built(Kind::Tree)?))
}

/// Rendered by groff and by mandoc without a warning; each is there.
pub fn manual(bed: &Bed) -> TestResult {
    need::command("man")?;
    need::command("groff")?;
    need::command("mandoc")?;
    let said = script(
        bed,
        r##"
export LC_ALL=C.UTF-8
for page in "$TREE"/man/*; do
  groff -man -ww -z "$page" 2>&1
  mandoc -T lint -W warning "$page" || true
  man --warnings --local-file "$page" 2>&1 > "$BED/shown"
  name=${page##*/}
  # As a reader finds it.
  grep -q "^${name%.*}(${name##*.})" "$BED/shown" || echo "$name: shows nothing"
  case $name in
    nsprep-exec.1 | nsprep-doctor.1 | runtime-bridge-install.1) grep -q '^EXAMPLES$' "$BED/shown" || echo "$name: no examples" ;;
  esac
  lexgrog "$page" > /dev/null || echo "$name: nothing for whatis(1)"
done
"##,
    )?
    .succeed()?;
    equal("said", said.as_str(), "")?;
    let pages = packages::built(Kind::Tree)?.join("man");
    let help = bed.script(r#""$NSPREP" --help; "$BRIDGE" --help"#)?.succeed()?;
    let mut programs = ["nsprep", "runtime-bridge"].into_iter();
    let mut program = "";
    let mut named = 0;
    for line in help.lines() {
        if line.starts_with("Usage: ") {
            program = programs.next().unwrap_or_default();
        }
        let Some(command) = line
            .strip_prefix("  ")
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
            .and_then(|rest| rest.split(' ').next())
            .filter(|command| *command != "help")
        else {
            continue;
        };
        named += 1;
        if !pages.join(format!("{program}-{command}.1")).is_file() {
            return fail(format!("no page for {program} {command}"));
        }
    }
    equal("commands in the help", named >= 17, true)
}

/// What completions are asked, and what they have to offer: the beginning of a line, and words of the answer.
const COMPLETED: [(&str, &[&str]); 9] = [
    ("nsprep pr", &["profiles"]),
    ("nsprep ns re", &["remove"]),
    ("nsprep plan --pro", &["--profile"]),
    ("nsprep plan --profile kube", &["kubelet", "kube-proxy"]),
    ("nsprep exec --profile runc -- prlim", &["prlimit"]),
    ("nsprep doctor -- /usr/bin/prlim", &["/usr/bin/prlimit"]),
    ("nsprep exec -- cat /etc/hostna", &["/etc/hostname"]),
    ("runtime-bridge un", &["uninstall"]),
    ("runtime-bridge install --as", &["--as-default"]),
];

/// Bash takes the files and completes by them.
pub fn bash(bed: &Bed) -> TestResult {
    completed(
        bed,
        "bash",
        r##"
for file in "$TREE"/completions/bash/*; do bash -n "$file"; done
bash --norc -c '
  for file in "$TREE"/completions/bash/*; do . "$file"; done
  read -ra COMP_WORDS <<< "$LINE"
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$LINE COMP_POINT=${#LINE} COMPREPLY=()
  function=$(complete -p "${COMP_WORDS[0]}" | sed "s/.*-F \([^ ]*\) .*/\1/")
  "$function" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  # As readline does where nothing is offered.
  case ${#COMPREPLY[@]},$(complete -p "${COMP_WORDS[0]}") in
    0,*"-o default "*) COMPREPLY=($(compgen -o default -- "${COMP_WORDS[COMP_CWORD]}")) ;;
  esac
  echo "${COMPREPLY[@]}"'
"##,
    )
}

/// The same by zsh, on a terminal of its own.
pub fn zsh(bed: &Bed) -> TestResult {
    completed(
        bed,
        "zsh",
        r##"
for file in "$TREE"/completions/zsh/*; do zsh -n "$file"; done
zsh -f << 'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($TREE/completions/zsh \$fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word; print REA''DY"
zpty -r -m shell said '*READY*'
# What is typed is not executed.
zpty -w -n shell "$LINE"$'\t'"; : "$'\x01'": "$'\n'"print -r DO''NE"$'\n'
zpty -r -m shell said '*DONE*'
print -r -- "$said"
zpty -d shell
ZSH
"##,
    )
}

/// The same by fish.
pub fn fish(bed: &Bed) -> TestResult {
    completed(
        bed,
        "fish",
        r##"
export HOME=$BED
for file in "$TREE"/completions/fish/*; do fish --no-execute "$file"; done
fish --no-config -c 'for file in $TREE/completions/fish/*; source $file; end; complete --do-complete $LINE'
"##,
    )
}

fn completed(bed: &Bed, shell: &str, text: &str) -> TestResult {
    need::command(shell)?;
    for (line, offered) in COMPLETED {
        let said = script(bed, text)?.env("LINE", line).succeed()?;
        for word in offered {
            // Only what was completed has the whole word.
            equal(format!("{shell}: {line}: {said}"), said.contains(word), true)?;
        }
    }
    // What is the program's own.
    let said = script(bed, text)?.env("LINE", "nsprep doctor --st").succeed()?;
    equal(
        format!("{shell}: hidden: {said}"),
        said.contains("--stopped"),
        false,
    )?;
    Ok(())
}

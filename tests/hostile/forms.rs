//! Starting one bundle in each form that a hook has, and watching what is not its own.

use std::env;

use super::support::{
    Bed, Bundle, Output, Propagation, Runtime, Script, TestResult, fail, made_up_table, made_up_values,
    print_made_up, section,
};

/// `FORM` of [`SCRIPT`]: without us, and the three ways to us. `createContainer` is by the wrapper; the hooks of the others
/// enter the container's namespaces from outside.
pub const FORMS: [&str; 4] = ["bare", "createContainer", "prestart", "createRuntime"];

/// What became of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, and read the values of the table; all that is ours lies below its `/proc/sys`.
    Right,
    /// It ran, without a key of ours.
    Lacking,
    /// It did not run, and this was said.
    Refused(&'static str),
}

/// `try FORM` starts the bundle `b`, as it was when it was first tried, and prints a section on what became of it. `guard` prints
/// what nobody may touch: the mounts and files of the host (the folder `outside`), of the container `peer` if there is one, and
/// our own programs.
const SCRIPT: &str = r#"
# peer: starts the container `peer`, which ends with the script.
peer() {
    up rt peer
}
# play ROLE ARGS...: this program in another role, which ends with the script.
play() {
    "$SELF" --play "$@" > "$1.out" 2>&1 &
    echo $! >> roles
}
ending() {
    [ ! -e roles ] || kill $(cat roles) 2> /dev/null || true
    [ ! -e peer.pid ] || down peer
}
trap ending EXIT
mkdir -p outside/proc/sys/kernel outside/sys/kernel
echo untouched > outside/sys/kernel/file
guard() {
    cat /proc/self/mountinfo
    [ ! -e peer.pid ] || cat "/proc/$(cat peer.pid)/mountinfo"
    find outside -printf '%p %i %m %s %C@ %l\n' | sort
    [ ! -e peer/rootfs ] || find peer/rootfs -printf '%p %i %m %s %C@ %l\n' | sort
    stat -c '%n %i %s %Z' "$BRIDGE" "$NSPREP" "$RUNTIME"
}
start() {
    case $1 in
        bare) run rt b ;;
        createContainer) run wrapped b ;;
        *)
            "$BRIDGE" rewrite --runtime "$RUNTIME" --config "$CONFIG" "$BED/b" > /dev/null || return 1
            sed -i "s|\"createContainer\"|\"$1\"|" b/config.json
            run rt b
            ;;
    esac
}
try() {
    local status=0
    # With whatever it is.
    [ -e b.json ] || [ -L b.json ] || cp -a b/config.json b.json
    rm -f b/config.json
    cp -a b.json b/config.json
    guard > before
    # Through a pipe, as engines have it.
    (set -o pipefail; { start "$1" 2>&1 >&3 | cat >&2; } 3> out 2> err) || status=$?
    guard > after
    echo "== $1"
    echo "status $status"
    cat out
    sed 's/^/said: /' err
    diff before after | sed 's/^/touched: /'
}
"#;

/// The made-up keys, and whether anything of ours lies elsewhere.
pub fn program() -> String {
    format!(
        "{}while read -r id parent device root point rest; do case $root in /procemu:*) case $point in
            /proc/sys|/proc/sys/*|/link/sys/*) ;; *) echo outside $point ;; esac ;; esac; done < /proc/self/mountinfo; echo end",
        print_made_up()
    )
}

/// A bundle `b` that reads the made-up keys.
pub fn bundle(bed: &Bed) -> TestResult<Bundle> {
    Bundle::new(bed, "b", &program())
}

/// Runs `prepare`, starts the bundle `b` in each of `forms`, and holds it against what is `expected`.
pub fn start(
    bed: &Bed,
    runtime: Runtime,
    prepare: &str,
    forms: &[&str],
    expected: impl Fn(&str) -> Outcome,
) -> TestResult {
    start_in(bed, runtime, Propagation::Slave, prepare, forms, expected)
}

/// The same in a mount namespace that is connected in another way.
pub fn start_in(
    bed: &Bed,
    runtime: Runtime,
    propagation: Propagation,
    prepare: &str,
    forms: &[&str],
    expected: impl Fn(&str) -> Outcome,
) -> TestResult {
    if prepare.contains("peer") {
        Bundle::new(bed, "peer", "sleep 100")?.write()?;
    }
    let text = format!("{prepare}\nfor form in {}; do try $form; done", forms.join(" "));
    let output = script(bed, runtime, &text)?.propagation(propagation).run()?;
    if !output.status.success() {
        return output.fail("the preparation failed");
    }
    let mut wrong = String::new();
    for form in forms {
        if let Some(why) = differs(&output, form, expected(form))? {
            wrong.push_str(&format!("{form}: {why}\n"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { fail(wrong) }
}

/// A script that finds the functions of [`SCRIPT`].
pub fn script(bed: &Bed, runtime: Runtime, text: &str) -> TestResult<Script> {
    let config = bed.config(&made_up_table(bed)?)?;
    let script = bed.runtime_script(&runtime, &format!("{SCRIPT}{text}"))?;
    Ok(script.env("CONFIG", config).env("SELF", env::current_exe()?))
}

/// What in the section on `form` is not as expected.
fn differs(output: &Output, form: &str, expected: Outcome) -> TestResult<Option<String>> {
    let lines = section(&output.stdout, form)?;
    let with =
        |mark: &str| -> Vec<&str> { lines.iter().filter_map(|line| line.strip_prefix(mark)).collect() };
    let touched = with("touched: ");
    if !touched.is_empty() {
        return Ok(Some(format!("touched what is not the container's: {touched:#?}")));
    }
    let (ended, said) = (with("status "), with("said: ").join("\n"));
    let marks = ["said: ", "status "];
    let printed = lines
        .iter()
        .filter(|line| !marks.iter().any(|mark| line.starts_with(mark)));
    let printed = printed.copied().collect::<Vec<_>>().join("\n");
    let right = match expected {
        Outcome::Right => ended == ["0"] && printed == format!("{}\nend", made_up_values()),
        Outcome::Lacking => ended == ["0"] && printed == "end",
        Outcome::Refused(word) => ended != ["0"] && printed.is_empty() && said.contains(word),
    };
    let found = || format!("expected {expected:?}, ended with {ended:?}, printed {printed:?}, said {said:?}");
    Ok((!right).then(found))
}

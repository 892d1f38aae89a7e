//! The packages, made once for all tests, of the programs that the tests run. Without their symbols, as they are released.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::support::{TestResult, fail, need, nsprep, packaging, runtime_bridge};

const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// What `scripts/package.sh` makes.
#[derive(Clone, Copy)]
pub enum Kind {
    Tree,
    Tarball,
    Deb,
}

/// The package.
///
/// # Errors
/// It cannot be made.
pub fn built(kind: Kind) -> TestResult<PathBuf> {
    static BUILT: Mutex<[Option<PathBuf>; 3]> = Mutex::new([const { None }; 3]);
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(path) = &built[kind as usize] {
        return Ok(path.clone());
    }
    // One folder each: the tree is made anew for each of them.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(["tree", "tarball", "deb"][kind as usize]);
    let _ = fs::remove_dir_all(&folder);
    let programs = folder.join("programs");
    fs::create_dir_all(&programs)?;
    need::command("strip")?;
    for (name, program) in [("nsprep", nsprep()?), ("runtime-bridge", runtime_bridge()?)] {
        run(Command::new("strip")
            .arg("-o")
            .arg(programs.join(name))
            .arg(program))?;
    }
    let path = make(kind, &folder, &programs)?;
    built[kind as usize] = Some(path.clone());
    Ok(path)
}

/// Makes it in `folder`, with those programs.
///
/// # Errors
/// As [`built`].
pub fn make(kind: Kind, folder: &Path, programs: &Path) -> TestResult<PathBuf> {
    let mut command = Command::new(format!("{CHECKOUT}/scripts/package.sh"));
    command
        .arg(["tree", "tarball", "deb"][kind as usize])
        .args(["--programs".as_ref(), programs.as_os_str()])
        .args(["--writer".as_ref(), packaging()?.as_os_str()])
        .args(["--output".as_ref(), folder.as_os_str()])
        // That of a release takes a minute.
        .env("DPKG_DEB", "-Znone");
    Ok(PathBuf::from(run(&mut command)?.trim_end()))
}

fn run(command: &mut Command) -> TestResult<String> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => fail(format!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

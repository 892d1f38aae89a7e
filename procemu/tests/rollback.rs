//! All or nothing: an attach that fails half-way leaves the mount table as it was.

use procemu::{
    Ids, MountApi, Options, Placement, Plan, Probing, Snapshot, Step, Table, ask_child, attach, private,
};

const TABLE: &str = r#"[keys]
"kernel/made_up" = { value = 1 }
"vm/made_up" = { value = 2, mode = "0644" }
"#;

/// Without what numbers the mounts: a peer group may be another one afterwards.
fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = |line: &str| line.split(' ').skip(3).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}

/// Attaches a whole layer and a spare, but for the last piece, whose place does not exist; says what is not as it should be.
fn fails_half_way(api: MountApi) -> Result<(), String> {
    let proc = private(Ids::Kept).map_err(|error| error.line())?;
    let table = Table::from_toml(TABLE, "table").unwrap();
    let seen = proc
        .observe(&table, Probing::Open)
        .map_err(|error| error.line())?;
    let mut plan =
        Plan::new(&table, &seen, &Placement::Program { writes: true }).map_err(|error| error.line())?;
    plan.steps.push(Step::Replace {
        key: "fs/gone/made_up".parse().unwrap(),
        writable: false,
    });
    let mut values = table.clone();
    values.merge(Table::from_toml("[keys]\n\"fs/gone/made_up\" = { value = 3 }\n", "gone").unwrap());
    let snapshot = Snapshot::compile(&plan, &values, None).map_err(|error| error.line())?;
    let options = Options {
        spare: true,
        api,
        ..Options::default()
    };
    let before = mounts();
    let line = match attach(&proc, &plan, &snapshot, &options) {
        Ok(_) => return Err("attached where there is no place".to_owned()),
        Err(error) => error.line(),
    };
    match (line.contains("/proc/sys/fs/gone/made_up"), mounts() == before) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("does not name the step: {line}")),
        (_, false) => Err(format!("left mounted after {line}: {:#?}", mounts())),
    }
}

fn check(api: MountApi) {
    let answer = ask_child(|| fails_half_way(api).err().unwrap_or_default().into_bytes()).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "");
}

#[test]
fn what_was_placed_is_taken_off_new_interface() {
    check(MountApi::Auto);
}

#[test]
fn what_was_placed_is_taken_off_classic_interface() {
    check(MountApi::Classic);
}

//! Which suite runs the blocks of which page. A suite fails if it does not take all that it owes, and `tests/docs` if a block has none.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::page::{Block, blocks};
use super::{TestResult, fail};

/// A page, or one block of it as `PAGE#BLOCK`, and the suite that runs it, by its name in Cargo.toml.
pub const RUN_BY: &[(&str, &str)] = &[
    ("README.md", "docs"),
    ("docs/doctor.md", "doctor"),
    ("docs/engines.md", "engines_upgrade"),
    ("docs/engines.md#install", "docs"),
    ("docs/engines/containerd.md", "engines_containerd_install"),
    ("docs/engines/containerd.md#runtime-class", "engines_kubernetes"),
    ("docs/engines/crio.md", "docs"),
    ("docs/engines/docker.md", "engines_docker"),
    ("docs/engines/kubernetes.md", "engines_kubernetes"),
    ("docs/engines/podman.md", "engines_podman"),
    ("docs/gvisor.md", "gvisor_cluster"),
    ("docs/gvisor.md#cgroup-v1", "gvisor_dockerd"),
    ("docs/gvisor.md#dockerd", "gvisor_dockerd"),
    ("docs/guides/bundles.md", "docs"),
    ("docs/guides/docker-in-lxc.md", "engines_docker"),
    ("docs/guides/library.md", "docs"),
    ("docs/guides/rootless.md", "docs"),
    ("docs/guides/rootless.md#podman", "engines_podman"),
    ("docs/nsprep.md", "docs"),
    ("docs/output.md", "plan"),
    ("docs/profiles.md", "profiles"),
];

/// The suite that runs a block.
pub fn run_by(page: &str, block: &str) -> Option<&'static str> {
    let suite_of = |place: &str| {
        RUN_BY
            .iter()
            .find(|(owed, _)| *owed == place)
            .map(|(_, suite)| *suite)
    };
    suite_of(&format!("{page}#{block}")).or_else(|| suite_of(page))
}

/// What a suite has taken of the pages that it owes.
#[derive(Default)]
pub struct Owed {
    taken: Rc<RefCell<BTreeSet<(String, usize)>>>,
    problems: Rc<RefCell<Vec<String>>>,
}

/// The blocks of one page that this suite owes. They are taken before any test runs, so that it shows which are not.
pub struct Page {
    path: String,
    blocks: Vec<Block>,
    taken: Rc<RefCell<BTreeSet<(String, usize)>>>,
    problems: Rc<RefCell<Vec<String>>>,
}

impl Owed {
    /// The page at `path` in the checkout.
    pub fn page(&self, path: &str) -> Page {
        let blocks = of_this_suite(path).unwrap_or_else(|stop| {
            self.problems.borrow_mut().push(format!("{path}: {stop:?}"));
            Vec::new()
        });
        Page {
            path: path.to_owned(),
            blocks,
            taken: Rc::clone(&self.taken),
            problems: Rc::clone(&self.problems),
        }
    }

    /// Whether this suite owes anything.
    pub fn is_any() -> bool {
        RUN_BY.iter().any(|(_, suite)| *suite == this_suite())
    }

    /// Fails if something is owed that no test of this suite has taken, or was taken that is not there.
    ///
    /// # Errors
    /// That is so.
    pub fn settled(&self) -> TestResult {
        let mut problems = self.problems.borrow().clone();
        let pages: BTreeSet<_> = RUN_BY
            .iter()
            .filter(|(_, suite)| *suite == this_suite())
            .map(|(place, _)| place.split('#').next().unwrap_or_default())
            .collect();
        for path in pages {
            for block in of_this_suite(path)? {
                if !self.taken.borrow().contains(&(path.to_owned(), block.line)) {
                    problems.push(format!(
                        "{path}:{}: no test runs the block {:?}",
                        block.line, block.name
                    ));
                }
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => fail(problems.join("\n")),
        }
    }
}

impl Page {
    /// The block of that name.
    pub fn block(&self, name: &str) -> Block {
        match self.blocks.iter().find(|block| block.name == name) {
            Some(block) => self.take(block),
            None => {
                let problem = format!("{}: this suite owes no block {name:?}", self.path);
                self.problems.borrow_mut().push(problem);
                Block::default()
            }
        }
    }

    /// All of its blocks that were not taken by name.
    pub fn blocks(&self) -> Vec<Block> {
        let is_left = |block: &&Block| !self.taken.borrow().contains(&(self.path.clone(), block.line));
        let left: Vec<_> = self.blocks.iter().filter(is_left).collect();
        left.into_iter().map(|block| self.take(block)).collect()
    }

    fn take(&self, block: &Block) -> Block {
        self.taken.borrow_mut().insert((self.path.clone(), block.line));
        block.clone()
    }
}

/// The blocks of a page that the suite which this is compiled into owes.
fn of_this_suite(path: &str) -> TestResult<Vec<Block>> {
    let mut blocks = blocks(path)?;
    blocks.retain(|block| {
        block.is_to_be_run()
            && !block.is_known_file()
            && block.not_run.is_none()
            && run_by(path, &block.name) == Some(this_suite())
    });
    if blocks.is_empty() {
        return fail(format!("{} owes no block of it", this_suite()));
    }
    Ok(blocks)
}

fn this_suite() -> &'static str {
    env!("CARGO_CRATE_NAME")
}

//! A plan as a tree of folders: what each of them will have of ours, what it keeps, and what is not touched.

mod build;
mod text;

use serde::{Deserialize, Serialize};

pub use build::tree;
pub use text::{summary, text};

/// A folder or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name; of a top one the whole path.
    pub name: String,
    /// What becomes of it.
    pub what: What,
    /// What lies in it and is worth a word, in the order of the plan.
    pub below: Vec<Node>,
}

/// What becomes of a folder or file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It stays, something below it changes. `others` lie in it and are not touched; they are not counted in the root of a
    /// file system, where processes come and go.
    Way {
        /// Their names.
        others: Option<Vec<String>>,
    },
    /// A tmpfs folder is put over it.
    Overmount,
    /// A folder of ours in an overmount: a new one, or one whose entries are passed through one by one.
    Folder,
    /// A key of ours that was not there.
    Add {
        /// As a reader gets it, without the newline.
        value: String,
        /// Whether it takes writes.
        writable: bool,
    },
    /// A key of ours in the place of one that is there.
    Replace {
        /// What that reads, where it can be read.
        old: Option<String>,
        /// As above.
        value: String,
        /// As above.
        writable: bool,
    },
    /// An original, bound back.
    Bound {
        /// Whether it is a folder.
        folder: bool,
        /// Whether the bind is made read-only.
        read_only: bool,
    },
    /// An original of a namespace, reached by a link, so that each reader gets that of its own.
    Namespaced,
    /// A link that was there already.
    Link {
        /// Where it leads.
        target: String,
    },
}

/// How many there are of each below a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys added.
    pub added: usize,
    /// Keys replaced.
    pub replaced: usize,
    /// Originals bound back.
    pub bound: usize,
    /// Originals of a namespace, linked.
    pub namespaced: usize,
    /// Links that were there.
    pub links: usize,
}

impl Counts {
    /// All originals.
    pub fn passed(&self) -> usize {
        self.bound + self.namespaced + self.links
    }

    /// Those of another tree too.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.replaced += other.replaced;
        self.bound += other.bound;
        self.namespaced += other.namespaced;
        self.links += other.links;
    }

    fn count(&mut self, node: &Node) {
        match node.what {
            What::Add { .. } => self.added += 1,
            What::Replace { .. } => self.replaced += 1,
            What::Bound { .. } => self.bound += 1,
            What::Namespaced => self.namespaced += 1,
            What::Link { .. } => self.links += 1,
            What::Way { .. } | What::Overmount | What::Folder => {}
        }
    }
}

impl Node {
    /// All of the node.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let mut left = vec![self];
        while let Some(node) = left.pop() {
            counts.count(node);
            left.extend(&node.below);
        }
        counts
    }

    /// Of the originals directly in it.
    pub fn originals(&self) -> Counts {
        let mut counts = Counts::default();
        let originals = self.below.iter().filter(|node| node.is_original());
        originals.for_each(|node| counts.count(node));
        counts
    }

    /// Whether it is passed through.
    pub fn is_original(&self) -> bool {
        matches!(
            self.what,
            What::Bound { .. } | What::Namespaced | What::Link { .. }
        )
    }

    /// Its name, with a slash if it is a folder.
    pub fn shown(&self) -> String {
        let slash = match self.what {
            What::Way { .. } | What::Overmount | What::Folder | What::Bound { folder: true, .. } => "/",
            _ => "",
        };
        format!("{}{slash}", crate::shown::plain(&self.name))
    }
}

/// How originals are passed through, in words.
pub fn how(counts: &Counts) -> String {
    let parts = [
        (counts.bound, "bound"),
        (counts.namespaced, "linked, namespaced: each reader has its own"),
        (counts.links, "links as they were"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{count} {how}"))
        .collect();
    parts.join("; ")
}

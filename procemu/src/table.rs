//! The table: which keys a program needs, and what each of them reads as.

mod entry;
mod error;
mod form;
mod json;
mod read;
mod text;
mod toml_text;

use std::collections::{BTreeMap, BTreeSet, btree_map};

pub use entry::{Entry, Mode, When};
pub use error::TableError;
pub(crate) use form::TableForm;

use crate::SysctlKey;

/// An ordered set of keys, each with its [`Entry`].
///
/// A table is written as TOML or JSON ([`Table::from_toml`], [`Table::from_json`]) or built in code. Later tables override
/// earlier ones key by key:
///
/// ```
/// use procemu::{Entry, Probe, Table};
///
/// let mut table = Table::new();
/// table.insert("kernel/cap_last_cap".parse()?, Entry::computed(Probe::CapLastCap).with_fallback(40));
/// table.insert("vm/overcommit_memory".parse()?, Entry::literal(0).with_doc("as the kernel boots"));
///
/// let later = r#"
///     [keys]
///     "vm.overcommit_memory" = { value = 1, mode = "0644", when = "unwritable", doc = "kubelet writes it" }
///     "kernel.cap_last_cap" = { table = false }
/// "#;
/// table.merge(Table::from_toml(later, "later.toml")?);
/// assert_eq!(table.to_toml(), concat!(
///     "[keys]\n",
///     "\"kernel/cap_last_cap\" = { table = false }\n",
///     "\"vm/overcommit_memory\" = { value = 1, mode = \"0644\", when = \"unwritable\", doc = \"kubelet writes it\" }\n",
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A removal (`table = false`) stays in the table after a merge, without being counted or iterated, so that merging is
/// associative: tables can be joined in any grouping, as long as their order is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    doc: String,
    entries: BTreeMap<SysctlKey, Entry>,
    /// Never a key of `entries`.
    removed: BTreeSet<SysctlKey>,
}

impl Table {
    /// The longest text a table is read from, in bytes: more than ten times what a whole `/proc/sys` takes.
    pub const MAX_BYTES: usize = 4 << 20;

    /// A table without keys, whose attachment does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the table is for, in a sentence or two; may be empty.
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// Says what the table is for.
    pub fn set_doc(&mut self, doc: impl Into<String>) {
        self.doc = doc.into();
    }

    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &SysctlKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The entry of a key, to be changed.
    pub fn get_mut(&mut self, key: &SysctlKey) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// Whether the key has an entry.
    #[must_use]
    pub fn contains_key(&self, key: &SysctlKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether the table says anything about the key, be it a removal.
    fn mentions(&self, key: &SysctlKey) -> bool {
        self.entries.contains_key(key) || self.removed.contains(key)
    }

    /// Adds a key, or gives it another entry and returns the old one.
    pub fn insert(&mut self, key: SysctlKey, entry: Entry) -> Option<Entry> {
        self.removed.remove(&key);
        self.entries.insert(key, entry)
    }

    /// Takes a key out of this table and returns its entry. Says nothing about earlier tables; see
    /// [`Table::insert_removal`].
    pub fn remove(&mut self, key: &SysctlKey) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// Notes that a key is to be removed from the tables this one is merged into (`table = false`), and returns the entry it
    /// had here.
    pub fn insert_removal(&mut self, key: SysctlKey) -> Option<Entry> {
        let entry = self.entries.remove(&key);
        self.removed.insert(key);
        entry
    }

    /// The keys to be removed from earlier tables, in order.
    pub fn removals(&self) -> impl ExactSizeIterator<Item = &SysctlKey> {
        self.removed.iter()
    }

    /// Forgets the removals, for a table that is the last word.
    pub fn forget_removals(&mut self) {
        self.removed.clear();
    }

    /// Keeps only the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&SysctlKey, &Entry) -> bool) {
        self.entries.retain(|key, entry| keep(key, entry));
    }

    /// Gives every entry whose source is `linux.sysctl` its value: what `sysctls` has for its key, else its fallback;
    /// one that has neither is dropped, since nobody asked for it.
    pub fn apply_sysctls(&mut self, sysctls: &BTreeMap<SysctlKey, String>) {
        self.entries.retain(|key, entry| {
            if entry.source != crate::ValueSource::Sysctl {
                return true;
            }
            let asked = sysctls.get(key).map(|text| crate::Value::Text(text.clone()));
            match asked.or_else(|| entry.fallback.clone()) {
                Some(value) => entry.source = crate::ValueSource::Literal(value),
                None => return false,
            }
            true
        });
    }

    /// A key that the table has below another one, as if that were a folder, with that other one.
    pub fn nested(&self) -> Option<(&SysctlKey, &SysctlKey)> {
        let mut folder = None;
        self.entries.keys().find_map(|key| {
            // Keys of one folder follow each other.
            let own = Some((key.filesystem(), key.parent()));
            if std::mem::replace(&mut folder, own) == own {
                return None;
            }
            let above = std::iter::successors(Some(key.parent()), |path| Some(path.rsplit_once('/')?.0));
            let mut above = above.filter_map(|path| {
                self.entries
                    .get_key_value(&SysctlKey::from_path(key.filesystem(), path).ok()?)
            });
            above.next().map(|(folder, _)| (key, folder))
        })
    }

    /// Lays a later table over this one: its entries and removals win key by key, as does its doc where it has one.
    pub fn merge(&mut self, later: Self) {
        for key in later.removed {
            self.insert_removal(key);
        }
        self.extend(later.entries);
        if !later.doc.is_empty() {
            self.doc = later.doc;
        }
    }

    /// All tables merged, the first one lowest.
    #[must_use]
    pub fn merged(tables: impl IntoIterator<Item = Self>) -> Self {
        let mut tables = tables.into_iter();
        let mut all = tables.next().unwrap_or_default();
        tables.for_each(|later| all.merge(later));
        all
    }

    /// Keys and entries, in the order of the keys' paths.
    pub fn iter(&self) -> btree_map::Iter<'_, SysctlKey, Entry> {
        self.entries.iter()
    }

    /// The keys, in the order of their paths.
    pub fn keys(&self) -> btree_map::Keys<'_, SysctlKey, Entry> {
        self.entries.keys()
    }

    /// The same from `key` on.
    pub(crate) fn iter_from(&self, key: &SysctlKey) -> btree_map::Range<'_, SysctlKey, Entry> {
        self.entries.range(key..)
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Extend<(SysctlKey, Entry)> for Table {
    /// Inserts each pair; the last one of a key stays.
    fn extend<T: IntoIterator<Item = (SysctlKey, Entry)>>(&mut self, pairs: T) {
        for (key, entry) in pairs {
            self.insert(key, entry);
        }
    }
}

impl FromIterator<(SysctlKey, Entry)> for Table {
    fn from_iter<T: IntoIterator<Item = (SysctlKey, Entry)>>(pairs: T) -> Self {
        let mut table = Self::new();
        table.extend(pairs);
        table
    }
}

impl IntoIterator for Table {
    type Item = (SysctlKey, Entry);
    type IntoIter = btree_map::IntoIter<SysctlKey, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = (&'a SysctlKey, &'a Entry);
    type IntoIter = btree_map::Iter<'a, SysctlKey, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

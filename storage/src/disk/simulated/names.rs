//! The directory: the names a program sees, those a crash leaves for certain, and the changes in between.

use std::collections::BTreeMap;

use super::{Keep, Random};

#[derive(Clone, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Set(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.seen.get(name).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, usize)> {
        self.seen.iter().map(|(name, file)| (name.as_str(), *file))
    }

    pub(super) fn set(&mut self, name: &str, file: usize) {
        self.change(Change::Set(name.to_owned(), file));
    }

    /// False: there is no such name.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(file) = self.find(from) else { return false };
        self.change(Change::Rename(from.to_owned(), to.to_owned(), file));
        true
    }

    /// False: there is no such name.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let found = self.find(name).is_some();
        if found {
            self.change(Change::Remove(name.to_owned()));
        }
        found
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
    }

    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let keep = Keep::draw(random);
        for change in std::mem::take(&mut self.pending) {
            if keep.decide(random) {
                change.apply(&mut self.durable);
            }
        }
        self.seen = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Change::Set(name, file) => {
                names.insert(name, file);
            }
            Change::Rename(from, to, file) => {
                // Another kept or lost change may have given `from` to somebody else meanwhile.
                if names.get(&from) == Some(&file) {
                    names.remove(&from);
                    names.insert(to, file);
                }
            }
            Change::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

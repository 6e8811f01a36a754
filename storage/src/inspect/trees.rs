//! Tree sets, their trees, and the room they take.

use std::sync::Arc;

use bytes::Bytes;

use crate::btree::node::{LargeValue, Node, Value};
use crate::btree::{Direction, KeyRange, Root};
use crate::checkpoint::catalogue::{self, CATALOGUE_TREE, Record};
use crate::error::{Result, StorageError};
use crate::page::compression::Compression;
use crate::page::format::PageId;
use crate::page::overflow;
use crate::page::store::PageStore;
use crate::superblock::Superblock;
use crate::transaction::{Ambient, TreeId, TreeSetId};

/// Every tree set below a superblock.
#[derive(Clone, Debug, Default)]
pub struct TreesReport {
    /// In order of ids, as far as the catalogue can be read.
    pub sets: Vec<TreeSetReport>,
    /// Why it cannot be read further.
    pub problem: Option<StorageError>,
}

/// One tree set.
#[derive(Clone, Debug)]
pub struct TreeSetReport {
    /// Its id.
    pub id: TreeSetId,
    /// Bytes of the owner's blob.
    pub meta_bytes: u64,
    /// How pages written from now on are stored.
    pub compression: Compression,
    /// Its trees, in order of ids.
    pub trees: Vec<TreeReport>,
}

/// One tree.
#[derive(Clone, Debug)]
pub struct TreeReport {
    /// Its id within the set.
    pub id: TreeId,
    /// Its root; `None`: it is empty.
    pub root: Option<PageId>,
    /// Entries, as the catalogue counts them.
    pub entries: u64,
    /// Nodes from the root to a leaf.
    pub levels: u64,
    /// The room it takes.
    pub footprint: Footprint,
    /// Pages that cannot be read, or are not what their place says; what lies below them is not counted.
    pub damaged_pages: u64,
    /// The first of these.
    pub problem: Option<StorageError>,
}

/// Pages and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Nodes with keys and values.
    pub leaf_pages: u64,
    /// Nodes above them.
    pub branch_pages: u64,
    /// Pages of large values.
    pub value_pages: u64,
    /// Bytes of the slots of all these.
    pub slot_bytes: u64,
    /// Bytes stored in them, headers included. 0 unless every page was read.
    pub stored_bytes: u64,
    /// Bytes of their content before compression, headers not included. 0 unless every page was read.
    pub content_bytes: u64,
}

pub(super) fn report(store: &Arc<PageStore>, superblock: &Superblock, deep: bool) -> TreesReport {
    let mut report = TreesReport::default();
    let snapshot = catalogue::open(superblock.catalogue, &Ambient::new(Arc::clone(store))).snapshot();
    let mut cursor = match snapshot.cursor(CATALOGUE_TREE, KeyRange::all(), Direction::Forward) {
        Ok(cursor) => cursor,
        Err(problem) => return TreesReport { problem: Some(problem), ..report },
    };
    loop {
        let read = cursor.next().and_then(|entry| {
            entry.map(|(key, value): (Bytes, Bytes)| Ok((catalogue::id_of(&key)?, Record::decode(value)?))).transpose()
        });
        match read {
            Ok(Some((id, record))) => {
                let meta_bytes = record.meta.len() as u64;
                let trees = record.trees.iter().map(|&(tree, root)| one_tree(store, tree, root, deep)).collect();
                report.sets.push(TreeSetReport { id, meta_bytes, compression: record.compression, trees });
            }
            Ok(None) => return report,
            Err(problem) => return TreesReport { problem: Some(problem), ..report },
        }
    }
}

fn one_tree(store: &PageStore, id: TreeId, root: Root, deep: bool) -> TreeReport {
    let page = root.page.and_then(|page| page.page_id());
    let footprint = Footprint::default();
    let mut report =
        TreeReport { id, root: page, entries: root.count, levels: 0, footprint, damaged_pages: 0, problem: None };
    let mut measure = Measure { store, deep, report: &mut report };
    if let Some(page) = page {
        let levels = measure.node(page, None).map(|node| node.level() as u64 + 1);
        report.levels = levels.unwrap_or(0);
    }
    report
}

struct Measure<'m> {
    store: &'m PageStore,
    deep: bool,
    report: &'m mut TreeReport,
}

impl Measure<'_> {
    fn damaged(&mut self, problem: StorageError) {
        self.report.damaged_pages += 1;
        self.report.problem.get_or_insert(problem);
    }

    /// Counts a slot; reads its page when everything is read.
    fn slot(&mut self, page: PageId) {
        self.report.footprint.slot_bytes += page.class().slot_bytes() as u64;
        if self.deep {
            match self.store.read_any(page) {
                Ok(read) => self.content(page, read.body.len()),
                Err(problem) => self.damaged(problem),
            }
        }
    }

    fn content(&mut self, page: PageId, body_bytes: usize) {
        match self.store.stored_bytes(page) {
            Ok(stored) => {
                self.report.footprint.stored_bytes += stored;
                self.report.footprint.content_bytes += body_bytes as u64;
            }
            Err(problem) => self.damaged(problem),
        }
    }

    /// Counts a node that is read, and everything below it.
    fn node(&mut self, page: PageId, level: Option<usize>) -> Option<Node> {
        self.report.footprint.slot_bytes += page.class().slot_bytes() as u64;
        let read: Result<(Node, usize)> = self.store.read_any(page).and_then(|read| {
            let bytes = read.body.len();
            Ok((self.store.node_of(page, read)?, bytes))
        });
        let (node, bytes) = match read {
            Ok((node, _)) if level.is_some_and(|level| level != node.level()) => {
                let detail = format!("page {page:?} is at level {}, not {level:?} (B3)", node.level());
                self.damaged(StorageError::Inconsistent { detail });
                return None;
            }
            Ok(read) => read,
            Err(problem) => {
                self.damaged(problem);
                return None;
            }
        };
        if self.deep {
            self.content(page, bytes);
        }
        if node.is_leaf() {
            self.report.footprint.leaf_pages += 1;
            for index in 0..node.len() {
                if let Value::Large(large) = node.value(index) {
                    self.large_value(large);
                }
            }
            return Some(node);
        }
        self.report.footprint.branch_pages += 1;
        for index in 0..node.len() {
            let child = node.child(index).page;
            let Some(id) = child.page_id() else { continue };
            if node.level() == 1 && !child.has_large_values() {
                self.report.footprint.leaf_pages += 1;
                self.slot(id);
            } else {
                self.node(id, Some(node.level() - 1));
            }
        }
        Some(node)
    }

    fn large_value(&mut self, value: LargeValue) {
        let Some(id) = value.page.page_id() else { return };
        match overflow::slots(self.store, id, value.length) {
            Ok(slots) => {
                self.report.footprint.value_pages += slots.len() as u64;
                slots.into_iter().for_each(|slot| self.slot(slot));
            }
            Err(problem) => self.damaged(problem),
        }
    }
}

//! Walks everything below one superblock and proves B1 to B3 on the way.
//!
//! The older superblock shares most pages with the newest. A page that was proved below the newest is proved; below the
//! older one only branches, and leaves with large values, are read again, because they name the slots that F2 counts.

use std::sync::Arc;

use crate::btree::Root;
use crate::btree::node::{LargeValue, Node, Value};
use crate::checkpoint::catalogue::{self, CATALOGUE_SET, CATALOGUE_TREE, Record};
use crate::error::{Result, StorageError};
use crate::page::format::{PageId, PageKind, PageRef};
use crate::page::overflow;
use crate::page::store::PageStore;
use crate::slab::FreeSet;
use crate::superblock::Superblock;
use crate::transaction::{TreeId, TreeSetId};

use super::finding::{Concerns, Finding, Findings, Remedy, Zone, concerns_of};
use super::slots::{Clash, Slots};
use super::{CheckReport, Meter};

/// One walk over one superblock's state.
pub(super) struct Walk<'w, 'p> {
    pub store: &'w Arc<PageStore>,
    pub superblock: &'w Superblock,
    /// What was proved below the newest superblock, when this is the older one.
    pub proved: Option<&'w Proved>,
    /// What this walk proves.
    pub found: Proved,
    /// The generation of the other superblock, when this is the newest and that is valid.
    pub older_generation: u64,
    /// Something could not be read, so that slots below it were not seen.
    pub broken: bool,
    pub findings: &'w mut Findings,
    pub report: &'w mut CheckReport,
    pub meter: &'w mut Meter<'p>,
    /// The tree the walk is in.
    pub place: (TreeSetId, TreeId),
    /// Tree sets found in the catalogue, without their metas.
    pub sets: Vec<(TreeSetId, Record)>,
}

/// The slots reachable from a superblock.
pub(super) struct Proved {
    pub slots: Slots,
    /// Those that were written after the other superblock.
    pub newer: Slots,
}

/// What the node above says of a node.
#[derive(Clone, Copy)]
struct Expected<'k> {
    /// `None`: it is a root.
    level: Option<usize>,
    low: Option<&'k [u8]>,
    high: Option<&'k [u8]>,
    count: u64,
}

impl Walk<'_, '_> {
    /// Walks free set, catalogue and every tree set.
    pub(super) fn run(&mut self, free_set: Option<&FreeSet>) {
        for page in free_set.into_iter().flat_map(FreeSet::own_pages) {
            if self.see(page, Zone::FreeSet, &Concerns::NoData)
                && let Ok(page) = self.store.read_any(page).map(|read| (page, read.generation))
            {
                self.generation(page, Zone::FreeSet, &Concerns::NoData);
            }
        }
        self.tree((CATALOGUE_SET, CATALOGUE_TREE), self.superblock.catalogue);
        for (set, record) in std::mem::take(&mut self.sets) {
            for (tree, root) in record.trees {
                if self.proved.is_none() {
                    self.report.trees += 1;
                    self.report.entries += root.count;
                }
                self.tree((set, tree), root);
            }
        }
    }

    /// Adds a slot to those that were seen. False: it was there, and is not to be looked at again.
    fn see(&mut self, page: PageId, zone: Zone, concerns: &Concerns) -> bool {
        self.meter.page();
        if self.proved.is_none() {
            self.report.pages += 1;
        }
        let detail = match self.found.slots.insert(page) {
            Ok(()) => return true,
            Err(Clash::Twice) => format!("page {page:?} is referred to twice (F2)"),
            Err(Clash::OtherClass(class)) => {
                format!("page {page:?} lies in an extent whose slots have {} bytes (F2)", class.slot_bytes())
            }
            Err(Clash::Beyond) => format!(
                "page {page:?} lies behind the last extent of {} that the superblock knows (F2)",
                self.superblock.extents
            ),
        };
        self.inconsistent(zone, page, concerns, detail);
        false
    }

    fn inconsistent(&mut self, zone: Zone, page: PageId, concerns: &Concerns, detail: String) {
        let problem = StorageError::Inconsistent { detail };
        self.add(Finding::new(zone, concerns.clone(), problem, Remedy::RefillOrRestore).on(page));
    }

    fn damaged(&mut self, zone: Zone, page: PageId, concerns: &Concerns, problem: StorageError) {
        self.broken = true;
        if self.proved.is_some_and(|proved| proved.slots.has(page)) {
            // Reported below the newest superblock.
            return;
        }
        let finding = Finding::new(zone, concerns.clone(), problem, Remedy::RefillOrRestore);
        self.add(if finding.page.is_some() { finding } else { finding.on(page) });
    }

    fn add(&mut self, mut finding: Finding) {
        finding.generation = Some(self.superblock.generation);
        self.findings.add(finding);
    }

    /// A page is not newer than the superblock that leads to it; one that both superblocks need is not newer than the
    /// older one, or it was given out again too early (F1).
    fn generation(&mut self, (page, generation): (PageId, u64), zone: Zone, concerns: &Concerns) {
        if generation > self.superblock.generation {
            let detail = format!(
                "page {page:?} was written for checkpoint {generation}, after checkpoint {} that refers to it (C2)",
                self.superblock.generation
            );
            self.inconsistent(zone, page, concerns, detail);
        } else if generation > self.older_generation {
            // A slot can be there only once, and was just added to the slots seen.
            let _ = self.found.newer.insert(page);
        }
    }

    pub(super) fn tree(&mut self, place: (TreeSetId, TreeId), root: Root) {
        self.place = place;
        let Some(page) = root.page else {
            if root.count != 0 {
                let concerns = concerns_of(place, None, None, Some(root.count));
                let detail = format!("an empty tree claims {} entries (B2)", root.count);
                let problem = StorageError::Inconsistent { detail };
                self.add(Finding::new(Zone::Catalogue, concerns, problem, Remedy::RefillOrRestore));
            }
            return;
        };
        self.below(page, Expected { level: None, low: None, high: None, count: root.count });
    }

    /// Checks a node and everything below it.
    fn below(&mut self, page: PageRef, expected: Expected<'_>) {
        let concerns = concerns_of(self.place, expected.low, expected.high, Some(expected.count));
        let zone = match (self.place.0, expected.level) {
            (CATALOGUE_SET, _) => Zone::Catalogue,
            (_, Some(0)) => Zone::Leaf,
            _ => Zone::Branch,
        };
        let Some(id) = page.page_id() else { unreachable!("stored references are checked when a node is opened") };
        if !self.see(id, zone, &concerns) {
            return;
        }
        if let Some(proved) = self.proved.filter(|proved| proved.slots.has(id)) {
            if proved.newer.has(id) {
                let detail = format!("page {id:?} was overwritten while this superblock needed it (F1)");
                return self.inconsistent(zone, id, &concerns, detail);
            }
            let names_slots = expected.level != Some(0) || page.has_large_values() || self.place.0 == CATALOGUE_SET;
            if !names_slots {
                return;
            }
        }
        let read = self.store.read_any(id).and_then(|page| {
            let generation = page.generation;
            Ok((self.store.node_of(id, page)?, generation))
        });
        let (node, generation) = match read {
            Ok(read) => read,
            Err(problem) => return self.damaged(zone, id, &concerns, problem),
        };
        self.generation((id, generation), zone, &concerns);
        if expected.level.is_some_and(|level| level != node.level()) {
            let detail = format!("page {id:?} is at level {}, not {:?} (B3)", node.level(), expected.level);
            self.broken = true;
            return self.inconsistent(zone, id, &concerns, detail);
        }
        let found = node.total();
        if found != expected.count {
            let detail = format!("page {id:?} has {found} entries below it, not {} (B2)", expected.count);
            self.inconsistent(zone, id, &concerns, detail);
        }
        if node.has_large_values() && !page.has_large_values() && expected.level.is_some() {
            let detail = format!("page {id:?} has large values that its parent does not know of");
            self.inconsistent(zone, id, &concerns, detail);
        }
        if node.is_leaf() { self.leaf(id, &node, expected) } else { self.branch(id, &node, expected) }
    }

    fn leaf(&mut self, id: PageId, node: &Node, Expected { low, high, count, .. }: Expected<'_>) {
        let (first, last) = (node.key(0), node.key(node.len() - 1));
        if low.is_some_and(|low| first < *low) || high.is_some_and(|high| last >= *high) {
            let zone = if self.place.0 == CATALOGUE_SET { Zone::Catalogue } else { Zone::Leaf };
            let detail = format!("page {id:?} has keys outside of what its parent says (B1)");
            self.inconsistent(zone, id, &concerns_of(self.place, low, high, Some(count)), detail);
        }
        for index in 0..node.len() {
            if let Value::Large(large) = node.value(index) {
                self.large_value(&node.key(index).to_vec(), large);
            }
        }
        if self.place.0 == CATALOGUE_SET {
            (0..node.len()).for_each(|index| self.record(id, node, index));
        }
    }

    fn branch(&mut self, id: PageId, node: &Node, Expected { low, high, count, .. }: Expected<'_>) {
        let keys: Vec<Vec<u8>> = (0..node.len()).map(|index| node.key(index).to_vec()).collect();
        for index in 0..node.len() {
            let key = &keys[index][..];
            let child_low = if index == 0 { low } else { Some(key) };
            let child_high = keys.get(index + 1).map_or(high, |next| Some(&next[..]));
            if index > 0 && (low.is_some_and(|low| key < low) || high.is_some_and(|high| key >= high)) {
                let zone = if self.place.0 == CATALOGUE_SET { Zone::Catalogue } else { Zone::Branch };
                let detail = format!("page {id:?} has separators outside of what its parent says (B1)");
                self.inconsistent(zone, id, &concerns_of(self.place, low, high, Some(count)), detail);
            }
            let child = node.child(index);
            let level = Some(node.level() - 1);
            self.below(child.page, Expected { level, low: child_low, high: child_high, count: child.count });
        }
    }

    /// Reads a value piece by piece, so that its size is not needed in memory.
    fn large_value(&mut self, key: &[u8], value: LargeValue) {
        let high = [key, &[0]].concat();
        let concerns = concerns_of(self.place, Some(key), Some(&high), Some(1));
        let Some(id) = value.page.page_id() else {
            unreachable!("stored references are checked when a node is opened")
        };
        let proved = self.proved.is_some_and(|proved| proved.slots.has(id) && !proved.newer.has(id));
        if !self.see(id, Zone::LargeValue, &concerns) {
            return;
        }
        let length = value.length as usize;
        if overflow::parts_of(length) == 0 {
            if !proved {
                self.piece(id, PageKind::Value, length, &concerns);
            }
            return;
        }
        // The list of pieces is read in any case: it names slots.
        let pieces = match overflow::slots(self.store, id, value.length) {
            Ok(slots) => slots,
            Err(problem) => return self.damaged(Zone::LargeValue, id, &concerns, problem),
        };
        let mut left = length;
        for piece in pieces.into_iter().skip(1) {
            let expected = overflow::single_page_bytes().min(left);
            left -= expected;
            if self.see(piece, Zone::LargeValue, &concerns) && !proved {
                self.piece(piece, PageKind::ValuePart, expected, &concerns);
            }
        }
    }

    fn piece(&mut self, id: PageId, kind: PageKind, length: usize, concerns: &Concerns) {
        let page = match self.store.read_any(id) {
            Ok(page) => page,
            Err(problem) => return self.damaged(Zone::LargeValue, id, concerns, problem),
        };
        self.generation((id, page.generation), Zone::LargeValue, concerns);
        if page.kind != kind || page.body.len() != length {
            let (found, bytes) = (page.kind, page.body.len());
            let detail =
                format!("page {id:?} is a {found:?} of {bytes} bytes, not a {kind:?} of {length} (a large value)");
            self.inconsistent(Zone::LargeValue, id, concerns, detail);
        }
    }

    /// Takes a tree set's record from a leaf of the catalogue.
    fn record(&mut self, page: PageId, node: &Node, index: usize) {
        let bytes = match node.value(index) {
            Value::Inline(bytes) => Ok(bytes::Bytes::copy_from_slice(bytes)),
            // Reported where it was walked.
            Value::Large(large) => match large.page.page_id() {
                Some(id) => overflow::read(self.store, id, large.length),
                None => return,
            },
        };
        let read = |bytes: Result<bytes::Bytes>| -> Result<(TreeSetId, Record)> {
            Ok((catalogue::id_of(&node.key(index).to_vec())?, Record::decode(bytes?)?))
        };
        match read(bytes) {
            Ok((id, mut record)) => {
                if self.proved.is_none() {
                    self.report.tree_sets += 1;
                }
                record.meta = bytes::Bytes::new();
                self.sets.push((id, record));
            }
            // Damaged pages were reported where the value was walked.
            Err(StorageError::DamagedPage { .. }) => {}
            Err(problem) => {
                let concerns = concerns_of(self.place, Some(&node.key(index).to_vec()), None, None);
                self.damaged(Zone::Catalogue, page, &concerns, problem);
            }
        }
    }
}

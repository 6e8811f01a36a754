//! The offline check: walks every page of the newest superblock and proves the invariants.
//!
//! Proved: every page holds what was written there and lies where its reference says; keys ascend within a tree and
//! stay between the keys of the branch above (B1); counts are exact (B2); levels fit (B3); no slot is used twice and
//! the free set names exactly the slots in use (F2); extent headers agree with it; the log can be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::btree::Root;
use crate::btree::node::{LargeValue, Node, Value};
use crate::checkpoint::catalogue::{self, CATALOGUE_TREE};
use crate::disk::memory::MemoryDisk;
use crate::disk::{Disk, OpenMode};
use crate::error::{Result, StorageError};
use crate::page::format::{PageId, PageRef};
use crate::page::overflow;
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::FreeSet;
use crate::slab::format::{EXTENT_HEADER_USED_BYTES, check_extent_header, extent_offset};
use crate::superblock::Superblocks;
use crate::transaction::{Ambient, TreeSetId};
use crate::wal::{Lsn, Wal, WalOptions};

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages read so far.
    pub pages: u64,
    /// Pages in use, as the free set has it.
    pub pages_total: u64,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Generation of the superblock that was checked.
    pub generation: u64,
    /// Whether the other superblock is valid too.
    pub both_superblocks: bool,
    /// Tree sets.
    pub tree_sets: u64,
    /// Trees.
    pub trees: u64,
    /// Entries of all trees.
    pub entries: u64,
    /// Pages read.
    pub pages: u64,
    /// Streams in the log.
    pub streams: u64,
    /// Everything that is wrong, in the order found. Empty: the directory is sound.
    pub problems: Vec<StorageError>,
}

/// Checks a directory that no process has open. Changes nothing.
///
/// Errors: what keeps the check from starting (locked, no superblock, a newer format). What is wrong inside is in the
/// report: the check goes on past damaged pages.
pub fn check(disk: Arc<dyn Disk>, progress: &mut dyn FnMut(Progress)) -> Result<CheckReport, StorageError> {
    let _lock = disk.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => StorageError::Locked { directory: disk.describe() },
        _ => StorageError::io("locking of", &disk.describe(), error),
    })?;
    let found = Superblocks::open(&*disk, OpenMode::ReadOnly)?.read()?;
    let superblock = found.newest;
    let pages = disk.open(PAGE_FILE, OpenMode::ReadOnly);
    let pages = pages.map_err(|error| StorageError::io("opening of", PAGE_FILE, error))?;
    let store = Arc::new(PageStore::new(Some(pages), 0));
    let mut report = CheckReport {
        generation: superblock.generation,
        both_superblocks: found.older.is_some(),
        ..CheckReport::default()
    };
    check_log(&disk, superblock.wal_start, superblock.generation, &mut report);
    let free_set = match FreeSet::load(&store, &superblock.directory, superblock.extents) {
        Ok(free_set) => free_set,
        Err(problem) => {
            report.problems.push(problem);
            FreeSet::new()
        }
    };
    let pages_total = free_set.occupancy().used_slots as u64;
    let mut walk = Walk { store: &store, seen: BTreeSet::new(), report, pages_total, progress };
    free_set.own_pages().for_each(|page| walk.see(page));
    walk.tree(superblock.catalogue);
    walk.tree_sets(superblock.catalogue);
    let Walk { seen, mut report, .. } = walk;
    compare_with_free_set(&store, &free_set, &seen, &mut report);
    Ok(report)
}

/// Opens a copy of the log in memory, because opening cuts a torn tail and so writes.
fn check_log(disk: &Arc<dyn Disk>, start: u64, generation: u64, report: &mut CheckReport) {
    let opened = copy_of_log(&**disk).and_then(|copy| {
        let options = WalOptions { recycle_max: 0, cache_bytes: 0, ..WalOptions::default() };
        Wal::open(Arc::new(copy), options, Lsn::new(start), generation)
    });
    match opened {
        Ok((wal, streams)) => {
            report.streams = streams.len() as u64;
            report.problems.extend(wal.damage().into_iter().map(|damage| StorageError::WalDamaged { damage }));
        }
        Err(problem) => report.problems.push(problem),
    }
}

fn copy_of_log(disk: &dyn Disk) -> Result<MemoryDisk, StorageError> {
    let copy = MemoryDisk::new();
    let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
    // Spare files hold nothing that counts.
    let in_use = |name: &&String| name.starts_with("wal-") && !name.starts_with("wal-spare-");
    for name in names.iter().filter(in_use) {
        let io = |error| StorageError::io("copying of", name, error);
        let from = disk.open(name, OpenMode::ReadOnly).map_err(io)?;
        let to = copy.open(name, OpenMode::CreateNew).map_err(io)?;
        let length = from.len().map_err(io)?;
        let mut piece = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < length {
            let bytes = piece.len().min(usize::try_from(length - offset).unwrap_or(usize::MAX));
            from.read_exact_at(&mut piece[..bytes], offset).map_err(io)?;
            to.write_all_at(&piece[..bytes], offset).map_err(io)?;
            offset += bytes as u64;
        }
    }
    Ok(copy)
}

fn compare_with_free_set(store: &PageStore, free_set: &FreeSet, seen: &BTreeSet<PageId>, report: &mut CheckReport) {
    let problem = |detail: String| StorageError::Inconsistent { detail };
    let mut used = BTreeSet::new();
    for (number, extent) in (0u32..).zip(free_set.extents()) {
        let Some(class) = extent.class else { continue };
        used.extend(extent.used.iter().map(|slot| PageId::new(class, number, slot)));
        let mut header = [0; EXTENT_HEADER_USED_BYTES];
        let read = store.file().read_exact_at(&mut header, extent_offset(number));
        let checked = read
            .map_err(|error| StorageError::io("read of", PAGE_FILE, error))
            .and_then(|()| check_extent_header(number, class, &header));
        report.problems.extend(checked.err());
    }
    // After damage the pages below it were not seen; that they look unused says nothing more.
    let complete = report.problems.is_empty();
    for page in seen.difference(&used) {
        report.problems.push(problem(format!("page {page:?} is in use, but free in the free set (F2)")));
    }
    if complete {
        for page in used.difference(seen) {
            report
                .problems
                .push(problem(format!("page {page:?} is used in the free set, but nothing refers to it (F2)")));
        }
    }
}

struct Walk<'w> {
    store: &'w Arc<PageStore>,
    seen: BTreeSet<PageId>,
    report: CheckReport,
    pages_total: u64,
    progress: &'w mut dyn FnMut(Progress),
}

impl Walk<'_> {
    fn see(&mut self, page: PageId) {
        self.report.pages += 1;
        if !self.seen.insert(page) {
            let detail = format!("page {page:?} is referred to twice (F2)");
            self.report.problems.push(StorageError::Inconsistent { detail });
        }
        if self.report.pages.is_multiple_of(1024) || self.report.pages == self.pages_total {
            (self.progress)(Progress { pages: self.report.pages, pages_total: self.pages_total });
        }
    }

    fn problem(&mut self, detail: String) {
        self.report.problems.push(StorageError::Inconsistent { detail });
    }

    fn tree_sets(&mut self, root: Root) {
        let set = catalogue::open(root, &Ambient::new(Arc::clone(self.store)));
        let snapshot = set.snapshot();
        let ids = catalogue::ids(&snapshot);
        let ids = ids.unwrap_or_else(|problem| {
            self.report.problems.push(problem);
            Vec::new()
        });
        debug_assert!(snapshot.has_tree(CATALOGUE_TREE));
        for id in ids {
            match catalogue::find(&snapshot, id) {
                Ok(Some(record)) => self.tree_set(id, &record),
                Ok(None) => self.problem(format!("tree set {} vanished while it was checked", id.0)),
                Err(problem) => self.report.problems.push(problem),
            }
        }
    }

    fn tree_set(&mut self, _: TreeSetId, record: &catalogue::Record) {
        self.report.tree_sets += 1;
        for &(_, root) in &record.trees {
            self.report.trees += 1;
            self.report.entries += root.count;
            self.tree(root);
        }
    }

    fn tree(&mut self, root: Root) {
        let Some(page) = root.page else {
            if root.count != 0 {
                self.problem(format!("an empty tree claims {} entries (B2)", root.count));
            }
            return;
        };
        self.below(page, None, None, None, Some(root.count));
    }

    /// Checks a node and everything below it; its keys must lie in `low..high`.
    fn below(
        &mut self,
        page: PageRef,
        level: Option<usize>,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        count: Option<u64>,
    ) {
        let Some(id) = page.page_id() else { return self.problem("a stored reference names memory".to_owned()) };
        self.see(id);
        let node = match self.store.node_uncached(id) {
            Ok(node) => node,
            Err(problem) => return self.report.problems.push(problem),
        };
        if level.is_some_and(|level| level != node.level()) {
            return self.problem(format!("page {id:?} is at level {}, not {level:?} (B3)", node.level()));
        }
        let count_found = node.total();
        if count.is_some_and(|count| count != count_found) {
            self.problem(format!("page {id:?} has {count_found} entries below it, not {count:?} (B2)"));
        }
        if node.has_large_values() && !page.has_large_values() && level.is_some() {
            self.problem(format!("page {id:?} has large values that its parent does not know of"));
        }
        if node.is_leaf() { self.leaf(id, &node, low, high) } else { self.branch(id, &node, low, high) }
    }

    fn leaf(&mut self, id: PageId, node: &Node, low: Option<&[u8]>, high: Option<&[u8]>) {
        let (first, last) = (node.key(0), node.key(node.len() - 1));
        if low.is_some_and(|low| first < *low) || high.is_some_and(|high| last >= *high) {
            self.problem(format!("page {id:?} has keys outside of what its parent says (B1)"));
        }
        for index in 0..node.len() {
            if let Value::Large(large) = node.value(index) {
                self.large_value(large);
            }
        }
    }

    fn branch(&mut self, id: PageId, node: &Node, low: Option<&[u8]>, high: Option<&[u8]>) {
        let keys: Vec<Vec<u8>> = (0..node.len()).map(|index| node.key(index).to_vec()).collect();
        for index in 0..node.len() {
            let key = &keys[index][..];
            let child_low = if index == 0 { low } else { Some(key) };
            let child_high = if index + 1 == node.len() { high } else { Some(&keys[index + 1][..]) };
            if index > 0 && (low.is_some_and(|low| key < low) || high.is_some_and(|high| key >= high)) {
                self.problem(format!("page {id:?} has separators outside of what its parent says (B1)"));
            }
            let child = node.child(index);
            self.below(child.page, Some(node.level() - 1), child_low, child_high, Some(child.count));
        }
    }

    fn large_value(&mut self, value: LargeValue) {
        let Some(id) = value.page.page_id() else { return self.problem("a stored reference names memory".to_owned()) };
        match overflow::slots(self.store, id, value.length) {
            Ok(slots) => slots.into_iter().for_each(|slot| self.see(slot)),
            Err(problem) => {
                self.see(id);
                return self.report.problems.push(problem);
            }
        }
        self.report.problems.extend(overflow::read(self.store, id, value.length).err());
    }
}

//! The offline check: reads everything that either superblock leads to, and the log, and proves the invariants.
//!
//! Proved: both superblocks are valid, or a crash explains that one is not; every page reachable from either holds what
//! was written there, lies where its reference says, and is not newer than its superblock (C2, F1); keys ascend within a
//! tree and stay between the keys of the branch above (B1); counts are exact (B2); levels fit (B3); no slot is used
//! twice and the free set names exactly the slots in use (F2); extent headers agree with it; the log can be read, its
//! streams have no gap (W7), and it reaches what the superblock relies on (R2).
//!
//! It changes nothing, not even by mistake: it sees the directory through a disk that only reads. In memory it takes the
//! books (some bytes for each MiB of the page file) and the places of the log's live entries; pages, values and records are
//! read one at a time. After damage it goes on.

mod finding;
mod log;
mod slots;
mod space;
mod trees;

use std::sync::Arc;

use crate::disk::read_only::ReadOnlyDisk;
use crate::disk::{DirectoryLock, Disk, OpenMode};
use crate::error::{Result, StorageError};
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::FreeSet;
use crate::spool;
use crate::superblock::format::{BLOCK_BYTES, Flaw};
use crate::superblock::{SUPERBLOCK_FILE, Superblock, Superblocks, UNFINISHED_FILE};
use crate::transaction::{TreeId, TreeSetId};
use crate::wal::LogSurvey;

pub use finding::{Concerns, Finding, Note, Remedy, Zone};

use finding::Findings;
use slots::Slots;
use trees::{Proved, Walk};

/// How a directory is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Take no lock: for a copy or a snapshot that nobody can change.
    pub unlocked: bool,
}

/// What a check is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the log; counted in bytes.
    Log,
    /// Reading pages; counted in pages.
    Pages,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Generation of the newest superblock; 0 when neither is valid.
    pub generation: u64,
    /// Whether both superblocks are valid.
    pub both_superblocks: bool,
    /// Tree sets below the newest superblock, as all that follows.
    pub tree_sets: u64,
    /// Trees.
    pub trees: u64,
    /// Entries of all trees.
    pub entries: u64,
    /// Pages seen.
    pub pages: u64,
    /// Pages that only the older superblock needs.
    pub older_pages: u64,
    /// Streams in the log.
    pub streams: u64,
    /// Records in the log.
    pub log_records: u64,
    /// Bytes of the log's segments.
    pub log_bytes: u64,
    /// Everything that is wrong, in the order found, up to a maximum. Empty: the directory is sound.
    pub problems: Vec<Finding>,
    /// What is wrong beyond that maximum.
    pub problems_not_listed: u64,
    /// What is worth knowing and not wrong.
    pub notes: Vec<Note>,
}

/// Checks a directory that no process has open. Changes nothing. As [`check_with`], locked when there is a lock.
pub fn check(disk: Arc<dyn Disk>, progress: &mut dyn FnMut(Progress)) -> Result<CheckReport, StorageError> {
    check_with(disk, CheckOptions::default(), progress)
}

/// Checks a directory.
///
/// Errors: what keeps the check from being made: `Locked`, `NoDatabase`, `NewerFormat` of a superblock, and what the
/// machine says when the directory cannot be listed. What is wrong inside is in the report.
pub fn check_with(
    disk: Arc<dyn Disk>,
    options: CheckOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, StorageError> {
    let mut report = CheckReport::default();
    let lock = if options.unlocked { None } else { lock_to_look(&*disk)? };
    if lock.is_none() {
        report.notes.push(Note::NotLocked);
    }
    let disk: Arc<dyn Disk> = Arc::new(ReadOnlyDisk::new(disk));
    let mut findings = Findings::default();
    let mut meter = Meter { progress, pages: 0, pages_total: 0 };
    report.notes.extend(unknown_files(&*disk)?);
    let found = superblocks(&*disk, &mut findings)?;
    let log = log::check_log(&*disk, found.newest.as_ref(), &mut report, &mut findings, &mut meter);
    found.judge(&log, &mut report, &mut findings);
    if let Some(newest) = &found.newest {
        report.generation = newest.generation;
        report.both_superblocks = found.flaws.is_empty();
        check_pages(&disk, newest, found.older.as_ref(), &mut report, &mut findings, &mut meter);
    }
    report.problems_not_listed = findings.not_listed;
    report.problems = findings.listed;
    Ok(report)
}

/// Locks a directory for looking at it; `None` when it has no lock.
pub(crate) fn lock_to_look(disk: &dyn Disk) -> Result<Option<Box<dyn DirectoryLock>>> {
    disk.lock_present().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => StorageError::Locked { directory: disk.describe() },
        _ => StorageError::io("locking of", &disk.describe(), error),
    })
}

fn unknown_files(disk: &dyn Disk) -> Result<Vec<Note>> {
    let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
    let ours = |name: &String| {
        [SUPERBLOCK_FILE, UNFINISHED_FILE, PAGE_FILE, "LOCK"].contains(&name.as_str())
            || name.starts_with("wal-")
            || name.starts_with(spool::PREFIX)
    };
    Ok(names.into_iter().filter(|name| !ours(name)).map(|name| Note::UnknownFile { name }).collect())
}

/// What was read of the superblocks.
struct FoundSuperblocks {
    newest: Option<Superblock>,
    older: Option<Superblock>,
    /// Those that are not valid, by slot.
    flaws: Vec<(u64, Flaw)>,
}

fn superblocks(disk: &dyn Disk, findings: &mut Findings) -> Result<FoundSuperblocks> {
    let mut found = FoundSuperblocks { newest: None, older: None, flaws: Vec::new() };
    if !Superblocks::exists(disk)? {
        let names = disk.list().map_err(|error| StorageError::io("listing of", &disk.describe(), error))?;
        let pages = disk.open(PAGE_FILE, OpenMode::ReadOnly).and_then(|file| file.len()).unwrap_or(0);
        if pages == 0 && !names.iter().any(|name| name.starts_with("wal-")) {
            return Err(StorageError::NoDatabase { directory: disk.describe() });
        }
        let detail = "the file is missing, but there are pages or a log".to_owned();
        let problem = StorageError::NoSuperblock { detail };
        let finding = Finding::new(Zone::Superblock, Concerns::Everything, problem, Remedy::CopyAgain);
        findings.add(Finding { file: SUPERBLOCK_FILE.to_owned(), ..finding });
        return Ok(found);
    }
    let mut valid = Vec::new();
    for (slot, read) in (0u64..).zip(Superblocks::open(disk, OpenMode::ReadOnly)?.slots()?) {
        match read {
            Ok(superblock) => valid.push(superblock),
            Err(Flaw::Newer { version }) => {
                return Err(StorageError::NewerFormat {
                    name: SUPERBLOCK_FILE.to_owned(),
                    found: version,
                    supported: crate::superblock::format::SUPERBLOCK_FORMAT_VERSION,
                });
            }
            Err(flaw) => found.flaws.push((slot, flaw)),
        }
    }
    valid.sort_by_key(|superblock| superblock.generation);
    (found.newest, found.older) = (valid.pop(), valid.pop());
    Ok(found)
}

impl FoundSuperblocks {
    /// A superblock that is not valid was torn while it was written, unless the log recorded it as published, which it
    /// does only afterwards.
    fn judge(&self, log: &LogSurvey, report: &mut CheckReport, findings: &mut Findings) {
        let rotten = match &self.newest {
            None => true,
            Some(newest) => log.generation > newest.generation,
        };
        for &(slot, flaw) in &self.flaws {
            if !rotten {
                report.notes.push(Note::TornSuperblock { slot, detail: flaw.detail() });
                continue;
            }
            let (concerns, remedy) = match self.newest {
                Some(_) => (Concerns::NoData, Remedy::Open),
                None => (Concerns::Everything, Remedy::RefillOrRestore),
            };
            let problem = StorageError::DamagedSuperblock { slot, detail: flaw.detail() };
            let finding = Finding::new(Zone::Superblock, concerns, problem, remedy);
            findings.add(finding.at(SUPERBLOCK_FILE, slot * BLOCK_BYTES as u64));
        }
    }
}

fn check_pages(
    disk: &Arc<dyn Disk>,
    newest: &Superblock,
    older: Option<&Superblock>,
    report: &mut CheckReport,
    findings: &mut Findings,
    meter: &mut Meter<'_>,
) {
    let file = match disk.open(PAGE_FILE, OpenMode::ReadOnly) {
        Ok(file) => file,
        Err(error) => {
            let problem = StorageError::io("opening of", PAGE_FILE, error);
            return findings.add(Finding::new(Zone::Directory, Concerns::Everything, problem, Remedy::CopyAgain));
        }
    };
    let store = Arc::new(PageStore::new(Some(file), 0));
    let proved = check_state(&store, newest, older, None, report, findings, meter);
    let Some(older) = older else { return };
    let same =
        (older.catalogue, &older.directory, older.extents) == (newest.catalogue, &newest.directory, newest.extents);
    if !same {
        let found = check_state(&store, older, None, Some(&proved), report, findings, meter);
        report.older_pages = found.slots.iter().filter(|page| !proved.slots.has(*page)).count() as u64;
    }
}

/// Checks what one superblock leads to. `proved`: what was below the newest, when this is the older one.
fn check_state(
    store: &Arc<PageStore>,
    superblock: &Superblock,
    older: Option<&Superblock>,
    proved: Option<&Proved>,
    report: &mut CheckReport,
    findings: &mut Findings,
    meter: &mut Meter<'_>,
) -> Proved {
    let free_set = match FreeSet::load(store, &superblock.directory, superblock.extents) {
        Ok(free_set) => Some(free_set),
        Err(problem) => {
            let mut finding = Finding::new(Zone::FreeSet, Concerns::Everything, problem, Remedy::RefillOrRestore);
            finding.generation = Some(superblock.generation);
            findings.add(finding);
            None
        }
    };
    if let Some(free_set) = &free_set {
        meter.pages_total += free_set.occupancy().used_slots as u64;
        space::check_length(store, free_set, findings);
        if proved.is_none() {
            space::check_extent_headers(store, free_set, superblock, findings);
        }
    }
    let extents = superblock.extents;
    let mut walk = Walk {
        store,
        superblock,
        proved,
        found: Proved { slots: Slots::new(extents), newer: Slots::new(extents) },
        older_generation: older.map_or(u64::MAX, |older| older.generation),
        broken: false,
        findings,
        report,
        meter,
        place: (TreeSetId(0), TreeId(0)),
        sets: Vec::new(),
    };
    walk.run(free_set.as_ref());
    let (found, broken) = (walk.found, walk.broken);
    if let Some(free_set) = &free_set {
        space::compare(free_set, &found.slots, superblock, !broken, findings);
    }
    found
}

/// Tells the caller how far the check is, not too often.
struct Meter<'p> {
    progress: &'p mut dyn FnMut(Progress),
    pages: u64,
    pages_total: u64,
}

/// Pages between two tellings.
const PAGES_PER_STEP: u64 = 256;

impl Meter<'_> {
    fn log(&mut self, done: u64, total: u64) {
        (self.progress)(Progress { stage: Stage::Log, done, total });
    }

    fn page(&mut self) {
        self.pages += 1;
        if self.pages.is_multiple_of(PAGES_PER_STEP) || self.pages == self.pages_total {
            (self.progress)(Progress { stage: Stage::Pages, done: self.pages, total: self.pages_total });
        }
    }
}

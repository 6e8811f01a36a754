//! What a check has to say: findings, each with its place, what it concerns and what to do, and notes.

use std::fmt;

use crate::checkpoint::catalogue::CATALOGUE_SET;
use crate::error::StorageError;
use crate::inspect::KeyText;
use crate::limits::CHECK_FINDINGS_MAX;
use crate::page::PageId;
use crate::transaction::{TreeId, TreeSetId};
use crate::wal::{Damage, StreamId};

/// Something that is not as it was written, or contradicts something else.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which part of the directory.
    pub zone: Zone,
    /// The file.
    pub file: String,
    /// The byte in it.
    pub offset: Option<u64>,
    /// The page, when it is one.
    pub page: Option<PageId>,
    /// The generation of the superblock that leads there.
    pub generation: Option<u64>,
    /// What is lost or doubtful because of it.
    pub concerns: Concerns,
    /// What is wrong.
    pub problem: StorageError,
    /// What to do.
    pub remedy: Remedy,
}

/// A part of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The set of files itself.
    Directory,
    /// The roots of everything.
    Superblock,
    /// The books of the page file.
    FreeSet,
    /// The header of an extent, which repeats what the books say.
    ExtentHeader,
    /// The tree of tree sets.
    Catalogue,
    /// An inner node.
    Branch,
    /// A node with keys and values.
    Leaf,
    /// A value too large for a leaf.
    LargeValue,
    /// A file of the log.
    LogSegment,
    /// A record of the log.
    LogRecord,
    /// What the records of one stream say together.
    LogStream,
}

impl Zone {
    /// A stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Zone::Directory => "directory",
            Zone::Superblock => "superblock",
            Zone::FreeSet => "free_set",
            Zone::ExtentHeader => "extent_header",
            Zone::Catalogue => "catalogue",
            Zone::Branch => "branch",
            Zone::Leaf => "leaf",
            Zone::LargeValue => "large_value",
            Zone::LogSegment => "log_segment",
            Zone::LogRecord => "log_record",
            Zone::LogStream => "log_stream",
        }
    }
}

/// What a finding concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// Everything in the directory.
    Everything,
    /// No data: what repeats or counts it.
    NoData,
    /// Some of the tree sets: those with ids in this range, or all when the range is not known.
    TreeSets {
        /// The first id.
        from: u64,
        /// The id behind the last one; `None`: no end.
        to: Option<u64>,
    },
    /// The keys of one tree in a range.
    Keys {
        /// The tree set.
        set: TreeSetId,
        /// The tree.
        tree: TreeId,
        /// The first key that may be concerned.
        from: Vec<u8>,
        /// The key behind the last one; `None`: no end.
        to: Option<Vec<u8>>,
        /// Entries there, as the node above counts them.
        entries: Option<u64>,
    },
    /// Every stream that has, or had, records there.
    Log,
    /// One stream of the log.
    Stream(StreamId),
}

impl fmt::Display for Concerns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Concerns::Everything => write!(f, "everything in the directory"),
            Concerns::NoData => write!(f, "no data"),
            Concerns::TreeSets { from: 0, to: None } => write!(f, "all tree sets"),
            Concerns::TreeSets { from, to: None } => write!(f, "tree sets from {from} on"),
            Concerns::TreeSets { from, to: Some(to) } => write!(f, "tree sets from {from} to before {to}"),
            Concerns::Keys { set, tree, from, to, entries } => {
                write!(f, "tree {} of tree set {}, ", tree.0, set.0)?;
                match (from.is_empty(), to) {
                    (true, None) => write!(f, "all keys")?,
                    (false, None) => write!(f, "keys from {} on", KeyText(from))?,
                    (true, Some(to)) => write!(f, "keys before {}", KeyText(to))?,
                    (false, Some(to)) => write!(f, "keys from {} to before {}", KeyText(from), KeyText(to))?,
                }
                entries.map_or(Ok(()), |entries| write!(f, " ({entries} entries)"))
            }
            Concerns::Log => write!(f, "the streams that have records there"),
            Concerns::Stream(stream) => write!(f, "stream {stream} of the log"),
        }
    }
}

/// What to do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing is lost; opening the directory mends it.
    Open,
    /// Nothing is lost; writing the page file anew mends it.
    Compact,
    /// What is there is not the whole directory.
    CopyAgain,
    /// Data is lost here; it must come from elsewhere.
    RefillOrRestore,
    /// Members of this node must be refilled; the others go on.
    RefillStream,
    /// This program is too old to say.
    NewerProgram,
    /// The machine failed to read.
    ExamineDisk,
}

impl Remedy {
    /// A stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Remedy::Open => "open",
            Remedy::Compact => "compact",
            Remedy::CopyAgain => "copy_again",
            Remedy::RefillOrRestore => "refill_or_restore",
            Remedy::RefillStream => "refill_stream",
            Remedy::NewerProgram => "newer_program",
            Remedy::ExamineDisk => "examine_disk",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Remedy::Open => "nothing is lost: the next start of the node writes it anew",
            Remedy::Compact => "nothing is lost: `photondb compact` writes the page file anew",
            Remedy::CopyAgain => "copy the whole directory again while no node runs on the original",
            Remedy::RefillOrRestore => {
                "refill this node from another replica, or restore the directory from a backup; keep a copy of it as it is"
            }
            Remedy::RefillStream => {
                "refill what this stream belongs to from another replica; the other streams can be used as they are"
            }
            Remedy::NewerProgram => "use the version of the program that wrote it",
            Remedy::ExamineDisk => "examine the disk and the system's messages about it, then check again",
        })
    }
}

impl Finding {
    /// A finding whose place is in the problem itself.
    pub(super) fn new(zone: Zone, concerns: Concerns, problem: StorageError, remedy: Remedy) -> Self {
        let (file, offset, page) = place_of(&problem);
        let remedy = match &problem {
            StorageError::NewerFormat { .. } => Remedy::NewerProgram,
            StorageError::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound => Remedy::ExamineDisk,
            _ => remedy,
        };
        Finding { zone, file, offset, page, generation: None, concerns, problem, remedy }
    }

    pub(super) fn at(mut self, file: &str, offset: u64) -> Self {
        self.file = file.to_owned();
        self.offset = Some(offset);
        self
    }

    pub(super) fn on(mut self, page: PageId) -> Self {
        self.page = Some(page);
        self.at(crate::page::store::PAGE_FILE, page.offset())
    }
}

fn place_of(problem: &StorageError) -> (String, Option<u64>, Option<PageId>) {
    match problem {
        StorageError::DamagedPage { page, offset, .. } => {
            (crate::page::store::PAGE_FILE.to_owned(), Some(*offset), Some(*page))
        }
        StorageError::Io { name, .. } => (name.clone(), None, None),
        StorageError::NewerFormat { name, .. } => (name.clone(), None, None),
        _ => (String::new(), None, None),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zone.name())?;
        if !self.file.is_empty() {
            write!(f, " in {}", self.file)?;
        }
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}; concerns {}", self.problem, self.concerns)
    }
}

/// Something worth knowing that is not damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// One of the two superblocks is not valid, and a crash while it was written explains that.
    TornSuperblock {
        /// Which one.
        slot: u64,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The log ends in a write that was cut short, which was never acknowledged.
    TornTail {
        /// The file.
        file: String,
        /// Where the log ends in it.
        offset: u64,
        /// Bytes behind that.
        bytes: u64,
    },
    /// A file that is none of the engine's.
    UnknownFile {
        /// Its name.
        name: String,
    },
    /// A place of the log that does not hold what was written there, and whose loss was accepted or was none.
    AcceptedDamage {
        /// The place.
        damage: Damage,
    },
    /// The directory was not locked, because it has no lock file or because that was asked for.
    NotLocked,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::TornSuperblock { slot, detail } => write!(
                f,
                "superblock {slot} (byte {}) is not valid: {detail}; the other one is, as after a crash while it was \
                 written",
                slot * crate::superblock::format::BLOCK_BYTES as u64
            ),
            Note::TornTail { file, offset, bytes } => write!(
                f,
                "the log ends in {file} at byte {offset}; {bytes} bytes behind it are of a write that a crash cut short, \
                 which was never acknowledged"
            ),
            Note::UnknownFile { name } => write!(f, "the file {name} is none of the engine's"),
            Note::AcceptedDamage { damage } => write!(f, "{damage}; what was lost there is known and accepted as lost"),
            Note::NotLocked => write!(f, "the directory was not locked: nobody may change it meanwhile"),
        }
    }
}

/// Findings so far; past the maximum they are only counted.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) listed: Vec<Finding>,
    pub(super) not_listed: u64,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.listed.len() < CHECK_FINDINGS_MAX {
            self.listed.push(finding);
        } else {
            self.not_listed += 1;
        }
    }
}

/// Which set and tree a walk is in; the catalogue has a number of its own.
pub(super) fn concerns_of(
    place: (TreeSetId, TreeId),
    low: Option<&[u8]>,
    high: Option<&[u8]>,
    entries: Option<u64>,
) -> Concerns {
    let (set, tree) = place;
    if set == CATALOGUE_SET {
        let id = |key: &[u8]| key.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
        return Concerns::TreeSets { from: low.and_then(id).unwrap_or(0), to: high.and_then(id) };
    }
    Concerns::Keys { set, tree, from: low.unwrap_or_default().to_vec(), to: high.map(<[u8]>::to_vec), entries }
}

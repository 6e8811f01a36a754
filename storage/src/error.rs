//! What can go wrong in storage: one variant per decision of the caller, carrying its evidence.

use std::io;
use std::sync::Arc;

use crate::page::PageId;
use crate::transaction::{TreeId, TreeSetId};

/// The crate's result.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Every failure of this crate.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The machine refused an operation. After a failed write or sync of the log the node must end.
    #[error("{operation} {name}: {source}")]
    Io {
        /// What was asked: "write", "sync", ...
        operation: &'static str,
        /// The file's name in the data directory.
        name: String,
        /// What the system said. Shared, because one failed sync fails every waiter.
        source: Arc<io::Error>,
    },

    /// The disk is full; nothing of this request was written. It may be sent again when space is back.
    #[error("the disk is full: {needed_bytes} more bytes are needed")]
    Full {
        /// What the next segment, extent or block would have taken.
        needed_bytes: u64,
    },

    /// An earlier write or sync failed, so what the disk holds is unknown: end the process, start again.
    #[error("storage stopped after an earlier failure: {0}")]
    Poisoned(Box<StorageError>),

    /// The log holds bytes that are not what was written there.
    #[error("{damage}")]
    WalDamaged {
        /// Where and what.
        damage: crate::wal::Damage,
    },

    /// A file was written by a newer version of this program.
    #[error("{name} has format version {found}; this program reads up to {supported}")]
    NewerFormat {
        /// The file.
        name: String,
        /// Its version.
        found: u32,
        /// The newest one known here.
        supported: u32,
    },

    /// The superblock says the log reaches to at least `start`, but the directory holds no such log.
    #[error("the log is missing: it must reach position {start}, but ends at {end}")]
    LogMissing {
        /// The position the superblock names.
        start: u64,
        /// Where the log found ends.
        end: u64,
    },

    /// One of the two superblocks is not what was written.
    #[error("superblock {slot} is not valid: {detail}")]
    DamagedSuperblock {
        /// 0 or 1.
        slot: u64,
        /// What is wrong with it.
        detail: &'static str,
    },

    /// The directory has been in use, and no file of its log is there.
    #[error("the log is missing: none of its files is there, although the directory has been in use (boot {boot})")]
    NoLog {
        /// How often it was opened, as the newest superblock says.
        boot: u64,
    },

    /// The superblocks found are older than what the log says was published: the newer ones are lost.
    #[error("the newest checkpoint found has generation {found}, but the log recorded {recorded}")]
    StaleCheckpoint {
        /// The newest generation in the superblocks.
        found: u64,
        /// The newest generation the log knows was published.
        recorded: u64,
    },

    /// An entry does not follow the stream's last one. A bug of the caller; nothing of the request was written.
    #[error("stream {stream}: entry {found} does not follow, expected {expected}")]
    LogOrder {
        /// The stream.
        stream: u64,
        /// The index that would follow.
        expected: u64,
        /// The index given.
        found: u64,
    },

    /// The stream has a tombstone; nothing may be written to it ever again.
    #[error("stream {stream} was erased")]
    StreamErased {
        /// The stream.
        stream: u64,
    },

    /// Part of the stream may have been lost to damage: it may be read and erased, never continued.
    #[error("stream {stream} may have lost records to damage and can only be erased")]
    StreamSuspect {
        /// The stream.
        stream: u64,
    },

    /// There is no loss to accept.
    #[error("stream {stream} is not suspect, so there is no loss of it to accept")]
    StreamNotSuspect {
        /// The stream.
        stream: u64,
    },

    /// The stream's id is the one the log keeps for itself.
    #[error("stream {stream} is reserved")]
    StreamReserved {
        /// The stream.
        stream: u64,
    },

    /// A request is larger than the log takes at once.
    #[error("{bytes} bytes are more than the {bytes_max} the log takes at once")]
    TooLarge {
        /// What it would take in the log.
        bytes: u64,
        /// The maximum.
        bytes_max: u64,
    },

    /// An option is outside of its limits.
    #[error("option {option} is {found}, outside {minimum}..={maximum}")]
    Option {
        /// Its name.
        option: &'static str,
        /// The value given.
        found: u64,
        /// The least accepted.
        minimum: u64,
        /// The greatest accepted.
        maximum: u64,
    },

    /// A sync of the page store failed: nobody knows what is durable. The caller ends the process and never retries.
    #[error("sync of {name} failed, durability unknown: {source}")]
    SyncFailed {
        /// The file, or the directory.
        name: String,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// Another process has the data directory open.
    #[error("the data directory {directory} is in use by another process")]
    Locked {
        /// The directory.
        directory: String,
    },

    /// A page is not what was written there. Never served.
    #[error(
        "damaged page {page:?} at byte {offset} of the page file: {detail} (expected {expected:#x}, found {found:#x})"
    )]
    DamagedPage {
        /// The slot.
        page: PageId,
        /// Where in the page file.
        offset: u64,
        /// Which field or rule.
        detail: &'static str,
        /// What should be there.
        expected: u64,
        /// What is there.
        found: u64,
    },

    /// There is no database in the directory.
    #[error("{directory} holds no database: no superblock, no pages, no log")]
    NoDatabase {
        /// The directory.
        directory: String,
    },

    /// The directory holds a database, but neither of its superblocks is valid.
    #[error("no valid superblock: {detail}")]
    NoSuperblock {
        /// What is wrong with both.
        detail: String,
    },

    /// The page store's own books contradict each other (found by `check`, or while opening).
    #[error("the page store contradicts itself: {detail}")]
    Inconsistent {
        /// What and where.
        detail: String,
    },

    /// The engine's identity is set already, to something else.
    #[error("this directory already belongs to node {node:032x} of cluster {cluster:032x}")]
    IdentitySet {
        /// The cluster it belongs to.
        cluster: u128,
        /// The node it is.
        node: u128,
    },

    /// A tree set of this id exists already.
    #[error("tree set {} exists", .0.0)]
    TreeSetExists(TreeSetId),

    /// No tree set of this id.
    #[error("there is no tree set {}", .0.0)]
    NoTreeSet(TreeSetId),

    /// Trees should come into another set, and it is the same.
    #[error("trees of tree set {} cannot be moved into itself", .0.0)]
    SameTreeSet(TreeSetId),

    /// A tree of this id exists already in the set.
    #[error("tree {} exists", .0.0)]
    TreeExists(TreeId),

    /// No tree of this id in the set.
    #[error("there is no tree {}", .0.0)]
    NoTree(TreeId),

    /// A key is longer than a tree can hold.
    #[error("a key of {bytes} bytes; at most {bytes_max} are allowed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The maximum.
        bytes_max: usize,
    },

    /// Sorted entries were asked for, and one does not follow the one before it.
    #[error("entry {position} of a bulk load does not follow the one before it")]
    NotAscending {
        /// Its position among the entries, from 0; 0: it does not follow what the tree has.
        position: u64,
    },

    /// Two trees cannot be joined: a key of the left one is not smaller than every key of the right one.
    #[error("trees {} and {} overlap", .left.0, .right.0)]
    TreesOverlap {
        /// The tree that should end first.
        left: TreeId,
        /// The tree that should follow.
        right: TreeId,
    },

    /// A value, a meta blob or a tree set is larger than the format allows.
    #[error("{what}: {size} is more than the {size_max} allowed")]
    OverLimit {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The maximum.
        size_max: usize,
    },

    /// A checkpoint failed in a way that only a new start can mend.
    #[error("the page store stopped after an earlier failure")]
    Stopped,
}

impl StorageError {
    /// Wraps what the system said with what was asked of it.
    pub fn io(operation: &'static str, name: &str, source: io::Error) -> Self {
        Self::Io { operation, name: name.to_owned(), source: Arc::new(source) }
    }

    /// Wraps an error of a sync of the page store, after which durability is unknown.
    pub fn sync(name: &str, source: io::Error) -> Self {
        Self::SyncFailed { name: name.to_owned(), source: Arc::new(source) }
    }

    /// Whether the owner must end the process: what the disk holds is unknown.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::SyncFailed { .. } | Self::Poisoned(_) | Self::Stopped)
    }

    /// Whether bytes of the page file are not what was written there: what they held is lost here.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::DamagedPage { .. })
    }

    /// Whether this is the disk being full, which passes, rather than broken, which does not.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

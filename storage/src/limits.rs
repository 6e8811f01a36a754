//! Every maximum of this crate, named, and related to each other at compile time.

// --- WAL ---

/// The payload of one log record, in bytes (DESIGN section 3: an entry is at most 32 MiB, plus its own header).
pub const WAL_PAYLOAD_BYTES_MAX: usize = (32 << 20) + 4096;

/// The smallest segment the log accepts, in bytes.
pub const WAL_SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// The largest segment the log accepts, in bytes. Lengths and offsets within a segment fit 32 bits.
pub const WAL_SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The segment of a node in production, in bytes: little more than the largest record, so that a small node stays small.
pub const WAL_SEGMENT_BYTES_DEFAULT: u64 = 36 << 20;

/// What one step of the writer takes from the queue when more is waiting, in bytes.
pub const WAL_STEP_BYTES_MAX: usize = 8 << 20;

/// Live bytes that one step rewrites forward to free the oldest segment, and what it reads for that at least.
pub const WAL_RECLAIM_BYTES_PER_STEP: usize = 1 << 20;

/// Recent entries kept in memory by default, in bytes.
pub const WAL_CACHE_BYTES_DEFAULT: usize = 32 << 20;

/// Damaged places remembered as evidence; more are counted only.
pub const WAL_DAMAGE_REPORTS_MAX: usize = 64;

const _: () = assert!(WAL_SEGMENT_BYTES_DEFAULT as usize > WAL_PAYLOAD_BYTES_MAX + (WAL_PAYLOAD_BYTES_MAX >> 8));
const _: () = assert!(WAL_SEGMENT_BYTES_MIN <= WAL_SEGMENT_BYTES_DEFAULT);
const _: () = assert!(WAL_SEGMENT_BYTES_DEFAULT <= WAL_SEGMENT_BYTES_MAX);

// --- Page store ---

/// Longest key of a tree, in bytes. Four keys of this size and their cells fit a node, so a split always works.
pub const KEY_BYTES_MAX: usize = 1024;

/// Largest value of a tree, in bytes: the largest document (16 MiB) with room for what the owner adds.
pub const VALUE_BYTES_MAX: usize = 32 << 20;

/// Largest `meta` blob of a tree set, in bytes.
pub const META_BYTES_MAX: usize = 1 << 20;

/// Most trees in one tree set.
pub const TREES_PER_SET_MAX: usize = 4096;

/// The greatest number of a tree. The numbers above are those of dropped trees whose pages are not all freed.
pub const TREE_ID_MAX: u32 = u32::MAX - 0xFFFF;

/// Checkpoints that are made so that trees can move to another set, before the caller is told that they are being changed.
pub const MOVE_ROUNDS_MAX: usize = 3;

/// Pages of dropped trees that a checkpoint frees before it begins.
pub const RECLAIM_PAGES_PER_CHECKPOINT: usize = 1024;

/// Bytes of keys and values that a bulk load commits at once.
pub const BULK_LOAD_COMMIT_BYTES: usize = 4 << 20;

/// Largest body of a tree node, in bytes. With the page header it fills the 8 KiB slot exactly.
pub const NODE_BODY_BYTES_MAX: usize = 8192 - crate::page::format::HEADER_BYTES;

/// Largest body of a tree node that is opened, in bytes. Full pages of the first format have entries so short that they
/// take more bytes in today's; such a node is split when it is changed.
pub const NODE_BODY_BYTES_OPENED_MAX: usize = 16 << 10;

/// Values up to this size live in the leaf; larger ones in overflow slots.
pub const INLINE_VALUE_BYTES_MAX: usize = 2048;

/// Dirty memory that is written and given back at once, in bytes: how long a writer may wait for memory is the time the
/// disk takes for this.
pub const EVICTION_PIECE_BYTES: usize = 1 << 20;

/// Bytes of the page file that are written before they are synced, in bytes: how long a sync of the log on the same disk may
/// have to wait.
pub const UNSYNCED_PAGE_BYTES_MAX: usize = 4 << 20;

/// Extents (MiB) of the page file that one round of compaction empties at most.
pub const COMPACTION_EXTENTS_PER_ROUND: usize = 256;

/// Extents (MiB) of waste in the page file that are left alone while a node runs; a part of the file when that is more.
pub const COMPACTION_TOLERANCE_EXTENTS: usize = 8;

/// The part of the page file that may be waste while a node runs: one of so many.
pub const COMPACTION_TOLERANCE_ONE_OF: usize = 10;

/// Checkpoints before compaction tries again after a round that freed nothing.
pub const COMPACTION_PAUSE_CHECKPOINTS: u64 = 16;

/// Deepest tree that is believed; a deeper one is damage.
pub const TREE_DEPTH_MAX: usize = 32;

/// Findings that a check lists; more are counted only.
pub const CHECK_FINDINGS_MAX: usize = 1000;

const _: () = assert!(((u32::MAX - TREE_ID_MAX) as usize) > TREES_PER_SET_MAX);
const _: () = assert!(4 * (KEY_BYTES_MAX + 32) < NODE_BODY_BYTES_MAX);
const _: () = assert!(2 * (INLINE_VALUE_BYTES_MAX + KEY_BYTES_MAX + 32) < NODE_BODY_BYTES_MAX);

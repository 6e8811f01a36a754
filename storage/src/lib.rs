//! Bytes that survive: the disk, the write-ahead log that is also every Raft log of the node, and the page store.
//!
//! This crate knows no document, no table and no Raft. It starts no thread and reads no clock: whoever owns it drives
//! its steps. Everything it asks of the machine goes through [`disk::Disk`].

pub mod allocator;
pub mod btree;
pub mod checkpoint;
pub mod checksum;
pub mod disk;
pub mod engine;
pub mod error;
pub mod fault;
pub mod inspect;
pub mod limits;
pub mod page;
mod recovery;
pub mod slab;
pub mod spool;
pub mod superblock;
mod sync;
pub mod transaction;
pub mod verify;
pub mod wal;

pub use btree::{Cursor, Direction, Fill, KeyRange, TransactionCursor};
pub use checkpoint::CheckpointReport;
pub use engine::{
    CompactionReport, Compression, Engine, EngineMetrics, EngineOptions, Identity, Opening, Tolerance, TreeSetOptions,
};
pub use error::{Result, StorageError};
pub use transaction::{Moved, MovedMetas, Snapshot, Transaction, TreeId, TreeSet, TreeSetId};

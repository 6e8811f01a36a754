//! One key range of a table as a deterministic state machine: documents, secondary indexes, change log.
//!
//! The same entries in the same order give the same logical state at every replica. Nothing here reads a clock, draws a
//! random number or knows Raft: entries come in with their position, and the bytes that consensus wants kept are stored
//! with the effects of the entries in one transaction. The invariants stand in the crate's README.

pub mod change_log;
pub mod command;
pub mod digest;
pub mod error;
pub mod format;
pub mod index_function;
pub mod limits;
pub mod primary;
pub mod publish;
pub mod read;
pub mod schema;
pub mod secondary;
pub mod shard;
pub mod snapshot;
pub mod traffic;
pub mod verify;

pub use change_log::{Cursor, LoggedChanges};
pub use command::{Command, Effect, Fence, Join, Outcome, Skipped, Split};
pub use error::ShardError;
pub use publish::{ChangeBatch, DocumentChange, Listener};
pub use read::{IndexRow, Reader};
pub use schema::{Index, IndexState, Schema};
pub use shard::{Entry, EntryNumber, Freeze, Frozen, Position, Shard, Unborn, Ward};
pub use traffic::Traffic;

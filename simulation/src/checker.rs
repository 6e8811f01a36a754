//! What must hold: one property per file. A checker looks at what clients saw or at what is stored, never at how the
//! product came to it.

pub mod bank;
pub mod index_equals_table;
pub mod list_append;
pub mod names_agree;
pub mod raft;
pub mod storage_verifies;
pub mod unique_inserts;

#[cfg(test)]
mod tests;

pub use photondb_history::{Violation, counter, feed_replays_first, feed_replays_table, linearizable};

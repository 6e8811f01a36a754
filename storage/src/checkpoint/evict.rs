//! Writes cold nodes before a checkpoint does, so that memory is bounded by the disk's speed and not by the next
//! checkpoint.
//!
//! A hand goes around the frames of the set with most of the memory and takes what nobody looked at since it last came
//! by. Leaves go with their large values; a branch goes when everything below it has gone, because a stored node names
//! slots only. Nothing is synced: no superblock names these slots, and after a crash they are free.

use crate::checkpoint::Checkpointer;
use crate::checkpoint::page_writer::{Amount, PageWriter};
use crate::checkpoint::tree_writer::TreeWriter;
use crate::engine::Compression;
use crate::error::{Result, StorageError};
use crate::limits::EVICTION_PIECE_BYTES;
use crate::sync::atomic::Ordering;
use crate::transaction::{Ambient, TreeSet};

/// How many frames are looked at while a set is locked for once.
const FRAMES_LOOKED_AT: u32 = 2048;

impl Checkpointer {
    /// Writes about `bytes` of cold nodes. Returns what was written. Errors: as a checkpoint's, and
    /// what was not written stays in memory.
    pub fn evict(
        &mut self,
        sets: &[TreeSet],
        ambient: &Ambient,
        compression: Compression,
        bytes: usize,
    ) -> Result<Amount> {
        if self.stopped {
            return Err(StorageError::Stopped);
        }
        self.take_released(ambient);
        let dirty_of = |set: &&TreeSet| set.shared.dirty_bytes.load(Ordering::Relaxed);
        let generation = self.newest.generation + 1;
        let mut writer = PageWriter::new(&ambient.store, &mut self.free_set, generation, compression);
        let mut sets: Vec<&TreeSet> = sets.iter().filter(|set| dirty_of(set) > 0).collect();
        sets.sort_unstable_by_key(|set| std::cmp::Reverse(dirty_of(set)));
        crate::probe!("changed pages written ahead of a checkpoint", !sets.is_empty());
        let mut left = bytes;
        for set in sets {
            left = left.saturating_sub(evict_from(set, &mut writer, left)?);
            if left == 0 {
                break;
            }
        }
        Ok(writer.written())
    }
}

/// Returns about how many bytes of memory were given back.
fn evict_from(set: &TreeSet, writer: &mut PageWriter<'_>, bytes: usize) -> Result<usize> {
    writer.set_compression(set.shared.compression());
    let (mut evicted, mut looked_at) = (0, 0u64);
    let frames_end = set.shared.frames_end();
    // Twice around, because everything may have been looked at since the last time, and once more for the branches.
    while evicted < bytes && looked_at <= 3 * u64::from(frames_end) {
        let piece = (bytes - evicted).min(EVICTION_PIECE_BYTES);
        let (cold, versions) = set.shared.cold_frames(piece, FRAMES_LOOKED_AT);
        looked_at += u64::from(FRAMES_LOOKED_AT.min(frames_end));
        let mut tree_writer = TreeWriter::new(&set.shared, writer);
        for (frame, content) in cold {
            evicted += content.dirty_bytes();
            tree_writer.write_frame(frame, content)?;
        }
        tree_writer.forward()?;
        drop(versions);
    }
    Ok(evicted)
}

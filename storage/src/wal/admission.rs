//! Refusing writes while there still is room, so that nothing that was taken is refused later.
//!
//! A Raft group cannot take back an entry, so an entry that the log refuses ends the node. Whoever proposes one asks here
//! first ([`Wal::admit`]) and holds the promise until the entry is answered. The log looks for its next segment when half
//! of the active one is left; while none can be had it is short of space and promises nothing more. Should more be on its way
//! than the next one takes, further files are made first. A quarter of a segment is never promised: it is for votes, purges, copies, and the entries that consensus makes itself.

use std::sync::Arc;

use super::Wal;
use super::format::{SEGMENT_HEADER_BYTES, room_bytes_max};
use super::writer::{Spare, Writer};
use crate::error::StorageError;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What consensus and the log add to an entry's payload, generously.
const ENTRY_OVERHEAD_BYTES: usize = 512;

/// What room is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// New data. Refused as soon as the log is short of space.
    Write,
    /// A small change of definitions, such as dropping a table, which may be what gives space back. Refused only when
    /// there is no room for it.
    Upkeep,
}

/// What was promised, and what can be.
#[derive(Default)]
pub(super) struct Admissions {
    /// What may be promised.
    room: AtomicU64,
    promised: AtomicU64,
    /// The next segment cannot be had.
    short: AtomicBool,
}

impl Admissions {
    /// From here until room is noted again nothing is promised without the writer's lock. Gives what was promised before. In
    /// one order with a promise: either that one is seen here, or it sees that there is no room.
    pub fn stop_promising(&self) -> u64 {
        self.room.store(0, Ordering::SeqCst);
        self.promised.load(Ordering::SeqCst)
    }
}

/// Room in the log for something that is about to be submitted. Dropping it gives back what was not used.
#[derive(Debug)]
pub struct Admission {
    wal: Arc<Wal>,
    bytes: u64,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.wal.admissions.promised.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Wal {
    /// Promises room for an entry of `bytes`. Errors: [`StorageError::Full`]; the machine's.
    ///
    /// A few atomic operations, except when the first look for more room falls to this call: then it allocates a segment.
    pub fn admit(self: &Arc<Self>, bytes: usize, purpose: Purpose) -> Result<Admission, StorageError> {
        let state = &self.admissions;
        let short = state.short.load(Ordering::Acquire);
        let full = || StorageError::Full { needed_bytes: self.options.segment_bytes };
        if short && purpose == Purpose::Write {
            return Err(full());
        }
        let bytes = room_bytes_max(bytes + ENTRY_OVERHEAD_BYTES);
        let promised = state.promised.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let admission = Admission { wal: Arc::clone(self), bytes };
        if promised <= state.room.load(Ordering::SeqCst) {
            return Ok(admission);
        }
        if short {
            return Err(full());
        }
        let writer = self.writer.lock();
        self.ensure_next(&writer)?;
        self.note_room(&writer);
        // More is on its way than the next segment takes: files for further ones are had before it is promised. What is alone
        // on its way fits the next one.
        loop {
            let promised = state.promised.load(Ordering::SeqCst);
            if promised == bytes || promised <= state.room.load(Ordering::SeqCst) {
                return Ok(admission);
            }
            self.add_spare(&writer)?;
            self.note_room(&writer);
        }
    }

    /// Whether the next segment cannot be had, so that new data is refused.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.admissions.short.load(Ordering::Acquire)
    }

    /// Wakes the log's thread when there is no space any more: while writes are refused, nothing else has it look again.
    pub(super) fn set_short(&self, short: bool) {
        if !self.admissions.short.swap(short, Ordering::AcqRel) && short {
            self.wake();
        }
    }

    pub(super) fn note_room(&self, writer: &Writer) {
        let room = room_to_promise(writer, Some(&writer.spare.lock()));
        self.admissions.room.store(room, Ordering::Release);
    }

    /// As [`Wal::note_room`], without waiting for whoever is just making the next segment.
    pub(super) fn lower_room(&self, writer: &Writer) {
        let spare = writer.spare.try_lock();
        let room = room_to_promise(writer, spare.as_deref());
        self.admissions.room.store(room, Ordering::Release);
    }
}

/// Entries are not cut where a segment ends. Of segments filled one after the other, two neighbours together hold more than one
/// whole: so of two more, one counts.
pub(super) fn room_to_promise(writer: &Writer, spare: Option<&Spare>) -> u64 {
    match spare.and_then(|spare| Some((spare.next.as_ref()?, spare.whole as u64))) {
        Some((next, whole)) => {
            let of_one = next.header.length - SEGMENT_HEADER_BYTES - next.header.length / 4;
            of_one * (1 + whole / 2)
        }
        None => writer.room().saturating_sub(writer.active.header.length / 4),
    }
}

//! What each stream is now, and where in the log its records lie.
//!
//! A submitted record changes the stream at once, so that it can be read while it waits to be written; where it lies is
//! filled in when it is durable. Until then it can be undone: on a full disk nothing of a request may remain.

use std::collections::VecDeque;

use bytes::Bytes;

use super::format::{Content, Kind};
use super::{Lsn, Record, StreamId, StreamState};
use crate::error::StorageError;

/// Where a durable record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it first stood: its age.
    pub(super) original: Lsn,
    /// Where it stands.
    pub(super) at: Lsn,
    /// The room it takes.
    pub(super) bytes: u32,
}

/// One entry of a stream.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Tells this entry from another that had or will have its index.
    pub(super) ticket: u64,
    pub(super) term: u64,
    /// `None` while it waits to be written.
    pub(super) place: Option<Place>,
    /// The payload, while it is recent.
    pub(super) payload: Option<Bytes>,
}

/// The records of which only the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Vote,
    Committed,
    Purge,
    Born,
    Erased,
    Suspect,
    Checkpoint,
}

/// How many marks there are.
pub(super) const MARKS: usize = 7;

impl Mark {
    /// The mark a kind of record sets.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Vote => Self::Vote,
            Kind::Committed => Self::Committed,
            Kind::Purge => Self::Purge,
            Kind::Born => Self::Born,
            Kind::Erased => Self::Erased,
            Kind::Suspect => Self::Suspect,
            Kind::Checkpoint => Self::Checkpoint,
            Kind::Batch | Kind::Entry | Kind::Truncate | Kind::Moved | Kind::CleanShutdown => return None,
        })
    }
}

/// One stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// The index of the first slot; meaningless while there is none.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<Bytes>,
    pub(super) purged: Option<(u64, Bytes)>,
    pub(super) erased: bool,
    pub(super) suspect: bool,
    /// Where the newest durable record of each mark is.
    pub(super) marks: [Option<Place>; MARKS],
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) content: Content,
    pub(super) ticket: u64,
    undo: Undo,
}

/// What a record changed, kept until it is durable.
#[derive(Debug)]
enum Undo {
    Nothing,
    Entry,
    Vote(Option<Bytes>),
    Committed(Option<Bytes>),
    /// Where the stream began, and the entries taken off its end.
    Truncate(u64, VecDeque<Slot>),
    /// The same for its front, and what was purged before.
    Purge(u64, VecDeque<Slot>, Option<(u64, Bytes)>),
    Erased(Box<Stream>),
    Suspect(bool),
}

impl Queued {
    pub(super) fn new(content: Content, ticket: u64) -> Self {
        Self { content, ticket, undo: Undo::Nothing }
    }

    /// The entries that stop being live when this record is durable.
    pub(super) fn removed(&self) -> impl Iterator<Item = &Slot> + '_ {
        let slots = match &self.undo {
            Undo::Truncate(_, slots) | Undo::Purge(_, slots, _) => Some(slots),
            Undo::Erased(stream) => Some(&stream.slots),
            _ => None,
        };
        slots.into_iter().flatten()
    }
}

impl Stream {
    pub(super) fn state(&self) -> StreamState {
        let last = self.last();
        StreamState {
            vote: self.vote.clone(),
            committed: self.committed.clone(),
            purged: self.purged.clone(),
            first_index: last.map(|_| self.first),
            last_index: last,
            erased: self.erased,
            suspect: self.suspect,
        }
    }

    pub(super) fn last(&self) -> Option<u64> {
        (self.slots.len() as u64).checked_sub(1).map(|more| self.first + more)
    }

    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// Whether `records` may be appended, in this order. Changes nothing.
    pub(super) fn check(&self, stream: StreamId, records: &[Record]) -> Result<(), StorageError> {
        if self.erased {
            return Err(StorageError::StreamErased { stream: stream.0 });
        }
        let mut first = self.first;
        let mut end = self.last().map(|last| last + 1);
        let mut purged = self.purged.as_ref().map(|(upto, _)| *upto);
        let mut erased = false;
        for record in records {
            if erased {
                return Err(StorageError::StreamErased { stream: stream.0 });
            }
            if self.suspect && !matches!(record, Record::Erased) {
                return Err(StorageError::StreamSuspect { stream: stream.0 });
            }
            match record {
                Record::Entry { index, .. } => {
                    let expected = end.or(purged.map(|upto| upto.saturating_add(1))).unwrap_or(*index);
                    if *index != expected || *index == u64::MAX {
                        return Err(StorageError::LogOrder { stream: stream.0, expected, found: *index });
                    }
                    if end.is_none() {
                        first = *index;
                    }
                    end = Some(index + 1);
                }
                Record::Truncate { from } => end = end.map(|end| end.min(*from)).filter(|end| *end > first),
                Record::Purge { upto, .. } => {
                    purged = Some(purged.map_or(*upto, |before| before.max(*upto)));
                    first = first.max(upto.saturating_add(1));
                    end = end.filter(|end| *end > first);
                }
                Record::Erased => erased = true,
                Record::Vote(_) | Record::Committed(_) => {}
            }
        }
        Ok(())
    }

    /// Applies a record to what readers see.
    pub(super) fn apply(&mut self, queued: &mut Queued) {
        queued.undo = match &queued.content {
            Content::Entry { index, term, payload } => {
                if self.slots.is_empty() {
                    self.first = *index;
                }
                assert_eq!(self.first + self.slots.len() as u64, *index, "W7: the entries of a stream have no gap");
                let payload = Some(payload.clone());
                self.slots.push_back(Slot { ticket: queued.ticket, term: *term, place: None, payload });
                Undo::Entry
            }
            Content::Vote(vote) => Undo::Vote(self.vote.replace(vote.clone())),
            Content::Committed(committed) => Undo::Committed(self.committed.replace(committed.clone())),
            Content::Truncate { from } => Undo::Truncate(self.first, self.truncate(*from)),
            Content::Purge { upto, payload } => {
                let newer = self.purged.as_ref().is_none_or(|(before, _)| before <= upto);
                let before = self.purged.clone();
                if newer {
                    self.purged = Some((*upto, payload.clone()));
                }
                Undo::Purge(self.first, self.purge(*upto), before)
            }
            Content::Erased => {
                let before = std::mem::take(self);
                self.erased = true;
                // Marks say what is durable, which only a durable tombstone changes.
                self.marks = before.marks;
                Undo::Erased(Box::new(before))
            }
            Content::Suspect { .. } => Undo::Suspect(std::mem::replace(&mut self.suspect, true)),
            Content::Born(_) | Content::Batch { .. } | Content::Checkpoint { .. } | Content::CleanShutdown => {
                Undo::Nothing
            }
        };
    }

    /// Takes back what [`Stream::apply`] did. Records are taken back newest first.
    pub(super) fn undo(&mut self, queued: &mut Queued) {
        match std::mem::replace(&mut queued.undo, Undo::Nothing) {
            Undo::Nothing => {}
            Undo::Entry => {
                let slot = self.slots.pop_back();
                assert!(slot.is_some_and(|slot| slot.ticket == queued.ticket), "records are undone newest first");
            }
            Undo::Vote(before) => self.vote = before,
            Undo::Committed(before) => self.committed = before,
            Undo::Truncate(first, mut removed) => {
                self.first = first;
                self.slots.append(&mut removed);
            }
            Undo::Purge(first, mut removed, before) => {
                self.first = first;
                self.purged = before;
                removed.append(&mut self.slots);
                self.slots = removed;
            }
            Undo::Erased(before) => {
                let marks = self.marks;
                *self = *before;
                self.marks = marks;
            }
            Undo::Suspect(before) => self.suspect = before,
        }
    }

    fn truncate(&mut self, from: u64) -> VecDeque<Slot> {
        let kept = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.slots.split_off(kept.min(self.slots.len()))
    }

    fn purge(&mut self, upto: u64) -> VecDeque<Slot> {
        let gone = (upto.saturating_add(1)).saturating_sub(self.first);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(self.slots.len());
        let rest = self.slots.split_off(gone);
        self.first += gone as u64;
        std::mem::replace(&mut self.slots, rest)
    }
}

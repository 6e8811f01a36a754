//! From records, in the order they lie in the log, to what each stream is.
//!
//! The order in the log decides: a truncation removes what stands before it, and no copy of what it removed is ever
//! made after it (the writer copies only what is live). A copy moved forward keeps its original position and gives way
//! to anything newer in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::Recovered;
use crate::fault::fault_point;
use crate::limits::WAL_DAMAGE_REPORTS_MAX;
use crate::wal::format::{Content, LogRecord};
use crate::wal::index::{MARKS, Mark, Place, Slot, Stream, Suspicion};
use crate::wal::segment::Segment;
use crate::wal::writer::Spare;
use crate::wal::{Damage, DamageKind, Lsn, StreamId};

/// Everything read so far.
#[derive(Default)]
pub(super) struct Replay {
    streams: BTreeMap<StreamId, Line>,
    own: [Option<Place>; MARKS],
    /// Streams of which no record is left may have been lost: the log has said so.
    own_suspect: Option<Suspicion>,
    generation: u64,
    /// The start of the log as the newest batch names it.
    named_start: Lsn,
    /// The greatest position that a batch names as durable.
    durable: Lsn,
    damage: Vec<Damage>,
    /// Damage that whoever owns the log knows of, and goes on without.
    accepted: Vec<Damage>,
    gaps: Vec<Gap>,
    /// How many of the gaps are accepted.
    gaps_accepted: usize,
    /// Records read.
    records: u64,
    /// Whether the last record says that the log was closed.
    clean: bool,
}

/// Positions whose bytes cannot be read.
struct Gap {
    damage: Damage,
    from: Lsn,
    to: Lsn,
}

/// One stream while it is read.
#[derive(Default)]
struct Line {
    entries: BTreeMap<u64, (u64, Place)>,
    vote: Option<Bytes>,
    committed: Option<Bytes>,
    purged: Option<(u64, Bytes)>,
    marks: [Option<Place>; MARKS],
    erased: bool,
    recorded_suspect: Option<Suspicion>,
    /// What its first record names as the one before.
    first_link: Lsn,
    last: Lsn,
    /// A gap since the last record: the next one proves whether anything of this stream was in it.
    doubt: Option<Damage>,
    lost: Option<Damage>,
}

impl Replay {
    /// The bytes between `from` and `to` are lost.
    pub(super) fn gap(&mut self, damage: Damage, from: Lsn, to: Lsn) {
        if self.damage.len() < WAL_DAMAGE_REPORTS_MAX {
            self.damage.push(damage.clone());
        }
        for line in self.streams.values_mut() {
            line.doubt.get_or_insert_with(|| damage.clone());
        }
        self.gaps.push(Gap { damage, from, to });
    }

    /// The greatest position named durable so far.
    pub(super) fn durable(&self) -> Lsn {
        self.durable
    }

    /// Records read so far, and whether the last one says that the log was closed.
    pub(super) fn records(&self) -> (u64, bool) {
        (self.records, self.clean)
    }

    /// The next record of the log, which takes `offset..end` of its segment.
    pub(super) fn record(&mut self, segment: &Arc<Segment>, offset: u64, end: u64, record: LogRecord) {
        let at = segment.header.start.plus(offset);
        let bytes = u32::try_from(end - offset).expect("a record is smaller than a segment");
        let place = Place { original: record.moved_from.unwrap_or(at), at, bytes };
        self.records += 1;
        self.clean = record.content == Content::CleanShutdown;
        if record.stream == StreamId::LOG {
            self.own_record(record.content, place);
            return;
        }
        let new = !self.streams.contains_key(&record.stream);
        let line = self.streams.entry(record.stream).or_default();
        if new {
            line.first_link = record.link;
        } else if record.link == line.last {
            line.doubt = None;
        } else {
            let link = DamageKind::Link { stream: record.stream, expected: line.last, found: record.link };
            let damage = Damage { segment: segment.header.sequence, offset, kind: link };
            let evidence = line.doubt.take();
            if evidence.is_none() && self.damage.len() < WAL_DAMAGE_REPORTS_MAX {
                self.damage.push(damage.clone());
            }
            line.lost.get_or_insert(evidence.unwrap_or(damage));
        }
        line.last = at;
        if record.moved_from.is_some() && fault_point!("moved-not-replayed") {
            return;
        }
        line.apply(record.content, place);
    }

    fn own_record(&mut self, content: Content, place: Place) {
        match content {
            Content::Batch { start, durable } => {
                self.named_start = self.named_start.max(start);
                self.durable = self.durable.max(durable);
            }
            Content::Checkpoint { generation } if generation >= self.generation => {
                self.generation = generation;
                self.own[Mark::Checkpoint as usize] = Some(place);
            }
            Content::Suspect { segment, offset } => {
                self.own[Mark::Suspect as usize] = Some(place);
                self.own_suspect = Some(Suspicion { segment, offset });
            }
            Content::LossAccepted { .. } => {
                self.own[Mark::Suspect as usize] = None;
                self.own_suspect = None;
                self.accepted.append(&mut self.damage);
                self.gaps_accepted = self.gaps.len();
            }
            _ => {}
        }
    }

    /// The result. `oldest` is the start of the oldest segment found, `first` its sequence.
    pub(super) fn finish(
        mut self,
        oldest: Lsn,
        first: u64,
        cache_bytes: usize,
        segments: Vec<Arc<Segment>>,
        offset: u64,
        spare: Spare,
    ) -> Recovered {
        if oldest > self.named_start {
            // A segment goes only after a durable batch named a later start, so these were lost.
            let damage = Damage { segment: first.saturating_sub(1), offset: 0, kind: DamageKind::Segment };
            self.damage.push(damage.clone());
            self.gaps.push(Gap { damage, from: self.named_start, to: oldest });
        }
        let (mut streams, mut links) = (FxHashMap::default(), FxHashMap::default());
        let (mut suspects, mut next_ticket) = (Vec::new(), 1);
        for (id, mut line) in self.streams {
            // A stream met for the first time behind a gap is whole if what it follows is not in the gap.
            let first_link = line.first_link;
            if first_link > Lsn::ZERO && first_link >= self.named_start {
                let gap = self.gaps.iter().find(|gap| gap.from <= first_link && first_link < gap.to);
                let unexplained = || {
                    let kind = DamageKind::Link { stream: id, expected: Lsn::ZERO, found: first_link };
                    Damage { segment: first, offset: 0, kind }
                };
                line.lost.get_or_insert_with(|| gap.map_or_else(unexplained, |gap| gap.damage.clone()));
            }
            let missing = line.missing_entry();
            if let Some(index) = missing {
                let kind = DamageKind::Entry { stream: id, index };
                line.lost.get_or_insert(Damage { segment: first, offset: 0, kind });
            }
            let lost = line.lost.take().or(line.doubt.take()).filter(|_| !line.erased);
            links.insert(id, line.last);
            if let Some(damage) = lost.filter(|_| line.recorded_suspect.is_none()) {
                suspects.push((id, damage));
            }
            streams.insert(id, line.into_stream(missing, &mut next_ticket));
        }
        if self.own.iter().any(Option::is_some) {
            streams.insert(StreamId::LOG, Stream { marks: self.own, suspect: self.own_suspect, ..Stream::default() });
        }
        // Of a stream that is met nowhere else no link tells.
        if let Some(gap) = self.gaps.get(self.gaps_accepted).filter(|_| self.own_suspect.is_none()) {
            suspects.push((StreamId::LOG, gap.damage.clone()));
        }
        Recovered {
            generation: self.generation,
            suspects,
            streams,
            links,
            damage: self.damage,
            accepted: self.accepted,
            segments,
            offset,
            named_start: self.named_start.min(oldest),
            next_ticket,
            cache_bytes,
            spare,
            torn_bytes: 0,
            proof: None,
        }
    }
}

impl Line {
    fn apply(&mut self, content: Content, place: Place) {
        if let Some(mark) = Mark::of(content.kind()) {
            let held = &mut self.marks[mark as usize];
            if held.is_some_and(|held| held.original > place.original) {
                return;
            }
            *held = Some(place);
        }
        if self.erased {
            return;
        }
        match content {
            Content::Entry { index, term, .. } => {
                let held = self.entries.get(&index);
                let purged = self.purged.as_ref().is_some_and(|(upto, _)| index <= *upto);
                if !purged && held.is_none_or(|(_, held)| held.original <= place.original) {
                    self.entries.insert(index, (term, place));
                }
            }
            Content::Vote(vote) => self.vote = Some(vote),
            Content::Committed(committed) => self.committed = Some(committed),
            Content::Truncate { .. } if fault_point!("replay-truncated") => {}
            Content::Truncate { from } => drop(self.entries.split_off(&from)),
            Content::Purge { upto, payload } => {
                self.entries = upto.checked_add(1).map(|kept| self.entries.split_off(&kept)).unwrap_or_default();
                self.purged = Some((upto, payload));
            }
            Content::Erased => {
                let erased = self.marks[Mark::Erased as usize].filter(|_| !fault_point!("tombstone-forgotten"));
                *self =
                    Self { erased: erased.is_some(), first_link: self.first_link, last: self.last, ..Self::default() };
                self.marks[Mark::Erased as usize] = erased;
            }
            Content::Suspect { segment, offset } => self.recorded_suspect = Some(Suspicion { segment, offset }),
            Content::LossAccepted { from, end } => {
                self.entries.retain(|index, _| (from..end).contains(index));
                self.marks[Mark::Suspect as usize] = None;
                (self.recorded_suspect, self.doubt, self.lost) = (None, None, None);
                // Whatever its first record followed.
                self.first_link = Lsn::ZERO;
            }
            Content::Born(_) | Content::Batch { .. } | Content::Checkpoint { .. } | Content::CleanShutdown => {}
        }
    }

    /// The first index that is missing: after what was purged, or between two entries.
    fn missing_entry(&self) -> Option<u64> {
        let first = *self.entries.keys().next()?;
        let begins = self.purged.as_ref().map_or(first, |(upto, _)| upto.saturating_add(1));
        let mut expected = begins;
        for index in self.entries.keys() {
            if *index != expected {
                return Some(expected);
            }
            expected = expected.saturating_add(1);
        }
        None
    }

    /// Makes readable what comes before the first entry that is missing.
    fn into_stream(self, missing: Option<u64>, next_ticket: &mut u64) -> Stream {
        let before = |index: &&u64| missing.is_none_or(|missing| **index < missing);
        let count = self.entries.keys().take_while(before).count();
        let first = self.entries.keys().next().copied().unwrap_or(0);
        let slot = |(index, (term, place))| {
            *next_ticket += 1;
            (index, Slot { ticket: *next_ticket, term, place: Some(place), payload: None })
        };
        let entries = self.entries.into_iter().map(slot).collect();
        *next_ticket += 1;
        let mut stream = Stream {
            vote: self.vote,
            committed: self.committed,
            purged: self.purged,
            erased: self.erased,
            suspect: self.recorded_suspect,
            marks: self.marks,
            ..Stream::default()
        };
        stream.hold(entries, first, count);
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(original: u64, at: u64) -> Place {
        Place { original: Lsn::new(original), at: Lsn::new(at), bytes: 1 }
    }

    fn entry(index: u64, term: u64) -> Content {
        Content::Entry { index, term, payload: Bytes::new() }
    }

    #[test]
    fn a_copy_takes_its_original_place_and_gives_way_to_what_is_newer() {
        let mut line = Line::default();
        line.apply(entry(1, 1), place(10, 10));
        line.apply(Content::Vote(Bytes::from_static(b"old")), place(20, 20));
        line.apply(entry(2, 2), place(30, 30));
        line.apply(Content::Vote(Bytes::from_static(b"new")), place(40, 40));
        // Copies of 1, of another 2 that the one here replaced, of a vote that was renewed, and of what came before.
        line.apply(entry(1, 1), place(10, 50));
        line.apply(entry(2, 9), place(25, 60));
        line.apply(Content::Vote(Bytes::from_static(b"old")), place(20, 70));
        line.apply(entry(0, 1), place(5, 80));
        assert_eq!(line.entries[&1], (1, place(10, 50)), "the copy is where it will be read");
        assert_eq!(line.entries[&2], (2, place(30, 30)));
        assert_eq!(line.vote.as_deref(), Some(&b"new"[..]));
        assert_eq!(line.marks[Mark::Vote as usize], Some(place(40, 40)));
        assert_eq!((line.entries.len(), line.missing_entry()), (3, None));
        line.apply(Content::Purge { upto: 0, payload: Bytes::new() }, place(90, 90));
        line.apply(entry(0, 1), place(5, 95));
        assert_eq!(line.entries.keys().copied().collect::<Vec<_>>(), [1, 2], "what is purged stays purged");
        line.apply(Content::Erased, place(100, 100));
        line.apply(Content::Vote(Bytes::from_static(b"old")), place(40, 110));
        assert!(line.erased && line.vote.is_none() && line.entries.is_empty());
    }

    #[test]
    fn an_entry_missing_between_others_or_behind_the_purge_is_found() {
        let mut line = Line::default();
        for index in [3, 4, 6] {
            line.apply(entry(index, 1), place(index, index));
        }
        assert_eq!(line.missing_entry(), Some(5));
        line.apply(Content::Purge { upto: 4, payload: Bytes::new() }, place(9, 9));
        assert_eq!(line.missing_entry(), Some(5));
        line.apply(Content::Purge { upto: 5, payload: Bytes::new() }, place(10, 10));
        assert_eq!(line.missing_entry(), None);
    }
}

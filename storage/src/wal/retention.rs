//! Which segments are in the log, how much of each is live, and which may go.
//!
//! Segments go strictly oldest first. One may go when nothing in it is live *and* a durable batch names a later start:
//! then a recovery that finds it gone knows that it was not lost.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Lsn;
use super::index::Place;
use super::segment::Segment;

/// One segment and what of it still counts.
struct Row {
    segment: Arc<Segment>,
    live_records: u64,
    live_bytes: u64,
}

/// The segments of the log, oldest first; the last one is being written.
#[derive(Default)]
pub(super) struct SegmentTable {
    rows: VecDeque<Row>,
}

impl SegmentTable {
    pub(super) fn push(&mut self, segment: Arc<Segment>) {
        if let Some(last) = self.rows.back() {
            assert!(last.segment.end() <= segment.header.start, "W1: positions only grow");
        }
        self.rows.push_back(Row { segment, live_records: 0, live_bytes: 0 });
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.live_bytes).sum()
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.segment.header.length).sum()
    }

    /// The oldest segment and its live records, unless it is the one being written.
    pub(super) fn oldest_sealed(&self) -> Option<(Arc<Segment>, u64)> {
        let row = self.rows.front().filter(|_| self.rows.len() > 1)?;
        Some((Arc::clone(&row.segment), row.live_records))
    }

    /// Each segment, oldest first, with its live records and their bytes.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Segment, u64, u64)> {
        self.rows.iter().map(|row| (&*row.segment, row.live_records, row.live_bytes))
    }

    /// The start of the oldest segment that holds something live, or is being written.
    pub(super) fn start(&self) -> Lsn {
        let sealed = self.rows.len().saturating_sub(1);
        let dead = self.rows.iter().take(sealed).take_while(|row| row.live_records == 0).count();
        self.rows.get(dead).map_or(Lsn::ZERO, |row| row.segment.header.start)
    }

    /// The segment that holds `position`.
    pub(super) fn find(&self, position: Lsn) -> Option<Arc<Segment>> {
        self.row(position).map(|at| Arc::clone(&self.rows[at].segment))
    }

    /// The end of the segment being written.
    pub(super) fn end(&self) -> Lsn {
        self.rows.back().map_or(Lsn::ZERO, |row| row.segment.end())
    }

    /// Takes the oldest segment out if it lies wholly before `start`.
    pub(super) fn pop_before(&mut self, start: Lsn) -> Option<Arc<Segment>> {
        let front = self.rows.front().filter(|_| self.rows.len() > 1)?;
        if front.segment.end() > start {
            return None;
        }
        assert_eq!(front.live_records, 0, "W6: a segment goes only when nothing in it is live");
        self.rows.pop_front().map(|row| row.segment)
    }

    /// A record became live.
    pub(super) fn count(&mut self, place: Place) {
        let row = self.row(place.at).expect("W5: a live record lies in a segment of the log");
        self.rows[row].live_records += 1;
        self.rows[row].live_bytes += u64::from(place.bytes);
    }

    /// A record stopped being live.
    pub(super) fn discount(&mut self, place: Place) {
        let row = self.row(place.at).expect("W5: a live record lies in a segment of the log");
        let row = &mut self.rows[row];
        assert!(row.live_records > 0, "W5: live records are counted once");
        row.live_records -= 1;
        row.live_bytes -= u64::from(place.bytes);
    }

    fn row(&self, position: Lsn) -> Option<usize> {
        let after = self.rows.partition_point(|row| row.segment.header.start <= position);
        let at = after.checked_sub(1)?;
        (position < self.rows[at].segment.end()).then_some(at)
    }
}

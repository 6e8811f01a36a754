//! The search for an order.

use std::collections::BTreeSet;

use super::{CallOf, Object};
use crate::ledger::{Fate, Moment};

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// There is an order.
    Found,
    /// There is none.
    None,
    /// It has taken all the steps it may.
    GaveUp {
        /// How many.
        steps: u64,
    },
}

/// A search under way. Beginnings and ends stand in a doubly linked list in the order of time; a call that has been done is
/// taken out, and put back when the search retreats. Up to the first end in the list, every beginning is a call that may be
/// done next.
///
/// A call of unknown fate has no end in the list. It is done only where it matters, which is right before a call that it
/// makes a difference to. If the next call would answer the same without it, and leave the same state, then all that can be
/// done after the two can be done after the next call alone, and the unknown one later besides. If the two may as well
/// change places, they do. And one that changes nothing is not done.
pub struct Search<'a, O: Object> {
    object: &'a O,
    calls: &'a [&'a CallOf<O>],
    steps_max: u64,
    /// Entries of the list; the first is before all.
    entries: Vec<Entry>,
    done: Vec<u64>,
    undone_answers: usize,
    state: O::State,
    trail: Vec<Done<O::State>>,
    seen: BTreeSet<(Vec<u64>, O::State)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    call: usize,
    is_end: bool,
    /// Of a beginning: where the end is; zero: nowhere.
    end: usize,
    before: usize,
    after: usize,
}

/// A call that has been done.
struct Done<S> {
    entry: usize,
    /// The state before it.
    before: S,
    is_unknown: bool,
    /// The latest beginning among it and those done before it.
    newest: Moment,
}

const FIRST: usize = 0;

impl<'a, O: Object> Search<'a, O> {
    /// A search for an order of `calls`, none of which certainly did nothing.
    pub fn new(object: &'a O, calls: &'a [&'a CallOf<O>], steps_max: u64) -> Search<'a, O> {
        let mut moments: Vec<(Moment, usize, bool)> = Vec::with_capacity(2 * calls.len());
        let mut undone_answers = 0;
        for (index, call) in calls.iter().enumerate() {
            moments.push((call.began, index, false));
            if let (Fate::Answered(_), Some(ended)) = (&call.fate, call.ended) {
                moments.push((ended, index, true));
                undone_answers += 1;
            }
        }
        moments.sort_unstable();
        let mut entries = vec![Entry { call: usize::MAX, is_end: true, end: 0, before: FIRST, after: 1 }];
        let mut beginnings = vec![0; calls.len()];
        for (_, call, is_end) in moments {
            let at = entries.len();
            // The list ends where it began.
            entries.push(Entry { call, is_end, end: 0, before: at - 1, after: at + 1 });
            match is_end {
                false => beginnings[call] = at,
                true => entries[beginnings[call]].end = at,
            }
        }
        let last = entries.len() - 1;
        entries[last].after = FIRST;
        entries[FIRST].before = last;
        Search {
            object,
            calls,
            steps_max,
            entries,
            done: vec![0; calls.len().div_ceil(64)],
            undone_answers,
            state: object.initial(),
            trail: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Runs it.
    pub fn run(mut self) -> Searched {
        let mut steps = 0;
        let mut at = self.entries[FIRST].after;
        while self.undone_answers > 0 {
            steps += 1;
            if steps > self.steps_max {
                return Searched::GaveUp { steps: self.steps_max };
            }
            // Past the first end, or at the end of the list, nothing more may be done next.
            if self.entries[at].is_end {
                match self.retreat() {
                    Some(entry) => at = self.entries[entry].after,
                    None => return Searched::None,
                }
            } else if self.advance(at) {
                at = self.entries[FIRST].after;
            } else {
                at = self.entries[at].after;
            }
        }
        Searched::Found
    }

    /// Does the call that begins at `entry`, if it may be done and this leads anywhere new.
    fn advance(&mut self, entry: usize) -> bool {
        let index = self.entries[entry].call;
        let call = self.calls[index];
        let (next, output) = self.object.step(&self.state, &call.input);
        let is_unknown = match &call.fate {
            Fate::Answered(answer) if *answer != output => return false,
            Fate::Answered(_) => false,
            Fate::Unknown | Fate::Nothing => true,
        };
        let newest = self.trail.last().map_or(Moment(0), |done| done.newest);
        if is_unknown && (next == self.state || call.ended.is_some_and(|ended| ended < newest)) {
            return false;
        }
        if self.last_does_not_matter_to(index, &next) {
            return false;
        }
        let (word, bit) = (index / 64, 1 << (index % 64));
        self.done[word] |= bit;
        if !self.seen.insert((self.done.clone(), next.clone())) {
            self.done[word] &= !bit;
            return false;
        }
        self.undone_answers -= usize::from(!is_unknown);
        let before = std::mem::replace(&mut self.state, next);
        self.trail.push(Done { entry, before, is_unknown, newest: newest.max(call.began) });
        self.take_out(entry);
        if self.entries[entry].end != 0 {
            self.take_out(self.entries[entry].end);
        }
        true
    }

    /// Whether the last call done is of unknown fate and need not be done before call `index`, which leads to `next`.
    fn last_does_not_matter_to(&self, index: usize, next: &O::State) -> bool {
        let Some(last) = self.trail.last().filter(|last| last.is_unknown) else { return false };
        let call = self.calls[index];
        let (without, output) = self.object.step(&last.before, &call.input);
        if call.answer().is_some_and(|answer| *answer != output) {
            return false;
        }
        let last = self.entries[last.entry].call;
        // Of two unknown ones that may change places the first comes first.
        let may_follow = self.calls[last].ended.is_none() && (call.answer().is_some() || index < last);
        without == *next || may_follow && self.object.step(&without, &self.calls[last].input).0 == *next
    }

    /// Undoes the last call; gives its beginning.
    fn retreat(&mut self) -> Option<usize> {
        let done = self.trail.pop()?;
        let Entry { call, end, .. } = self.entries[done.entry];
        if end != 0 {
            self.put_back(end);
        }
        self.put_back(done.entry);
        self.state = done.before;
        self.done[call / 64] &= !(1 << (call % 64));
        self.undone_answers += usize::from(!done.is_unknown);
        Some(done.entry)
    }

    fn take_out(&mut self, entry: usize) {
        let Entry { before, after, .. } = self.entries[entry];
        self.entries[before].after = after;
        self.entries[after].before = before;
    }

    fn put_back(&mut self, entry: usize) {
        let Entry { before, after, .. } = self.entries[entry];
        self.entries[before].after = entry;
        self.entries[after].before = entry;
    }
}

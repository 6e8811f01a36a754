//! How far a feed has come, element by element: behind which of them it can go on exactly, and where.
//!
//! Changes are taken in an order in which those of each shard are in the order of its log. A token says of each shard where to go
//! on. So it is exact behind an element if the elements given until then show all that was taken up to some change, and nothing of what
//! was taken later. That is not so
//!
//! - between the elements of one change that made several,
//! - where an element shows a later change too, because it was squashed, while what was taken in between still waits; and while changes
//!   that were squashed to nothing are taken in part,
//! - while initial content is given, and until every shard is told of beyond the snapshots that it was read from: what these
//!   include would be told again.
//!
//! Nothing is kept here but of elements that wait: a change that shows nothing counts as part of the one before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::{SmallVec, smallvec};

use super::change::Token;
use super::token::{self, Origin};
use crate::table::{Change, Cut, Join, ShardNumber, Source, Standing};

/// What is known of the feed's way. Elements are those of a queue, in the same order.
pub(super) struct Trail {
    origin: Origin,
    /// Where one stands who knows all that was given so far.
    reached: BTreeMap<ShardNumber, Standing>,
    /// Of which group each shard is that the feed began with, where that is not the first one.
    groups: BTreeMap<ShardNumber, u64>,
    /// What was taken and not given yet, oldest first: of each element that waits a step at most, and of changes that made no element
    /// none of their own.
    steps: VecDeque<Step>,
    waiting: VecDeque<Shows>,
    /// From which change to which something was on its way to be shown and in the end was not, because a document was again what it had
    /// been: who knows the beginning must know the end. As far as elements wait that begin in between; ascending, none touches another.
    hidden: VecDeque<Shows>,
    /// The number of the last change that was taken.
    taken: u64,
    /// The last change that any given element shows.
    shown: u64,
    cuts: Vec<Cut>,
    joins: Vec<Join>,
    /// Those of which everything is known, and that were joined to others: they are no sources any more.
    ended: BTreeSet<ShardNumber>,
    /// The newest snapshot of each shard from which initial content was read, as far as `reached` is not behind it; `None`: it is
    /// still being read.
    snapshots: Option<Vec<(ShardNumber, u64)>>,
}

/// A change that made elements, with those behind it that made none.
struct Step {
    number: u64,
    /// Where one stands behind it; each shard once.
    then: SmallVec<[Reached; 1]>,
}

/// A shard, and where one stands there.
#[derive(Clone, Copy)]
struct Reached {
    shard: ShardNumber,
    standing: Standing,
}

/// The first and the last change that an element shows, by their numbers.
#[derive(Clone, Copy)]
struct Shows {
    first: u64,
    last: u64,
}

impl Trail {
    /// Of a feed that begins at `sources`.
    pub fn new(origin: Origin, sources: &[Source]) -> Trail {
        Trail {
            origin,
            reached: sources.iter().map(|source| (source.shard, source.standing)).collect(),
            groups: sources
                .iter()
                .filter(|source| source.group != 0)
                .map(|source| (source.shard, source.group))
                .collect(),
            steps: VecDeque::new(),
            waiting: VecDeque::new(),
            hidden: VecDeque::new(),
            taken: 0,
            shown: 0,
            cuts: Vec::new(),
            joins: Vec::new(),
            ended: BTreeSet::new(),
            snapshots: None,
        }
    }

    /// All initial content was read, of each shard up to this index.
    pub fn content_is_read(&mut self, newest: impl Iterator<Item = (ShardNumber, u64)>) {
        if self.snapshots.is_none() {
            self.snapshots = Some(newest.collect());
        }
    }

    /// `cuts` are those that the subscription has heard of.
    pub fn hears_of(&mut self, cuts: &[Cut]) {
        self.cuts.extend_from_slice(&cuts[self.cuts.len().min(cuts.len())..]);
    }

    /// Everything that the subscription has told so far is taken, and `joins` are those that it has passed by then. That one stands behind
    /// a join shows nothing, and counts as part of what was taken last.
    pub fn passes(&mut self, joins: &[Join]) {
        for join in joins.iter().skip(self.joins.len()) {
            self.joins.push(*join);
            let standing = Standing::behind(join.into.index);
            self.with_the_last_before(self.steps.len(), Reached { shard: join.into.shard, standing });
        }
    }

    /// A change is taken. Before its elements are queued.
    pub fn takes(&mut self) {
        self.taken += 1;
    }

    /// An element is queued.
    pub fn queued(&mut self) {
        self.waiting.push_back(Shows { first: self.taken, last: self.taken });
    }

    /// An element that waits at `place` shows the change, too.
    pub fn squashed(&mut self, place: usize) {
        if let Some(shows) = self.waiting.get_mut(place) {
            shows.last = self.taken;
        }
    }

    /// The element that waits at `place` shows nothing any more, and has gone.
    pub fn cancelled(&mut self, place: usize) {
        let Some(Shows { first, .. }) = self.waiting.remove(place) else { return };
        if self.waiting.back().is_some_and(|shows| shows.first > first) {
            let mut hidden = Shows { first, last: self.taken };
            while let Some(before) = self.hidden.pop_back_if(|before| before.last >= hidden.first) {
                hidden.first = hidden.first.min(before.first);
            }
            self.hidden.push_back(hidden);
        }
        let neighbours = [place.checked_sub(1), Some(place)].into_iter().flatten();
        let stays = neighbours.filter_map(|place| self.waiting.get(place)).any(|shows| shows.first == first);
        let Ok(of) = self.steps.binary_search_by_key(&first, |step| step.number) else { return };
        if stays {
            return;
        }
        let Some(step) = self.steps.remove(of) else { return };
        step.then.into_iter().for_each(|source| self.with_the_last_before(of, source));
    }

    /// The change has been taken with all of its elements.
    pub fn took(&mut self, change: &Change) {
        let source = Reached { shard: change.position.shard, standing: change.then };
        if self.waiting.back().is_some_and(|shows| shows.first == self.taken) {
            self.steps.push_back(Step { number: self.taken, then: smallvec![source] });
        } else {
            self.with_the_last_before(self.steps.len(), source);
        }
    }

    /// The first element that waits is given: where one stands who knows it.
    pub fn gives(&mut self) -> Token {
        let shows = self.waiting.pop_front()?;
        self.shown = self.shown.max(shows.last);
        let ahead = self.waiting.front().map_or(u64::MAX, |next| next.first);
        while self.hidden.pop_front_if(|hidden| hidden.last < ahead).is_some() {}
        if ahead <= self.shown || self.hidden.front().is_some_and(|hidden| hidden.first < ahead) {
            // It can end at none of them any more.
            while let Some(step) = self.steps.get(1).filter(|step| step.number < ahead) {
                let then = step.then.clone();
                self.steps.remove(1);
                then.into_iter().for_each(|source| self.with_the_last_before(1, source));
            }
            return None;
        }
        while let Some(step) = self.steps.pop_front_if(|step| step.number < ahead) {
            step.then.into_iter().for_each(|source| self.reaches(source));
        }
        self.here()
    }

    /// Nothing that waits will be given.
    pub fn skipped(&mut self) {
        self.waiting.clear();
        self.hidden.clear();
        for step in std::mem::take(&mut self.steps) {
            step.then.into_iter().for_each(|source| self.reaches(source));
        }
    }

    /// Where one stands who knows all that was given, if nothing waits; `None`: not exactly anywhere.
    pub fn stands(&mut self) -> Token {
        if !self.waiting.is_empty() {
            return None;
        }
        self.skipped();
        self.here()
    }

    fn here(&mut self) -> Token {
        self.begin_what_was_cut_off();
        self.end_what_was_joined();
        let snapshots = self.snapshots.as_mut()?;
        let (reached, ended) = (&self.reached, &self.ended);
        let is_ahead =
            |(shard, newest): &_| reached.get(shard).is_none_or(|standing: &Standing| standing.index <= *newest);
        snapshots.retain(|snapshot| is_ahead(snapshot) && !ended.contains(&snapshot.0));
        if !snapshots.is_empty() {
            return None;
        }
        let group = |shard: &ShardNumber| self.groups.get(shard).copied().unwrap_or_default();
        let source = |(shard, standing): (&ShardNumber, &Standing)| Source {
            shard: *shard,
            standing: *standing,
            group: group(shard),
        };
        token::write(self.origin, self.reached.iter().map(source))
    }

    /// Counts a source as part of the step before the one at `place`; of what was given, if there is none.
    fn with_the_last_before(&mut self, place: usize, source: Reached) {
        let Some(step) = place.checked_sub(1).and_then(|place| self.steps.get_mut(place)) else {
            return self.reaches(source);
        };
        match step.then.iter_mut().find(|known| known.shard == source.shard) {
            Some(known) => known.standing = known.standing.max(source.standing),
            None => step.then.push(source),
        }
    }

    fn begin_what_was_cut_off(&mut self) {
        while let Some(child) = self.cuts.iter().find(|cut| self.is_passed(cut)).map(|cut| cut.to) {
            self.begins(child);
        }
    }

    /// Who stands behind a join knows everything of the shard that was joined, and of the cuts of which that told last.
    fn end_what_was_joined(&mut self) {
        let is_passed = |trail: &Trail, join: &&Join| {
            let into = trail.reached.get(&join.into.shard);
            into.is_some_and(|into| into.index > join.into.index) && !trail.ended.contains(&join.of)
        };
        while let Some(Join { of, end, .. }) = self.joins.iter().find(|join| is_passed(self, join)).copied() {
            self.reaches(Reached { shard: of, standing: Standing::behind(end) });
            self.begin_what_was_cut_off();
            self.reached.remove(&of);
            self.ended.insert(of);
        }
    }

    fn reaches(&mut self, source: Reached) {
        debug_assert!(!self.ended.contains(&source.shard), "{:?} was joined, and tells something", source.shard);
        self.begins(source.shard);
        let standing = self.reached.entry(source.shard).or_insert(source.standing);
        *standing = source.standing.max(*standing);
    }

    /// Whether the other shard's part has begun, and is to be listened to for itself.
    fn is_passed(&self, cut: &Cut) -> bool {
        let of = self.reached.get(&cut.of.shard);
        let is_known = self.reached.contains_key(&cut.to) || self.ended.contains(&cut.to);
        of.is_some_and(|of| of.index > cut.of.index) && !is_known
    }

    /// Who hears of a shard that was cut off has heard everything of the other one up to the cut.
    fn begins(&mut self, shard: ShardNumber) {
        if self.reached.contains_key(&shard) {
            return;
        }
        let cut = self.cuts.iter().find(|cut| cut.to == shard).copied();
        debug_assert!(cut.is_some(), "{shard:?} is no source, and was cut off from none");
        let Some(cut) = cut else { return };
        let behind = Standing::behind(cut.of.index);
        self.reaches(Reached { shard: cut.of.shard, standing: behind });
        self.reached.insert(shard, behind);
    }
}

#[cfg(test)]
mod tests;

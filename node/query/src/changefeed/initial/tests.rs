//! Initial content of a table whose shards are written, split and joined while it is read: whoever applies what is given and shown, in the
//! order in which it comes, has the table at the end, and nothing is given or shown twice on the way. Where there is a resume token, what
//! was shown is what happened before it.

mod model;
mod scan;

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::super::token::{self, Origin, ReadToken};
use super::super::trail::Trail;
use super::*;
use crate::table::{Cut, Join, Source, Standing};
use model::{Event, KEYS, Selection, Step, Version, World, document, number};
use scan::Scan;

/// Who listens: where it stands in each shard's log.
struct Feed {
    world: Rc<RefCell<World>>,
    selection: Selection,
    initial: Initial,
    sources: Vec<(ShardNumber, u64)>,
    /// What it has been told that there is: each key with the number of its version.
    seen: BTreeMap<u8, u64>,
    trail: Trail,
    cuts: Vec<Cut>,
    joins: Vec<Join>,
    cx: Cx,
}

impl Feed {
    /// Listens to the world as it is; nothing is read yet.
    fn open(world: &Rc<RefCell<World>>, selection: Selection) -> Feed {
        let sources: Vec<_> = world.borrow().live().map(|shard| (shard.number, shard.index)).collect();
        let begins =
            sources.iter().map(|(shard, index)| Source { shard: *shard, standing: Standing::behind(*index), group: 0 });
        let trail = Trail::new(Origin { table: 1, query: 1 }, &begins.collect::<Vec<_>>());
        let initial = Initial::of(None, selection.kind(), "id".into());
        let (seen, cuts, joins) = (BTreeMap::new(), Vec::new(), Vec::new());
        Feed { world: world.clone(), selection, initial, sources, seen, trail, cuts, joins, cx: Cx::pure() }
    }

    /// Begins to read the world as it is. The steps are taken between looks that find nothing.
    fn begin(&mut self, between: Vec<Step>) {
        let rows = Box::new(Scan::open(&self.world, self.selection, between));
        self.initial = Initial::of(Some(rows), self.selection.kind(), "id".into());
    }

    fn read(&mut self) {
        for row in self.initial.next(&self.cx).expect("is read") {
            let of = |name: &str| row.document.field(name).expect("has it").as_number().expect("a number");
            let (key, version) = (of("id") as u8, of("version") as u64);
            assert_eq!(self.seen.insert(key, version), None, "{key} is given twice");
        }
        if self.initial.is_complete() {
            self.trail.content_is_read(self.initial.newest());
        }
        self.check_token();
    }

    /// Whether there is one; then what was seen is what happened before it.
    fn check_token(&mut self) -> bool {
        let Some(token) = self.trail.stands() else { return false };
        let token = token::read(token.as_bytes()).expect("a token");
        let world = self.world.borrow();
        // The last change of each key, with its index.
        let mut before: BTreeMap<u8, (u64, Option<Version>)> = BTreeMap::new();
        for shard in &world.shards {
            for (index, event) in &shard.log {
                let is_before = world.is_before(shard.number, *index, &token);
                match event {
                    Event::Changed { key, new, .. } if is_before => {
                        let last = before.entry(*key).or_default();
                        *last = (*last).max((*index, *new));
                    }
                    Event::CutOff(child) => {
                        let is_named = token.sources.iter().any(|source| source.shard == *child);
                        let is_to_be = is_before && !world.is_joined_before(*child, &token);
                        assert_eq!(is_to_be, is_named, "{child:?} in {token:?}");
                    }
                    Event::Changed { .. } | Event::Joined(_) => {}
                }
            }
        }
        let seen = before.into_iter().filter_map(|(key, (_, new))| Some((key, self.selection.version(key, new)?)));
        assert_eq!(self.seen, seen.collect::<BTreeMap<_, _>>(), "{token:?}");
        true
    }

    /// The next thing that one of the shards tells; whether there was any.
    fn hear(&mut self, of: usize) -> bool {
        let (shard, after) = self.sources[of];
        let Some((index, event)) = self.world.borrow().next(shard, after) else { return false };
        if let Event::Joined(right) = event {
            // Who listens to both waits for the end of the one that was joined.
            let source = self.sources.iter().find(|(shard, _)| *shard == right);
            if source.is_some_and(|(right, after)| self.world.borrow().next(*right, *after).is_some()) {
                return false;
            }
        }
        self.sources[of].1 = index;
        match event {
            Event::Joined(right) => {
                // Of one that was joined before it was listened to, nobody speaks.
                if let Some(at) = self.sources.iter().position(|(shard, _)| *shard == right) {
                    self.sources.remove(at);
                    let end = self.world.borrow().shard(right).index;
                    self.joins.push(Join { into: Position { shard, index }, of: right, end });
                }
                self.trail.hears_of(&self.cuts);
                self.trail.passes(&self.joins);
                self.check_token();
            }
            Event::CutOff(child) => {
                self.cuts.push(Cut { of: Position { shard, index }, to: child });
                self.sources.push((child, index));
            }
            Event::Changed { key, old, new } => {
                let datum = |version: Option<Version>| version.map(|version| document(key, version));
                let (position, then) = (Position { shard, index }, Standing::behind(index));
                let change = Change { old: datum(old), new: datum(new), position, then };
                self.trail.hears_of(&self.cuts);
                self.trail.takes();
                let is_shown = self.is_shown(key, old, new, &change);
                if is_shown {
                    self.trail.queued();
                }
                self.trail.took(&change);
                if is_shown {
                    drop(self.trail.gives());
                }
                self.check_token();
            }
        }
        true
    }

    fn hear_all(&mut self) {
        while (0..self.sources.len()).any(|of| self.hear(of)) {}
    }

    /// Whether it was, and not left to initial content.
    fn is_shown(&mut self, key: u8, old: Option<Version>, new: Option<Version>, change: &Change) -> bool {
        let places: Vec<_> = self.selection.place(key, new).map(number).into_iter().collect();
        let fate = self.initial.fate(&number(key), &places, change, &self.cx).expect("is known");
        let (old, new) = (self.selection.version(key, old), self.selection.version(key, new));
        let known = match fate {
            Fate::Drop => return false,
            Fate::Show => old,
            Fate::ShowAsNew => None,
        };
        if known.is_none() && new.is_none() {
            return false;
        }
        assert_eq!(self.seen.remove(&key), known, "{key} {old:?} {new:?} {:?} {fate:?}", change.position);
        self.seen.extend(new.map(|version| (key, version)));
        true
    }
}

/// A feed of a table in two shards, the second of which begins with the key 12, that has read the keys 1, 2 and 20 by the index.
fn read_of_two() -> Feed {
    let world = World::whole();
    [1, 2, 20].into_iter().for_each(|key| world.borrow_mut().write(key, Some(key)));
    world.borrow_mut().split(12);
    let mut feed = Feed::open(&world, Selection::Index);
    feed.begin(Vec::new());
    while !feed.initial.is_complete() {
        feed.read();
    }
    feed
}

impl Feed {
    /// The documents that are remembered.
    fn remembered(&self) -> Vec<Datum> {
        self.initial.lanes.iter().flat_map(|lane| lane.documents.keys().cloned()).collect()
    }
}

#[test]
fn what_was_given_is_forgotten_though_nothing_happens_to_what_was_cut_off_long_ago() {
    let mut feed = read_of_two();
    assert_eq!(feed.remembered().len(), 3);
    for key in [3, 4] {
        feed.world.borrow_mut().write(key, Some(key));
        feed.hear_all();
        assert_eq!(feed.remembered(), [number(20)], "of the other shard alone");
    }
    assert_eq!(feed.cx.held(), remembered(&number(20)));
}

#[test]
fn what_was_given_of_a_shard_that_was_joined_is_forgotten_with_the_first_change_of_its_keys() {
    let mut feed = read_of_two();
    feed.world.borrow_mut().join(12);
    for (key, left) in [(3, vec![number(20)]), (21, vec![])] {
        feed.world.borrow_mut().write(key, Some(key));
        feed.hear_all();
        assert_eq!(feed.remembered(), left, "{key}");
    }
    assert_eq!(feed.cx.held(), 0);
}

#[test]
fn a_shard_counts_with_the_newest_snapshot_of_the_lanes_that_were_read_of_it_last() {
    let world = World::whole();
    (0..KEYS).for_each(|key| world.borrow_mut().write(key, Some(key)));
    world.borrow_mut().split(2);
    let mut feed = Feed::open(&world, Selection::Range);
    feed.begin(Vec::new());
    feed.read();
    feed.read();
    assert_eq!(feed.initial.newest().collect::<Vec<_>>(), [(ShardNumber(0), 25), (ShardNumber(1), 25)]);
    world.borrow_mut().join(2);
    world.borrow_mut().write(0, None);
    feed.read();
    assert_eq!(feed.initial.newest().collect::<Vec<_>>(), [(ShardNumber(0), 28)], "both lanes are the left shard's");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_whose_shards_change_while_it_is_read_is_shown_as_it_is(
        selection in prop::sample::select(Selection::ALL.to_vec()),
        before in prop::collection::vec(any::<Step>(), 0..30),
        meanwhile in prop::collection::vec(any::<Step>(), 0..6),
        between in prop::collection::vec(any::<Step>(), 0..12),
        then in prop::collection::vec(any::<Step>(), 0..80),
    ) {
        let world = World::whole();
        before.into_iter().for_each(|what| world.borrow_mut().step(what));
        let mut feed = Feed::open(&world, selection);
        // Shards may have been split or joined between the two.
        meanwhile.into_iter().for_each(|what| world.borrow_mut().step(what));
        feed.begin(between);
        for (what, key, place) in then {
            match what % 4 {
                0 if what >= 128 => feed.read(),
                0 | 1 => drop(feed.hear(usize::from(key) % feed.sources.len())),
                _ => world.borrow_mut().step((what / 4, key, place)),
            }
        }
        while !feed.initial.is_complete() {
            feed.read();
        }
        feed.hear_all();
        let is_there = |(key, version): (&u8, &Version)| Some((*key, selection.version(*key, Some(*version))?));
        prop_assert_eq!(&feed.seen, &world.borrow().documents.iter().filter_map(is_there).collect::<BTreeMap<_, _>>());
        // Once something has happened to each key, nothing is remembered, and there is a token.
        (0..KEYS).for_each(|key| world.borrow_mut().write(key, Some(key)));
        feed.hear_all();
        prop_assert_eq!((feed.initial.lane_of(&number(0)), feed.cx.held()), (None, 0));
        prop_assert!(feed.check_token());
    }
}

//! A queue with a trail, fed from shards that are written, split and joined: whoever has a token has been shown what was taken up to there,
//! and nothing of what was taken later.

use photondb_reql::datum::Datum;
use photondb_reql::eval::{Cx, Limits, NoWorld};
use proptest::prelude::*;

use super::super::change::Shown;
use super::super::queue::Queue;
use super::super::{FeedOptions, Resume, Squash};
use super::*;
use crate::table::Position;

/// Keys are below it; the first one of each shard is a multiple of four.
const KEYS: u64 = 16;

const ORIGIN: Origin = Origin { table: 1, query: 2 };

/// How often a document is shown: its key says so, but squashing makes one of several.
fn often(key: u64, squash: Squash) -> usize {
    let often = [1, 1, 2, 0][key as usize % 4];
    if squash == Squash::No { often } else { often.min(1) }
}

/// One shard.
struct Shard {
    keys: std::ops::Range<u64>,
    index: u64,
    /// How many changes its last entry has, which may get more.
    of_entry: u32,
}

impl Shard {
    /// An entry behind `index` that changes nothing.
    fn passes_entry(&mut self, index: u64) -> u64 {
        (self.index, self.of_entry) = (self.index.max(index) + 1, 0);
        self.index
    }
}

/// A change of a document to what nobody else made it.
struct Logged {
    key: u64,
    new: Option<u64>,
    at: Position,
    number: u32,
}

struct World {
    shards: Vec<Shard>,
    cuts: Vec<Cut>,
    joins: Vec<Join>,
    log: Vec<Logged>,
    documents: BTreeMap<u64, u64>,
}

impl World {
    fn write(&mut self, key: u64, new: Option<u64>, same_entry: bool) {
        let of = self.shards.iter().position(|shard| shard.keys.contains(&key)).expect("every key is some shard's");
        let shard = &mut self.shards[of];
        if !same_entry || shard.of_entry == 0 {
            (shard.index, shard.of_entry) = (shard.index + 1, 0);
        }
        let at = Position { shard: ShardNumber(of as u64), index: shard.index };
        self.log.push(Logged { key, new, at, number: shard.of_entry });
        shard.of_entry += 1;
    }

    fn split(&mut self, at: u64) {
        let of = self.shards.iter().position(|shard| shard.keys.contains(&at)).expect("every key is some shard's");
        let to = ShardNumber(self.shards.len() as u64);
        let shard = &mut self.shards[of];
        if shard.keys.start == at {
            return;
        }
        let (keys, index) = (at..shard.keys.end, shard.passes_entry(0));
        shard.keys.end = at;
        self.cuts.push(Cut { of: Position { shard: ShardNumber(of as u64), index }, to });
        self.shards.push(Shard { keys, index, of_entry: 0 });
    }

    /// Joins the shard that has the key to its left neighbour.
    fn join(&mut self, key: u64) {
        let of = self.shards.iter().position(|shard| shard.keys.contains(&key)).expect("every key is some shard's");
        let keys = self.shards[of].keys.clone();
        let beside = |shard: &Shard| shard.keys.end == keys.start && !shard.keys.is_empty();
        let Some(into) = self.shards.iter().position(beside) else { return };
        let end = self.shards[of].passes_entry(0);
        self.shards[of].keys = 0..0;
        let index = self.shards[into].passes_entry(end);
        self.shards[into].keys.end = keys.end;
        let into = Position { shard: ShardNumber(into as u64), index };
        self.joins.push(Join { into, of: ShardNumber(of as u64), end });
    }

    /// With which entry of a shard somebody goes on who stands there; all is known of one that was joined to a shard which is known so far.
    fn stands(&self, shard: ShardNumber, sources: &[Source]) -> Option<Standing> {
        let standing = sources.iter().find(|source| source.shard == shard).map(|source| source.standing);
        standing.or_else(|| self.has_ended(shard, sources).then_some(Standing { index: u64::MAX, given: 0 }))
    }

    fn has_ended(&self, shard: ShardNumber, sources: &[Source]) -> bool {
        let is_passed = |join: &Join| {
            self.stands(join.into.shard, sources).is_some_and(|standing| standing.index > join.into.index)
        };
        self.joins.iter().any(|join| join.of == shard && is_passed(join))
    }

    /// The documents as they are for somebody who stands there.
    fn at(&self, sources: &[Source], squash: Squash) -> BTreeMap<u64, Vec<u64>> {
        let mut documents = BTreeMap::new();
        for logged in &self.log {
            let place = Standing { index: logged.at.index, given: logged.number };
            if self.stands(logged.at.shard, sources).is_some_and(|standing| place < standing) {
                documents.insert(logged.key, logged.new);
            }
        }
        let shown = |(key, new): (u64, Option<u64>)| Some((key, vec![new?; often(key, squash)]));
        documents.into_iter().filter_map(shown).filter(|(_, shown)| !shown.is_empty()).collect()
    }

    /// A shard is a source as soon as the other one stands behind the cut, and until another stands behind the join.
    fn is_canonical(&self, sources: &[Source]) -> bool {
        let is_passed =
            |at: &Position| self.stands(at.shard, sources).is_some_and(|standing| standing.index > at.index);
        (0..self.shards.len() as u64).map(ShardNumber).all(|shard| {
            let cut = self.cuts.iter().find(|cut| cut.to == shard);
            let has_begun = cut.is_none_or(|cut| is_passed(&cut.of));
            let source = sources.iter().find(|source| source.shard == shard);
            let is_behind = |source: &Source| cut.is_none_or(|cut| source.standing.index > cut.of.index);
            source.is_some() == (has_begun && !self.has_ended(shard, sources)) && source.is_none_or(is_behind)
        })
    }
}

/// Who takes from the shards, and gives to a reader.
struct Feed {
    queue: Queue,
    options: FeedOptions,
    /// How many changes of each shard were taken. Shards that were cut off are listened to when the cut is heard of.
    heard: BTreeMap<ShardNumber, usize>,
    cuts: Vec<Cut>,
    joins: Vec<Join>,
    known: BTreeMap<u64, u64>,
    shown: BTreeMap<u64, Vec<u64>>,
    cx: Cx,
    tokens: usize,
    elements: usize,
}

impl Feed {
    /// Takes the next change of a source, or hears of a cut.
    fn take(&mut self, world: &World, of: usize) {
        let Some((shard, taken)) = self.heard.iter().nth(of % self.heard.len()).map(|(shard, taken)| (*shard, *taken))
        else {
            return;
        };
        let mut changes = world.log.iter().filter(|logged| logged.at.shard == shard).skip(taken);
        let next = changes.next();
        if !self.hears(world, shard, next.map_or(u64::MAX, |next| next.at.index)) {
            return;
        }
        let Some(Logged { key, new, at, number }) = next else { return };
        self.heard.insert(shard, taken + 1);
        let is_last = changes.next().is_none_or(|next| next.at.index != at.index);
        // It is known to be the last one only if it stays so.
        let is_last = is_last && world.shards[shard.0 as usize].index > at.index;
        let then = if is_last { Standing::behind(at.index) } else { Standing { index: at.index, given: number + 1 } };
        let old = self.known.remove(key);
        self.known.extend(new.map(|new| (*key, new)));
        let datum = |version: Option<u64>| version.map(Datum::from);
        let change = Change { old: datum(old), new: datum(*new), position: *at, then };
        if let Some(trail) = &mut self.queue.trail {
            trail.hears_of(&self.cuts);
            trail.takes();
        }
        for _ in 0..often(*key, self.options.squash) {
            let shown = Shown { old: change.old.clone(), new: change.new.clone(), ..Shown::default() };
            if shown.old != shown.new {
                self.queue.push(Datum::from(*key), shown, &self.cx);
            }
        }
        if let Some(trail) = &mut self.queue.trail {
            trail.took(&change);
        }
    }

    /// Hears of the cuts and joins in a shard's log before that index; `false`: it has to wait at one of them.
    fn hears(&mut self, world: &World, shard: ShardNumber, before: u64) -> bool {
        let is_there = |at: Position| at.shard == shard && at.index < before;
        let cuts = world.cuts.iter().filter(|cut| is_there(cut.of)).map(|cut| (cut.of.index, Some(cut), None));
        let joins = world.joins.iter().filter(|join| is_there(join.into));
        let mut all: Vec<_> = cuts.chain(joins.map(|join| (join.into.index, None, Some(join)))).collect();
        all.sort_by_key(|(index, ..)| *index);
        for (_, cut, join) in all {
            if let Some(cut) = cut.filter(|cut| !self.cuts.contains(cut)) {
                self.heard.insert(cut.to, 0);
                self.cuts.push(*cut);
            }
            if join.is_some_and(|join| !self.passes(world, join)) {
                return false;
            }
        }
        true
    }

    /// Whether all is known of the shard that was joined, so that it is no source any more; if not, the other one is not listened to for
    /// now.
    fn passes(&mut self, world: &World, join: &Join) -> bool {
        let Join { of, .. } = join;
        if self.joins.contains(join) {
            return true;
        }
        let all = world.log.iter().filter(|logged| logged.at.shard == *of).count();
        let cuts = world.cuts.iter().filter(|cut| cut.of.shard == *of).all(|cut| self.cuts.contains(cut));
        let joins = world.joins.iter().filter(|join| join.into.shard == *of).all(|join| self.joins.contains(join));
        let is_drained = self.heard[of] == all && cuts && joins;
        if is_drained {
            self.heard.remove(of);
            self.joins.push(*join);
            if let Some(trail) = &mut self.queue.trail {
                trail.hears_of(&self.cuts);
                trail.passes(&self.joins);
            }
        }
        is_drained
    }

    /// Gives one element.
    fn give(&mut self, world: &World) {
        let mut out = Vec::new();
        self.queue.take(1, &self.options, &mut out, &self.cx);
        let Some(element) = out.pop() else { return };
        self.elements += 1;
        let version = |name: &str| {
            let value = element.field(name).expect("has it");
            value.as_number().ok().map(|number| number as u64)
        };
        let (old, new) = (version("old_val"), version("new_val"));
        let made = new.or(old).expect("one of them");
        let key = made % KEYS;
        let shown = self.shown.entry(key).or_default();
        if let Some(old) = old {
            let place = shown.iter().position(|version| *version == old).expect("it was shown");
            shown.remove(place);
        }
        shown.extend(new);
        if shown.is_empty() {
            self.shown.remove(&key);
        }
        let Datum::String(token) = element.field("resume_token").expect("each has one, or null") else { return };
        self.tokens += 1;
        let token = token::read(token.as_bytes()).expect("a token");
        assert_eq!(token.origin, ORIGIN);
        assert!(world.is_canonical(&token.sources), "{:?} {:?} {:?}", token.sources, world.cuts, world.joins);
        assert_eq!(self.shown, world.at(&token.sources, self.options.squash), "{token:?}");
    }
}

fn step(world: &mut World, feed: &mut Feed, number: u64, (what, key, other): (u8, u64, u8)) {
    let key = key % KEYS;
    match what {
        0..24 => {
            // The version tells the key, and no two are equal.
            let new = (what < 18).then_some((number + 1) * KEYS + key);
            if new.is_some() || world.documents.contains_key(&key) {
                world.documents.remove(&key);
                world.documents.extend(new.map(|new| (key, new)));
                world.write(key, new, other % 2 == 0);
            }
        }
        24 => world.split(key / 4 * 4),
        25 => world.join(key),
        26..46 => (0..=other % 4).for_each(|_| feed.take(world, usize::from(other))),
        _ => feed.give(world),
    }
}

fn follow(squash: Squash, steps: Vec<(u8, u64, u8)>) -> (usize, usize) {
    let whole = Shard { keys: 0..KEYS, index: 3, of_entry: 0 };
    let (cuts, joins, log) = (Vec::new(), Vec::new(), Vec::new());
    let mut world = World { shards: vec![whole], cuts, joins, log, documents: BTreeMap::new() };
    let options = FeedOptions {
        squash,
        include_initial: false,
        include_states: false,
        include_types: false,
        include_offsets: false,
        queue_size: 1_000,
        resume: Some(Resume::Tokens),
    };
    let mut queue = Queue::new(&options);
    let sources = [Source { shard: ShardNumber(0), standing: Standing::behind(3), group: 0 }];
    let mut trail = Trail::new(ORIGIN, &sources);
    trail.content_is_read(std::iter::empty());
    queue.trail = Some(Box::new(trail));
    let mut feed = Feed {
        queue,
        options,
        heard: BTreeMap::from([(ShardNumber(0), 0)]),
        cuts: Vec::new(),
        joins: Vec::new(),
        known: BTreeMap::new(),
        shown: BTreeMap::new(),
        cx: Cx::new(NoWorld, Limits::default()),
        tokens: 0,
        elements: 0,
    };
    for (number, what) in steps.into_iter().enumerate() {
        step(&mut world, &mut feed, number as u64, what);
        if let Some(trail) = &feed.queue.trail {
            let steps_max = trail.waiting.len() + 1;
            assert!(trail.steps.len() <= steps_max, "{} steps of {} elements", trail.steps.len(), trail.waiting.len());
        }
    }
    (feed.elements, feed.tokens)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_is_exact_or_it_is_not_given(
        squash in prop::sample::select(vec![Squash::No, Squash::Waiting]),
        steps in prop::collection::vec((0u8..64, any::<u64>(), any::<u8>()), 0..150),
    ) {
        let (elements, tokens) = follow(squash, steps);
        prop_assert!(tokens <= elements);
    }
}

#[test]
fn every_change_that_is_one_element_has_a_token() {
    // Keys of one element each; all is taken at once and given one by one.
    let writes = (0..40).map(|number| (0, number % 2 + number % 4 / 2 * 4, 1));
    let takes = std::iter::repeat_n((45, 0, 3), 20);
    let gives = std::iter::repeat_n((63, 0, 0), 50);
    assert_eq!(follow(Squash::No, writes.chain(takes).chain(gives).collect()), (40, 40));
}

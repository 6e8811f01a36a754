//! A queue with a trail, fed from shards that are written and split: whoever has a token has been shown what was taken up to there,
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
        (shard.index, shard.of_entry) = (shard.index + 1, 0);
        let (keys, index) = (at..shard.keys.end, shard.index);
        shard.keys.end = at;
        self.cuts.push(Cut { of: Position { shard: ShardNumber(of as u64), index }, to });
        self.shards.push(Shard { keys, index, of_entry: 0 });
    }

    /// The documents as they are for somebody who stands there.
    fn at(&self, sources: &[Source], squash: Squash) -> BTreeMap<u64, Vec<u64>> {
        let mut documents = BTreeMap::new();
        for logged in &self.log {
            let place = Standing { index: logged.at.index, given: logged.number };
            let source = sources.iter().find(|source| source.shard == logged.at.shard);
            if source.is_some_and(|source| place < source.standing) {
                documents.insert(logged.key, logged.new);
            }
        }
        let shown = |(key, new): (u64, Option<u64>)| Some((key, vec![new?; often(key, squash)]));
        documents.into_iter().filter_map(shown).filter(|(_, shown)| !shown.is_empty()).collect()
    }

    /// A shard is a source as soon as the other one stands behind the cut, and not before.
    fn is_canonical(&self, sources: &[Source]) -> bool {
        let of = |shard| sources.iter().find(|source| source.shard == shard);
        self.cuts.iter().all(|cut| {
            let is_passed = of(cut.of.shard).is_some_and(|source| source.standing.index > cut.of.index);
            is_passed == of(cut.to).is_some_and(|source| source.standing.index > cut.of.index)
                && (is_passed || of(cut.to).is_none())
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
        for cut in world.cuts.iter().filter(|cut| cut.of.shard == shard) {
            if !self.heard.contains_key(&cut.to) && next.is_none_or(|next| next.at.index > cut.of.index) {
                self.heard.insert(cut.to, 0);
                self.cuts.push(*cut);
            }
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
        assert!(world.is_canonical(&token.sources), "{:?} {:?}", token.sources, world.cuts);
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
        25..46 => (0..=other % 4).for_each(|_| feed.take(world, usize::from(other))),
        _ => feed.give(world),
    }
}

fn follow(squash: Squash, steps: Vec<(u8, u64, u8)>) -> (usize, usize) {
    let whole = Shard { keys: 0..KEYS, index: 3, of_entry: 0 };
    let mut world = World { shards: vec![whole], cuts: Vec::new(), log: Vec::new(), documents: BTreeMap::new() };
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

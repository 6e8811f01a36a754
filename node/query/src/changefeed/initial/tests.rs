//! Initial content of a table whose shards are written and split while it is read: whoever applies what is given and shown, in the
//! order in which it comes, has the table at the end, and nothing is given or shown twice on the way. Where there is a resume token, what
//! was shown is what happened before it.

use std::cell::RefCell;
use std::rc::Rc;

use photondb_reql::key::PrimaryKey;
use proptest::prelude::*;

use super::super::token::{self, Origin};
use super::super::trail::Trail;
use super::*;
use crate::table::{Cut, Lineage, Source, Standing};

/// Keys are below it, and places in the index.
const KEYS: u8 = 24;

/// Of a larger batch nothing would be left to be read later.
const ROWS_MAX: usize = 3;

/// A document: its place in the index, and a number that no other version has.
type Version = (u8, u64);

#[derive(Default)]
struct World {
    shards: Vec<Shard>,
    documents: BTreeMap<u8, Version>,
    versions: u64,
}

#[derive(Clone)]
struct Shard {
    number: ShardNumber,
    /// The first key, and the one behind the last.
    keys: (u8, u8),
    parent: Option<ShardNumber>,
    index: u64,
    log: Vec<(u64, Event)>,
}

#[derive(Clone)]
enum Event {
    Changed { key: u8, old: Option<Version>, new: Option<Version> },
    CutOff(ShardNumber),
}

impl World {
    fn of(&self, key: u8) -> usize {
        let has = |shard: &Shard| shard.keys.0 <= key && key < shard.keys.1;
        self.shards.iter().position(has).expect("every key is some shard's")
    }

    fn shard(&self, number: ShardNumber) -> &Shard {
        self.shards.iter().find(|shard| shard.number == number).expect("shards stay")
    }

    fn write(&mut self, key: u8, place: Option<u8>) {
        self.versions += 1;
        let new = place.map(|place| (place, self.versions));
        let old = self.documents.remove(&key);
        self.documents.extend(new.map(|new| (key, new)));
        let of = self.of(key);
        let shard = &mut self.shards[of];
        shard.index += 1;
        shard.log.push((shard.index, Event::Changed { key, old, new }));
    }

    fn split(&mut self, at: u8) {
        let (of, number) = (self.of(at), ShardNumber(self.shards.len() as u64));
        let shard = &mut self.shards[of];
        if shard.keys.0 == at {
            return;
        }
        shard.index += 1;
        shard.log.push((shard.index, Event::CutOff(number)));
        let (keys, parent, index) = ((at, shard.keys.1), Some(shard.number), shard.index);
        shard.keys.1 = at;
        self.shards.push(Shard { number, keys, parent, index, log: Vec::new() });
    }

    fn moves(&self) -> Vec<Move> {
        self.shards.iter().filter_map(|shard| Some(moved(shard.parent?, shard))).collect()
    }
}

fn moved(from: ShardNumber, to: &Shard) -> Move {
    Move { from, first: PrimaryKey::new(&number(to.keys.0)).expect("a key").bytes(), to: to.number }
}

fn number(of: u8) -> Datum {
    Datum::Number(f64::from(of))
}

/// How content is selected, and in which order it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selection {
    /// All by their keys.
    Range,
    /// Every third key.
    Points,
    /// All by the index.
    Index,
    /// All by the index, as if it told no order.
    Cells,
}

impl Selection {
    fn has(self, key: u8) -> bool {
        self != Selection::Points || key.is_multiple_of(3)
    }

    fn kind(self) -> Kind {
        match self {
            Selection::Range => Kind::Keys,
            Selection::Points | Selection::Index => Kind::Index,
            Selection::Cells => Kind::Documents,
        }
    }

    fn by_index(self) -> bool {
        matches!(self, Selection::Index | Selection::Cells)
    }
}

/// A part of a shard that is to be read.
#[derive(Clone)]
struct ToRead {
    shard: ShardNumber,
    /// The keys of the shard as the scan knows them.
    known: (u8, u8),
    /// The keys that are wanted.
    keys: (u8, u8),
    /// What was read last.
    after: Option<(u8, u8)>,
}

/// Reads as `TableScan` does.
struct Scan {
    world: Rc<RefCell<World>>,
    selection: Selection,
    /// The next one last.
    left: Vec<ToRead>,
    progress: Vec<Progress>,
    lineages: BTreeMap<ShardNumber, Vec<Position>>,
    moves: Vec<Move>,
}

impl Scan {
    fn open(world: &Rc<RefCell<World>>, selection: Selection) -> Scan {
        let now = world.borrow();
        let mut shards = now.shards.clone();
        shards.sort_by_key(|shard| shard.keys);
        let part = |shard: &Shard, keys| ToRead { shard: shard.number, known: shard.keys, keys, after: None };
        let points = (0..KEYS).filter(|key| selection.has(*key));
        let mut left: Vec<_> = match selection {
            Selection::Points => points.map(|key| part(&now.shards[now.of(key)], (key, key + 1))).collect(),
            _ => shards
                .iter()
                .map(|shard| part(shard, if selection.by_index() { (0, KEYS) } else { shard.keys }))
                .collect(),
        };
        left.reverse();
        let (progress, lineages, moves) = (Vec::new(), BTreeMap::new(), now.moves());
        Scan { world: world.clone(), selection, left, progress, lineages, moves }
    }

    fn moved(&mut self, shard: ShardNumber, known: (u8, u8)) {
        let world = self.world.clone();
        let world = world.borrow();
        let mut heirs: Vec<_> =
            world.shards.iter().filter(|heir| known.0 <= heir.keys.0 && heir.keys.1 <= known.1).collect();
        heirs.sort_by_key(|heir| heir.keys);
        let read = self.progress.iter().find(|progress| progress.shard == shard);
        let mut lineage = self.lineages.get(&shard).cloned().unwrap_or_default();
        let before = lineage.first().map_or(0, |of| of.index);
        lineage.insert(0, Position { shard, index: read.map_or(before, |read| read.last) });
        for heir in heirs.iter().filter(|heir| heir.number != shard) {
            self.moves.extend(heir.parent.map(|parent| moved(parent, heir)));
            self.lineages.insert(heir.number, lineage.clone());
        }
        for part in std::mem::take(&mut self.left) {
            if part.shard != shard {
                self.left.push(part);
                continue;
            }
            let low = part.after.filter(|_| !self.selection.by_index()).map_or(part.keys.0, |(_, key)| key + 1);
            for heir in heirs.iter().rev() {
                let keys = match self.selection.by_index() {
                    true => part.keys,
                    false => (low.max(heir.keys.0), part.keys.1.min(heir.keys.1)),
                };
                if keys.0 < keys.1 {
                    self.left.push(ToRead { shard: heir.number, known: heir.keys, keys, after: part.after });
                }
            }
        }
    }
}

impl Rows for Scan {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        let want = want.min(ROWS_MAX);
        while let Some(mut part) = self.left.pop() {
            let (keys, index) = {
                let world = self.world.borrow();
                let shard = world.shard(part.shard);
                (shard.keys, shard.index)
            };
            if keys != part.known {
                let (shard, known) = (part.shard, part.known);
                self.left.push(part);
                self.moved(shard, known);
                continue;
            }
            let world = self.world.clone();
            let world = world.borrow();
            let is_wanted = |key: &u8| keys.0 <= *key && *key < keys.1 && part.keys.0 <= *key && *key < part.keys.1;
            let all = world.documents.iter().filter(|(key, _)| is_wanted(key));
            let mut found: Vec<_> = all
                .map(|(key, (place, version))| ((if self.selection.by_index() { *place } else { 0 }, *key), *version))
                .filter(|(at, _)| part.after.is_none_or(|after| after < *at))
                .collect();
            found.sort_unstable();
            let more = found.len() > want;
            found.truncate(want);
            let shard = part.shard;
            match self.progress.iter_mut().find(|progress| progress.shard == shard) {
                Some(progress) => progress.last = index,
                None => self.progress.push(Progress { shard, first: index, last: index, ended: false }),
            }
            if more {
                part.after = found.last().map(|(at, _)| *at);
                self.left.push(part);
            } else if self.left.iter().all(|part| part.shard != shard) {
                self.progress
                    .iter_mut()
                    .filter(|progress| progress.shard == shard)
                    .for_each(|progress| progress.ended = true);
            }
            let row = |((place, key), version): ((u8, u8), u64)| Row {
                document: document(key, (place, version)),
                index_value: self.selection.by_index().then(|| number(place)),
                position: Position { shard, index },
            };
            if !found.is_empty() {
                return Ok(found.into_iter().map(row).collect());
            }
        }
        Ok(Vec::new())
    }

    fn progress(&self) -> &[Progress] {
        &self.progress
    }

    fn lineage(&self, shard: ShardNumber) -> Lineage {
        self.lineages.get(&shard).cloned().unwrap_or_default().into()
    }

    fn moves(&self) -> &[Move] {
        &self.moves
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }
}

fn document(key: u8, (_, version): Version) -> Datum {
    Datum::Object([("id", number(key)), ("version", Datum::Number(version as f64))].into_iter().collect())
}

/// Who listens: where it stands in each shard's log.
struct Feed {
    world: Rc<RefCell<World>>,
    selection: Selection,
    initial: Initial,
    sources: Vec<(ShardNumber, u64, Lineage)>,
    /// What it has been told that there is: each key with the number of its version.
    seen: BTreeMap<u8, u64>,
    trail: Trail,
    cuts: Vec<Cut>,
    cx: Cx,
}

impl Feed {
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
        let standing = |shard| token.sources.iter().find(|source| source.shard == shard).map(|source| source.standing);
        let mut before = BTreeMap::new();
        for shard in &self.world.borrow().shards {
            for (index, event) in &shard.log {
                let place = Standing { index: *index, given: 0 };
                match event {
                    Event::Changed { key, new, .. } if standing(shard.number).is_some_and(|of| place < of) => {
                        before.insert(*key, *new);
                    }
                    Event::CutOff(child) => {
                        let is_passed = standing(shard.number).is_some_and(|of| place < of);
                        assert_eq!(is_passed, standing(*child).is_some(), "{child:?} in {token:?}");
                    }
                    Event::Changed { .. } => {}
                }
            }
        }
        let seen = before.into_iter().filter(|(key, _)| self.selection.has(*key));
        let seen: BTreeMap<u8, u64> = seen.filter_map(|(key, new)| Some((key, new?.1))).collect();
        assert_eq!(self.seen, seen, "{token:?}");
        true
    }

    /// The next thing that one of the shards tells; whether there was any.
    fn hear(&mut self, of: usize) -> bool {
        let (shard, after, lineage) = &mut self.sources[of];
        let log = self.world.borrow().shard(*shard).log.clone();
        let Some((index, event)) = log.into_iter().find(|(index, _)| *index > *after) else { return false };
        *after = index;
        match event {
            Event::CutOff(child) => {
                self.cuts.push(Cut { of: Position { shard: *shard, index }, to: child });
                let before = Position { shard: *shard, index: index - 1 };
                let lineage = std::iter::once(before).chain(lineage.iter().copied()).collect();
                self.sources.push((child, index, lineage));
            }
            Event::Changed { key, old, new } => {
                let datum = |version: Option<Version>| version.map(|version| document(key, version));
                let position = Position { shard: *shard, index };
                let (then, lineage) = (Standing::behind(index), lineage.clone());
                let change = Change { old: datum(old), new: datum(new), position, then, lineage };
                self.trail.hears_of(&self.cuts);
                self.trail.takes();
                let is_shown = self.selection.has(key) && self.is_shown(key, old, new, &change);
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

    /// Whether it was, and not left to initial content.
    fn is_shown(&mut self, key: u8, old: Option<Version>, new: Option<Version>, change: &Change) -> bool {
        let place = |(place, _): Version| number(if self.selection.by_index() { place } else { key });
        let places: Vec<_> = new.map(place).into_iter().collect();
        let fate = self.initial.fate(&number(key), &places, change, &self.cx).expect("is known");
        let known = match fate {
            Fate::Drop => return false,
            Fate::Show => old.map(|(_, version)| version),
            Fate::ShowAsNew => None,
        };
        assert_eq!(self.seen.remove(&key), known, "{key} {old:?} {new:?} {:?} {fate:?}", change.position);
        self.seen.extend(new.map(|(_, version)| (key, version)));
        true
    }
}

fn step(world: &Rc<RefCell<World>>, (what, key, place): (u8, u8, u8)) {
    let key = key % KEYS;
    match what % 8 {
        0 => world.borrow_mut().split(key),
        1 | 2 => world.borrow_mut().write(key, None),
        _ => world.borrow_mut().write(key, Some(place % KEYS)),
    }
}

impl Feed {
    /// Listens to the world as it is, and begins to read it.
    fn open(world: &Rc<RefCell<World>>, selection: Selection) -> Feed {
        let source = |shard: &Shard| (shard.number, shard.index, Lineage::default());
        let sources: Vec<_> = world.borrow().shards.iter().map(source).collect();
        let begins = sources.iter().map(|(shard, index, _)| Source {
            shard: *shard,
            standing: Standing::behind(*index),
            group: 0,
        });
        let trail = Trail::new(Origin { table: 1, query: 1 }, &begins.collect::<Vec<_>>());
        let rows = Box::new(Scan::open(world, selection));
        let initial = Initial::of(Some(rows), selection.kind(), "id".into());
        let (seen, cuts) = (BTreeMap::new(), Vec::new());
        Feed { world: world.clone(), selection, initial, sources, seen, trail, cuts, cx: Cx::pure() }
    }
}

fn whole_world() -> Rc<RefCell<World>> {
    let world = World::default();
    let whole = Shard { number: ShardNumber(0), keys: (0, KEYS), parent: None, index: 0, log: Vec::new() };
    Rc::new(RefCell::new(World { shards: vec![whole], ..world }))
}

#[test]
fn what_was_given_is_forgotten_though_nothing_happens_to_what_was_cut_off_long_ago() {
    let world = whole_world();
    [1, 2, 20].into_iter().for_each(|key| world.borrow_mut().write(key, Some(key)));
    world.borrow_mut().split(12);
    let mut feed = Feed::open(&world, Selection::Index);
    while !feed.initial.is_complete() {
        feed.read();
    }
    assert_eq!(feed.initial.documents.len(), 3);
    for key in [3, 4] {
        world.borrow_mut().write(key, Some(key));
        assert!(feed.hear(0));
        let left: Vec<Datum> = feed.initial.documents.keys().cloned().collect();
        assert_eq!(left, [number(20)], "of the other shard alone");
    }
    assert_eq!(feed.cx.held(), remembered(&number(20)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_that_is_split_while_it_is_read_is_shown_as_it_is(
        selection in prop::sample::select(vec![Selection::Range, Selection::Points, Selection::Index, Selection::Cells]),
        before in prop::collection::vec(any::<(u8, u8, u8)>(), 0..30),
        between in prop::collection::vec(any::<(u8, u8, u8)>(), 0..6),
        then in prop::collection::vec(any::<(u8, u8, u8)>(), 0..80),
    ) {
        let world = whole_world();
        before.into_iter().for_each(|what| step(&world, what));
        let mut feed = Feed::open(&world, selection);
        between.into_iter().for_each(|what| step(&world, what));
        // Shards may have been split between the two.
        feed.initial.rows = Some(Box::new(Scan::open(&world, selection)));
        for (what, key, place) in then {
            match what % 4 {
                0 if what >= 128 => feed.read(),
                0 | 1 => drop(feed.hear(usize::from(key) % feed.sources.len())),
                _ => step(&world, (what / 4, key, place)),
            }
        }
        while !feed.initial.is_complete() {
            feed.read();
        }
        while (0..feed.sources.len()).any(|of| feed.hear(of)) {}
        let is_there = |(key, (_, version)): (&u8, &Version)| selection.has(*key).then_some((*key, *version));
        prop_assert_eq!(&feed.seen, &world.borrow().documents.iter().filter_map(is_there).collect::<BTreeMap<_, _>>());
        // Once something has happened to each shard, there is a token.
        let keys: Vec<u8> = world.borrow().shards.iter().map(|shard| shard.keys.0).collect();
        keys.into_iter().for_each(|key| world.borrow_mut().write(key, Some(key)));
        while (0..feed.sources.len()).any(|of| feed.hear(of)) {}
        prop_assert!(feed.check_token());
    }
}

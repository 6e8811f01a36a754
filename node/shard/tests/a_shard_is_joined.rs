//! Two shards that become one against one that was never cut: random entries before, between freeze and join, while the rests of
//! indexes are emptied, and behind; with losses of power at every stage.

#[path = "fed/fed.rs"]
mod fed;
#[path = "pair/pair.rs"]
mod pair;

use bytes::Bytes;
use fed::{Fed, Numbers, digest_of, documents, empty_shard, key};
use pair::{CUT, IDS, INDEXES, Pair, RIGHT, assert_reads_alike, create_index, effects, put, ranges, single};
use photondb_proto::{Epoch, IndexId, KeyRange, ShardId};
use photondb_shard::read::KeyBounds;
use photondb_shard::shard::BuildStep;
use photondb_shard::{
    Command, Cursor, Effect, EntryNumber, Freeze, IndexState, Join, Outcome, Position, Shard, ShardError, Skipped,
    Split,
};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

/// Writes the same to a shard and to the one that was never cut.
fn write(fed: &mut Fed, single: &mut Fed, effects: Vec<Effect>) {
    single.write(effects.clone());
    fed.write(effects);
}

/// Two shards with random documents, and indexes of which each has built as much as it happens to have; at times one lacks an
/// index or has one that is not ready.
fn any_pair(numbers: &mut Numbers, single: &mut Fed, seed: u64) -> Pair {
    let mut pair = Pair::new(seed);
    let mut lacking = [numbers.below(8), numbers.below(8)];
    for step in 0..30 {
        for (side, fed) in [&mut pair.left, &mut pair.right].into_iter().enumerate() {
            if step % 8 == 0 && step / 8 < INDEXES.len() && lacking[side] != step as u64 / 8 {
                create_index(fed, step / 8);
            }
            let ids = if side == 0 { 0..CUT } else { CUT..IDS };
            write(fed, single, effects(numbers, ids));
            if numbers.below(3) == 0 {
                fed.shard.build_step(3).expect("builds");
            }
        }
    }
    for (side, fed) in [&mut pair.left, &mut pair.right].into_iter().enumerate() {
        if numbers.below(3) > 0 {
            fed.finish_indexes();
        }
        // What one lacks comes there at last.
        let late = std::mem::replace(&mut lacking[side], u64::MAX);
        if side == 0 && late < INDEXES.len() as u64 {
            create_index(fed, late as usize);
        }
    }
    pair
}

fn sometimes_crash(pair: Pair, numbers: &mut Numbers) -> Pair {
    match numbers.below(6) {
        0 => pair.crash(),
        1 => {
            pair.left.engine.checkpoint().expect("stores");
            pair
        }
        _ => pair,
    }
}

#[test]
fn a_joined_shard_is_read_as_one_that_was_never_cut() {
    let mut with_rest = 0;
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut single = single();
        let mut pair = any_pair(&mut numbers, &mut single, seed);
        pair = sometimes_crash(pair, &mut numbers);
        pair.freeze(1);
        pair = sometimes_crash(pair, &mut numbers);
        for _ in 0..numbers.below(4) {
            write(&mut pair.left, &mut single, effects(&mut numbers, 0..CUT));
        }
        pair.adopt();
        // What was adopted may lie there for a while.
        for _ in 0..numbers.below(6) {
            write(&mut pair.left, &mut single, effects(&mut numbers, 0..CUT));
            pair = sometimes_crash(pair, &mut numbers);
        }
        let join = Command::Join(pair.join());
        assert_eq!(pair.left.apply(&join), Outcome::Applied, "seed {seed}");
        assert_eq!(pair.left.apply(&join), Outcome::Skipped(Skipped::Epoch), "seed {seed}: it is done once");
        assert!(pair.left.shard.wards().is_empty());
        assert_eq!(pair.left.shard.view().range, Some(KeyRange::all()));
        with_rest += usize::from(!pair.left.shard.is_settled());
        for step in 0..30 {
            write(&mut pair.left, &mut single, effects(&mut numbers, 0..IDS));
            pair = sometimes_crash(pair, &mut numbers);
            if numbers.below(2) == 0 {
                pair.left.shard.settle_rest_step(1 + numbers.below(4) as usize).expect("settles");
            }
            if step > 10 {
                pair.left.shard.build_step(5).expect("builds");
            }
            if step == 20 {
                pair.left.finish_indexes();
            }
            if step == 20
                || (step > 20 && pair.left.shard.view().schema.indexes.values().all(|index| index.is_usable()))
            {
                assert_reads_alike(&pair.left.shard, &single.shard, 0..IDS, &mut numbers, seed);
            }
        }
        // It is cut again, wherever; by the time some have prepared it.
        let (cut, at_ease) = (1 + numbers.below(IDS - 1), numbers.below(2) == 0);
        let at = key(cut);
        while at_ease && pair.left.shard.prepare_split_step(&at, 3).expect("copies") {}
        assert!(!at_ease || (pair.left.shard.is_prepared(&at) && pair.left.shard.is_settled()), "seed {seed}");
        let (epoch, child) = (pair.left.shard.view().epoch, ShardId(3));
        let split = Split { epoch, range: KeyRange::all(), at, child };
        assert_eq!(pair.left.apply(&Command::Split(split)), Outcome::Applied);
        let set = pair.left.engine.create_tree_set(TreeSetId(3)).expect("a new tree set");
        assert!(pair.left.shard.bear(child, &pair.left.engine, set.id(), Bytes::new()).expect("is born"));
        let fence = pair.left.fence;
        let born = Shard::open(set).expect("opens");
        let mut born = Fed { engine: pair.left.engine.clone(), shard: born, log: Vec::new(), fence };
        for (part, ids) in [(&mut pair.left, 0..cut), (&mut born, cut..IDS)] {
            part.finish_indexes();
            assert_reads_alike(&part.shard, &single.shard, ids, &mut numbers, seed);
            let trees = part.shard.tree_set().snapshot().trees();
            assert_eq!(trees.len(), 3 + INDEXES.len(), "seed {seed}: nothing else is left: {trees:?}");
        }
    }
    assert!(with_rest > 20, "{with_rest} are few");
}

#[test]
fn what_both_have_whole_is_whole_at_once() {
    let mut pair = Pair::with_indexes(1);
    let mut single = single();
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        write(fed, &mut single, vec![put(id, id % 7)]);
    }
    pair.freeze_adopt_and_join(1);
    let schema = pair.left.shard.view().schema.clone();
    assert!(schema.indexes.values().all(|index| index.is_usable() && index.rest.is_some()));
    let mut numbers = Numbers(1);
    assert_reads_alike(&pair.left.shard, &single.shard, 0..IDS, &mut numbers, 1);
    // Who began to read before the rest is empty goes on, and so does who has the view of then.
    let before = pair.left.shard.read().expect("reads");
    let count = before.count_index("tags", &KeyBounds::all()).expect("is ready");
    while pair.left.shard.settle_rest_step(7).expect("settles") {
        assert_reads_alike(&pair.left.shard, &single.shard, 0..IDS, &mut numbers, 1);
    }
    assert!(pair.left.shard.is_settled());
    assert_eq!(before.count_index("tags", &KeyBounds::all()).expect("is ready"), count);
    let trees = pair.left.shard.tree_set().snapshot().trees();
    assert_eq!(trees.len(), 3 + INDEXES.len(), "nothing else is left: {trees:?}");
}

#[test]
fn an_index_that_is_dropped_leaves_no_rest() {
    let mut pair = Pair::with_indexes(1);
    pair.left.write(vec![put(1, 1)]);
    pair.right.write(vec![put(40, 1)]);
    pair.freeze_adopt_and_join(1);
    assert_eq!(pair.left.shard.tree_set().snapshot().trees().len(), 3 + 2 * INDEXES.len());
    for id in 0..INDEXES.len() as u64 {
        pair.left.apply(&Command::DropIndex { id: IndexId(id) });
    }
    assert_eq!(pair.left.shard.tree_set().snapshot().trees().len(), 3);
}

#[test]
fn what_one_has_not_ready_is_built_on() {
    let mut pair = Pair::new(1);
    let mut single = single();
    for id in 0..INDEXES.len() {
        create_index(&mut pair.left, id);
    }
    pair.left.finish_indexes();
    // The right one lacks the second, has the first to the half, and one more.
    create_index(&mut pair.right, 0);
    create_index(&mut pair.right, 2);
    let definition = fed::field_function("id");
    let more = Command::CreateIndex { id: IndexId(9), name: "id".into(), multi: false, geo: false, definition };
    pair.right.apply(&more);
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        write(fed, &mut single, vec![put(id, id % 7)]);
    }
    pair.right.shard.build_step(10).expect("builds");
    // It was frozen and thawed before.
    pair.freeze(1);
    assert_eq!(pair.right.apply(&Command::Thaw { attempt: 1 }), Outcome::Applied);
    let before = pair.left.shard.view();
    pair.freeze_adopt_and_join(2);
    let view = pair.left.shard.view();
    assert_eq!(view.schema.indexes.len(), INDEXES.len(), "the left one's");
    assert_eq!((view.version.0, view.epoch), (before.version.0 + 1, Epoch(4)), "above both");
    for index in view.schema.indexes.values() {
        assert_eq!(index.state, IndexState::Building, "it was not ready in both: {}", index.name);
        assert!(matches!(pair.left.shard.read().expect("reads").index(&index.name), Err(ShardError::NotReady(_))));
    }
    let mut steps = 0;
    while pair.left.shard.build_step(1).expect("builds") != BuildStep::Idle {
        steps += 1;
    }
    let most = 3 * (IDS - CUT) as usize;
    assert!(steps < most, "{steps} steps: what is built is not built again");
    pair.left.finish_indexes();
    assert_reads_alike(&pair.left.shard, &single.shard, 0..IDS, &mut Numbers(1), 1);
}

#[test]
fn shards_of_which_one_has_no_documents_are_joined() {
    for (left, right) in [(0, 0), (3, 0), (0, 3)] {
        let (mut pair, mut single) = (Pair::new(1), single());
        // One index is whole in both, one in the left one alone, one in neither.
        for (fed, indexes) in [(&mut pair.left, 0..2), (&mut pair.right, 0..1)] {
            indexes.for_each(|id| create_index(fed, id));
            fed.finish_indexes();
            create_index(fed, 2);
        }
        (0..left).for_each(|id| write(&mut pair.left, &mut single, vec![put(id, 1)]));
        (0..right).for_each(|id| write(&mut pair.right, &mut single, vec![put(CUT + id, 1)]));
        pair.freeze(1);
        pair.adopt();
        let mut pair = pair.crash();
        let join = Command::Join(pair.join());
        assert_eq!(pair.left.apply(&join), Outcome::Applied);
        for id in [1, CUT + 1] {
            write(&mut pair.left, &mut single, vec![put(id, 2)]);
        }
        let mut pair = pair.crash();
        pair.left.finish_indexes();
        assert_reads_alike(&pair.left.shard, &single.shard, 0..IDS, &mut Numbers(1), 1);
    }
}

#[test]
fn entries_of_another_function_are_not_taken() {
    let mut pair = Pair::new(1);
    for (fed, field) in [(&mut pair.left, "age"), (&mut pair.right, "id")] {
        let definition = fed::field_function(field);
        fed.apply(&Command::CreateIndex { id: IndexId(1), name: "age".into(), multi: false, geo: false, definition });
        fed.finish_indexes();
    }
    pair.left.write(vec![put(1, 5)]);
    pair.right.write(vec![put(40, 6)]);
    pair.freeze_adopt_and_join(1);
    assert_eq!(pair.left.shard.view().schema.indexes[&IndexId(1)].state, IndexState::Building);
    pair.left.finish_indexes();
    assert_eq!(fed::held(&pair.left.shard, "age"), [(5, 1), (6, 40)]);
}

#[test]
fn replicas_agree_whatever_each_has_built_and_settled() {
    let mut numbers = Numbers(3);
    let mut single = single();
    let mut pair = Pair::with_indexes(1);
    for _ in 0..20 {
        write(&mut pair.left, &mut single, effects(&mut numbers, 0..CUT));
        write(&mut pair.right, &mut single, effects(&mut numbers, CUT..IDS));
    }
    pair.freeze(1);
    // One that has built nothing of the left one, and one that has built nothing at all.
    let mut others = [pair.replicas(2), pair.replicas(3)];
    while others[0].right.shard.build_step(9).expect("builds") != BuildStep::Idle {}
    for each in others.iter().chain([&pair]) {
        let before = digest_of(&each.left.shard);
        each.adopt();
        assert_eq!(digest_of(&each.left.shard), before, "who has adopted is nobody else's affair");
    }
    let join = Command::Join(pair.join());
    pair.left.apply(&join);
    others.iter_mut().for_each(|other| other.follow(&pair));
    for other in &others {
        assert_eq!(digest_of(&other.left.shard), digest_of(&pair.left.shard));
        assert!(matches!(digest_of_hollow(&other.right.shard), Err(ShardError::Hollow)));
    }
    while pair.left.shard.settle_rest_step(3).expect("settles") {}
    write(&mut pair.left, &mut single, effects(&mut numbers, 0..IDS));
    for other in &mut others {
        other.follow(&pair);
        assert_eq!(digest_of(&other.left.shard), digest_of(&pair.left.shard));
        while other.left.shard.build_step(9).expect("builds") != BuildStep::Idle {}
        assert_eq!(digest_of(&other.left.shard), digest_of(&pair.left.shard));
        assert_reads_alike(&other.left.shard, &single.shard, 0..IDS, &mut numbers, 3);
    }
}

fn digest_of_hollow(shard: &Shard) -> Result<u64, ShardError> {
    photondb_shard::digest::of(&shard.tree_set().snapshot())
}

#[test]
fn a_snapshot_has_the_rests_and_not_the_wards() {
    let mut single = single();
    let mut pair = Pair::with_indexes(1);
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        write(fed, &mut single, vec![put(id, id % 7)]);
    }
    pair.freeze(1);
    let mut behind = pair.replicas(2);
    behind.adopt();
    pair.adopt();
    let install = |from: &Shard, to: &Shard| {
        let (_, chunks) = photondb_shard::snapshot::take(from).expect("pins");
        photondb_shard::snapshot::install(to, &mut chunks.into_iter(), |error| error).expect("installs");
    };
    // What was adopted stays with a replica that gets a snapshot, and goes to nobody.
    write(&mut pair.left, &mut single, vec![put(3, 5)]);
    install(&pair.left.shard, &behind.left.shard);
    assert_eq!(behind.left.shard.position(), pair.left.shard.position());
    assert_eq!(digest_of(&behind.left.shard), digest_of(&pair.left.shard));
    behind.left.engine.checkpoint().expect("stores");
    behind.left.engine.checkpoint().expect("stores");
    assert_eq!(behind.left.shard.wards(), pair.left.shard.wards());
    let nowhere = empty_shard();
    install(&pair.left.shard, &nowhere);
    assert!(nowhere.wards().is_empty() && nowhere.tree_set().snapshot().trees().len() == 3 + INDEXES.len());

    let join = Command::Join(pair.join());
    pair.left.apply(&join);
    behind.left.log.clone_from(&pair.left.log);
    behind.follow(&pair);
    assert_eq!(digest_of(&behind.left.shard), digest_of(&pair.left.shard));
    pair.left.shard.settle_rest_step(10).expect("settles");
    let late = empty_shard();
    install(&pair.left.shard, &late);
    assert_eq!(digest_of(&late), digest_of(&pair.left.shard));
    assert!(!late.is_settled());
    assert_reads_alike(&late, &single.shard, 0..IDS, &mut Numbers(1), 1);
    // Numbers of trees go on behind those that came.
    while late.prepare_split_step(&key(20), 9).expect("copies") {}
    assert_reads_alike(&late, &single.shard, 0..IDS, &mut Numbers(1), 1);

    // What was joined comes with a snapshot from behind the join.
    let stayed = pair.replicas_before_the_join(4);
    install(&pair.left.shard, &stayed.left.shard);
    stayed.left.engine.checkpoint().expect("stores");
    assert!(stayed.left.shard.wards().is_empty());
    assert_eq!(digest_of(&stayed.left.shard), digest_of(&pair.left.shard));
    let trees = |shard: &Shard| shard.tree_set().snapshot().trees().len();
    assert_eq!(trees(&stayed.left.shard), trees(&pair.left.shard));
}

impl Pair {
    /// Others that have adopted, and have not applied the last entry of the left log.
    fn replicas_before_the_join(&self, seed: u64) -> Pair {
        let mut pair = Pair::new(seed);
        let mut left = self.left.log.clone();
        left.pop();
        let (log, fence) = (std::mem::take(&mut pair.left.log), pair.left.fence);
        assert!(log.is_empty());
        pair.left.shard.apply(&left, Bytes::new()).expect("applies");
        pair.right.shard.apply(&self.right.log, Bytes::new()).expect("applies");
        (pair.left.log, pair.left.fence) = (left, fence);
        pair.adopt();
        pair
    }
}

#[test]
fn a_replica_that_has_not_adopted_fails_and_others_skip_what_is_not_for_them() {
    let mut pair = Pair::with_indexes(1);
    pair.left.write(vec![put(1, 1)]);
    pair.right.write(vec![put(40, 1)]);
    pair.freeze(1);
    let other = pair.replicas(2);
    pair.adopt();
    let join = pair.join();
    let [range, right_range] = ranges();
    let not_next = KeyRange::new(key(CUT + 1).to_vec(), None).expect("has keys");
    for wrong in [
        Join { epoch: Epoch(7), ..join.clone() },
        Join { range: KeyRange::all(), ..join.clone() },
        Join { right_range: not_next, ..join.clone() },
        Join { range: right_range, right_range: range, ..join.clone() },
    ] {
        assert_eq!(pair.left.apply(&Command::Join(wrong)), Outcome::Skipped(Skipped::Epoch));
    }
    let apply = |shard: &Shard, join: Join| {
        let command = Some(photondb_shard::format::encode_command(&Command::Join(join)));
        let position = EntryNumber(shard.position().0 + 1);
        shard.apply(&[photondb_shard::Entry { position, term: 1, command }], Bytes::new())
    };
    for (shard, wrong) in [
        (&other.left.shard, join.clone()),
        (&pair.left.shard, Join { right: ShardId(5), ..join.clone() }),
        (&pair.left.shard, Join { end: EntryNumber(1), ..join.clone() }),
    ] {
        let before = shard.position();
        assert!(matches!(apply(shard, wrong), Err(ShardError::NoWard { .. })));
        assert_eq!((shard.position(), documents(shard).len()), (before, 1), "nothing is half applied");
    }
    apply(&pair.left.shard, join).expect("applies");
    assert_eq!(documents(&pair.left.shard).len(), 2);
    assert!(pair.left.shard.get(&key(40)).expect("is its own").is_some());
}

#[test]
fn listeners_and_the_change_log_tell_of_the_join() {
    let mut pair = Pair::with_indexes(1);
    pair.right.write(vec![put(40, 1)]);
    let listener = pair.left.shard.listen(Box::new(|| ()));
    pair.freeze(1);
    let end = pair.right.shard.read().expect("reads").position();
    pair.adopt();
    let join = Command::Join(pair.join());
    pair.left.apply(&join);
    let joined_at = pair.left.shard.read().expect("reads").position();
    pair.left.write(vec![put(40, 2)]);
    let told: Vec<_> = listener.take().expect("open").iter().map(|batch| (batch.changes.len(), batch.joined)).collect();
    assert_eq!(told, [(0, Some((RIGHT, end))), (1, None)]);
    let logged = pair.left.shard.read().expect("reads").changes(Cursor::after(Position(0)), 1 << 20).expect("is whole");
    assert_eq!((logged.changes.len(), logged.joined), (1, vec![(joined_at, RIGHT, end)]));
    assert!(logged.changes[0].2.old.is_some(), "what came is known");
    // The right one's is where it was.
    let logged =
        pair.right.shard.read().expect("reads").changes(Cursor::after(Position(0)), 1 << 20).expect("is whole");
    assert_eq!(logged.changes.len(), 1);
}

#[test]
fn a_join_that_was_reported_is_made_up_for_when_the_shard_goes_on_in_another_group() {
    let taken_over = |range: &KeyRange, epoch: u64| {
        let mut pair = pair_that_was_one();
        while pair.left.shard.build_step(9).expect("builds") != BuildStep::Idle {}
        assert_eq!(pair.left.shard.view().epoch, Epoch(1));
        pair.left
            .shard
            .take_over(range, Epoch(epoch), Freeze::Lifted(0), Bytes::from_static(b"new"))
            .expect("is taken over");
        pair.left.finish_indexes();
        assert_eq!(photondb_shard::verify::indexes(&pair.left.shard.read().expect("reads")).expect("reads"), None);
        let found = (documents(&pair.left.shard).len() as u64, fed::held(&pair.left.shard, "age").len() as u64);
        (found, pair.left.shard.view().range.clone().expect("was cut"), pair.left.shard.tree_set().snapshot().trees())
    };
    let [left, _] = ranges();
    // Nobody has reported it: it may be done yet.
    let (found, range, trees) = taken_over(&left, 2);
    assert_eq!((found, range, trees.len()), ((CUT, CUT), left.clone(), 3 + INDEXES.len() + 2 + INDEXES.len()));
    // Something else was reported.
    let (found, range, _) = taken_over(&left, 9);
    assert_eq!((found, range), ((CUT, CUT), left));
    let (found, range, trees) = taken_over(&KeyRange::all(), 9);
    assert_eq!((found, range), ((IDS, IDS), KeyRange::all()));
    assert_eq!(trees.len(), 3 + 2 * INDEXES.len(), "the indexes have rests");
}

#[test]
fn three_shards_become_one_before_anything_is_settled() {
    let mut single = single();
    let engine = Engine::in_memory(EngineOptions::default());
    let mut whole: Vec<Fed> = (1..4)
        .map(|set| {
            let shard = Shard::open(engine.create_tree_set(TreeSetId(set)).expect("a new tree set")).expect("opens");
            let mut fed = Fed { engine: engine.clone(), shard, log: Vec::new(), fence: Fed::new().fence };
            (0..INDEXES.len()).for_each(|id| create_index(&mut fed, id));
            fed.finish_indexes();
            fed
        })
        .collect();
    for id in 0..IDS {
        write(&mut whole[id as usize / 20], &mut single, vec![put(id, id % 7)]);
    }
    let [low, rest] = KeyRange::all().cut(&key(20)).expect("has keys");
    let [middle, high] = rest.cut(&key(40)).expect("has keys");
    let mut range = low;
    for (number, right_range) in [(1, middle), (2, high)] {
        assert_eq!(whole[number].apply(&Command::Freeze { attempt: 1 }), Outcome::Applied);
        let [left, others @ ..] = whole.as_mut_slice() else { panic!("three") };
        let (right, engine) = (ShardId(number as u64), left.engine.clone());
        assert!(left.shard.adopt(&others[number - 1].shard, right, &engine).expect("adopts"));
        let (ward, epoch) = (left.shard.wards()[0], left.shard.view().epoch);
        let (end, right_epoch) = (ward.position, ward.epoch);
        let join = Join { right, end, right_epoch, epoch, range, right_range };
        assert_eq!(left.apply(&Command::Join(join)), Outcome::Applied);
        range = left.shard.view().range.clone().expect("was joined");
    }
    whole[0].finish_indexes();
    assert_reads_alike(&whole[0].shard, &single.shard, 0..IDS, &mut Numbers(1), 1);
}

/// A left shard of which the right keys were cut off, so that it knows which it has.
fn pair_that_was_one() -> Pair {
    let mut pair = Pair::with_indexes(1);
    let (at, child) = (key(CUT), ShardId(7));
    let split = Split { epoch: Epoch(0), range: KeyRange::all(), at, child };
    assert_eq!(pair.left.apply(&Command::Split(split)), Outcome::Applied);
    pair.left.shard.forget_unborn(child).expect("drops");
    pair.left.finish_indexes();
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        fed.write(vec![put(id, id % 7)]);
    }
    pair.freeze(1);
    pair.adopt();
    pair
}

#[test]
fn who_asks_for_a_key_while_it_comes_is_not_told_that_it_has_no_document() {
    for _ in 0..10 {
        let pair = pair_that_was_one();
        let command = Some(photondb_shard::format::encode_command(&Command::Join(pair.join())));
        let shard = &pair.left.shard;
        let entry = photondb_shard::Entry { position: EntryNumber(shard.position().0 + 1), term: 1, command };
        std::thread::scope(|scope| {
            let (began, begins) = std::sync::mpsc::channel();
            let reader = scope.spawn(move || {
                loop {
                    match shard.get(&key(40)) {
                        Err(ShardError::Moved) => began.send(()).expect("somebody waits"),
                        found => return found,
                    }
                }
            });
            (0..1_000).for_each(|_| begins.recv().expect("it asks"));
            shard.apply(std::slice::from_ref(&entry), Bytes::new()).expect("applies");
            assert!(reader.join().expect("ends").expect("reads").is_some());
        });
    }
}

#[test]
fn an_entry_that_has_another_value_is_in_one_place() {
    // So long that what differs is not in the key of the entry.
    let long = |last: char| {
        let mut bytes = Vec::new();
        let age = format!("{}{last}", "a".repeat(600));
        fed::datum(&format!(r#"{{"id":40,"age":"{age}"}}"#)).encode(&mut bytes);
        vec![Effect::Put { key: key(40), document: Bytes::from(bytes) }]
    };
    let mut pair = Pair::with_indexes(1);
    pair.right.write(long('a'));
    pair.freeze_adopt_and_join(1);
    assert!(!pair.left.shard.is_settled());
    pair.left.write(long('b'));
    let reader = pair.left.shard.read().expect("reads");
    assert_eq!(reader.count_index("age", &KeyBounds::all()).expect("is ready"), 1);
    while pair.left.shard.settle_rest_step(1).expect("settles") {}
    assert_eq!(photondb_shard::verify::indexes(&pair.left.shard.read().expect("reads")).expect("reads"), None);
}

//! A shard that is split against a model: random entries before, while its indexes are copied, and behind.

#[path = "fed/fed.rs"]
mod fed;

use bytes::Bytes;
use fed::{Fed, Model, Numbers, digest_of, document, documents, empty_shard, expected, held, key, random_effect};
use photondb_proto::{Epoch, KeyRange, ShardId};
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Cursor, Effect, Fence, Outcome, Shard, ShardError, Skipped, Split, verify};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

const CHILD: ShardId = ShardId(2);

fn split(fed: &Fed, at: &Bytes) -> Command {
    let view = fed.shard.view();
    let range = view.range.clone().unwrap_or_else(KeyRange::all);
    Command::Split(Split { epoch: view.epoch, range, at: at.clone(), child: CHILD })
}

/// The child in a tree set of its own, fed on from where it was cut off.
fn born(parent: &Fed, set: u64) -> Fed {
    let set = parent.engine.create_tree_set(TreeSetId(set)).expect("a new tree set");
    assert!(parent.shard.bear(CHILD, &parent.engine, set.id(), Bytes::from_static(b"begin")).expect("is born"));
    let shard = Shard::open(set).expect("opens");
    assert_eq!(shard.consensus(), Bytes::from_static(b"begin"));
    let fence = Fence { term: 2, chain: 1, ..Fence::default() };
    Fed { engine: parent.engine.clone(), shard, log: Vec::new(), fence }
}

fn halves(model: Model, at: u64) -> [Model; 2] {
    let (low, high) = model.into_iter().partition(|(id, _)| *id < at);
    [low, high]
}

/// Only ids for which `wanted` holds.
fn effects(numbers: &mut Numbers, model: &mut Model, wanted: impl Fn(u64) -> bool) -> Vec<Effect> {
    let mut kept = Vec::new();
    for _ in 0..1 + numbers.below(6) {
        let mut next = model.clone();
        let effect = random_effect(numbers, &mut next);
        let id = (0..60).find(|id| key(*id) == *effect.key()).expect("one of the model's keys");
        if wanted(id) {
            *model = next;
            kept.push(effect);
        }
    }
    kept
}

fn check(fed: &Fed, model: &Model, seed: u64) {
    let ids: Vec<Bytes> = model.keys().map(|id| key(*id)).collect();
    let mut found: Vec<Bytes> = documents(&fed.shard).into_iter().map(|(key, _)| key).collect();
    found.sort();
    let mut ids = ids;
    ids.sort();
    assert_eq!(found, ids, "seed {seed}");
    assert_eq!(verify::indexes(&fed.shard.read().expect("reads")).expect("reads"), None, "seed {seed}");
    for (index, multi) in [("age", false), ("tags", true)] {
        assert_eq!(held(&fed.shard, index), expected(model, multi), "seed {seed}: {index}");
    }
}

#[test]
fn both_parts_hold_what_they_should_whenever_the_cut_is() {
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut model = Model::new();
        let mut fed = Fed::new();
        let cut = numbers.below(62);
        let at = key(cut);
        fed.create_index(1, "age", false);
        for step in 0..60 {
            let effects = effects(&mut numbers, &mut model, |_| true);
            fed.write(effects);
            if step == 30 {
                fed.create_index(2, "tags", true);
            }
            if numbers.below(3) == 0 {
                fed.shard.build_step(3).expect("builds");
            }
            if step > 20 && numbers.below(2) == 0 {
                fed.shard.prepare_split_step(&at, 2).expect("copies");
            }
        }
        // Some replicas have copied everything by then, and have built everything; others not.
        if numbers.below(2) == 0 {
            fed.finish_indexes();
        }
        let copied = numbers.below(3) > 0;
        while copied && fed.shard.prepare_split_step(&at, 5).expect("copies") {}
        assert!(!copied || fed.shard.is_prepared(&at));

        let command = split(&fed, &at);
        let before = fed.shard.view();
        assert_eq!(fed.apply(&command), Outcome::Applied);
        assert_eq!(fed.apply(&command), Outcome::Skipped(Skipped::Epoch), "it is done once");
        let [mut low, mut high] = halves(model, cut);
        if copied && before.schema.indexes.values().all(|index| index.is_usable()) {
            let after = fed.shard.view();
            assert!(
                after.schema.indexes.values().all(|index| index.is_usable()),
                "seed {seed}: nothing is built again"
            );
        }
        // What was cut off may lie there for a while.
        for _ in 0..numbers.below(10) {
            let effects = effects(&mut numbers, &mut low, |id| id < cut);
            fed.write(effects);
        }
        let mut child = born(&fed, 2);
        assert!(fed.shard.unborn().is_empty());
        for _ in 0..20 {
            let effects = effects(&mut numbers, &mut low, |id| id < cut);
            fed.write(effects);
            let effects = effects_of(&mut numbers, &mut high, cut);
            child.write(effects);
            child.shard.build_step(3).expect("builds");
        }
        for (part, model) in [(&mut fed, &low), (&mut child, &high)] {
            part.finish_indexes();
            check(part, model, seed);
        }
    }
}

fn effects_of(numbers: &mut Numbers, model: &mut Model, from: u64) -> Vec<Effect> {
    effects(numbers, model, |id| id >= from)
}

#[test]
fn replicas_agree_whatever_each_has_copied_and_built() {
    let mut numbers = Numbers(5);
    let mut model = Model::new();
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.finish_indexes();
    for _ in 0..40 {
        let effects = effects(&mut numbers, &mut model, |_| true);
        fed.write(effects);
    }
    let at = key(30);
    while fed.shard.prepare_split_step(&at, 5).expect("copies") {}
    let command = split(&fed, &at);
    fed.apply(&command);
    // One that has copied nothing, and applies everything at once.
    let (engine, other) = blank();
    other.apply(&fed.log, fed.shard.consensus()).expect("applies");
    assert_eq!(digest_of(&other), digest_of(&fed.shard));
    assert!(matches!(other.read().expect("reads").index("age"), Err(ShardError::NotReady(_))));
    let child = born(&fed, 2);
    assert_eq!(digest_of(&other), digest_of(&fed.shard), "who has it is nobody else's affair");
    let set = engine.create_tree_set(TreeSetId(2)).expect("a new tree set");
    assert!(other.bear(CHILD, &engine, set.id(), Bytes::from_static(b"begin")).expect("is born"));
    let others_child = Shard::open(set).expect("opens");
    assert_eq!(digest_of(&others_child), digest_of(&child.shard));
    while other.build_step(7).expect("builds") != BuildStep::Idle {}
    while others_child.build_step(7).expect("builds") != BuildStep::Idle {}
    assert_eq!(held(&other, "age"), held(&fed.shard, "age"));
    assert_eq!(held(&others_child, "age"), held(&child.shard, "age"));

    // One that gets a snapshot from behind the cut has what stays, and bears nothing.
    let (_, chunks) = photondb_shard::snapshot::take(&fed.shard).expect("pins");
    let late = empty_shard();
    photondb_shard::snapshot::install(&late, &mut chunks.into_iter(), |error| error).expect("installs");
    assert_eq!((digest_of(&late), late.unborn()), (digest_of(&fed.shard), vec![]));
}

fn blank() -> (Engine, Shard) {
    let engine = Engine::in_memory(EngineOptions::default());
    let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens");
    (engine, shard)
}

#[test]
fn what_was_cut_off_stays_with_a_replica_that_gets_a_snapshot() {
    let mut fed = Fed::new();
    fed.write((0..10).map(|id| Effect::Put { key: key(id), document: document(id, 1, &[]) }).collect());
    let (engine, other) = blank();
    let command = split(&fed, &key(5));
    fed.apply(&command);
    other.apply(&fed.log, fed.shard.consensus()).expect("applies");
    fed.write(vec![Effect::Delete { key: key(1) }]);
    let (_, chunks) = photondb_shard::snapshot::take(&fed.shard).expect("pins");
    photondb_shard::snapshot::install(&other, &mut chunks.into_iter(), |error| error).expect("installs");
    assert_eq!(digest_of(&other), digest_of(&fed.shard));
    let set = engine.create_tree_set(TreeSetId(2)).expect("a new tree set");
    assert!(other.bear(CHILD, &engine, set.id(), Bytes::new()).expect("is born"));
    assert_eq!(documents(&Shard::open(set).expect("opens")).len(), 5);
    assert!(matches!(other.bear(CHILD, &engine, TreeSetId(2), Bytes::new()), Err(ShardError::Gone)));
}

#[test]
fn what_is_not_wanted_of_a_cut_goes() {
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.write((0..10).map(|id| Effect::Put { key: key(id), document: document(id, 1, &[]) }).collect());
    let command = split(&fed, &key(5));
    fed.apply(&command);
    assert_eq!(fed.shard.unborn().len(), 1);
    fed.shard.forget_unborn(CHILD).expect("drops");
    assert!(fed.shard.unborn().is_empty());
    let trees = fed.shard.tree_set().snapshot().trees();
    assert_eq!(trees.len(), 4, "documents, log, schema, one index: {trees:?}");
}

#[test]
fn a_key_that_went_is_neither_read_nor_written() {
    let mut fed = Fed::new();
    fed.write(vec![
        Effect::Put { key: key(1), document: document(1, 1, &[]) },
        Effect::Put { key: key(9), document: document(9, 1, &[]) },
    ]);
    let whole = fed.shard.read().expect("reads");
    let in_flight = Fence { number: fed.fence.number + 1, ..fed.fence };
    let command = split(&fed, &key(5));
    fed.apply(&command);
    assert!(fed.shard.get(&key(1)).expect("reads").is_some());
    assert!(matches!(fed.shard.get(&key(9)), Err(ShardError::Moved)));
    let reader = fed.shard.read().expect("reads");
    assert!(matches!(reader.get(&key(9)), Err(ShardError::Moved)));
    assert!(matches!(reader.check_range(&KeyRange::all()), Err(ShardError::Moved)));
    let [low, _] = KeyRange::all().cut(&key(5)).expect("has keys");
    assert!(reader.check_range(&low).is_ok());
    // Who has a view from before sees what was there before.
    assert!(whole.get(&key(9)).expect("reads").is_some());
    let outcome = fed.apply(&Command::Write { fence: in_flight, effects: vec![Effect::Delete { key: key(1) }] });
    assert_eq!(outcome, Outcome::Skipped(Skipped::Epoch));
    assert_eq!(fed.shard.view().epoch, Epoch(1));
}

#[test]
fn listeners_and_the_change_log_tell_of_the_child() {
    let mut fed = Fed::new();
    let listener = fed.shard.listen(Box::new(|| ()));
    fed.write(vec![Effect::Put { key: key(9), document: document(9, 1, &[]) }]);
    let command = split(&fed, &key(5));
    fed.apply(&command);
    let cut_at = fed.shard.read().expect("reads").position();
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 1, &[]) }]);
    let told: Vec<_> = listener.take().expect("open").iter().map(|batch| (batch.changes.len(), batch.child)).collect();
    assert_eq!(told, [(1, None), (0, Some(CHILD)), (1, None)]);
    let logged = fed
        .shard
        .read()
        .expect("reads")
        .changes(Cursor::default().max(Cursor::after(photondb_shard::Position(0))), 1 << 20);
    let logged = logged.expect("is whole");
    assert_eq!((logged.changes.len(), logged.children), (2, vec![(cut_at, CHILD)]));
    // The child's log begins behind the cut.
    let mut child = born(&fed, 2);
    child.write(vec![Effect::Delete { key: key(9) }]);
    let reader = child.shard.read().expect("reads");
    let logged = reader.changes(Cursor::after(cut_at), 1 << 20).expect("is whole");
    assert_eq!(logged.changes.len(), 1);
    assert!(matches!(reader.changes(Cursor { position: cut_at, given: 0 }, 1), Err(ShardError::ChangesTrimmed { .. })));
}

#[test]
fn a_cut_of_another_range_is_not_done() {
    let mut fed = Fed::new();
    fed.write((0..10).map(|id| Effect::Put { key: key(id), document: document(id, 1, &[]) }).collect());
    let whole = KeyRange::all();
    let command = split(&fed, &key(7));
    fed.apply(&command);
    // Under the epoch of now, but made for the range of before: what it would cut off again has gone.
    for at in [3, 7, 8] {
        let (epoch, at) = (fed.shard.view().epoch, key(at));
        let command = Command::Split(Split { epoch, range: whole.clone(), at, child: ShardId(3) });
        assert_eq!(fed.apply(&command), Outcome::Skipped(Skipped::Epoch));
    }
    let left: Vec<Bytes> = documents(&fed.shard).into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, (0..7).map(key).collect::<Vec<_>>());
    assert_eq!(fed.shard.view().range, whole.cut(&key(7)).map(|[low, _]| low));
}

#[test]
fn a_shard_with_as_many_indexes_as_it_takes_is_cut_several_times() {
    let mut fed = Fed::new();
    let most = photondb_shard::limits::INDEXES_MAX as u64;
    for id in 0..most + 1 {
        fed.create_index(id, &format!("i{id}"), false);
    }
    assert_eq!(fed.shard.view().schema.indexes.len(), photondb_shard::limits::INDEXES_MAX);
    fed.write((0..10).map(|id| Effect::Put { key: key(id), document: document(id, 1, &[]) }).collect());
    // What was cut off before has not been borne, and the last one has all of its halves.
    for (number, at) in [(2, 8), (3, 6), (4, 4), (5, 2)] {
        while number == 5 && fed.shard.prepare_split_step(&key(at), 100).expect("copies") {}
        let Command::Split(command) = split(&fed, &key(at)) else { panic!("not a split") };
        fed.apply(&Command::Split(Split { child: ShardId(number), ..command }));
    }
    assert_eq!(fed.shard.unborn().len(), 4, "each lies here until it is borne");
}

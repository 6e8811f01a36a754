//! What a replica has becomes the beginning of another group: once, with the keys and the epoch that the cluster state gives it.

#[path = "fed/fed.rs"]
mod fed;

use bytes::Bytes;
use fed::{Fed, Model, Numbers, document, documents, expected, held, key, random_effect};
use photondb_proto::{Epoch, KeyRange, ShardId};
use photondb_shard::{Command, Cursor, Effect, Fence, Freeze, Outcome, Shard, ShardError, Split, verify};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

const CHILD: ShardId = ShardId(2);

fn filled(seed: u64) -> (Fed, Model) {
    let (mut numbers, mut model, mut fed) = (Numbers(seed), Model::new(), Fed::new());
    fed.create_index(1, "age", false);
    for _ in 0..40 {
        let effect = random_effect(&mut numbers, &mut model);
        fed.write(vec![effect]);
    }
    fed.finish_indexes();
    (fed, model)
}

fn consensus(name: &'static str) -> Bytes {
    Bytes::from_static(name.as_bytes())
}

fn check(fed: &Fed, model: &Model) {
    let mut found: Vec<Bytes> = documents(&fed.shard).into_iter().map(|(key, _)| key).collect();
    let mut ids: Vec<Bytes> = model.keys().map(|id| key(*id)).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    assert_eq!(verify::indexes(&fed.shard.read().expect("reads")).expect("reads"), None);
    assert_eq!(held(&fed.shard, "age"), expected(model, false));
}

/// As the leader of the new group, in a higher term.
fn lead(fed: &mut Fed) {
    fed.fence = Fence { term: fed.fence.term + 1, chain: 1, ..Fence::default() };
}

#[test]
fn it_keeps_what_it_had_and_is_taken_over_once() {
    let (mut fed, mut model) = filled(1);
    let (before, position) = (fed.shard.view(), fed.shard.position());
    let epoch = Epoch(before.epoch.0 + 1);
    for _ in 0..2 {
        fed.shard.take_over(&KeyRange::all(), epoch, Freeze::Lifted(0), consensus("new")).expect("is taken over");
        let after = fed.shard.view();
        assert_eq!((after.epoch, after.version, fed.shard.position()), (epoch, before.version, position));
        assert_eq!(fed.shard.consensus(), consensus("new"));
    }
    check(&fed, &model);
    // Who stood at the last change, or anywhere before it, begins anew.
    let reader = fed.shard.read().expect("reads");
    for at in [1, position.0] {
        let changes = reader.changes(Cursor::after(photondb_shard::Position(at - 1)), 1 << 20);
        assert!(matches!(changes, Err(ShardError::ChangesTrimmed { .. })), "{changes:?}");
    }
    // What somebody evaluated for the old group has no effect.
    let late = Fence { epoch: before.epoch, schema: before.version, number: fed.fence.number + 1, ..fed.fence };
    let effects = vec![Effect::Put { key: key(1_000), document: document(1_000, 1, &[]) }];
    assert!(matches!(fed.apply(&Command::Write { fence: late, effects }), Outcome::Skipped(_)));
    lead(&mut fed);
    fed.write(vec![Effect::Put { key: key(7), document: document(7, 3, &[]) }]);
    model.insert(7, (3, Vec::new()));
    check(&fed, &model);
    let reader = fed.shard.read().expect("reads");
    let changes = reader.changes(Cursor::after(photondb_shard::Position(position.0 + 1)), 1 << 20).expect("reads");
    assert_eq!(changes.changes.len(), 1);
}

#[test]
fn what_was_taken_over_is_what_is_opened_again() {
    let (fed, model) = filled(2);
    fed.shard.take_over(&KeyRange::all(), Epoch(4), Freeze::Lifted(0), consensus("new")).expect("is taken over");
    let (digest, epoch) = (fed::digest_of(&fed.shard), fed.shard.view().epoch);
    let Fed { engine, shard, .. } = fed;
    let set = shard.tree_set().clone();
    drop(shard);
    let shard = Shard::open(set).expect("opens");
    assert_eq!((fed::digest_of(&shard), shard.view().epoch), (digest, epoch));
    assert_eq!(documents(&shard).len(), model.len());
    drop(engine);
}

#[test]
fn a_cut_that_it_had_not_applied_is_made_up_for() {
    for (seed, cut) in [(3, 20), (4, 0), (5, 59), (6, 61)] {
        let (mut fed, model) = filled(seed);
        let range = KeyRange::new(Vec::new(), Some(key(cut).to_vec()));
        let Some(range) = range else { continue };
        let epoch = Epoch(fed.shard.view().epoch.0 + 2);
        fed.shard.take_over(&range, epoch, Freeze::Lifted(0), consensus("new")).expect("is taken over");
        assert_eq!(fed.shard.view().epoch, epoch);
        assert!(fed.shard.unborn().is_empty(), "nobody waits for what is dropped");
        assert!(matches!(fed.shard.get(&key(cut)), Err(ShardError::Moved)));
        let low: Model = model.into_iter().filter(|(id, _)| key(*id) < key(cut)).collect();
        lead(&mut fed);
        while fed.shard.build_step(7).expect("builds") != photondb_shard::shard::BuildStep::Idle {}
        check(&fed, &low);
        let trees = fed.shard.tree_set().snapshot().trees();
        assert_eq!(trees.len(), 4, "documents, change log, definitions and one index: {trees:?}");
    }
}

#[test]
fn what_it_had_cut_off_and_nobody_reported_begins_under_the_epoch_that_follows() {
    let (mut fed, model) = filled(7);
    let (at, before) = (key(30), fed.shard.view().epoch);
    let split = Split { epoch: before, range: KeyRange::all(), at: at.clone(), child: CHILD };
    assert_eq!(fed.apply(&Command::Split(split)), Outcome::Applied);
    let unborn = fed.shard.unborn();
    // The state knows of no cut yet: the epoch that it gives is the one that the shard has by itself.
    let epoch = Epoch(before.0 + 1);
    for _ in 0..2 {
        fed.shard.take_over(&KeyRange::all(), epoch, Freeze::Lifted(0), consensus("new")).expect("is taken over");
        assert_eq!(fed.shard.view().epoch, Epoch(epoch.0 + 1));
    }
    assert_eq!(fed.shard.unborn(), unborn);
    let set = fed.engine.create_tree_set(TreeSetId(2)).expect("a new set");
    assert!(fed.shard.bear(CHILD, &fed.engine, set.id(), consensus("child")).expect("is born"));
    let child = Shard::open(set).expect("opens");
    assert_eq!(child.view().epoch, Epoch(epoch.0 + 1));
    assert_eq!(documents(&child).len() + documents(&fed.shard).len(), model.len());
    assert!(matches!(fed.shard.get(&at), Err(ShardError::Moved)));
}

#[test]
fn an_empty_shard_may_begin_with_another_epoch() {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new set");
    let shard = Shard::open_at(set.clone(), Epoch(6)).expect("opens");
    assert_eq!(shard.view().epoch, Epoch(6));
    drop(shard);
    assert_eq!(Shard::open_at(set, Epoch(9)).expect("opens").view().epoch, Epoch(6), "it is not empty any more");
}

/// The old member's builder would put its own state over that of who takes over.
#[test]
fn who_was_closed_builds_and_copies_nothing_any_more() {
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.write((0..20).map(|id| Effect::Put { key: key(id), document: document(id, id, &[]) }).collect());
    assert_ne!(fed.shard.build_step(3).expect("builds"), photondb_shard::shard::BuildStep::Idle);
    fed.shard.close();
    let next = Shard::open(fed.shard.tree_set().clone()).expect("opens");
    next.take_over(&KeyRange::all(), Epoch(1), Freeze::Lifted(0), consensus("new")).expect("is taken over");
    assert!(matches!(fed.shard.build_step(3), Err(ShardError::Gone)));
    assert!(matches!(fed.shard.prepare_split_step(&key(5), 3), Err(ShardError::Gone)));
    drop(next);
    let opened = Shard::open(fed.shard.tree_set().clone()).expect("opens");
    assert_eq!((opened.consensus(), opened.view().epoch), (consensus("new"), Epoch(1)));
}

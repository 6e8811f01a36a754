//! A frozen shard answers nothing and does not change; what it has passes to its neighbour, whole and once, wherever power is lost.

#[path = "fed/fed.rs"]
mod fed;
#[path = "pair/pair.rs"]
mod pair;

use std::sync::Arc;

use bytes::Bytes;
use fed::{Fed, documents, field_function, key};
use pair::{CUT, IDS, INDEXES, Pair, RIGHT, blank, put, ranges};
use photondb_proto::{Epoch, IndexId, KeyRange, ShardId};
use photondb_reql::datum::Datum;
use photondb_shard::shard::{BuildStep, trees};
use photondb_shard::{
    Command, Cursor, Effect, EntryNumber, Fence, Outcome, Position, Shard, ShardError, Skipped, Split,
};
use photondb_storage::{TreeId, TreeSetId};

fn filled() -> Pair {
    let mut pair = Pair::with_indexes(1);
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        fed.write(vec![put(id, id % 7)]);
    }
    pair
}

#[test]
fn a_frozen_shard_answers_nothing_and_no_write_has_an_effect() {
    let mut fed = Fed::new();
    fed.write(vec![put(1, 1)]);
    let whole = fed.shard.read().expect("reads");
    let in_flight = Fence { number: fed.fence.number + 1, ..fed.fence };
    let listener = fed.shard.listen(Box::new(|| ()));
    assert_eq!(fed.apply(&Command::Freeze { attempt: 1 }), Outcome::Applied);
    let at = fed.shard.read().expect("reads").position();

    let view = fed.shard.view();
    assert_eq!((view.frozen, view.epoch), (Some(1), Epoch(1)));
    assert!(!view.has(&key(1)) && !view.covers(&KeyRange::all()));
    assert!(matches!(fed.shard.get(&key(1)), Err(ShardError::Moved)));
    let reader = fed.shard.read().expect("of the change log");
    assert!(matches!(reader.get(&key(1)), Err(ShardError::Moved)));
    assert!(matches!(reader.check_range(&KeyRange::all()), Err(ShardError::Moved)));
    assert_eq!(reader.changes(Cursor::after(Position(0)), 1 << 20).expect("is whole").changes.len(), 1);
    // Who has a view from before sees what was there before.
    assert!(whole.get(&key(1)).expect("reads").is_some() && whole.check_range(&KeyRange::all()).is_ok());
    // Who listens learns how far it has come.
    let told: Vec<_> =
        listener.take().expect("open").iter().map(|batch| (batch.position, batch.changes.len())).collect();
    assert_eq!(told, [(at, 0)]);

    let skipped = Outcome::Skipped(Skipped::Epoch);
    let effects = vec![Effect::Delete { key: key(1) }];
    assert_eq!(fed.apply(&Command::Write { fence: in_flight, effects: effects.clone() }), skipped);
    let fence = Fence { epoch: view.epoch, ..in_flight };
    assert_eq!(fed.apply(&Command::Write { fence, effects }), skipped, "evaluated since");
    let split = Split { epoch: view.epoch, range: KeyRange::all(), at: key(1), child: ShardId(7) };
    assert_eq!(fed.apply(&Command::Split(split)), skipped);
    let definition = field_function("age");
    let create = Command::CreateIndex { id: IndexId(1), name: "age".into(), multi: false, geo: false, definition };
    assert_eq!(fed.apply(&create), skipped);
    assert_eq!(fed.apply(&Command::SetWriteHook { definition: None }), skipped);
    assert_eq!(fed.apply(&Command::Freeze { attempt: 2 }), skipped, "it is");
    let after = fed.shard.view();
    assert_eq!((after.frozen, after.epoch, after.version), (Some(1), view.epoch, view.version));
    assert_eq!(documents(&fed.shard).len(), 1);
}

#[test]
fn nothing_is_built_or_copied_while_it_is_frozen() {
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.write((0..10).map(|id| put(id, 1)).collect());
    fed.apply(&Command::Freeze { attempt: 1 });
    assert_eq!(fed.shard.build_step(100).expect("looks"), BuildStep::Idle);
    assert!(!fed.shard.prepare_split_step(&key(5), 100).expect("looks") && fed.shard.built_not_ready().is_empty());
    fed.apply(&Command::Thaw { attempt: 1 });
    fed.finish_indexes();
    assert_eq!(fed::held(&fed.shard, "age").len(), 10);
    // One that is built and not ready is not said to be ready meanwhile.
    fed.create_index(2, "tags", true);
    while fed.shard.build_step(100).expect("builds") != BuildStep::Idle {}
    assert_eq!(fed.shard.built_not_ready(), [IndexId(2)]);
    fed.apply(&Command::Freeze { attempt: 2 });
    assert!(fed.shard.built_not_ready().is_empty());
}

#[test]
fn an_attempt_that_was_given_up_freezes_nothing() {
    let mut fed = Fed::new();
    fed.write(vec![put(1, 1)]);
    let skipped = Outcome::Skipped(Skipped::Epoch);
    let frozen = |fed: &Fed| (fed.shard.view().frozen, fed.shard.view().epoch.0);
    assert_eq!(fed.apply(&Command::Freeze { attempt: 1 }), Outcome::Applied);
    assert_eq!(fed.apply(&Command::Thaw { attempt: 1 }), Outcome::Applied);
    assert_eq!(frozen(&fed), (None, 2));
    assert!(fed.shard.get(&key(1)).expect("answers again").is_some());
    fed.write(vec![put(2, 1)]);
    // What was proposed for it comes late.
    assert_eq!(fed.apply(&Command::Freeze { attempt: 1 }), skipped);
    assert_eq!(frozen(&fed), (None, 2));
    // A thaw may come before what it thaws.
    assert_eq!(fed.apply(&Command::Thaw { attempt: 3 }), Outcome::Applied);
    assert_eq!(frozen(&fed), (None, 2));
    assert_eq!(fed.apply(&Command::Freeze { attempt: 3 }), skipped);
    assert_eq!(fed.apply(&Command::Freeze { attempt: 2 }), skipped, "older than one that was given up");
    assert_eq!(fed.apply(&Command::Freeze { attempt: 4 }), Outcome::Applied);
    assert_eq!(fed.apply(&Command::Thaw { attempt: 2 }), Outcome::Applied);
    assert_eq!(frozen(&fed), (Some(4), 3), "a later attempt goes on");
    fed.shard = Shard::open(fed.shard.tree_set().clone()).expect("opens");
    assert_eq!(frozen(&fed), (Some(4), 3));
    assert_eq!(fed.apply(&Command::Thaw { attempt: 5 }), Outcome::Applied);
    assert_eq!(fed.apply(&Command::Thaw { attempt: 1 }), Outcome::Applied);
    assert_eq!(fed.apply(&Command::Freeze { attempt: 5 }), skipped, "what was given up stays so");
    assert_eq!(frozen(&fed), (None, 4));
}

#[test]
fn what_is_not_frozen_is_not_adopted() {
    let pair = filled();
    let adopt = |pair: &Pair| pair.left.shard.adopt(&pair.right.shard, RIGHT, &pair.left.engine);
    assert!(!adopt(&pair).expect("looks"));
    assert!(pair.left.shard.wards().is_empty());
    assert_eq!(documents(&pair.right.shard).len(), (IDS - CUT) as usize);
}

#[test]
fn what_was_adopted_is_here_and_no_longer_there() {
    let mut pair = filled();
    pair.freeze(4);
    let at = pair.right.shard.position();
    // Consensus goes on with entries of its own.
    blank(&mut pair.right);
    pair.adopt();
    let ward = pair.left.shard.wards();
    let wards: Vec<_> = ward.iter().map(|ward| (ward.shard, ward.attempt, ward.position, ward.epoch)).collect();
    assert_eq!(wards, [(RIGHT, 4, at, Epoch(1))]);
    assert_eq!(documents(&pair.left.shard).len(), CUT as usize, "it is not joined yet");
    for pair in [pair.crash_after_a_while(), pair] {
        assert!(documents(&pair.right.shard).is_empty());
        assert_eq!(pair.right.shard.tree_set().snapshot().trees().len(), 3);
        assert!(matches!(photondb_shard::snapshot::take(&pair.right.shard), Err(ShardError::Hollow)));
        assert!(matches!(pair.right.shard.get(&key(40)), Err(ShardError::Moved)));
        let elsewhere = Pair::new(2);
        let other = elsewhere.left.shard.adopt(&pair.right.shard, RIGHT, &elsewhere.left.engine);
        assert!(matches!(other, Err(ShardError::Hollow)));
        assert!(pair.left.shard.adopt(&pair.right.shard, RIGHT, &pair.left.engine).expect("has it"), "again");
        assert_eq!(pair.left.shard.wards().len(), 1);
    }
}

impl Pair {
    /// The same on a copy of the disk, after both have applied more and power was lost.
    fn crash_after_a_while(&mut self) -> Pair {
        blank(&mut self.right);
        self.left.write(vec![put(1, 5)]);
        let copy = Pair { disk: Arc::new(self.disk.fork(9)), left: self.left.forget(), right: self.right.forget() };
        let mut copy = copy.crash();
        blank(&mut copy.right);
        copy
    }
}

trait Forget {
    fn forget(&self) -> Fed;
}

impl Forget for Fed {
    /// The log alone.
    fn forget(&self) -> Fed {
        Fed { log: self.log.clone(), fence: self.fence, ..Fed::new() }
    }
}

#[test]
fn what_was_adopted_lies_beside_what_was_cut_off() {
    let mut pair = filled();
    pair.freeze(1);
    pair.adopt();
    let (epoch, child) = (pair.left.shard.view().epoch, ShardId(7));
    let split = Split { epoch, range: ranges()[0].clone(), at: key(10), child };
    assert_eq!(pair.left.apply(&Command::Split(split)), Outcome::Applied);
    let pair = pair.crash();
    assert_eq!((pair.left.shard.wards().len(), pair.left.shard.unborn().len()), (1, 1));
    let set = pair.left.engine.create_tree_set(TreeSetId(7)).expect("a new tree set");
    assert!(pair.left.shard.bear(child, &pair.left.engine, set.id(), Bytes::new()).expect("is born"));
    assert_eq!(documents(&Shard::open(set).expect("opens")).len(), (CUT - 10) as usize);
    let trees = |pair: &Pair| pair.left.shard.tree_set().snapshot().trees().len();
    assert_eq!(trees(&pair), 3 + INDEXES.len() + 2 + INDEXES.len(), "what was adopted has no change log");
}

#[test]
fn a_hollow_shard_is_opened_though_nothing_is_in_its_set_but_the_change_log() {
    let mut pair = filled();
    pair.freeze(1);
    pair.adopt();
    // As in a superblock that came right behind the transfer.
    let set = pair.right.shard.tree_set().clone();
    let mut transaction = set.begin();
    transaction.drop_tree(trees::PRIMARY).expect("is there");
    transaction.drop_tree(trees::SCHEMA).expect("is there");
    transaction.create_tree(TreeId(trees::INDEXES_FROM + 9)).expect("what lay beside an index");
    transaction.commit().expect("commits");
    pair.right.shard = Shard::open(set).expect("opens");
    blank(&mut pair.right);
    assert!(documents(&pair.right.shard).is_empty());
    let changes = pair.right.shard.read().expect("reads").changes(Cursor::after(Position(0)), 1 << 20);
    assert_eq!(changes.expect("is whole").changes.len(), (IDS - CUT) as usize);
    assert_eq!(pair.right.shard.tree_set().snapshot().trees(), [trees::PRIMARY, trees::CHANGE_LOG, trees::SCHEMA]);
}

#[test]
fn a_hollow_shard_keeps_what_its_change_log_held_though_its_limit_went_with_the_rest() {
    let mut pair = Pair::new(1);
    pair.right.apply(&Command::SetChangeLog { bytes_max: 200 << 20 });
    let large = Bytes::from(Datum::from("x".repeat(8 << 20)).to_encoded());
    for id in CUT..CUT + 10 {
        pair.right.write(vec![Effect::Put { key: key(id), document: large.clone() }]);
    }
    pair.freeze(1);
    pair.adopt();
    blank(&mut pair.right);
    pair.right.shard = Shard::open(pair.right.shard.tree_set().clone()).expect("opens");
    blank(&mut pair.right);
    let changes = pair.right.shard.read().expect("reads").changes(Cursor::after(Position(0)), usize::MAX);
    assert_eq!(
        changes.expect("is whole").changes.len(),
        10,
        "80 MiB, which is more than is kept where nothing was told"
    );
}

#[test]
fn a_hollow_shard_is_not_thawed() {
    let mut pair = filled();
    pair.freeze(1);
    pair.adopt();
    let thaw = Some(photondb_shard::format::encode_command(&Command::Thaw { attempt: 1 }));
    let entry =
        photondb_shard::Entry { position: EntryNumber(pair.right.shard.position().0 + 1), term: 1, command: thaw };
    let thawed = pair.right.shard.apply(&[entry], Bytes::new());
    assert!(matches!(thawed, Err(ShardError::Hollow)), "there is no way back");
}

#[test]
fn a_loss_of_power_anywhere_leaves_it_on_one_side() {
    let mut before = filled();
    before.freeze(1);
    before.left.engine.checkpoint().expect("stores");
    let (mut here, mut there) = (0, 0);
    for operations in 0.. {
        let disk = Arc::new(before.disk.fork(operations));
        let copy = Pair { disk, left: before.left.forget(), right: before.right.forget() }.crash();
        let begun = copy.disk.operations();
        copy.disk.crash_at(operations);
        let adopted = copy.left.shard.adopt(&copy.right.shard, RIGHT, &copy.left.engine);
        let ended = copy.disk.operations() - begun;
        let was_cut_short = ended > operations;
        assert!(was_cut_short || adopted.as_ref().is_ok_and(|is_done| *is_done));
        copy.disk.restart();
        let copy = copy.crash();
        let is_here = !copy.left.shard.tree_set().snapshot().trees().iter().all(|tree| tree.0 < 1 << 30);
        let left_there = documents(&copy.right.shard).len();
        assert_eq!(left_there, if is_here { 0 } else { (IDS - CUT) as usize }, "after {operations}");
        assert!(is_here || !matches!(adopted, Ok(true)), "after {operations}: what is adopted stays");
        *(if is_here { &mut here } else { &mut there }) += 1;
        // Whatever became of it, it can be gone on with.
        let mut copy = copy;
        copy.adopt();
        copy.left.write(vec![put(2, 3)]);
        let join = Command::Join(copy.join());
        assert_eq!(copy.left.apply(&join), Outcome::Applied);
        let copy = copy.crash();
        assert_eq!(documents(&copy.left.shard).len(), IDS as usize);
        assert_eq!(photondb_shard::verify::indexes(&copy.left.shard.read().expect("reads")).expect("reads"), None);
        assert_eq!(copy.left.shard.view().schema.indexes.len(), INDEXES.len());
        if !was_cut_short {
            break;
        }
    }
    assert!(here > 1 && there > 1, "{here} here, {there} there");
}

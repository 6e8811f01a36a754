//! Digests and the check of indexes notice whatever replicas must agree on, and nothing else.

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::key::PrimaryKey;
use photondb_reql::term;
use photondb_shard::format::{VALUE_HEADER_BYTES, encode_command};
use photondb_shard::shard::{BuildStep, trees};
use photondb_shard::verify::{self, DifferenceKind};
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, Outcome, Shard, digest};
use photondb_storage::{Direction, Engine, EngineOptions, KeyRange, TreeId, TreeSetId};

const INDEX_TREE: TreeId = TreeId(trees::INDEXES_FROM);

fn datum(json: &str) -> Bytes {
    let mut bytes = Vec::new();
    term_of(json).as_datum().expect("constant").encode(&mut bytes);
    Bytes::from(bytes)
}

fn term_of(json: &str) -> photondb_reql::Term {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term,
        _ => panic!("{json} is no query"),
    }
}

fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::Number(id as f64)).expect("a number can be a key").bytes()
}

fn put(id: u64, age: u64) -> Effect {
    Effect::Put { key: key(id), document: datum(&format!(r#"{{"id":{id},"age":{age}}}"#)) }
}

/// A shard that has applied an index and these effects, each in an entry of its own.
fn shard(effects: &[Effect]) -> Shard {
    let engine = Engine::in_memory(EngineOptions::default());
    let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens");
    let function = compile_term(&term_of(r#"[69,[[2,[1]],[170,[[10,[1]],"age"]]]]"#)).expect("compiles");
    let definition = Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"));
    let mut commands =
        vec![Command::CreateIndex { id: IndexId(1), name: "age".into(), multi: false, geo: false, definition }];
    for (effect, number) in effects.iter().zip(1..) {
        let schema = photondb_proto::SchemaVersion(1);
        let fence = Fence { term: 1, chain: 1, number, schema, ..Fence::default() };
        commands.push(Command::Write { fence, effects: vec![effect.clone()] });
    }
    commands.push(Command::IndexReady { id: IndexId(1) });
    for (command, position) in commands.iter().zip(1..) {
        let entry = Entry { position: EntryNumber(position), term: 1, command: Some(encode_command(command)) };
        assert_eq!(shard.apply(&[entry], Bytes::from_static(b"raft")).expect("applies"), [Outcome::Applied]);
    }
    shard
}

fn digest_of(shard: &Shard) -> u64 {
    digest::of(&shard.tree_set().snapshot()).expect("reads")
}

fn built(shard: Shard) -> Shard {
    while shard.build_step(2).expect("builds") != BuildStep::Idle {}
    shard
}

/// Changes what is stored behind the shard's back.
fn damage(shard: &Shard, change: impl FnOnce(&mut photondb_storage::Transaction)) {
    let mut transaction = shard.tree_set().begin();
    change(&mut transaction);
    transaction.commit().expect("commits");
}

fn first_row(shard: &Shard, tree: TreeId) -> (Bytes, Bytes) {
    let snapshot = shard.tree_set().snapshot();
    let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward).expect("reads");
    cursor.next().expect("reads").expect("has a row")
}

#[test]
fn a_digest_follows_the_log_and_not_what_a_replica_builds() {
    let effects = [put(1, 4), put(2, 5), Effect::Delete { key: key(1) }];
    assert_eq!(digest_of(&shard(&effects)), digest_of(&built(shard(&effects))));
    let mut all: Vec<u64> = (0..=effects.len()).map(|applied| digest_of(&shard(&effects[..applied]))).collect();
    all.push(digest_of(&shard(&[put(1, 4), put(2, 6), Effect::Delete { key: key(1) }])));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), effects.len() + 2, "each state has its own");
}

#[test]
fn a_digest_notices_each_row_that_is_another() {
    let whole = shard(&[put(1, 4), put(2, 5)]);
    let right = digest_of(&whole);
    let snapshot = whole.tree_set().snapshot();
    assert_eq!(digest::rows(&snapshot).expect("reads"), 4, "two documents, two changes");
    assert_eq!(digest::position(&snapshot).expect("reads"), whole.position());
    for tree in [trees::PRIMARY, trees::CHANGE_LOG, trees::SCHEMA] {
        let (key, value) = first_row(&whole, tree);
        let other = shard(&[put(1, 4), put(2, 5)]);
        damage(&other, |transaction| transaction.put(tree, &key, &[&value[..], &[0]].concat()[1..]).map(drop).unwrap());
        assert!(digest::of(&other.tree_set().snapshot()).map_or(true, |digest| digest != right), "{tree:?}");
    }
    for tree in [trees::PRIMARY, trees::CHANGE_LOG, trees::SCHEMA] {
        let (key, _) = first_row(&whole, tree);
        let other = shard(&[put(1, 4), put(2, 5)]);
        damage(&other, |transaction| transaction.delete(tree, &key).map(drop).unwrap());
        assert_ne!(digest_of(&other), right, "{tree:?}");
    }
}

#[test]
fn the_check_of_indexes_finds_each_entry_that_is_not_as_it_should_be() {
    let effects = [put(1, 4), put(2, 5), put(3, 5), put(1, 7)];
    let difference = |shard: &Shard| verify::indexes(&shard.read().expect("reads")).expect("reads");
    assert_eq!(difference(&shard(&effects)), None, "an index that is not built is not read");
    let whole = built(shard(&effects));
    assert_eq!(difference(&whole), None);
    let (entry, value) = first_row(&whole, INDEX_TREE);

    let missing = built(shard(&effects));
    damage(&missing, |transaction| transaction.delete(INDEX_TREE, &entry).map(drop).unwrap());
    assert_eq!(difference(&missing).expect("differs").kind, DifferenceKind::Missing);

    let foreign = built(shard(&effects));
    damage(&foreign, |transaction| transaction.put(INDEX_TREE, b"~", &value).map(drop).unwrap());
    assert_eq!(difference(&foreign).expect("differs").kind, DifferenceKind::Foreign);

    let other = built(shard(&effects));
    let mut wrong = value.to_vec();
    *wrong.last_mut().expect("not empty") ^= 1;
    damage(&other, |transaction| transaction.put(INDEX_TREE, &entry, &wrong).map(drop).unwrap());
    assert_eq!(difference(&other).expect("differs").kind, DifferenceKind::Other);

    let rewritten = built(shard(&effects));
    let mut later = value.to_vec();
    later[VALUE_HEADER_BYTES - 1] ^= 1;
    damage(&rewritten, |transaction| transaction.put(INDEX_TREE, &entry, &later).map(drop).unwrap());
    assert_eq!(difference(&rewritten), None, "when an entry was written is each replica's own affair");
}

//! The entries of an index that was made with another version of the evaluator cannot be computed again to be found. Such an
//! index is not read, and it is built again; nothing is left of what it held.

use bytes::{BufMut, Bytes};
use photondb_proto::IndexId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::key::{PrimaryKey, index_key};
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::read::KeyBounds;
use photondb_shard::shard::{BuildStep, trees};
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, Outcome, Shard, ShardError, snapshot};
use photondb_storage::{Direction, Engine, EngineOptions, TreeId, TreeSet, TreeSetId};

/// What an older program wrote of a number.
const OLD_TEXT: &str = "1.0";

const PRINTED: &str = r#"[51,[[170,[[10,[1]],"n"]],"string"]]"#;
const FIELD: &str = r#"[170,[[10,[1]],"n"]]"#;

fn function(body: &str) -> Bytes {
    let json = format!("[1,[69,[[2,[1]],{body}]]]");
    let Ok(term::Message::Start(start)) = term::parse(json.as_bytes()) else { panic!("a query") };
    let function = compile_term(&start.term).expect("compiles");
    Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"))
}

fn key(id: u32) -> Bytes {
    PrimaryKey::new(&Datum::from(id)).expect("a number can be a key").bytes()
}

struct Fed {
    shard: Shard,
    fence: Fence,
    position: u64,
}

impl Fed {
    fn of(set: TreeSet) -> Fed {
        Fed {
            shard: Shard::open(set).expect("opens"),
            fence: Fence { term: 1, chain: 1, ..Fence::default() },
            position: 0,
        }
    }

    fn apply(&mut self, command: &Command) {
        self.position += 1;
        let entry = Entry { position: EntryNumber(self.position), term: 1, command: Some(encode_command(command)) };
        assert_eq!(self.shard.apply(&[entry], Bytes::new()).expect("applies"), [Outcome::Applied]);
    }

    fn write(&mut self, effect: Effect) {
        self.fence.number += 1;
        self.fence.schema = self.shard.view().version;
        self.apply(&Command::Write { fence: self.fence, effects: vec![effect] });
    }

    fn put(&mut self, id: u32) {
        let mut document = Vec::new();
        Datum::Object(Object::from([("id", id), ("n", id)])).encode(&mut document);
        self.write(Effect::Put { key: key(id), document: Bytes::from(document) });
    }

    fn create_index(&mut self, id: u64, name: &str, body: &str, geo: bool) {
        let definition = function(body);
        self.apply(&Command::CreateIndex { id: IndexId(id), name: name.into(), multi: false, geo, definition });
    }

    fn build(&mut self) {
        while self.shard.build_step(7).expect("builds") != BuildStep::Idle {}
        for id in self.shard.built_not_ready() {
            self.apply(&Command::IndexReady { id });
        }
    }

    fn values(&self, index: &str) -> Result<Vec<Datum>, ShardError> {
        let reader = self.shard.read()?;
        let rows = reader.index_rows(index, &KeyBounds::all(), Direction::Forward, 1_000)?.rows;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

/// The record of an index as programs wrote it that knew no version of the evaluator.
fn old_record(tree: TreeId, name: &str, body: &str, geo: bool) -> Vec<u8> {
    let mut record = vec![if geo { 2 } else { 1 }];
    record.put_u32_le(tree.0);
    record.put_u8(2 | u8::from(geo) << 2);
    record.put_u16_le(u16::try_from(name.len()).expect("short"));
    record.put_slice(name.as_bytes());
    // Built to the end.
    record.put_u8(2);
    let definition = function(body);
    record.put_u32_le(u32::try_from(definition.len()).expect("short"));
    record.put_slice(&definition);
    record
}

/// Ten documents, three indexes, all as an older program left them.
fn old_shard(engine: &Engine) -> TreeSet {
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new tree set");
    let mut fed = Fed::of(set.clone());
    fed.create_index(1, "printed", PRINTED, false);
    fed.create_index(2, "field", FIELD, false);
    fed.create_index(3, "place", FIELD, true);
    (0..10).for_each(|id| fed.put(id));
    fed.build();
    let trees: Vec<TreeId> = fed.shard.view().schema.indexes.values().map(|index| index.tree).collect();
    let mut transaction = set.begin();
    for (id, (name, body, geo)) in
        (1u64..).zip([("printed", PRINTED, false), ("field", FIELD, false), ("place", FIELD, true)])
    {
        let record_key = [&[1][..], &id.to_be_bytes()].concat();
        let tree = trees[usize::try_from(id).expect("small") - 1];
        transaction.put(trees::SCHEMA, &record_key, &old_record(tree, name, body, geo)).expect("puts");
    }
    // The document 1 stands under what the older program printed.
    let text = |text: &str| index_key(&Datum::from(text), &key(1), None).expect("a text can be in an index");
    let entry = transaction.get(trees[0], &text("1")).expect("reads").expect("is there");
    transaction.delete(trees[0], &text("1")).expect("deletes");
    transaction.put(trees[0], &text(OLD_TEXT), &entry).expect("puts");
    transaction.commit().expect("commits");
    set
}

fn index_of(shard: &Shard, name: &str) -> photondb_shard::Index {
    (**shard.view().schema.index(name).expect("is there")).clone()
}

fn texts() -> Vec<Datum> {
    (0..10u32).map(|number| Datum::from(number.to_string())).collect()
}

#[test]
fn it_is_refused_until_it_is_built_and_holds_nothing_old_then() {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = old_shard(&engine);
    let mut fed = Fed { position: 100, ..Fed::of(set.clone()) };
    fed.fence.number = 10;
    assert!(matches!(fed.values("printed"), Err(ShardError::NotReady(_))));
    let printed = index_of(&fed.shard, "printed");
    assert!(printed.outdated && !printed.is_usable() && printed.needs_building());
    assert!(index_of(&fed.shard, "place").outdated, "how shapes are covered may change too");
    // Fields are the same in every version.
    assert_eq!(fed.values("field").expect("is usable").len(), 10);
    assert!(!index_of(&fed.shard, "field").outdated);

    // Writes that come meanwhile find it empty, or as far as it is built.
    fed.write(Effect::Delete { key: key(1) });
    assert_eq!(fed.shard.build_step(3).expect("builds"), BuildStep::Progress);
    fed.put(1);
    let halfway = Fed::of(set.clone());
    assert!(index_of(&halfway.shard, "printed").outdated, "a start in between goes on with it");
    assert!(matches!(halfway.values("printed"), Err(ShardError::NotReady(_))));
    fed.build();
    assert_eq!(fed.values("printed").expect("is usable"), texts());
    assert!(!index_of(&fed.shard, "printed").outdated);

    // And once it is built it is an index like any other, also after a start.
    let again = Fed::of(set);
    assert_eq!(again.values("printed").expect("is usable"), texts());
    for id in 0..10 {
        fed.write(Effect::Delete { key: key(id) });
    }
    assert_eq!(fed.values("printed").expect("is usable"), []);
}

#[test]
fn building_it_again_changes_nothing_that_replicas_must_agree_on() {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = old_shard(&engine);
    // A replica that lives on has all indexes as the log made them.
    let mut living = Fed::of(engine.create_tree_set(TreeSetId(2)).expect("a new tree set"));
    for (id, name) in [(1, "printed"), (2, "field"), (3, "place")] {
        living.create_index(id, name, FIELD, false);
    }
    let mut restarted = Fed { position: 100, ..Fed::of(set) };
    assert!(index_of(&restarted.shard, "printed").tree.0 >= trees::BUILT_AGAIN_FROM);
    for fed in [&mut living, &mut restarted] {
        fed.create_index(4, "next", FIELD, false);
    }
    assert_eq!(index_of(&living.shard, "next").tree, index_of(&restarted.shard, "next").tree);
}

#[test]
fn it_is_built_again_also_when_it_comes_with_a_snapshot() {
    let (old, new) = (Engine::in_memory(EngineOptions::default()), Engine::in_memory(EngineOptions::default()));
    let set = old_shard(&old);
    let receiver = Shard::open(new.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens");
    let mut chunks = chunks_of(&set);
    snapshot::install(&receiver, &mut chunks, |error| error).expect("installs");
    assert!(index_of(&receiver, "printed").outdated && !index_of(&receiver, "printed").is_usable());
    let mut fed =
        Fed { shard: receiver, fence: Fence { term: 1, chain: 1, number: 10, ..Fence::default() }, position: 100 };
    fed.build();
    assert_eq!(fed.values("printed").expect("is usable"), texts());
}

/// The chunks of a snapshot, made of what the trees hold: opening the shard to take one would renew it.
fn chunks_of(set: &TreeSet) -> impl Iterator<Item = Result<Bytes, ShardError>> + use<> {
    let snapshot = set.snapshot();
    let mut chunks = vec![[&[1, 0][..], &snapshot.meta()].concat()];
    for tree in snapshot.trees() {
        let mut rows = Vec::new();
        let mut count = 0u32;
        let mut cursor = snapshot.cursor(tree, KeyBounds::all(), Direction::Forward).expect("opens");
        while let Some((key, value)) = cursor.next().expect("reads") {
            rows.put_u16_le(u16::try_from(key.len()).expect("short"));
            rows.put_slice(&key);
            rows.put_u32_le(u32::try_from(value.len()).expect("short"));
            rows.put_slice(&value);
            count += 1;
        }
        let mut chunk = vec![1, 1];
        chunk.put_u32_le(tree.0);
        chunk.put_u32_le(count);
        chunk.extend(rows);
        chunks.push(chunk);
    }
    chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk)))
}

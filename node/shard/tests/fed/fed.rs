//! A shard with the log that was fed to it, and a model of what it holds.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeMap;

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::key::PrimaryKey;
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::read::KeyBounds;
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, Outcome, Shard};
use photondb_storage::{Direction, Engine, EngineOptions, TreeSetId};

/// A small generator (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub fn datum(json: &str) -> Datum {
    let term = term_of(json);
    term.as_datum().cloned().unwrap_or_else(|| panic!("{json} is not constant"))
}

pub fn term_of(json: &str) -> photondb_reql::Term {
    let message = term::parse(format!("[1,{json}]").as_bytes()).unwrap_or_else(|_| panic!("{json} does not parse"));
    match message {
        term::Message::Start(start) => start.term,
        _ => panic!("not a query"),
    }
}

/// The stored bytes of `function(d) { return d[field] }`.
pub fn field_function(field: &str) -> Bytes {
    let function = compile_term(&term_of(&format!(r#"[69,[[2,[1]],[170,[[10,[1]],"{field}"]]]]"#))).expect("compiles");
    Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"))
}

pub fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::Number(id as f64)).expect("a number can be a key").bytes()
}

pub fn document(id: u64, age: u64, tags: &[u64]) -> Bytes {
    let tags: Vec<String> = tags.iter().map(u64::to_string).collect();
    let mut bytes = Vec::new();
    datum(&format!(r#"{{"id":{id},"age":{age},"tags":[2,[{}]]}}"#, tags.join(","))).encode(&mut bytes);
    Bytes::from(bytes)
}

/// A shard with the log that was fed to it.
pub struct Fed {
    pub engine: Engine,
    pub shard: Shard,
    pub log: Vec<Entry>,
    pub fence: Fence,
}

impl Fed {
    pub fn new() -> Fed {
        let engine = Engine::in_memory(EngineOptions::default());
        let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens");
        Fed { engine, shard, log: Vec::new(), fence: Fence { term: 1, chain: 1, ..Fence::default() } }
    }

    pub fn apply(&mut self, command: &Command) -> Outcome {
        let position = EntryNumber(self.shard.position().0 + 1);
        let entry = Entry { position, term: self.fence.term, command: Some(encode_command(command)) };
        self.log.push(entry.clone());
        let consensus = Bytes::from(position.0.to_le_bytes().to_vec());
        let outcomes = self.shard.apply(&[entry], consensus.clone()).expect("applies");
        assert_eq!(self.shard.consensus(), consensus);
        outcomes[0]
    }

    pub fn write(&mut self, effects: Vec<Effect>) {
        self.fence.number += 1;
        let view = self.shard.view();
        (self.fence.schema, self.fence.epoch) = (view.version, view.epoch);
        let outcome = self.apply(&Command::Write { fence: self.fence, effects });
        assert_eq!(outcome, Outcome::Applied);
    }

    pub fn create_index(&mut self, id: u64, name: &str, multi: bool) {
        let command = Command::CreateIndex {
            id: IndexId(id),
            name: name.into(),
            multi,
            geo: false,
            definition: field_function(name),
        };
        assert_eq!(self.apply(&command), Outcome::Applied);
    }

    pub fn finish_indexes(&mut self) {
        while self.shard.build_step(7).expect("builds") != BuildStep::Idle {}
        for id in self.shard.built_not_ready() {
            assert_eq!(self.apply(&Command::IndexReady { id }), Outcome::Applied);
        }
    }
}

pub fn empty_shard() -> Shard {
    let engine = Engine::in_memory(EngineOptions::default());
    Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens")
}

pub fn digest_of(shard: &Shard) -> u64 {
    photondb_shard::digest::of(&shard.tree_set().snapshot()).expect("reads")
}

pub fn documents(shard: &Shard) -> Vec<(Bytes, Bytes)> {
    shard.read().expect("reads").all_documents().expect("reads")
}

pub type Model = BTreeMap<u64, (u64, Vec<u64>)>;

pub fn random_effect(numbers: &mut Numbers, model: &mut Model) -> Effect {
    let id = numbers.below(60);
    if numbers.below(4) == 0 {
        model.remove(&id);
        return Effect::Delete { key: key(id) };
    }
    let age = numbers.below(10);
    let tags: Vec<u64> = (0..numbers.below(4)).map(|_| numbers.below(5)).collect();
    let effect = Effect::Put { key: key(id), document: document(id, age, &tags) };
    model.insert(id, (age, tags));
    effect
}

/// What the index on `age` or `tags` must hold: (value, id), sorted.
pub fn expected(model: &Model, multi: bool) -> Vec<(u64, u64)> {
    let mut entries: Vec<(u64, u64)> = model
        .iter()
        .flat_map(
            |(id, (age, tags))| if multi { tags.iter().map(|tag| (*tag, *id)).collect() } else { vec![(*age, *id)] },
        )
        .collect();
    entries.sort_unstable();
    entries
}

pub fn held(shard: &Shard, index: &str) -> Vec<(u64, u64)> {
    let reader = shard.read().expect("reads");
    let rows = reader.index_rows(index, &KeyBounds::all(), Direction::Forward, usize::MAX).expect("ready").rows;
    assert_eq!(reader.count_index(index, &KeyBounds::all()).expect("counts"), rows.len() as u64);
    let number = |datum: Datum| datum.as_number().expect("a number") as u64;
    rows.into_iter()
        .map(|row| {
            let document = Datum::decode(row.document).expect("a document");
            (number(row.value), number(document.field("id").expect("has an id")))
        })
        .collect()
}

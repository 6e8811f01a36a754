//! A shard with an index, to be looked at.

use bytes::Bytes;
use photondb_proto::{IndexId, KeyRange};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::key::PrimaryKey;
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, IndexRow, Outcome, Shard};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

/// A shard with an index on `a`.
pub struct Fed {
    pub shard: Shard,
    fence: Fence,
    position: u64,
}

impl Fed {
    pub fn new(geo: bool) -> Fed {
        let engine = Engine::in_memory(EngineOptions::default());
        let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).unwrap()).unwrap();
        let mut fed = Fed { shard, fence: Fence { term: 1, chain: 1, ..Fence::default() }, position: 0 };
        let Ok(term::Message::Start(start)) = term::parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"a"]]]]]"#) else {
            panic!("a query")
        };
        let definition = encode_function(&compile_term(&start.term).unwrap(), &Cx::pure()).unwrap();
        let (id, definition) = (IndexId(1), Bytes::from(definition));
        fed.apply(&Command::CreateIndex { id, name: "a".into(), multi: false, geo, definition });
        while !fed.shard.built_not_ready().contains(&id) {
            fed.shard.build_step(7).unwrap();
        }
        fed.apply(&Command::IndexReady { id });
        fed
    }

    fn apply(&mut self, command: &Command) {
        self.position += 1;
        let position = EntryNumber(self.position);
        let entry = Entry { position, term: 1, command: Some(encode_command(command)) };
        let outcomes = self.shard.apply(&[entry], Bytes::from(self.position.to_le_bytes().to_vec())).unwrap();
        assert_eq!(outcomes[0], Outcome::Applied);
    }

    pub fn put(&mut self, rows: impl IntoIterator<Item = (u64, Datum)>) {
        self.fence.number += 1;
        self.fence.schema = self.shard.view().version;
        let effect = |(id, value): (u64, Datum)| {
            let document = Datum::Object([("id", Datum::from(id)), ("a", value)].into());
            Effect::Put { key: key(id), document: Bytes::from(document.to_encoded()) }
        };
        let effects = rows.into_iter().map(effect).collect();
        self.apply(&Command::Write { fence: self.fence, effects });
    }
}

pub fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::from(id)).unwrap().bytes()
}

/// The keys from one number to another.
pub fn keys(from: u64, to: u64) -> KeyRange {
    KeyRange::new(key(from).to_vec(), Some(key(to).to_vec())).unwrap()
}

pub fn id_of(row: &IndexRow) -> u64 {
    let id = Datum::decode(row.document.clone()).unwrap().field("id").unwrap();
    id.as_integer().unwrap().try_into().unwrap()
}

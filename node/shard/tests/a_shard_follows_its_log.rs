//! A shard against a model: random entries, indexes that come and go, chunks of building in between.

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
use photondb_shard::{Command, Effect, Entry, Fence, Outcome, Position, Shard, ShardError, Skipped};
use photondb_storage::{Direction, Engine, EngineOptions, TreeSetId};

/// A small generator (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn datum(json: &str) -> Datum {
    let term = term_of(json);
    term.as_datum().cloned().unwrap_or_else(|| panic!("{json} is not constant"))
}

fn term_of(json: &str) -> photondb_reql::Term {
    let message = term::parse(format!("[1,{json}]").as_bytes()).unwrap_or_else(|_| panic!("{json} does not parse"));
    match message {
        term::Message::Start(start) => start.term,
        _ => panic!("not a query"),
    }
}

/// The stored bytes of `function(d) { return d[field] }`.
fn field_function(field: &str) -> Bytes {
    let function = compile_term(&term_of(&format!(r#"[69,[[2,[1]],[170,[[10,[1]],"{field}"]]]]"#))).expect("compiles");
    Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"))
}

fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::Number(id as f64)).expect("a number can be a key").bytes()
}

fn document(id: u64, age: u64, tags: &[u64]) -> Bytes {
    let tags: Vec<String> = tags.iter().map(u64::to_string).collect();
    let mut bytes = Vec::new();
    datum(&format!(r#"{{"id":{id},"age":{age},"tags":[2,[{}]]}}"#, tags.join(","))).encode(&mut bytes);
    Bytes::from(bytes)
}

/// A shard with the log that was fed to it.
struct Fed {
    shard: Shard,
    log: Vec<Entry>,
    fence: Fence,
}

impl Fed {
    fn new() -> Fed {
        Fed { shard: empty_shard(), log: Vec::new(), fence: Fence { term: 1, chain: 1, ..Fence::default() } }
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let position = Position(self.log.len() as u64 + 1);
        let entry = Entry { position, term: 1, command: Some(encode_command(command)) };
        self.log.push(entry.clone());
        let consensus = Bytes::from(position.0.to_le_bytes().to_vec());
        let outcomes = self.shard.apply(&[entry], consensus.clone()).expect("applies");
        assert_eq!(self.shard.consensus(), consensus);
        outcomes[0]
    }

    fn write(&mut self, effects: Vec<Effect>) {
        self.fence.number += 1;
        self.fence.schema = self.shard.view().version;
        let outcome = self.apply(&Command::Write { fence: self.fence, effects });
        assert_eq!(outcome, Outcome::Applied);
    }

    fn create_index(&mut self, id: u64, name: &str, multi: bool) {
        let command = Command::CreateIndex {
            id: IndexId(id),
            name: name.into(),
            multi,
            geo: false,
            definition: field_function(name),
        };
        assert_eq!(self.apply(&command), Outcome::Applied);
    }

    fn finish_indexes(&mut self) {
        while self.shard.build_step(7).expect("builds") != BuildStep::Idle {}
        for id in self.shard.built_not_ready() {
            assert_eq!(self.apply(&Command::IndexReady { id }), Outcome::Applied);
        }
    }
}

fn empty_shard() -> Shard {
    let engine = Engine::in_memory(EngineOptions::default());
    Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens")
}

fn digest_of(shard: &Shard) -> u64 {
    photondb_shard::digest::of(&shard.tree_set().snapshot()).expect("reads")
}

fn documents(shard: &Shard) -> Vec<(Bytes, Bytes)> {
    shard.read().expect("reads").all_documents().expect("reads")
}

type Model = BTreeMap<u64, (u64, Vec<u64>)>;

fn random_effect(numbers: &mut Numbers, model: &mut Model) -> Effect {
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
fn expected(model: &Model, multi: bool) -> Vec<(u64, u64)> {
    let mut entries: Vec<(u64, u64)> = model
        .iter()
        .flat_map(
            |(id, (age, tags))| if multi { tags.iter().map(|tag| (*tag, *id)).collect() } else { vec![(*age, *id)] },
        )
        .collect();
    entries.sort_unstable();
    entries
}

fn held(shard: &Shard, index: &str) -> Vec<(u64, u64)> {
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

#[test]
fn indexes_hold_what_their_functions_give_whenever_they_are_built() {
    for seed in 0..30 {
        let mut numbers = Numbers(seed);
        let mut model = Model::new();
        let mut fed = Fed::new();
        for step in 0..120 {
            let effects = (0..1 + numbers.below(4)).map(|_| random_effect(&mut numbers, &mut model)).collect();
            fed.write(effects);
            match step {
                20 => fed.create_index(1, "age", false),
                50 => fed.create_index(2, "tags", true),
                _ => {}
            }
            if step > 20 && numbers.below(3) == 0 {
                fed.shard.build_step(3).expect("builds");
            }
        }
        fed.finish_indexes();
        let effects = (0..20).map(|_| random_effect(&mut numbers, &mut model)).collect();
        fed.write(effects);
        assert_eq!(held(&fed.shard, "age"), expected(&model, false), "seed {seed}");
        assert_eq!(held(&fed.shard, "tags"), expected(&model, true), "seed {seed}");
        assert_eq!(
            fed.shard.read().expect("reads").count_documents(&KeyBounds::all()).expect("counts"),
            model.len() as u64
        );
    }
}

#[test]
fn the_same_log_gives_the_same_shard_however_it_is_cut_into_batches() {
    let mut numbers = Numbers(7);
    let mut model = Model::new();
    let mut fed = Fed::new();
    for step in 0..100 {
        let effects = (0..1 + numbers.below(4)).map(|_| random_effect(&mut numbers, &mut model)).collect();
        fed.write(effects);
        if step == 30 {
            fed.create_index(1, "age", false);
        }
    }
    fed.finish_indexes();
    let other = empty_shard();
    let mut rest = fed.log.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rest.len().min(1 + numbers.below(17) as usize));
        other.apply(batch, fed.shard.consensus()).expect("applies");
        rest = after;
    }
    // Replicas are equal wherever the building of an index stands here.
    assert_eq!(digest_of(&other), digest_of(&fed.shard));
    while other.build_step(11).expect("builds") != BuildStep::Idle {}
    assert_eq!(documents(&other), documents(&fed.shard));
    assert_eq!(held(&other, "age"), held(&fed.shard, "age"));
    assert_eq!(other.position(), fed.shard.position());
}

#[test]
fn an_entry_evaluated_under_anything_else_is_skipped_whole() {
    let mut fed = Fed::new();
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 1, &[]) }]);
    let before = documents(&fed.shard);
    let right = Fence { number: fed.fence.number + 1, ..fed.fence };
    let wrong = [
        (Fence { term: 2, ..right }, Skipped::Term),
        (Fence { epoch: photondb_proto::Epoch(9), ..right }, Skipped::Epoch),
        (Fence { schema: photondb_proto::SchemaVersion(9), ..right }, Skipped::Schema),
        (Fence { number: right.number + 1, ..right }, Skipped::Chain),
        (Fence { number: fed.fence.number, ..right }, Skipped::Chain),
        (Fence { chain: 2, ..right }, Skipped::Chain),
        (Fence { chain: 0, number: 1, ..right }, Skipped::Chain),
        (Fence { number: 1, ..right }, Skipped::Chain),
    ];
    for (fence, reason) in wrong {
        let effects = vec![Effect::Put { key: key(2), document: document(2, 2, &[]) }, Effect::Delete { key: key(1) }];
        assert_eq!(fed.apply(&Command::Write { fence, effects }), Outcome::Skipped(reason), "{fence:?}");
        assert_eq!(documents(&fed.shard), before, "{fence:?}");
    }
    let effects = vec![Effect::Delete { key: key(1) }];
    assert_eq!(fed.apply(&Command::Write { fence: right, effects: effects.clone() }), Outcome::Applied);
    assert_eq!(
        fed.apply(&Command::Write { fence: Fence { chain: 2, number: 1, ..right }, effects }),
        Outcome::Applied,
        "a new chain"
    );
}

#[test]
fn a_schema_change_makes_writes_in_flight_void() {
    let mut fed = Fed::new();
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 1, &[]) }]);
    let in_flight = Fence { number: fed.fence.number + 1, ..fed.fence };
    fed.create_index(1, "age", false);
    let outcome = fed.apply(&Command::Write { fence: in_flight, effects: vec![Effect::Delete { key: key(1) }] });
    assert_eq!(outcome, Outcome::Skipped(Skipped::Schema));
}

#[test]
fn a_snapshot_brings_another_shard_to_the_same_state() {
    let mut numbers = Numbers(3);
    let mut model = Model::new();
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    for _ in 0..80 {
        let effects = (0..5).map(|_| random_effect(&mut numbers, &mut model)).collect();
        fed.write(effects);
    }
    fed.finish_indexes();
    let (consensus, chunks) = photondb_shard::snapshot::take(&fed.shard).expect("pins");
    let other = empty_shard();
    photondb_shard::snapshot::install(&other, &mut chunks.into_iter(), |error| error).expect("installs");
    assert_eq!(other.consensus(), consensus);
    assert_eq!(documents(&other), documents(&fed.shard));
    assert_eq!(held(&other, "age"), expected(&model, false));
    assert_eq!(other.position(), fed.shard.position());
    assert_eq!(digest_of(&other), digest_of(&fed.shard));
}

#[test]
fn listeners_are_given_old_and_new_in_order() {
    let mut fed = Fed::new();
    let listener = fed.shard.listen(Box::new(|| ()));
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 1, &[]) }]);
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 2, &[]) }]);
    fed.write(vec![Effect::Delete { key: key(1) }]);
    let batches = listener.take().expect("open");
    let seen: Vec<_> =
        batches.iter().flat_map(|batch| batch.changes.iter().map(|c| (c.old.clone(), c.new.clone()))).collect();
    let (first, second) = (document(1, 1, &[]), document(1, 2, &[]));
    assert_eq!(seen, [(None, Some(first.clone())), (Some(first), Some(second.clone())), (Some(second), None)]);
}

#[test]
fn a_dropped_index_is_gone_and_its_name_may_be_another_index() {
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.finish_indexes();
    assert_eq!(fed.apply(&Command::DropIndex { id: IndexId(1) }), Outcome::Applied);
    assert!(fed.shard.read().expect("reads").index("age").is_err());
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 4, &[]) }]);
    fed.create_index(2, "age", false);
    assert!(fed.shard.read().expect("reads").index("age").is_err(), "not before it is built");
    fed.finish_indexes();
    assert_eq!(held(&fed.shard, "age"), [(4, 1)]);
}

#[test]
fn an_index_whose_building_a_crash_took_back_is_not_read_before_it_is_built_again() {
    let mut fed = Fed::new();
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 30, &[]) }]);
    fed.create_index(1, "age", false);
    fed.finish_indexes();
    // The log came back; what the builder did since the last checkpoint did not.
    let again = empty_shard();
    again.apply(&fed.log, fed.shard.consensus()).expect("applies");
    let by_age = |shard: &Shard| shard.read().expect("reads").index("age").map(|index| index.id);
    assert!(matches!(by_age(&again), Err(ShardError::NotReady(_))));
    while again.build_step(7).expect("builds") != BuildStep::Idle {}
    assert_eq!(by_age(&again).expect("is whole again"), IndexId(1));
    assert_eq!(held(&again, "age"), held(&fed.shard, "age"));
}

/// A document with a text of that many bytes.
fn large_document(id: u64, fill: char, bytes: usize) -> Bytes {
    let text: String = std::iter::repeat_n(fill, bytes).collect();
    let mut encoded = Vec::new();
    datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#)).encode(&mut encoded);
    Bytes::from(encoded)
}

#[test]
fn the_largest_documents_replace_each_other() {
    let mut fed = Fed::new();
    fed.write(vec![Effect::Put { key: key(2), document: document(2, 1, &[]) }]);
    // Old and new together are larger than any value that a tree takes.
    let largest = photondb_shard::limits::DOCUMENT_BYTES_MAX - 100;
    for fill in ['a', 'b'] {
        let document = large_document(1, fill, largest);
        fed.write(vec![Effect::Put { key: key(1), document: document.clone() }]);
        assert_eq!(fed.shard.get(&key(1)).expect("reads"), Some(document));
    }
    fed.write(vec![Effect::Put { key: key(2), document: document(2, 3, &[]) }]);
    assert_eq!(documents(&fed.shard).len(), 2);
}

#[test]
fn a_glance_sees_every_document_and_the_others_are_copied() {
    let mut fed = Fed::new();
    for id in 0..100 {
        fed.write(vec![Effect::Put { key: key(id), document: document(id, 1, &[]) }]);
    }
    let all = documents(&fed.shard);
    let reader = fed.shard.read().expect("reads");
    for direction in [Direction::Forward, Direction::Backward] {
        let (mut seen, mut kept, mut bounds, mut pieces) = (Vec::new(), Vec::new(), KeyBounds::all(), 0);
        loop {
            let mut position = 0;
            let glance = |document: &[u8]| {
                seen.push(Bytes::copy_from_slice(document));
                position += 1;
                position % 3 != 0
            };
            let found = reader.documents(&bounds, direction, 7, glance).expect("reads");
            assert_eq!(found.examined, position);
            assert_eq!(found.rows.len(), position / 3);
            kept.extend(found.rows);
            pieces += 1;
            let Some(last) = found.last else { break };
            match direction {
                Direction::Forward => bounds = KeyBounds::after(last),
                Direction::Backward => bounds.end = std::ops::Bound::Excluded(last),
            }
        }
        let mut expected: Vec<Bytes> = all.iter().map(|(_, document)| document.clone()).collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        assert_eq!(seen, expected);
        assert_eq!(pieces, 100 / 7 + 1);
        assert!(kept.iter().all(|row| all.contains(row)));
    }
}

#[test]
fn an_index_function_that_makes_more_than_a_tree_takes_gives_no_entry() {
    let mut fed = Fed::new();
    let text = r#"[170,[[10,[1]],"text"]]"#;
    let body = format!("[24,[{text},{text},{text}]]");
    let function = compile_term(&term_of(&format!("[69,[[2,[1]],{body}]]"))).expect("compiles");
    let definition = Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"));
    let name = "threefold".to_owned();
    fed.apply(&Command::CreateIndex { id: IndexId(1), name, multi: false, geo: false, definition });
    fed.write(vec![Effect::Put { key: key(1), document: large_document(1, 'a', 12 << 20) }]);
    fed.finish_indexes();
    fed.write(vec![Effect::Put { key: key(2), document: large_document(2, 'b', 10) }]);
    fed.write(vec![Effect::Put { key: key(1), document: large_document(1, 'c', 12 << 20) }]);
    let reader = fed.shard.read().expect("reads");
    assert_eq!(reader.count_index("threefold", &KeyBounds::all()).expect("counts"), 1);
}

#[test]
fn a_document_that_does_not_decode_does_not_stop_the_log() {
    let mut fed = Fed::new();
    fed.create_index(1, "age", false);
    fed.finish_indexes();
    fed.write(vec![Effect::Put { key: key(1), document: Bytes::from_static(b"no datum") }]);
    fed.write(vec![Effect::Put { key: key(2), document: document(2, 5, &[]) }]);
    assert_eq!(held(&fed.shard, "age"), [(5, 2)]);
    fed.write(vec![Effect::Put { key: key(1), document: document(1, 4, &[]) }]);
    assert_eq!(held(&fed.shard, "age"), [(4, 1), (5, 2)]);
}

/// Entries of long values differ only behind what stands in the key.
#[test]
fn a_long_value_that_changes_at_its_end_changes_in_its_entry() {
    let mut fed = Fed::new();
    fed.create_index(1, "name", false);
    fed.finish_indexes();
    for end in ["old", "new"] {
        let name = format!("{}{end}", "x".repeat(1_000));
        let mut document = Vec::new();
        datum(&format!(r#"{{"id":1,"name":"{name}"}}"#)).encode(&mut document);
        fed.write(vec![Effect::Put { key: key(1), document: Bytes::from(document) }]);
        let reader = fed.shard.read().expect("reads");
        let rows = reader.index_rows("name", &KeyBounds::all(), Direction::Forward, 10).expect("reads").rows;
        let values: Vec<_> = rows.iter().map(|row| row.value.clone()).collect();
        assert_eq!(values, [Datum::from(name)]);
    }
}

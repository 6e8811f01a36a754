//! A shard against a model: random entries, indexes that come and go, chunks of building in between.

#[path = "fed/fed.rs"]
mod fed;

use bytes::Bytes;
use fed::{
    Fed, Model, Numbers, datum, digest_of, document, documents, empty_shard, expected, held, key, random_effect,
    term_of,
};
use photondb_proto::IndexId;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_shard::read::KeyBounds;
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Effect, Fence, Outcome, Shard, ShardError, Skipped};
use photondb_storage::Direction;

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
fn who_reads_a_snapshot_sees_how_far_they_are() {
    let mut fed = Fed::new();
    for id in 0..3_000 {
        fed.write(vec![Effect::Put { key: key(id), document: document(id, 1, &[0; 100]) }]);
    }
    let (_, mut chunks) = photondb_shard::snapshot::take(&fed.shard).expect("pins");
    let begun = chunks.rows_read();
    assert!(begun.read == 0 && begun.all >= 3_000, "{begun:?}");
    let mut seen = vec![begun];
    while let Some(chunk) = chunks.next() {
        chunk.expect("reads");
        seen.push(chunks.rows_read());
    }
    assert!(seen.iter().all(|rows| rows.all == begun.all), "what is pinned has as many rows in the end as at first");
    assert!(seen.is_sorted_by_key(|rows| rows.read), "{seen:?}");
    assert!(seen.iter().any(|rows| (1..rows.all).contains(&rows.read)), "not all at once: {seen:?}");
    assert_eq!(seen.last().map(|rows| rows.read), Some(begun.all));
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

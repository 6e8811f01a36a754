//! The same operations on two tables: one whose shards are on three nodes, asked by any of them, and one that is all on the
//! first node, asked there. Every answer is the same.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::cluster::{Cluster, SPREAD, TOGETHER, cx, datum, definition, function, on_fiber, replacing_function};
use photondb_cluster_state::Command;
use photondb_query::table::{
    Access, Change, Conflict, DatumRange, Keys, Order, ReadMode, Table, Transition, Write, WriteOptions, WriteResult,
};
use photondb_replica::ShardTable;
use photondb_reql::datum::Datum;

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

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

fn seed() -> u64 {
    std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed)
}

const IDS: u64 = 90;

/// Functions of `update`: fields, time, literals, other types, errors.
const UPDATES: [&str; 6] = [
    r#"[69,[[2,[1]],{"n":[24,[[92,[[170,[[10,[1]],"n"]],0]],1]]}]]"#,
    r#"[69,[[2,[1]],{"at":[103,[]]}]]"#,
    r#"[69,[[2,[1]],{"deep":[137,[{"x":1}]]}]]"#,
    r#"[69,[[2,[1]],{"deep":{"y":[170,[[10,[1]],"n"]]}}]]"#,
    r#"[69,[[2,[1]],[12,["thrown"]]]]"#,
    r#"[69,[[2,[1]],{"id":[24,[[170,[[10,[1]],"id"]],1]]}]]"#,
];

/// Functions of `replace`.
const REPLACES: [&str; 5] = [
    r#"[69,[[2,[1]],[35,[[10,[1]],{"r":1}]]]]"#,
    r#"[69,[[2,[1]],null]]"#,
    r#"[69,[[2,[1]],[137,[{"id":1}]]]]"#,
    r#"[69,[[2,[1]],{"no":"key"}]]"#,
    r#"[69,[[2,[1]],[35,[[10,[1]],{"t":[103,[]],"b":[65,[[21,[[92,[[170,[[10,[1]],"n"]],0]],2]],"few","many"]]}]]]]"#,
];

/// The function of a conflict.
const CONFLICT: &str = r#"[69,[[2,[1,2,3]],[35,[[10,[2]],[10,[3]],{"k":[10,[1]]}]]]]"#;

/// Values of `a`: numbers, texts that an index cuts, and what has no place in one.
fn value(numbers: &mut Numbers) -> String {
    match numbers.below(6) {
        0 => format!("\"{}{}\"", "x".repeat(400), numbers.below(5)),
        1 => "null".to_owned(),
        2 => format!("[2,[{},\"{}\"]]", numbers.below(3), "y".repeat(300)),
        _ => numbers.below(9).to_string(),
    }
}

fn document(numbers: &mut Numbers, id: u64) -> Datum {
    let tags: Vec<String> = (0..numbers.below(4)).map(|_| value(numbers)).filter(|tag| !tag.starts_with('[')).collect();
    datum(&format!(r#"{{"id":{id},"a":{},"tags":[2,[{}]],"n":{}}}"#, value(numbers), tags.join(","), numbers.below(5)))
}

fn writes(numbers: &mut Numbers) -> Vec<Write> {
    let count = 1 + numbers.below(12);
    let kind = numbers.below(4);
    let update = numbers.one_of(&UPDATES);
    let replace = numbers.one_of(&REPLACES);
    let write = |numbers: &mut Numbers| {
        let id = numbers.below(IDS);
        let transition = match kind {
            0 => Transition::Insert {
                document: document(numbers, id),
                conflict: match numbers.below(4) {
                    0 => Conflict::Error,
                    1 => Conflict::Replace,
                    2 => Conflict::Update,
                    _ => Conflict::Function(replacing_function(CONFLICT)),
                },
            },
            1 => Transition::Update(function(update)),
            2 => Transition::Replace(replacing_function(replace)),
            _ if numbers.below(3) == 0 => Transition::Delete,
            _ => Transition::Insert { document: document(numbers, id), conflict: Conflict::Replace },
        };
        Write { key: Datum::from(id as i32), transition }
    };
    (0..count).map(|_| write(numbers)).collect()
}

/// An access and how many rows are wanted at once.
fn access(numbers: &mut Numbers) -> (Access, usize) {
    let index = match numbers.below(3) {
        0 => None,
        1 => Some("a".into()),
        _ => Some("tags".into()),
    };
    let bound = |numbers: &mut Numbers| match &index {
        None => Datum::from(numbers.below(IDS) as i32),
        Some(_) => loop {
            let value = value(numbers);
            if value != "null" && !value.starts_with('[') {
                break datum(&value);
            }
        },
    };
    let keys = match numbers.below(3) {
        0 => Keys::Range(DatumRange::all()),
        1 => {
            let (left, right) = (bound(numbers), bound(numbers));
            let (left_closed, right_closed) = (numbers.below(2) == 0, numbers.below(2) == 0);
            let (left, right) = if left <= right { (left, right) } else { (right, left) };
            Keys::Range(DatumRange { left, left_closed, right, right_closed })
        }
        _ => Keys::Each((0..numbers.below(5)).map(|_| bound(numbers)).collect()),
    };
    let order = match (&keys, numbers.below(3)) {
        (Keys::Each(_), _) => Order::Any,
        (_, 0) => Order::Any,
        (_, 1) => Order::Ascending,
        _ => Order::Descending,
    };
    (Access { index, keys, order }, 1 + numbers.below(40) as usize)
}

fn rows(table: &ShardTable, access: &Access, want: usize) -> Vec<String> {
    let mut scan = table.scan(access, ReadMode::Single).expect("scans");
    let mut all = Vec::new();
    loop {
        let batch = scan.next_batch(want).expect("reads");
        if batch.is_empty() {
            break;
        }
        all.extend(batch.into_iter().map(|row| format!("{:?} {:?}", row.index_value, row.document)));
    }
    assert!(scan.is_at_end());
    assert!(scan.progress().iter().all(|lane| lane.ended && lane.snapshots.is_none_or(|read| read.first <= read.last)));
    if access.order == Order::Any {
        all.sort();
    }
    all
}

/// The same rows, but for those of which a glance was enough; and all that were examined.
fn glanced(table: &ShardTable, access: &Access, want: usize) -> (Vec<String>, Vec<String>) {
    let mut scan = table.scan(access, ReadMode::Single).expect("scans");
    let (mut kept, mut seen) = (Vec::new(), Vec::new());
    loop {
        let mut here = Vec::new();
        let found = scan
            .glance_batch(want, &mut |node| {
                here.push(format!("{node:?}"));
                here.len() % 3 == 0
            })
            .expect("reads");
        if found.examined == 0 {
            return (kept, seen);
        }
        assert_eq!(found.examined, here.len());
        kept.extend(found.rows.into_iter().map(|row| format!("{:?}", row.document)));
        seen.extend(here);
    }
}

/// A result as the answer of a query shows it.
fn told(result: WriteResult) -> String {
    match result {
        WriteResult::Done { old, new } => format!("{old:?} -> {new:?}"),
        WriteResult::Refused { error, old } => format!("{old:?} {:?} {}", error.kind, error.message),
    }
}

/// What the changes of each document are, in order.
fn by_document(changes: Vec<Change>) -> BTreeMap<String, Vec<String>> {
    let mut by_document: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes {
        let document = change.new.as_ref().or(change.old.as_ref()).expect("one of them");
        let key = format!("{:?}", document.field("id").expect("has a key"));
        by_document.entry(key).or_default().push(format!("{:?} -> {:?}", change.old, change.new));
    }
    by_document
}

fn with_indexes_and_hook(cluster: &mut Cluster) {
    let index = |table, name: &str, multi| Command::CreateIndex {
        table,
        name: name.into(),
        definition: definition(&format!(r#"[69,[[2,[1]],[170,[[10,[1]],"{name}"]]]]"#)),
        multi,
        geo: false,
    };
    // What is put in through the hook says so, and at what time.
    let hook = definition(
        r#"[69,[[2,[1,2,3]],[65,[[17,[[10,[3]],null]],null,[35,[[10,[3]],{"hooked":[170,[[10,[1]],"timestamp"]]}]]]]]]"#,
    );
    let commands: Vec<Command> = [SPREAD, TOGETHER]
        .into_iter()
        .flat_map(|table| {
            let hook = Command::SetWriteHook { table, hook: Some(hook.clone()) };
            [index(table, "a", false), index(table, "tags", true), hook]
        })
        .collect();
    cluster.change(&commands);
}

#[test]
fn every_operation_answers_the_same() {
    let mut cluster = Cluster::start(3, &[20, 40, 70]);
    with_indexes_and_hook(&mut cluster);
    cluster.mesh.faults.double.store(true, Ordering::SeqCst);
    cluster.mesh.faults.delay_micros.store(300, Ordering::SeqCst);
    let openers: Vec<_> = (0..3).map(|node| cluster.opener(node)).collect();
    let seed = seed();
    on_fiber(move || {
        let mut numbers = Numbers(seed);
        let together = openers[0](TOGETHER);
        let mut feeds = (openers[2](SPREAD).subscribe().expect("listens"), together.subscribe().expect("listens"));
        let mut changes = (Vec::new(), Vec::new());
        for round in 0..400 {
            let spread = openers[numbers.below(3) as usize](SPREAD);
            let here = format!("seed {seed}, round {round}");
            match numbers.below(6) {
                0..=2 => {
                    let state = numbers.0;
                    let options = WriteOptions { ignore_write_hook: numbers.below(3) == 0, ..WriteOptions::default() };
                    let twice = [&spread, &together].map(|table| {
                        numbers.0 = state;
                        let writes = writes(&mut numbers);
                        let results = table.write(writes, &options, &cx()).expect("is answered");
                        results.into_iter().map(told).collect::<Vec<_>>()
                    });
                    assert_eq!(twice[0], twice[1], "{here}");
                }
                3 => {
                    let key = Datum::from(numbers.below(IDS + 5) as i32);
                    let [a, b] = [&spread, &together].map(|table| table.get(&key, ReadMode::Majority));
                    assert_eq!(a, b, "{here}");
                }
                4 => {
                    let (access, want) = access(&mut numbers);
                    let [a, b] = [&spread, &together].map(|table| rows(table, &access, want));
                    assert_eq!(a, b, "{here}: {access:?}");
                    if access.order != Order::Any {
                        let [a, b] = [&spread, &together].map(|table| glanced(table, &access, want).1);
                        assert_eq!(a, b, "{here}: {access:?}");
                    }
                }
                _ => {
                    let (access, _) = access(&mut numbers);
                    let [a, b] = [&spread, &together].map(|table| table.count(&access, ReadMode::Single));
                    assert_eq!(a, b, "{here}: {access:?}");
                    for index in ["a", "tags", "none"] {
                        let [a, b] = [&spread, &together].map(|table| table.left_out(index, ReadMode::Single));
                        assert_eq!(a, b, "{here}: {index}");
                    }
                    let [a, b] = [&spread, &together].map(|table| format!("{:?}", table.indexes()));
                    assert_eq!(a, b, "{here}");
                    spread.sync().expect("everybody is there");
                }
            }
            changes.0.extend(feeds.0.try_next().expect("keeps up"));
            changes.1.extend(feeds.1.try_next().expect("keeps up"));
        }
        // What is on its way between nodes comes.
        while changes.0.len() < changes.1.len() {
            changes.0.extend(feeds.0.next().expect("keeps up"));
        }
        assert!(changes.0.len() > 300, "only {} changes", changes.0.len());
        assert_eq!(by_document(changes.0), by_document(changes.1), "seed {seed}");
        assert!(feeds.0.try_next().expect("keeps up").is_empty());
    });
    assert!(cluster.mesh.faults.doubled.load(Ordering::SeqCst) > 300, "requests were delivered twice and done once");
}

#[test]
fn errors_are_those_of_one_node() {
    let mut cluster = Cluster::start(3, &[20, 40]);
    with_indexes_and_hook(&mut cluster);
    let (one, other) = (cluster.opener(0), cluster.opener(1));
    on_fiber(move || {
        for table in [other(SPREAD), one(TOGETHER)] {
            let by = |index: &str| Access {
                index: Some(index.into()),
                keys: Keys::Range(DatumRange::all()),
                order: Order::Ascending,
            };
            let error = table.scan(&by("none"), ReadMode::Single).map(|_| ()).expect_err("no such index");
            assert_eq!(error.message, "Index `none` was not found on table `test.t`.");
            let error = table.count(&by("none"), ReadMode::Outdated).expect_err("no such index");
            assert_eq!(error.message, "Index `none` was not found on table `test.t`.");
            let error = table.get(&Datum::from(vec![Datum::Null]), ReadMode::Single).expect_err("no key");
            assert!(error.message.starts_with("Array keys can only contain"), "{error}");
        }
    });
}

//! A table several times larger than the memory that the process may take is written at random, scanned and read: the node is
//! not killed, answers stay right, and a start that replays the log takes no more than that either.
//!
//! The process runs in a control group with that limit, where one can be made; its own peak is looked at in any case.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{count, get, index_create, index_wait, insert, table, table_create};
use photondb_test_cluster::{Connection, MemoryLimit, Node, Numbers, full, seed};

const TABLE: &str = "large";
const WRITERS: u64 = 4;
const BATCH: u64 = 100;
/// Of the text in a document, at least and at most: some are stored in a leaf, others beside it.
const TEXT_BYTES: [usize; 2] = [200, 6_000];

struct Size {
    limit_mib: u64,
    documents: u64,
    updates: u64,
    /// A slow machine writes less.
    time: Duration,
}

fn size() -> Size {
    if full() {
        Size { limit_mib: 512, documents: 350_000, updates: 70_000, time: Duration::from_secs(1_200) }
    } else {
        Size { limit_mib: 192, documents: 80_000, updates: 8_000, time: Duration::from_secs(25) }
    }
}

/// Keys far apart, so that documents written one after the other meet in no page.
fn key(document: u64) -> u64 {
    document.wrapping_mul(0x9e37_79b1) & 0xffff_ffff
}

/// Text that no compression makes much shorter.
fn text(document: u64, version: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut numbers = Numbers(document << 16 | version);
    let length = TEXT_BYTES[0] + numbers.below((TEXT_BYTES[1] - TEXT_BYTES[0]) as u64) as usize;
    (0..length).map(|_| char::from(LETTERS[numbers.below(64) as usize])).collect()
}

fn document(document: u64, version: u64) -> String {
    let (id, text) = (key(document), text(document, version));
    format!(r#"{{"id":{id},"v":{version},"group":{},"text":"{text}"}}"#, id % 1_009)
}

fn replace(documents: &[String]) -> String {
    let insert = insert(TABLE, documents);
    format!(r#"{},{{"conflict":"replace"}}]"#, insert.strip_suffix(']').unwrap())
}

fn written(answer: &serde_json::Value) -> u64 {
    assert_eq!(answer["errors"], 0, "{answer}");
    ["inserted", "replaced", "unchanged"].iter().map(|field| answer[field].as_u64().unwrap()).sum()
}

/// Looks at one document.
fn look(connection: &mut Connection, number: u64, version: u64) {
    let found = connection.value(&get(TABLE, key(number)));
    assert_eq!((found["v"].as_u64(), found["text"].as_str()), (Some(version), Some(&*text(number, version))));
}

/// Writes every document of its share, in between some of them again; gives the version that each has.
fn write(mut connection: Connection, share: u64, size: &Size, mut numbers: Numbers) -> Vec<u64> {
    let begun = Instant::now();
    let mine: Vec<u64> = (0..size.documents).filter(|document| document % WRITERS == share).collect();
    let mut versions = Vec::with_capacity(mine.len());
    let batches_per_update = size.documents / size.updates;
    for (number, batch) in (0..).zip(mine.chunks(BATCH as usize)) {
        if begun.elapsed() > size.time {
            break;
        }
        let documents: Vec<String> = batch.iter().map(|number| document(*number, 0)).collect();
        assert_eq!(written(&connection.value(&insert(TABLE, &documents))), batch.len() as u64);
        versions.resize(versions.len() + batch.len(), 0);
        if number % batches_per_update != 0 {
            continue;
        }
        let chosen: Vec<usize> = (0..BATCH).map(|_| numbers.below(versions.len() as u64) as usize).collect();
        let documents = chosen.iter().map(|place| {
            versions[*place] += 1;
            document(mine[*place], versions[*place])
        });
        let documents: Vec<String> = documents.collect();
        assert_eq!(written(&connection.value(&replace(&documents))), BATCH);
        let place = chosen[0];
        look(&mut connection, mine[place], versions[place]);
    }
    versions
}

/// Reads the whole table again and again while it is written.
fn scan(mut connection: Connection, stop: &AtomicBool) -> u64 {
    let mut scans = 0;
    while !stop.load(Ordering::Relaxed) {
        // The sum reads every document; the count, by its index, every one of a group.
        let sum = connection.value(&format!(r#"[145,[{},"v"]]"#, table(TABLE)));
        assert!(sum.is_number(), "{sum}");
        let of_group = format!(r#"[78,[{},{}],{{"index":"group"}}]"#, table(TABLE), scans % 1_009);
        assert!(connection.value(&format!(r#"[145,[{of_group},"v"]]"#)).is_number());
        scans += 1;
    }
    scans
}

fn peak_of(node: &Node, limit: Option<&MemoryLimit>, size: &Size, what: &str) {
    let (own, group) = (node.memory_peak() >> 20, limit.and_then(MemoryLimit::peak).map(|bytes| bytes >> 20));
    println!("{what}: the process took {own} MiB at most, its group {group:?}, of {} MiB", size.limit_mib);
    assert!(own < size.limit_mib, "{what}: {own} MiB of {}", size.limit_mib);
}

#[test]
fn for_a_table_larger_than_memory() {
    let size = size();
    let seed = seed("a small machine");
    let limit = MemoryLimit::new(size.limit_mib << 20);
    // What `auto` gives under the limit, for where there is none.
    let cache = format!("--cache-size={}", (size.limit_mib - (size.limit_mib / 2).min(128)) / 2);
    let flags = if limit.is_some() { Vec::new() } else { vec![&*cache] };
    let mut node = Node::stopped(&flags);
    if let Some(limit) = &limit {
        node = node.within(limit);
    }
    node.restart();
    let mut connection = node.connect();
    connection.value(&table_create(TABLE));
    connection.value(&index_create(TABLE, "group"));
    connection.value(&index_wait(TABLE));

    let (begun, stop) = (Instant::now(), AtomicBool::new(false));
    let versions: Vec<Vec<u64>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|share| {
                let (connection, numbers) = (node.connect(), Numbers(seed ^ share));
                let size = &size;
                scope.spawn(move || write(connection, share, size, numbers))
            })
            .collect();
        let (scanner, scanning) = (node.connect(), &stop);
        let scanner = scope.spawn(move || scan(scanner, scanning));
        let versions: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        stop.store(true, Ordering::Relaxed);
        // First who may have ended for want of a node.
        let versions = versions.into_iter().map(|written| written.unwrap()).collect();
        println!("{} scans meanwhile", scanner.join().unwrap());
        versions
    });
    let documents: u64 = versions.iter().map(|versions| versions.len() as u64).sum();
    let bytes = node.stored_bytes();
    println!("{documents} documents, {} MiB of files, in {:.1?}", bytes >> 20, begun.elapsed());
    node.assert_well();
    peak_of(&node, limit.as_ref(), &size, "writing");

    let sum: u64 = versions.iter().flatten().sum();
    let verify = |node: &Node, looks: u64| {
        let mut connection = node.connect();
        assert_eq!(connection.value(&count(&table(TABLE))), documents);
        assert_eq!(connection.value(&format!(r#"[145,[{},"v"]]"#, table(TABLE))).as_u64(), Some(sum));
        let mut numbers = Numbers(seed);
        for _ in 0..looks {
            let share = numbers.below(WRITERS);
            let mine = &versions[share as usize];
            let place = numbers.below(mine.len() as u64);
            look(&mut connection, place * WRITERS + share, mine[place as usize]);
        }
    };
    verify(&node, 2_000);
    node.kill();
    let took = node.restart();
    verify(&node, 500);
    println!("answered again {took:.1?} after a kill");
    peak_of(&node, limit.as_ref(), &size, "replaying the log");
    assert!(node.terminate().success(), "{}", node.log());
    node.check();
}

//! While checkpoints are made, eight clients insert and update one document at a time: how long they wait is printed, and no
//! checkpoint stops them.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{insert, table_create};
use photondb_test_cluster::{Connection, Node, Numbers, full};

const WRITERS: u64 = 8;

fn write(mut connection: Connection, writer: u64, stop: &AtomicBool) -> Vec<Duration> {
    let mut numbers = Numbers(writer);
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let id = numbers.below(1 << 20) * WRITERS + writer;
        let insert = insert("t", &[format!(r#"{{"id":{id},"text":"{:0>400}"}}"#, numbers.below(u64::MAX))]);
        let replace = format!(r#"{},{{"conflict":"replace"}}]"#, insert.strip_suffix(']').unwrap());
        let begun = Instant::now();
        let answer = connection.value(&replace);
        waits.push(begun.elapsed());
        assert_eq!(answer["errors"], 0, "{answer}");
    }
    waits
}

fn metric(node: &Node, name: &str) -> f64 {
    let (_, metrics) = node.http_get("/_metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

#[test]
fn for_long() {
    let time = Duration::from_secs(if full() { 60 } else { 10 });
    let node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let stop = AtomicBool::new(false);
    let before = metric(&node, "photondb_storage_checkpoints_total");
    let mut waits: Vec<Duration> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (connection, stop) = (node.connect(), &stop);
                scope.spawn(move || write(connection, writer, stop))
            })
            .collect();
        let begun = Instant::now();
        while begun.elapsed() < time {
            // A dropped table makes a checkpoint due, which writes whatever has changed.
            connection.value(&table_create("dropped"));
            connection.value(r#"[61,[[14,["test"]],"dropped"]]"#);
            thread::sleep(Duration::from_millis(500));
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let checkpoints = metric(&node, "photondb_storage_checkpoints_total") - before;
    let longest = metric(&node, "photondb_storage_checkpoint_max_seconds");
    waits.sort_unstable();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
    println!(
        "{} writes beside {checkpoints} checkpoints of at most {longest:.3} s: p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, max {:.1?}",
        waits.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    assert!(checkpoints >= 3.0, "{checkpoints} checkpoints");
    // Far more than any write should wait; this machine may do other things as well.
    assert!(at(0.99) < Duration::from_secs(1), "{:?}", at(0.99));
}

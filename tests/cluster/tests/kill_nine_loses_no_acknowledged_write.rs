//! A loaded node is killed at random moments, again and again: every acknowledged write is there, `photondb check` finds
//! nothing, and the node answers again.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photondb_test_cluster::{Connection, Node, Numbers, full, seed};

const WRITERS: u64 = 8;
const TABLE: &str = r#"[15,[[14,["test"]],"kept"]]"#;

/// What was acknowledged: document to the last value it was given.
type Acknowledged = Arc<Mutex<BTreeMap<u64, u64>>>;

/// Writes its own documents until the connection breaks: inserts, and updates of earlier ones.
fn write(mut connection: Connection, writer: u64, round: u64, acknowledged: &Acknowledged, stop: &AtomicBool) {
    let mut numbers = Numbers(round << 8 | writer);
    let mut serial = 0;
    while !stop.load(Ordering::Relaxed) {
        serial += 1;
        let fresh = numbers.below(4) != 0 || serial == 1;
        let id = writer << 48 | round << 32 | if fresh { serial } else { 1 + numbers.below(serial - 1) };
        let value = round << 32 | serial;
        // conflict: replace, so that the same message serves both.
        let message = format!(
            r#"[1,[56,[{TABLE},{{"id":{id},"v":{value},"pad":"{:0>100}"}}],{{"conflict":"replace"}}]]"#,
            serial
        );
        let Ok(answer) = connection.run(&message) else { return };
        assert_eq!(answer["t"], 1, "{answer}");
        assert_eq!(answer["r"][0]["errors"], 0, "{answer}");
        acknowledged.lock().unwrap().insert(id, value);
    }
}

fn verify(node: &Node, acknowledged: &Acknowledged, round: u64) {
    let mut connection = node.connect();
    let acknowledged = acknowledged.lock().unwrap();
    let count = connection.value(&format!("[43,[{TABLE}]]")).as_u64().unwrap();
    assert!(
        count >= acknowledged.len() as u64,
        "round {round}: {count} documents, {} acknowledged",
        acknowledged.len()
    );
    for (id, value) in acknowledged.iter() {
        let found = connection.value(&format!("[16,[{TABLE},{id}]]"));
        let found_value =
            found["v"].as_u64().unwrap_or_else(|| panic!("round {round}: document {id} is lost\n{}", node.log()));
        // A write that was under way when the node was killed may be there too, but never an older one.
        assert!(found_value >= *value, "round {round}: document {id} has {found_value}, acknowledged was {value}");
    }
}

#[test]
fn a_loaded_node_killed_at_random_moments() {
    let rounds = if full() { 20 } else { 4 };
    let mut numbers = Numbers(seed("kill -9"));
    let mut node = Node::start();
    let created = node.connect().run(r#"[1,[60,[[14,["test"]],"kept"]]]"#).unwrap();
    assert_eq!(created["t"], 1, "{created}");
    let acknowledged = Acknowledged::default();
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (connection, acknowledged, stop) = (node.connect(), acknowledged.clone(), stop.clone());
                std::thread::spawn(move || write(connection, writer, round, &acknowledged, &stop))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50 + numbers.below(1500)));
        node.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
        node.check();
        let restarted = node.restart();
        verify(&node, &acknowledged, round);
        println!(
            "round {round}: {} documents acknowledged, answered again after {restarted:?}",
            acknowledged.lock().unwrap().len()
        );
    }
}

//! A table that nobody looks after gets more shards as it grows, or is read, led by other nodes, while it is written and listened to.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret};
use photondb_test_cluster::terms::{changes, count, get, insert, table};
use photondb_test_cluster::{Connection, Node, full};
use serde_json::Value;

/// What one document takes, about, in bytes.
const DOCUMENT_BYTES: usize = 2_000;

/// The node's limit, and how many documents a shard that is not cut has at most: the size of all is told from a few.
const SIZE_MAX: &str = "128KiB";
const DOCUMENTS_MAX: u64 = 2 * 128 * 1024 / DOCUMENT_BYTES as u64;

fn document(id: u64) -> String {
    format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(DOCUMENT_BYTES))
}

/// Three nodes with an option.
fn three(secret: &Secret, variable: &str, value: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..3 {
        let others: Vec<&Node> = nodes.iter().collect();
        let mut node = secret.node(&others).with_variable(variable, value);
        node.restart();
        nodes.push(node);
    }
    nodes
}

/// Makes a table of one shard with a replica on each node.
fn make_table(admin: &mut Connection) {
    let begun = Instant::now();
    // Right after a node has come the planner may not know it yet.
    while admin.run(r#"[1,[60,[[14,["test"]],"t"],{"replicas":3,"shards":1}]]"#).unwrap()["t"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "the table cannot be made");
        std::thread::sleep(Duration::from_millis(50));
    }
    admin.value(&format!("[177,[{}]]", table("t")));
}

/// Ends them, and looks whether all is well with them.
fn end(nodes: &mut [Node]) {
    for node in nodes {
        node.assert_well();
        assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
        node.check();
    }
}

/// The documents of each shard, and the servers that lead them.
fn shards(connection: &mut Connection) -> (Vec<u64>, BTreeSet<String>) {
    let estimates = connection.value(&format!("[79,[{}]]", table("t")))["doc_count_estimates"].clone();
    let status = connection.value(&format!("[175,[{}]]", table("t")));
    let leader = |shard: &Value| shard["primary_replicas"][0].as_str().map(str::to_owned);
    let leaders = status["shards"].as_array().unwrap().iter().filter_map(leader).collect();
    (serde_json::from_value(estimates).unwrap(), leaders)
}

#[test]
fn and_others_lead_the_halves() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = three(&secret, "PHOTONDB_SHARD_SIZE_MAX", SIZE_MAX);
    let mut admin = nodes[0].connect();
    make_table(&mut admin);
    let mut feed = nodes[1].connect();
    let token = feed.send(&format!("[1,{}]", changes("t"))).unwrap();
    nodes[1].connect().value(&count(&table("t")));
    std::thread::sleep(Duration::from_millis(300));

    let mut written = 0;
    let begun = Instant::now();
    let (documents, leaders) = loop {
        if written < 400 {
            let documents: Vec<String> = (written..written + 20).map(document).collect();
            assert_eq!(admin.value(&insert("t", &documents))["inserted"], 20);
            written += 20;
        }
        let (documents, leaders) = shards(&mut admin);
        let small = documents.iter().all(|count| *count <= DOCUMENTS_MAX);
        if written == 400 && small && leaders.len() == 3 {
            break (documents, leaders);
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "{documents:?} documents led by {leaders:?}\n{}", nodes[0].log());
        std::thread::sleep(Duration::from_millis(100));
    };
    println!("{:?}: {documents:?} documents, led by {leaders:?}", begun.elapsed());
    assert!((3..=16).contains(&documents.len()), "{documents:?}");

    let mut told = Vec::new();
    while told.len() < written as usize {
        let (_, answer) = feed.receive_within(PATIENCE).unwrap().expect("the feed tells of every document");
        assert_eq!(answer["t"], 3, "{answer}");
        told.extend(answer["r"].as_array().unwrap().iter().map(|change| change["new_val"]["id"].as_u64().unwrap()));
        feed.send_as(token, "[2]").unwrap();
    }
    assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), (0..written).collect());
    assert_eq!(told.len() as u64, written, "a change came twice");
    for node in &nodes {
        assert_eq!(node.connect().value(&count(&table("t"))), written);
    }
    end(&mut nodes);
}

/// It has to be read for a minute. What is read of it, and by whom, is tried on virtual time (`node/replica/tests`).
#[test]
fn and_so_they_do_where_much_is_read_and_nothing_written() {
    if !full() {
        println!("takes more than a minute: only under PHOTONDB_TESTS=full");
        return;
    }
    let secret = Secret::new("fedcba9876543210fedcba9876543210");
    let mut nodes = three(&secret, "PHOTONDB_SHARD_READS_MAX", "50");
    let mut admin = nodes[0].connect();
    make_table(&mut admin);
    let documents: Vec<String> = (0..100).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    assert_eq!(admin.value(&insert("t", &documents))["inserted"], 100);

    let mut readers: Vec<Connection> = nodes.iter().map(Node::connect).collect();
    let begun = Instant::now();
    loop {
        for id in 0..100 {
            let reader = &mut readers[id % nodes.len()];
            assert_eq!(reader.value(&get("t", id as u64))["id"], id);
        }
        let (documents, leaders) = shards(&mut admin);
        if documents.len() > 1 && leaders.len() > 1 {
            println!("{:?}: {documents:?} documents, led by {leaders:?}", begun.elapsed());
            break;
        }
        assert!(begun.elapsed() < 3 * PATIENCE, "{documents:?} documents led by {leaders:?}\n{}", nodes[0].log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(begun.elapsed() >= Duration::from_secs(60), "a minute of reading comes first");
    for node in &nodes {
        assert_eq!(node.connect().value(&count(&table("t"))), 100);
    }
    end(&mut nodes);
}

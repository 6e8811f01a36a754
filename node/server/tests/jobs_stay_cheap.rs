//! `jobs` shows a bounded part of each query, and ending all of them takes time by their number, not by its square.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use photondb::command::connection::Connection;
use photondb::config::{Config, Given};
use photondb::node::Node;
use photondb_reql::limits::{PRINTED_BYTES_MAX, PRINTED_TEXT_BYTES_MAX};
use serde_json::{Value, json};

#[path = "support/raw.rs"]
mod raw;

use raw::Raw;

fn start() -> Node {
    let mut given = Given::default();
    for (name, value) in
        [("memory", "true"), ("driver-port", "0"), ("cluster-port", "0"), ("no-http-admin", "true"), ("cores", "1")]
    {
        given.add(name, value).unwrap();
    }
    Node::start(Config::resolve(&given).unwrap()).unwrap()
}

fn jobs() -> Value {
    json!([15, [[14, ["rethinkdb"]], "jobs"]])
}

/// A result without end, of a query that takes long to show.
fn endless() -> Value {
    let text = "x".repeat(PRINTED_TEXT_BYTES_MAX);
    let texts: Vec<Value> = vec![json!(text); 16];
    json!([38, [[173, []], [69, [[2, [1]], [43, [[2, texts]]]]]]])
}

#[test]
fn a_killed_result_is_gone_from_the_table_and_its_client_is_told() {
    let node = start();
    let mut client = Raw::connect(node.ports().driver);
    let options = json!({"max_batch_rows": 1});
    client.send(1, &json!([1, endless(), options]));
    assert_eq!(client.receive().1["t"], 3);
    let mut admin = Connection::open(&format!("127.0.0.1:{}", node.ports().driver), "admin", "").unwrap();
    let shown = admin.run(&jobs()).unwrap();
    let text = shown.as_array().unwrap().iter().map(|row| row["info"]["query"].as_str().unwrap().len()).max();
    assert!((PRINTED_BYTES_MAX / 2..=PRINTED_BYTES_MAX + 3).contains(&text.unwrap()), "{text:?}");

    // The query that deletes is one of them, and ends by it when all are asked to end.
    let ended = admin.run(&json!([54, [jobs()]])).unwrap_err().to_string();
    assert!(ended.contains("Query terminated by the `rethinkdb.jobs` table."), "{ended}");
    client.send(1, &json!([2]));
    let (token, answer) = client.receive();
    assert_eq!((token, &answer["t"], &answer["e"]), (1, &json!(18), &json!(4_200_000)), "{answer}");
    assert_eq!(answer["r"][0], "Query terminated by the `rethinkdb.jobs` table.");
    node.stop().unwrap();
}

#[test]
fn ending_all_queries_of_a_client_shows_each_once_or_twice() {
    let node = start();
    let mut client = Raw::connect(node.ports().driver);
    let count = 500;
    let start = json!([1, endless(), {"max_batch_rows": 1}]).to_string();
    for token in 1..=count {
        client.send_text(token, &start);
        assert_eq!(client.receive().1["t"], 3);
    }
    // The queries of another user are not ended, so that whoever ends them sees it to the end.
    let mut admin = Connection::open(&format!("127.0.0.1:{}", node.ports().driver), "admin", "").unwrap();
    let began = Instant::now();
    let of_others = json!([
        39,
        [jobs(), [69, [[2, [1]], [17, [[170, [[170, [[10, [1]], "info"]], "client_port"]], client.port()]]]]]
    ]);
    let ended = admin.run(&json!([54, [of_others]])).unwrap();
    assert_eq!(ended["deleted"], count, "{ended}");
    // A square of 500 texts of 64 KiB would be 16 GB.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    client.send(1, &json!([2]));
    assert_eq!(client.receive().1["t"], 18);
    node.stop().unwrap();
}

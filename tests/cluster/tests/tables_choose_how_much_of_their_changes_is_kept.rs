//! How far back a feed can go on is a setting of its table.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{insert, table, table_create};
use photondb_test_cluster::{Connection, Node};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// What `photon_tables` says of a table.
fn row(name: &str) -> String {
    format!(r#"[39,[[15,[[14,["rethinkdb"]],"photon_tables"]],{{"name":"{name}"}}]]"#)
}

fn choose(name: &str, what: &str) -> String {
    format!("[53,[{},{what}]]", row(name))
}

/// A feed that gives tokens, or goes on by one.
fn resumed(name: &str, token: &str) -> String {
    format!(r#"[152,[{}],{{"resume_token":{token}}}]"#, table(name))
}

/// A token of before the next write.
fn token(node: &Node, name: &str) -> String {
    let (mut reader, mut writer) = (node.connect(), node.connect());
    let feed = reader.send(&format!("[1,{}]", resumed(name, "true"))).unwrap();
    let begun = Instant::now();
    for id in 0.. {
        assert!(begun.elapsed() < PATIENCE, "the feed tells of nothing");
        put(&mut writer, name, id, 10);
        let Some((_, answer)) = reader.receive_within(Duration::from_secs(1)).unwrap() else { continue };
        let last = answer["r"].as_array().and_then(|elements| elements.last()).map(|last| last["resume_token"].clone());
        if let Some(Value::String(token)) = last {
            return format!("{token:?}");
        }
        reader.send_as(feed, "[2]").unwrap();
    }
    unreachable!("ids do not end")
}

fn put(connection: &mut Connection, name: &str, id: u64, bytes: usize) {
    let document = format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(connection.value(&insert(name, &[document]))["errors"], 0);
}

#[test]
fn a_token_is_good_for_as_long_as_its_table_says() {
    let node = Node::start();
    let mut connection = node.connect();
    for name in ["small", "usual"] {
        connection.value(&table_create(name));
    }
    assert_eq!(connection.rows(&row("usual"))[0]["change_log_bytes"], 16 << 20);
    assert_eq!(connection.value(&choose("small", r#"{"change_log_bytes":1048576}"#))["replaced"], 1);
    assert_eq!(connection.rows(&row("small"))[0]["change_log_bytes"], 1 << 20);

    let tokens = ["small", "usual"].map(|name| token(&node, name));
    for id in 0..24 {
        for name in ["small", "usual"] {
            put(&mut connection, name, 1_000_000 + id, 256 << 10);
        }
    }
    let (_, said) = node.connect().failure(&resumed("small", &tokens[0]));
    assert!(said.contains("behind its resume token are no longer kept"), "{said}");
    let mut reader = node.connect();
    let feed = reader.send(&format!("[1,{}]", resumed("usual", &tokens[1]))).unwrap();
    let missed = loop {
        let (_, answer) = reader.receive_within(PATIENCE).unwrap().expect("what it missed");
        assert_eq!(answer["t"], 3, "{answer}");
        if let Some(first) = answer["r"].as_array().unwrap().first() {
            break first.clone();
        }
        reader.send_as(feed, "[2]").unwrap();
    };
    assert!(missed["new_val"]["id"].is_number(), "{missed}");
}

#[test]
fn what_no_log_may_be_is_refused_by_name() {
    let node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    for refused in ["1048575", "17179869185", "2000000.5", "null", r#""64 MiB""#] {
        let answer = connection.value(&choose("t", &format!(r#"{{"change_log_bytes":{refused}}}"#)));
        assert_eq!(answer["errors"], 1, "{answer}");
        let said = answer["first_error"].as_str().unwrap();
        assert!(said.contains("In `change_log_bytes`: Expected a whole number from 1048576 (1 MiB) to"), "{said}");
    }
    assert_eq!(connection.rows(&row("t"))[0]["change_log_bytes"], 16 << 20);
}

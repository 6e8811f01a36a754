//! A table is created with a compression and can be given another; nobody sees a difference but the disk.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use photondb_test_cluster::terms::{count, get, index_create, index_wait, insert, table};
use photondb_test_cluster::{Connection, Node, text};

const DOCUMENTS: u64 = 4_000;

/// What `photon_tables` says of the table `t`.
const ROW: &str = r#"[39,[[15,[[14,["rethinkdb"]],"photon_tables"]],{"name":"t"}]]"#;

fn create(name: &str, compression: &str) -> String {
    format!(r#"[60,[[14,["test"]],"{name}"],{{"compression":{compression}}}]"#)
}

fn document(id: u64, version: u64) -> String {
    let sentence = "The documents of a table say the same again and again. ".repeat(10);
    format!(r#"{{"id":{id},"version":{version},"group":{},"text":"{sentence}"}}"#, id % 10)
}

fn fill(connection: &mut Connection, name: &str, version: u64) {
    for batch in 0..DOCUMENTS / 200 {
        let documents: Vec<String> = (batch * 200..(batch + 1) * 200).map(|id| document(id, version)).collect();
        let insert = insert(name, &documents);
        let replace = format!(r#"{},{{"conflict":"replace"}}]"#, insert.strip_suffix(']').unwrap());
        assert_eq!(connection.value(&replace)["errors"], 0);
    }
}

fn verify(node: &Node, name: &str, version: u64) {
    let mut connection = node.connect();
    assert_eq!(connection.value(&count(&table(name))), DOCUMENTS);
    connection.value(&index_wait(name));
    let group = connection.rows(&format!(r#"[78,[{},3],{{"index":"group"}}]"#, table(name)));
    assert_eq!(group.len() as u64, DOCUMENTS / 10);
    for id in [0, 1, DOCUMENTS / 2, DOCUMENTS - 1] {
        let expected: serde_json::Value = serde_json::from_str(&document(id, version)).unwrap();
        assert_eq!(connection.value(&get(name, id)), expected);
    }
}

/// What pages take in the file as of the last checkpoint.
fn used_bytes(node: &Node) -> u64 {
    let (_, metrics) = node.http_get("/_metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("photondb_storage_page_file_used_bytes "));
    line.expect("is measured").parse::<f64>().unwrap() as u64
}

fn restart(node: &mut Node) {
    assert!(node.terminate().success(), "{}", node.log());
    node.check();
    node.restart();
}

#[test]
fn and_only_the_disk_sees_a_difference() {
    let mut used = Vec::new();
    for compression in ["none", "lz4", "zstd"] {
        let mut node = Node::start();
        let mut connection = node.connect();
        connection.value(&create("t", &format!("{compression:?}")));
        connection.value(&index_create("t", "group"));
        fill(&mut connection, "t", 1);
        restart(&mut node);
        verify(&node, "t", 1);
        used.push(used_bytes(&node));
        let shown = node.connect().rows(ROW);
        assert_eq!((shown.len(), shown[0]["compression"].as_str()), (1, Some(compression)));
    }
    println!("used bytes of none, lz4, zstd: {used:?}");
    assert!(used[1] * 2 < used[0] && used[2] <= used[1], "{used:?}");
}

#[test]
fn and_may_choose_again() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&create("t", r#""none""#));
    connection.value(&index_create("t", "group"));
    let choose = |what: &str| format!("[53,[{ROW},{what}]]");
    // What is kept of earlier changes stays as it was written.
    assert_eq!(connection.value(&choose(r#"{"change_log_bytes":1048576}"#))["replaced"], 1);
    fill(&mut connection, "t", 1);
    restart(&mut node);
    let before = used_bytes(&node);
    let mut connection = node.connect();
    assert_eq!(connection.value(&choose(r#"{"compression":"zstd"}"#))["replaced"], 1);
    for refused in [r#"{"compression":"brotli"}"#, r#"{"compression":1}"#, r#"{"name":"u"}"#, r#"{"other":1}"#] {
        let answer = connection.value(&choose(refused));
        assert_eq!(answer["errors"], 1, "{refused}: {answer}");
        assert!(answer["first_error"].as_str().unwrap().contains("compression"), "{answer}");
    }
    fill(&mut connection, "t", 2);
    restart(&mut node);
    verify(&node, "t", 2);
    let after = used_bytes(&node);
    println!("used bytes before {before}, after {after}");
    assert!(after * 2 < before, "{before} and {after}");
}

#[test]
fn and_what_is_no_compression_is_refused_by_name() {
    let node = Node::start();
    let mut connection = node.connect();
    let (kind, message) = connection.error(&create("t", r#""gzip""#));
    assert_eq!(kind, 18);
    assert_eq!(message, r#"Compression `gzip` unrecognized (options are "lz4", "none", and "zstd")."#);
    assert!(connection.error(&create("t", "1")).1.contains("STRING"));
    let address = format!("127.0.0.1:{}", node.ports().driver);
    let created =
        photondb_test_cluster::photondb(&["table", "create", "t", "--compression", "zstd", "--connect", &address]);
    assert!(created.status.success(), "{}", text(&created));
    let shown = connection.rows(r#"[15,[[14,["rethinkdb"]],"photon_tables"]]"#);
    assert_eq!(shown[0]["compression"], "zstd");
}

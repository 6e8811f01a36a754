//! `photondb compact` on the directory of a node that has stopped: its page file becomes as short as what it holds, however
//! often that is killed on the way, and the node answers as before.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use photondb_test_cluster::terms::{count, get, insert, table, table_create};
use photondb_test_cluster::{Node, photondb, program, text};
use serde_json::Value;

const DOCUMENTS: u64 = 24_000;
const KEPT: u64 = 2_000;

fn document(id: u64) -> String {
    // Nothing in it repeats for long, so that compression leaves it large.
    let text: String =
        (0..60).map(|at| format!("{:x}", (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(at))).collect();
    format!(r#"{{"id":{id},"text":"{text}"}}"#)
}

/// A node that held much, holds little, and has ended.
fn shrunk() -> Node {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    // What is kept for feeds is as large as what is left.
    let keep_little = r#"[53,[[15,[[14,["rethinkdb"]],"photon_tables"]],{"change_log_bytes":1048576}]]"#;
    assert_eq!(connection.value(keep_little)["replaced"], 1);
    for from in (0..DOCUMENTS).step_by(200) {
        let documents: Vec<String> = (from..from + 200).map(document).collect();
        assert_eq!(connection.value(&insert("t", &documents))["inserted"], 200);
    }
    let rest = format!("[54,[[182,[{},{KEPT},{DOCUMENTS}]]]]", table("t"));
    assert_eq!(connection.value(&rest)["deleted"], DOCUMENTS - KEPT);
    drop(connection);
    assert!(node.terminate().success());
    node
}

fn page_file_bytes(node: &Node) -> u64 {
    node.data().join("pages").metadata().unwrap().len()
}

fn compact(directory: &Path) -> Output {
    photondb(&["compact", directory.to_str().unwrap(), "--json"])
}

fn assert_holds_what_it_held(node: &Node) {
    let mut connection = node.connect();
    assert_eq!(connection.value(&count(&table("t"))), KEPT);
    for id in (0..KEPT).step_by(97) {
        let expected: Value = serde_json::from_str(&document(id)).unwrap();
        assert_eq!(connection.value(&get("t", id)), expected);
    }
}

#[test]
fn however_often_it_is_killed() {
    let mut node = shrunk();
    let before = page_file_bytes(&node);
    for round in 0..6 {
        let mut child = Command::new(program())
            .args(["compact", node.data().to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(4 << round));
        child.kill().unwrap();
        child.wait().unwrap();
        node.check();
    }
    let report = compact(node.data());
    assert_eq!(report.status.code(), Some(0), "{}", text(&report));
    node.check();
    let after = page_file_bytes(&node);
    // The running node may have begun. Of each size of pages an extent of 1 MiB may be begun.
    assert!(after <= before && after < 12 << 20, "from {before} to {after}: {}", text(&report));
    let again: Value = serde_json::from_slice(&compact(node.data()).stdout).unwrap();
    assert_eq!((&again["slots_moved"], &again["bytes_after"]), (&0.into(), &after.into()), "nothing is left to do");

    node.restart();
    assert_holds_what_it_held(&node);
    let refusal = compact(node.data());
    assert_eq!(refusal.status.code(), Some(2), "a running node has the directory: {}", text(&refusal));
    assert_holds_what_it_held(&node);
}

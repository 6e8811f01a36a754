//! Rot in the middle of the log: the node does not start and says what is lost and what to do; `photondb check
//! --accept-loss` gives it up; then the node serves everything up to the loss, takes writes, and survives `kill -9`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use photondb_test_cluster::terms::{count, get, insert, table, table_create};
use photondb_test_cluster::{Node, photondb, text};

const DOCUMENTS: u64 = 300;

/// A node that was killed while its log held everything and no checkpoint did.
fn killed() -> Node {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("whole"));
    connection.value(&table_create("hurt"));
    for id in 0..DOCUMENTS {
        for name in ["hurt", "whole"] {
            assert_eq!(connection.value(&insert(name, &[document(name, id)]))["inserted"], 1);
        }
    }
    drop(connection);
    node.kill();
    node
}

fn document(name: &str, id: u64) -> String {
    format!(r#"{{"id":{id},"text":"{name}-{id:0>200}"}}"#)
}

fn log_files(node: &Node) -> Vec<PathBuf> {
    let files = fs::read_dir(node.data()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("wal-0")).collect();
    files.sort();
    files
}

/// Changes a byte in the text of one document where the log has it.
fn hurt(node: &Node, name: &str, id: u64) {
    let needle = format!("{name}-{id:0>200}");
    for path in log_files(node) {
        let bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()) {
            let at = at + 100;
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            return file.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
        }
    }
    panic!("document {id} of {name} is not in the log");
}

fn accept(node: &Node, more: &[&str]) -> (Option<i32>, String) {
    let directory = node.data().to_str().unwrap();
    let output = photondb(&[&["check", directory, "--accept-loss"], more].concat());
    (output.status.code(), text(&output))
}

/// Documents 0 to before `expected` are there, and no other.
fn assert_holds(node: &Node, name: &str, expected: std::ops::Range<u64>) {
    let mut connection = node.connect();
    let total: u64 = connection.value(&count(&table(name))).as_u64().unwrap();
    assert!(expected.contains(&total), "{name} has {total} documents");
    for id in 0..total {
        let found = connection.value(&get(name, id));
        assert_eq!(found["text"], format!("{name}-{id:0>200}"), "document {id} of {name}");
    }
}

#[test]
fn of_a_table() {
    let mut node = killed();
    hurt(&node, "hurt", 100);
    for _ in 0..2 {
        assert!(node.try_restart().is_err(), "it starts with a hole in it");
        let log = node.log();
        let directory = node.data().display();
        assert!(log.contains("(group ") && !log.contains("table test.whole"), "{log}");
        assert!(log.contains(&format!("`photondb check {directory} --accept-loss`")), "{log}");
        assert!(log.contains("was damaged at byte") && !log.contains("panicked"), "{log}");
    }
    let (sound, printed) = node.try_check();
    assert!(!sound && printed.contains("checksum"), "{printed}");
    let (code, printed) = accept(&node, &[]);
    assert_eq!(code, Some(3), "{printed}");
    assert!(printed.contains("accepted: table test.hurt (group "), "{printed}");
    // Nothing of the cluster state lies behind the damage to prove that it lost nothing there.
    assert!(printed.contains("accepted: the cluster state (group 0)"), "{printed}");
    assert!(printed.contains("lost:     entries ") && printed.contains("given up: entries "), "{printed}");
    assert!(!printed.contains("test.whole"), "{printed}");
    let (code, printed) = accept(&node, &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("nothing to accept"), "{printed}");
    node.restart();
    assert_holds(&node, "whole", DOCUMENTS..DOCUMENTS + 1);
    assert_holds(&node, "hurt", 100..101);
    let mut connection = node.connect();
    for id in 100..150 {
        assert_eq!(connection.value(&insert("hurt", &[document("hurt", id)]))["inserted"], 1);
    }
    drop(connection);
    for _ in 0..2 {
        node.kill();
        node.restart();
        assert_holds(&node, "hurt", 150..151);
        assert_holds(&node, "whole", DOCUMENTS..DOCUMENTS + 1);
    }
    assert!(node.terminate().success());
    node.check();
}

#[test]
fn behind_a_checkpoint_only_what_the_checkpoint_lacks_is_lost() {
    // A clean end checkpoints everything; what follows is in the log alone.
    let mut node = killed();
    node.restart();
    assert!(node.terminate().success());
    node.restart();
    let mut connection = node.connect();
    for id in DOCUMENTS..DOCUMENTS + 20 {
        assert_eq!(connection.value(&insert("hurt", &[document("hurt", id)]))["inserted"], 1);
    }
    drop(connection);
    node.kill();
    hurt(&node, "hurt", DOCUMENTS + 10);
    assert!(node.try_restart().is_err());
    let (code, printed) = accept(&node, &["--json"]);
    assert_eq!(code, Some(3), "{printed}");
    node.restart();
    assert_holds(&node, "hurt", DOCUMENTS + 10..DOCUMENTS + 11);
    node.assert_well();
    node.kill();
}

#[test]
fn of_the_cluster_state() {
    // Whatever is hit of it: the node names it, and starts once the loss is accepted.
    let mut node = Node::start();
    let mut connection = node.connect();
    for name in ["aaaa", "bbbb", "cccc"] {
        connection.value(&table_create(name));
        assert_eq!(connection.value(&insert(name, &[document(name, 1)]))["inserted"], 1);
    }
    drop(connection);
    node.kill();
    // The name of the second table, where the cluster state's log has it first.
    let path = log_files(&node).into_iter().next().unwrap();
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|window| window == b"bbbb").unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"BBBB", at as u64).unwrap();
    assert!(node.try_restart().is_err());
    let log = node.log();
    assert!(log.contains("the cluster state (group 0)") && log.contains("--accept-loss"), "{log}");
    let (code, printed) = accept(&node, &[]);
    assert_eq!(code, Some(3), "{printed}");
    assert!(
        printed.contains("accepted: the cluster state (group 0)") && printed.contains("belongs to no table"),
        "{printed}"
    );
    node.restart();
    let mut connection = node.connect();
    assert_eq!(connection.value(&get("aaaa", 1))["id"], 1, "what was made before the loss is there");
    connection.value(&table_create("bbbb"));
    assert_eq!(connection.value(&insert("bbbb", &[document("bbbb", 1)]))["inserted"], 1);
    drop(connection);
    node.kill();
    node.restart();
    assert_eq!(node.connect().value(&get("bbbb", 1))["id"], 1);
    assert!(node.terminate().success());
}

#[test]
fn damaged_pages_are_not_mended() {
    let mut node = killed();
    node.restart();
    assert!(node.terminate().success());
    let (code, printed) = accept(&node, &[]);
    assert_eq!(code, Some(0), "{printed}");
    let pages = node.data().join("pages");
    let bytes = fs::read(&pages).unwrap();
    let headers = (0..bytes.len()).step_by(2048).filter(|at| bytes[*at..].starts_with(b"PhPg") && bytes[at + 6] == 1);
    let file = OpenOptions::new().write(true).open(&pages).unwrap();
    for at in headers {
        file.write_all_at(&[bytes[at + 60] ^ 1], at as u64 + 60).unwrap();
    }
    let (code, printed) = accept(&node, &[]);
    // Whether it can be opened at all depends on which pages are hit; mended they are in no case.
    assert!(code == Some(1) || code == Some(2), "{code:?} {printed}");
    assert!(!node.try_check().0);
}

//! A flipped bit in a page: `photondb check` names page and offset, a query that reads it gets an error and not a wrong
//! answer, and the node lives.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use photondb_test_cluster::terms::{count, get, insert, table, table_create};
use photondb_test_cluster::{Node, Numbers, full, seed};

const DOCUMENTS: u64 = 4_000;

/// A stopped node whose documents fill many pages.
fn filled() -> Node {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    for batch in 0..DOCUMENTS / 500 {
        let documents: Vec<String> =
            (batch * 500..(batch + 1) * 500).map(|id| format!(r#"{{"id":{id},"text":"{id:0>500}"}}"#)).collect();
        assert_eq!(connection.value(&insert("t", &documents))["inserted"], 500);
    }
    drop(connection);
    assert!(node.terminate().success());
    node.check();
    node
}

/// Where pages lie that a checkpoint has written: offsets of their headers, see `docs/storage-format.md`.
fn pages(bytes: &[u8]) -> Vec<u64> {
    (0..bytes.len() as u64).step_by(2048).filter(|at| bytes[*at as usize..].starts_with(b"PhPg")).collect()
}

#[test]
fn a_flipped_bit_in_a_page() {
    let mut node = filled();
    let file = node.data().join("pages");
    let mut numbers = Numbers(seed("flipped bits"));
    let saved = save(&node);
    let whole = &saved[&file];
    let places = pages(whole);
    assert!(places.len() > 20, "{} pages", places.len());
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..if full() { 100 } else { 6 } {
        // Kind 1 is a leaf; its documents are what queries read.
        let leaves: Vec<u64> = places.iter().copied().filter(|at| whole[*at as usize + 6] == 1).collect();
        let page = leaves[numbers.below(leaves.len() as u64) as usize];
        let payload = u32::from_le_bytes(whole[page as usize + 24..page as usize + 28].try_into().unwrap());
        let at = page + numbers.below(40 + u64::from(payload));
        let flipped = whole[at as usize] ^ (1 << numbers.below(8));
        OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&[flipped], at).unwrap();

        let (sound, printed) = node.try_check();
        // The page may be one that nothing reaches any more.
        let reached = !sound;
        if reached {
            let named = numbers_in(&printed).any(|number| (page..=at.max(page + 40)).contains(&number));
            assert!(printed.contains("damaged page") && named, "bit of {at}, page at {page}: {printed}");
        }
        match node.try_restart() {
            Err(_) => {
                let log = node.log();
                assert!(reached && !log.contains("panicked"), "bit of {at}: {log}");
                *outcomes.entry("refuses to start").or_default() += 1;
            }
            Ok(_) => {
                let mut connection = node.connect();
                let mut errors = 0;
                for id in 0..DOCUMENTS {
                    let answer = connection.run(&format!("[1,{}]", get("t", id))).unwrap();
                    match answer["t"].as_u64() {
                        Some(1) => assert_eq!(answer["r"][0]["text"], format!("{id:0>500}"), "a wrong answer"),
                        _ => errors += 1,
                    }
                }
                let scanned = connection
                    .run(&format!("[1,{}]", count(&format!("[39,[{},[69,[[2,[1]],true]]]]", table("t")))))
                    .unwrap();
                assert!(scanned["t"] != 1 || scanned["r"][0] == DOCUMENTS, "{scanned}");
                let what = match (reached, errors) {
                    (true, 0) => "no query reads it",
                    (true, _) => "queries get an error",
                    (false, _) => "nothing reaches it",
                };
                assert!(reached || errors == 0, "check found nothing, but {errors} documents cannot be read");
                *outcomes.entry(what).or_default() += 1;
                node.assert_well();
                node.kill();
            }
        }
        restore(&node, &saved);
    }
    println!("{outcomes:?}");
}

/// All files of a stopped node.
fn save(node: &Node) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(node.data()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Undoes the damage, and what the node wrote since.
fn restore(node: &Node, saved: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in save(node).keys().filter(|path| !saved.contains_key(*path)) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in saved {
        fs::write(path, bytes).unwrap();
    }
}

fn numbers_in(text: &str) -> impl Iterator<Item = u64> {
    text.split(|character: char| !character.is_ascii_digit()).filter_map(|digits| digits.parse().ok())
}

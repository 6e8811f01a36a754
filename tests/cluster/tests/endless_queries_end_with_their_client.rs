//! A query without an end takes its share, no more: others are answered meanwhile, and STOP or a closed connection ends it.

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{FAR, busy, changes, count, insert, table, table_create};
use photondb_test_cluster::{Connection, Node, full};

const MIB: u64 = 1024 * 1024;

/// Queries that never answer by themselves.
fn endless() -> Vec<String> {
    let all = FAR;
    vec![
        busy(),
        // filter that keeps nothing
        count(&format!("[39,[{all},[69,[[2,[1]],false]]]]")),
        // filter without a count: the first batch never fills
        format!("[39,[{all},[69,[[2,[1]],[17,[[10,[1]],-1]]]]]]"),
        // reduce, fold, max, distinct over what a map makes
        format!("[37,[{all},[69,[[2,[1,2]],[10,[1]]]]]]"),
        format!("[187,[{all},0,[69,[[2,[1,2]],[24,[[10,[1]],1]]]]]]"),
        format!("[148,[{all}]]"),
        format!("[42,[[38,[{all},[69,[[2,[1]],1]]]]]]"),
        // concat_map to nothing
        count(&format!("[40,[{all},[69,[[2,[1]],[2,[]]]]]]")),
        // skip
        format!("[45,[{all},2000000000]]"),
        // nested: each element counts again
        count(&format!("[38,[{all},[69,[[2,[1]],[43,[[173,[100000000]]]]]]]]")),
        // for_each that writes nothing
        format!("[68,[{all},[69,[[2,[1]],[2,[]]]]]]"),
    ]
}

#[test]
fn others_are_answered_and_stop_or_a_close_ends_it() {
    let mut node = Node::start();
    for (number, query) in endless().iter().enumerate() {
        let mut connection = node.connect();
        let token = connection.send(&format!("[1,{query}]")).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        // On the same connection, and on others, which share its thread or do not.
        connection.send_as(77, "[1,[24,[1,2]]]").unwrap();
        let (answered, answer) = connection.receive().unwrap();
        assert_eq!((answered, &answer["r"][0]), (77, &3.into()), "{query}: {answer}");
        for _ in 0..4 {
            let begun = Instant::now();
            assert_eq!(node.connect().value("[24,[1,2]]"), 3);
            assert!(begun.elapsed() < Duration::from_secs(2), "{query}: {:?}", begun.elapsed());
        }
        if number % 2 == 0 {
            connection.send_as(token, "[3]").unwrap();
            let (stopped, _) = connection.receive().unwrap();
            assert_eq!(stopped, token, "{query}");
            // The connection stays open, so that what becomes idle is the query.
            node.wait_idle();
        } else {
            drop(connection);
            node.wait_idle();
        }
    }
    assert!(node.memory() < 300 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn a_sequence_without_an_end_is_read_as_far_as_one_likes() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let token = connection.send("[1,[173,[]]]").unwrap();
    for _ in 0..5 {
        let (_, answer) = connection.receive().unwrap();
        assert_eq!(answer["t"], 3, "{answer}");
        connection.send_as(token, "[2]").unwrap();
    }
    connection.send_as(token, "[3]").unwrap();
    node.wait_idle();
    node.assert_well();
}

#[test]
fn a_hundred_endless_queries_leave_room_for_others() {
    let mut node = Node::start();
    let mut hogs: Vec<Connection> = (0..4).map(|_| node.connect()).collect();
    for hog in &mut hogs {
        for _ in 0..25 {
            hog.send(&format!("[1,{}]", busy())).unwrap();
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(node.connect().value("[24,[1,2]]"), 3);
    println!("answered beside 100 endless queries in {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(hogs);
    node.wait_idle();
    node.assert_well();
}

#[test]
fn a_thousand_connections() {
    let mut node = Node::start();
    let before = node.memory();
    let number = if full() { 5_000 } else { 1_000 };
    let mut connections: Vec<Connection> = (0..number).map(|_| node.connect()).collect();
    for connection in &mut connections {
        connection.send("[1,[24,[1,2]]]").unwrap();
    }
    for connection in &mut connections {
        assert_eq!(connection.receive().unwrap().1["r"][0], 3);
    }
    let open = node.memory();
    println!("{number} connections: {} KiB each", (open.saturating_sub(before)) / 1024 / number);
    assert!(open < before + number * 64 * 1024, "{before} bytes became {open}");
    drop(connections);
    node.assert_well();
}

#[test]
fn two_thousand_feeds_give_their_memory_back() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let before = node.memory();
    let mut after = Vec::new();
    for _ in 0..3 {
        let mut feeds: Vec<Connection> = (0..20).map(|_| node.connect()).collect();
        for feed in &mut feeds {
            for _ in 0..100 {
                let token = feed.send(&format!("[1,{}]", changes("t"))).unwrap();
                let (_, answer) = feed.receive().unwrap();
                assert_eq!(answer["t"], 3, "{answer}");
                feed.send_as(token, "[2]").unwrap();
            }
        }
        assert_eq!(connection.value(&insert("t", &[r#"{"n":1}"#.to_owned()]))["inserted"], 1);
        for feed in &mut feeds {
            for _ in 0..100 {
                let (_, answer) = feed.receive().unwrap();
                assert_eq!(answer["r"][0]["new_val"]["n"], 1, "{answer}");
            }
        }
        let open = node.memory();
        drop(feeds);
        node.wait_idle();
        after.push(node.memory());
        println!("2,000 feeds: {} MiB before, {} open, {} after", before >> 20, open >> 20, node.memory() >> 20);
    }
    assert!(after[2] < after[0] + 16 * MIB, "each round keeps something: {after:?}");
    assert!(after[2] < before + 200 * MIB, "{before} bytes became {after:?}");
    assert_eq!(connection.value(&count(&table("t"))), 3);
    node.assert_well();
}

#[test]
fn a_feed_that_nobody_reads_holds_bounded_memory() {
    let mut node = Node::start();
    let mut writer = node.connect();
    writer.value(&table_create("t"));
    let mut feeds: Vec<Connection> = (0..4).map(|_| node.connect()).collect();
    for feed in &mut feeds {
        assert_eq!(feed.run(&format!("[1,{}]", changes("t"))).unwrap()["t"], 3);
    }
    let before = node.memory();
    let pad = "p".repeat(10_000);
    for batch in 0..if full() { 300 } else { 60 } {
        let documents: Vec<String> =
            (0..100).map(|row| format!(r#"{{"id":{},"pad":"{pad}"}}"#, batch * 100 + row)).collect();
        writer.value(&insert("t", &documents));
    }
    println!("a feed that nobody reads: {} MiB before, {} after 60 MB of changes", before >> 20, node.memory() >> 20);
    assert!(node.memory() < before + 400 * MIB, "{before} bytes became {}", node.memory());
    node.assert_well();
}

#[test]
fn a_slow_reader_holds_bounded_memory() {
    let mut node = Node::start();
    // A gigabyte, asked for without reading any of it; each CONTINUE is sent ahead.
    let rows = r#"[38,[[173,[]],[69,[[2,[1]],{"n":[10,[1]],"pad":"0123456789012345678901234567890123456789012345678901234567890123456789"}]]]]"#;
    let mut connection = node.connect();
    for token in 1..=50 {
        connection.send_as(token, &format!("[1,{rows}]")).unwrap();
        for _ in 0..16 {
            connection.send_as(token, "[2]").unwrap();
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    let memory = node.memory();
    println!("a reader that does not read: {} MiB", memory >> 20);
    assert!(memory < 300 * MIB, "{memory}");
    node.wait_idle();
    let (_, answer) = connection.receive().unwrap();
    assert_eq!(answer["t"], 3);
    drop(connection);
    node.assert_well();
}

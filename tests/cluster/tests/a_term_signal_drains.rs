//! SIGTERM under load: what runs may finish, nothing acknowledged is lost, and the next start finds a clean end.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{busy, changes, count, get, insert, table, table_create};
use photondb_test_cluster::{Connection, Node};

fn write(mut connection: Connection, writer: u64, acknowledged: &Mutex<BTreeSet<u64>>) {
    for serial in 0.. {
        let id = writer << 32 | serial;
        let Ok(answer) = connection.run(&format!("[1,{}]", insert("t", &[format!(r#"{{"id":{id}}}"#)]))) else {
            return;
        };
        if answer["t"] != 1 || answer["r"][0]["inserted"] != 1 {
            println!("refused while it drains: {answer}");
            return;
        }
        acknowledged.lock().unwrap().insert(id);
    }
}

#[test]
fn under_load_it_exits_0_and_loses_nothing() {
    let mut node = Node::start();
    node.connect().value(&table_create("t"));
    let acknowledged = Mutex::new(BTreeSet::new());
    // Idle connections, an open feed and a query without an end hold nothing up for long.
    let _idle: Vec<Connection> = (0..20).map(|_| node.connect()).collect();
    let mut feed = node.connect();
    feed.run(&format!("[1,{}]", changes("t"))).unwrap();
    feed.send_as(1, "[2]").unwrap();
    let mut endless = node.connect();
    endless.send(&format!("[1,{}]", busy())).unwrap();
    std::thread::scope(|scope| {
        for writer in 1..=8 {
            let (connection, acknowledged) = (node.connect(), &acknowledged);
            scope.spawn(move || write(connection, writer, acknowledged));
        }
        std::thread::sleep(Duration::from_millis(700));
        let begun = Instant::now();
        let status = node.terminate();
        println!("SIGTERM to the end: {:?}", begun.elapsed());
        assert_eq!(status.code(), Some(0), "{}", node.log());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
    let checked = node.check();
    assert!(!checked.contains("only one superblock"), "{checked}");
    let took = node.restart();
    println!("answered again after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut connection = node.connect();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty());
    assert!(connection.value(&count(&table("t"))).as_u64().unwrap() >= acknowledged.len() as u64);
    for id in acknowledged {
        assert_eq!(connection.value(&get("t", id))["id"], id);
    }
}

#[test]
fn an_idle_node_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut node = Node::start();
        let _idle = node.connect();
        let begun = Instant::now();
        node.signal(signal);
        assert_eq!(node.wait().code(), Some(0));
        println!("SIG{signal} to the end of an idle node: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(node.check().contains("no problems found"));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut node = Node::start();
    let mut endless = node.connect();
    endless.send(&format!("[1,{}]", busy())).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    node.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(node.is_running(), "a running query has some seconds");
    let begun = Instant::now();
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    node.check();
    node.restart();
    node.assert_well();
}

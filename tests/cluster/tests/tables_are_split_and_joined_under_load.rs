//! A table gets more shards and fewer again while it is written, read and listened to, on three nodes of which one dies on the way.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photondb_test_cluster::Connection;
use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{changes, count, index_create, index_wait, insert, table};
use serde_json::Value;

/// How many shards the table gets, one after the other.
const SHARDS: [usize; 6] = [3, 5, 8, 4, 1, 2];

/// While it comes to these, a node dies.
const DEADLY: [usize; 2] = [5, 4];

/// Documents that are there from the beginning.
const BEFORE: u64 = 2_000;

fn document(id: u64) -> String {
    format!(r#"{{"id":{id},"part":{}}}"#, id % 7)
}

/// Inserts until it is told to stop.
fn write(ports: &[u16], writer: u64, stop: &AtomicBool, acknowledged: &Mutex<BTreeSet<u64>>) {
    let mut open: Option<Connection> = None;
    for serial in 0.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Some(connection) = &mut open else {
            open = Connection::try_open(ports[serial as usize % ports.len()]);
            continue;
        };
        // Among those that are there, so that every shard gets some.
        let id = (serial * 4 + writer + 1) * BEFORE * 8 % 1_000_003;
        match connection.run(&format!("[1,{}]", insert("t", &[document(id)]))) {
            Ok(answer) if answer["t"] == 1 && answer["r"][0]["inserted"] == 1 => {
                acknowledged.lock().unwrap().insert(id);
            }
            Ok(_) => {}
            Err(_) => open = None,
        }
    }
}

/// Reads the whole of it again and again, by the key and by the index: what was there before is there, once.
fn read(ports: &[u16], stop: &AtomicBool, before: &BTreeSet<u64>) -> u64 {
    let ids = |rows: Vec<Value>| -> Vec<u64> { rows.iter().map(|row| row["id"].as_u64().unwrap()).collect() };
    let mut reads = 0;
    while !stop.load(Ordering::Acquire) {
        let Some(mut connection) = Connection::try_open(ports[reads as usize % ports.len()]) else { continue };
        let by_index = format!(r#"[41,[{}],{{"index":"part"}}]"#, table("t"));
        for query in [table("t"), by_index] {
            // A read that finds no leader in time is an error, and no reader's fault.
            let Ok(rows) = connection.elements(&query) else { continue };
            let (all, found) = (rows.len(), ids(rows).into_iter().collect::<BTreeSet<u64>>());
            assert_eq!(found.len(), all, "{query}: a document came twice");
            assert!(before.is_subset(&found), "{query}: {:?} is missing", before.difference(&found).next());
        }
        reads += 1;
    }
    reads
}

/// Counts what a feed of all changes tells.
fn listen(port: u16, begun: &AtomicBool, stop: &AtomicBool, told: &Mutex<Vec<u64>>) {
    let mut feed = Connection::try_open(port).unwrap();
    let token = feed.send(&format!("[1,{}]", changes("t"))).unwrap();
    begun.store(true, Ordering::Release);
    while !stop.load(Ordering::Acquire) {
        let Some((_, answer)) = feed.receive_within(Duration::from_millis(200)).unwrap() else { continue };
        assert_eq!(answer["t"], 3, "{answer}");
        let changes = answer["r"].as_array().unwrap();
        told.lock().unwrap().extend(changes.iter().map(|change| change["new_val"]["id"].as_u64().unwrap()));
        feed.send_as(token, "[2]").unwrap();
    }
}

#[test]
fn shards_are_split_and_joined_while_clients_go_on_and_a_node_dies() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = three(&secret);
    let mut admin = nodes[0].connect();
    make_table(&mut admin);
    let before: BTreeSet<u64> = (0..BEFORE).map(|id| id * 500 + 1).collect();
    let documents: Vec<String> = before.iter().map(|id| document(*id)).collect();
    assert_eq!(admin.value(&insert("t", &documents))["inserted"], BEFORE);
    admin.value(&index_create("t", "part"));
    admin.value(&index_wait("t"));

    let ports: Vec<u16> = nodes[..2].iter().map(|node| node.ports().driver).collect();
    let (stop, heard_all, begun) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let (acknowledged, told) = (Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (ports, stop, heard_all, begun) = (&ports, &stop, &heard_all, &begun);
        let (acknowledged, told, before, reads) = (&acknowledged, &told, &before, &reads);
        scope.spawn(move || listen(ports[0], begun, heard_all, told));
        while !begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // What is asked first is answered first: the feed is open when this is.
        Connection::try_open(ports[0]).unwrap().value(&count(&table("t")));
        std::thread::sleep(Duration::from_millis(300));
        let writers: Vec<_> =
            (0..3).map(|writer| scope.spawn(move || write(ports, writer, stop, acknowledged))).collect();
        let reader = scope.spawn(move || reads.store(read(ports, stop, before), Ordering::Release));
        for shards in SHARDS {
            let query = format!(r#"[176,[{}],{{"shards":{shards},"replicas":3}}]"#, table("t"));
            assert_eq!(admin.value(&query)["reconfigured"], 1);
            if DEADLY.contains(&shards) {
                nodes[2].kill();
                std::thread::sleep(Duration::from_millis(700));
                nodes[2].restart();
            }
            admin.value(&format!(r#"[177,[{}],{{"timeout":60}}]"#, table("t")));
        }
        stop.store(true, Ordering::Release);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        reader.join().unwrap();
        let began = Instant::now();
        while told.lock().unwrap().len() < acknowledged.lock().unwrap().len() {
            assert!(began.elapsed() < PATIENCE, "the feed has told {}", told.lock().unwrap().len());
            std::thread::sleep(Duration::from_millis(20));
        }
        heard_all.store(true, Ordering::Release);
    });

    let (acknowledged, told) = (acknowledged.into_inner().unwrap(), told.into_inner().unwrap());
    println!("{} writes, {} reads of everything, {} changes", acknowledged.len(), reads.into_inner(), told.len());
    let once: BTreeSet<u64> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len(), "a change came twice");
    assert!(acknowledged.is_subset(&once), "{:?} was not told", acknowledged.difference(&once).next());
    for node in &nodes {
        let mut connection = node.connect();
        let config = connection.value(&format!("[174,[{}]]", table("t")));
        assert_eq!(config["shards"].as_array().map(Vec::len), SHARDS.last().copied(), "{config}");
        let estimates = connection.value(&format!("[79,[{}]]", table("t")))["doc_count_estimates"].clone();
        let estimates: Vec<u64> = serde_json::from_value(estimates).unwrap();
        assert!(estimates.len() == 2 && estimates.iter().all(|count| *count > 100), "{estimates:?}");
        let rows = connection.rows(&table("t"));
        let found: BTreeSet<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert_eq!(found.len(), rows.len());
        assert!(acknowledged.is_subset(&found) && before.is_subset(&found));
        let by_index = connection.value(&count(&format!(r#"[78,[{},3],{{"index":"part"}}]"#, table("t"))));
        assert_eq!(by_index, found.iter().filter(|id| *id % 7 == 3).count() as u64);
    }
    for node in &mut nodes {
        node.assert_well();
        assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
        node.check();
    }
}

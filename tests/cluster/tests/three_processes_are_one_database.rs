//! Nodes that are started with `--join` become one database: any of them answers, one of three may die at any moment, and who
//! may not come in is told why.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Connection, Node, photonctl, text};

/// Inserts until it is told to stop; gives the longest time without an acknowledged one.
fn write(nodes: &[u16], writer: u64, stop: &AtomicBool, acknowledged: &Mutex<BTreeSet<u64>>) -> Duration {
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    let mut open: Option<Connection> = None;
    for serial in 0.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let port = nodes[(writer + serial) as usize % nodes.len()];
        let Some(connection) = &mut open else {
            open = Connection::try_open(port);
            continue;
        };
        let id = writer << 32 | serial;
        match connection.run(&format!("[1,{}]", insert("t", &[format!(r#"{{"id":{id}}}"#)]))) {
            Ok(answer) if answer["t"] == 1 && answer["r"][0]["inserted"] == 1 => {
                acknowledged.lock().unwrap().insert(id);
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            // It says that it could not, or does not know: this document is not acknowledged.
            Ok(_) => {}
            Err(_) => open = None,
        }
    }
    longest.max(last.elapsed())
}

#[test]
fn one_of_three_may_die_at_any_moment_and_nothing_acknowledged_is_lost() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef\n");
    let mut nodes = three(&secret);
    make_table(&mut nodes[1].connect());
    let acknowledged = Mutex::new(BTreeSet::new());
    for victim in [0, 1, 2] {
        let ports: Vec<u16> = (0..3).filter(|node| *node != victim).map(|node| nodes[node].ports().driver).collect();
        let stop = AtomicBool::new(false);
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            let (ports, stop, acknowledged) = (&ports, &stop, &acknowledged);
            let writers: Vec<_> = (0..4)
                .map(|writer| scope.spawn(move || write(ports, victim as u64 * 10 + writer, stop, acknowledged)))
                .collect();
            std::thread::sleep(Duration::from_millis(500));
            nodes[victim].kill();
            let dead = acknowledged.lock().unwrap().len();
            let begun = Instant::now();
            while acknowledged.lock().unwrap().len() < dead + 200 {
                assert!(begun.elapsed() < PATIENCE, "nothing is written without node {victim}");
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Release);
            for writer in writers {
                println!("node {victim} died: at most {:?} without a write", writer.join().unwrap());
            }
        });
        assert!(acknowledged.lock().unwrap().len() > before);
        nodes[victim].restart();
        // Whoever is asked, all of it is there.
        for node in &nodes {
            let stored = node.connect().value(&count(&table("t"))).as_u64().unwrap();
            assert!(stored >= acknowledged.lock().unwrap().len() as u64, "{stored} after node {victim} came back");
        }
    }
    for id in acknowledged.into_inner().unwrap() {
        let node = &nodes[id as usize % 3];
        let found = node.connect().value(&format!("[16,[{},{id}]]", table("t")));
        assert_eq!(found["id"], id);
    }
    for node in &mut nodes {
        node.assert_well();
        assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
        node.check();
    }
}

#[test]
fn a_name_that_was_made_anew_elsewhere_is_found_by_a_node_that_slept() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let nodes = three(&secret);
    let (mut awake, mut asleep) = (nodes[0].connect(), nodes[2].connect());
    let (create, list, drop) = (r#"[57,["d"]]"#, r#"[62,[[14,["d"]]]]"#, r#"[58,["d"]]"#);
    for round in 0..8 {
        awake.value(create);
        assert_eq!(asleep.value(list), serde_json::json!([]), "it knows the database");
        nodes[2].signal("STOP");
        assert_eq!(awake.value(drop)["dbs_dropped"], 1);
        assert_eq!(awake.value(create)["dbs_created"], 1);
        // It finds the question when it wakes, before what happened meanwhile.
        let (question, right) = match round % 2 {
            0 => (drop, serde_json::json!(1)),
            _ => (list, serde_json::Value::Null),
        };
        asleep.send(&format!("[1,{question}]")).unwrap();
        nodes[2].signal("CONT");
        let (_, answer) = asleep.receive().unwrap();
        assert!(answer["t"] == 1 && answer["r"][0]["dbs_dropped"] == right, "round {round}: {answer}");
        if round % 2 == 1 {
            awake.value(drop);
        }
    }
}

#[test]
fn who_may_not_come_in_says_why_and_can_be_stopped() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut first = secret.node(&[]);
    first.restart();
    let other = Secret::new("another secret of enough bytes!!");
    let alone = Node::start();
    for (mut node, reason) in
        [(other.node(&[&first]), "do not have the same secret"), (secret.node(&[&alone]), "it answers no other nodes")]
    {
        node.begin();
        let begun = Instant::now();
        while !node.log().contains("this node waits until it finds a node of a cluster") {
            assert!(begun.elapsed() < PATIENCE && node.is_running(), "{}", node.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(node.log().contains(reason), "{}", node.log());
        assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
    }
    first.assert_well();
}

#[test]
fn nodes_that_wait_for_each_other_begin_when_one_is_told_to() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    // Whoever takes one of them meanwhile makes this test fail, and nothing else.
    let free: Vec<_> = (0..3).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    let ports: Vec<u16> = free.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(free);
    let mut nodes: Vec<_> = ports.iter().map(|port| secret.node_at(*port, &ports)).collect();
    for node in &mut nodes {
        node.begin();
    }
    let address = format!("127.0.0.1:{}", ports[1]);
    let init = |id: &str| photonctl(&["--address", &address, "cluster", "init", "--cluster-id", id]);
    let (id, other) = ("c1c1c1c1-0000-4000-8000-000000000001", "c1c1c1c1-0000-4000-8000-000000000002");
    let begun = Instant::now();
    // It listens a little after it has been started.
    loop {
        let said = init(id);
        if said.status.success() {
            break;
        }
        let listens = !matches!(said.status.code(), Some(3 | 5));
        assert!(!listens && begun.elapsed() < PATIENCE, "{}{}", text(&said), nodes[1].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    for node in &mut nodes {
        node.await_answer();
    }
    let again = init(id);
    assert!(again.status.success() && text(&again).contains(id), "{}", text(&again));
    let refused = init(other);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains(id), "{}", text(&refused));
    make_table(&mut nodes[2].connect());
    let stored = nodes[0].connect().value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    assert_eq!(stored["inserted"], 1);
    assert_eq!(nodes[1].connect().value(&count(&table("t"))), 1);
}

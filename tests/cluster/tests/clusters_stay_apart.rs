//! Nodes of two clusters that find each other by mistake refuse each other, say so, and let no document pass; a node whose disk
//! was wiped comes back as another one; and of a directory and its copy one runs.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, photonctl, text};
use serde_json::Value;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn rows(node: &Node, name: &str) -> Vec<Value> {
    node.connect().rows(&format!(r#"[15,[[14,["rethinkdb"]],"{name}"]]"#))
}

fn issue_of(node: &Node, name: &str, kind: &str) -> Option<Value> {
    rows(node, name).into_iter().find(|row| row["type"] == kind)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ask(node: &Node, arguments: &[&str]) -> Value {
    let address = format!("127.0.0.1:{}", node.ports().cluster);
    let said = photonctl(&[&["--address", &address, "--timeout", "30", "-o", "json"], arguments].concat());
    assert!(said.status.success(), "{}", text(&said));
    serde_json::from_slice(&said.stdout).unwrap()
}

/// What `node list` says of the node of that id.
fn listed(node: &Node, id: &str) -> Value {
    let nodes = ask(node, &["node", "list"]);
    let found = nodes.as_array().unwrap().iter().find(|found| found["id"] == id);
    found.unwrap_or_else(|| panic!("no node {id}: {nodes}")).clone()
}

fn id_of(node: &Node) -> String {
    ask(node, &["node", "info"])["id"].as_str().unwrap().to_owned()
}

fn cluster_of(node: &Node) -> String {
    ask(node, &["node", "info"])["cluster_id"].as_str().unwrap().to_owned()
}

/// Ports that are free now. Whoever takes one meanwhile makes the test fail, and nothing else.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let free = [(); COUNT].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    free.map(|listener| listener.local_addr().unwrap().port())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Two nodes of one cluster, on these ports.
fn pair(secret: &Secret, ports: [u16; 2]) -> [Node; 2] {
    let mut first = secret.node_at(ports[0], &[]);
    first.restart();
    let mut second = secret.node_at(ports[1], &[ports[0]]);
    second.restart();
    [first, second]
}

#[test]
fn two_clusters_whose_addresses_were_swapped_refuse_each_other_and_say_so() {
    // One secret for both, as where a file was copied: only their ids tell them apart.
    let secret = Secret::new(SECRET);
    let [a1, a2, b1, b2] = free_ports();
    let ([mut left, mut left_too], [mut right, right_too]) = (pair(&secret, [a1, a2]), pair(&secret, [b1, b2]));
    for (node, document) in [(&left, "left"), (&right, "right")] {
        let mut connection = node.connect();
        until("no table with two replicas", || {
            connection.run(r#"[1,[60,[[14,["test"]],"t"],{"replicas":2}]]"#).unwrap()["t"] == 1
        });
        connection.value(&format!("[177,[{}]]", table("t")));
        assert_eq!(connection.value(&insert("t", &[format!(r#"{{"id":"{document}"}}"#)]))["inserted"], 1);
    }
    let clusters = [cluster_of(&left), cluster_of(&right)];
    let strangers = [id_of(&left_too), id_of(&right)];

    // The second of the left is stopped, and the first of the right takes its address.
    assert!(left_too.terminate().success());
    assert!(right.terminate().success());
    let mut moved = secret.node_at(a2, &[]).with_data(right.data());
    moved.restart();
    until("the left has not noticed", || issue_of(&left, "current_issues", "foreign_cluster").is_some());
    until("the right has not noticed", || issue_of(&moved, "current_issues", "foreign_cluster").is_some());
    let (found, met) = (
        issue_of(&left, "current_issues", "foreign_cluster").unwrap(),
        issue_of(&moved, "current_issues", "foreign_cluster").unwrap(),
    );
    for (issue, cluster) in [(&found, &clusters[1]), (&met, &clusters[0])] {
        let keys: Vec<&str> = issue.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["critical", "description", "id", "info", "type"], "{issue}");
        assert_eq!(issue["info"]["cluster"], **cluster, "{issue}");
        assert!(issue["description"].as_str().unwrap().contains(cluster.as_str()), "{issue}");
        assert_eq!(issue["info"]["last_seen"]["$reql_type$"], "TIME", "{issue}");
    }
    assert!(found["info"]["nodes"].as_array().unwrap().contains(&strangers[1].as_str().into()), "{found}");
    assert!(found["info"]["addresses"].to_string().contains(&a2.to_string()), "{found}");
    assert_eq!(issue_of(&left, "photon_issues", "foreign_cluster").unwrap()["id"], found["id"]);

    // The other of the right finds its own where it is now; each side has its own document and no other. With its second node
    // somewhere else the left goes on too.
    let mut left_moved = secret.node_at(b1, &[a1]).with_data(left_too.data());
    left_moved.restart();
    for (node, document) in [(&moved, "right"), (&right_too, "right"), (&left, "left"), (&left_moved, "left")] {
        // A leader is elected, and found where it is now.
        let (begun, query) = (Instant::now(), format!("[1,{}]", table("t")));
        loop {
            let answer = node.connect().run(&query).unwrap();
            if answer["t"] == 2 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{document}, {:?}: {answer}{}", node.ports(), node.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(node.connect().rows(&table("t")), vec![serde_json::json!({ "id": document })]);
    }
    for node in [&mut left, &mut left_moved, &mut moved] {
        node.assert_well();
    }
    for (node, cluster) in [(&left, &clusters[0]), (&left_moved, &clusters[0]), (&moved, &clusters[1])] {
        assert_eq!(cluster_of(node), *cluster);
    }
}

#[test]
fn a_node_whose_disk_was_wiped_comes_back_as_another_one() {
    let secret = Secret::new(SECRET);
    let mut nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    let documents: Vec<String> = (0..500).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    assert_eq!(nodes[1].connect().value(&insert("t", &documents))["inserted"], 500);
    let old = id_of(&nodes[2]);
    nodes[2].kill();
    std::fs::remove_dir_all(nodes[2].data()).unwrap();
    nodes[2].restart();
    let new = id_of(&nodes[2]);
    assert_ne!(new, old, "a node without its disk is another one");
    assert_eq!(cluster_of(&nodes[2]), cluster_of(&nodes[0]));
    until("the old one is not missed", || listed(&nodes[0], &old)["state"] != "up");
    assert!(issue_of(&nodes[1], "photon_issues", "server_down").is_some(), "{:?}", rows(&nodes[1], "photon_issues"));
    let old_name = listed(&nodes[0], &old)["name"].as_str().unwrap().to_owned();
    ask(&nodes[0], &["node", "decommission", &old_name]);
    until("the new one is not filled", || listed(&nodes[0], &new)["replicas"] == 2);
    assert_eq!(listed(&nodes[0], &old)["service"], "gone");
    let ready = nodes[2].connect().value(&format!(r#"[177,[{}],{{"wait_for":"all_replicas_ready"}}]"#, table("t")));
    assert_eq!(ready["ready"], 1, "{ready}");
    assert_eq!(nodes[2].connect().value(&count(&table("t"))), 500);
    until("the table is not whole", || issue_of(&nodes[2], "current_issues", "table_availability").is_none());
}

#[test]
fn of_a_directory_and_its_copy_one_runs() {
    let secret = Secret::new(SECRET);
    let mut nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    assert!(nodes[2].terminate().success());
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = elsewhere.path().join("data");
    copy(nodes[2].data(), &copied);
    nodes[2].restart();
    // The original has begun again since: its copy is refused, whoever it asks.
    let ports: Vec<u16> = nodes[..2].iter().map(|node| node.ports().cluster).collect();
    let mut twin = secret.node_at(0, &ports).with_data(&copied);
    let refused = twin.try_restart();
    assert!(refused.is_err(), "the copy runs beside the original");
    let said = twin.log();
    assert!(said.contains("copy") || said.contains("copied"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let stored = nodes[2].connect().value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    assert_eq!(stored["inserted"], 1, "{stored}");
    for node in &mut nodes {
        node.assert_well();
    }
}

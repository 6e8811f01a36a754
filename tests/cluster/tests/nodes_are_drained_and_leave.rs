//! A node that is drained leads nothing until it starts again; one that is decommissioned, or replaced, ends when others hold what
//! it had; and nothing acknowledged is lost on the way.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Output;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, photonctl, text};
use serde_json::Value;

fn ask(node: &Node, arguments: &[&str]) -> Output {
    let address = format!("127.0.0.1:{}", node.ports().cluster);
    photonctl(&[&["--address", &address, "--timeout", "30"], arguments].concat())
}

/// What it says of every node, by its name.
fn list(node: &Node) -> Vec<Value> {
    let said = ask(node, &["node", "list", "-o", "json"]);
    assert!(said.status.success(), "{}", text(&said));
    serde_json::from_slice::<Value>(&said.stdout).unwrap().as_array().unwrap().clone()
}

fn of(node: &Node, name: &str) -> Value {
    list(node).into_iter().find(|found| found["name"] == name).unwrap()
}

/// The name of the node.
fn name(node: &Node) -> String {
    let said = ask(node, &["node", "info", "-o", "json"]);
    serde_json::from_slice::<Value>(&said.stdout).unwrap()["name"].as_str().unwrap().to_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn put(node: &Node, from: u64) {
    let documents: Vec<String> = (from..from + 500).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    assert_eq!(node.connect().value(&insert("t", &documents))["inserted"], 500);
}

#[test]
fn a_drained_node_leads_nothing_until_it_starts_again() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    let names: Vec<String> = nodes.iter().map(name).collect();
    until("the cluster is not healthy", || ask(&nodes[0], &["cluster", "health"]).status.success());
    // Each in turn, asked of itself and by its name: leaders among them.
    for turn in 0..3 {
        let (node, other) = (&nodes[turn], &nodes[(turn + 1) % 3]);
        let drained = match turn {
            1 => ask(other, &["node", "drain", &names[turn]]),
            _ => ask(node, &["node", "drain"]),
        };
        assert!(drained.status.success(), "{}", text(&drained));
        let status = of(other, &names[turn]);
        assert_eq!((&status["service"], &status["leading"]), (&"drained".into(), &0.into()), "{status}");
        assert_eq!(status["leads_cluster"], false);
        put(node, turn as u64 * 500);
        let back = ask(other, &["node", "undrain", &names[turn]]);
        assert!(back.status.success(), "{}", text(&back));
        assert_eq!(of(node, &names[turn])["service"], "full");
    }
    // A start takes it back too.
    assert!(ask(&nodes[1], &["node", "drain"]).status.success());
    assert_eq!(nodes[1].terminate().code(), Some(0));
    put(&nodes[2], 2000);
    nodes[1].restart();
    until("the drained node stays drained", || of(&nodes[0], &names[1])["service"] == "full");
    assert_eq!(nodes[1].connect().value(&count(&table("t"))), 2000);
}

#[test]
fn a_decommissioned_node_ends_when_others_hold_what_it_had() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = Vec::from(three(&secret));
    make_table(&mut nodes[0].connect());
    put(&nodes[0], 0);
    let names: Vec<String> = nodes.iter().map(name).collect();
    let refused = ask(&nodes[1], &["node", "decommission", &names[0]]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("table `t` has replicas on 3 servers, and 2 others can hold them"),
        "{}",
        text(&refused)
    );

    let mut fourth = secret.node(&[&nodes[0], &nodes[1]]);
    fourth.restart();
    nodes.push(fourth);
    until("the fourth is not there", || list(&nodes[1]).len() == 4);
    // The first founded the cluster: it leads most, and votes on everything.
    let gone = ask(&nodes[1], &["node", "decommission", &names[0]]);
    assert!(gone.status.success(), "{}{}", text(&gone), nodes[1].log());
    let status = of(&nodes[1], &names[0]);
    assert_eq!((&status["service"], &status["replicas"]), (&"gone".into(), &0.into()));
    put(&nodes[3], 500);
    assert_eq!(nodes[2].connect().value(&count(&table("t"))), 1000);
    // It ends by itself when it hears of it, as one that is told to stop, and does not come back.
    assert!(nodes[0].wait().success(), "{}", nodes[0].log());
    assert!(nodes[0].log().contains("its directory can be deleted"), "{}", nodes[0].log());
    let back = nodes[0].try_restart();
    assert!(back.is_err(), "it came back");
    assert!(nodes[0].log().contains("was decommissioned"), "{}", nodes[0].log());

    // A fifth takes the places of the second, which is dead and not missed yet.
    let mut fifth = secret.node(&[&nodes[2]]);
    fifth.restart();
    let fifth_name = name(&fifth);
    until("the fifth is not there", || list(&nodes[2]).len() == 5);
    nodes[1].kill();
    let replaced = ask(&nodes[2], &["node", "replace", &names[1], &fifth_name]);
    assert!(replaced.status.success(), "{}{}", text(&replaced), nodes[2].log());
    let status = of(&nodes[2], &fifth_name);
    assert_eq!(status["replicas"], 2, "{status}");
    put(&fifth, 1000);
    for node in [&nodes[2], &nodes[3], &fifth] {
        assert_eq!(node.connect().value(&count(&table("t"))), 1500);
    }
}

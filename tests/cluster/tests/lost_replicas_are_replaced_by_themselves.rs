//! A node is killed and does not come back for longer than `--node-lost-after`: others take the places of its replicas with nobody's help,
//! and nothing acknowledged is lost. When it does come back it is a node like any other. Where the option says `off` it is waited for.

use std::time::{Duration, Instant};

use photondb_test_cluster::load::{COUNTER, REGISTER};
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::table;
use photondb_test_cluster::{Cluster, Load, Shape, full, seed};
use serde_json::Value;

const NODES: usize = 4;
const REPLICAS: usize = 3;

/// A node is down after so many seconds without a word, the fewest that there may be.
const HEARTBEAT_TIMEOUT_SECS: u64 = 2;

/// And is given up so many seconds later.
const LOST_AFTER_SECS: u64 = 3;

/// Nodes that miss each other soon.
fn start(flag: &str, seed: u64) -> Cluster {
    let cluster = Cluster::start_with(NODES, &[flag], seed);
    let heartbeat = r#"[16,[[15,[[14,["rethinkdb"]],"cluster_config"]],"heartbeat"]]"#;
    let sooner = format!(r#"[53,[{heartbeat},{{"heartbeat_timeout_secs":{HEARTBEAT_TIMEOUT_SECS}}}]]"#);
    assert_eq!(cluster.connect(0).value(&sooner)["replaced"], 1);
    cluster
}

/// Of each shard of a table, the servers that have a replica with its state, as a node knows them.
fn replicas(cluster: &Cluster, asked: usize, name: &str) -> Vec<Vec<(String, String)>> {
    let status = cluster.connect(asked).value(&format!("[175,[{}]]", table(name)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |shard: &Value| {
        let replicas = shard["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().map(|replica| (text(&replica["server"]), text(&replica["state"]))).collect()
    };
    status["shards"].as_array().cloned().unwrap_or_default().iter().map(of).collect()
}

/// Whether each shard has all of its replicas, all of them ready, and none of them on `without`.
fn are_elsewhere(cluster: &Cluster, asked: usize, without: usize) -> bool {
    let without = format!("n{without}");
    let is_whole = |shard: &Vec<(String, String)>| {
        shard.len() == REPLICAS && shard.iter().all(|(server, state)| *server != without && state == "ready")
    };
    [REGISTER, COUNTER].iter().all(|name| {
        let shards = replicas(cluster, asked, name);
        !shards.is_empty() && shards.iter().all(is_whole)
    })
}

/// What a node says of another one: `up`, `down` or `lost`.
fn state_of(cluster: &Cluster, asked: usize, node: usize) -> String {
    let said = cluster.ask(asked, &["node", "list", "-o", "json"]);
    let nodes: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    let of = |found: &&Value| found["name"] == format!("n{node}");
    let found = nodes.as_array().and_then(|all| all.iter().find(of));
    found.and_then(|found| found["state"].as_str()).unwrap_or_default().to_owned()
}

fn until(cluster: &Cluster, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
    begun.elapsed()
}

#[test]
fn when_a_node_is_silent_for_longer_than_it_is_waited_for() {
    let seed = seed("lost replicas");
    let all: Vec<usize> = (0..NODES).collect();
    let mut cluster = start(&format!("--node-lost-after={LOST_AFTER_SECS}"), seed);
    let rounds = if full() { 4 } else { 1 };
    let load = Load::start(&cluster, &all, REPLICAS as u64, Shape::lasting(rounds * 25), seed);
    for round in 0..rounds {
        load.await_writes(50, "all run");
        // It has a replica, and leads.
        let lost = cluster.leaders(all[round % NODES], COUNTER)[0];
        let asked = all.iter().copied().find(|node| *node != lost).expect("there are several");
        load.open(lost, false);
        cluster.kill(lost);
        let took = until(&cluster, "its replicas are not replaced", || are_elsewhere(&cluster, asked, lost));
        println!("the replicas of n{lost} were elsewhere after {took:?}; {}", load.failures());
        let at_least = Duration::from_secs(LOST_AFTER_SECS);
        assert!(took > at_least, "a node that may come back was given up after {took:?}");
        assert_eq!(state_of(&cluster, asked, lost), "lost");
        load.await_writes(50, "others have its replicas");
        cluster.restart(&[lost]);
        load.open(lost, true);
        cluster.await_health(lost);
        until(&cluster, "it does not belong to the cluster again", || state_of(&cluster, asked, lost) == "up");
        // It may be given replicas again: there is no fourth node but this one.
        cluster.make_table(lost, &format!("later_{round}"), 1, NODES as u64);
    }
    load.await_writes(50, "all run again");
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

#[test]
fn and_not_where_nodes_are_waited_for_for_ever() {
    let seed = seed("no lost replicas");
    let all: Vec<usize> = (0..NODES).collect();
    let mut cluster = start("--node-lost-after=off", seed);
    cluster.make_table(0, REGISTER, 1, REPLICAS as u64);
    let away = cluster.leaders(0, REGISTER)[0];
    let asked = all.iter().copied().find(|node| *node != away).expect("there are several");
    cluster.kill(away);
    until(&cluster, "it is not missed", || state_of(&cluster, asked, away) == "down");
    std::thread::sleep(2 * Duration::from_secs(LOST_AFTER_SECS));
    assert_eq!(state_of(&cluster, asked, away), "down");
    let shards = replicas(&cluster, asked, REGISTER);
    let keeps_its_place = shards[0].contains(&(format!("n{away}"), "disconnected".to_owned()));
    assert!(shards[0].len() == REPLICAS && keeps_its_place, "{shards:?}");
    cluster.restart(&[away]);
    cluster.await_health(away);
    cluster.assert_whole(&all);
}

//! The leader of a table is killed while clients write and others follow the table by its changefeed: feeds of the other nodes go on
//! by themselves, with no change missing, none twice, and in the end they have the table. So do readers who leave again and again and go on
//! with their tokens at other nodes, while a leader dies and shards are split. So do those who follow the first documents in the order of an
//! index alone.

use std::time::{Duration, Instant};

use photondb_history::term;
use photondb_test_cluster::load::{COUNTER, REGISTER};
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::{index_create, index_wait};
use photondb_test_cluster::{Cluster, Follower, Load, Shape, full, seed};

#[test]
fn a_feed_is_the_table_whoever_leads_it() {
    let seed = seed("feeds");
    let rounds = if full() { 20 } else { 2 };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 6), seed);
    for round in 0..rounds {
        load.await_writes(100, "before anything happens");
        let leader = cluster.leaders(0, REGISTER)[0];
        let staying: Vec<usize> = all.into_iter().filter(|node| *node != leader).collect();
        let followed = staying.iter().flat_map(|node| [REGISTER, COUNTER].map(|name| (*node, name)));
        let followers: Vec<_> =
            followed.map(|(node, name)| Follower::start(cluster.node(node).ports().driver, name)).collect();
        load.await_writes(50, "feeds are open");
        cluster.kill(leader);
        load.await_writes(100, "a leader is dead");
        cluster.restart(&[leader]);
        load.await_writes(50, "the leader is back");
        load.pause(true);
        let mut other = cluster.connect(staying[0]);
        let counts: Vec<String> = followers.into_iter().map(|follower| follower.finish(&mut other)).collect();
        load.pause(false);
        println!("round {round}: n{leader}, a leader, died; {}", counts.join(", "));
    }
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

#[test]
fn readers_go_on_at_other_nodes_by_their_tokens() {
    let seed = seed("tokens");
    let rounds = if full() { 8 } else { 2 };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 8), seed);
    for round in 0..rounds {
        load.await_writes(100, "before anything happens");
        let ports: Vec<u16> = all.iter().map(|node| cluster.node(*node).ports().driver).collect();
        let followed = [REGISTER, COUNTER, REGISTER, COUNTER].into_iter().zip(1..);
        let followers: Vec<_> =
            followed.map(|(name, number)| Follower::roam(ports.clone(), name, seed + number)).collect();
        load.await_writes(100, "readers come and go");
        let leader = cluster.leaders(0, REGISTER)[0];
        let staying = (leader + 1) % 3;
        for name in [REGISTER, COUNTER] {
            let split = term::reconfigure(term::table(name), round as u64 + 2, 3).to_string();
            assert_eq!(cluster.connect(staying).value(&split)["reconfigured"], 1);
        }
        cluster.kill(leader);
        load.await_writes(50, "shards are to be split, and a leader is dead");
        cluster.restart(&[leader]);
        for name in [REGISTER, COUNTER] {
            cluster.connect(staying).value(&format!(r#"[177,[{}],{{"timeout":60}}]"#, term::table(name)));
        }
        load.await_writes(150, "the leader is back");
        load.pause(true);
        let mut other = cluster.connect(staying);
        let shards = cluster.leaders(staying, REGISTER).len();
        let counts: Vec<String> = followers.into_iter().map(|follower| follower.finish(&mut other)).collect();
        load.pause(false);
        println!("round {round}: n{leader}, a leader, died; {shards} shards; {}", counts.join(", "));
        assert_eq!(shards, round + 2, "shards were to be split");
    }
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

/// The field of the documents of `register` that changes with each write.
const VALUE: &str = "v";

/// How many of the first documents are followed: so few that one that leaves is often followed by one that the feed does not know.
const FIRST: usize = 4;

/// Asks for so many shards, and waits until there are.
fn divide(cluster: &Cluster, node: usize, shards: usize) {
    let begun = Instant::now();
    let asked = format!("[1,{}]", term::reconfigure(term::table(REGISTER), shards as u64, 3));
    loop {
        let said = cluster.connect(node).run(&asked);
        if said.as_ref().is_ok_and(|answer| answer["t"] == 1) && cluster.leaders(node, REGISTER).len() == shards {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{said:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_first_documents_are_followed_whoever_leads_and_however_the_table_is_divided() {
    let seed = seed("first");
    let rounds = if full() { 10 } else { 2 };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 10), seed);
    assert_eq!(cluster.connect(0).value(&index_create(REGISTER, VALUE))["created"], 1);
    cluster.connect(0).value(&index_wait(REGISTER));
    for round in 0..rounds {
        load.await_writes(100, "before anything happens");
        let leader = cluster.leaders(0, REGISTER)[0];
        let staying: Vec<usize> = all.into_iter().filter(|node| *node != leader).collect();
        let port = |node: &usize| cluster.node(*node).ports().driver;
        let followers: Vec<_> =
            staying.iter().map(|node| Follower::start_first(port(node), REGISTER, VALUE, FIRST)).collect();
        load.await_writes(50, "feeds are open");
        divide(&cluster, staying[0], 4);
        load.await_writes(50, "shards were split");
        cluster.kill(leader);
        load.await_writes(100, "a leader is dead");
        cluster.restart(&[leader]);
        divide(&cluster, staying[1], 1);
        load.await_writes(50, "shards were joined");
        load.pause(true);
        let mut other = cluster.connect(leader);
        let counts: Vec<String> = followers.into_iter().map(|follower| follower.finish(&mut other)).collect();
        load.pause(false);
        println!("round {round}: n{leader}, a leader, died; {}", counts.join(", "));
    }
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

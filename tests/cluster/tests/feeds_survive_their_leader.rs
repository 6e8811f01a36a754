//! The leader of a table is killed while clients write and others follow the table by its changefeed: feeds of the other nodes go on
//! by themselves, with no change missing, none twice, and in the end they have the table. So do readers who leave again and again and go on
//! with their tokens at other nodes, while a leader dies and shards are split.

use photondb_history::term;
use photondb_test_cluster::load::{COUNTER, REGISTER};
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

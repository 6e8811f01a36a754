//! While a majority can talk to each other, writes go on, however the network is torn: a minority with the leader, a leader alone,
//! links that carry one direction, nodes of which not everybody sees everybody; links that are slow, and links that lose. Nobody
//! is told anything old, before or after it heals.

use std::time::{Duration, Instant};

use photondb_test_cluster::load::REGISTER;
use photondb_test_cluster::{Cluster, Load, Network, Shape, Weather, full, seed};

const NODES: usize = 5;

/// How long writes may stop: a silent connection is given up after three seconds, then somebody is elected.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// Tears the network around a leader.
type Tear = fn(&Network, usize);

fn others(node: usize) -> Vec<usize> {
    (0..NODES).filter(|other| *other != node).collect()
}

/// What is done to the network, and its name.
const TEARS: [(&str, Tear); 10] = [
    ("the leader and another are cut off", |network, leader| {
        let with = (leader + 1) % NODES;
        let rest: Vec<usize> = others(leader).into_iter().filter(|node| *node != with).collect();
        network.set_across(&[leader, with], &rest, Weather::Cut);
    }),
    ("nobody hears the leader and another", |network, leader| {
        let with = (leader + 1) % NODES;
        let rest: Vec<usize> = others(leader).into_iter().filter(|node| *node != with).collect();
        network.set_across(&[leader, with], &rest, Weather::Silent);
    }),
    ("the leader is cut off", |network, leader| network.set_across(&[leader], &others(leader), Weather::Cut)),
    ("the leader is alone", |network, leader| network.set_across(&[leader], &others(leader), Weather::Silent)),
    ("the leader speaks and hears nothing", |network, leader| {
        for other in others(leader) {
            network.set(other, leader, Weather::Silent);
        }
    }),
    ("the leader hears and is not heard", |network, leader| {
        for other in others(leader) {
            network.set(leader, other, Weather::Silent);
        }
    }),
    ("the leader sees one other, who sees all", |network, leader| {
        network.set_across(&[leader], &others(leader)[1..], Weather::Cut);
    }),
    ("each sees only two, in a ring", |network, _| {
        for node in 0..NODES {
            network.set_between(node, (node + 2) % NODES, Weather::Cut);
        }
    }),
    ("all are far from each other", |network, _| network.set_all(Weather::FAR)),
    ("all cables are bad", |network, _| network.set_all(Weather::BAD_CABLE)),
];

#[test]
fn however_the_network_is_torn() {
    let seed = seed("partitions");
    let (rounds, least) = if full() { (5, Duration::from_secs(8)) } else { (1, Duration::from_millis(1_500)) };
    let all: Vec<usize> = (0..NODES).collect();
    let mut cluster = Cluster::start(NODES, seed);
    let load = Load::start(&cluster, &all, NODES as u64, Shape::lasting(rounds * (TEARS.len() * 4)), seed);
    for (name, tear) in TEARS.iter().cycle().take(rounds * TEARS.len()) {
        load.await_writes(50, "the network is whole");
        let leader = cluster.leaders(0, REGISTER)[0];
        load.longest_gap();
        let torn = Instant::now();
        tear(&cluster.network, leader);
        load.await_writes_within(100, name, STOP_TIME_MAX);
        std::thread::sleep(least.saturating_sub(torn.elapsed()));
        println!("{name} (n{leader}): at most {:?} without a write", load.longest_gap());
        cluster.network.heal();
    }
    cluster.await_health(0);
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

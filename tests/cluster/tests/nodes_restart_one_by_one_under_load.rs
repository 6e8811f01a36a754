//! Each node in turn is ended and started again while clients write: no write fails but by an error that says what became of it, and
//! the others answer all the time. A signal is enough: who is told to stop lets others lead first, so that nobody has to miss a leader.

use std::time::Duration;

use photondb_test_cluster::{Cluster, Load, Shape, full, seed, text};

const ALL: [usize; 3] = [0, 1, 2];

/// What a member says when it has missed a leader.
const ELECTION: &str = "a member stands for election";

/// What a node says when it is told to stop and others lead what it led.
const HANDED_OVER: &str = "this node leads nothing any more";

/// By then whoever has missed a leader has said so.
const MISSED_BY: Duration = Duration::from_millis(1_500);

/// How often it stands in the logs of these nodes.
fn said(cluster: &Cluster, nodes: &[usize], what: &str) -> usize {
    nodes.iter().map(|node| cluster.node(*node).log().matches(what).count()).sum()
}

fn rounds() -> usize {
    if full() { 10 } else { 1 }
}

#[test]
fn and_writes_go_on() {
    let seed = seed("rolling restart");
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &ALL, 3, Shape::lasting(rounds() * 12), seed);
    for node in ALL.into_iter().cycle().take(3 * rounds()) {
        load.await_writes(50, "all run");
        load.longest_gap();
        let drained = cluster.ask(node, &["node", "drain"]);
        assert!(drained.status.success(), "{}", text(&drained));
        load.open(node, false);
        assert_eq!(cluster.node_mut(node).terminate().code(), Some(0), "{}", cluster.node(node).log());
        load.await_writes(50, "a node is away");
        cluster.restart(&[node]);
        load.open(node, true);
        cluster.await_health(node);
        let gap = load.longest_gap();
        println!("n{node} was started again: at most {gap:?} without a write; {}", load.failures());
        assert!(gap < Duration::from_secs(5), "a drained node is no reason to wait: {gap:?}");
    }
    load.finish(&ALL).assert_right();
    cluster.assert_whole(&ALL);
}

#[test]
fn and_a_signal_alone_costs_no_election() {
    let seed = seed("rolling restart by signals");
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &ALL, 3, Shape::lasting(rounds() * 15), seed);
    let restarts = 3 * rounds();
    let mut with_elections = 0;
    for node in ALL.into_iter().cycle().take(restarts) {
        let others: Vec<usize> = ALL.into_iter().filter(|other| *other != node).collect();
        load.await_writes(50, "all run");
        load.longest_gap();
        let (elections, handed) = (said(&cluster, &others, ELECTION), said(&cluster, &[node], HANDED_OVER));
        load.open(node, false);
        assert_eq!(cluster.node_mut(node).terminate().code(), Some(0), "{}", cluster.node(node).log());
        assert_eq!(said(&cluster, &[node], HANDED_OVER), handed + 1, "{}", cluster.node(node).log());
        load.await_writes(50, "a node is away");
        std::thread::sleep(MISSED_BY);
        let elections = said(&cluster, &others, ELECTION) - elections;
        let gap = load.longest_gap();
        println!("n{node} has stopped: {elections} elections, at most {gap:?} without a write; {}", load.failures());
        assert!(gap < Duration::from_secs(5), "a node that is told to stop is no reason to wait: {gap:?}");
        with_elections += usize::from(elections > 0);
        cluster.restart(&[node]);
        load.open(node, true);
        cluster.await_health(node);
    }
    // A machine that stands still for most of a second has some that nobody's stop is to blame for.
    assert!(with_elections * 10 <= restarts, "{with_elections} of {restarts} stops made members miss their leader");
    load.finish(&ALL).assert_right();
    cluster.assert_whole(&ALL);
}

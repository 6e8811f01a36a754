//! Each node in turn is drained, ended and started again while clients write: no write fails but by an error that says what became of
//! it, and the others answer all the time.

use std::time::Duration;

use photondb_test_cluster::{Cluster, Load, Shape, full, seed, text};

#[test]
fn and_writes_go_on() {
    let seed = seed("rolling restart");
    let rounds = if full() { 10 } else { 1 };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 12), seed);
    for node in all.into_iter().cycle().take(3 * rounds) {
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
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

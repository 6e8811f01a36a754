//! P1 and P3 for three nodes: whatever moment the power goes, on one or on all of them, what was acknowledged is there,
//! once, in order.
//!
//! `PHOTONDB_TESTS=full` tries more moments; `PHOTONDB_SEED` chooses others.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::Cluster;
use parking_lot::Mutex;
use photondb_runtime::random::{Random, SeededRandom};

const LIVES: u64 = 4;
const COMMANDS: u64 = 40;

/// Everything that was acknowledged is in `applied`, in the order in which one proposer proposed it, and nothing twice.
fn check(applied: &[String], acknowledged: &[String]) {
    let mut unique: Vec<_> = applied.iter().collect();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), applied.len(), "something was applied twice: {applied:?}");
    let mut rest = applied.iter();
    for command in acknowledged {
        assert!(rest.any(|found| found == command), "{command} was acknowledged, and is not there: {applied:?}");
    }
}

fn live(seed: u64) {
    let random = SeededRandom::new(seed);
    let below = |limit: u64| random.next_u64() % limit;
    let mut cluster = Cluster::of_three(seed);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for life in 0..LIVES {
        let (leader, term) = cluster.leader();
        check(&cluster.applied(leader), &acknowledged.lock());
        let struck = 1 + below(3);
        if below(2) == 0 {
            cluster.disk(struck).crash_at(below(30));
        }
        let group = cluster.group(leader);
        for number in 0..COMMANDS {
            let command = format!("{life}.{number}");
            let (outcome, acknowledged) = (group.propose(term, command.clone().into()), Arc::clone(&acknowledged));
            cluster.spawn(async move {
                if outcome.await.is_ok() {
                    acknowledged.lock().push(command);
                }
            });
            cluster.run(Duration::from_millis(below(3)));
        }
        if below(3) == 0 && !cluster.disk(leader).is_crashed() {
            cluster.try_checkpoint(leader);
        }
        cluster.run(Duration::from_millis(below(30)));
        let all = below(3) != 0;
        for node in 1..=3 {
            if all || node == struck || cluster.disk(node).is_crashed() {
                cluster.crash(node);
            }
        }
        cluster.run(Duration::from_millis(below(1000)));
        for node in 1..=3 {
            if !cluster.is_up(node) {
                assert!(cluster.start(node) && cluster.join(node));
            }
        }
    }
    let (leader, _) = cluster.leader();
    cluster.propose(leader, "the end");
    cluster.converge(&[leader, 1, 2, 3]);
    check(&cluster.applied(leader), &acknowledged.lock());
    assert!(acknowledged.lock().len() as u64 >= COMMANDS / 2, "it worked at all");
    cluster.assert_healthy();
}

#[test]
fn the_power_may_go_on_one_or_on_all() {
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let first = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    println!("PHOTONDB_SEED={first}");
    for seed in first..first + if full { 500 } else { 12 } {
        println!("seed {seed}");
        live(seed);
    }
}

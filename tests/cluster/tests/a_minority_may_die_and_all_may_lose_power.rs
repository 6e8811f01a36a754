//! Any two of five nodes may be killed at one moment, leaders among them: writes go on after an election. All of them may be killed
//! at once: what was acknowledged is there when they are back. Each document stays linearizable, each increment counts once.

use std::time::{Duration, Instant};

use photondb_history::random::Random;
use photondb_test_cluster::load::{COUNTER, REGISTER};
use photondb_test_cluster::{Cluster, Load, Shape, full, seed};

/// How long writes may stop on a machine that does other things too.
const ELECTION_TIME_MAX: Duration = Duration::from_secs(15);

#[test]
fn two_of_five_killed_at_once() {
    let seed = seed("two of five");
    let mut random = Random::new(seed);
    let rounds = if full() { 25 } else { 2 };
    let all = [0, 1, 2, 3, 4];
    let mut cluster = Cluster::start(5, seed);
    let load = Load::start(&cluster, &all, 5, Shape::lasting(rounds * 8), seed);
    for round in 0..rounds {
        load.await_writes(100, "before anything happens");
        let first = cluster.leaders(0, if round % 2 == 0 { REGISTER } else { COUNTER })[0];
        let second = (first + 1 + random.below(4) as usize) % 5;
        cluster.kill(first);
        cluster.kill(second);
        let took = load.await_writes_within(50, "two of five are dead", ELECTION_TIME_MAX);
        println!("round {round}: n{first}, a leader, and n{second} died: {took:?} until 50 writes were acknowledged");
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
        cluster.restart(&[first, second]);
    }
    cluster.await_health(0);
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

#[test]
fn all_lose_power_at_once() {
    let seed = seed("power loss");
    let mut random = Random::new(seed);
    let rounds = if full() { 25 } else { 2 };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 6), seed);
    for round in 0..rounds {
        load.await_writes(100 + random.below(200), "before the power goes");
        for node in all {
            cluster.kill(node);
        }
        let begun = Instant::now();
        cluster.restart(&all);
        let answered = begun.elapsed();
        load.await_writes_within(50, "the power is back", ELECTION_TIME_MAX);
        println!("round {round}: all answer after {answered:?}, 50 writes after {:?}", begun.elapsed());
    }
    cluster.await_health(0);
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

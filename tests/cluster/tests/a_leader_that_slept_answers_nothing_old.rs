//! A leader is stopped for longer than an election takes, and goes on where it was: reads that wait for it, and those that come right
//! after, give nothing that was overwritten meanwhile; its clients are told that they do not know what became of their writes.

use std::time::{Duration, Instant};

use photondb_test_cluster::load::REGISTER;
use photondb_test_cluster::{Cluster, Load, Shape, full, seed};

#[test]
fn it_wakes_as_a_follower() {
    let seed = seed("a leader sleeps");
    let (rounds, sleep) = if full() { (4, 30) } else { (2, 4) };
    let all = [0, 1, 2];
    let mut cluster = Cluster::start(3, seed);
    let shape = Shape::lasting(rounds * (sleep + 2));
    let load = Load::start(&cluster, &all, 3, shape, seed);
    for round in 0..rounds {
        load.await_writes(100, "before anything happens");
        let leader = cluster.leaders(0, REGISTER)[0];
        let mut readers: Vec<_> = (0..shape.keys).map(|key| load.client(leader, key as u64)).collect();
        for reader in &mut readers {
            assert!(reader.connect(Duration::from_secs(60)), "the leader takes connections");
        }
        cluster.node(leader).signal("STOP");
        let asleep = Instant::now();
        // So many that every document was written again, after an election.
        let took = load.await_writes(20 * shape.keys as u64, "the leader sleeps");
        std::thread::sleep(Duration::from_secs(sleep as u64).saturating_sub(asleep.elapsed()));
        for (key, reader) in readers.iter_mut().enumerate() {
            reader.send_read(key);
        }
        cluster.node(leader).signal("CONT");
        for reader in &mut readers {
            reader.receive_read();
        }
        println!("round {round}: n{leader} slept; {took:?} until every document was written again");
    }
    load.await_writes(100, "all are awake");
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

//! A leader is killed; a client of each of the other nodes measures the time until its next write is acknowledged.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::insert;
use photondb_test_cluster::{Cluster, Connection, full, seed};

const TABLE: &str = "t";

/// Over thirty rounds.
const MEDIAN_MAX: Duration = Duration::from_millis(1_200);
const MAX: Duration = Duration::from_millis(2_500);

/// What nobody waits for, however busy the machine is.
const SANE_MAX: Duration = Duration::from_secs(10);

/// Writes until one is acknowledged; gives the time since `died`.
fn write_again(port: u16, died: Instant, id: u64) -> Duration {
    let message = format!("[1,{}]", insert(TABLE, &[format!(r#"{{"id":{id}}}"#)]));
    let mut connection = Connection::open_within(port, SANE_MAX).unwrap();
    loop {
        let answer = connection.run(&message).unwrap();
        // An earlier try may have been carried out after all, though nobody knew: then the key is taken.
        if answer["t"] == 1 {
            assert!(answer["r"][0]["inserted"] == 1 || answer["r"][0]["errors"] == 1, "{answer}");
            return died.elapsed();
        }
        assert!(answer["e"] == 4_100_000 || answer["e"] == 4_200_000, "{answer}");
        assert!(died.elapsed() < SANE_MAX, "{answer}");
    }
}

#[test]
fn median_and_longest_time() {
    let seed = seed("failover");
    let rounds = if full() { 30 } else { 3 };
    let mut cluster = Cluster::start(3, seed);
    cluster.make_table(0, TABLE, 1, 3);
    let mut times = Vec::new();
    for round in 0..rounds {
        cluster.await_health(0);
        let leader = cluster.leaders(0, TABLE)[0];
        for node in 0..3 {
            // Everybody knows who leads, and has a connection to it.
            assert_eq!(cluster.connect(node).value(&insert(TABLE, &["{}".to_owned()]))["inserted"], 1);
        }
        let ports: Vec<u16> = (0..3).filter(|node| *node != leader).map(|node| cluster.drivers()[node]).collect();
        cluster.kill(leader);
        let died = Instant::now();
        let clients = ports
            .into_iter()
            .zip(round * 10..)
            .map(|(port, id)| std::thread::spawn(move || write_again(port, died, id)));
        let took: Vec<Duration> =
            clients.collect::<Vec<_>>().into_iter().map(|client| client.join().unwrap()).collect();
        println!("round {round}: n{leader} died, the others write again after {took:?}");
        times.extend(took.into_iter().max());
        cluster.restart(&[leader]);
    }
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("time to write again over {rounds} rounds: median {median:?}, longest {longest:?}");
    assert!(longest < SANE_MAX, "{longest:?}");
    if full() {
        assert!(median < MEDIAN_MAX && longest < MAX, "median {median:?}, longest {longest:?}");
    }
    cluster.assert_whole(&[0, 1, 2]);
}

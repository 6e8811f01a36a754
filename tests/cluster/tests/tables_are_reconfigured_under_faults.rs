//! A table is given more and fewer replicas and shards again and again while clients write and nodes die, sleep and are cut off: it comes to
//! what was asked for, and nothing is lost.

use std::time::{Duration, Instant};

use photondb_history::random::Random;
use photondb_test_cluster::load::REGISTER;
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::table;
use photondb_test_cluster::{Cluster, Connection, Load, Shape, Weather, full, seed};

const NODES: usize = 5;

const SHARDS_MAX: u64 = 4;

/// What happens to a node, and is undone afterwards.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    Killed,
    Asleep,
    CutOff,
    Unheard,
}

impl Fault {
    fn strike(self, cluster: &mut Cluster, node: usize) {
        let others: Vec<usize> = (0..NODES).filter(|other| *other != node).collect();
        match self {
            Fault::Nothing => {}
            Fault::Killed => cluster.kill(node),
            Fault::Asleep => cluster.node(node).signal("STOP"),
            Fault::CutOff => cluster.network.set_across(&[node], &others, Weather::Cut),
            Fault::Unheard => cluster.network.set_across(&[node], &others, Weather::Silent),
        }
    }

    fn undo(self, cluster: &mut Cluster, node: usize) {
        match self {
            Fault::Nothing => {}
            Fault::Killed => cluster.restart(&[node]),
            Fault::Asleep => cluster.node(node).signal("CONT"),
            Fault::CutOff | Fault::Unheard => cluster.network.heal(),
        }
    }
}

/// Asks until it is taken. An error says that it was not, or may have been: asking again is right in both cases.
fn insist(port: u16, shards: u64, replicas: u64) {
    let asked = format!(r#"[1,[176,[{}],{{"shards":{shards},"replicas":{replicas}}}]]"#, table(REGISTER));
    let begun = Instant::now();
    let mut last = String::new();
    loop {
        assert!(begun.elapsed() < PATIENCE, "nobody takes the order: {last}");
        if let Some(mut connection) = Connection::open_within(port, Duration::from_secs(20)) {
            match connection.run(&asked) {
                Ok(answer) if answer["t"] == 1 => return,
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = error.to_string(),
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn again_and_again() {
    let seed = seed("reconfigure");
    let mut random = Random::new(seed);
    let rounds = if full() { 200 } else { 5 };
    let all: Vec<usize> = (0..NODES).collect();
    let mut cluster = Cluster::start(NODES, seed);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(rounds * 4), seed);
    for round in 0..rounds {
        let begun = Instant::now();
        let victim = random.below(NODES as u64) as usize;
        let asked = (victim + 1 + random.below(NODES as u64 - 1) as usize) % NODES;
        let faults = [Fault::Killed, Fault::Nothing, Fault::Asleep, Fault::CutOff, Fault::Unheard];
        let (fault, replicas) = (faults[round % faults.len()], random.within(3..=NODES as u64));
        let (shards, early) = (random.within(1..=SHARDS_MAX), random.once_in(2));
        if early {
            fault.strike(&mut cluster, victim);
        }
        insist(cluster.drivers()[asked], shards, replicas);
        if !early {
            fault.strike(&mut cluster, victim);
        }
        load.await_writes(30, "a table is reconfigured");
        std::thread::sleep(random.millis(0..=1_000));
        fault.undo(&mut cluster, victim);
        let order = format!("[177,[{}],{{\"wait_for\":\"all_replicas_ready\",\"timeout\":60}}]", table(REGISTER));
        let ready = cluster.connect(asked).value(&order);
        assert_eq!(ready["ready"], 1, "{ready}");
        let config = cluster.connect(asked).value(&format!("[174,[{}]]", table(REGISTER)));
        let found = config["shards"].as_array().into_iter().flatten();
        let found: Vec<usize> = found.map(|shard| shard["replicas"].as_array().map_or(0, Vec::len)).collect();
        println!(
            "round {round}: n{victim} {fault:?}, {shards} shards, {replicas} replicas after {:?}",
            begun.elapsed()
        );
        assert_eq!(found, vec![replicas as usize; shards as usize], "{config}");
    }
    cluster.await_health(0);
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

//! Three nodes become five, all of which hold the tables, and three again, one of them of those that began; clients write all the
//! time, and nothing is lost on the way.

use std::time::{Duration, Instant};

use photondb_test_cluster::load::{COUNTER, REGISTER};
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::table;
use photondb_test_cluster::{Cluster, Load, Shape, full, seed, text};

/// The tables of the load, and how many shards they have.
const TABLES: [(&str, u64); 2] = [(REGISTER, 2), (COUNTER, 1)];

/// Asked of a node until it is done.
fn reconfigure(cluster: &Cluster, node: usize, name: &str, shards: u64, replicas: u64) {
    let begun = Instant::now();
    loop {
        let asked = format!(r#"[1,[176,[{}],{{"shards":{shards},"replicas":{replicas}}}]]"#, table(name));
        let said = cluster.connect(node).run(&asked);
        match said {
            Ok(answer) if answer["t"] == 1 => break,
            said => assert!(begun.elapsed() < PATIENCE, "{said:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ready =
        cluster.connect(node).value(&format!("[177,[{}],{{\"wait_for\":\"all_replicas_ready\"}}]", table(name)));
    assert_eq!(ready["ready"], 1, "{ready}");
}

#[test]
fn from_three_to_five_to_three() {
    let seed = seed("scale");
    let rounds = if full() { 5 } else { 1 };
    for _ in 0..rounds {
        let mut cluster = Cluster::stopped(5, seed);
        cluster.join(&[0, 1, 2]);
        let load = Load::start(&cluster, &[0, 1, 2], 3, Shape::lasting(20), seed);
        load.await_writes(100, "three nodes");
        cluster.join(&[3, 4]);
        for (name, shards) in TABLES {
            reconfigure(&cluster, 4, name, shards, 5);
        }
        load.open(3, true);
        load.open(4, true);
        load.await_writes(100, "five nodes");
        for (name, shards) in TABLES {
            reconfigure(&cluster, 3, name, shards, 3);
        }
        // The first of them leads the cluster state, which it founded.
        let (leave, stay) = ([0, 1], [2, 3, 4]);
        for node in leave {
            load.open(node, false);
            let gone = cluster.ask(4, &["node", "decommission", &format!("n{node}")]);
            assert!(gone.status.success(), "{}{}", text(&gone), cluster.logs());
            // It ends by itself when it hears of it.
            cluster.node_mut(node).wait();
            load.await_writes(50, "a node has gone");
        }
        cluster.await_health(4);
        load.finish(&stay).assert_right();
        cluster.assert_whole(&stay);
    }
}

//! The disk of one node of three fills up, which leads some shards and follows in others. It refuses what it leads, and ends when it
//! can no longer follow, and says both; the others go on. Nothing acknowledged is lost, and with space the node is as good as before.

use std::time::{Duration, Instant};

use photondb_history::random::Random;
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::insert;
use photondb_test_cluster::{Cluster, Load, Shape, SmallDisk, seed};

const BALLAST: &str = "ballast";

/// How long writes may stop: the node refuses them, or ends, and somebody is elected.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// Text that no compression makes much shorter.
fn text(random: &mut Random) -> String {
    (0..20_000).map(|_| format!("{:016x}", random.bits())).collect()
}

/// Writes through another node, whatever becomes of it, until the disk of this one is said to be full.
fn write_until_full(cluster: &mut Cluster, full: usize, random: &mut Random) {
    let mut connection = cluster.connect((full + 1) % cluster.drivers().len());
    let (begun, said) = (Instant::now(), "the disk is full");
    while !cluster.node(full).log().contains(said) {
        assert!(begun.elapsed() < PATIENCE, "the disk is not full:\n{}", cluster.logs());
        let document = format!(r#"{{"text":"{}"}}"#, text(random));
        let answer = connection.run(&format!("[1,{}]", insert(BALLAST, &[document])));
        let answer = answer.unwrap_or_else(|error| panic!("the others go on: {error}"));
        let known = answer["t"] == 1 || answer["e"] == 4_100_000 || answer["e"] == 4_200_000;
        assert!(known, "{answer}");
    }
}

#[test]
fn and_it_comes_back_with_space() {
    let seed = seed("full disk");
    let mut random = Random::new(seed);
    let (all, full) = ([0, 1, 2], 0);
    let disk = SmallDisk::new(160);
    let mut cluster = Cluster::stopped(3, seed);
    cluster.put_on(full, &disk);
    cluster.join(&all);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(20), seed);
    cluster.make_table(0, BALLAST, 3, 3);
    load.await_writes(100, "there is space");
    disk.fill();
    write_until_full(&mut cluster, full, &mut random);
    let took = load.await_writes_within(200, "the disk of one node is full", STOP_TIME_MAX);
    println!("the disk of n{full} is full: {took:?} until 200 writes were acknowledged; {}", load.failures());
    let runs = cluster.node_mut(full).is_running();
    disk.clear();
    if !runs {
        let log = cluster.node(full).log();
        assert!(log.contains("the process ends now. Nothing acknowledged is lost"), "{log}");
        cluster.node_mut(full).wait();
        cluster.restart(&[full]);
    }
    cluster.await_health(1);
    // Without the others it is half of the majority.
    cluster.kill(2);
    load.await_writes_within(100, "another node is dead", STOP_TIME_MAX);
    cluster.restart(&[2]);
    cluster.await_health(1);
    load.finish(&all).assert_right();
    cluster.assert_whole(&all);
}

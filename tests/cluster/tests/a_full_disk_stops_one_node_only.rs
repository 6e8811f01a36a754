//! The disk of one node of three fills up, which leads some shards and follows in others. It lets others lead what it led, and ends
//! when it can no longer follow, and says both; the others go on. Nothing acknowledged is lost, and with space the node is as good as
//! before.

use std::time::{Duration, Instant};

use photondb_history::random::Random;
use photondb_test_cluster::load::{COUNTER, REGISTER};
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::insert;
use photondb_test_cluster::{Cluster, Load, Shape, SmallDisk, seed};
use serde_json::Value;

const BALLAST: &str = "ballast";

/// How long writes may stop: the node refuses them until another leads, or ends and somebody is elected.
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

/// Lets a node lead the only shard of a table.
fn let_lead(cluster: &Cluster, node: usize, table: &str) {
    let listed = cluster.ask(node, &["shard", "list", "-o", "json"]);
    let shards: Value = serde_json::from_slice(&listed.stdout).expect("a list of shards");
    let shard =
        shards.as_array().expect("a list").iter().find(|shard| shard["table"] == table).expect("the table is there");
    let said = cluster.ask(node, &["shard", "transfer-leader", &shard["id"].to_string(), &format!("n{node}")]);
    assert!(said.status.success(), "{said:?}");
}

/// Waits until others lead all that the clients write.
fn await_other_leaders(cluster: &Cluster, full: usize, within: Duration) {
    let begun = Instant::now();
    loop {
        let leaders = [REGISTER, COUNTER].map(|table| cluster.leaders((full + 1) % cluster.drivers().len(), table));
        if !leaders.concat().contains(&full) {
            return;
        }
        assert!(begun.elapsed() < within, "n{full} still leads, and refuses writes: {leaders:?}\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until a node takes writes again, or has ended.
fn await_space(cluster: &mut Cluster, node: usize) {
    let begun = Instant::now();
    while cluster.node_mut(node).is_running() {
        let log = cluster.node(node).log();
        let last = |said| log.rfind(said);
        if last("the disk is full: writes are refused") < last("there is space for the log again") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "there is space:\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(10));
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
    let_lead(&cluster, full, COUNTER);
    disk.fill();
    write_until_full(&mut cluster, full, &mut random);
    let took = load.await_writes_within(200, "the disk of one node is full", STOP_TIME_MAX);
    println!("the disk of n{full} is full: {took:?} until 200 writes were acknowledged; {}", load.failures());
    await_other_leaders(&cluster, full, STOP_TIME_MAX);
    disk.clear();
    await_space(&mut cluster, full);
    if !cluster.node_mut(full).is_running() {
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

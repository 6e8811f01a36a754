//! The disk of one node of three fills up, the leader's or another's: the others go on, nothing acknowledged is lost, and with space the
//! node is whole again.

use std::time::Duration;

use photondb_test_cluster::load::REGISTER;
use photondb_test_cluster::{Cluster, Load, Shape, SmallDisk, seed};

#[test]
fn exploration() {
    let seed = seed("full disk");
    let all = [0, 1, 2];
    let disk = SmallDisk::new(160);
    let mut cluster = Cluster::stopped(3, seed);
    let small = std::env::var("SMALL").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    cluster.put_on(small, &disk);
    cluster.join(&all);
    let load = Load::start(&cluster, &all, 3, Shape::lasting(30), seed);
    cluster.make_table(0, "ballast", 1, 3);
    load.await_writes(100, "there is space");
    println!("leaders {:?}", cluster.leaders(0, REGISTER));
    disk.fill();
    let pad = "p".repeat(900_000);
    let mut c = cluster.connect(1);
    for id in 0..100 {
        let answer = c
            .run(&format!(
                "[1,{}]",
                photondb_test_cluster::terms::insert("ballast", &[format!(r#"{{"id":{id},"pad":"{pad}{id}"}}"#)])
            ))
            .expect("x");
        if answer["t"] != 1 || answer["r"][0]["inserted"] != 1 {
            println!("{id}: {answer}");
            std::thread::sleep(Duration::from_millis(200));
        }
        if !cluster.node_mut(small).is_running() {
            println!("{id} ended");
            break;
        }
    }
    println!("running: {}", cluster.node_mut(small).is_running());
    println!("leaders {:?}", cluster.leaders(1, REGISTER));
    println!("{}", cluster.logs());
    load.await_writes(100, "full");
    std::thread::sleep(Duration::from_secs(5));
    println!("running: {}", cluster.node_mut(small).is_running());
    println!("leaders {:?}", cluster.leaders(1, REGISTER));
    println!("{}", load.failures());
    println!("{}", cluster.logs());
}

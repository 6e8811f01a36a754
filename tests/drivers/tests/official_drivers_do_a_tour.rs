//! Connect, create, insert 10,000 documents, index, query, join, group, listen, fail: with the official drivers.

use std::path::Path;
use std::process::Command;

use photondb_test_cluster::Node;
use photondb_test_drivers::{go, java, javascript, python, run};

/// A node that may fetch from a server on this machine, as a tour has one.
const FETCHES: [&str; 3] = ["--allow-http", "--allow-http-to", "127.0.0.1"];

fn tour(name: &str) -> String {
    let tours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tours");
    tours.join(name).to_string_lossy().into_owned()
}

#[test]
fn python_synchronous_and_asynchronous() {
    let python = python();
    let mut node = Node::start_with(&FETCHES);
    let printed = run(Command::new(python).args([&tour("tour.py"), "127.0.0.1", &node.ports().driver.to_string()]));
    assert!(printed.ends_with("tour done\n"), "{printed}");
    assert!(node.is_running(), "{}", node.log());
}

#[test]
fn javascript_from_npm() {
    let modules = javascript().join("node_modules");
    let mut node = Node::start();
    let port = node.ports().driver.to_string();
    let printed = run(Command::new("node").args([&tour("tour.js"), "127.0.0.1", &port]).env("NODE_PATH", modules));
    assert!(printed.ends_with("tour done\n"), "{printed}");
    assert!(node.is_running(), "{}", node.log());
}

#[test]
fn go_from_its_module() {
    let program = go(Path::new(&tour("go")));
    let mut node = Node::start_with(&FETCHES);
    let printed = run(Command::new(program).args(["127.0.0.1", &node.ports().driver.to_string()]));
    assert!(printed.ends_with("tour done\n"), "{printed}");
    assert!(node.is_running(), "{}", node.log());
}

#[test]
fn java_from_maven() {
    let classes = java(Path::new(&tour("java")));
    let mut node = Node::start_with(&FETCHES);
    let port = node.ports().driver.to_string();
    let printed = run(Command::new("java").args(["-cp", &classes, "Tour", "127.0.0.1", &port]));
    assert!(printed.ends_with("tour done\n"), "{printed}");
    assert!(node.is_running(), "{}", node.log());
}

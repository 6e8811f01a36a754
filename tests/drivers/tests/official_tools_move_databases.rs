//! Dump, restore, export, import: with the tools that come with the official Python driver.

use std::path::Path;
use std::process::Command;

use photondb_test_cluster::Node;
use photondb_test_drivers::{python, run};

#[test]
fn what_is_dumped_at_one_node_is_restored_at_another() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tours/tools.py");
    let directory = tempfile::tempdir().expect("a directory for the archive");
    let (mut here, mut there) = (Node::start(), Node::start());
    let [port, other_port] = [&here, &there].map(|node| node.ports().driver.to_string());
    let mut command = Command::new(python());
    command.arg(script).args(["127.0.0.1", &port, &other_port]).arg(directory.path());
    let printed = run(&mut command);
    assert!(printed.ends_with("tools done\n"), "{printed}");
    assert!(here.is_running() && there.is_running(), "{}\n{}", here.log(), there.log());
}

//! The official drivers over TLS: whom they believe they enter, and nobody else.

use std::path::{Path, PathBuf};
use std::process::Command;

use photondb_test_cluster::Node;
use photondb_test_cluster::certificates::Authority;
use photondb_test_drivers::{javascript, python, run};

fn tour(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tours").join(name)
}

/// A node whose driver port speaks TLS alone.
fn node(authority: &Authority, flags: &[&str]) -> Node {
    let tls = authority.issue("node").flags("driver");
    let flags: Vec<&str> = flags.iter().copied().chain(tls.iter().map(String::as_str)).collect();
    let mut node = Node::stopped(&flags);
    node.launch();
    node
}

/// The tour over TLS, and the start of one by somebody who believes another authority.
fn visit(command: impl Fn() -> Command, flags: &[&str]) {
    let authority = Authority::new("nodes");
    let mut node = node(&authority, flags);
    let port = node.ports().driver.to_string();
    let arguments =
        |authority: &Authority| ["127.0.0.1".into(), port.clone().into(), authority.file().into_os_string()];
    let printed = run(command().args(arguments(&authority)));
    assert!(printed.ends_with("tour done\n"), "{printed}");
    let refused = command().args(arguments(&Authority::new("others"))).output().expect("the tour starts");
    assert!(!refused.status.success(), "the tour believes anybody");
    assert!(node.is_running(), "{}", node.log());
}

#[test]
fn python_synchronous_and_asynchronous() {
    let (python, tour) = (python(), tour("tour.py"));
    let command = || {
        let mut command = Command::new(&python);
        command.arg(&tour);
        command
    };
    visit(command, &["--allow-http", "--allow-http-to", "127.0.0.1"]);
}

#[test]
fn javascript_from_npm() {
    let (modules, tour) = (javascript().join("node_modules"), tour("tour.js"));
    let command = || {
        let mut command = Command::new("node");
        command.arg(&tour).env("NODE_PATH", &modules);
        command
    };
    visit(command, &[]);
}

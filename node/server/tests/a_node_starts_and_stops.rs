//! A node in this process: its HTTP port, its directory's lock, its ports, and that it comes back as the same node.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use photondb::config::{Config, Given};
use photondb::node::{Node, StartError};
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::verify;

#[path = "support/scripted.rs"]
mod scripted;

use scripted::{Counts, Scripted};

fn config(directory: Option<&Path>, more: &[(&str, &str)]) -> Config {
    let mut given = Given::default();
    match directory {
        Some(directory) => given.add("directory", directory.to_str().unwrap()).unwrap(),
        None => given.add("memory", "true").unwrap(),
    }
    for (name, value) in [("driver-port", "0"), ("http-port", "0"), ("cores", "1"), ("server-name", "tested")] {
        if !more.iter().any(|(other, _)| *other == name) {
            given.add(name, value).unwrap();
        }
    }
    for (name, value) in more {
        given.add(name, *value).unwrap();
    }
    Config::resolve(&given).unwrap()
}

fn start(config: Config) -> Result<Node, StartError> {
    Node::start_with(config, |_, _, _| {
        let counts = Arc::new(Counts::default());
        Ok(move || Scripted(counts.clone()))
    })
}

/// Status line's code, and body.
fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn the_http_port_tells_about_the_node() {
    let node = start(config(None, &[])).unwrap();
    let port = node.ports().http.unwrap();
    assert_eq!(get(port, "/health/live").0, 200);
    assert_eq!(get(port, "/health/ready"), (200, "{\"status\":\"ready\"}\n".to_owned()));
    let (code, health) = get(port, "/health");
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!((code, &health["name"]), (200, &"tested".into()));
    assert_eq!(health["reql_port"], node.ports().driver);
    let (code, index) = get(port, "/");
    assert_eq!(code, 200);
    assert!(index.contains("/_metrics"), "{index}");
    let (code, metrics) = get(port, "/_metrics");
    assert_eq!(code, 200);
    assert!(metrics.contains("photondb_ready 1"), "{metrics}");
    assert!(metrics.contains("# TYPE photondb_client_connections gauge"), "{metrics}");
    assert_eq!(get(port, "/nothing/here").0, 404);
    node.stop().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_node_that_is_stopped_or_dropped_comes_back_as_itself() {
    let directory = tempfile::tempdir().unwrap();
    let id = |node: &Node| photondb::http::Health::describe(&**node.status())["id"].clone();
    let node = start(config(Some(directory.path()), &[])).unwrap();
    let first = id(&node);
    node.stop().unwrap();
    let report = verify::check(Arc::new(SystemDisk::open(directory.path()).unwrap()), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    let node = start(config(Some(directory.path()), &[])).unwrap();
    assert_eq!(id(&node), first);
    drop(node);
    let node = start(config(Some(directory.path()), &[])).unwrap();
    assert_eq!(id(&node), first);
    node.stop().unwrap();
}

#[test]
fn a_directory_serves_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(config(Some(directory.path()), &[])).unwrap();
    let refused = start(config(Some(directory.path()), &[])).err().unwrap().to_string();
    assert!(refused.contains(directory.path().to_str().unwrap()), "{refused}");
    assert!(refused.contains("in use by another process"), "{refused}");
    node.stop().unwrap();
}

#[test]
fn a_taken_port_is_refused_before_anything_is_touched() {
    let node = start(config(None, &[])).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (option, port) in [("driver-port", node.ports().driver), ("http-port", node.ports().http.unwrap())] {
        let data = directory.path().join("data");
        let refused = start(config(Some(&data), &[(option, &port.to_string())])).err().unwrap().to_string();
        assert!(refused.contains(&port.to_string()) && refused.contains(&format!("--{option}")), "{refused}");
        assert!(!data.exists());
    }
    node.stop().unwrap();
}

#[test]
fn a_directory_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = start(config(Some(file.path()), &[])).err().unwrap().to_string();
    assert!(refused.contains(file.path().to_str().unwrap()), "{refused}");
}

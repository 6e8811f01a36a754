//! Clusters of several processes, which know each other by a secret.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::connection::Connection;
use crate::node::Node;
use crate::terms::table;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the secret of a cluster.
pub struct Secret {
    folder: TempDir,
}

impl Secret {
    /// The file `secret` with this text.
    pub fn new(text: &str) -> Secret {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("secret"), text).expect("a file of the folder can be written");
        Secret { folder }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A node with it that joins `contacts`; it founds a cluster when there are none.
    pub fn node(&self, contacts: &[&Node]) -> Node {
        let ports: Vec<u16> = contacts.iter().map(|node| node.ports().cluster).collect();
        self.node_at(0, &ports)
    }

    /// A node with it on this cluster port that joins whoever listens on those.
    pub fn node_at(&self, port: u16, contacts: &[u16]) -> Node {
        let port = format!("--cluster-port={port}");
        let secret = format!("--cluster-secret-file={}", self.path().display());
        let joins: Vec<_> = contacts.iter().map(|contact| format!("--join=127.0.0.1:{contact}")).collect();
        let flags: Vec<&str> =
            [port.as_str(), secret.as_str()].into_iter().chain(joins.iter().map(String::as_str)).collect();
        Node::stopped(&flags)
    }
}

/// Three nodes that run.
pub fn three(secret: &Secret) -> [Node; 3] {
    let mut first = secret.node(&[]);
    first.restart();
    let mut second = secret.node(&[&first]);
    second.restart();
    let mut third = secret.node(&[&first, &second]);
    third.restart();
    [first, second, third]
}

/// Makes a table with a replica on each node, and waits until it can be used.
pub fn make_table(connection: &mut Connection) {
    let begun = Instant::now();
    loop {
        // Right after a node has come the planner may not know it yet.
        let made =
            connection.run(r#"[1,[60,[[14,["test"]],"t"],{"replicas":3,"shards":2}]]"#).expect("the node answers");
        if made["t"] == 1 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{made}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let ready = connection.value(&format!("[177,[{}]]", table("t")));
    assert_eq!(ready["ready"], 1, "{ready}");
}

//! `photondb demo` gives three nodes with documents on all of them, and leaves nothing behind, however it ends.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use photondb_test_cluster::{Connection, program};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

/// A demonstration that runs, with its files in a folder of its own.
struct Demo {
    process: Child,
    folder: tempfile::TempDir,
    offset: u16,
}

impl Demo {
    fn start(more: &[&str]) -> Demo {
        let (folder, offset) = (tempfile::tempdir().unwrap(), free_offset());
        let process = Demo::spawn(folder.path(), offset, more);
        let demo = Demo { process, folder, offset };
        demo.await_ready();
        demo
    }

    fn spawn(folder: &Path, offset: u16, more: &[&str]) -> Child {
        Command::new(program())
            .args(["demo", "--port-offset", &offset.to_string()])
            .args(more)
            .env("TMPDIR", folder)
            // Meant for a node, not for three.
            .env("PHOTONDB_SERVER_NAME", "somebody")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("printed")).unwrap())
            .stderr(File::create(folder.join("errors")).unwrap())
            .spawn()
            .unwrap()
    }

    fn printed(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        read("printed") + &read("errors")
    }

    fn await_ready(&self) {
        let ready = || {
            let printed = self.printed();
            assert!(!printed.contains("photondb: "), "{printed}");
            printed.contains("Demo ready")
        };
        until(ready, || self.printed());
    }

    fn connect(&self, node: u16) -> Connection {
        Connection::try_open(28015 + self.offset + 10 * node).unwrap()
    }

    /// Whether nobody listens where the nodes did.
    fn is_gone(&self) -> bool {
        ports(self.offset).iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    }

    /// Directories of demonstrations that are there.
    fn directories(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("photondb-demo-"))
            .count()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(mut holds: impl FnMut() -> bool, explain: impl Fn() -> String) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{}", explain());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn ports(offset: u16) -> Vec<u16> {
    [28015, 29015, 8080].iter().flat_map(|port| (0..3).map(move |node| port + offset + 10 * node)).collect()
}

/// By which all ports are free now. No two of this process are the same.
fn free_offset() -> u16 {
    static DRAWN: AtomicU16 = AtomicU16::new(0);
    let drawn = (std::process::id() as u16).wrapping_add(DRAWN.fetch_add(1, Ordering::Relaxed).wrapping_mul(211));
    let free = |offset: &u16| ports(*offset).iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    (0..100).map(|turn| (drawn.wrapping_mul(31).wrapping_add(turn * 61)) % 20_000 + 1_000).find(free).unwrap()
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

fn table(name: &str) -> String {
    format!(r#"[15,[[14,["demo"]],"{name}"]]"#)
}

#[test]
fn three_nodes_serve_samples_and_end_with_the_program() {
    let mut demo = Demo::start(&[]);
    for node in 0..3 {
        let mut connection = demo.connect(node);
        for (name, documents) in [("cities", 6), ("people", 4), ("visits", 8)] {
            assert_eq!(connection.value(&format!("[43,[{}]]", table(name))), documents, "{name} at {node}");
        }
        let config = connection.value(&format!("[174,[{}]]", table("cities")));
        assert_eq!(config["shards"][0]["replicas"].as_array().unwrap().len(), 3, "{config}");
        // The first example: an ordered read by an index.
        let largest =
            connection.rows(&format!(r#"[71,[[41,[{}],{{"index":[74,["population"]]}}],1]]"#, table("cities")));
        assert_eq!(largest[0]["name"], "Nairobi", "{largest:?}");
    }
    let servers = demo.connect(1).rows(r#"[15,[[14,["rethinkdb"]],"server_status"]]"#);
    let names: Vec<&str> = servers.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
    assert!(names.iter().all(|name| name.starts_with("node-")), "{names:?}");
    let port = (28015 + demo.offset).to_string();
    for shown in [port.as_str(), "r.db(\"demo\")"] {
        assert!(demo.printed().contains(shown), "{}", demo.printed());
    }
    assert_eq!(demo.directories(), 1);

    // One dies; the others go on.
    let victim = servers.iter().find(|row| row["name"] == "node-3").unwrap()["process"]["pid"].as_u64().unwrap();
    signal("KILL", victim as u32);
    until(|| demo.printed().contains("node-3 has ended"), || demo.printed());
    until(
        || demo.connect(0).run(&format!(r#"[1,[56,[{},{{"id":"eva"}}]]]"#, table("people"))).unwrap()["t"] == 1,
        || demo.printed(),
    );
    signal("INT", demo.process.id());
    let status = demo.process.wait().unwrap();
    assert!(status.success(), "{status}: {}", demo.printed());
    assert!(demo.is_gone(), "{}", demo.printed());
    assert_eq!(demo.directories(), 0);
}

#[test]
fn nodes_end_with_a_parent_that_is_killed_and_kept_data_are_used_again() {
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("kept");
    let mut demo = Demo::start(&["--keep", kept.to_str().unwrap()]);
    let insert = format!(r#"[56,[{},{{"id":"eva"}}]]"#, table("people"));
    assert_eq!(demo.connect(2).value(&insert)["inserted"], 1);
    demo.process.kill().unwrap();
    demo.process.wait().unwrap();
    until(|| demo.is_gone(), || "nodes are left".to_owned());
    assert_eq!(demo.directories(), 0, "the data are elsewhere");

    demo.process = Demo::spawn(demo.folder.path(), demo.offset, &["--keep", kept.to_str().unwrap()]);
    demo.await_ready();
    let people = demo.connect(0).rows(&table("people"));
    assert_eq!(people.len(), 5, "{people:?}");
    assert!(people.iter().any(|person: &Value| person["id"] == "eva"), "{people:?}");
    signal("TERM", demo.process.id());
    assert!(demo.process.wait().unwrap().success(), "{}", demo.printed());
    assert!(kept.join("node-1").exists());
}

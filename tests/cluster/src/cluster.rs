//! A cluster whose nodes reach each other through a [`Network`] that can be made bad.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::connection::Connection;
use crate::network::Network;
use crate::node::{Node, photonctl, text};
use crate::ports::free_port;
use crate::secret::{PATIENCE, Secret};
use crate::small_disk::SmallDisk;
use crate::terms::table;

/// Nodes by their number, which is also in their names: `n0`, `n1`, ... Their ports stay the same.
pub struct Cluster {
    pub network: Network,
    nodes: Vec<Node>,
    drivers: Vec<u16>,
    /// Its file is read at every start.
    _secret: Secret,
}

impl Cluster {
    /// So many nodes that run.
    pub fn start(nodes: usize, seed: u64) -> Cluster {
        Cluster::start_with(nodes, &[], seed)
    }

    /// So many nodes that run, each with these flags too.
    pub fn start_with(nodes: usize, flags: &[&str], seed: u64) -> Cluster {
        let mut cluster = Cluster::stopped_with(nodes, flags, seed);
        cluster.join(&(0..nodes).collect::<Vec<_>>());
        cluster
    }

    /// Room for so many nodes, of which none was started yet.
    pub fn stopped(nodes: usize, seed: u64) -> Cluster {
        Cluster::stopped_with(nodes, &[], seed)
    }

    fn stopped_with(nodes: usize, more: &[&str], seed: u64) -> Cluster {
        let ports: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        let drivers: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let network = Network::new(&ports, seed);
        let stopped = |number: usize| {
            let mut flags = vec![
                format!("--server-name=n{number}"),
                format!("--cluster-port={}", ports[number]),
                format!("--driver-port={}", drivers[number]),
                format!("--canonical-address=127.0.0.1:{}", network.port(number)),
                format!("--cluster-secret-file={}", secret.path().display()),
            ];
            // The first founds the cluster.
            let contacts = if number == 0 { 0..0 } else { 0..nodes };
            let others = contacts.filter(|other| *other != number);
            flags.extend(others.map(|other| format!("--join=127.0.0.1:{}", network.port(other))));
            flags.extend(more.iter().map(|&flag| flag.to_owned()));
            Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let nodes = (0..nodes).map(stopped).collect();
        Cluster { network, nodes, drivers, _secret: secret }
    }

    /// Node `number` has its data on this disk from its first start on.
    pub fn put_on(&mut self, number: usize, disk: &SmallDisk) {
        let node = std::mem::replace(&mut self.nodes[number], Node::stopped(&[]));
        self.nodes[number] = node.on(disk);
    }

    /// Starts these nodes for the first time, and waits until the others know them.
    pub fn join(&mut self, numbers: &[usize]) {
        for (at, number) in numbers.iter().enumerate() {
            self.begin(*number);
            if at == 0 {
                self.await_answer(*number);
            }
        }
        for number in numbers {
            self.await_answer(*number);
        }
        self.await_health(numbers[0]);
    }

    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// The driver port of each node.
    pub fn drivers(&self) -> &[u16] {
        &self.drivers
    }

    /// A new connection to a node.
    pub fn connect(&self, number: usize) -> Connection {
        self.nodes[number].connect()
    }

    /// Ends a node as a power switch would.
    pub fn kill(&mut self, number: usize) {
        self.nodes[number].kill();
    }

    /// Starts a node again and waits for nothing.
    pub fn begin(&mut self, number: usize) {
        self.nodes[number].begin();
        self.network.is_process(number, self.nodes[number].process_id());
    }

    /// Waits until a node that has begun answers.
    pub fn await_answer(&mut self, number: usize) {
        self.nodes[number].await_answer();
    }

    /// Starts nodes again, all at once, and waits until they answer.
    pub fn restart(&mut self, numbers: &[usize]) {
        for number in numbers {
            self.begin(*number);
        }
        for number in numbers {
            self.await_answer(*number);
        }
    }

    /// `photonctl`, asked of a node.
    pub fn ask(&self, number: usize, arguments: &[&str]) -> Output {
        let address = format!("127.0.0.1:{}", self.nodes[number].ports().cluster);
        photonctl(&[&["--address", &address, "--timeout", "30"], arguments].concat())
    }

    /// Waits until a node says that all is well.
    pub fn await_health(&self, number: usize) {
        let begun = Instant::now();
        loop {
            let said = self.ask(number, &["cluster", "health"]);
            if said.status.success() {
                return;
            }
            let patient = begun.elapsed() < PATIENCE;
            assert!(patient, "the cluster is not healthy: {}\n{}", text(&said), self.nodes[number].log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes a table, asked of a node, and waits until it can be used.
    pub fn make_table(&self, number: usize, name: &str, shards: u64, replicas: u64) {
        let mut connection = self.connect(number);
        let options = format!(r#"{{"shards":{shards},"replicas":{replicas}}}"#);
        let made =
            connection.run(&format!(r#"[1,[60,[[14,["test"]],"{name}"],{options}]]"#)).expect("the node answers");
        assert_eq!(made["t"], 1, "{made}");
        let ready = connection.value(&format!("[177,[{}]]", table(name)));
        assert_eq!(ready["ready"], 1, "{ready}");
    }

    /// The nodes that lead the shards of a table, as a node knows them.
    pub fn leaders(&self, number: usize, name: &str) -> Vec<usize> {
        let begun = Instant::now();
        loop {
            let status = self.connect(number).value(&format!("[175,[{}]]", table(name)));
            let shards = status["shards"].as_array().cloned().unwrap_or_default();
            let leader = |shard: &Value| shard["primary_replicas"][0].as_str()?.strip_prefix('n')?.parse().ok();
            let leaders: Vec<usize> = shards.iter().filter_map(leader).collect();
            if !leaders.is_empty() && leaders.len() == shards.len() {
                return leaders;
            }
            assert!(begun.elapsed() < PATIENCE, "`{name}` has shards without a leader: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Panics unless each of these nodes runs, answers, and nothing panicked in it; ends them, and checks their directories.
    pub fn assert_whole(&mut self, numbers: &[usize]) {
        for number in numbers {
            self.nodes[*number].assert_well();
        }
        for number in numbers {
            self.nodes[*number].signal("TERM");
        }
        for number in numbers {
            let ended = self.nodes[*number].wait();
            assert_eq!(ended.code(), Some(0), "{}", self.nodes[*number].log());
            self.nodes[*number].check();
        }
    }

    /// What the nodes have printed last, for the message of a test that fails.
    pub fn logs(&self) -> String {
        let last = |(number, node): (usize, &Node)| {
            let log = node.log();
            let from = log.lines().count().saturating_sub(40);
            format!("--- n{number}\n{}\n", log.lines().skip(from).collect::<Vec<_>>().join("\n"))
        };
        self.nodes.iter().enumerate().map(last).collect()
    }
}

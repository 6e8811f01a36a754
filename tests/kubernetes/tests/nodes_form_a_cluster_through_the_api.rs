//! Real processes that know each other from the Kubernetes API alone: they wait while it does not help, say why, and become one
//! cluster when it does.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use photondb_test_cluster::certificates::Authority;
use photondb_test_cluster::secret::{PATIENCE, Secret, make_table};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, free_port, photonctl, program, text};
use photondb_test_kubernetes::{Api, Slice, pod};

const CLUSTER: &str = "c1c1c1c1-0000-4000-8000-000000000007";

/// Pods of a service: processes with ports of their own, where pods have addresses.
struct Pods {
    api: Api,
    secret: Secret,
    ports: Vec<u16>,
}

impl Pods {
    fn new(count: usize) -> Pods {
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        Pods { api: Api::start(), secret, ports: (0..count).map(|_| free_port()).collect() }
    }

    /// A pod that was not started yet, with an empty volume.
    fn stopped(&self, number: usize) -> Node {
        self.stopped_with(number, Vec::new())
    }

    fn stopped_with(&self, number: usize, mut flags: Vec<String>) -> Node {
        flags.extend([
            format!("--server-name=db-{number}"),
            format!("--cluster-port={}", self.ports[number]),
            format!("--cluster-secret-file={}", self.secret.path().display()),
            "--join=kubernetes+db".to_owned(),
            "--join-at-least=3".to_owned(),
            format!("--kubernetes-account={}", self.api.account().display()),
        ]);
        let node = Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
            .iter()
            .fold(node, |node, name| node.with_variable(name, &self.api.variable(name).unwrap()))
    }

    /// The API names these pods, none of them ready.
    fn are_named(&self, numbers: &[usize]) {
        let slice = |number: &usize| {
            let endpoints = vec![pod(&format!("db-{number}"), "127.0.0.1", false)];
            Slice { port: Some(self.ports[*number]), ..Slice::of(endpoints) }
        };
        self.api.lists(numbers.iter().map(slice).collect());
    }

    /// Tells the first pod to found the cluster.
    fn init(&self, timeout: &str) -> Output {
        let address = format!("127.0.0.1:{}", self.ports[0]);
        let arguments = ["--address", &address, "--timeout", timeout, "cluster", "init", "--cluster-id", CLUSTER];
        photonctl(&arguments)
    }
}

fn await_words(node: &Node, words: &str) {
    let begun = Instant::now();
    while !node.log().contains(words) {
        assert!(begun.elapsed() < PATIENCE, "no `{words}`:\n{}", node.log());
        thread::sleep(Duration::from_millis(50));
    }
}

/// How often the log has these words.
fn times(node: &Node, words: &str) -> usize {
    node.log().matches(words).count()
}

#[test]
fn three_pods_become_one_cluster_and_a_first_one_that_lost_its_volume_founds_no_second() {
    let pods = Pods::new(3);
    let mut nodes: Vec<Node> = (0..3).map(|number| pods.stopped(number)).collect();

    // No right to ask: told once, however often it is asked.
    pods.api.permits(false);
    nodes[0].begin();
    let forbidden =
        "cannot look for nodes at kubernetes+db: the service account of this pod may not list endpointslices";
    await_words(&nodes[0], forbidden);
    let (begun, mut asked) = (Instant::now(), 0);
    while asked < 4 {
        asked += pods.api.asked().len();
        assert!(begun.elapsed() < PATIENCE, "it goes on asking: {asked}");
        thread::sleep(Duration::from_millis(100));
    }
    // On a busy machine an answer may be late once, which is another reason.
    let others = times(&nodes[0], "cannot look for nodes at kubernetes+db: the Kubernetes API");
    assert!(times(&nodes[0], forbidden) <= 1 + others, "{}", nodes[0].log());

    // Named alone, as the first pod of three that starts: it founds nothing.
    pods.are_named(&[0]);
    pods.api.permits(true);
    await_words(&nodes[0], "nodes can be looked for at kubernetes+db again");
    let early = pods.init("5");
    assert_eq!(early.status.code(), Some(5), "{}", text(&early));
    await_words(&nodes[0], "1 of 3 nodes are named (join-at-least)");

    for node in &mut nodes[1..] {
        node.begin();
    }
    pods.are_named(&[0, 1, 2]);
    let said = pods.init("60");
    assert!(said.status.success(), "{}\n{}", text(&said), nodes[0].log());
    for node in &mut nodes {
        node.await_answer();
    }
    make_table(&mut nodes[1].connect());
    let stored = nodes[2].connect().value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    assert_eq!(stored["inserted"], 1);
    // Until all three vote: the cluster must survive the loss of the first.
    thread::sleep(Duration::from_secs(10));

    for node in &mut nodes {
        node.terminate();
    }
    nodes[0] = pods.stopped(0);
    pods.are_named(&[0]);
    nodes[0].begin();
    await_words(&nodes[0], "this node waits until");
    let again = pods.init("5");
    assert_eq!(again.status.code(), Some(5), "{}\n{}", text(&again), nodes[0].log());
    for node in &mut nodes[1..] {
        node.begin();
    }
    pods.are_named(&[0, 1, 2]);
    for node in &mut nodes {
        node.await_answer();
        assert_eq!(node.connect().value(&count(&table("t"))), 1, "{}", node.log());
    }
}

#[test]
fn with_certificates_a_pod_is_called_by_the_name_that_they_have() {
    let pods = Pods::new(2);
    pods.are_named(&[0, 1]);
    let authority = Authority::new("nodes");
    let mut node = pods.stopped_with(0, authority.flags("cluster", &authority.issue("db-0")));
    node.begin();
    // Nobody has given these names to DNS, which the node says of each.
    for (number, port) in pods.ports.iter().enumerate() {
        await_words(&node, &format!("db-{number}.db.data.svc:{port}: "));
    }
    node.terminate();
}

#[test]
fn outside_of_a_pod_the_start_says_so_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let data = folder.path().join("data");
    let output = Command::new(program())
        .args(["serve", "--cluster-port=0", "--driver-port=0", "--http-port=0", "--join=kubernetes+db"])
        .arg(format!("--directory={}", data.display()))
        .arg(format!("--cluster-secret-file={}", secret.path().display()))
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBERNETES_SERVICE_PORT")
        .output()
        .unwrap();
    assert!(!output.status.success() && !data.exists());
    let said = text(&output);
    for words in ["the environment has no KUBERNETES_SERVICE_HOST", "does not run in a pod", "`--join HOST:PORT`"] {
        assert!(said.contains(words), "{said}");
    }
}

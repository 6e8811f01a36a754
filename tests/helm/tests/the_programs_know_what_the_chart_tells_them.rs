//! Options in the templates are options of the programs; the chart's scripts do with real nodes what they should.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use photondb_test_cluster::{Node, free_port, photondb, program, text};
use photondb_test_helm::{documents, object, read, render};
use serde_json::Value;
use tempfile::NamedTempFile;

const CLUSTER: &str = "c1c1c1c1-0000-4000-8000-000000000001";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_option_of_the_nodes_is_one_of_photondb() {
    let help = text(&photondb(&["serve", "--help"]));
    let values = |name| read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("values").join(name));
    for values in [String::new(), values("everything.yaml"), values("tls.yaml"), values("kubernetes.yaml")] {
        let all = documents(&render(&values).unwrap());
        let pod = &object(&all, "StatefulSet", "photondb")["spec"]["template"]["spec"];
        let arguments = pod["containers"][0]["args"].as_array().unwrap();
        assert_eq!(arguments[0], "serve");
        for argument in &arguments[1..] {
            let option = argument.as_str().unwrap().split('=').next().unwrap();
            let known = help.lines().any(|line| line.split([' ', ',']).any(|word| word == option));
            assert!(known, "photondb serve has no {option}");
        }
    }
}

/// Nodes of a chart, on this machine: their names are addresses.
struct Nodes {
    secret: NamedTempFile,
    ports: Vec<u16>,
    nodes: Vec<Node>,
}

impl Nodes {
    /// None of them runs. As in the chart, each looks for the first three.
    fn new(count: usize) -> Nodes {
        let secret = NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "0123456789abcdef0123456789abcdef").unwrap();
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut nodes = Nodes { secret, ports, nodes: Vec::new() };
        nodes.nodes = (0..count).map(|number| nodes.stopped(number)).collect();
        nodes
    }

    fn stopped(&self, number: usize) -> Node {
        let mut flags = vec![format!("--cluster-port={}", self.ports[number]), format!("--server-name=db-{number}")];
        flags.push(format!("--cluster-secret-file={}", self.secret.path().display()));
        flags.extend(self.ports.iter().take(3).map(|port| format!("--join=127.0.0.1:{port}")));
        Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn names(&self, count: usize) -> String {
        self.ports[..count].iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(" ")
    }
}

/// The script of this object's only container, as the container would run it.
fn script(kind: &str, name: &str) -> Command {
    let all = documents(&render("").unwrap());
    let object = object(&all, kind, name);
    let pod = object.pointer("/spec/template/spec").unwrap_or(&object["spec"]);
    let command: Vec<&str> =
        pod["containers"][0]["command"].as_array().unwrap().iter().map(|part: &Value| part.as_str().unwrap()).collect();
    let programs = program().parent().unwrap().display().to_string();
    let mut script = Command::new("timeout");
    script.args([&PATIENCE.as_secs().to_string()]).args(command);
    script.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script
}

fn job(nodes: &str, cluster: &str, password: &str) -> Command {
    let mut job = script("Job", "photondb-init-");
    job.env("NODES", nodes).env("CLUSTER_ID", cluster).env("PHOTONCTL_PASSWORD", password);
    job
}

fn assert_done(output: &Output, says: &str) {
    assert!(output.status.success() && text(output).contains(says), "{}: {}", output.status, text(output));
}

#[test]
fn the_job_founds_the_cluster_once_whenever_it_runs() {
    let mut all = Nodes::new(4);
    let names = all.names(3);

    // Before any node is up.
    let early = job(&names, CLUSTER, "").spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    for number in [2, 1, 0] {
        all.nodes[number].begin();
    }
    assert_done(&early.wait_with_output().unwrap(), "is in the cluster");

    // Twice; with another id, as when somebody has made the secret anew; and after scaling.
    for node in &mut all.nodes[..3] {
        node.await_answer();
    }
    assert_done(&job(&names, CLUSTER, "").output().unwrap(), "is in a cluster");
    let other = "c1c1c1c1-0000-4000-8000-000000000002";
    assert_done(&job(&names, other, "").output().unwrap(), "is in a cluster");
    all.nodes[3].begin();
    let said = job(&all.names(4), CLUSTER, "").output().unwrap();
    assert_done(&said, &format!("127.0.0.1:{} is in the cluster", all.ports[3]));
    all.nodes[3].await_answer();

    // A password that is not the database's is said at once.
    let began = Instant::now();
    let refused = job(&names, CLUSTER, "wrong").output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(began.elapsed() < PATIENCE / 2 && text(&refused).contains("refuses"), "{}", text(&refused));

    // A query, the way clients come.
    let connect = format!("127.0.0.1:{}", all.nodes[1].ports().driver);
    for _ in 0..2 {
        let mut query = script("Pod", "photondb-test-query");
        assert_done(&query.env("CONNECT", &connect).env("PASSWORD", "").output().unwrap(), "a table was made");
    }
}

/// What an upgrade does when the first node's volume is gone and the others have not started yet.
#[test]
fn the_job_makes_no_second_cluster_of_a_node_that_lost_its_volume() {
    let mut all = Nodes::new(3);
    let names = all.names(3);
    for node in &mut all.nodes {
        node.begin();
    }
    assert_done(&job(&names, CLUSTER, "").output().unwrap(), "is in the cluster");
    for node in &mut all.nodes {
        node.await_answer();
    }
    let made = photondb(&["db", "create", "kept", "--connect", &format!("127.0.0.1:{}", all.nodes[0].ports().driver)]);
    assert!(made.status.success(), "{}", text(&made));
    // Until all three vote: the cluster must survive the loss of the first.
    std::thread::sleep(Duration::from_secs(10));
    for node in &mut all.nodes {
        node.terminate();
    }

    all.nodes[0] = all.stopped(0);
    all.nodes[0].begin();
    let told = job(&names, CLUSTER, "").spawn().unwrap();
    std::thread::sleep(Duration::from_secs(6));
    for node in &mut all.nodes[1..] {
        node.begin();
    }
    assert_done(&told.wait_with_output().unwrap(), "is in the cluster");
    for node in &mut all.nodes {
        node.await_answer();
        let connect = format!("127.0.0.1:{}", node.ports().driver);
        let listed = text(&photondb(&["db", "list", "--connect", &connect]));
        assert!(listed.lines().any(|database| database == "kept"), "{listed}");
    }
}

//! A node in this process, asked over its cluster port: what it says is true, and who may not ask gets nothing.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use photondb::config::{Config, Given};
use photondb::http::Health;
use photondb::node::Node;
use photondb_proto::convert::CONTROL_VERSION;
use photondb_proto::v1;
use photondb_proto::v1::control_client::ControlClient;
use tokio::runtime::Runtime;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

fn config(directory: Option<&Path>, more: &[(&str, &str)]) -> Config {
    let mut given = Given::default();
    match directory {
        Some(directory) => given.add("directory", directory.to_str().unwrap()).unwrap(),
        None => given.add("memory", "true").unwrap(),
    }
    for (name, value) in [("driver-port", "0"), ("http-port", "0"), ("cluster-port", "0"), ("cores", "1")] {
        if !more.iter().any(|(other, _)| *other == name) {
            given.add(name, value).unwrap();
        }
    }
    for (name, value) in more {
        given.add(name, *value).unwrap();
    }
    Config::resolve(&given).unwrap()
}

/// A node in memory whose `admin` has the password `secret`.
fn start() -> Node {
    Node::start(config(None, &[("initial-password", "secret"), ("server-name", "tested")])).unwrap()
}

/// Somebody with a connection.
struct Asker {
    runtime: Runtime,
    channel: Channel,
    login: Option<String>,
}

impl Asker {
    fn new(node: &Node, login: Option<&str>) -> Asker {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", node.ports().cluster)).unwrap();
        let channel = runtime.block_on(endpoint.timeout(Duration::from_secs(20)).connect()).unwrap();
        Asker { runtime, channel, login: login.map(|login| format!("Basic {}", STANDARD.encode(login))) }
    }

    fn sign(&self, metadata: &mut MetadataMap) {
        if let Some(login) = &self.login {
            metadata.insert("authorization", login.parse().unwrap());
        }
    }

    fn node_info(&self, version: u32) -> Result<v1::NodeInfoResponse, Status> {
        let mut request = Request::new(v1::NodeInfoRequest { version });
        self.sign(request.metadata_mut());
        let mut client = ControlClient::new(self.channel.clone());
        self.runtime.block_on(client.node_info(request)).map(tonic::Response::into_inner)
    }

    fn cluster_info(&self) -> v1::ClusterInfoResponse {
        let mut request = Request::new(v1::ClusterInfoRequest { version: CONTROL_VERSION });
        self.sign(request.metadata_mut());
        let mut client = ControlClient::new(self.channel.clone());
        self.runtime.block_on(client.cluster_info(request)).unwrap().into_inner()
    }

    /// Begins a query; gives its answers and the connection that they come over.
    fn query(&self, version: u32, message: &str) -> Result<tonic::Streaming<v1::QueryResponse>, Status> {
        let mut request = Request::new(v1::QueryRequest { version, message: message.as_bytes().to_vec() });
        self.sign(request.metadata_mut());
        let mut client = ControlClient::new(self.channel.clone());
        self.runtime.block_on(client.query(request)).map(tonic::Response::into_inner)
    }

    /// The next whole answer; `None` behind the last one.
    fn next(&self, answers: &mut tonic::Streaming<v1::QueryResponse>) -> Result<Option<serde_json::Value>, Status> {
        let mut body = Vec::new();
        while let Some(part) = self.runtime.block_on(answers.message())? {
            body.extend(part.part);
            if part.ends {
                return Ok(Some(serde_json::from_slice(&body).unwrap()));
            }
        }
        assert!(body.is_empty(), "an answer is cut");
        Ok(None)
    }

    /// Any message to any path, with metadata of its own.
    fn send(&self, path: &'static str, message: v1::Table, metadata: &[(&'static str, String)]) -> Result<(), Status> {
        let mut request = Request::new(message);
        self.sign(request.metadata_mut());
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let codec = tonic_prost::ProstCodec::<v1::Table, v1::NodeInfoResponse>::default();
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        let answered = self.runtime.block_on(async {
            client.ready().await.unwrap();
            client.unary(request, PathAndQuery::from_static(path), codec).await
        });
        answered.map(|_| ())
    }
}

/// A ReQL connection that speaks V0_4.
struct Driver {
    stream: TcpStream,
}

impl Driver {
    fn open(node: &Node, password: &str) -> Driver {
        let mut stream = TcpStream::connect(("127.0.0.1", node.ports().driver)).unwrap();
        let mut hello = 0x400c_2d20_u32.to_le_bytes().to_vec();
        hello.extend((password.len() as u32).to_le_bytes());
        hello.extend(password.as_bytes());
        hello.extend(0x7e69_70c7_u32.to_le_bytes());
        stream.write_all(&hello).unwrap();
        let mut welcome = [0; 8];
        stream.read_exact(&mut welcome).unwrap();
        assert_eq!(&welcome, b"SUCCESS\0");
        Driver { stream }
    }

    /// Runs a query that must succeed.
    fn run(&mut self, query: &str) -> serde_json::Value {
        let body = format!("[1,{query},{{}}]");
        let mut frame = 1_u64.to_le_bytes().to_vec();
        frame.extend((body.len() as u32).to_le_bytes());
        frame.extend(body.as_bytes());
        self.stream.write_all(&frame).unwrap();
        let mut header = [0; 12];
        self.stream.read_exact(&mut header).unwrap();
        let mut answer = vec![0; u32::from_le_bytes(header[8..].try_into().unwrap()) as usize];
        self.stream.read_exact(&mut answer).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["t"].as_u64().unwrap() < 16, "{query}: {answer}");
        answer
    }
}

#[test]
fn a_node_says_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for boots in 1..=2 {
        let node = Node::start(config(Some(directory.path()), &[("server-name", "tested")])).unwrap();
        let info = Asker::new(&node, Some("admin:")).node_info(CONTROL_VERSION).unwrap();
        assert_eq!(info.node_id, node.status().describe()["id"]);
        assert_eq!((info.name.as_str(), info.program_version.as_str()), ("tested", env!("CARGO_PKG_VERSION")));
        assert_eq!((info.version, info.boots), (CONTROL_VERSION, boots));
        assert!(info.ready && !info.in_memory);
        let (ports, bound) = (info.checked_ports().unwrap(), node.ports());
        assert_eq!((ports.driver, ports.cluster, ports.http), (bound.driver, bound.cluster, bound.http));
        assert!(info.log.unwrap().segments > 0);
        assert_eq!(info.raft_groups, 1);
        node.stop().unwrap();
    }
}

#[test]
fn a_cluster_says_what_it_holds() {
    let node = start();
    let mut driver = Driver::open(&node, "secret");
    let connected = Asker::new(&node, Some("admin:secret"));
    assert_eq!(connected.node_info(CONTROL_VERSION).unwrap().client_connections, 1);
    assert!(connected.cluster_info().tables.is_empty());

    driver.run(r#"[60,["heroes"]]"#);
    driver.run(r#"[56,[[15,["heroes"]],[2,[{"id":1},{"id":2},{"id":3}]]]]"#);
    let info = connected.cluster_info();
    let node_id = connected.node_info(CONTROL_VERSION).unwrap().node_id;
    assert_eq!(info.cluster_id, connected.node_info(CONTROL_VERSION).unwrap().cluster_id);
    assert_eq!(info.nodes.len(), 1);
    assert_eq!((info.nodes[0].node_id.as_str(), info.nodes[0].name.as_str()), (node_id.as_str(), "tested"));
    assert_eq!(info.nodes[0].addresses[0].port, u32::from(node.ports().cluster));
    assert_eq!(info.databases.iter().map(|database| database.name.as_str()).collect::<Vec<_>>(), ["test"]);

    let [table] = info.tables.as_slice() else { panic!("{:?}", info.tables) };
    assert_eq!((table.name.as_str(), table.primary_key.as_str()), ("heroes", "id"));
    assert_eq!(table.checked_database().unwrap(), info.databases[0].checked_id().unwrap());
    let [shard] = table.shards.as_slice() else { panic!("{:?}", table.shards) };
    assert_eq!(shard.checked_range().unwrap(), photondb_proto::KeyRange::all());
    let [member] = shard.members.as_slice() else { panic!("{:?}", shard.members) };
    assert!(member.checked_id().is_ok() && member.node_id == node_id);
    let state = member.state.unwrap();
    assert!(state.leading && state.applied > 0);
    assert_eq!(state.documents, Some(3));

    driver.run(r#"[54,[[15,["heroes"]]]]"#);
    let later = connected.cluster_info().tables[0].shards[0].members[0].state.unwrap();
    assert!(later.applied > state.applied);
    assert_eq!(later.documents, Some(0));
    node.stop().unwrap();
}

#[test]
fn who_may_not_ask_gets_nothing() {
    let node = start();
    Driver::open(&node, "secret").run(r#"[56,[[15,[[14,["rethinkdb"]],"users"]],{"id":"guest","password":"open"}]]"#);
    let cases = [
        (None, Code::Unauthenticated, "authorization"),
        (Some("admin:"), Code::Unauthenticated, "wrong user or password"),
        (Some("admin:Secret"), Code::Unauthenticated, "wrong user or password"),
        (Some("nobody:secret"), Code::Unauthenticated, "wrong user or password"),
        (Some("guest:wrong"), Code::Unauthenticated, "wrong user or password"),
        (Some("guest:open"), Code::PermissionDenied, "only the user `admin` may ask"),
    ];
    for (login, code, reason) in cases {
        let refused = Asker::new(&node, login).node_info(CONTROL_VERSION).unwrap_err();
        assert_eq!(refused.code(), code, "{login:?}: {refused}");
        assert!(refused.message().contains(reason), "{login:?}: {refused}");
    }
    assert!(Asker::new(&node, Some("admin:secret")).node_info(CONTROL_VERSION).is_ok());
    node.stop().unwrap();
}

#[test]
fn a_password_that_is_changed_counts_at_once() {
    let node = start();
    let asker = Asker::new(&node, Some("admin:secret"));
    assert!(asker.node_info(CONTROL_VERSION).is_ok());
    Driver::open(&node, "secret")
        .run(r#"[53,[[16,[[15,[[14,["rethinkdb"]],"users"]],"admin"]],{"password":"other"}]]"#);
    assert_eq!(asker.node_info(CONTROL_VERSION).unwrap_err().code(), Code::Unauthenticated);
    assert!(Asker::new(&node, Some("admin:other")).node_info(CONTROL_VERSION).is_ok());
    node.stop().unwrap();
}

#[test]
fn a_query_is_answered_as_on_a_connection_of_its_user() {
    let node = start();
    let mut driver = Driver::open(&node, "secret");
    driver.run(r#"[56,[[15,[[14,["rethinkdb"]],"users"]],{"id":"guest","password":"open"}]]"#);
    driver.run(r#"[60,["heroes"]]"#);
    let (admin, guest) = (Asker::new(&node, Some("admin:secret")), Asker::new(&node, Some("guest:open")));
    let run = |asker: &Asker, message: &str| {
        let mut answers = asker.query(CONTROL_VERSION, message).unwrap();
        let answer = asker.next(&mut answers).unwrap().unwrap();
        assert_eq!(asker.next(&mut answers).unwrap(), None);
        answer
    };
    assert_eq!(run(&admin, r#"[1,[43,[[15,["heroes"]]]],{}]"#)["r"][0], 0);
    let refused = run(&guest, r#"[1,[43,[[15,["heroes"]]]]]"#);
    assert_eq!((&refused["t"], &refused["e"]), (&18.into(), &6_000_000.into()));
    assert_eq!(run(&guest, "[1,[24,[1,2]]]")["r"][0], 3);
    for strange in ["", "[", "{}", "[2]", "[3]", "[9]", "[1]"] {
        assert!(run(&guest, strange)["t"].as_u64().unwrap() >= 16, "{strange}");
    }
    // A sequence comes in batches, and is asked for to its end.
    let mut answers = guest.query(CONTROL_VERSION, "[1,[173,[10000]]]").unwrap();
    let mut rows = 0;
    while let Some(answer) = guest.next(&mut answers).unwrap() {
        rows += answer["r"].as_array().unwrap().len();
    }
    assert_eq!(rows, 10_000);
    let code = |asker: &Asker, version| asker.query(version, "[1,1]").map(|_| ()).unwrap_err().code();
    assert_eq!(code(&Asker::new(&node, Some("guest:wrong")), CONTROL_VERSION), Code::Unauthenticated);
    assert_eq!(code(&Asker::new(&node, None), CONTROL_VERSION), Code::Unauthenticated);
    assert_eq!(code(&guest, CONTROL_VERSION + 1), Code::FailedPrecondition);
    node.stop().unwrap();
}

#[test]
fn a_node_that_stops_ends_feeds() {
    let node = start();
    Driver::open(&node, "secret").run(r#"[60,["heroes"]]"#);
    let admin = Asker::new(&node, Some("admin:secret"));
    let mut feed = admin.query(CONTROL_VERSION, r#"[1,[152,[[15,["heroes"]]]]]"#).unwrap();
    assert_eq!(admin.next(&mut feed).unwrap().unwrap()["t"], 3);
    let stopping = std::thread::spawn(move || node.stop());
    // Said by the node, or seen on the connection, whichever comes first.
    assert!(admin.next(&mut feed).is_err());
    stopping.join().unwrap().unwrap();
}

#[test]
fn other_versions_are_refused_by_number() {
    let node = start();
    let asker = Asker::new(&node, Some("admin:secret"));
    for version in [0, CONTROL_VERSION + 1] {
        let refused = asker.node_info(version).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains(&format!("version {version}")), "{refused}");
    }
    node.stop().unwrap();
}

#[test]
fn what_is_unknown_or_too_large_is_refused_and_harms_nobody() {
    let node = start();
    let asker = Asker::new(&node, Some("admin:secret"));
    let known = "/photondb.v1.Control/NodeInfo";
    let none = v1::Table::default();
    for unknown in ["/photondb.v1.Control/Forget", "/photondb.v2.Control/NodeInfo", "/x"] {
        assert_eq!(asker.send(unknown, none.clone(), &[]).unwrap_err().code(), Code::Unimplemented, "{unknown}");
    }
    let large = |bytes| v1::Table { name: "x".repeat(bytes), ..none.clone() };
    assert_eq!(asker.send(known, large(64 * 1024), &[]).unwrap_err().code(), Code::OutOfRange);
    // Small enough, and not of the right shape: the text stands where this message has nothing.
    assert_eq!(asker.send(known, large(60 * 1024), &[]).unwrap_err().code(), Code::FailedPrecondition);
    assert!(asker.send(known, none.clone(), &[("x-long", "x".repeat(32 * 1024))]).is_err());
    // Who is not logged in is refused before the size of what he sends is looked at.
    let stranger = Asker::new(&node, None);
    assert_eq!(stranger.send(known, large(64 * 1024), &[]).unwrap_err().code(), Code::Unauthenticated);

    for garbage in
        [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff"]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", node.ports().cluster)).unwrap();
        stream.write_all(garbage).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // It is closed, cleanly or not; the node goes on either way.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(asker.node_info(CONTROL_VERSION).is_ok());
    node.stop().unwrap();
}

#[test]
fn a_taken_cluster_port_is_refused_before_anything_is_touched() {
    let node = start();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let port = node.ports().cluster.to_string();
    let refused = Node::start(config(Some(&data), &[("cluster-port", &port)])).err().unwrap().to_string();
    assert!(refused.contains(&port) && refused.contains("--cluster-port"), "{refused}");
    assert!(!data.exists());
    let port = node.ports().cluster;
    node.stop().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

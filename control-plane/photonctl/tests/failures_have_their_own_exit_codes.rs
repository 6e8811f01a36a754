//! The program itself, against nobody, strangers, and a node that a test plays.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, Stream};
use photondb_proto::convert::{CONTROL_VERSION, Ports};
use photondb_proto::v1::control_server::{Control, ControlServer};
use photondb_proto::{NodeId, v1};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long a query takes that is longer than answers usually do.
const LATE: Duration = Duration::from_secs(11);

/// A node that knows `admin` with the password `open`, and does strange things for strange users.
struct Played;

impl Played {
    async fn receive<M>(request: &Request<M>) -> Result<u32, Status> {
        let login = request.metadata().get("authorization").ok_or_else(|| Status::unauthenticated("who?"))?;
        let login = login.to_str().unwrap().strip_prefix("Basic ").unwrap();
        match STANDARD.decode(login).unwrap().as_slice() {
            b"admin:open" => Ok(CONTROL_VERSION),
            b"later:" => Ok(CONTROL_VERSION + 1),
            b"guest:" => Err(Status::permission_denied("only the user `admin` may ask")),
            b"slow:" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(CONTROL_VERSION)
            }
            _ => Err(Status::unauthenticated("wrong user or password")),
        }
    }
}

#[tonic::async_trait]
impl Control for Played {
    async fn node_info(&self, request: Request<v1::NodeInfoRequest>) -> Result<Response<v1::NodeInfoResponse>, Status> {
        let version = Played::receive(&request).await?;
        assert!(request.metadata().get("grpc-timeout").is_some(), "a request has a deadline");
        Ok(Response::new(v1::NodeInfoResponse {
            version,
            node_id: NodeId(1).to_string(),
            name: "played".to_owned(),
            ports: Some(Ports { driver: 1, cluster: 2, http: Some(3) }.into()),
            log: Some(v1::LogMetrics::default()),
            storage: Some(v1::StorageMetrics::default()),
            ..v1::NodeInfoResponse::default()
        }))
    }

    async fn cluster_info(
        &self,
        request: Request<v1::ClusterInfoRequest>,
    ) -> Result<Response<v1::ClusterInfoResponse>, Status> {
        Played::receive(&request).await?;
        let node = v1::Node { node_id: "not an id".to_owned(), ..v1::Node::default() };
        Ok(Response::new(v1::ClusterInfoResponse {
            version: CONTROL_VERSION,
            nodes: vec![node],
            ..v1::ClusterInfoResponse::default()
        }))
    }

    async fn init_cluster(
        &self,
        request: Request<v1::InitClusterRequest>,
    ) -> Result<Response<v1::InitClusterResponse>, Status> {
        Played::receive(&request).await?;
        match request.get_ref().cluster_id.ends_with('7') {
            true => Ok(Response::new(v1::InitClusterResponse { version: CONTROL_VERSION })),
            false => Err(Status::failed_precondition("the node belongs to another cluster")),
        }
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let version = Played::receive(&request).await?;
        let node = |id: u128, liveness: v1::NodeLiveness| v1::NodeStatus {
            node: Some(v1::Node { node_id: NodeId(id).to_string(), name: format!("n{id}"), ..v1::Node::default() }),
            liveness: liveness.into(),
            service: v1::NodeService::Full.into(),
            replicas: 2,
            leading: (id == 1).then_some(1),
            to_hand_over: (id == 1).then_some(1),
            votes: true,
            leads_cluster: id == 1,
            ..v1::NodeStatus::default()
        };
        Ok(Response::new(v1::ListNodesResponse {
            version,
            nodes: vec![node(1, v1::NodeLiveness::Up), node(2, v1::NodeLiveness::Down)],
            asked: NodeId(1).to_string(),
            ..v1::ListNodesResponse::default()
        }))
    }

    async fn set_node_service(
        &self,
        request: Request<v1::SetNodeServiceRequest>,
    ) -> Result<Response<v1::SetNodeServiceResponse>, Status> {
        let version = Played::receive(&request).await?;
        let request = request.get_ref();
        match request.node.as_str() {
            "" | "n1" => Ok(Response::new(v1::SetNodeServiceResponse { version, node_id: NodeId(1).to_string() })),
            name => Err(Status::failed_precondition(format!("server `{name}` cannot leave"))),
        }
    }

    async fn list_shards(
        &self,
        request: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        let version = Played::receive(&request).await?;
        let member = v1::MemberStatus {
            member_id: 1,
            node_id: NodeId(1).to_string(),
            node: "n1".to_owned(),
            role: v1::MemberRole::Voter.into(),
            report: Some(v1::MemberReport { leads: true, ready: true, applied: 7 }),
        };
        let shard = v1::ShardStatus {
            shard_id: 1,
            range: Some((&photondb_proto::KeyRange::all()).into()),
            members: vec![member],
            ..v1::ShardStatus::default()
        };
        Ok(Response::new(v1::ListShardsResponse { version, shards: vec![shard] }))
    }

    async fn move_replica(
        &self,
        request: Request<v1::MoveReplicaRequest>,
    ) -> Result<Response<v1::MoveReplicaResponse>, Status> {
        let version = Played::receive(&request).await?;
        let [from_node_id, to_node_id] = [1, 2].map(|id| NodeId(id).to_string());
        Ok(Response::new(v1::MoveReplicaResponse { version, from_node_id, to_node_id }))
    }

    async fn set_shard_leader(
        &self,
        request: Request<v1::SetShardLeaderRequest>,
    ) -> Result<Response<v1::SetShardLeaderResponse>, Status> {
        let version = Played::receive(&request).await?;
        match request.get_ref().shard_id {
            1 => Ok(Response::new(v1::SetShardLeaderResponse { version, node_id: NodeId(2).to_string() })),
            id => Err(Status::not_found(format!("there is no shard {id}"))),
        }
    }

    async fn split_shard(
        &self,
        request: Request<v1::SplitShardRequest>,
    ) -> Result<Response<v1::SplitShardResponse>, Status> {
        let version = Played::receive(&request).await?;
        Ok(Response::new(v1::SplitShardResponse { version, new_shard_id: 1 }))
    }

    async fn merge_shard(
        &self,
        request: Request<v1::MergeShardRequest>,
    ) -> Result<Response<v1::MergeShardResponse>, Status> {
        let version = Played::receive(&request).await?;
        Err(Status::failed_precondition(format!("shard {} is the first one ({version})", request.get_ref().shard_id)))
    }

    type QueryStream = Pin<Box<dyn Stream<Item = Result<v1::QueryResponse, Status>> + Send>>;

    /// Answers by what stands in the query.
    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let version = Played::receive(&request).await?;
        let message = String::from_utf8(request.get_ref().message.clone()).unwrap();
        let part = |text: &str, ends: bool| Ok(v1::QueryResponse { version, part: text.as_bytes().to_vec(), ends });
        let whole = |text: &str| vec![part(text, true)];
        let parts = match message.as_str() {
            r#"[1,"rows",{}]"# => {
                vec![part(r#"{"t":3,"r":[{"a":"#, false), part(r#"1},2]}"#, true), part(r#"{"t":2,"r":[3]}"#, true)]
            }
            r#"[1,"value",{"db":[14,["d"]]}]"# => whole(r#"{"t":1,"r":["v"]}"#),
            r#"[1,"denied",{}]"# => whole(r#"{"t":18,"e":6000000,"r":["User `x` does not have it."],"b":[]}"#),
            r#"[1,"wrong",{}]"# => whole(r#"{"t":18,"e":4100000,"r":["Table `d.t` does not exist."],"b":[]}"#),
            r#"[1,"stops",{}]"# => {
                vec![part(r#"{"t":3,"r":[]}"#, true), Err(Status::unavailable("the node is stopping"))]
            }
            r#"[1,"cut",{}]"# => vec![part(r#"{"t":1,"#, false)],
            r#"[1,"strange",{}]"# => whole("{}"),
            r#"[1,"silent",{}]"# => return Ok(Response::new(Box::pin(stream::pending()))),
            r#"[1,"late",{}]"# => {
                let parts = stream::once(async move {
                    tokio::time::sleep(LATE).await;
                    Ok::<_, Status>(v1::QueryResponse {
                        version,
                        part: br#"{"t":1,"r":["late"]}"#.to_vec(),
                        ends: true,
                    })
                });
                return Ok(Response::new(Box::pin(parts)));
            }
            // `reconfigure` and `rebalance`, and `wait`, which of the table `ready` alone is done; `dropped` is gone by then.
            other if other.starts_with("[1,[176,") || other.starts_with("[1,[179,") => {
                whole(r#"{"t":1,"r":[{"reconfigured":1,"config_changes":[]}]}"#)
            }
            other if other.starts_with("[1,[177,") && other.contains("dropped\"]]") => {
                whole(r#"{"t":18,"e":4100000,"r":["Table `test.dropped` does not exist."],"b":[]}"#)
            }
            other if other.starts_with("[1,[177,") => match other.contains("ready\"]]") {
                true => whole(r#"{"t":1,"r":[{"ready":1}]}"#),
                false => return Ok(Response::new(Box::pin(stream::pending()))),
            },
            other => panic!("{other}"),
        };
        Ok(Response::new(Box::pin(stream::iter(parts))))
    }
}

/// Serves until the runtime is dropped.
fn play() -> (tokio::runtime::Runtime, SocketAddr) {
    play_at(([127, 0, 0, 1], 0).into())
}

/// The same at an address, which may be still in use for a moment.
fn play_at(wanted: SocketAddr) -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = runtime.block_on(async {
        let incoming = loop {
            match TcpIncoming::bind(wanted) {
                Ok(incoming) => break incoming,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let address = incoming.local_addr().unwrap();
        tokio::spawn(Server::builder().add_service(ControlServer::new(Played)).serve_with_incoming(incoming));
        address
    });
    (runtime, address)
}

fn photonctl(address: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_photonctl"))
        .env_clear()
        .args(["--address", address])
        .args(arguments)
        .output()
        .unwrap()
}

fn check(address: &str, arguments: &[&str], code: i32, expected: &str) {
    let output = photonctl(address, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(expected), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed something");
}

#[test]
fn an_answer_is_printed_and_ends_with_zero() {
    let (_runtime, address) = play();
    let output = photonctl(&address.to_string(), &["--password", "open", "node", "info"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("Name     played\n"));
}

#[test]
fn a_password_comes_from_the_environment() {
    let (_runtime, address) = play();
    let output = Command::new(env!("CARGO_BIN_EXE_photonctl"))
        .env_clear()
        .env("PHOTONCTL_PASSWORD", "open")
        .env("PHOTONCTL_ADDRESS", address.to_string())
        .args(["node", "info", "--output", "json"])
        .output()
        .unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["name"], &value["ports"]["http"]), (&"played".into(), &3.into()));
}

#[test]
fn a_cluster_is_founded_or_it_is_said_why_not() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let init = |id: &str| photonctl(&address, &["--password", "open", "cluster", "init", "--cluster-id", id]);
    let output = init("00000000-0000-4000-8000-000000000007");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(output.stdout, b"The node is in cluster 00000000-0000-4000-8000-000000000007\n");
    let arguments = ["--password", "open", "cluster", "init", "--cluster-id", "00000000-0000-4000-8000-000000000008"];
    check(&address, &arguments, 1, "the node belongs to another cluster");
    check(&address, &["cluster", "init", "--cluster-id", "seven"], 2, "seven");
    check(&address, &["cluster", "init"], 2, "--cluster-id");
}

#[test]
fn nobody_there_is_three() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let expected = format!("cannot reach {free}: connection refused; is photondb running there? (--address)");
    check(&free, &["node", "info"], 3, &expected);
    check("no-such-host.invalid", &["node", "info"], 3, "cannot reach no-such-host.invalid:29015: ");
}

#[test]
fn a_stranger_is_three() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let _ = stream.read_to_end(&mut rest);
    });
    check(&address, &["node", "info"], 3, "is this the cluster port of photondb?");
    stranger.join().unwrap();
}

#[test]
fn silence_is_five() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    check(&address, &["--timeout", "1", "node", "info"], 5, "within 1 s");
    let (_runtime, address) = play();
    check(&address.to_string(), &["--timeout", "1", "--user", "slow", "node", "info"], 5, "within 1 s");
}

#[test]
fn who_is_not_let_in_is_four() {
    let (_runtime, address) = play();
    let address = address.to_string();
    check(&address, &["node", "info"], 4, "refuses: wrong user or password (--user, --password)");
    check(&address, &["--password", "no", "table", "list"], 4, "wrong user or password");
    check(&address, &["--user", "guest", "cluster", "info"], 4, "only the user `admin` may ask (--user)");
}

#[test]
fn what_is_not_done_in_time_is_five_and_what_is_refused_is_one() {
    let (_runtime, address) = play();
    let (address, open) = (address.to_string(), ["--password", "open"]);
    let ask = |more: &[&'static str]| [&open[..], more].concat();
    check(&address, &ask(&["node", "drain", "--wait", "0"]), 5, "it still leads 1 groups that others could lead");
    check(&address, &ask(&["node", "undrain", "n7"]), 1, "server `n7` cannot leave");
    check(&address, &ask(&["node", "decommission", "n3"]), 1, "there is no server `n3`");
    check(&address, &ask(&["node", "decommission", "n1"]), 1, "ask another one");
    check(&address, &ask(&["node", "replace", "n2", "n1"]), 1, "cannot leave");
}

#[test]
fn a_cluster_that_is_not_well_is_six_and_says_why() {
    let (_runtime, address) = play();
    let output = photonctl(&address.to_string(), &["--password", "open", "cluster", "health", "-o", "json"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["healthy"], &value["problems"][0]), (&false.into(), &"server `n2` is down".into()));
}

#[test]
fn results_of_a_query_are_printed_as_they_come() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let run = |query: &str, more: &[&str]| {
        let output = photonctl(&address, &[&["--password", "open", "query", "run", query], more].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("'rows'", &["-o", "json"]), "{\"a\":1}\n2\n3\n");
    assert_eq!(run("'rows'", &[]), "{\n  \"a\": 1\n}\n2\n3\n");
    assert_eq!(run("'rows'", &["-o", "yaml"]), "---\na: 1\n---\n2\n---\n3\n");
    assert_eq!(run("'value'", &["--db", "d"]), "\"v\"\n");
}

#[test]
fn a_query_that_fails_says_so_in_the_words_of_the_database() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let run = |query: &'static str| ["--password", "open", "--timeout", "1", "query", "run", query];
    check(&address, &run("'denied'"), 4, "ReqlPermissionError: User `x` does not have it.");
    check(&address, &run("'wrong'"), 1, "photonctl: ReqlOpFailedError: Table `d.t` does not exist.");
    check(&address, &run("'stops'"), 3, "the node is stopping");
    check(&address, &run("'cut'"), 3, "the answer ends in the middle");
    check(&address, &run("'strange'"), 1, "cannot be right");
    check(&address, &run("'silent'"), 5, "within 1 s");
    check(&address, &["--user", "nobody", "query", "run", "'rows'"], 4, "wrong user or password");
}

#[test]
fn a_query_may_take_as_long_as_it_takes_unless_it_is_said_how_long() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let output = photonctl(&address, &["--password", "open", "query", "run", "'late'"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"\"late\"\n");
    check(&address, &["--password", "open", "--timeout", "1", "query", "run", "'late'"], 5, "within 1 s");
}

#[test]
fn a_change_of_a_table_is_waited_for_if_that_is_wanted() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let ask = |line: &str| {
        let arguments = ["--password", "open", "table"].into_iter().chain(line.split_whitespace());
        let output = photonctl(&address, &arguments.collect::<Vec<_>>());
        let [printed, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), printed, said)
    };
    for (line, begun, done) in [
        ("reconfigure NAME --shards 1 --replicas 1", "is being reconfigured", "has been reconfigured"),
        ("rebalance NAME", "is being rebalanced", "has been rebalanced"),
    ] {
        let (code, printed, _) = ask(&line.replace("NAME", "t"));
        assert!(code == Some(0) && printed.contains(begun), "{line}: {printed}");
        let (code, printed, _) = ask(&(line.replace("NAME", "ready") + " --wait 5"));
        assert!(code == Some(0) && printed.contains(done), "{line}: {printed}");
        let (code, printed, said) = ask(&(line.replace("NAME", "t") + " --wait 1"));
        assert!(code == Some(5) && printed.contains(begun), "what was chosen is printed: {line}: {printed}{said}");
        let expected =
            "table `test.t` is not ready within 1 s: its change goes on, and `photonctl table wait test.t` waits";
        assert!(said.contains(expected), "{line}: {said}");
        let (code, printed, said) = ask(&(line.replace("NAME", "dropped") + " --wait 5"));
        assert!(code == Some(1) && printed.contains(begun), "{line}: {printed}{said}");
        assert!(said.contains("does not exist.; the change of table `test.dropped` was accepted"), "{line}: {said}");
    }
}

#[test]
fn of_several_nodes_the_first_that_is_there_is_asked() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let both = format!("{nobody},{address}");
    let output = photonctl(&both, &["--password", "open", "node", "info"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let output = photonctl(&nobody, &["--address", &address, "--password", "open", "node", "info"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // Who is there and says no is not passed by.
    check(&format!("{nobody},{address},{nobody}"), &["node", "info"], 4, "wrong user or password");
    let expected = format!("none of the nodes can be asked: cannot reach {nobody}: connection refused");
    check(&format!("{nobody},{nobody}"), &["node", "info"], 3, &expected);
}

#[test]
fn queries_are_read_from_a_pipe() {
    let (_runtime, address) = play();
    let pipe = |arguments: &[&str], text: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_photonctl"))
            .env_clear()
            .args(["--address", &address.to_string(), "--password", "open", "-o", "json"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        program.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = program.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(pipe(&["query", "run", "-"], "'rows'"), (Some(0), "{\"a\":1}\n2\n3\n".to_owned(), String::new()));
    let (code, printed, said) = pipe(&["repl"], "// two\n'rows'\n'wrong'\n'rows'\n");
    assert_eq!((code, printed.as_str()), (Some(1), "{\"a\":1}\n2\n3\n"));
    assert!(said.contains("Table `d.t` does not exist."), "{said}");
}

#[test]
fn a_password_comes_from_a_file() {
    let (_runtime, address) = play();
    let file = std::env::temp_dir().join(format!("photonctl-password-{}", std::process::id()));
    std::fs::write(&file, "open\n").unwrap();
    let output = photonctl(&address.to_string(), &["--password-file", file.to_str().unwrap(), "node", "info"]);
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{output:?}");
    check(&address.to_string(), &["--password-file", file.to_str().unwrap(), "node", "info"], 1, "cannot be read");
}

#[test]
fn a_watched_answer_comes_again_until_nobody_reads() {
    let (_runtime, address) = play();
    let mut program = Command::new(env!("CARGO_BIN_EXE_photonctl"))
        .env_clear()
        .args(["--address", &address.to_string(), "--password", "open", "cluster", "health", "--watch=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let answers = std::iter::from_fn(|| lines.next()).filter(|line| line.as_ref().unwrap().starts_with("Health"));
    assert_eq!(answers.take(2).count(), 2);
    drop(lines);
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_is_watched_may_be_away_for_a_while() {
    let (runtime, address) = play();
    let watch = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_photonctl"))
            .env_clear()
            .args(["--address", &address.to_string(), "cluster", "health", "--watch=1"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // A wrong password is wrong at the next attempt, too.
    let output = watch(&[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");

    let mut program = watch(&["--password", "open"]);
    let mut answers = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut failures = BufReader::new(program.stderr.take().unwrap()).lines();
    assert!(answers.next().unwrap().unwrap().starts_with("Cluster"));
    drop(runtime);
    for _ in 0..2 {
        let said = failures.next().unwrap().unwrap();
        assert!(said.starts_with("photonctl: ") && said.contains(&address.to_string()), "{said}");
    }
    let _runtime = play_at(address);
    // What was printed before the node went, and then what it says again.
    let healthy = answers.map(Result::unwrap).filter(|line| line.starts_with("Health"));
    assert_eq!(healthy.take(3).count(), 3);
    drop(failures);
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_shard_is_waited_for() {
    let (_runtime, address) = play();
    let address = address.to_string();
    let ask = |more: &[&'static str]| [&["--password", "open", "shard"], more].concat();
    check(&address, &ask(&["transfer-leader", "1", "n2", "--wait", "0"]), 5, "server `n1` still leads shard 1");
    check(&address, &ask(&["transfer-leader", "2", "n2"]), 1, "there is no shard 2");
    check(&address, &ask(&["move", "1", "n1", "n2", "--wait", "0"]), 5, "the new replica has not begun yet");
    check(&address, &ask(&["move", "2", "n1", "n2"]), 1, "shard 2 is gone");
    check(&address, &ask(&["merge", "1"]), 1, "shard 1 is the first one");
}

#[test]
fn an_answer_that_cannot_be_right_is_one() {
    let (_runtime, address) = play();
    let address = address.to_string();
    check(&address, &["--user", "later", "node", "info"], 1, "messages of version 2");
    check(&address, &["--password", "open", "cluster", "info"], 1, "`node_id`: `not an id` is not a UUID");
}

#[test]
fn wrong_usage_is_two() {
    check("h:1", &["node"], 2, "Usage");
    check("h:1", &["node", "forget"], 2, "forget");
    check("h:1", &["--output", "xml", "node", "info"], 2, "xml");
    check("h:1", &["--watch", "node", "drain"], 2, "`--watch` goes with commands that only look");
    check("h:1,h:2", &["node", "drain"], 2, "name the node, or give one address");
    check("h:1,h:2", &["node", "undrain", ""], 2, "name the node, or give one address");
    let init = ["cluster", "init", "--cluster-id", "00000000-0000-4000-8000-000000000007"];
    check("h:1,h:2", &init, 2, "give the one of the node that is to found the cluster");
    check("h:1", &["query", "run", "r.tabel('t')"], 2, "did you mean `table`?");
    check("h:1", &["user", "create", "ann"], 2, "--new-password-stdin");
    check("h:1", &["table", "reconfigure", "t"], 2, "--shards");
    check("h:1", &["--timeout", "0", "node", "info"], 2, "0");
    check("h:1", &["--user", "a:b", "node", "info"], 2, "a name without colons");
    check("http://h:1", &["node", "info"], 2, "not `host`, `host:port`");
}

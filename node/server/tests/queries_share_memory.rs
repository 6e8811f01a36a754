//! Messages, gathered rows and answers of all connections share one budget. Whoever asks for more than is left gets an error;
//! the connection and the node go on, and everything comes back in the end.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use photondb::config::{Config, Given};
use photondb::node::Node;
use serde_json::{Value, json};

#[path = "support/raw.rs"]
mod raw;

use raw::Raw;

const MAX: usize = 8 << 20;

/// Fault points and metrics are the process's: one test at a time has a node.
static ALONE: Mutex<()> = Mutex::new(());

fn start() -> Node {
    let mut given = Given::default();
    for (name, value) in
        [("memory", "true"), ("driver-port", "0"), ("cluster-port", "0"), ("http-port", "0"), ("cores", "2")]
    {
        given.add(name, value).unwrap();
    }
    let config = Config { all_queries_bytes: MAX, ..Config::resolve(&given).unwrap() };
    Node::start(config).unwrap()
}

fn metric(node: &Node, name: &str) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", node.ports().http.unwrap())).unwrap();
    write!(stream, "GET /_metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap()
}

fn taken(node: &Node) -> usize {
    metric(node, "photondb_query_memory_bytes")
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_refused(answer: &Value) -> bool {
    let message = answer["r"][0].as_str().unwrap_or_default();
    let expected = format!("All queries together over memory limit `{MAX}` bytes");
    answer["t"] == 18 && answer["e"] == 2_000_000 && message.starts_with(&expected)
}

fn expect_refused(client: &mut Raw, token: u64) {
    let (answered, answer) = client.receive();
    assert!(answered == token && is_refused(&answer), "{answered}: {answer}");
}

/// What [`holding`] holds, in bytes.
const HELD: usize = 1_000 << 11;

/// A result without end that holds a text of two megabytes while it is open.
fn holding() -> Value {
    let sum = |of: i32| json!([69, [[2, [1, 2]], [24, [[10, [1]], [10, [of]]]]]]);
    let text = json!([187, [[173, [11]], "x".repeat(1_000), sum(1)]]);
    let same = json!([69, [[2, [3, 4]], [10, [3]]]]);
    let emit = json!([69, [[2, [5, 6, 7]], [2, [1]]]]);
    json!([1, [187, [[173, []], text, same], {"emit": emit}], {"max_batch_rows": 1}])
}

#[test]
fn messages_that_are_too_much_are_refused_and_the_connection_goes_on() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = start();
    assert_eq!(metric(&node, "photondb_query_memory_bytes_max"), MAX);
    // A counter of the process: what any node of it has counted at most, so this one is asked until it is past the others.
    let refused = metric(&node, "photondb_query_memory_refused_total");
    let mut client = Raw::connect(node.ports().driver);
    // Small enough to arrive, too much once it is read.
    let numbers = format!("[1,[43,[[2,[{}]]]]]", vec!["1"; 100_000].join(","));
    for _ in 0..=refused {
        client.send_text(1, &numbers);
        expect_refused(&mut client, 1);
    }
    // Too long to be let in; what has come of it is thrown away.
    client.send_text(2, &format!("[1,{:?}]", "x".repeat(2 * MAX)));
    client.send(3, &json!([1, [24, [1, 2]]]));
    expect_refused(&mut client, 2);
    assert_eq!(client.receive(), (3, json!({"t": 1, "r": [3]})));
    assert!(metric(&node, "photondb_query_memory_refused_total") >= refused + 2);
    // A long one that fits.
    client.send_text(4, &format!("[1,[43,[[2,[{:?}]]]]]", "x".repeat(MAX / 4)));
    assert_eq!(client.receive().1["r"][0], 1);
    // An answer is counted until it is read.
    client.send(5, &json!([1, [38, [[2, [[24, ["x".repeat(1 << 20), ""]]]], [69, [[2, [1]], [10, [1]]]]]]]));
    assert_eq!(client.receive().1["t"], 1);
    eventually("everything comes back", || taken(&node) == 0);
    node.stop().unwrap();
}

#[test]
fn what_connections_hold_adds_up_and_comes_back_however_it_ends() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = start();
    let port = node.ports().driver;
    let (mut open, mut last) = (Vec::new(), Raw::connect(port));
    loop {
        last.send(1, &holding());
        let (_, answer) = last.receive();
        if answer["t"] != 3 {
            assert!(is_refused(&answer), "{answer}");
            break;
        }
        open.push(std::mem::replace(&mut last, Raw::connect(port)));
    }
    assert!((2..=MAX / HELD).contains(&open.len()), "{} results are open", open.len());
    let all = taken(&node);
    assert!((open.len() * HELD..=MAX).contains(&all), "{all} bytes are taken");

    // One ends with its client, the others are killed.
    drop(open.remove(0));
    eventually("the client's share comes back", || taken(&node) <= all - HELD);
    let jobs = json!([15, [[14, ["rethinkdb"]], "jobs"]]);
    let port_of = json!([170, [[170, [[10, [1]], "info"]], "client_port"]]);
    let of_others = json!([39, [jobs, [69, [[2, [1]], [18, [port_of, last.port()]]]]]]);
    last.send(2, &json!([1, [54, [of_others]]]));
    assert_eq!(last.receive().1["r"][0]["deleted"], open.len());
    eventually("what was killed gives everything back", || taken(&node) == 0);
    open[0].send(1, &json!([2]));
    assert_eq!(open[0].receive().1["e"], 4_200_000);

    // And one panics while it holds something.
    last.send(3, &holding());
    assert_eq!(last.receive().1["t"], 3);
    assert!(taken(&node) > HELD);
    fail::cfg("stream-panics", "1*panic(as a test wants)").unwrap();
    last.send(3, &json!([2]));
    assert_eq!(last.receive().1["t"], 18);
    eventually("what panicked gives everything back", || taken(&node) == 0);
    node.stop().unwrap();
}

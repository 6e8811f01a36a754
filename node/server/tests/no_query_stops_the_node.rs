//! A panic in the evaluator is our fault; it ends its query alone, with an internal error, and is counted.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use photondb::command::connection::{ClientError, Connection};
use photondb::config::{Config, Given};
use photondb::node::Node;
use serde_json::{Value, json};

/// Fault points are the process's: one test at a time has a node.
static ALONE: Mutex<()> = Mutex::new(());

fn start() -> Node {
    let mut given = Given::default();
    for (name, value) in [
        ("memory", "true"),
        ("driver-port", "0"),
        ("cluster-port", "0"),
        ("http-port", "0"),
        ("cores", "1"),
        ("server-name", "tested"),
    ] {
        given.add(name, value).unwrap();
    }
    Node::start(Config::resolve(&given).unwrap()).unwrap()
}

fn connect(node: &Node, user: &str) -> Connection {
    Connection::open(&format!("127.0.0.1:{}", node.ports().driver), user, "").unwrap()
}

fn panics_counted(node: &Node) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", node.ports().http.unwrap())).unwrap();
    write!(stream, "GET /_metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let counted = answer.lines().find_map(|line| line.strip_prefix("photondb_query_panics_total "));
    counted.map_or(0, |number| number.trim().parse().unwrap())
}

fn add() -> Value {
    json!([24, [1, 2]])
}

#[test]
fn a_panic_ends_its_query_alone_and_is_counted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = start();
    let mut client = connect(&node, "admin");
    assert_eq!(client.run(&add()).unwrap(), json!(3));
    let before = panics_counted(&node);
    for (point, query) in [("evaluator-panics", add()), ("stream-panics", json!([173, [10]]))] {
        fail::cfg(point, "1*panic(as a test wants)").unwrap();
        match client.run(&query) {
            Err(ClientError::Query(message)) => {
                assert!(message.starts_with("Unexpected exception: "), "{point}: {message}");
            }
            other => panic!("{point}: {other:?}"),
        }
        assert_eq!(client.run(&add()).unwrap(), json!(3), "{point}: its connection goes on");
        assert_eq!(connect(&node, "admin").run(&add()).unwrap(), json!(3), "{point}: others go on");
    }
    assert_eq!(panics_counted(&node), before + 2);
    node.stop().unwrap();
}

/// `r.db("rethinkdb").table(name)`
fn system(name: &str) -> Value {
    json!([15, [[14, ["rethinkdb"]], name]])
}

#[test]
fn users_see_and_end_only_their_own_queries() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = start();
    let mut admin = connect(&node, "admin");
    for user in ["ann", "bob"] {
        admin.run(&json!([56, [system("users"), {"id": user, "password": false}]])).unwrap();
        admin.run(&json!([188, [[14, ["rethinkdb"]], user, {"read": true, "write": true}]])).unwrap();
    }
    let (mut ann, mut bob) = (connect(&node, "ann"), connect(&node, "bob"));
    let user_of = |row: &Value| row["info"]["user"].as_str().unwrap().to_owned();
    let rows = ann.run(&system("jobs")).unwrap();
    assert_eq!(rows.as_array().unwrap().iter().map(user_of).collect::<Vec<_>>(), ["ann"], "{rows}");

    // A feed of ann's stays open on a connection of its own.
    let address = format!("127.0.0.1:{}", node.ports().driver);
    let feed = std::thread::spawn(move || {
        let mut ann = Connection::open(&address, "ann", "").unwrap();
        ann.run(&json!([152, [system("users")]]))
    });
    let feed_id = loop {
        let rows = admin.run(&system("jobs")).unwrap();
        let rows = rows.as_array().unwrap();
        if let Some(row) = rows.iter().find(|row| user_of(row) == "ann") {
            break row["id"].clone();
        }
    };
    let delete = |id: &Value| json!([54, [[16, [system("jobs"), [2, id]]]]]);
    let refused = bob.run(&delete(&feed_id)).unwrap();
    assert_eq!(refused["deleted"], 0, "{refused}");
    assert!(bob.run(&system("jobs")).unwrap().as_array().unwrap().iter().all(|row| user_of(row) == "bob"));
    let ended = ann.run(&delete(&feed_id)).unwrap();
    assert_eq!(ended["deleted"], 1, "{ended}");
    match feed.join().unwrap() {
        Err(ClientError::Query(message)) => assert_eq!(message, "Query terminated by the `rethinkdb.jobs` table."),
        other => panic!("{other:?}"),
    }
    node.stop().unwrap();
}

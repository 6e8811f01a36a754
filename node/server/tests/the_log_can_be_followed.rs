//! A feed on `logs` gives each new line, and nothing of the old ones.

use std::time::Duration;

use photondb::command::connection::Connection;
use photondb::config::{Config, Given};
use photondb::node::Node;
use photondb::telemetry;
use serde_json::{Value, json};

#[test]
fn a_feed_gives_lines_as_they_are_logged() {
    let mut given = Given::default();
    let options =
        [("memory", "true"), ("driver-port", "0"), ("cluster-port", "0"), ("no-http-admin", "true"), ("cores", "1")];
    for (name, value) in options {
        given.add(name, value).unwrap();
    }
    let config = Config::resolve(&given).unwrap();
    telemetry::start_log(&config).unwrap();
    let node = Node::start(config).unwrap();
    let address = format!("127.0.0.1:{}", node.ports().driver);
    let logs = json!([15, [[14, ["rethinkdb"]], "logs"]]);
    let first_change = json!([71, [[152, [logs]], 1]]);
    let (there, feed_address) = (address.clone(), address.clone());
    let feed = std::thread::spawn(move || Connection::open(&feed_address, "admin", "").unwrap().run(&first_change));
    // The feed is open once its query is listed.
    let mut admin = Connection::open(&there, "admin", "").unwrap();
    let jobs = json!([15, [[14, ["rethinkdb"]], "jobs"]]);
    while admin.run(&jobs).unwrap().as_array().unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Lines that come while the feed is being opened may be among the old ones, so it is said until it is heard.
    while !feed.is_finished() {
        tracing::warn!(number = 7, "the test speaks");
        std::thread::sleep(Duration::from_millis(20));
    }
    let rows = feed.join().unwrap().unwrap();
    assert_eq!(rows[0]["old_val"], Value::Null, "{rows}");
    assert_eq!(rows[0]["new_val"]["message"], "the test speaks number=7", "{rows}");
    assert_eq!(rows[0]["new_val"]["level"], "warn", "{rows}");
    node.stop().unwrap();
}

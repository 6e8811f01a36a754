//! Other shards are wanted before the last ones are made: whoever asks is not refused, and the table is as was asked for last.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use photondb::command::connection::Connection;
use photondb::config::{Config, Given};
use photondb::node::Node;
use serde_json::{Value, json};

fn start() -> Node {
    let mut given = Given::default();
    for (name, value) in
        [("memory", "true"), ("driver-port", "0"), ("cluster-port", "0"), ("no-http-admin", "true"), ("cores", "1")]
    {
        given.add(name, value).unwrap();
    }
    Node::start(Config::resolve(&given).unwrap()).unwrap()
}

fn table() -> Value {
    json!([15, ["t"]])
}

fn reconfigure(shards: usize, dry_run: bool) -> Value {
    json!([176, [table()], { "shards": shards, "replicas": 1, "dry_run": dry_run }])
}

/// Its row in `table_config`.
fn config() -> Value {
    json!([174, [table()]])
}

/// A write to it.
fn update(row: &Value, changes: &Value) -> Value {
    let row = json!([16, [[15, [[14, ["rethinkdb"]], "table_config"]], row["id"]]]);
    json!([53, [row, [98, [changes.to_string()]]]])
}

fn shards(config: &Value) -> usize {
    config["shards"].as_array().unwrap().len()
}

#[test]
fn more_and_fewer_shards_are_asked_for_while_the_last_ones_are_still_being_made() {
    let node = start();
    let mut admin = Connection::open(&format!("127.0.0.1:{}", node.ports().driver), "admin", "").unwrap();
    admin.run(&json!([60, ["t"]])).unwrap();
    let documents: Vec<Value> = (0..2_000).map(|id| json!({ "id": id })).collect();
    assert_eq!(admin.run(&json!([56, [table(), [2, documents]]])).unwrap()["inserted"], 2_000);
    for wanted in [8, 3, 12, 1, 5, 5, 2, 9] {
        let tried = admin.run(&reconfigure(wanted, true)).unwrap();
        assert_eq!((&tried["reconfigured"], shards(&tried["config_changes"][0]["new_val"])), (&json!(0), wanted));
        let done = admin.run(&reconfigure(wanted, false)).unwrap();
        assert_eq!(done["reconfigured"], 1, "{done}");
        assert_eq!(shards(&admin.run(&config()).unwrap()), wanted);
    }
    // As does a write to `table_config`, with its settings and another name.
    let row = admin.run(&config()).unwrap();
    let four = vec![row["shards"][0].clone(); 4];
    let changes = json!({ "shards": four, "name": "u", "durability": "soft" });
    let written = admin.run(&update(&row, &changes)).unwrap();
    assert_eq!((&written["replaced"], &written["errors"]), (&json!(1), &json!(0)), "{written}");
    let row = admin.run(&json!([174, [[15, ["u"]]]])).unwrap();
    assert_eq!((shards(&row), &row["durability"]), (4, &json!("soft")));
    admin.run(&json!([177, [[15, ["u"]]], { "timeout": 60 }])).unwrap();
    assert_eq!(admin.run(&json!([43, [[15, ["u"]]]])).unwrap(), 2_000);
    node.stop().unwrap();
}

#[test]
fn a_write_to_the_configuration_that_is_refused_changes_neither_name_nor_settings_nor_shards() {
    let node = start();
    let mut admin = Connection::open(&format!("127.0.0.1:{}", node.ports().driver), "admin", "").unwrap();
    for name in ["t", "taken"] {
        admin.run(&json!([60, [name]])).unwrap();
    }
    let before = admin.run(&config()).unwrap();
    let two = vec![before["shards"][0].clone(); 2];
    let changes = json!({ "shards": two, "name": "taken", "durability": "soft" });
    let written = admin.run(&update(&before, &changes)).unwrap();
    assert_eq!(written["errors"], 1, "{written}");
    assert!(
        written["first_error"].as_str().unwrap().contains("Can't rename table `test.t` to `test.taken`"),
        "{written}"
    );
    assert_eq!(admin.run(&config()).unwrap(), before);
    node.stop().unwrap();
}

//! A shard that has grown too much, and is not split by itself because there are too many, is an issue until it is small again.

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{insert, table};
use photondb_test_cluster::{Connection, Node};
use serde_json::Value;

/// A leader looks every ten seconds, and not right after it was elected.
const PATIENCE: Duration = Duration::from_secs(90);

const ISSUES: &str = r#"[39,[[15,[[14,["rethinkdb"]],"photon_issues"]],{"type":"shard_not_split"}]]"#;

/// The issues, as soon as there are so many.
fn issues(connection: &mut Connection, wanted: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = connection.rows(ISSUES);
        if found.len() == wanted {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{wanted} were to be found: {found:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn for_as_long_as_they_are_too_large() {
    let node = Node::start_with(&["--shard-size-max", "128KiB"]);
    let mut connection = node.connect();
    connection.value(r#"[60,[[14,["test"]],"t"],{"shards":64}]"#);
    connection.value(&format!("[177,[{}]]", table("t")));
    assert_eq!(connection.rows(ISSUES).len(), 0);
    // A new table is cut for keys that are UUIDs: all numbers are in one shard.
    let documents: Vec<String> =
        (0..200).map(|id| format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(2_000))).collect();
    assert_eq!(connection.value(&insert("t", &documents))["inserted"], 200);

    let found = issues(&mut connection, 1).remove(0);
    let (info, said) = (&found["info"], found["description"].as_str().unwrap());
    assert_eq!((&info["table"], &info["server"], &found["critical"]), (&"t".into(), &Value::Null, &false.into()));
    assert!(
        said.contains("of table `test.t` has grown too large") && said.contains("the table has 64 shards"),
        "{said}"
    );
    let log = node.log();
    assert_eq!(log.matches("is not cut in two").count(), 1, "it is said once: {log}");

    connection.value(&format!("[54,[{}]]", table("t")));
    issues(&mut connection, 0);
}

//! What a system table is not for is refused in RethinkDB's words.

use photondb_test_cluster::Node;

fn table(name: &str) -> String {
    format!(r#"[15,[[14,["rethinkdb"]],"{name}"]]"#)
}

#[test]
fn there_is_nothing_to_delete_in_a_table_that_only_shows() {
    let node = Node::start();
    let mut connection = node.connect();
    for name in ["server_status", "stats", "logs", "table_status", "current_issues"] {
        let answer = connection.value(&format!(r#"[54,[[16,[{},"nothing"]]]]"#, table(name)));
        assert_eq!(answer["errors"], 1, "{answer}");
        assert_eq!(answer["first_error"], format!("It's illegal to write to the `rethinkdb.{name}` table."));
    }
}

#[test]
fn none_can_be_synced() {
    let node = Node::start();
    let mut connection = node.connect();
    for name in ["server_status", "table_config"] {
        let (_, said) = connection.failure(&format!("[138,[{}]]", table(name)));
        assert_eq!(said, "Artificial tables don't support `sync()`.");
    }
}

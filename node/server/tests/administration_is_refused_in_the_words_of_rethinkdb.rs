//! What cannot be configured, and what has the wrong form, is refused in RethinkDB's words; what a user may see and do of it is what
//! he may there.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use photondb::command::connection::{ClientError, Connection};
use photondb::config::{Config, Given};
use photondb::node::Node;
use serde_json::{Value, json};

/// A node with a table `t`.
fn start() -> Node {
    let mut given = Given::default();
    for (name, value) in
        [("memory", "true"), ("driver-port", "0"), ("cluster-port", "0"), ("no-http-admin", "true"), ("cores", "1")]
    {
        given.add(name, value).unwrap();
    }
    let node = Node::start(Config::resolve(&given).unwrap()).unwrap();
    open(&node, "admin").run(&json!([60, ["t"]])).unwrap();
    node
}

fn open(node: &Node, user: &str) -> Connection {
    Connection::open(&format!("127.0.0.1:{}", node.ports().driver), user, "").unwrap()
}

fn table() -> Value {
    json!([15, ["t"]])
}

fn system(name: &str) -> Value {
    json!([15, [[14, ["rethinkdb"]], name]])
}

fn row(table: &str, key: &Value) -> Value {
    json!([16, [system(table), [98, [key.to_string()]]]])
}

fn insert(table: &str, row: &Value) -> Value {
    json!([56, [system(table), [98, [row.to_string()]]]])
}

fn update(selection: &Value, changes: &Value) -> Value {
    json!([53, [selection, [98, [changes.to_string()]]]])
}

/// The same row without a field.
fn without(selection: &Value, field: &str) -> Value {
    json!([55, [selection, [69, [[2, [1]], [34, [[10, [1]], field]]]]]])
}

fn delete(selection: &Value) -> Value {
    json!([54, [selection]])
}

/// The error that a query ends with, or the first of those that it counts; else its answer.
fn said(connection: &mut Connection, term: &Value) -> String {
    match connection.run(term) {
        Err(ClientError::Query(text)) => text,
        Err(other) => panic!("{term}: {other}"),
        Ok(answer) => answer["first_error"].as_str().map_or(answer.to_string(), str::to_owned),
    }
}

fn check(connection: &mut Connection, cases: &[(Value, &str)]) {
    for (term, expected) in cases {
        assert_eq!(said(connection, term), *expected, "{term}");
    }
}

/// The same for rows that have the wrong form.
fn check_rows(connection: &mut Connection, table: &str, cases: &[(Value, &str)]) {
    for (term, expected) in cases {
        let expected =
            format!("The change you're trying to make to `rethinkdb.{table}` has the wrong format. {expected}");
        assert_eq!(said(connection, term), expected, "{term}");
    }
}

#[test]
fn system_tables_are_not_administered() {
    let node = start();
    let users = system("users");
    let is_there = "Database `rethinkdb` is special; the system tables in it are always available and don't need to be \
                    waited on.";
    let no_index = "Index `x` does not exist on table `rethinkdb.users`.";
    check(
        &mut open(&node, "admin"),
        &[
            (
                json!([175, [users]]),
                "Database `rethinkdb` is special; the system tables in it don't have meaningful status information.",
            ),
            (json!([177, [users]]), is_there),
            (json!([177, [[14, ["rethinkdb"]]]]), is_there),
            (json!([138, [users]]), "Artificial tables don't support `sync()`."),
            (json!([76, [users, "x"]]), no_index),
            (json!([156, [users, "x", "y"]]), no_index),
        ],
    );
    node.stop().unwrap();
}

#[test]
fn of_several_errors_the_first_is_the_one_of_rethinkdb() {
    let node = start();
    let none = "You must set `replicas` to at least one. `replicas` includes the primary replica; if there are zero \
                replicas, there is nowhere to put the data.";
    let many = json!({ "shards": 65, "replicas": { "default": 1 }, "primary_replica_tag": "x" });
    check(
        &mut open(&node, "admin"),
        &[
            (json!([139, [table(), "z", "b"]]), "Index `b` was not found on table `test.t`."),
            (json!([140, [table(), "z", "b"]]), "Index `b` was not found on table `test.t`."),
            (json!([176, [table()], { "shards": 0 }]), "Every table must have at least one shard."),
            (json!([176, [table()], { "shards": 1 }]), "Missing required argument `replicas`."),
            (json!([176, [table()], { "replicas": 0 }]), "Missing required argument `shards`."),
            (json!([176, [table()], many]), "Maximum number of shards is 64."),
            (json!([176, [table()], { "shards": 65, "replicas": 0 }]), none),
            (json!([60, ["t"], { "replicas": 0 }]), "Table `test.t` already exists."),
            (json!([60, ["u"], { "replicas": 0 }]), none),
            (json!([75, [table(), "x", 1], { "multi": [12, ["?"]] }]), "Expected type FUNCTION but found DATUM:\n1"),
        ],
    );
    node.stop().unwrap();
}

#[test]
fn a_row_of_table_config_is_read_field_by_field() {
    let node = start();
    let mut admin = open(&node, "admin");
    admin.run(&json!([60, ["taken"]])).unwrap();
    let config = json!([174, [table()]]);
    let wrong = |changes: Value| update(&config, &changes);
    let shard = |shard: Value| update(&config, &json!({ "shards": [shard] }));
    let server = admin.run(&config).unwrap()["shards"][0]["primary_replica"].as_str().unwrap().to_owned();
    let twice = format!("In `shards`: In `replicas`: Server `{server}` is listed more than once.");
    let by_id =
        json!([39, [[15, [[14, ["rethinkdb"]], "table_config"], { "identifier_format": "uuid" }], { "name": "t" }]]);
    let nobody = "00000000-0000-0000-0000-000000000000";
    check_rows(
        &mut admin,
        "table_config",
        &[
            (wrong(json!({ "name": 1 })), "In `name`: Expected a table name; got 1"),
            (
                wrong(json!({ "name": "a b" })),
                "In `name`: \"a b\" is not a valid table name; Use A-Z, a-z, 0-9, _ and - only",
            ),
            (wrong(json!({ "db": 1 })), "Expected a database name; got 1"),
            (wrong(json!({ "db": "a b" })), "\"a b\" is not a valid database name; Use A-Z, a-z, 0-9, _ and - only"),
            (wrong(json!({ "db": "x" })), "Database `x` does not exist."),
            (update(&by_id, &json!({ "db": "x" })), "Expected a UUID; got \"x\""),
            (
                update(&by_id, &json!({ "db": nobody })),
                "There is no database with UUID `00000000-0000-0000-0000-000000000000`.",
            ),
            (wrong(json!({ "indexes": 1 })), "In `indexes`: Expected an array, got 1"),
            (wrong(json!({ "indexes": [1] })), "In `indexes`: Expected a string; got 1"),
            (wrong(json!({ "indexes": ["a", "a"] })), "In `indexes`: \"a\" was specified more than once."),
            (
                wrong(json!({ "indexes": ["a"] })),
                "The `indexes` field is read-only and can't be used to create or drop indexes.",
            ),
            (wrong(json!({ "primary_key": 1 })), "In `primary_key`: Expected a string; got 1"),
            (wrong(json!({ "x": 1, "y": 1 })), "Unexpected key(s): x y"),
            // What is known is read before what is not, and both before what may not be.
            (wrong(json!({ "x": 1, "durability": 1 })), "In `durability`: Expected \"soft\" or \"hard\", got: 1"),
            (wrong(json!({ "x": 1, "primary_key": "k" })), "Unexpected key(s): x"),
            (without(&config, "name"), "Expected a field named `name`."),
            (without(&config, "indexes"), "Expected a field named `indexes`."),
            (without(&config, "primary_key"), "Expected a field named `primary_key`."),
            (without(&config, "write_hook"), "Expected a field named `write_hook`."),
            (shard(json!(1)), "In `shards`: Expected an object; got 1"),
            (
                shard(json!({ "replicas": ["a b"] })),
                "In `shards`: In `replicas`: \"a b\" is not a valid server name; Use A-Z, a-z, 0-9, _ and - only",
            ),
            (shard(json!({ "replicas": [server, server] })), twice.as_str()),
            (
                update(&by_id, &json!({ "shards": [{ "replicas": ["x"] }] })),
                "In `shards`: In `replicas`: Expected a UUID; got \"x\"",
            ),
            (
                update(&by_id, &json!({ "shards": [{ "replicas": [nobody] }] })),
                "In `shards`: In `replicas`: There is no server with UUID `00000000-0000-0000-0000-000000000000`.",
            ),
        ],
    );
    check(
        &mut admin,
        &[
            (wrong(json!({ "primary_key": "k" })), "It's illegal to change a table's primary key"),
            (
                wrong(json!({ "name": "taken" })),
                "Can't rename table `test.t` to `test.taken` because table `test.taken` already exists.",
            ),
            (
                insert("table_config", &json!({ "id": "x", "name": "u", "db": "test" })),
                "There is no existing table with the given ID. To create a new table by inserting into \
                 `rethinkdb.table_config`, you must let the database generate the primary key automatically.",
            ),
        ],
    );
    node.stop().unwrap();
}

#[test]
fn rows_of_other_tables_are_read_field_by_field() {
    let node = start();
    let mut admin = open(&node, "admin");
    check_rows(
        &mut admin,
        "db_config",
        &[
            (insert("db_config", &json!({ "name": 1 })), "In `name`: Expected a db name; got 1"),
            (
                insert("db_config", &json!({ "name": "a b" })),
                "In `name`: \"a b\" is not a valid db name; Use A-Z, a-z, 0-9, _ and - only",
            ),
            (insert("db_config", &json!({ "name": "d", "id": "x" })), "In `id`: Expected a UUID; got \"x\""),
            (insert("db_config", &json!({ "name": "d", "x": 1, "y": 1 })), "Unexpected key(s): x y"),
        ],
    );
    let servers = system("server_config");
    check_rows(
        &mut admin,
        "server_config",
        &[
            (without(&servers, "name"), "Expected a field named `name`."),
            (update(&servers, &json!({ "cache_size_mb": -1 })), "In `cache_size_mb`: Cache size cannot be negative."),
            (update(&servers, &json!({ "x": 1, "tags": 1 })), "In `tags`: Expected an array, got 1"),
        ],
    );
    let heartbeat = row("cluster_config", &json!("heartbeat"));
    admin.run(&insert("users", &json!({ "id": "u", "password": false }))).unwrap();
    let user = row("users", &json!("u"));
    let password = |password: Value| update(&user, &json!({ "password": password }));
    check(
        &mut admin,
        &[
            (without(&heartbeat, "heartbeat_timeout_secs"), "Expected a field named `heartbeat_timeout_secs`."),
            (update(&heartbeat, &json!({ "heartbeat_timeout_secs": "x" })), "Expected a number; got \"x\""),
            (
                update(&heartbeat, &json!({ "heartbeat_timeout_secs": 1 })),
                "The heartbeat timeout must be at least two seconds",
            ),
            (update(&heartbeat, &json!({ "x": 1 })), "Unexpected key(s): x"),
            (update(&user, &json!({ "password": 1, "x": 1 })), "Unexpected key(s) `x`."),
            (
                password(json!({ "password": "p", "iterations": 0 })),
                "Expected iterations to be a number greater than zero, got 0.",
            ),
            (
                password(json!({ "password": "p", "iterations": "x" })),
                "Expected iterations to be a number greater than zero, got \"x\".",
            ),
            (password(json!({ "password": 1, "iterations": 1 })), "Expected `password` to be a string, got 1."),
            (insert("permissions", &json!({ "id": ["x", "y"] })), "Expected a UUID as the database, got \"y\"."),
            (
                insert("permissions", &json!({ "id": ["u"], "database": "test", "permissions": {} })),
                "Unexpected key(s) `database`.",
            ),
            (
                insert("permissions", &json!({ "id": ["u"], "user": 1, "permissions": {} })),
                "Expected type STRING but found NUMBER.",
            ),
        ],
    );
    node.stop().unwrap();
}

#[test]
fn a_key_is_made_up_or_given_as_the_table_wants_it() {
    let node = start();
    let mut admin = open(&node, "admin");
    let own = "6f0a2d5e-0000-4000-8000-000000000001";
    let made_up = "There is no existing table with the given ID. To create a new table by inserting into \
                   `rethinkdb.table_config`, you must let the database generate the primary key automatically.";
    check(
        &mut admin,
        &[
            (insert("table_config", &json!({ "id": own, "name": "u", "db": "test" })), made_up),
            (
                insert("db_config", &json!({ "id": own, "name": "d" })),
                "If you want to create a new table by inserting into `rethinkdb.db_config`, you must use an \
                 auto-generated primary key.",
            ),
            (insert("permissions", &json!({ "permissions": {} })), "You must specify a primary key."),
        ],
    );
    let refused = admin.run(&insert("users", &json!({ "password": false }))).unwrap();
    let key = refused["generated_keys"][0].as_str().unwrap();
    assert_eq!(refused["first_error"], format!("Expected a username as the primary key, got \"{key}\"."));
    // A name may look like one that was made up.
    assert_eq!(admin.run(&insert("users", &json!({ "id": own, "password": false }))).unwrap()["inserted"], 1);
    for (table, row) in [("table_config", json!({ "name": "u", "db": "test" })), ("db_config", json!({ "name": "d" }))]
    {
        let made = admin.run(&insert(table, &row)).unwrap();
        assert_eq!(made["inserted"], 1, "{made}");
    }
    node.stop().unwrap();
}

/// Also where there is nothing to write to, and where nothing would change.
#[test]
fn what_cannot_be_written_is_refused_whatever_there_is() {
    let node = start();
    let read_only = |name: &str| format!("It's illegal to write to the `rethinkdb.{name}` table.");
    let mut admin = open(&node, "admin");
    for name in ["current_issues", "logs", "server_status", "stats", "table_status"] {
        assert_eq!(said(&mut admin, &delete(&row(name, &json!("x")))), read_only(name));
    }
    let jobs = "The `rethinkdb.jobs` system table only allows deletions, not inserts or updates.";
    let status = read_only("table_status");
    let no_row = "It's illegal to delete rows from the `rethinkdb.cluster_config` table.";
    check(
        &mut admin,
        &[
            (update(&system("table_status"), &json!({})), status.as_str()),
            (update(&system("jobs"), &json!({})), jobs),
            (delete(&row("cluster_config", &json!("x"))), no_row),
            (delete(&row("users", &json!("x"))), "User `x` not found."),
            (update(&row("users", &json!("x")), &json!({ "password": "p" })), "User `x` not found."),
            (delete(&row("users", &json!(1))), "Expected a username as the primary key, got 1."),
            (delete(&row("permissions", &json!(["x"]))), "No user named `x`."),
            (
                update(&row("permissions", &json!(["admin"])), &json!({})),
                "The permissions of the user `admin` can't be modified.",
            ),
        ],
    );
    for unchanged in [json!([174, [table()]]), system("db_config"), system("server_config"), system("users")] {
        let answer = admin.run(&update(&unchanged, &json!({}))).unwrap();
        assert_eq!((&answer["errors"], &answer["unchanged"]), (&json!(0), &json!(1)), "{unchanged}: {answer}");
    }
    node.stop().unwrap();
}

#[test]
fn who_may_configure_a_table_sees_its_configuration_and_everybody_its_status() {
    let node = start();
    let mut admin = open(&node, "admin");
    admin.run(&insert("users", &json!({ "id": "u", "password": false }))).unwrap();
    let mut user = open(&node, "u");
    let denied = |permission: &str| format!("User `u` does not have the required `{permission}` permission.");
    let name = |of: Value| json!([170, [of, "name"]]);
    let shown = [
        (name(json!([175, [table()]])), "\"t\"".to_owned()),
        (json!([77, [table()]]), "[]".to_owned()),
        (json!([139, [table()]]), "[]".to_owned()),
        (json!([140, [table()]]), "[]".to_owned()),
        (json!([79, [table()]]), denied("read")),
        (name(json!([174, [table()]])), denied("config")),
        (name(json!([174, [[14, ["test"]]]])), denied("config")),
        // That nobody may is told before who may not.
        (json!([57, ["rethinkdb"]]), "Database `rethinkdb` already exists.".to_owned()),
        (
            json!([60, [[14, ["rethinkdb"]], "x"]]),
            "Database `rethinkdb` is special; you can't create new tables in it.".to_owned(),
        ),
        // Who may not see a system table is not told that he may not write it.
        (insert("users", &json!({ "id": "v", "password": false })), denied("read")),
    ];
    for (term, expected) in shown {
        assert_eq!(said(&mut user, &term), expected, "{term}");
    }
    // Who may configure all but one table may not configure all.
    admin.run(&json!([60, ["other"]])).unwrap();
    admin.run(&json!([188, ["u", { "config": true }]])).unwrap();
    admin.run(&json!([188, [[15, ["other"]], "u", { "config": false }]])).unwrap();
    for (term, expected) in [
        (name(json!([174, [table()]])), "\"t\"".to_owned()),
        (name(json!([174, [[14, ["test"]]]])), "\"test\"".to_owned()),
        (update(&json!([174, [table()]]), &json!({ "durability": "soft" })), denied("read")),
        (json!([176, [[14, ["test"]]], { "shards": 1, "replicas": 1 }]), denied("config")),
        (json!([179, [[14, ["test"]]]]), denied("config")),
        (json!([58, ["test"]]), denied("config")),
    ] {
        assert_eq!(said(&mut user, &term), expected, "{term}");
    }
    assert_eq!(said(&mut admin, &json!([62, [[14, ["test"]]]])), r#"["other","t"]"#);
    node.stop().unwrap();
}

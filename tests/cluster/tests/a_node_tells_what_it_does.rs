//! `stats`, `logs`, `current_issues` and the tables for debugging have RethinkDB's form and true numbers; `profile` and the
//! options of batches do what they say; tables are made and moved through `table_config`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{FAR, count, get, insert, table, table_create};
use photondb_test_cluster::{Connection, Node};
use serde_json::{Value, json};

fn system(name: &str) -> String {
    format!(r#"[15,[[14,["rethinkdb"]],"{name}"]]"#)
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn row<'a>(rows: &'a [Value], kind: &str) -> &'a Value {
    rows.iter().find(|row| row["id"][0] == kind).unwrap_or_else(|| panic!("no row of {kind} in {rows:?}"))
}

#[test]
fn stats_count_what_was_done() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.value(&table_create("t"));
    let before = client.rows(&system("stats"));
    let documents: Vec<String> = (0..50).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    client.value(&insert("t", &documents));
    for id in 0..7 {
        client.value(&get("t", id));
    }
    client.value(&count(&format!("[39,[{},true]]", table("t"))));
    let after = client.rows(&system("stats"));
    let grown = |kind: &str, field: &str| {
        let of = |rows: &[Value]| row(rows, kind)["query_engine"][field].as_f64().expect("is a number");
        of(&after) - of(&before)
    };
    for kind in ["server", "table_server"] {
        assert_eq!(grown(kind, "written_docs_total"), 50.0, "{kind}");
        assert_eq!(grown(kind, "read_docs_total"), 57.0, "{kind}");
    }
    assert_eq!(grown("server", "queries_total"), 10.0);
    let cluster = row(&after, "cluster");
    assert_eq!(keys(cluster), ["id", "query_engine"]);
    assert_eq!(
        keys(&cluster["query_engine"]),
        ["client_connections", "clients_active", "queries_per_sec", "read_docs_per_sec", "written_docs_per_sec"]
    );
    assert_eq!(cluster["query_engine"]["clients_active"], 1);
    assert_eq!(cluster["query_engine"]["client_connections"], 1);
    assert_eq!(keys(row(&after, "table")), ["db", "id", "query_engine", "table"]);
    let table_server = row(&after, "table_server");
    assert_eq!(keys(table_server), ["db", "id", "query_engine", "server", "storage_engine", "table"]);
    let disk = &table_server["storage_engine"]["disk"];
    assert!(disk["written_bytes_total"].as_u64().is_some_and(|bytes| bytes > 1_000), "{disk}");
    assert_eq!(keys(&disk["space_usage"]), ["data_bytes", "garbage_bytes", "metadata_bytes", "preallocated_bytes"]);
    // Rates are those of the last second or two, and fall to nothing.
    let rate = |client: &mut Connection| {
        let rows = client.rows(&system("stats"));
        row(&rows, "table")["query_engine"]["written_docs_per_sec"].as_f64().expect("is a number")
    };
    assert!(rate(&mut client) > 0.0);
    let begun = Instant::now();
    while rate(&mut client) > 0.0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(200));
    }
    node.assert_well();
}

#[test]
fn logs_show_the_newest_lines_and_cannot_be_written() {
    let mut node = Node::start();
    let mut client = node.connect();
    let rows = client.rows(&system("logs"));
    let ready = rows.iter().find(|row| row["message"].as_str().is_some_and(|line| line.starts_with("server ready")));
    let ready = ready.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(keys(ready), ["id", "level", "message", "server", "timestamp", "uptime"]);
    assert_eq!(ready["level"], "info");
    assert_eq!(ready["timestamp"]["$reql_type$"], "TIME");
    assert!(ready["uptime"].as_f64().is_some_and(|seconds| seconds >= 0.0));
    assert_eq!(ready["id"][0].as_str().map(str::len), Some("2026-11-20T16:37:41.152878770".len()), "{ready}");
    let refused = client.value(&format!(r#"[54,[{}]]"#, system("logs")));
    assert_eq!(refused["deleted"], 0, "{refused}");
    node.assert_well();
}

#[test]
fn tables_for_debugging_and_issues_are_there() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.value(&table_create("t"));
    assert_eq!(client.rows(&system("current_issues")), Vec::<Value>::new());
    let stats = client.rows(&system("_debug_stats"));
    assert_eq!(keys(&stats[0]), ["id", "name", "stats"]);
    let status = client.rows(&system("_debug_table_status"));
    assert_eq!(keys(&status[0]), ["config", "db", "id", "name", "shard_scheme", "table_server_status"]);
    let server = &status[0]["table_server_status"][0];
    assert_eq!(keys(server), ["contract_acks", "contracts", "current_branches", "server", "timestamp"]);
    assert_eq!(server["contract_acks"][0]["state"], "primary_ready");
    node.assert_well();
}

fn descriptions(tasks: &Value, found: &mut Vec<String>) {
    for task in tasks.as_array().expect("tasks are a list") {
        if let Some(parallel) = task.get("parallel_tasks") {
            for list in parallel.as_array().expect("is a list") {
                descriptions(list, found);
            }
            continue;
        }
        assert_eq!(keys(task), ["description", "duration(ms)", "sub_tasks"], "{task}");
        assert!(task["duration(ms)"].as_f64().is_some_and(|time| time >= 0.0), "{task}");
        found.push(task["description"].as_str().expect("is a text").to_owned());
        descriptions(&task["sub_tasks"], found);
    }
}

#[test]
fn a_profile_shows_terms_reads_and_writes() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.value(&table_create("t"));
    let mut profile = |term: &str| {
        let answer = client.run(&format!("[1,{term},{{\"profile\":true}}]")).unwrap();
        let mut found = Vec::new();
        descriptions(&answer["p"], &mut found);
        found
    };
    let t = table("t");
    assert_eq!(
        profile(&insert("t", &[r#"{"id":1,"n":[24,[1,2]]}"#.to_owned()])),
        [
            "Evaluating insert.",
            "Evaluating table.",
            "Evaluating db.",
            "Evaluating make_array.",
            "Evaluating make_obj.",
            "Evaluating add.",
            "Perform write.",
            "Perform write on shard."
        ]
    );
    let read = ["Perform read.", "Perform read on shard."];
    let got = profile(&get("t", 1));
    assert_eq!(got[..3], ["Evaluating get.", "Evaluating table.", "Evaluating db."], "{got:?}");
    assert_eq!(got[3..], read, "{got:?}");
    // What is done for each row is not shown row by row.
    let filtered = profile(&format!("[39,[{t},[69,[[2,[1]],[21,[[170,[[10,[1]],\"n\"]],1]]]]]]"));
    assert_eq!(filtered.iter().filter(|task| task.starts_with("Evaluating")).count(), 3, "{filtered:?}");
    assert!(filtered.ends_with(&read.map(str::to_owned)), "{filtered:?}");
    let plain = client.run(&format!("[1,{}]", get("t", 1))).unwrap();
    assert_eq!(plain.get("p"), None);
    node.assert_well();
}

/// Rows of the first batch and of the second.
fn batches(client: &mut Connection, term: &str, options: &Value) -> (usize, usize) {
    let token = client.send(&format!("[1,{term},{options}]")).unwrap();
    let length = |answer: &Value| answer["r"].as_array().expect("rows are a list").len();
    let (_, first) = client.receive().unwrap();
    client.send_as(token, "[2]").unwrap();
    let (_, second) = client.receive().unwrap();
    client.send_as(token, "[3]").unwrap();
    client.receive().unwrap();
    (length(&first), length(&second))
}

#[test]
fn batches_have_the_size_and_the_time_that_were_asked_for() {
    let mut node = Node::start();
    let mut client = node.connect();
    // The first batch is a fourth of the others unless the query says otherwise.
    assert_eq!(batches(&mut client, FAR, &json!({"max_batch_rows": 40})), (10, 40));
    let factor = json!({"max_batch_rows": 40, "first_batch_scaledown_factor": 8});
    assert_eq!(batches(&mut client, FAR, &factor), (5, 40));
    let none = json!({"max_batch_rows": 40, "first_batch_scaledown_factor": 1});
    assert_eq!(batches(&mut client, FAR, &none), (40, 40));
    let text = "x".repeat(1_000);
    let rows = format!(r#"[38,[{FAR},[69,[[2,[1]],"{text}"]]]]"#);
    let (first, second) = batches(&mut client, &rows, &json!({"max_batch_bytes": 100_000}));
    assert!((20..=30).contains(&first) && (90..=110).contains(&second), "{first}, {second}");
    let (first, _) = batches(&mut client, &rows, &json!({"max_batch_bytes": 1, "min_batch_rows": 20}));
    assert_eq!(first, 5);

    // Each row takes some milliseconds: a batch ends when its time is over, not when it is full.
    let slow = format!("[38,[{FAR},[69,[[2,[1]],[43,[[173,[200000]]]]]]]]");
    let begun = Instant::now();
    let (first, second) = batches(&mut client, &slow, &json!({"max_batch_seconds": 0.2, "max_batch_rows": 1_000_000}));
    println!("{first} and {second} slow rows in {:?}", begun.elapsed());
    assert!(first >= 1 && second >= 1);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for (seconds, message) in [
        (r#""long""#, "Expected type NUMBER but found STRING."),
        ("-1", "max_batch_seconds must be positive (got `-1`)."),
        ("86400", "max_batch_seconds is too large (got `86400`, must be less than 86400)."),
    ] {
        let answer = client.run(&format!(r#"[1,{FAR},{{"max_batch_seconds":{seconds}}}]"#)).unwrap();
        assert_eq!((&answer["t"], &answer["r"][0]), (&18.into(), &message.into()));
    }
    node.wait_idle();
    node.assert_well();
}

#[test]
fn a_row_of_table_config_makes_a_table_and_moves_it() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.value(r#"[57,["other"]]"#);
    let configs = system("table_config");
    let made = client.value(&format!(
        r#"[56,[{configs},{{"name":"t","db":"test","durability":"soft"}}],{{"return_changes":true}}]"#
    ));
    assert_eq!((&made["inserted"], &made["errors"]), (&1.into(), &0.into()), "{made}");
    let config = &made["changes"][0]["new_val"];
    assert_eq!(
        (&config["primary_key"], &config["durability"], &config["write_acks"]),
        (&"id".into(), &"soft".into(), &"majority".into())
    );
    assert_eq!(config["shards"][0]["replicas"].as_array().map(Vec::len), Some(1), "{config}");
    assert_eq!(config["id"], made["generated_keys"][0]);
    client.value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    let server = config["shards"][0]["primary_replica"].clone();
    let wrong = "The change you're trying to make to `rethinkdb.table_config` has the wrong format. ";
    for (row, message) in [
        (json!({"db": "test"}), format!("{wrong}Expected a field named `name`.")),
        (json!({"name": "u"}), format!("{wrong}Expected a field named `db`.")),
        (json!({"name": "u", "db": "nowhere"}), format!("{wrong}Database `nowhere` does not exist.")),
        (json!({"name": "t", "db": "test"}), "Table `test.t` already exists.".to_owned()),
        (json!({"name": "u", "db": "test", "shards": [2, []]}), format!("{wrong}In `shards`: You must specify at least one shard.")),
        (
            json!({"name": "u", "db": "test", "shards": [2, [{"replicas": [2, []], "primary_replica": server}]]}),
            format!("{wrong}In `shards`: You must specify at least one replica for each shard."),
        ),
        (json!({"name": "u", "db": "test", "durability": "none"}), format!("{wrong}In `durability`: Expected \"soft\" or \"hard\", got: \"none\"")),
        (json!({"id": "mine", "name": "u", "db": "test"}), "There is no existing table with the given ID. To create a new table by inserting into `rethinkdb.table_config`, you must let the database generate the primary key automatically.".to_owned()),
    ] {
        let refused = client.value(&format!("[56,[{configs},{row}]]"));
        assert_eq!((&refused["errors"], &refused["first_error"]), (&1.into(), &message.clone().into()), "{row}: {refused}");
    }
    let moved = client.value(&format!(r#"[53,[[39,[{configs},{{"name":"t"}}]],{{"db":"other","name":"moved"}}]]"#));
    assert_eq!(moved["replaced"], 1, "{moved}");
    assert_eq!(client.value(r#"[43,[[15,[[14,["other"]],"moved"]]]]"#), 1);
    assert_eq!(client.value(r#"[62,[[14,["test"]]]]"#), json!([]));
    node.kill();
    node.restart();
    let mut client = node.connect();
    assert_eq!(client.value(r#"[43,[[15,[[14,["other"]],"moved"]]]]"#), 1);
    node.assert_well();
}

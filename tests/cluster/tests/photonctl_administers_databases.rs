//! Databases, tables, indexes, users and queries are administered with `photonctl` alone, and what it says is so.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, photonctl, program, text};
use serde_json::Value;

fn ask(node: &Node, arguments: &[&str]) -> Output {
    let address = format!("127.0.0.1:{}", node.ports().cluster);
    photonctl(&[&["--address", &address, "--timeout", "30"], arguments].concat())
}

/// What it prints; it must succeed and complain about nothing.
fn done(node: &Node, arguments: &[&str]) -> String {
    let said = ask(node, arguments);
    assert!(said.status.success() && said.stderr.is_empty(), "{arguments:?}: {}", text(&said));
    String::from_utf8(said.stdout).unwrap()
}

fn json(node: &Node, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(node, &[arguments, &["-o", "json"]].concat())).unwrap()
}

fn fails(node: &Node, arguments: &[&str], code: i32, expected: &str) {
    let said = ask(node, arguments);
    assert_eq!(said.status.code(), Some(code), "{arguments:?}: {}", text(&said));
    assert!(text(&said).contains(expected), "{arguments:?}: {}", text(&said));
    assert!(said.stdout.is_empty(), "{arguments:?}: {}", text(&said));
}

/// The program with pipes.
fn spawn(node: &Node, arguments: &[&str]) -> Child {
    Command::new(program().with_file_name("photonctl"))
        .args(["--address", &format!("127.0.0.1:{}", node.ports().cluster)])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The program with a text on its standard input.
fn pipe(node: &Node, arguments: &[&str], input: &str) -> Output {
    let mut child = spawn(node, arguments);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn databases_and_tables_come_and_go() {
    let node = Node::start();
    assert!(done(&node, &["db", "create", "shop"]).contains("`shop` has been made"));
    fails(&node, &["db", "create", "shop"], 1, "ReqlOpFailedError: Database `shop` already exists.");
    assert_eq!(done(&node, &["db", "list"]), "DATABASE\nrethinkdb\nshop\ntest\n");

    done(
        &node,
        &["table", "create", "shop.orders", "--shards", "2", "--primary-key", "number", "--durability", "soft"],
    );
    fails(&node, &["table", "create", "shop.orders"], 1, "already exists");
    fails(&node, &["table", "create", "shop.more", "--replicas", "2"], 1, "there are only 1 servers");
    let config = json(&node, &["table", "config", "shop.orders"]);
    assert_eq!((&config["primary_key"], &config["durability"]), (&"number".into(), &"soft".into()));
    assert_eq!(config["shards"].as_array().unwrap().len(), 2);
    assert!(done(&node, &["table", "wait", "shop.orders"]).contains("is ready"));
    let status = done(&node, &["table", "status", "shop.orders"]);
    assert!(status.contains("all_replicas_ready") && status.contains("Table  shop.orders"), "{status}");
    let listed = json(&node, &["table", "list"]);
    assert_eq!((&listed[0]["database"], &listed[0]["name"]), (&"shop".into(), &"orders".into()));
    let planned =
        done(&node, &["table", "reconfigure", "shop.orders", "--shards", "2", "--replicas", "1", "--dry-run"]);
    assert!(planned.contains("stays as it is"), "{planned}");
    done(&node, &["table", "rebalance", "shop.orders"]);

    done(&node, &["table", "rename", "shop.orders", "bills"]);
    done(&node, &["db", "rename", "shop", "store"]);
    let shards = json(&node, &["shard", "list"]);
    assert_eq!((&shards[1]["database"], &shards[1]["table"]), (&"store".into(), &"bills".into()));
    assert_eq!(shards[1]["keys"], r#""80000000" .. max"#);
    assert_eq!(shards[0]["leader"], shards[0]["members"][0]["node"]);
    fails(&node, &["table", "drop", "store.orders"], 1, "Table `store.orders` does not exist.");
    done(&node, &["table", "drop", "store.bills"]);
    done(&node, &["db", "drop", "store"]);
    assert_eq!(json(&node, &["shard", "list"]), Value::Array(Vec::new()));
    let yaml = done(&node, &["-o", "yaml", "db", "list"]);
    assert_eq!(yaml, "- rethinkdb\n- test\n");
}

#[test]
fn indexes_are_made_of_fields_and_functions() {
    let node = Node::start();
    done(&node, &["table", "create", "t"]);
    node.connect()
        .value(&insert("t", &[r#"{"id":1,"a":"X","b":2}"#.to_owned(), r#"{"id":2,"a":"y","b":3}"#.to_owned()]));
    done(&node, &["index", "create", "t", "a"]);
    done(&node, &["index", "create", "t", "both", "--field", "a", "--field", "b"]);
    done(&node, &["index", "create", "t", "low", "--function", "x => x('a').downcase()"]);
    fails(&node, &["index", "create", "t", "low"], 1, "already exists");
    fails(&node, &["index", "create", "t", "bad", "--function", "x => x("], 2, "the query cannot be read");
    let ready = done(&node, &["index", "wait", "t"]);
    assert_eq!(ready.lines().filter(|line| line.contains("yes")).count(), 3, "{ready}");
    let found = |query: &str| done(&node, &["-o", "json", "query", "run", query]);
    assert_eq!(found("r.table('t').getAll('x', {index: 'low'})('id')"), "1\n");
    assert_eq!(found("r.table('t').getAll(['y', 3], {index: 'both'}).count()"), "1\n");
    done(&node, &["index", "rename", "t", "low", "lower"]);
    done(&node, &["index", "drop", "t", "a"]);
    assert_eq!(done(&node, &["index", "list", "t"]), "INDEX\nboth\nlower\n");
    let status = json(&node, &["index", "status", "t", "lower"]);
    assert_eq!((&status[0]["index"], &status[0]["ready"]), (&"lower".into(), &true.into()));
}

#[test]
fn users_get_passwords_and_permissions_and_no_more() {
    let node = Node::start();
    done(&node, &["table", "create", "t"]);
    let made = pipe(&node, &["user", "create", "ann", "--new-password-stdin"], "secret\n");
    assert!(made.status.success(), "{}", text(&made));
    fails(&node, &["user", "create", "ann", "--no-password"], 1, "ReqlOpFailedError");
    assert_eq!(done(&node, &["user", "list"]), "USER   PASSWORD\nadmin  none\nann    set\n");

    let ann = |arguments: &[&'static str]| [&["--user", "ann", "--password", "secret"], arguments].concat();
    let read = ann(&["-o", "json", "query", "run", "r.table('t').count()"]);
    fails(&node, &["--user", "ann", "query", "run", "r.now()"], 4, "wrong user or password");
    fails(&node, &read, 4, "ReqlPermissionError: User `ann` does not have the required `read` permission");
    done(&node, &["grant", "ann", "read,write", "--on", "test.t"]);
    assert_eq!(done(&node, &read), "0\n");
    fails(&node, &ann(&["table", "create", "u"]), 4, "`config` permission");
    fails(&node, &ann(&["node", "info"]), 4, "only the user `admin` may ask");
    fails(&node, &ann(&["cluster", "health"]), 4, "only the user `admin` may ask");
    fails(&node, &ann(&["user", "list"]), 4, "ReqlPermissionError");
    let granted = done(&node, &["user", "permissions", "ann"]);
    let granted: Vec<&str> = granted.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(granted, ["ann", "test", "t", "yes", "yes", "-", "-"]);

    // What is denied for the table counts more than what is granted everywhere; taken back, it no longer does.
    done(&node, &["revoke", "ann", "read", "--on", "test.t", "--deny"]);
    done(&node, &["grant", "ann", "read"]);
    fails(&node, &read, 4, "ReqlPermissionError");
    done(&node, &["revoke", "ann", "read", "--on", "test.t"]);
    assert_eq!(done(&node, &read), "0\n");

    let changed = pipe(&node, &["user", "set-password", "ann", "--new-password-stdin"], "other");
    assert!(changed.status.success(), "{}", text(&changed));
    fails(&node, &read, 4, "wrong user or password");
    fails(&node, &["user", "set-password", "bob", "--no-password"], 1, "there is no user `bob`");
    done(&node, &["user", "drop", "ann"]);
    fails(&node, &["user", "drop", "ann"], 1, "there is no user `ann`");
    fails(&node, &["user", "drop", "admin"], 1, "The user `admin` can't be deleted.");
}

#[test]
fn a_feed_is_shown_until_somebody_ends_it() {
    let node = Node::start();
    done(&node, &["table", "create", "t"]);
    let query = "r.table('t').changes({includeInitial: true})";
    let mut feed = spawn(&node, &["-o", "json", "query", "run", query]);
    let mut lines = BufReader::new(feed.stdout.take().unwrap()).lines();
    node.connect().value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    let change: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(change["new_val"]["id"], 1);
    let listed = json(&node, &["query", "list"]);
    let is_it = |job: &&Value| job["info"]["query"].as_str().unwrap().contains("changes(");
    let job = listed.as_array().unwrap().iter().find(is_it).unwrap();
    assert_eq!(job["info"]["user"], "admin");
    let id = job["id"][1].as_str().unwrap();
    done(&node, &["query", "kill", id]);
    let ended = feed.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended));
    assert!(text(&ended).contains("terminated by the `rethinkdb.jobs` table"), "{}", text(&ended));
    fails(&node, &["query", "kill", id], 1, "there is no query");

    // One whose reader is killed ends too.
    let mut feed = spawn(&node, &["query", "run", query]);
    let mut lines = BufReader::new(feed.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    feed.kill().unwrap();
    feed.wait().unwrap();
    let begun = std::time::Instant::now();
    while json(&node, &["query", "list"]).as_array().unwrap().iter().any(|job| is_it(&job)) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the feed runs on");
    }
}

#[test]
fn long_answers_come_whole() {
    let node = Node::start();
    done(&node, &["table", "create", "t"]);
    done(
        &node,
        &[
            "query",
            "run",
            "r.table('t').insert(r.range(5000).map(x => ({id: x, text: r('x').add('y')})).coerceTo('array'))",
        ],
    );
    // Through a pipe that is read meanwhile: it holds less than that.
    let run = |query: &str| {
        let said = pipe(&node, &["-o", "json", "query", "run", "-"], query);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    };
    let printed = run("r.table('t').orderBy({index: 'id'})");
    assert_eq!(printed.lines().count(), 5000);
    assert_eq!(printed.lines().nth(4321).unwrap(), r#"{"id":4321,"text":"xy"}"#);
    // One value of more than a part.
    let long = run("r.range(30000).map(x => 'abc').coerceTo('array').reduce((a, b) => a.add(b))");
    assert_eq!(long.trim().len(), 90_002);
    assert_eq!(node.connect().value(&count(&table("t"))), 5000);
}

#[test]
fn a_script_of_queries_runs_to_its_first_error() {
    let node = Node::start();
    let script = "\
// a table and what is in it
r.tableCreate('t')('tables_created')
r.table('t').insert([
  {id: 1},
  {id: 2},
])('inserted')
r.table('t')
  .count()
r.table('missing')
r.tableDrop('t')
";
    let ran = pipe(&node, &["-o", "json", "repl"], script);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "1\n2\n2\n");
    assert!(text(&ran).contains("Table `test.missing` does not exist."), "{}", text(&ran));
    assert_eq!(done(&node, &["-o", "json", "query", "run", "r.tableList()"]), "[\"t\"]\n");
}

#[test]
fn a_load_is_measured_and_leaves_nothing_behind() {
    let node = Node::start();
    let bench = |more: &[&str]| {
        json(
            &node,
            &[&["bench", "--clients", "3", "--seconds", "1", "--documents", "2000", "--document-bytes", "20"], more]
                .concat(),
        )
    };
    for (workload, operations) in [("get", vec!["get"]), ("insert", vec!["insert"]), ("mixed", vec!["get", "update"])] {
        let measured = bench(&[workload]);
        assert!(measured["per_second"].as_f64().unwrap() > 1.0 && measured["failed"] == 0, "{measured}");
        let kinds: Vec<&str> = measured["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|operation| operation["operation"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, operations);
        let first = &measured["operations"][0];
        assert!(first["p50_ms"].as_f64().unwrap() <= first["p99_ms"].as_f64().unwrap(), "{measured}");
    }
    assert_eq!(done(&node, &["-o", "json", "query", "run", "r.tableList()"]), "[]\n");
    done(&node, &["table", "create", "load"]);
    fails(&node, &["bench", "--table", "load", "--seconds", "1"], 2, "--keep");
    bench(&["insert", "--table", "load", "--keep"]);
    let kept: u64 = done(&node, &["-o", "json", "query", "run", "r.table('load').count()"]).trim().parse().unwrap();
    assert!(kept > 2000, "{kept}");
    bench(&["mixed", "--table", "load", "--keep"]);
    // Not a document of anybody else is touched.
    let order = "r.table('orders').insert({id: 0, price: 7})";
    done(&node, &["table", "create", "orders"]);
    done(&node, &["query", "run", order]);
    fails(&node, &["bench", "--table", "orders", "--seconds", "1", "--keep"], 2, "no bench has made");
    let orders = done(&node, &["-o", "json", "query", "run", "r.table('orders')"]);
    assert_eq!(serde_json::from_str::<Value>(&orders).unwrap(), serde_json::json!({"id": 0, "price": 7}));
    fails(&node, &["bench", "--seconds", "1", "--driver-port", "1"], 3, "the driver port 1");
    let tables = done(&node, &["-o", "json", "query", "run", "r.tableList()"]);
    assert!(!tables.contains("photonctl_bench"), "a load that failed leaves nothing behind: {tables}");
}

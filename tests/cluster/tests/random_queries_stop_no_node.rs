//! Queries grown at random, of nearly right types, against a real node: each gets an answer or an error of the query, in
//! bounded time; reads answer the same when asked again; nothing panics.
//!
//! `PHOTONDB_SEED` repeats a run.

#[allow(dead_code, reason = "the targets are run by the tests of the language")]
#[path = "../../../node/reql/fuzz/src/lib.rs"]
mod targets;

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{count, index_wait, insert, table, table_create};
use photondb_test_cluster::{Connection, Node, Numbers, full, seed};
use serde_json::Value;
use targets::input::Input;
use targets::queries::{self, Reach};

/// What an answer is that the server could not give for a fault of its own.
const INTERNAL: u64 = 1_000_000;

/// A query that takes longer is taken for endless. Its connection is closed, which must end it.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How soon it must have ended then, on a busy machine.
const END_WAIT_MAX: Duration = Duration::from_secs(10);

/// Options of each query: small arrays, so that what grows meets its limit soon.
const OPTIONS: &str = r#"{"array_limit":2000,"max_batch_rows":50}"#;

/// Rows that are read of one answer.
const ROWS_MAX: usize = 300;

const DOCUMENTS: [&str; 8] = [
    r#"{"id":1,"n":3,"a":1,"s":"a","l":[2,[1,2]],"o":{"a":{"b":1}},"b":true}"#,
    r#"{"id":2,"n":-1,"a":null,"s":"é","l":[2,[]],"o":{"b":2},"g":[159,[1,1]]}"#,
    r#"{"id":3,"n":2.5,"s":"","l":[2,[2,2,3]],"g":[161,[[2,[0,0]],[2,[0,1]],[2,[1,1]]]]}"#,
    r#"{"id":4,"a":"x","t":[101,[1]],"l":[2,["a",null]]}"#,
    r#"{"id":5,"n":null,"a":[2,[1]],"b":false}"#,
    r#"{"id":"a","n":"3","o":{},"s":"b"}"#,
    r#"{"id":[2,[1,"x"]],"n":0,"group":1,"reduction":[2,[1]]}"#,
    r#"{"id":true,"n":1e308,"a":[155,["é"]],"left":{"a":1},"right":{"b":1}}"#,
];

fn make_table(connection: &mut Connection, name: &str) {
    connection.value(&table_create(name));
    let table = table(name);
    for index in [
        format!("[75,[{table},\"n\"]]"),
        format!("[75,[{table},\"l\"],{{\"multi\":true}}]"),
        format!("[75,[{table},\"g\"],{{\"geo\":true}}]"),
    ] {
        connection.value(&index);
    }
    connection.value(&insert(name, &DOCUMENTS.map(str::to_owned)));
    connection.value(&index_wait(name));
}

/// Everything of an answer up to [`ROWS_MAX`] rows, as text; `None` when it does not come in time, which a query may do that
/// reads an endless sequence. Panics on a fault of the server's own.
fn ask(connection: &mut Connection, term: &str) -> Option<String> {
    let token = connection.send(&format!("[1,{term},{OPTIONS}]")).expect("the node takes it");
    let mut rows: Vec<Value> = Vec::new();
    let ended = loop {
        let received = connection.receive_within(ANSWER_WAIT).unwrap_or_else(|error| panic!("{term}\n {error}"));
        let (_, mut answer) = received?;
        match answer["t"].as_u64() {
            Some(2) | Some(3) => rows.append(answer["r"].as_array_mut().expect("rows come in arrays")),
            _ => {
                assert_ne!(answer["e"], INTERNAL, "{term}\n {answer}");
                break answer.to_string();
            }
        }
        if answer["t"] == 2 {
            break String::new();
        }
        let more = rows.len() < ROWS_MAX;
        connection.send_as(token, if more { "[2]" } else { "[3]" }).expect("the node takes it");
    };
    rows.truncate(ROWS_MAX);
    Some(format!("{}{ended}", Value::from(rows)))
}

/// Whether a query asks for chance, or for what is another each time.
fn by_chance(term: &str) -> bool {
    // random, sample, now, info (which estimates), uuid without a name.
    ["[151,", "[81,", "[103,", "[79,", "[169,[]"].iter().any(|call| term.contains(call))
}

/// Waits until no query runs but the one that asks.
fn wait_for_silence(connection: &mut Connection) {
    let begun = Instant::now();
    loop {
        let jobs = connection.rows(r#"[15,[[14,["rethinkdb"]],"jobs"]]"#);
        let queries: Vec<&Value> = jobs.iter().filter(|job| job["type"] == "query").collect();
        if queries.len() <= 1 {
            return;
        }
        assert!(begun.elapsed() < END_WAIT_MAX, "queries go on though nobody waits for them: {queries:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks random queries for some time; `check` answers whether each came to an end.
fn run(suite: &str, reach: Reach, check: impl Fn(&mut Connection, &str) -> bool) {
    let mut numbers = Numbers(seed(suite));
    let mut node = Node::start();
    let mut connection = node.connect();
    make_table(&mut connection, "t");
    make_table(&mut connection, "u");
    let (begun, mut asked, mut endless) = (Instant::now(), 0, 0);
    let time = Duration::from_secs(if full() { 180 } else { 6 });
    while begun.elapsed() < time {
        let bytes: Vec<u8> = (0..numbers.below(400)).map(|_| numbers.below(256) as u8).collect();
        let term = queries::term(&mut Input::new(&bytes), reach);
        asked += 1;
        if !check(&mut connection, &term) {
            endless += 1;
            connection = node.connect();
            wait_for_silence(&mut connection);
        }
        if asked % 500 == 0 {
            node.assert_well();
        }
    }
    assert_eq!(connection.value(&count(&table("t"))), DOCUMENTS.len(), "nobody writes to `t`");
    println!("{suite}: {asked} queries, {endless} of them endless; {} MiB", node.memory() >> 20);
    node.wait_memory_below(1 << 30, "after random queries");
    node.assert_well();
    node.terminate();
    node.check();
}

#[test]
fn reads_answer_the_same_again() {
    run("random reads", Reach::Read, |connection, term| {
        let Some(first) = ask(connection, term) else { return false };
        let Some(second) = ask(connection, term) else { return false };
        assert!(by_chance(term) || first == second, "{term}\n gives {first}\n and then {second}");
        true
    });
}

#[test]
fn writes_leave_what_a_check_accepts() {
    run("random writes", Reach::Write, |connection, term| ask(connection, term).is_some());
}

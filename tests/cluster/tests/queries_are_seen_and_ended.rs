//! `rethinkdb.jobs` shows every query that runs, and deleting its row ends it at once, whatever it is busy with.

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{FAR, busy, changes, count, index_create, index_wait, insert, table, table_create};
use photondb_test_cluster::{Connection, Node};
use serde_json::Value;

/// A killed query ends within a tenth of this on an idle machine; tests share theirs with others.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

const JOBS: &str = r#"[15,[[14,["rethinkdb"]],"jobs"]]"#;

/// Queries that are busy for hours, each with something else.
fn endless() -> Vec<(&'static str, String)> {
    let each = |body: &str| format!("[145,[[38,[{FAR},[69,[[2,[1]],{body}]]]]]]");
    let many = "[173,[60000]]";
    let t = table("t");
    let never = "[69,[[2,[2]],[19,[[170,[[10,[2]],\"n\"]],-1]]]]";
    let text = "word ".repeat(20_000);
    vec![
        ("pure computation", busy()),
        ("reduce", format!("[37,[{FAR},[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]]]")),
        (
            "nested folds",
            format!("[187,[{FAR},0,[69,[[2,[1,2]],[187,[{FAR},[10,[1]],[69,[[2,[3,4]],[24,[[10,[3]],1]]]]]]]]]]"),
        ),
        ("count of a range", count(FAR)),
        ("scan", each(&count(&format!("[39,[{t},{never}]]")))),
        ("index read", each(&count(&format!(r#"[39,[[182,[{t},0,90000],{{"index":"n"}}],{never}]]"#)))),
        ("get_all", each(&count(&format!(r#"[39,[[78,[{t},1,2,3,4,5],{{"index":"m"}}],{never}]]"#)))),
        ("sort", each(&count(&format!("[41,[[38,[{many},[69,[[2,[2]],{{\"n\":[28,[[10,[2]],977]]}}]]]],\"n\"]]")))),
        ("ordered read", each(&count(&format!(r#"[41,[{t},[74,["m"]],"n"]]"#)))),
        ("group", count(&format!("[144,[{FAR},[69,[[2,[1]],[28,[[10,[1]],10]]]]]]"))),
        ("distinct", format!("[42,[[38,[{FAR},[69,[[2,[1]],[28,[[10,[1]],10]]]]]]]]")),
        ("join", count(&format!("[48,[{FAR},{FAR},[69,[[2,[1,2]],false]]]]"))),
        ("join by key", count(&format!("[50,[[38,[{FAR},[69,[[2,[1]],{{\"k\":[28,[[10,[1]],100]]}}]]]],\"k\",{t}]]"))),
        ("insert", format!("[56,[{},[38,[{FAR},[69,[[2,[1]],{{\"a\":[10,[1]]}}]]]]]]", table("sink"))),
        ("update", format!("[68,[{FAR},[69,[[2,[1]],[53,[{t},{{\"b\":[10,[1]]}}]]]]]]")),
        ("long texts", each(&count(&format!(r#"[149,["{text}"]]"#)))),
        ("patterns", each(&format!(r#"[65,[[97,["{text}","(w|o|r|d| )*x$"]],1,2]]"#))),
    ]
}

fn with_tables(node: &Node) -> Connection {
    let mut connection = node.connect();
    for name in ["t", "sink"] {
        connection.value(&table_create(name));
    }
    connection.value(&index_create("t", "n"));
    connection.value(&index_create("t", "m"));
    let documents = |from: usize| {
        let one = |n: usize| format!(r#"{{"id":{n},"n":{n},"m":{},"pad":"{}"}}"#, n % 50, "p".repeat(100));
        (from..from + 1_000).map(one).collect::<Vec<_>>()
    };
    for part in 0..10 {
        connection.value(&insert("t", &documents(part * 1_000)));
    }
    connection.value(&index_wait("t"));
    connection
}

/// The row of the one query that is neither this one nor told to be left alone.
fn job_of(connection: &mut Connection, text: &str) -> Value {
    let begun = Instant::now();
    loop {
        let rows = connection.rows(JOBS);
        if let Some(row) = rows.into_iter().find(|row| row["info"]["query"].as_str().is_some_and(|q| q.contains(text)))
        {
            return row;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no job shows {text}");
    }
}

#[test]
fn a_killed_query_ends_at_once_whatever_it_does() {
    let mut node = Node::start();
    let mut admin = with_tables(&node);
    let mut slowest = Duration::ZERO;
    for (what, query) in endless() {
        let mut victim = node.connect();
        // A constant that names the query in its text.
        let token = victim.send(&format!("[1,[2,[\"victim\",{query}]]]")).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        let job = job_of(&mut admin, "\"victim\"");
        assert!(job["duration_sec"].as_f64().is_some_and(|lasts| lasts > 0.1), "{what}: {job}");
        let begun = Instant::now();
        let gone = admin.value(&format!("[54,[[16,[{JOBS},[2,{}]]]]]", job["id"]));
        assert_eq!(gone["deleted"], 1, "{what}: {gone}");
        let (answered, answer) = victim.receive().unwrap();
        let took = begun.elapsed();
        println!("{what}: ended in {took:?}");
        assert_eq!((answered, &answer["e"]), (token, &4_200_000.into()), "{what}: {answer}");
        assert_eq!(answer["r"][0], "Query terminated by the `rethinkdb.jobs` table.", "{what}");
        assert!(took < ENDS_WITHIN, "{what} ended after {took:?}");
        slowest = slowest.max(took);
        assert_eq!(victim.value("[24,[1,2]]"), 3, "{what}: its connection goes on");
    }
    println!("the slowest ended in {slowest:?}");
    node.wait_idle();
    node.assert_well();
}

#[test]
fn stop_and_a_closed_connection_end_them_as_soon() {
    let mut node = Node::start();
    let mut admin = with_tables(&node);
    for (number, (what, query)) in endless().into_iter().enumerate() {
        let mut victim = node.connect();
        let token = victim.send(&format!("[1,{query}]")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        let other = if number % 2 == 0 {
            victim.send_as(token, "[3]").unwrap();
            let (stopped, _) = victim.receive().unwrap();
            assert_eq!(stopped, token, "{what}");
            Some(victim)
        } else {
            drop(victim);
            None
        };
        // What is not listed any more, and does not compute any more, is over.
        while admin.rows(JOBS).len() > 1 {
            assert!(begun.elapsed() < ENDS_WITHIN, "{what} is still there after {:?}", begun.elapsed());
        }
        println!("{what}: over in {:?}", begun.elapsed());
        node.wait_idle();
        drop(other);
    }
    node.assert_well();
}

#[test]
fn a_row_says_who_asks_what_from_where_and_open_results_are_shown_too() {
    let mut node = Node::start();
    let mut admin = node.connect();
    admin.value(&table_create("t"));
    let own = admin.rows(JOBS);
    assert_eq!(own.len(), 1, "{own:?}");
    let row = &own[0];
    assert_eq!(row["info"]["query"], r#"r.db("rethinkdb").table("jobs")"#, "{row}");
    assert_eq!((&row["info"]["user"], &row["info"]["client_address"]), (&"admin".into(), &"127.0.0.1".into()), "{row}");
    assert!(row["info"]["client_port"].as_u64().is_some_and(|port| port > 0), "{row}");
    assert_eq!((&row["type"], &row["id"][0]), (&"query".into(), &"query".into()), "{row}");
    assert_eq!(row["id"][1].as_str().map(str::len), Some(36), "{row}");
    assert_eq!(row["servers"].as_array().map(Vec::len), Some(1), "{row}");

    // A feed with and one without somebody who waits for it.
    let mut waiting = node.connect();
    let token = waiting.send(&format!("[1,{}]", changes("t"))).unwrap();
    waiting.receive().unwrap();
    waiting.send_as(token, "[2]").unwrap();
    let mut idle = node.connect();
    idle.send(&format!("[1,{}]", changes("t"))).unwrap();
    idle.receive().unwrap();
    let feeds: Vec<Value> =
        admin.rows(JOBS).into_iter().filter(|row| row["info"]["query"] != own[0]["info"]["query"]).collect();
    assert_eq!(feeds.len(), 2, "{feeds:?}");
    assert_eq!(feeds[0]["info"]["query"], r#"r.db("test").table("t").changes()"#);
    for feed in &feeds {
        admin.value(&format!("[54,[[16,[{JOBS},[2,{}]]]]]", feed["id"]));
    }
    let (_, answer) = waiting.receive().unwrap();
    assert_eq!(answer["e"], 4_200_000, "{answer}");
    idle.send_as(1, "[2]").unwrap();
    let (_, answer) = idle.receive().unwrap();
    assert_eq!(answer["e"], 4_200_000, "{answer}");
    assert_eq!(admin.rows(JOBS).len(), 1);
    node.assert_well();
}

#[test]
fn only_rows_of_queries_can_be_deleted_and_nothing_else_written() {
    let mut node = Node::start();
    let mut admin = node.connect();
    let refused = admin.value(&format!(r#"[56,[{JOBS},{{"id":[2,["query","x"]]}}]]"#));
    assert_eq!(
        refused["first_error"],
        "The `rethinkdb.jobs` system table only allows deletions, not inserts or updates."
    );
    let none = admin.value(&format!(r#"[54,[[16,[{JOBS},[2,["query","00000000-0000-4000-8000-000000000000"]]]]]]"#));
    assert_eq!((&none["skipped"], &none["errors"]), (&1.into(), &0.into()), "{none}");
    // A query that deletes all rows ends itself as well.
    let answer = admin.run(&format!("[1,[54,[{JOBS}]]]")).unwrap();
    assert_eq!(answer["r"][0], "Query terminated by the `rethinkdb.jobs` table.", "{answer}");
    assert_eq!(admin.value("[24,[1,2]]"), 3);
    node.assert_well();
}

#[test]
fn a_query_as_long_as_a_message_is_shown_cut() {
    let mut node = Node::start();
    let mut admin = node.connect();
    let mut busy_one = node.connect();
    let numbers = (0..90_000).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let text = "x".repeat(5_000_000);
    let chain = "[24,[".repeat(9_000) + "1" + &",1]]".repeat(9_000);
    busy_one.send(&format!(r#"[1,[2,["marked",[2,[{numbers}]],"{text}",{chain},{}]]]"#, busy())).unwrap();
    let job = job_of(&mut admin, "marked");
    let shown = job["info"]["query"].as_str().unwrap().len();
    println!("a query of 5.5 MB is shown in {shown} bytes");
    assert!(shown < 1_000_000, "{shown}");
    drop(busy_one);
    node.wait_idle();
    node.assert_well();
}

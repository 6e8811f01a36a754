//! Servers with most replicas of a table are gone for good, or seem to be: `emergency_repair` goes on with what is left, writes go on,
//! the table gets its replicas back, and whoever comes back later has no say in it any more.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Output;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::{changes, count, insert, table};
use photondb_test_cluster::{Cluster, full, seed, text};
use serde_json::{Value, json};

const DOCUMENTS: u64 = 300;

/// Five nodes that miss each other soon.
fn five(name: &str) -> Cluster {
    let cluster = Cluster::start(5, seed(name));
    let sooner = r#"[53,[[16,[[15,[[14,["rethinkdb"]],"cluster_config"]],"heartbeat"]],{"heartbeat_timeout_secs":2}]]"#;
    assert_eq!(cluster.connect(0).value(sooner)["replaced"], 1);
    cluster
}

/// A table with a replica on each of these nodes, filled.
fn make(cluster: &Cluster, name: &str, nodes: &[usize]) {
    let names: Vec<String> = nodes.iter().map(|node| format!("n{node}")).collect();
    let names = json!([2, names]);
    let shard = format!(r#"{{"primary_replica":"n{}","replicas":{names}}}"#, nodes[0]);
    let row = format!(r#"{{"name":"{name}","db":"test","shards":[2,[{shard}]]}}"#);
    let mut asked = cluster.connect(0);
    let made = asked.value(&format!(r#"[56,[[15,[[14,["rethinkdb"]],"table_config"]],{row}]]"#));
    assert_eq!(made["inserted"], 1, "{made}");
    wait(cluster, name);
    put(cluster, name, 0);
}

fn put(cluster: &Cluster, name: &str, from: u64) {
    let documents: Vec<String> = (from..from + DOCUMENTS).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let put = cluster.connect(0).value(&insert(name, &documents));
    assert_eq!(put["inserted"], DOCUMENTS, "{put}{}", cluster.logs());
}

/// Until every replica that is wanted is ready.
fn wait(cluster: &Cluster, name: &str) {
    let ready = cluster.connect(0).value(&format!(r#"[177,[{}],{{"timeout":60}}]"#, table(name)));
    assert_eq!(ready["ready"], 1, "{ready}");
}

fn repair(name: &str, mode: &str, dry_run: bool) -> String {
    format!(r#"[176,[{}],{{"emergency_repair":"{mode}","dry_run":{dry_run}}}]"#, table(name))
}

/// A feed that gives tokens, or goes on by one.
fn resumed(token: &str) -> String {
    format!(r#"[152,[{}],{{"resume_token":{token}}}]"#, table("t"))
}

fn until(cluster: &Cluster, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Until node 0 finds these missing.
fn are_missed(cluster: &Cluster, nodes: &[usize]) {
    until(cluster, "they are missed", || {
        let said = cluster.ask(0, &["node", "list", "-o", "json"]);
        let nodes_now: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
        let is_up = |node: &usize| {
            let of = |found: &&Value| found["name"] == format!("n{node}");
            nodes_now.as_array().and_then(|all| all.iter().find(of)).is_none_or(|found| found["state"] == "up")
        };
        said.status.success() && !nodes.iter().any(is_up)
    });
}

fn wipe(cluster: &Cluster, node: usize) {
    for entry in std::fs::read_dir(cluster.node(node).data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

/// Names in their order; a configuration shows them in that of the servers' ids.
fn sorted(names: &Value) -> Vec<String> {
    let names = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn replicas(cluster: &Cluster, name: &str) -> Vec<String> {
    let config = cluster.connect(0).value(&format!("[174,[{}]]", table(name)));
    sorted(&config["shards"][0]["replicas"])
}

fn refused(said: &Output, expected: &str) {
    assert_eq!(said.status.code(), Some(1), "{}", text(said));
    assert!(text(said).contains(expected), "{}", text(said));
}

const NOT_NEEDED: &str = "This table doesn't need to be repaired.";

#[test]
fn what_the_survivor_had_is_kept_and_the_replicas_come_back() {
    let mut cluster = five("repair");
    make(&cluster, "t", &[1, 2, 3]);
    // Nothing is to be repaired, neither now nor while one is away.
    let (kind, said) = cluster.connect(0).failure(&repair("t", "unsafe_rollback", false));
    assert!(said.starts_with(NOT_NEEDED) && kind > 0, "{said}");
    refused(
        &cluster.ask(4, &["table", "reconfigure", "t", "--emergency-repair", "unsafe-rollback-or-erase"]),
        NOT_NEEDED,
    );
    let mut feeds = [0, 1, 4].map(|node| cluster.connect(node));
    for feed in &mut feeds {
        feed.send(&format!("[1,{}]", changes("t"))).unwrap();
    }
    let mut resumable = cluster.connect(0);
    let asked = resumable.send(&format!("[1,{}]", resumed("true"))).unwrap();
    put(&cluster, "t", DOCUMENTS);
    let token = loop {
        let (_, answer) = resumable.receive_within(PATIENCE).unwrap().expect("the feed tells of what was written");
        let last = answer["r"].as_array().and_then(|elements| elements.last()).map(|last| last["resume_token"].clone());
        match last {
            Some(Value::String(token)) => break token,
            _ => resumable.send_as(asked, "[2]").unwrap(),
        }
    };
    for node in [2, 3] {
        cluster.kill(node);
        wipe(&cluster, node);
    }
    are_missed(&cluster, &[2, 3]);

    // It is said what to do, in both tables of issues.
    for (of, issues) in [("photon_issues", "shard_without_majority"), ("current_issues", "table_availability")] {
        let rows = cluster.connect(0).rows(&format!(r#"[15,[[14,["rethinkdb"]],"{of}"]]"#));
        let issue = rows.iter().find(|row| row["type"] == issues).unwrap_or_else(|| panic!("{rows:?}"));
        let how = "photonctl table reconfigure test.t --emergency-repair unsafe-rollback";
        assert!(issue["description"].as_str().unwrap().contains(how), "{issue}");
    }
    let planned = cluster.connect(0).value(&repair("t", "unsafe_rollback", true));
    assert_eq!(planned["repaired"], 0, "{planned}");
    let shown = &planned["config_changes"][0];
    assert_eq!(sorted(&shown["old_val"]["shards"][0]["replicas"]), ["n1", "n2", "n3"], "{planned}");
    assert_eq!(shown["new_val"]["shards"][0]["primary_replica"], "n1");
    assert_eq!(sorted(&shown["new_val"]["shards"][0]["replicas"]), ["n0", "n1", "n4"], "{planned}");
    assert_eq!(replicas(&cluster, "t"), ["n1", "n2", "n3"], "a dry run changes nothing");
    let again = cluster.connect(1).value(&repair("t", "unsafe_rollback", true));
    assert_eq!(again["repaired"], 0, "{again}");

    let done = cluster.connect(4).value(&repair("t", "unsafe_rollback", false));
    assert_eq!(done["repaired"], 1, "{done}");
    assert_eq!(sorted(&done["config_changes"][0]["new_val"]["shards"][0]["replicas"]), ["n0", "n1", "n4"]);
    let after = &done["status_changes"][0]["new_val"];
    assert_eq!(
        (&after["status"]["ready_for_writes"], &after["shards"][0]["primary_replicas"][0]),
        (&true.into(), &"n1".into())
    );
    assert_eq!(cluster.connect(0).value(&count(&table("t"))), 2 * DOCUMENTS);
    put(&cluster, "t", 2 * DOCUMENTS);
    wait(&cluster, "t");
    let status = cluster.connect(0).value(&format!("[175,[{}]]", table("t")));
    assert_eq!(status["shards"][0]["replicas"].as_array().unwrap().len(), 3, "{status}");
    for (feed, node) in feeds.iter_mut().zip([0, 1, 4]) {
        let begun = Instant::now();
        let ended = loop {
            let (token, answer) =
                feed.receive_within(PATIENCE).unwrap().unwrap_or_else(|| panic!("the feed of n{node} is silent"));
            if answer["t"] != 3 {
                break answer;
            }
            assert!(begun.elapsed() < PATIENCE);
            feed.send_as(token, "[2]").unwrap();
        };
        assert_eq!(ended["t"], 18, "n{node}: {ended}");
        assert!(ended["r"][0].as_str().unwrap().contains("was repaired"), "n{node}: {ended}");
    }
    // Nor does anybody go on in the new group's log from a place in the old one's.
    for node in [0, 1, 4] {
        let (_, said) = cluster.connect(node).failure(&resumed(&format!(r#""{token}""#)));
        assert!(said.contains("was repaired"), "n{node}: {said}");
    }
    // Who was wiped comes back as somebody else, who has nothing.
    cluster.restart(&[2, 3]);
    assert_eq!(cluster.connect(2).value(&count(&table("t"))), 3 * DOCUMENTS);
    let (_, said) = cluster.connect(3).failure(&repair("t", "unsafe_rollback_or_erase", false));
    assert!(said.starts_with(NOT_NEEDED), "{said}");
    cluster.assert_whole(&[0, 1, 2, 3, 4]);
}

#[test]
fn a_shard_of_which_nothing_is_left_begins_empty_only_if_that_is_asked_for() {
    let mut cluster = five("erase");
    make(&cluster, "t", &[3, 4]);
    make(&cluster, "u", &[0, 1, 2]);
    cluster.kill(3);
    cluster.kill(4);
    are_missed(&cluster, &[3, 4]);
    let (_, said) = cluster.connect(0).failure(&repair("t", "unsafe_rollback", false));
    assert!(said.starts_with("One or more shards of this table have no available replicas."), "{said}");
    assert!(said.contains("`unsafe_rollback_or_erase`"), "{said}");
    let asked = ["table", "reconfigure", "t", "--emergency-repair", "unsafe-rollback"];
    refused(&cluster.ask(1, &asked), "have no available replicas");
    let (_, said) = cluster.connect(1).failure(&repair("u", "unsafe_rollback_or_erase", false));
    assert!(said.starts_with(NOT_NEEDED), "{said}");

    let erase = ["table", "reconfigure", "t", "--emergency-repair", "unsafe-rollback-or-erase"];
    let planned = cluster.ask(1, &[&erase[..], &["--dry-run"]].concat());
    assert!(planned.status.success() && text(&planned).contains("stays as it is"), "{}", text(&planned));
    assert_eq!(replicas(&cluster, "t"), ["n3", "n4"]);
    let done = cluster.ask(1, &erase);
    assert!(done.status.success() && text(&done).contains("has been repaired"), "{}", text(&done));
    wait(&cluster, "t");
    assert_eq!(cluster.connect(0).value(&count(&table("t"))), 0);
    put(&cluster, "t", 5_000);
    // The old ones come back with all that they had, and give it up.
    cluster.restart(&[3, 4]);
    until(&cluster, "all is well", || cluster.ask(0, &["cluster", "health"]).status.success());
    for node in 0..5 {
        assert_eq!(cluster.connect(node).value(&count(&table("t"))), DOCUMENTS, "n{node}");
        assert_eq!(cluster.connect(node).value(&count(&table("u"))), DOCUMENTS, "n{node}");
        let first = cluster.connect(node).value(&format!("[16,[{},0]]", table("t")));
        assert_eq!(first, Value::Null, "n{node}");
    }
    cluster.assert_whole(&[0, 1, 2, 3, 4]);
}

#[test]
fn the_survivor_may_be_killed_in_the_middle_and_the_others_may_come_back() {
    let mut cluster = five("survivor");
    for round in 0..if full() { 10 } else { 3 } {
        let name = format!("t{round}");
        make(&cluster, &name, &[1, 2, 3]);
        cluster.kill(2);
        cluster.kill(3);
        are_missed(&cluster, &[2, 3]);
        let mut asked = cluster.connect(0);
        let token = asked.send(&format!("[1,{}]", repair(&name, "unsafe_rollback", false))).unwrap();
        std::thread::sleep(Duration::from_millis(20 + 40 * round));
        cluster.kill(1);
        cluster.restart(&[1]);
        let (answered, answer) = asked.receive().unwrap();
        assert_eq!(answered, token);
        // Killed before the state was changed, it may be missed by now: then it is asked for again.
        if answer["r"][0]["repaired"] != 1 {
            until(&cluster, &format!("{answer}"), || {
                let again =
                    cluster.connect(0).run(&format!("[1,{}]", repair(&name, "unsafe_rollback", false))).unwrap();
                again["r"][0]["repaired"] == 1
                    || again["r"][0].as_str().is_some_and(|said| said.starts_with(NOT_NEEDED))
            });
        }
        until(&cluster, "it is served", || {
            let counted = cluster.connect(0).run(&format!("[1,{}]", count(&table(&name)))).unwrap();
            counted["r"][0] == DOCUMENTS
        });
        put(&cluster, &name, DOCUMENTS);
        cluster.restart(&[2, 3]);
        wait(&cluster, &name);
        for node in 0..5 {
            assert_eq!(cluster.connect(node).value(&count(&table(&name))), 2 * DOCUMENTS, "n{node} in round {round}");
        }
    }
    cluster.assert_whole(&[0, 1, 2, 3, 4]);
}

//! A table with two replicas that vote, on nodes of one tag, and one that never does, on a node of another tag: it is filled, split and joined
//! with the others and read by whoever takes old answers, no write waits for it and none is saved by it; and it votes once that is
//! asked for.

use std::time::{Duration, Instant};

use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Cluster, seed};
use serde_json::Value;

const TABLE: &str = "watched";

/// Where primaries are, and where nobody votes.
const VOTING: [usize; 2] = [0, 1];
const WATCHING: [usize; 2] = [2, 3];

/// Documents that are put in at once.
const BATCH: u64 = 50;

/// How long a write that cannot be acknowledged is waited for.
const NO_ANSWER: Duration = Duration::from_secs(3);

fn give_tag(cluster: &Cluster, node: usize, tag: &str) {
    let servers = r#"[15,[[14,["rethinkdb"]],"server_config"]]"#;
    let update = format!(r#"[53,[[39,[{servers},{{"name":"n{node}"}}]],{{"tags":[2,["{tag}"]]}}]]"#);
    let answer = cluster.connect(0).value(&update);
    assert_eq!((&answer["replaced"], &answer["errors"]), (&1.into(), &0.into()), "{answer}");
}

/// The options of a table whose replicas lie so.
fn layout(shards: usize, nonvoting: bool) -> String {
    let never = if nonvoting { r#"["b"]"# } else { "[]" };
    format!(
        r#"{{"shards":{shards},"replicas":{{"a":2,"b":1}},"primary_replica_tag":"a","nonvoting_replica_tags":[2,{never}]}}"#
    )
}

fn wait(cluster: &Cluster, node: usize) {
    let all = format!(r#"[177,[{}],{{"wait_for":"all_replicas_ready","timeout":60}}]"#, table(TABLE));
    let ready = cluster.connect(node).value(&all);
    assert_eq!(ready["ready"], 1, "{ready}");
}

/// Waits until so many replicas of each shard vote, and so many do not, and nobody is on the way.
fn await_roles(cluster: &Cluster, node: usize, voters: usize, nonvoting: usize) {
    let begun = Instant::now();
    loop {
        let said = cluster.ask(node, &["shard", "list", "-o", "json"]);
        let shards: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
        let lies_so = |shard: &Value| {
            let members = shard["members"].as_array().cloned().unwrap_or_default();
            let of = |role: &str| members.iter().filter(|member| member["role"] == role).count();
            (members.len(), of("voter"), of("nonvoting")) == (voters + nonvoting, voters, nonvoting)
        };
        let of_table = || shards.as_array().into_iter().flatten().filter(|shard| shard["table"] == TABLE);
        if of_table().count() > 0 && of_table().all(lies_so) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{voters} voters and {nonvoting} others are wanted: {shards}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Asked until it is done, and waited for until there are as many shards as that.
fn reconfigure(cluster: &Cluster, node: usize, shards: usize, nonvoting: bool) {
    let begun = Instant::now();
    let asked = format!("[1,[176,[{}],{}]]", table(TABLE), layout(shards, nonvoting));
    loop {
        match cluster.connect(node).run(&asked) {
            Ok(answer) if answer["t"] == 1 => break,
            said => assert!(begun.elapsed() < PATIENCE, "{said:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    while cluster.leaders(node, TABLE).len() != shards {
        assert!(begun.elapsed() < PATIENCE, "there are no {shards} shards");
        std::thread::sleep(Duration::from_millis(100));
    }
    wait(cluster, node);
    let (voters, others) = if nonvoting { (2, 1) } else { (3, 0) };
    await_roles(cluster, node, voters, others);
}

/// Of each shard the nodes that hold it, and those of them that never vote.
fn places(cluster: &Cluster, node: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
    let config = cluster.connect(node).value(&format!("[174,[{}]]", table(TABLE)));
    let numbers = |names: &Value| -> Vec<usize> {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut numbers: Vec<usize> = names.filter_map(|name| name.strip_prefix('n')?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    let shards = config["shards"].as_array().cloned().unwrap_or_default();
    assert!(!shards.is_empty(), "{config}");
    shards.iter().map(|shard| (numbers(&shard["replicas"]), numbers(&shard["nonvoting_replicas"]))).collect()
}

fn write(cluster: &Cluster, node: usize, from: u64) {
    let documents: Vec<String> = (from..from + BATCH).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    // What an earlier try has written is written again.
    let asked = format!(r#"[1,[56,[{},[2,[{}]]],{{"conflict":"replace"}}]]"#, table(TABLE), documents.join(","));
    let begun = Instant::now();
    loop {
        match cluster.connect(node).run(&asked) {
            Ok(answer) if answer["t"] == 1 && answer["r"][0]["errors"] == 0 => return,
            said => assert!(begun.elapsed() < PATIENCE, "{said:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until this node, asked for whatever it has, has so many.
fn await_outdated(cluster: &Cluster, node: usize, wanted: u64) {
    let outdated = format!(r#"[15,[[14,["test"]],"{TABLE}"],{{"read_mode":"outdated"}}]"#);
    let begun = Instant::now();
    loop {
        let said = cluster.connect(node).run(&format!("[1,{}]", count(&outdated)));
        if said.as_ref().is_ok_and(|answer| answer["r"][0] == wanted) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{said:?} and not {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn it_is_read_counts_for_no_write_and_votes_when_that_is_asked_for() {
    let mut cluster = Cluster::start(4, seed("nonvoting"));
    VOTING.iter().for_each(|node| give_tag(&cluster, *node, "a"));
    WATCHING.iter().for_each(|node| give_tag(&cluster, *node, "b"));
    let create = format!(r#"[60,[[14,["test"]],"{TABLE}"],{}]"#, layout(1, true));
    assert_eq!(cluster.connect(0).value(&create)["tables_created"], 1);
    wait(&cluster, 0);
    let (all, watching) = places(&cluster, 0)[0].clone();
    let [watcher] = watching[..] else { panic!("one replica is never to vote: {watching:?}") };
    assert!(WATCHING.contains(&watcher) && all == [0, 1, watcher], "{all:?}");
    write(&cluster, 0, 0);
    await_outdated(&cluster, watcher, BATCH);

    // It goes through a split and a join as the others do.
    for (turn, shards) in [3, 1].into_iter().enumerate() {
        reconfigure(&cluster, watcher, shards, true);
        for (holding, never) in places(&cluster, 0) {
            assert_eq!((holding.len(), never.len()), (3, 1), "{shards} shards");
            assert!(WATCHING.contains(&never[0]), "{never:?}");
        }
        write(&cluster, watcher, (turn as u64 + 1) * BATCH);
        assert_eq!(cluster.connect(1).value(&count(&table(TABLE))), (turn as u64 + 2) * BATCH);
    }
    let watcher = places(&cluster, 0)[0].1[0];
    await_outdated(&cluster, watcher, 3 * BATCH);

    // Without it writes go on.
    cluster.kill(watcher);
    write(&cluster, 0, 3 * BATCH);
    cluster.restart(&[watcher]);
    await_outdated(&cluster, watcher, 4 * BATCH);

    // With one voter of two there is no majority, and it makes none; whoever takes old answers has them.
    let leader = cluster.leaders(watcher, TABLE)[0];
    let dies = VOTING[usize::from(leader == VOTING[0])];
    cluster.kill(dies);
    let mut writer = cluster.connect(leader);
    let insert = insert(TABLE, &[r#"{"id":"alone"}"#.to_owned()]);
    writer.send(&format!("[1,{insert}]")).expect("the node takes it");
    let said = writer.receive_within(NO_ANSWER).expect("the node is there");
    assert!(said.as_ref().is_none_or(|(_, answer)| answer["r"][0]["inserted"] != 1), "{said:?}");
    await_outdated(&cluster, watcher, 4 * BATCH);
    cluster.restart(&[dies]);
    write(&cluster, watcher, 4 * BATCH);

    // It is told to vote: then any one of the three may go.
    reconfigure(&cluster, 0, 1, false);
    let (all, watching) = places(&cluster, 0)[0].clone();
    assert_eq!((all.len(), watching.len()), (3, 0));
    cluster.kill(dies);
    write(&cluster, watcher, 5 * BATCH);
    cluster.restart(&[dies]);
    cluster.await_health(0);
    let documents = cluster.connect(dies).value(&count(&table(TABLE)));
    // The one whose fate nobody was told may be there.
    assert!(documents == 6 * BATCH || documents == 6 * BATCH + 1, "{documents}");
    cluster.assert_whole(&[0, 1, 2, 3]);
}

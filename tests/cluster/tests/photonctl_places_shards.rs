//! With three nodes: leaders are handed over, replicas are moved, and the cluster is shown as it is.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Output;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, photonctl, text};
use serde_json::Value;

fn ask(node: &Node, arguments: &[&str]) -> Output {
    let address = format!("127.0.0.1:{}", node.ports().cluster);
    photonctl(&[&["--address", &address, "--timeout", "30"], arguments].concat())
}

fn done(node: &Node, arguments: &[&str]) -> String {
    let said = ask(node, arguments);
    assert!(said.status.success(), "{arguments:?}: {}", text(&said));
    String::from_utf8(said.stdout).unwrap()
}

fn json(node: &Node, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(node, &[arguments, &["-o", "json"]].concat())).unwrap()
}

fn shard(node: &Node, id: &str) -> Value {
    let shards = json(node, &["shard", "list"]);
    shards.as_array().unwrap().iter().find(|shard| shard["id"].as_u64() == id.parse().ok()).unwrap().clone()
}

fn nodes_of(shard: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        shard["members"].as_array().unwrap().iter().map(|member| member["node"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn refused(node: &Node, arguments: &[&str], expected: &str) {
    let said = ask(node, arguments);
    assert_eq!(said.status.code(), Some(1), "{arguments:?}: {}", text(&said));
    assert!(text(&said).contains(expected), "{arguments:?}: {}", text(&said));
}

#[test]
fn leaders_are_handed_over_and_replicas_moved() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    let documents: Vec<String> = (0..500).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    assert_eq!(nodes[0].connect().value(&insert("t", &documents))["inserted"], 500);
    let begun = Instant::now();
    while !ask(&nodes[0], &["cluster", "health"]).status.success() {
        assert!(begun.elapsed() < PATIENCE, "the cluster is not healthy");
    }

    let status = json(&nodes[1], &["cluster", "status"]);
    assert_eq!((&status["nodes"], &status["nodes_up"]), (&3.into(), &3.into()));
    assert_eq!(
        (&status["tables"], &status["shards_healthy"], &status["shards_unhealthy"]),
        (&1.into(), &2.into(), &0.into())
    );

    // Any of the three can be made to lead, whichever is asked.
    let shards = json(&nodes[0], &["shard", "list"]);
    let id = shards[0]["id"].to_string();
    for (turn, name) in nodes_of(&shards[0]).iter().enumerate() {
        let said = done(&nodes[turn], &["shard", "transfer-leader", &id, name]);
        assert!(said.contains(&format!("`{name}` leads shard {id}")), "{said}");
        assert_eq!(shard(&nodes[2], &id)["leader"], name.as_str());
        assert_eq!(nodes[turn].connect().value(&count(&table("t"))), 500);
    }
    let topology = done(&nodes[0], &["cluster", "topology"]);
    let (last, other) = (nodes_of(&shards[0]).pop().unwrap(), format!("shard {id} of test.t: leader"));
    let below = topology.split(&format!("    {last}: ")).nth(1).unwrap().split("\n    ").collect::<Vec<_>>();
    assert!(below.iter().take(3).any(|line| line.trim() == other), "{topology}");

    // A fourth takes a place of the third.
    let mut fourth = secret.node(&[&nodes[0]]);
    fourth.restart();
    let fourth_name = json(&fourth, &["node", "info"])["name"].as_str().unwrap().to_owned();
    refused(&nodes[0], &["shard", "transfer-leader", &id, &fourth_name], "has no voting replica");
    refused(&nodes[0], &["shard", "move", &id, &fourth_name, &last], "has no replica of shard");
    refused(&nodes[0], &["shard", "move", &id, &last, "nobody"], "there is no server `nobody`");
    refused(&nodes[0], &["shard", "move", "999", &last, &fourth_name], "there is no shard 999");
    let second = nodes_of(&shards[0])[1].clone();
    refused(&nodes[0], &["shard", "move", &id, &last, &second], "has a replica of shard");
    done(&nodes[0], &["shard", "move", &id, &last, &fourth_name]);
    let moved = nodes_of(&shard(&nodes[1], &id));
    assert!(moved.contains(&fourth_name) && !moved.contains(&last) && moved.len() == 3, "{moved:?}");
    done(&nodes[0], &["shard", "transfer-leader", &id, &fourth_name]);
    assert_eq!(fourth.connect().value(&count(&table("t"))), 500);
    // It is cut at a key that is named, or where its documents are divided evenly.
    // They are counted by who is asked: the first node may be the one that has no replica any more.
    let whole = shard(&fourth, &id)["documents"].as_u64().unwrap();
    refused(&nodes[0], &["shard", "split", "999"], "there is no shard 999");
    let said = ask(&nodes[0], &["shard", "split", &id, "--at", "m"]);
    assert!(said.status.code() == Some(2) && text(&said).contains("stands in quotes"), "{}", text(&said));
    let new = json(&nodes[1], &["shard", "split", &id]);
    let begun = Instant::now();
    let parts = loop {
        let listed = json(&fourth, &["shard", "list"]);
        let part = |id: &Value| listed.as_array().unwrap().iter().find(|shard| shard["id"] == *id).cloned();
        let parts = [part(&id.parse::<u64>().unwrap().into()), part(&new["id"])];
        match parts.map(|part| part.filter(|part| part["documents"].is_u64())) {
            [Some(left), Some(right)] => break [left, right],
            // It has not heard of the new one yet, or has not started its replica.
            _ => assert!(begun.elapsed() < PATIENCE, "{listed}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let documents: Vec<u64> = parts.iter().map(|part| part["documents"].as_u64().unwrap()).collect();
    assert_eq!((documents[0] + documents[1], documents[0].abs_diff(documents[1]) <= 1), (whole, true), "{documents:?}");
    refused(&nodes[0], &["shard", "split", &id, "--at", "\"zzz\""], "is not within shard");
    let at = parts[1]["range"]["start"].as_str().unwrap();
    assert_eq!(parts[0]["range"]["end"], at, "the second begins where the first ends");
    assert_eq!(fourth.connect().value(&count(&table("t"))), 500);
    // Who asks again is told of what has been done.
    let first = parts[1]["keys"].as_str().unwrap().split(" .. ").next().unwrap();
    assert_eq!(json(&nodes[2], &["shard", "split", &id, "--at", first])["id"], new["id"]);
    refused(&nodes[2], &["shard", "split", &new["id"].to_string(), "--at", first], "is its first one");
    let last = shards[1]["id"].to_string();
    refused(&nodes[2], &["shard", "split", &last, "--at", first], "is not within shard");

    // And back again.
    refused(&nodes[0], &["shard", "merge", &id], "is the first one of its table");
    done(&nodes[2], &["shard", "merge", &new["id"].to_string()]);
    let listed = json(&nodes[2], &["shard", "list"]);
    let ids: Vec<String> = listed.as_array().unwrap().iter().map(|shard| shard["id"].to_string()).collect();
    assert_eq!(ids, [id.clone(), last]);
    assert_eq!(fourth.connect().value(&count(&table("t"))), 500);
}

//! A replica that is filled by a snapshot is one job of `jobs`, whichever server is asked, from its beginning to its end.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::terms::{insert, table};
use photondb_test_cluster::{Cluster, Weather};
use serde_json::Value;

/// What the only replica holds, in documents and in bytes of each.
const DOCUMENTS: usize = 160;
const DOCUMENT_BYTES: usize = 100_000;

/// What the link from it to others carries: the snapshot takes some seconds.
const BYTES_PER_SECOND: u64 = 3 << 20;

/// With the last of them the one before the last but one has been made use of.
const CHECKPOINTS: usize = 4;

/// The node checkpoints by itself after a minute at the latest.
const CHECKPOINT_TIME_MAX: Duration = Duration::from_secs(120);

fn system(name: &str) -> String {
    format!(r#"[15,[[14,["rethinkdb"]],"{name}"]]"#)
}

fn backfills(cluster: &Cluster, node: usize) -> Vec<Value> {
    let rows = cluster.connect(node).rows(&system("jobs"));
    rows.into_iter().filter(|row| row["type"] == "backfill").collect()
}

/// One that no compression makes much smaller, by xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
fn text(seed: u64) -> String {
    let mut state = seed + 1;
    let mut draw = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        char::from(b'0' + (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 58) as u8)
    };
    (0..DOCUMENT_BYTES).map(|_| draw()).filter(|drawn| *drawn != '\\').collect()
}

fn checkpoints(cluster: &Cluster, node: usize) -> u64 {
    let rows = cluster.connect(node).rows(&system("_debug_stats"));
    rows[0]["stats"]["storage"]["checkpoints_total"].as_u64().unwrap()
}

#[test]
fn a_snapshot_on_its_way_is_one_job_for_every_server_that_is_asked() {
    let cluster = Cluster::start(3, 11);
    let mut admin = cluster.connect(0);
    cluster.make_table(0, "t", 1, 1);
    let number = cluster.leaders(0, "t")[0];
    let source = format!("n{number}");
    let document = |id: usize| format!(r#"{{"id":{id},"text":"{}"}}"#, text(id as u64));
    for begin in (0..DOCUMENTS).step_by(10) {
        let some: Vec<String> = (begin..begin + 10).map(document).collect();
        assert_eq!(admin.value(&insert("t", &some))["inserted"], 10);
    }
    // The log is kept behind the last checkpoint but one. Once it begins later than the table, who comes new gets a snapshot.
    for _ in 0..CHECKPOINTS {
        let (before, begun) = (checkpoints(&cluster, number), Instant::now());
        // What a table had is freed by a checkpoint, at once.
        cluster.make_table(0, "dropped", 1, 3);
        assert_eq!(admin.value(r#"[61,[[14,["test"]],"dropped"]]"#)["tables_dropped"], 1);
        while checkpoints(&cluster, number) == before {
            assert!(begun.elapsed() < CHECKPOINT_TIME_MAX, "there is no checkpoint");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert_eq!(backfills(&cluster, 0), Vec::<Value>::new());

    for other in (0..3).filter(|other| *other != number) {
        let (delay, jitter) = (Duration::ZERO, Duration::ZERO);
        cluster.network.set(number, other, Weather::Slow { delay, jitter, bytes_per_second: BYTES_PER_SECOND });
    }
    // It may answer only when the replica is there.
    let mut asking = cluster.connect(0);
    asking.send(&format!(r#"[1,[176,[{}],{{"shards":1,"replicas":2}}]]"#, table("t"))).unwrap();
    let begun = Instant::now();
    let (mut seen_by, mut seen): (BTreeSet<usize>, Vec<Value>) = (BTreeSet::new(), Vec::new());
    while seen_by.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "not every server shows it: {seen_by:?} of {seen:?}");
        for node in 0..3 {
            let jobs = backfills(&cluster, node);
            assert!(jobs.len() <= 1, "one replica, one job: {jobs:?}");
            let between = |job: &Value| job["info"]["progress"].as_f64().is_some_and(|part| 0.0 < part && part < 1.0);
            seen_by.extend(jobs.iter().any(between).then_some(node));
            seen.extend(jobs);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for job in &seen {
        let info = &job["info"];
        let other = info["destination_server"].as_str().unwrap();
        assert_eq!(
            (&info["db"], &info["table"], &info["source_server"]),
            (&"test".into(), &"t".into(), &source.as_str().into()),
            "{job}"
        );
        let between: BTreeSet<&str> =
            job["servers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(between, BTreeSet::from([source.as_str(), other]), "{job}");
        assert!(other != source && job["duration_sec"].as_f64().is_some(), "{job}");
        assert_eq!((&job["id"][0], &job["id"][1]), (&"backfill".into(), &seen[0]["id"][1]), "{job}");
    }
    // It goes on whatever anybody says.
    let gone = admin.value(&format!("[54,[[16,[{},[2,{}]]]]]", system("jobs"), seen[0]["id"]));
    assert_eq!(gone["first_error"], "Jobs of type `backfill` cannot be interrupted.", "{gone}");

    cluster.network.heal();
    let ready = admin.value(&format!(r#"[177,[{}],{{"wait_for":"all_replicas_ready"}}]"#, table("t")));
    assert_eq!(ready["ready"], 1, "{ready}");
    let begun = Instant::now();
    while (0..3).any(|node| !backfills(&cluster, node).is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "what is filled is still shown: {:?}", backfills(&cluster, 0));
        std::thread::sleep(Duration::from_millis(100));
    }
}

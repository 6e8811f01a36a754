//! A child overwrites in synced groups and is killed in the middle; what was acknowledged must be there.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::{Arguments, Mode};
use super::data::{Pair, key, value};
use super::measure::rounded;
use super::store::Store;

/// The opening after the kill, and the one after the clean end of that.
pub fn kill_and_reopen(arguments: &Arguments) -> (Value, Value) {
    let acknowledged = arguments.directory.with_extension("acks");
    let _ = fs::remove_file(&acknowledged);
    let arguments = &Arguments { acknowledged: Some(acknowledged.clone()), ..arguments.clone() };
    let mut child = arguments.command(Mode::Churn).spawn().expect("this program starts");
    std::thread::sleep(Duration::from_secs_f64(arguments.seconds + 1.0));
    child.kill().expect("it runs until it is killed");
    child.wait().expect("it has ended");
    let reopen = || {
        let output = arguments.command(Mode::Reopen).output().expect("this program starts");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| json!({"failed": true, "stderr": String::from_utf8_lossy(&output.stderr)}))
    };
    let figures = (reopen(), reopen());
    let _ = fs::remove_file(&acknowledged);
    figures
}

/// Overwrites until killed. Round r writes the value of seed `MAX - r` to keys that no other round touches until the keys
/// are used up, so a lost group shows.
pub fn churn(arguments: &Arguments) {
    let Arguments { keys, value_bytes, .. } = *arguments;
    let store = Store::open(arguments);
    let path = arguments.acknowledged.as_ref().expect("the parent names it");
    let mut acknowledged = fs::File::create(path).expect("the directory is writable");
    for round in 0u64.. {
        let group: Vec<Pair> =
            (0..100).map(|at| (key((round * 100 + at) % keys), value(u64::MAX - round, value_bytes))).collect();
        store.put(&group);
        writeln!(acknowledged, "{round}").expect("the disk works");
    }
}

/// Opens, answers one get, and looks for every acknowledged row.
pub fn reopen(arguments: &Arguments) -> Value {
    let keys = arguments.keys;
    let start = Instant::now();
    let store = Store::open(arguments);
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    store.get(&key(0), &mut |_| {});
    let first_ms = start.elapsed().as_secs_f64() * 1e3;
    let path = arguments.acknowledged.as_ref().expect("the parent names it");
    let text = fs::read_to_string(path).unwrap_or_default();
    let groups = text.lines().count() as u64;
    // Each key must hold its last acknowledged group's value, or a later one.
    let mut lost = 0u64;
    for row in 0..(groups * 100).min(keys) {
        let last = (groups - 1 - row / 100) / (keys / 100) * (keys / 100) + row / 100;
        let mut right = false;
        store.get(&key(row), &mut |found| {
            right = found == value(u64::MAX - last, found.len())
                || found == value(u64::MAX - last - keys / 100, found.len())
                || (last + 1 >= groups && !found.is_empty());
        });
        lost += u64::from(!right);
    }
    let opened = store.opened();
    let replay_seconds = opened.replay.as_secs_f64();
    json!({
        "open_ms": rounded(open_ms), "first_get_ms": rounded(first_ms), "acked_groups": groups, "lost_rows": lost,
        "engine_open_ms": rounded(opened.engine.as_secs_f64() * 1e3), "replay_ms": rounded(replay_seconds * 1e3),
        "replayed_mb": rounded(opened.replayed_bytes as f64 / 1e6), "log_mb": rounded(opened.log_bytes as f64 / 1e6),
        "replay_mb_s": rounded(opened.replayed_bytes as f64 / 1e6 / replay_seconds.max(1e-9)),
    })
}

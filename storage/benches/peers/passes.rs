//! The work of the peers' benchmark: load, warm gets, scans, synced groups of 1, 100 and 1000, a kill, two openings.

use std::time::Instant;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::crash;
use super::data::{Pair, draw_group, key, mix64, value};
use super::measure::{Latencies, disk_bytes, load, process_cpu, resident_mib, rounded};
use super::store::Store;

/// Loads every row, 1000 to a synced group, in an order unrelated to that of the keys.
pub fn load_rows(store: &Store, keys: u64, make: impl Fn(u64) -> Vec<u8>) {
    for group in 0..keys / 1000 {
        let group: Vec<Pair> = (group * 1000..(group + 1) * 1000).map(|row| (key(row), make(row))).collect();
        store.put(&group);
    }
}

/// Synced overwrites in groups for a while.
pub fn groups(
    keys: u64,
    value_bytes: usize,
    count: usize,
    seconds: f64,
    seed: u64,
    mut put: impl FnMut(&[Pair]),
) -> Value {
    let mut latencies = Latencies::default();
    let (start, cpu) = (Instant::now(), process_cpu());
    let (mut written, mut drawn) = (0u64, seed);
    while start.elapsed().as_secs_f64() < seconds {
        let group = draw_group(&mut drawn, count, keys, value_bytes);
        let began = Instant::now();
        put(&group);
        latencies.record(began.elapsed());
        written += count as u64;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let mut figures = latencies.summary();
    figures["puts_s"] = json!((written as f64 / elapsed).round());
    figures["cpu_us_per_put"] = json!(rounded((process_cpu() - cpu) * 1e6 / written as f64));
    figures
}

/// All of it, as one line of figures.
pub fn engine(arguments: &Arguments) -> Value {
    let Arguments { directory, keys, value_bytes, seconds, .. } = arguments;
    let (keys, value_bytes, seconds) = (*keys, *value_bytes, *seconds);
    let _ = std::fs::remove_dir_all(directory);
    let load1 = load();
    let store = Store::open(arguments);
    let (start, cpu) = (Instant::now(), process_cpu());
    load_rows(&store, keys, |row| value(row, value_bytes));
    let (load_seconds, load_cpu) = (start.elapsed().as_secs_f64(), process_cpu() - cpu);
    let user_bytes = keys as f64 * (16 + value_bytes) as f64;
    let amplification_load = disk_bytes(directory) as f64 / user_bytes;

    for row in 0..keys {
        let (want, mut right) = (value(row, value_bytes), false);
        store.get(&key(row), &mut |found| right = found == want);
        assert!(right, "lost row {row}");
    }
    let (gets_s, get, drawn) = gets(&store, keys, value_bytes, seconds);
    let (scan_rows, scan_mb) = full_scans(&store, keys, seconds);
    let scans_s = short_scans(&store, keys, seconds, drawn);

    let [one, hundred, thousand] = [(1, 11), (100, 12), (1000, 13)]
        .map(|(count, seed)| groups(keys, value_bytes, count, seconds, seed, |group| store.put(group)));
    let rss = resident_mib();
    let amplification_churn = disk_bytes(directory) as f64 / user_bytes;
    drop(store);

    let (crash, clean) = crash::kill_and_reopen(arguments);
    let figures = json!({
        "bench": "engine", "engine": "photondb", "keys": keys, "value": value_bytes, "load1": load1,
        "load_puts_s": (keys as f64 / load_seconds).round(),
        "load_cpu_us_per_put": rounded(load_cpu * 1e6 / keys as f64),
        "group1": one, "group100": hundred, "group1000": thousand,
        "gets_s": gets_s.round(), "get": get,
        "scan_rows_s": scan_rows.round(), "scan_mb_s": scan_mb.round(), "scan100_s": scans_s.round(),
        "space_amp_load": rounded(amplification_load), "space_amp_churn": rounded(amplification_churn),
        "rss_mib": rss, "reopen_after_kill9": crash, "reopen_clean": clean,
        "cache_mib": arguments.cache_bytes >> 20, "dirty_mib": arguments.dirty_bytes >> 20,
    });
    let _ = std::fs::remove_dir_all(directory);
    figures
}

fn gets(store: &Store, keys: u64, value_bytes: usize, seconds: f64) -> (f64, Value, u64) {
    let mut latencies = Latencies::default();
    let (mut count, mut sum, mut drawn) = (0u64, 0usize, 1u64);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        for _ in 0..32 {
            drawn = mix64(drawn);
            let key = key(drawn % keys);
            let began = Instant::now();
            assert!(store.get(&key, &mut |value| sum += value.len()));
            latencies.record(began.elapsed());
        }
        count += 32;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    assert_eq!(sum as u64, count * value_bytes as u64);
    (rate, latencies.summary(), drawn)
}

fn full_scans(store: &Store, keys: u64, seconds: f64) -> (f64, f64) {
    let start = Instant::now();
    let (mut rows, mut bytes, mut passes) = (0usize, 0usize, 0);
    while passes == 0 || start.elapsed().as_secs_f64() < seconds {
        let (found, found_bytes) = store.scan(&[0; 16], usize::MAX);
        assert_eq!(found as u64, keys, "the scan lost rows");
        rows += found;
        bytes += found_bytes;
        passes += 1;
    }
    let elapsed = start.elapsed().as_secs_f64();
    (rows as f64 / elapsed, bytes as f64 / elapsed / 1e6)
}

fn short_scans(store: &Store, keys: u64, seconds: f64, mut drawn: u64) -> f64 {
    let start = Instant::now();
    let mut scans = 0u64;
    while start.elapsed().as_secs_f64() < seconds / 2.0 {
        drawn = mix64(drawn);
        store.scan(&key(drawn % keys), 100);
        scans += 1;
    }
    scans as f64 / start.elapsed().as_secs_f64()
}

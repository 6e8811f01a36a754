//! What only this engine is asked for: one synced put against the bare sync, counts against scans, space, readers beside
//! a writer, compression.

use std::ops::Bound;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use photondb_storage::{Compression, Direction, KeyRange};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::data::{document, value};
use super::measure::{Latencies, bare_sync, disk_bytes, disk_bytes_of, load, resident_max_mib, rounded};
use super::passes::{groups, load_rows};
use super::store::{LogWriter, Store, TREE};
use super::{churn, readers};

/// All of it, as one line of figures.
pub fn run(arguments: &Arguments) -> Value {
    let Arguments { directory, keys, value_bytes, seconds, .. } = arguments;
    let (keys, value_bytes) = (*keys, *value_bytes);
    let _ = std::fs::remove_dir_all(directory);
    let load1 = load();
    let store = Store::open(arguments);
    load_rows(&store, keys, |row| value(row, value_bytes));
    store.rest();
    let user_bytes = keys as f64 * (16 + value_bytes) as f64;
    let after_load = amplification(directory, user_bytes);
    let counts = counts(&store, keys);
    let single = single_puts(&store, arguments);
    let eight = readers::beside_writer(&store, arguments);
    let churned = churn::heavy(&store, arguments, user_bytes);
    store.rest();
    let after_churn = amplification(directory, user_bytes);
    let metrics = store.engine().metrics();
    drop(store);
    let _ = std::fs::remove_dir_all(directory);
    json!({
        "bench": "extras", "engine": "photondb", "keys": keys, "load1": load1, "seconds": seconds,
        "cache_mib": arguments.cache_bytes >> 20, "dirty_mib": arguments.dirty_bytes >> 20,
        "space_load_rest": after_load, "space_churn": churned, "space_churn_rest": after_churn,
        "counts": counts, "single": single, "readers": eight, "rss_max_mib": resident_max_mib(),
        "page_file_mib": metrics.page_file_bytes >> 20, "page_file_used_mib": metrics.page_file_used_bytes >> 20,
        "compressible": compressible(arguments),
    })
}

/// Space on disk for each byte of keys and values: all, and the part of the log.
pub fn amplification(directory: &Path, user_bytes: f64) -> Value {
    let pages = disk_bytes_of(directory, &|name| name == "pages" || name.starts_with("pages"));
    let all = disk_bytes(directory);
    json!({"all": rounded(all as f64 / user_bytes), "pages": rounded(pages as f64 / user_bytes),
           "log": rounded((all - pages) as f64 / user_bytes)})
}

/// Documents as people keep them, compressed.
fn compressible(arguments: &Arguments) -> Value {
    let mut arguments = Arguments { compression: Compression::Lz4, ..arguments.clone() };
    arguments.keys = (arguments.keys / 4).max(1000);
    let user_bytes = arguments.keys as f64 * (16 + arguments.value_bytes) as f64;
    let store = Store::open(&arguments);
    load_rows(&store, arguments.keys, |row| document(row, arguments.value_bytes));
    store.rest();
    let figures = amplification(&arguments.directory, user_bytes);
    drop(store);
    let _ = std::fs::remove_dir_all(&arguments.directory);
    figures
}

/// Time to count ranges of several widths against the time to scan them.
fn counts(store: &Store, keys: u64) -> Value {
    let shares = [("all", 1.0), ("half", 0.5), ("tenth", 0.1), ("hundredth", 0.01), ("thousandth", 0.001)];
    let mut figures = serde_json::Map::new();
    for (name, share) in shares {
        let end = ((u64::MAX as f64) * share) as u64;
        let end =
            if share < 1.0 { Bound::Excluded(Bytes::copy_from_slice(&end.to_be_bytes())) } else { Bound::Unbounded };
        let range = KeyRange::new(Bound::Included(Bytes::from_static(&[0])), end);
        let start = Instant::now();
        let mut scanned = 0u64;
        let mut cursor =
            store.set().snapshot().cursor(TREE, range.clone(), Direction::Forward).expect("the tree is there");
        let walked = cursor.for_each(|_, _| {
            scanned += 1;
            std::ops::ControlFlow::<()>::Continue(())
        });
        walked.expect("the pages are whole");
        let scan = start.elapsed().as_secs_f64();
        const REPEATS: u32 = 1000;
        let start = Instant::now();
        for _ in 0..REPEATS {
            let counted = store.set().snapshot().count(TREE, &range).expect("the pages are whole");
            assert_eq!(counted, scanned, "a count and a scan of the same range");
        }
        let count = start.elapsed().as_secs_f64() / f64::from(REPEATS);
        let ratio = (scan / count).round();
        figures.insert(name.to_owned(), json!({"rows": scanned, "count_us": rounded(count * 1e6), "ratio": ratio}));
    }
    assert!(keys == 0 || figures["all"]["rows"] == keys, "every row is counted");
    Value::Object(figures)
}

/// One synced put after the other, in turn with bare syncs of the same disk.
fn single_puts(store: &Store, arguments: &Arguments) -> Value {
    let Arguments { directory, keys, value_bytes, seconds, .. } = arguments;
    let beside = directory.with_extension("bare");
    let mut bare = Latencies::default();
    let writer_groups = |seed| groups(*keys, *value_bytes, 1, seconds / 2.0, seed, |group| store.put(group));
    bare.absorb(bare_sync(&beside, seconds / 3.0));
    let first = writer_groups(21);
    bare.absorb(bare_sync(&beside, seconds / 3.0));
    let second = writer_groups(22);
    bare.absorb(bare_sync(&beside, seconds / 3.0));
    let writer = LogWriter::start(store.engine());
    let handed = groups(*keys, *value_bytes, 1, seconds / 2.0, 23, |group| store.put_through(&writer, group));
    writer.end();
    let _ = std::fs::remove_dir_all(&beside);
    let bare = bare.summary();
    let middle =
        |name: &str| (first[name].as_f64().unwrap_or_default() + second[name].as_f64().unwrap_or_default()) / 2.0;
    let (p50, mean, bare_p50) = (middle("p50_us"), middle("mean_us"), bare["p50_us"].as_f64().unwrap_or(1.0));
    json!({
        "bare_p50_us": bare["p50_us"], "bare_mean_us": bare["mean_us"], "p50_us": rounded(p50), "mean_us": rounded(mean),
        "through_thread_p50_us": handed["p50_us"], "ratio": rounded(p50 / bare_p50),
        "ratio_mean": rounded(mean / bare["mean_us"].as_f64().unwrap_or(1.0)),
    })
}

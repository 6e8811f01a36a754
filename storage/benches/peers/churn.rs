//! Heavy churn: every row overwritten three times over, in random order, while the size of the directory is watched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::data::draw_group;
use super::extras::amplification;
use super::measure::{Latencies, disk_bytes};
use super::store::Store;

const TIMES_OVER: u64 = 3;
const GROUP: usize = 100;
const WATCH_PERIOD: Duration = Duration::from_millis(50);

/// The largest the directory was, and how long the writer's groups took.
pub fn heavy(store: &Store, arguments: &Arguments, user_bytes: f64) -> Value {
    let ended = AtomicBool::new(false);
    let mut latencies = Latencies::default();
    let start = Instant::now();
    let largest = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut largest = (0, Value::Null);
            while !ended.load(Ordering::Acquire) {
                let bytes = disk_bytes(&arguments.directory);
                if bytes > largest.0 {
                    largest = (bytes, amplification(&arguments.directory, user_bytes));
                }
                std::thread::sleep(WATCH_PERIOD);
            }
            largest.1
        });
        let mut drawn = 31;
        for _ in 0..arguments.keys * TIMES_OVER / GROUP as u64 {
            let group = draw_group(&mut drawn, GROUP, arguments.keys, arguments.value_bytes);
            let began = Instant::now();
            store.put(&group);
            latencies.record(began.elapsed());
        }
        ended.store(true, Ordering::Release);
        watcher.join().expect("it only looks")
    });
    let elapsed = start.elapsed().as_secs_f64();
    json!({"max": largest, "groups_of_100": latencies.summary(),
           "puts_s": ((arguments.keys * TIMES_OVER) as f64 / elapsed).round(),
           "bound_max": 1.2 + 2.0 * arguments.dirty_bytes as f64 / user_bytes})
}

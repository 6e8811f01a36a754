//! Clocks, counters of the machine, and latencies.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Two digits are enough for people.
pub fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// Durations, kept one by one.
#[derive(Default)]
pub struct Latencies {
    nanoseconds: Vec<u64>,
}

impl Latencies {
    pub fn record(&mut self, took: Duration) {
        self.nanoseconds.push(took.as_nanos() as u64);
    }

    pub fn absorb(&mut self, others: Latencies) {
        self.nanoseconds.extend(others.nanoseconds);
    }

    /// The names that the peers' benchmark gives them.
    pub fn summary(mut self) -> Value {
        self.nanoseconds.sort_unstable();
        let count = self.nanoseconds.len();
        let at = |share: f64| {
            let position = ((count as f64 * share).ceil() as usize).clamp(1, count.max(1)) - 1;
            self.nanoseconds.get(position).map_or(0.0, |&ns| rounded(ns as f64 / 1e3))
        };
        let mean = self.nanoseconds.iter().sum::<u64>() as f64 / count.max(1) as f64;
        json!({"n": count, "p50_us": at(0.5), "p95_us": at(0.95), "p99_us": at(0.99), "p999_us": at(0.999),
               "max_us": at(1.0), "mean_us": rounded(mean / 1e3)})
    }
}

/// CPU seconds of this process, all threads.
pub fn process_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of this thread.
pub fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes that a directory holds on disk: blocks, not lengths.
pub fn disk_bytes(directory: &Path) -> u64 {
    disk_bytes_of(directory, &|_| true)
}

/// The same of the files that `counted` chooses by name.
pub fn disk_bytes_of(directory: &Path, counted: &dyn Fn(&str) -> bool) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            bytes += disk_bytes_of(&entry.path(), counted);
        } else if counted(&entry.file_name().to_string_lossy()) {
            bytes += metadata.blocks() * 512;
        }
    }
    bytes
}

/// Resident memory of this process, in MiB.
pub fn resident_mib() -> f64 {
    status_kib("VmRSS:").map_or(0.0, |kib| (kib / 1024.0).round())
}

/// The most it ever was.
pub fn resident_max_mib() -> f64 {
    status_kib("VmHWM:").map_or(0.0, |kib| (kib / 1024.0).round())
}

fn status_kib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// How busy the machine was.
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// What the disk asks for a durable 4 KiB: one write and `fdatasync` into a file written before, as a recycled segment is.
pub fn bare_sync(directory: &Path, seconds: f64) -> Latencies {
    const SPAN: u64 = 16 << 20;
    fs::create_dir_all(directory).expect("the directory can be made");
    let path = directory.join("bare-sync");
    let file = fs::File::create(&path).expect("the directory is writable");
    for at in 0..SPAN >> 20 {
        file.write_all_at(&[0; 1 << 20], at << 20).expect("there is space");
    }
    file.sync_all().expect("the disk works");
    let block = [0xa5u8; 4096];
    let mut latencies = Latencies::default();
    let start = Instant::now();
    let mut offset = 0;
    while start.elapsed().as_secs_f64() < seconds {
        let began = Instant::now();
        file.write_all_at(&block, offset).expect("the disk works");
        file.sync_data().expect("the disk works");
        latencies.record(began.elapsed());
        offset = (offset + 4096) % SPAN;
    }
    fs::remove_file(&path).expect("it is there");
    latencies
}

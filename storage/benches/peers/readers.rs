//! Eight readers beside a writer in synced groups of 100, against the same readers beside an idle one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::data::{draw_group, key, mix64};
use super::measure::{rounded, thread_cpu};
use super::store::Store;

const READERS: u64 = 8;
/// Idle and writing windows take turns, so that other work on the machine falls on both.
const TURNS: u64 = 3;

/// Reads of all readers, their CPU, and the puts meanwhile.
#[derive(Default)]
struct Window {
    reads: u64,
    reader_cpu: f64,
    puts: u64,
    elapsed: f64,
}

impl Window {
    fn add(&mut self, other: &Window) {
        self.reads += other.reads;
        self.reader_cpu += other.reader_cpu;
        self.puts += other.puts;
        self.elapsed += other.elapsed;
    }
}

/// By wall time and by CPU time of the readers: on two cores a busy writer takes cores from the readers whatever the
/// engine does; what the engine itself takes from them (locks, cold caches) shows in the second.
pub fn beside_writer(store: &Store, arguments: &Arguments) -> Value {
    let (mut idle, mut writing) = (Window::default(), Window::default());
    for turn in 0..TURNS {
        idle.add(&window(store, arguments, None, turn));
        writing.add(&window(store, arguments, Some(41 + turn), turn));
    }
    let rate = |window: &Window| window.reads as f64 / window.elapsed;
    let per_cpu = |window: &Window| window.reads as f64 / window.reader_cpu;
    json!({
        "idle_gets_s": rate(&idle).round(), "writing_gets_s": rate(&writing).round(),
        "puts_s": (writing.puts as f64 / writing.elapsed).round(), "kept": rounded(rate(&writing) / rate(&idle)),
        "kept_per_cpu": rounded(per_cpu(&writing) / per_cpu(&idle)),
    })
}

fn window(store: &Store, arguments: &Arguments, writer_seed: Option<u64>, turn: u64) -> Window {
    let Arguments { keys, value_bytes, seconds, .. } = *arguments;
    let ended = &AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..READERS).map(|reader| scope.spawn(move || read(store, keys, ended, turn * READERS + reader))).collect();
        let writer = writer_seed.map(|seed| scope.spawn(move || write(store, keys, value_bytes, ended, seed)));
        std::thread::sleep(Duration::from_secs_f64(seconds));
        ended.store(true, Ordering::Release);
        let mut window = Window { elapsed: start.elapsed().as_secs_f64(), ..Window::default() };
        for reader in readers {
            let (reads, cpu) = reader.join().expect("readers find every row");
            window.reads += reads;
            window.reader_cpu += cpu;
        }
        window.puts = writer.map_or(0, |writer| writer.join().expect("the disk works"));
        window
    })
}

fn read(store: &Store, keys: u64, ended: &AtomicBool, seed: u64) -> (u64, f64) {
    let (mut reads, mut drawn, cpu) = (0, mix64(seed), thread_cpu());
    while !ended.load(Ordering::Acquire) {
        for _ in 0..32 {
            drawn = mix64(drawn);
            assert!(store.get(&key(drawn % keys), &mut |value| assert!(!value.is_empty())));
        }
        reads += 32;
    }
    (reads, thread_cpu() - cpu)
}

fn write(store: &Store, keys: u64, value_bytes: usize, ended: &AtomicBool, mut drawn: u64) -> u64 {
    let mut puts = 0;
    while !ended.load(Ordering::Acquire) {
        store.put(&draw_group(&mut drawn, 100, keys, value_bytes));
        puts += 100;
    }
    puts
}

//! What thousands of streams cost one who appends to one of them: append and step beside 1 stream and beside 5,000, in turn,
//! in one run. In memory, so that the disk does not hide it.
//!
//! Prints the median of each and their ratio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use photondb_storage::wal::{Record, StreamId, Wal};

const STREAMS: u64 = 5_000;
const ROUNDS: usize = 40;
const APPENDS: u64 = 2_000;

fn with_streams(streams: u64) -> Arc<Wal> {
    let wal = Wal::in_memory();
    for stream in 1..=streams {
        let entry = Record::Entry { index: 0, term: 1, payload: Bytes::from_static(b"first") };
        wal.submit(StreamId(stream), vec![Record::Vote(Bytes::from_static(b"vote")), entry], None);
    }
    while wal.step().expect("memory does not fail") {}
    wal
}

/// Time of one append with its step.
fn round(wal: &Wal, next: &mut u64) -> Duration {
    let payload = Bytes::from(vec![7; 200]);
    let began = Instant::now();
    for _ in 0..APPENDS {
        *next += 1;
        let entry = Record::Entry { index: *next, term: 1, payload: payload.clone() };
        wal.submit(StreamId(1), vec![entry], None);
        assert!(wal.step().expect("memory does not fail"));
    }
    let took = began.elapsed();
    wal.submit(StreamId(1), vec![Record::Purge { upto: *next - 1, payload: Bytes::new() }], None);
    while wal.step().expect("memory does not fail") {}
    took / u32::try_from(APPENDS).expect("a small number")
}

fn main() {
    let (few, many) = (with_streams(1), with_streams(STREAMS));
    let (mut next_of_few, mut next_of_many) = (0, 0);
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(round(&few, &mut next_of_few));
        crowded.push(round(&many, &mut next_of_many));
    }
    alone.sort_unstable();
    crowded.sort_unstable();
    let (alone, crowded) = (alone[ROUNDS / 2], crowded[ROUNDS / 2]);
    let ratio = crowded.as_secs_f64() / alone.as_secs_f64();
    println!("append and step beside 1 stream {alone:?}, beside {STREAMS} streams {crowded:?}: {ratio:.2} times");
    let began = Instant::now();
    let rows = many.stream_metrics().len();
    println!("figures of {rows} streams: {:?}", began.elapsed());
}

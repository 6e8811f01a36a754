//! Memory that was given back to the allocator is soon the system's again.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PIECE_BYTES: usize = 48 << 10;
const PIECES: usize = 2_000;
/// Half of what mimalloc keeps free pages when nobody says otherwise.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// A busy machine may stop this process for as long as that, but hardly each time.
const ATTEMPTS: usize = 4;
/// After which nothing is left of an earlier attempt.
const PAUSE: Duration = Duration::from_secs(3);

/// What the process holds, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// Whether most of what was taken is the system's again in time.
fn goes_back() -> bool {
    let pieces: Vec<Vec<u8>> = (0..PIECES).map(|piece| vec![piece as u8 | 1; PIECE_BYTES]).collect();
    let held = resident();
    assert!(held > PIECES * PIECE_BYTES);
    drop(pieces);
    let dropped = Instant::now();
    while dropped.elapsed() < WAIT_MAX {
        if resident() < held - PIECES * PIECE_BYTES * 3 / 4 {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
        // mimalloc looks for what is due when it gets or gives back a large piece.
        drop(std::hint::black_box(vec![1_u8; 100 * PIECE_BYTES]));
    }
    thread::sleep(PAUSE);
    drop(std::hint::black_box(vec![1_u8; 100 * PIECE_BYTES]));
    false
}

#[test]
fn within_a_moment() {
    photondb_storage::allocator::return_memory_soon();
    assert!((0..ATTEMPTS).any(|_| goes_back()), "still held after {WAIT_MAX:?}, {ATTEMPTS} times");
}

//! What the tests of the page store share: random numbers from a seed, small options, the offline check.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use photondb_storage::disk::Disk;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Compression, EngineOptions, verify};

/// A small generator (splitmix64), so that a case is a function of its seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Whether the long run was asked for.
pub fn full() -> bool {
    std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full")
}

/// The seeds of a run: `PHOTONDB_SEED` alone, or `count` of them (twenty times as many in the full run). Printed.
pub fn seeds(count: u64) -> Vec<u64> {
    let seeds = match std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (1..=if full() { count * 20 } else { count }).collect(),
    };
    println!("seeds {}..={}", seeds[0], seeds[seeds.len() - 1]);
    seeds
}

/// Small sizes, so that little data reaches every part.
pub fn options() -> EngineOptions {
    EngineOptions {
        wal: WalOptions {
            segment_bytes: 256 << 10,
            first_segment_bytes: 64 << 10,
            reclaim_slack_bytes: 256 << 10,
            ..WalOptions::default()
        },
        ..EngineOptions::default()
    }
}

/// The same without compression, for tests that count bytes.
pub fn plain_options() -> EngineOptions {
    EngineOptions { compression: Compression::None, ..options() }
}

/// The offline check finds nothing.
pub fn assert_clean(disk: &Arc<impl Disk>) {
    let report = verify::check(disk.clone(), &mut |_| {}).expect("the directory can be checked");
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

//! Everything about a run that is fixed before it begins, drawn from its seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use photondb_storage::wal::WalOptions;
use photondb_storage::{Compression, EngineOptions, Tolerance};

use crate::disk::Honesty;
use crate::random::Random;
use crate::workload::Workload;

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything is drawn from.
    pub seed: u64,
    /// What clients do.
    pub workload: Workload,
    /// How long clients run, in virtual time.
    pub duration: Duration,
    /// How many there are.
    pub clients: u64,
    /// How many documents they share.
    pub keys: u64,
    /// How long a client thinks between two requests.
    pub think_ms: RangeInclusive<u64>,
    /// How long a write and sync of the log takes.
    pub sync_ms: RangeInclusive<u64>,
    /// The time between two checkpoints.
    pub checkpoint_ms: RangeInclusive<u64>,
    /// How long one life of the node lasts at most, when something is to end it.
    pub life_ms: RangeInclusive<u64>,
    /// Whether the disk keeps its word.
    pub honesty: Honesty,
    /// Whether a crash may leave a sector half old, half new.
    pub torn_sectors: bool,
    /// Storage's sizes: small ones, so that little data reaches every part.
    pub engine: EngineOptions,
}

impl Plan {
    /// The run of `seed`. `workload` takes the place of the one that the seed would draw.
    pub fn draw(seed: u64, workload: Option<Workload>, duration: Duration) -> Plan {
        let mut random = Random::new(seed);
        let drawn = random.pick(&Workload::ALL);
        let workload = workload.unwrap_or(drawn);
        let wal = small_wal(&mut random);
        let engine = EngineOptions {
            cache_bytes: random.pick(&[0, 64 << 10, 1 << 20, 16 << 20]),
            dirty_bytes: random.pick(&[64 << 10, 512 << 10]),
            checkpoint_wal_bytes: random.pick(&[128 << 10, 1 << 20]),
            compression: random.pick(&[Compression::None, Compression::Lz4]),
            compaction: Tolerance::NONE,
            wal,
        };
        let keys = match workload {
            Workload::Register => random.within(1..=5),
            Workload::Counter => 1,
            Workload::IndexAgrees => random.pick(&[20, 200, 600]),
            Workload::FeedFollows => random.within(2..=12),
        };
        Plan {
            seed,
            workload,
            duration,
            clients: random.within(2..=8),
            keys,
            think_ms: 0..=random.pick(&[0, 5, 40]),
            sync_ms: 0..=random.pick(&[0, 2, 15]),
            checkpoint_ms: 20..=random.pick(&[100, 1_000, 5_000]),
            life_ms: 0..=random.pick(&[200, 2_000, 8_000]),
            honesty: Honesty::Honest,
            torn_sectors: random.once_in(3),
            engine,
        }
    }
}

/// A log of small segments, so that little data reaches every part of it.
pub(crate) fn small_wal(random: &mut Random) -> WalOptions {
    let segment_bytes = random.pick(&[256 << 10, 512 << 10, 1 << 20]);
    WalOptions {
        segment_bytes,
        first_segment_bytes: random.pick(&[64 << 10, 256 << 10]),
        incarnation_seed: random.bits(),
        recycle_max: random.below(4) as usize,
        reclaim_slack_bytes: 2 * segment_bytes,
        cache_bytes: random.pick(&[0, 16 << 10, 1 << 20]),
    }
}

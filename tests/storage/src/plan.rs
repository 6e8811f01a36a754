//! What a run is made of, all drawn from its seed.

use photondb_storage::disk::simulated::{Fault, Latency, SimulatedOptions, Weather};
use photondb_storage::wal::WalOptions;
use photondb_storage::{Compression, EngineOptions, Tolerance};

use crate::effect::Sizes;
use crate::random::Random;

/// What the disk does in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// Loses power, fails, fills up, and says so: nothing acknowledged may be lost, and nothing may be called damaged.
    Honest,
    /// Besides lies now and then: what it spoils must be reported, or make no difference.
    Lying,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything else follows from it.
    pub seed: u64,
    /// Actions over all lives.
    pub steps: u64,
    /// What the disk does.
    pub hostility: Hostility,
    /// Groups at the beginning.
    pub groups: u64,
    /// How the engine is run.
    pub engine: EngineOptions,
    /// How the disk crashes.
    pub disk: SimulatedOptions,
    /// How often the disk fails by chance.
    pub weather: Weather,
    /// How slow the disk is. Nothing in storage waits for time, so this only shows that nothing does.
    pub latency: Latency,
    /// One action of so many schedules a fault or a crash.
    pub fault_one_of: u64,
    /// What entries do.
    pub sizes: Sizes,
}

/// Actions of a run when nobody says otherwise.
pub const STEPS: u64 = 160;

impl Plan {
    /// The plan of a seed.
    #[allow(clippy::needless_update, reason = "options that storage gets later have their defaults here")]
    pub fn draw(seed: u64, steps: u64) -> Plan {
        let mut random = Random::new(seed ^ 0x00fa_017d_15c0);
        let hostility = if random.below(5) < 3 { Hostility::Honest } else { Hostility::Lying };
        let segment_bytes = random.pick(&[64 << 10, 64 << 10, 128 << 10, 256 << 10]);
        let wal = WalOptions {
            segment_bytes,
            first_segment_bytes: random.pick(&[64 << 10, segment_bytes]),
            incarnation_seed: random.bits(),
            recycle_max: random.below(3) as usize,
            reclaim_slack_bytes: random.pick(&[0, 64 << 10, 512 << 10]),
            cache_bytes: random.pick(&[0, 4 << 10, 1 << 20]),
            ..WalOptions::default()
        };
        let engine = EngineOptions {
            cache_bytes: random.pick(&[0, 32 << 10, 256 << 10, 4 << 20]),
            dirty_bytes: random.pick(&[64 << 10, 1 << 20]),
            checkpoint_wal_bytes: random.pick(&[64 << 10, 1 << 20]),
            compaction: random.pick(&[Tolerance::NONE, Tolerance::NONE, Tolerance::default()]),
            compression: random.pick(&[Compression::None, Compression::Lz4, Compression::Zstd]),
            wal,
            ..EngineOptions::default()
        };
        let mut weather = Weather::calm();
        if hostility == Hostility::Honest && random.one_of(3) {
            for fault in Fault::ALL.into_iter().filter(|fault| !fault.is_silent()) {
                weather = weather.with(fault, random.pick(&[0, 0, 20, 100, 600]));
            }
        }
        let slow = random.one_of(4);
        let latency = Latency {
            read_ns: 80_000,
            write_ns: 30_000,
            sync_ns: 2_000_000,
            byte_ps: 2_000,
            slow_one_of: 50,
            slow_factor: 200,
        };
        Plan {
            seed,
            steps,
            hostility,
            groups: 1 + random.below(4),
            engine,
            disk: SimulatedOptions { torn_sectors: random.one_of(2), ..SimulatedOptions::default() },
            weather,
            latency: if slow { latency } else { Latency::default() },
            fault_one_of: random.pick(&[12, 30, 80]),
            sizes: Sizes {
                keys: random.pick(&[20, 150, 600]),
                entry_bytes_max: (segment_bytes / 3) as usize,
                large_one_of: random.pick(&[4, 16, 64]),
            },
        }
    }
}

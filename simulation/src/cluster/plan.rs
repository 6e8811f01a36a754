//! Everything about a run of a cluster that is fixed before it begins, drawn from its seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use photondb_storage::disk::simulated::Latency;
use photondb_storage::wal::WalOptions;
use photondb_storage::{Compression, EngineOptions, Tolerance};

use super::fault::{self, Kinds, Timed};
use super::harm::{self, Harms};
use super::tags;
use crate::buggify::{self, Point};
use crate::disk::Honesty;
use crate::hosts;
use crate::machine::Skew;
use crate::peers::Manners;
use crate::random::Random;

/// A run.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    /// What everything is drawn from.
    pub seed: u64,
    /// What clients do, by name.
    pub workload: &'static str,
    /// The machines.
    pub machines: Vec<MachinePlan>,
    /// How long clients run and faults begin, in virtual time.
    pub duration: Duration,
    /// How many clients there are.
    pub clients: u64,
    /// Whether there is another one, who changes how tables lie.
    pub administered: bool,
    /// Whether nodes are given up that are silent for some seconds, so that others take their places while faults last. Elsewhere nobody is
    /// missed for that long.
    pub impatient: bool,
    /// Whether nodes have zones and tags, of which whoever administers makes use.
    pub arranged: bool,
    /// How long a client thinks between two requests.
    pub think_ms: RangeInclusive<u64>,
    /// How long a message takes, in milliseconds.
    pub latency_ms: RangeInclusive<u64>,
    /// Bytes that one write to a connection takes at most.
    pub write_bytes_max: usize,
    /// How nodes speak to each other.
    pub transport: Transport,
    /// Which kinds of faults there may be.
    pub kinds: Kinds,
    /// Which kinds of harm.
    pub harms: Harms,
    /// Whether nothing goes wrong before the clients have what they need.
    pub quiet_start: bool,
    /// What goes wrong.
    pub faults: Vec<Timed>,
    /// What is rare in the product and happens often.
    pub points: Vec<&'static Point>,
}

/// A node of an impatient run is given up when it has been down for so long,
const LOST_AFTER: Duration = Duration::from_secs(1);

/// and is down after so many seconds of silence: the fewest that `cluster_config` takes.
pub const IMPATIENT_HEARTBEAT_TIMEOUT_SECS: u64 = 2;

/// Machines of one cluster.
pub const MACHINES_MAX: usize = 9;

/// The workloads there are.
pub const WORKLOADS: [&str; 10] = [
    "register",
    "list_append",
    "counter",
    "bank",
    "unique_inserts",
    "index_moves",
    "feed_replay",
    "churn",
    "reconfigure",
    "random_reql",
];

/// The workload of this name.
pub fn named(name: &str) -> Option<&'static str> {
    WORKLOADS.into_iter().find(|known| *known == name)
}

/// How nodes speak to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// gRPC over connections, as in the product.
    Connections,
    /// Messages that are lost, late and doubled one by one.
    Messages(Manners),
}

/// A machine.
#[derive(Clone, Debug)]
pub struct MachinePlan {
    /// The tags of its node.
    pub tags: Vec<String>,
    /// Its clocks.
    pub skew: Skew,
    /// How long calls to its disk take.
    pub disk: Latency,
    /// Whether a crash may leave a sector half old, half new.
    pub torn_sectors: bool,
    /// Whether the disk keeps its word. The seed draws honest ones.
    pub honesty: Honesty,
    /// Storage's sizes: small ones, so that little data reaches every part.
    pub storage: EngineOptions,
    /// How long a node may be down before others take its places; `None`: as long as in the product.
    pub lost_after: Option<Duration>,
}

impl ClusterPlan {
    /// The run of `seed`, over `machines` machines or as many as the seed draws; `workload` takes the place of the one that
    /// the seed would draw.
    pub fn draw(seed: u64, workload: Option<&str>, machines: Option<usize>, duration: Duration) -> ClusterPlan {
        let mut random = Random::new(seed ^ 0x00c1_0573_5eed);
        let drawn = random.pick(&WORKLOADS);
        let workload = workload.and_then(named).unwrap_or(drawn);
        let drawn = random.pick(&[3, 3, 3, 4, 5, 7]);
        let count = machines.unwrap_or(drawn);
        let kinds = Kinds::draw(&mut random);
        let skewed = random.once_in(2);
        let mut machines: Vec<_> = (0..count).map(|_| MachinePlan::draw(&mut random, skewed)).collect();
        let mut faults = fault::draw(&mut random, kinds, count, duration);
        let mut random_of_harm = random.fork();
        let harms = Harms::draw(&mut random_of_harm);
        faults.extend(harm::draw(&mut random_of_harm, harms, count, duration));
        if random_of_harm.once_in(6) {
            machines.iter_mut().for_each(|machine| machine.skew = Skew::wide(&mut random_of_harm));
        }
        let mut plan = ClusterPlan {
            seed,
            workload,
            machines,
            duration,
            clients: random.within(2..=8),
            // Of a stream of its own: with and without, everything else is the same.
            administered: Random::new(seed ^ 0x00ad_0157).once_in(3),
            impatient: false,
            arranged: false,
            think_ms: 0..=random.pick(&[0, 5, 40, 200]),
            latency_ms: 0..=random.pick(&[1, 5, 50]),
            transport: Transport::draw(&mut random),
            write_bytes_max: random.pick(&[usize::MAX, 1 << 14, 700]),
            kinds,
            harms,
            quiet_start: !random.once_in(3),
            faults,
            points: buggify::draw(seed, workload),
        };
        // Of a stream of its own, too.
        plan.set_impatient(Random::new(seed ^ 0x0001_057e).once_in(5));
        if plan.transport == Transport::Connections && !hosts::CARRIES_GRPC {
            plan.transport = Transport::Messages(Manners::of_connections(&plan.latency_ms));
        }
        // As above.
        plan.arrange(Random::new(seed ^ 0x00ad_015a).once_in(2));
        plan
    }
}

impl ClusterPlan {
    /// The run is impatient, or is not.
    pub fn set_impatient(&mut self, impatient: bool) {
        self.impatient = impatient;
        for machine in &mut self.machines {
            machine.lost_after = impatient.then_some(LOST_AFTER);
        }
    }

    /// Nodes have zones and tags, or none has.
    pub fn arrange(&mut self, arranged: bool) {
        let tags = if arranged { tags::draw(self.seed, self.machines.len()) } else { Vec::new() };
        let mut tags = tags.into_iter();
        self.machines.iter_mut().for_each(|machine| machine.tags = tags.next().unwrap_or_default());
        self.arranged = arranged;
    }

    /// The run has these points too.
    pub fn add_points(&mut self, points: &[&'static Point]) {
        let added = points.iter().filter(|point| point.fits(self.workload) && !self.points.contains(point));
        let added: Vec<_> = added.copied().collect();
        self.points.extend(added);
    }
}

impl Transport {
    fn draw(random: &mut Random) -> Transport {
        if random.once_in(2) {
            return Transport::Connections;
        }
        let micros_min = random.pick(&[50, 500]);
        Transport::Messages(Manners {
            micros_min,
            micros_max: micros_min + random.pick(&[100, 2_000, 40_000]),
            lost_one_of: random.pick(&[0, 20, 200]),
            doubled_one_of: random.pick(&[0, 10, 100]),
            second_after: 3,
            late_one_of: random.pick(&[0, 50]),
        })
    }
}

impl MachinePlan {
    fn draw(random: &mut Random, skewed: bool) -> MachinePlan {
        let skew = match skewed {
            // Quartz is good to 100 millionths; what a lease leaves for drift is more.
            true => Skew {
                offset_micros: i64::try_from(random.below(600_000_000)).unwrap_or(0) - 300_000_000,
                rate_ppm: i64::try_from(random.below(1_001)).unwrap_or(0) - 500,
            },
            false => Skew::NONE,
        };
        let wal = small_wal(random);
        let storage = EngineOptions {
            cache_bytes: random.pick(&[64 << 10, 1 << 20, 16 << 20]),
            dirty_bytes: random.pick(&[512 << 10, 4 << 20]),
            checkpoint_wal_bytes: random.pick(&[128 << 10, 1 << 20]),
            compression: random.pick(&[Compression::None, Compression::Lz4]),
            compaction: Tolerance::NONE,
            wal,
        };
        let sync_ns = random.pick(&[50_000, 400_000, 4_000_000]);
        let disk = Latency {
            read_ns: sync_ns / 10,
            write_ns: sync_ns / 20,
            sync_ns,
            byte_ps: 1_000,
            slow_one_of: random.pick(&[0, 50]),
            slow_factor: 20,
        };
        let torn_sectors = random.once_in(3);
        MachinePlan { tags: Vec::new(), skew, disk, torn_sectors, honesty: Honesty::Honest, storage, lost_after: None }
    }
}

/// A log of small segments, so that little data reaches every part of it.
fn small_wal(random: &mut Random) -> WalOptions {
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

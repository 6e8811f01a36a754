//! What goes wrong in a cluster, and when: a list drawn from the seed before the run begins, so that a shorter list can be
//! tried in its place.

use std::fmt;
use std::time::Duration;

use super::harm::Harm;
use crate::random::Random;

/// A machine, by its place in the cluster, from zero.
pub type Place = usize;

/// One thing that goes wrong, and for how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The process dies, as by `kill -9`; what it wrote stays.
    Kill { at: Place },
    /// The machine loses power; what was not synced may be lost. Nobody is told that its connections are gone.
    PowerLoss { at: Place },
    /// It loses power during a changing call to its disk, `operation` calls from now.
    PowerLossAtOperation { at: Place, operation: u64 },
    /// All machines lose power.
    PowerLossEverywhere,
    /// The process is asked to stop, and started again.
    Restart { at: Place },
    /// Nothing passes between the two.
    Cut { between: (Place, Place) },
    /// Nothing passes from the one to the other; the way back is open.
    CutOneWay { from: Place, to: Place },
    /// Nothing passes between the machine and all others, clients included.
    Isolate { at: Place },
    /// Nothing passes between the others and who leads the newest group (as long as nobody does, this machine); clients reach
    /// it. Who does not know yet that it leads no more is who may answer wrongly.
    Sever { at: Place },
    /// What is sent between the two arrives when it is over.
    Hold { between: (Place, Place) },
    /// What is sent between the two takes up to so many milliseconds.
    Slow { between: (Place, Place), millis: u64 },
    /// Connections to and from the machine break, in the middle of what they carry.
    Reset { at: Place },
    /// The disk of the machine takes so many times as long.
    SlowDisk { at: Place, factor: u64 },
    /// The disk fills up but for so many bytes.
    FullDisk { at: Place, room_bytes: u64 },
    /// What befalls processes and disks beyond that.
    Harm(Harm),
}

impl Fault {
    /// What kind it is, for counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "process killed",
            Fault::PowerLoss { .. } => "power lost",
            Fault::PowerLossAtOperation { .. } => "power lost during a disk operation",
            Fault::PowerLossEverywhere => "power lost everywhere",
            Fault::Restart { .. } => "process restarted",
            Fault::Cut { .. } => "link cut",
            Fault::CutOneWay { .. } => "link cut one way",
            Fault::Isolate { .. } => "machine isolated",
            Fault::Sever { .. } => "leader cut off from the others",
            Fault::Hold { .. } => "link holds",
            Fault::Slow { .. } => "link slow",
            Fault::Reset { .. } => "connections broken",
            Fault::SlowDisk { .. } => "disk slow",
            Fault::FullDisk { .. } => "disk full",
            Fault::Harm(harm) => harm.kind(),
        }
    }
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timed {
    /// From the beginning of the run.
    pub at: Duration,
    /// How long it lasts: until the process is started again, or the link is whole.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Timed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} for {:.3} s", self.fault, self.lasts.as_secs_f64())
    }
}

/// Which kinds of faults a run has: each run leaves some out, because one kind can hide what another would show (Groce et
/// al., Swarm Testing, 2012).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Processes die and machines lose power.
    pub crashes: bool,
    /// All machines lose power.
    pub blackouts: bool,
    /// Links are cut.
    pub cuts: bool,
    /// Links are slow, or hold what is sent.
    pub delays: bool,
    /// Connections break.
    pub resets: bool,
    /// Disks are slow or full.
    pub disks: bool,
}

impl Kinds {
    /// Each with the chance of two in three.
    pub fn draw(random: &mut Random) -> Kinds {
        let mut often = || !random.once_in(3);
        Kinds { crashes: often(), blackouts: often(), cuts: often(), delays: often(), resets: often(), disks: often() }
    }
}

/// The faults of a run over `machines` machines. None begins after `until`.
pub fn draw(random: &mut Random, kinds: Kinds, machines: usize, until: Duration) -> Vec<Timed> {
    let mut faults = Vec::new();
    let pause_max = random.pick(&[300, 1_500, 5_000]);
    let mut at = random.millis(0..=pause_max);
    while at < until {
        if let Some(fault) = one(random, kinds, machines) {
            let lasts = match random.below(4) {
                0 => random.millis(0..=100),
                1 | 2 => random.millis(100..=1_500),
                _ => random.millis(1_000..=6_000),
            };
            let lasts = match fault {
                // Before it lasts as long as an election, nobody else leads.
                Fault::Sever { .. } => lasts + ELECTION,
                // What has died is mostly started again at once, while others still count on what it said.
                Fault::Kill { .. } if random.once_in(2) => random.millis(0..=50),
                _ => lasts,
            };
            faults.push(Timed { at, lasts, fault });
        }
        // Often one comes on the heels of another: transitions are where things go wrong.
        at += if random.once_in(4) { random.millis(0..=60) } else { random.millis(0..=pause_max) };
    }
    faults
}

/// How long it takes about until another leads.
const ELECTION: Duration = Duration::from_millis(1_200);

fn one(random: &mut Random, kinds: Kinds, machines: usize) -> Option<Fault> {
    let at = random.below(machines as u64) as usize;
    let other = || (at + 1) % machines;
    let pair = |random: &mut Random| {
        let step = 1 + random.below(machines.max(2) as u64 - 1) as usize;
        (at, (at + step) % machines)
    };
    let linked = machines > 1;
    match random.below(16) {
        0 | 1 if kinds.crashes => Some(Fault::Kill { at }),
        2 | 3 if kinds.crashes => Some(Fault::PowerLoss { at }),
        4 if kinds.crashes => Some(Fault::PowerLossAtOperation { at, operation: random.below(200) }),
        5 if kinds.crashes => Some(Fault::Restart { at }),
        6 if kinds.blackouts => Some(Fault::PowerLossEverywhere),
        7 if kinds.cuts && linked => Some(Fault::Cut { between: pair(random) }),
        8 if kinds.cuts && linked => {
            let (from, to) = pair(random);
            Some(Fault::CutOneWay { from, to })
        }
        9 if kinds.cuts && linked => Some(Fault::Isolate { at }),
        10 if kinds.cuts && linked => Some(Fault::Sever { at }),
        11 if kinds.delays && linked => Some(Fault::Hold { between: (at, other()) }),
        12 if kinds.delays && linked => {
            Some(Fault::Slow { between: pair(random), millis: random.pick(&[20, 150, 600, 2_000]) })
        }
        13 if kinds.resets => Some(Fault::Reset { at }),
        14 if kinds.disks => Some(Fault::SlowDisk { at, factor: random.pick(&[5, 50, 500]) }),
        15 if kinds.disks => Some(Fault::FullDisk { at, room_bytes: random.pick(&[0, 4 << 10, 64 << 10, 600 << 10]) }),
        _ => None,
    }
}

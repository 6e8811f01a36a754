//! What befalls a process or a disk beyond crashes: pauses, clocks that jump, calls that fail, bytes that are no more what was
//! written, drives that come back empty or older.

use std::time::Duration;

use photondb_storage::disk::simulated::Fault as DiskFault;

use super::at_leader::AtLeader;
use super::event::Event;
use super::fault::{Fault, Place, Timed};
use crate::random::Random;

/// One thing of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// The process stands still, as by SIGSTOP: nothing of it runs, its connections stay open, its clocks go on.
    Pause { at: Place },
    /// The wall clock jumps by so many seconds. Nothing else does.
    ClockJumps { at: Place, seconds: i64 },
    /// The machine loses power, and comes back with an empty disk.
    WipedDisk { at: Place },
    /// The disk is copied while the process runs, for [`Harm::OlderDisk`].
    DiskCopied { at: Place },
    /// The machine loses power, and comes back with the disk as it was when it was copied, in an earlier life of the node.
    OlderDisk { at: Place },
    /// Bits flip in a part of the log that is known to be durable.
    RotInLog { at: Place, draw: u64 },
    /// Bits flip in the page file, or a page stands in the place of another.
    RotInPages { at: Place, draw: u64 },
    /// A write to the page file or of a superblock is confirmed and goes nowhere, so many writes from now.
    LostWrite { at: Place, draw: u64 },
    /// A call fails, so many calls of its kind from now.
    FailedCall { at: Place, call: Call, after: u64 },
    /// Strikes at the machine where the newest group is led.
    AtLeader(AtLeader),
    /// What is sent to the machine takes so many milliseconds more, where nodes speak by messages.
    HearsLate { at: Place, millis: u64 },
    /// What follows in `then` strikes when that happens the next time, at the machine where it happens.
    When { event: Event, then: Struck },
}

/// A call to the disk that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Read,
    Write,
    ShortWrite,
    Sync,
    SyncNoSpace,
    NoSpace,
    Directory,
}

/// What strikes when something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Struck {
    Kill,
    PowerLoss,
    /// So many changing calls to the disk later.
    PowerLossDuring(u64),
    Isolate,
    Pause,
    FailedCall(Call),
}

impl Call {
    const ALL: [Call; 7] =
        [Call::Read, Call::Write, Call::ShortWrite, Call::Sync, Call::SyncNoSpace, Call::NoSpace, Call::Directory];

    /// As the disk knows it.
    pub fn fault(self) -> DiskFault {
        match self {
            Call::Read => DiskFault::ReadError,
            Call::Write => DiskFault::WriteError,
            Call::ShortWrite => DiskFault::ShortWrite,
            Call::Sync => DiskFault::SyncError,
            Call::SyncNoSpace => DiskFault::SyncNoSpace,
            Call::NoSpace => DiskFault::NoSpace,
            Call::Directory => DiskFault::DirectoryError,
        }
    }
}

impl Struck {
    /// As a fault at a machine.
    pub fn at(self, at: Place) -> Fault {
        match self {
            Struck::Kill => Fault::Kill { at },
            Struck::PowerLoss => Fault::PowerLoss { at },
            Struck::PowerLossDuring(operation) => Fault::PowerLossAtOperation { at, operation },
            Struck::Isolate => Fault::Isolate { at },
            Struck::Pause => Fault::Harm(Harm::Pause { at }),
            Struck::FailedCall(call) => Fault::Harm(Harm::FailedCall { at, call, after: 0 }),
        }
    }
}

impl Harm {
    /// Whether a disk has lost something, and nobody knows before it is read again: what is put there meanwhile is lost with it.
    pub fn shows_late(&self) -> bool {
        matches!(self, Harm::RotInLog { .. } | Harm::RotInPages { .. } | Harm::LostWrite { .. })
    }

    /// What kind it is, for counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Harm::Pause { .. } => "process paused",
            Harm::ClockJumps { .. } => "wall clock jumps",
            Harm::WipedDisk { .. } => "disk wiped",
            Harm::DiskCopied { .. } => "disk copied",
            Harm::OlderDisk { .. } => "disk set back",
            Harm::RotInLog { .. } => "rot in the log",
            Harm::RotInPages { .. } => "rot in pages",
            Harm::LostWrite { .. } => "write of a page lost",
            Harm::FailedCall { .. } => "call to the disk failed",
            Harm::AtLeader(_) => "leader struck",
            Harm::HearsLate { .. } => "machine hears late",
            Harm::When { .. } => "fault armed",
        }
    }
}

/// Which kinds a run has. As [`super::fault::Kinds`], each run leaves some out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harms {
    /// Processes stand still.
    pub pauses: bool,
    /// Wall clocks jump.
    pub jumps: bool,
    /// Disks come back empty, or older.
    pub losses: bool,
    /// Bytes are not what was written.
    pub rot: bool,
    /// Calls to disks fail.
    pub failures: bool,
    /// Faults strike when something happens.
    pub armed: bool,
}

impl Harms {
    /// Each in some runs; those that nodes recover from slowly in fewer.
    pub fn draw(random: &mut Random) -> Harms {
        Harms {
            pauses: random.once_in(2),
            jumps: random.once_in(3),
            losses: random.once_in(3),
            rot: random.once_in(3),
            failures: random.once_in(3),
            armed: random.once_in(2),
        }
    }
}

/// The harms of a run over `machines` machines. None begins after `until`.
pub fn draw(random: &mut Random, harms: Harms, machines: usize, until: Duration) -> Vec<Timed> {
    let mut faults = Vec::new();
    let mut strike = |at: Duration, lasts: Duration, fault: Fault| {
        if at < until {
            faults.push(Timed { at, lasts, fault });
        }
    };
    let length = u64::try_from(until.as_millis()).unwrap_or(u64::MAX).max(1);
    let moment = |random: &mut Random| Duration::from_millis(random.below(length));
    let place = |random: &mut Random| random.below(machines as u64) as usize;
    let short = |random: &mut Random| random.millis(0..=2_000);
    if harms.pauses {
        for _ in 0..random.within(1..=4) {
            let lasts = match random.below(3) {
                0 => random.millis(100..=700),
                1 => random.millis(400..=3_000),
                _ => random.millis(2_000..=30_000),
            };
            strike(moment(random), lasts, Fault::Harm(Harm::Pause { at: place(random) }));
        }
    }
    if harms.jumps {
        for _ in 0..random.within(1..=5) {
            let seconds = random.pick(&[1, 60, 7_200, 40_000_000]) * random.pick(&[-1, 1]);
            strike(moment(random), Duration::ZERO, Fault::Harm(Harm::ClockJumps { at: place(random), seconds }));
        }
    }
    if harms.losses {
        for _ in 0..random.within(1..=2) {
            let at = place(random);
            if random.once_in(2) {
                strike(moment(random), short(random), Fault::Harm(Harm::WipedDisk { at }));
                continue;
            }
            // A copy in one life, another life, and back.
            let copied = moment(random) / 2;
            let restarted = copied + random.millis(200..=3_000);
            let back = restarted + random.millis(500..=6_000);
            strike(copied, Duration::ZERO, Fault::Harm(Harm::DiskCopied { at }));
            strike(restarted, Duration::ZERO, Fault::Kill { at });
            strike(back, short(random), Fault::Harm(Harm::OlderDisk { at }));
        }
    }
    if harms.rot {
        for _ in 0..random.within(1..=3) {
            let (when, at, draw) = (moment(random), place(random), random.bits());
            let harm = match random.below(5) {
                0..=2 => Harm::RotInLog { at, draw },
                3 => Harm::RotInPages { at, draw },
                _ => Harm::LostWrite { at, draw },
            };
            strike(when, Duration::ZERO, Fault::Harm(harm));
        }
    }
    if harms.failures {
        for _ in 0..random.within(1..=4) {
            let (call, after) = (random.pick(&Call::ALL), random.pick(&[0, 3, 30, 300]));
            strike(moment(random), Duration::ZERO, Fault::Harm(Harm::FailedCall { at: place(random), call, after }));
        }
    }
    if harms.armed {
        for _ in 0..random.within(1..=5) {
            let struck = match random.below(8) {
                0 => Struck::Kill,
                1 => Struck::PowerLoss,
                2 | 3 => Struck::PowerLossDuring(random.below(20)),
                4 => Struck::Isolate,
                5 if harms.failures => Struck::FailedCall(random.pick(&Call::ALL)),
                _ => Struck::Pause,
            };
            let then = struck;
            strike(
                moment(random),
                random.millis(100..=3_000),
                Fault::Harm(Harm::When { event: random.pick(&Event::ALL), then }),
            );
        }
    }
    faults
}

//! What goes wrong beside crashes: each fault by number, for one exact call, or by chance, as the weather has it.

use std::fmt;

use super::Random;

/// One way for a call to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A read fails.
    ReadError,
    /// A read gives what stood there before the last write. Needs the memory of what was: it begins when this fault is
    /// first scheduled or in the weather.
    StaleRead,
    /// A write fails, and nothing of it is there.
    WriteError,
    /// A write fails, and a prefix of it is there.
    ShortWrite,
    /// A write succeeds, and nothing of it is there.
    LostWrite,
    /// A write succeeds, and is in another place of this or another file.
    MisdirectedWrite,
    /// A sync fails; what it was to make durable may be lost for good, though it is still seen.
    SyncError,
    /// A sync fails for lack of space, which file systems that allocate late do. Otherwise like [`Fault::SyncError`].
    SyncNoSpace,
    /// A create, allocation, write, length change or rename finds the disk full.
    NoSpace,
    /// The directory's sync fails, with nothing made durable.
    DirectoryError,
    /// Opening, listing, renaming, removing or measuring fails.
    NameError,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 11] = [
        Fault::ReadError,
        Fault::StaleRead,
        Fault::WriteError,
        Fault::ShortWrite,
        Fault::LostWrite,
        Fault::MisdirectedWrite,
        Fault::SyncError,
        Fault::SyncNoSpace,
        Fault::NoSpace,
        Fault::DirectoryError,
        Fault::NameError,
    ];

    /// Whether the caller is told nothing.
    #[must_use]
    pub fn is_silent(self) -> bool {
        matches!(self, Fault::StaleRead | Fault::LostWrite | Fault::MisdirectedWrite)
    }

    fn text(self) -> &'static str {
        match self {
            Fault::ReadError => "a failed read",
            Fault::StaleRead => "a stale read",
            Fault::WriteError => "a failed write",
            Fault::ShortWrite => "a short write",
            Fault::LostWrite => "a lost write",
            Fault::MisdirectedWrite => "a misdirected write",
            Fault::SyncError => "a failed sync",
            Fault::SyncNoSpace => "a sync without space",
            Fault::NoSpace => "lack of space",
            Fault::DirectoryError => "a failed directory sync",
            Fault::NameError => "a failed call on a name",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

/// How often each fault strikes, of 65,536 calls that it can strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    odds: [u16; Fault::ALL.len()],
}

impl Weather {
    /// Nothing strikes.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }

    /// The same with another frequency of one fault.
    #[must_use]
    pub fn with(mut self, fault: Fault, of_65536: u16) -> Self {
        self.odds[fault as usize] = of_65536;
        self
    }
}

#[derive(Clone)]
struct Scheduled {
    fault: Fault,
    calls: u64,
    prefix: &'static str,
}

#[derive(Clone)]
pub(super) struct Faults {
    pub(super) weather: Weather,
    pub(super) strikes: u64,
    by_fault: [u64; Fault::ALL.len()],
    scheduled: Vec<Scheduled>,
    random: Random,
    remembers: bool,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        // Draws of its own: what goes wrong by chance does not change what a crash keeps.
        let random = Random::new(seed ^ 0x000f_a017);
        let by_fault = [0; Fault::ALL.len()];
        Self { weather: Weather::calm(), strikes: 0, by_fault, scheduled: Vec::new(), random, remembers: false }
    }

    pub(super) fn schedule(&mut self, fault: Fault, calls: u64, prefix: &'static str) {
        self.remembers |= fault == Fault::StaleRead;
        self.scheduled.retain(|scheduled| (scheduled.fault, scheduled.prefix) != (fault, prefix));
        self.scheduled.push(Scheduled { fault, calls, prefix });
    }

    pub(super) fn forget_scheduled(&mut self) {
        self.scheduled.clear();
    }

    pub(super) fn calm(&mut self) {
        self.weather = Weather::calm();
        self.scheduled.clear();
    }

    pub(super) fn strikes_of(&self, fault: Fault) -> u64 {
        self.by_fault[fault as usize]
    }

    pub(super) fn remembers(&self) -> bool {
        self.remembers || self.weather.odds[Fault::StaleRead as usize] > 0
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Whether `fault` strikes this call.
    pub(super) fn strike(&mut self, fault: Fault, name: &str) -> bool {
        let odds = u64::from(self.weather.odds[fault as usize]);
        let mut strikes = odds > 0 && self.random.below(1 << 16) < odds;
        self.scheduled.retain_mut(|scheduled| {
            if scheduled.fault != fault || !name.starts_with(scheduled.prefix) {
                return true;
            }
            let due = scheduled.calls == 0;
            strikes |= due;
            scheduled.calls = scheduled.calls.saturating_sub(1);
            !due
        });
        self.strikes += u64::from(strikes);
        self.by_fault[fault as usize] += u64::from(strikes);
        strikes
    }
}

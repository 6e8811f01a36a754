//! How long calls take, as a number: nothing here waits. Whoever drives the disk takes what was spent and lets virtual
//! time pass, so that a slow disk is slow for everybody who waits for it, in the same way at every repetition.

use std::time::Duration;

use super::Random;

/// What calls cost. All zero: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// A read, in nanoseconds.
    pub read_ns: u64,
    /// A write, in nanoseconds.
    pub write_ns: u64,
    /// A sync of a file or the directory, and an allocation, in nanoseconds.
    pub sync_ns: u64,
    /// Each byte read or written, in picoseconds.
    pub byte_ps: u64,
    /// One call of so many takes `slow_factor` times as long; 0: none does.
    pub slow_one_of: u64,
    /// How much longer.
    pub slow_factor: u64,
}

#[derive(Clone)]
pub(super) struct Meter {
    pub(super) latency: Latency,
    spent_ns: u64,
    random: Random,
}

impl Meter {
    pub(super) fn new(seed: u64) -> Self {
        Self { latency: Latency::default(), spent_ns: 0, random: Random::new(seed ^ 0x510d_d15c) }
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.spend(self.latency.read_ns, bytes);
    }

    pub(super) fn write(&mut self, bytes: usize) {
        self.spend(self.latency.write_ns, bytes);
    }

    pub(super) fn sync(&mut self) {
        self.spend(self.latency.sync_ns, 0);
    }

    pub(super) fn take(&mut self, most: Duration) -> Duration {
        let taken = self.spent_ns.min(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX));
        self.spent_ns -= taken;
        Duration::from_nanos(taken)
    }

    fn spend(&mut self, base_ns: u64, bytes: usize) {
        if self.latency == Latency::default() {
            return;
        }
        let ns = base_ns + self.latency.byte_ps * bytes as u64 / 1000;
        // Half to one and a half of what it costs on average.
        let ns = ns / 2 + self.random.below(ns + 1);
        let slow = self.latency.slow_one_of > 0 && self.random.below(self.latency.slow_one_of) == 0;
        self.spent_ns =
            self.spent_ns.saturating_add(if slow { ns.saturating_mul(self.latency.slow_factor) } else { ns });
    }
}

//! Time from outside: a monotonic clock for durations and deadlines, a wall clock for what people and documents see.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point on a monotonic clock. Only comparable with moments of the same clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    nanos: u64,
}

impl Moment {
    /// `since_start` after the clock's own beginning.
    pub fn from_start(since_start: Duration) -> Self {
        Self { nanos: u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Time since the clock's own beginning.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, later_by: Duration) -> Moment {
        Moment::from_start(self.since_start().saturating_add(later_by))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

/// Microseconds since 1970-01-01T00:00:00Z. May jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    /// Microseconds since the epoch.
    pub micros: i64,
}

impl WallTime {
    /// Seconds since the epoch, as ReQL's times count them.
    pub fn epoch_seconds(self) -> f64 {
        self.micros as f64 / 1e6
    }
}

/// Both clocks of a node.
pub trait Clock: Send + Sync + 'static {
    /// The monotonic clock.
    fn now(&self) -> Moment;

    /// The wall clock.
    fn wall(&self) -> WallTime;
}

/// A clock that stands still until it is told to move: for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
    wall_start_micros: i64,
}

impl ManualClock {
    /// A clock whose wall time begins at `wall`.
    pub fn starting_at(wall: WallTime) -> Self {
        Self { nanos: AtomicU64::new(0), wall_start_micros: wall.micros }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.nanos.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment { nanos: self.nanos.load(Ordering::SeqCst) }
    }

    fn wall(&self) -> WallTime {
        let micros = self.nanos.load(Ordering::SeqCst) / 1_000;
        WallTime { micros: self.wall_start_micros.saturating_add_unsigned(micros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::starting_at(WallTime { micros: 1_000_000 });
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now() - before, Duration::from_millis(1_500));
        assert_eq!(clock.wall(), WallTime { micros: 2_500_000 });
        assert_eq!(clock.wall().epoch_seconds(), 2.5);
    }

    #[test]
    fn an_earlier_moment_is_no_time_ago() {
        let early = Moment::from_start(Duration::from_secs(1));
        let late = early + Duration::from_secs(1);
        assert_eq!(early.since(late), Duration::ZERO);
    }
}

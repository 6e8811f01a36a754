//! The machine's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, Moment, WallTime};

/// The machine's monotonic and wall clocks. Moments count from the creation of this value, and go on while the machine
/// sleeps: a lease must run out then as well.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Duration,
}

impl SystemClock {
    /// A clock whose moments count from now.
    pub fn new() -> Self {
        Self { start: since_boot() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::from_start(since_boot().saturating_sub(self.start))
    }

    fn wall(&self) -> WallTime {
        // Before 1970 the distance comes as an error; it is a valid, negative time.
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        WallTime { micros }
    }
}

/// Time since the machine was started, its sleep included.
fn since_boot() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock is the one that is always there.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_count_from_the_beginning_and_only_rise() {
        let clock = SystemClock::new();
        let first = clock.now();
        assert!(first.since_start() < Duration::from_secs(10), "{first:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.now().since(first) >= Duration::from_millis(5));
    }
}

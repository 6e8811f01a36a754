//! Node time: tokio's, stretched by the node's clock rate.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::asked;

/// A moment of the time of the node whose tasks ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(tokio::time::Instant);

impl Instant {
    /// When tokio's timer shows this moment.
    pub(super) fn to_tokio(self) -> tokio::time::Instant {
        let stretched = |context: &super::Context| context.start + context.real(self.0 - context.start);
        asked(|context| if context.rate == 1.0 { self.0 } else { stretched(context) }).unwrap_or(self.0)
    }
}

impl openraft_rt::Instant for Instant {
    fn now() -> Instant {
        let now = tokio::time::Instant::now();
        let stretched = |context: &super::Context| context.start + (now - context.start).mul_f64(context.rate);
        Instant(asked(|context| if context.rate == 1.0 { now } else { stretched(context) }).unwrap_or(now))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, later_by: Duration) -> Instant {
        Instant(self.0 + later_by)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, later_by: Duration) {
        self.0 += later_by;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, earlier_by: Duration) -> Instant {
        Instant(self.0 - earlier_by)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.0 - earlier.0
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, earlier_by: Duration) {
        self.0 -= earlier_by;
    }
}

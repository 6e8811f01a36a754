//! How long a query runs before others of its thread have their turn, and before it can be ended.
//!
//! Steps of the evaluator differ a million times in length: adding two numbers is one, and so is matching a text of a
//! megabyte. So the clock decides, and steps only say when to look at it: as many are granted as took about
//! [`LOOK_PERIOD`] last time.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::fiber;

use crate::limits::{FIRST_GRANT_STEPS, GRANT_STEPS_MAX, LOOK_PERIOD, TURN_STEPS_MAX, TURN_TIME_MAX};

/// The pace of one query.
pub struct Pace {
    clock: Arc<dyn Clock>,
    /// When it got its turn.
    turn_began: Cell<Moment>,
    /// Steps granted in this turn: with a clock that stands still, as in a simulation, they alone end it.
    turn_steps: Cell<u32>,
    looked: Cell<Moment>,
    /// What was granted last.
    granted: Cell<u32>,
}

impl Pace {
    /// The query begins now.
    pub fn new(clock: Arc<dyn Clock>) -> Pace {
        let now = clock.now();
        Pace {
            clock,
            turn_began: Cell::new(now),
            turn_steps: Cell::new(0),
            looked: Cell::new(now),
            granted: Cell::new(0),
        }
    }

    /// Ends the turn when it is long enough, and grants more steps.
    pub fn grant(&self) -> u32 {
        let now = self.clock.now();
        let next = next_grant(self.granted.get(), now.since(self.looked.get()));
        let steps = self.turn_steps.get() + next;
        if now.since(self.turn_began.get()) >= TURN_TIME_MAX || steps > TURN_STEPS_MAX {
            fiber::yield_now();
            let now = self.clock.now();
            self.turn_began.set(now);
            self.looked.set(now);
            self.turn_steps.set(next);
        } else {
            self.looked.set(now);
            self.turn_steps.set(steps);
        }
        self.granted.set(next);
        next
    }
}

/// How many steps are likely to take [`LOOK_PERIOD`], when `granted` took `elapsed`; at most twice as many as before.
fn next_grant(granted: u32, elapsed: Duration) -> u32 {
    if granted == 0 {
        return FIRST_GRANT_STEPS;
    }
    let twice = granted.saturating_mul(2).min(GRANT_STEPS_MAX);
    let fitting = u128::from(granted) * LOOK_PERIOD.as_nanos() / elapsed.as_nanos().max(1);
    u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_steps_are_granted_by_hundreds_and_dear_ones_singly() {
        let mut granted = next_grant(0, Duration::ZERO);
        assert_eq!(granted, FIRST_GRANT_STEPS);
        for _ in 0..20 {
            granted = next_grant(granted, Duration::from_nanos(20) * granted);
        }
        assert_eq!(granted, GRANT_STEPS_MAX);
        // Each step takes ten milliseconds from now on.
        granted = next_grant(granted, Duration::from_millis(10) * granted);
        assert_eq!(granted, 1);
        assert_eq!(next_grant(granted, Duration::from_millis(10)), 1);
        assert_eq!(next_grant(granted, Duration::from_nanos(20)), 2);
    }
}

//! What a node that stops waits for, by looking again and again.

use std::time::Duration;

use photondb_runtime::task::sleep;

use crate::limits::{ANSWER_TIME_MAX, ANSWERS_REST};

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until something holds, for `limit` at most.
pub(super) async fn wait_until(holds: impl Fn() -> bool, limit: Duration) {
    let mut waited = Duration::ZERO;
    while !holds() && waited < limit {
        sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
}

/// Waits until there has been nothing to do for [`ANSWERS_REST`], and nothing new came, for [`ANSWER_TIME_MAX`] at most. `came`: how much
/// came, if nothing is under way.
pub(super) async fn rest(came: impl Fn() -> Option<u64>) {
    let (mut waited, mut rests, mut seen) = (Duration::ZERO, Duration::ZERO, None);
    while rests < ANSWERS_REST && waited < ANSWER_TIME_MAX {
        sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
        let now = came();
        rests = if now.is_some() && now == seen { rests + LOOK_AGAIN } else { Duration::ZERO };
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How long is waited for what came, by the time since then.
    async fn rested(came: impl Fn(Duration) -> Option<u64>) -> Duration {
        let begun = Instant::now();
        rest(|| came(begun.elapsed())).await;
        begun.elapsed()
    }

    /// A look more than what is waited for: the first one only sees how much has come.
    const REST: Duration = ANSWERS_REST.saturating_add(LOOK_AGAIN);

    #[tokio::test(start_paused = true)]
    async fn whoever_is_asked_for_nothing_rests_at_once() {
        assert_eq!(rested(|_| Some(0)).await, REST);
        assert_eq!(rested(|_| Some(7)).await, REST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_waited_for() {
        let ends = Duration::from_millis(300);
        assert_eq!(rested(|time| (time >= ends).then_some(1)).await, ends + ANSWERS_REST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_and_went_between_two_looks_counts() {
        let last = Duration::from_millis(20);
        assert_eq!(rested(|time| Some(u64::from(time >= last))).await, last + ANSWERS_REST);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_keeps_a_node_for_ever() {
        assert_eq!(rested(|_| None).await, ANSWER_TIME_MAX);
        assert_eq!(rested(|time| Some(time.as_millis() as u64)).await, ANSWER_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_is_waited_for_no_longer_than_was_said() {
        let begun = Instant::now();
        wait_until(|| begun.elapsed() >= Duration::from_millis(12), Duration::from_secs(1)).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(15));
        wait_until(|| false, Duration::from_millis(100)).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(115));
    }
}

//! A node that waits for others says so, and what each of them answered.

use std::collections::BTreeMap;
use std::fmt::Display;

use parking_lot::Mutex;
use photondb_runtime::clock::Moment;

use crate::limits::WAITING_SAID_PERIOD;

/// Why this node still waits.
#[derive(Default)]
pub(crate) struct Waiting {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When it began to wait, or last said so.
    since: Option<Moment>,
    /// By who was asked: the newest reason.
    reasons: BTreeMap<String, String>,
}

impl Waiting {
    /// `who` was asked, and `why` it did not help.
    pub fn note(&self, who: impl Display, why: impl Display) {
        self.state.lock().reasons.insert(who.to_string(), why.to_string());
    }

    /// What there is to say about a wait that goes on: now and then, and with the reasons since the last time.
    pub fn due(&self, now: Moment) -> Option<String> {
        let mut state = self.state.lock();
        let since = *state.since.get_or_insert(now);
        if now.since(since) < WAITING_SAID_PERIOD {
            return None;
        }
        state.since = Some(now);
        let reasons = std::mem::take(&mut state.reasons);
        let said: Vec<_> = reasons.into_iter().map(|(who, why)| format!("{who}: {why}")).collect();
        Some(if said.is_empty() { "nobody to ask is known".to_owned() } else { said.join("; ") })
    }

    /// The wait is over.
    pub fn end(&self) {
        *self.state.lock() = State::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_is_said_now_and_then_with_the_newest_reason_of_each() {
        let waiting = Waiting::default();
        let at = |millis| Moment::from_start(Duration::from_millis(millis));
        waiting.note("a:1", "connection refused");
        assert_eq!(waiting.due(at(100)), None);
        waiting.note("a:1", "no route");
        waiting.note("b:2", "not yet");
        let period = u64::try_from(WAITING_SAID_PERIOD.as_millis()).unwrap();
        assert_eq!(waiting.due(at(100 + period)).as_deref(), Some("a:1: no route; b:2: not yet"));
        assert_eq!(waiting.due(at(150 + period)), None);
        assert_eq!(waiting.due(at(100 + 2 * period)).as_deref(), Some("nobody to ask is known"));
        waiting.end();
        assert_eq!(waiting.due(at(100 + 4 * period)), None);
    }
}

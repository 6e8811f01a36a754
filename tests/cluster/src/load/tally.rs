//! How many calls ended how.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use photondb_history::answer::{ErrorKind, Failure};

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Tally {
    pub writes: u64,
    pub reads: u64,
    /// Certain and uncertain failures, by what was said.
    failed: BTreeMap<String, u64>,
    /// Answers that no right server gives.
    pub strange: Vec<String>,
    /// Writes that began later are counted.
    since: Option<Instant>,
    counted: u64,
    last_write: Option<Instant>,
    longest_gap: Duration,
}

impl Tally {
    /// A write that began at this time was acknowledged now.
    pub fn write(&mut self, began: Instant) {
        let now = Instant::now();
        self.writes += 1;
        self.counted += u64::from(self.since.is_some_and(|since| began >= since));
        self.close_gap(now);
    }

    pub fn read(&mut self) {
        self.reads += 1;
    }

    /// A call failed. An error of another kind than those that say what became of it is strange.
    pub fn failure(&mut self, failure: &Failure) {
        let said = match failure.server_error() {
            None => format!("no answer ({})", if failure.is_definite() { "not sent" } else { "sent" }),
            Some(error) => {
                let known = matches!(error.kind, ErrorKind::OpFailed | ErrorKind::OpIndeterminate);
                if !known {
                    self.strange(failure.to_string());
                }
                format!("{:?}: {}", error.kind, error.message.split(['(', '[', '"']).next().unwrap_or_default().trim())
            }
        };
        *self.failed.entry(said).or_default() += 1;
    }

    pub fn strange(&mut self, what: String) {
        const KEPT_MAX: usize = 20;
        if self.strange.len() < KEPT_MAX {
            self.strange.push(what);
        }
    }

    pub fn begin_counting(&mut self, since: Instant) {
        (self.since, self.counted) = (Some(since), 0);
    }

    pub fn counted(&self) -> u64 {
        self.counted
    }

    pub fn take_gap(&mut self, now: Instant) -> Duration {
        self.close_gap(now);
        std::mem::take(&mut self.longest_gap)
    }

    pub fn failures(&self) -> String {
        let said: Vec<String> = self.failed.iter().map(|(what, times)| format!("{times} x {what}")).collect();
        if said.is_empty() { "no failure".to_owned() } else { said.join(", ") }
    }

    fn close_gap(&mut self, now: Instant) {
        let gap = self.last_write.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        (self.longest_gap, self.last_write) = (self.longest_gap.max(gap), Some(now));
    }
}

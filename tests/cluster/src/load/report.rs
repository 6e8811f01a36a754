//! The judgement.

use std::fmt;

use photondb_history::linearizable::{Verdict, check_object};
use photondb_history::register::Document;
use photondb_history::{Violation, counter};

use super::Shared;

/// Steps of the search for an order of the calls on one document.
const STEPS_MAX: u64 = 3_000_000;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    pub writes: u64,
    pub reads: u64,
    pub failures: String,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// Documents of which the search gave up.
    pub undecided: usize,
    documents: usize,
}

impl Report {
    pub(super) fn of(shared: &Shared) -> Report {
        const LOCK: &str = "no client panics while it writes into a ledger";
        let tally = shared.tally();
        let strange = tally.strange.iter();
        let strange =
            strange.map(|what| Violation { property: "answers are those of a server", evidence: what.clone() });
        let mut violations: Vec<Violation> = strange.collect();
        let mut undecided = 0;
        for (key, ledger) in shared.registers.iter().enumerate() {
            match check_object(&Document, ledger.lock().expect(LOCK).calls(), STEPS_MAX) {
                Verdict::Linearizable => {}
                Verdict::Undecided { .. } => undecided += 1,
                Verdict::Violated(found) => {
                    let evidence = format!("document {key}, after {} answers: {}", found.answers, found.evidence);
                    violations.push(Violation { property: "linearizable", evidence });
                }
            }
        }
        let counters = shared.counters.iter().map(|ledger| counter::check(ledger.lock().expect(LOCK).calls()));
        violations.extend(counters.filter_map(Result::err));
        Report {
            writes: tally.writes,
            reads: tally.reads,
            failures: tally.failures(),
            violations,
            undecided,
            documents: shared.registers.len(),
        }
    }

    /// Panics unless all of it is right.
    pub fn assert_right(&self) {
        println!("{self}");
        let evidence: Vec<String> = self.violations.iter().map(Violation::to_string).collect();
        assert!(evidence.is_empty(), "{}", evidence.join("\n"));
        assert!(self.undecided * 4 <= self.documents, "too many documents of which the search gave up: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { writes, reads, failures, undecided, .. } = self;
        write!(
            formatter,
            "{writes} writes and {reads} reads were answered; {failures}; {undecided} documents undecided"
        )
    }
}

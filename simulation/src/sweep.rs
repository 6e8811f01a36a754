//! Many runs, and what they say together. Each run is a process of its own and leaves one line of JSON; lines of any number
//! of processes are put together in any order.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::buggify;
use crate::checker::Violation;
use crate::probe::Probe;

/// How many of the slowest runs a summary lists.
const SLOWEST_LISTED: usize = 5;

/// Something found wrong, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which property does not hold.
    pub property: String,
    /// How that shows.
    pub evidence: String,
}

impl From<&Violation> for Finding {
    fn from(violation: &Violation) -> Finding {
        Finding { property: violation.property.to_owned(), evidence: violation.evidence.clone() }
    }
}

/// What one run left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub seed: u64,
    /// Its scenario.
    pub scenario: String,
    /// Over its whole trace, in hexadecimal.
    pub trace_hash: String,
    /// Events in the trace.
    pub events: u64,
    /// Virtual time that passed, in microseconds.
    pub virtual_us: u64,
    /// Processor time that it took, in microseconds.
    pub took_us: u64,
    /// Operations of clients, by how they ended.
    pub operations: BTreeMap<String, u64>,
    /// Changes that administrators asked for and that were accepted, by kind.
    #[serde(default)]
    pub changes: BTreeMap<String, u64>,
    /// Faults, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Points of the product that the run had, and how often each struck.
    #[serde(default)]
    pub points: BTreeMap<String, u64>,
    /// Rare paths, and how often they were taken.
    pub probes: BTreeMap<String, u64>,
    /// Checks that gave up before they knew.
    pub undecided: u64,
    /// Empty: everything held.
    pub violations: Vec<Finding>,
}

impl RunRecord {
    /// One line of JSON, without the end of the line.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("names, numbers and text have a JSON")
    }
}

/// Runs put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// By seed and scenario. A seed that was run twice counts once.
    runs: BTreeMap<(u64, String), RunRecord>,
    /// Runs that came out differently when they were repeated.
    disagreeing: Vec<(u64, String)>,
}

impl Sweep {
    /// Adds a run.
    pub fn add(&mut self, run: RunRecord) {
        let key = (run.seed, run.scenario.clone());
        match self.runs.get(&key) {
            Some(before) if before.trace_hash != run.trace_hash => self.disagreeing.push(key),
            _ => {
                self.runs.insert(key, run);
            }
        }
    }

    /// Adds the runs of lines as [`RunRecord::to_line`] makes them; empty lines are passed over. Errors: a line is no run.
    pub fn add_lines(&mut self, lines: &str) -> Result<(), serde_json::Error> {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            self.add(serde_json::from_str(line)?);
        }
        Ok(())
    }

    /// What they say together. `elapsed_us` is how long the sweep took by the wall, over all its processes.
    pub fn summary(&self, probes: &[Probe], elapsed_us: u64) -> Summary {
        let mut summary = Summary {
            runs: self.runs.len() as u64,
            elapsed_us,
            missed: Vec::new(),
            disagreeing: self.disagreeing.clone(),
            ..Summary::default()
        };
        for run in self.runs.values() {
            summary.virtual_us += run.virtual_us;
            summary.took_us += run.took_us;
            summary.undecided += run.undecided;
            let counts = [
                (&run.operations, &mut summary.operations),
                (&run.changes, &mut summary.changes),
                (&run.faults, &mut summary.faults),
                (&run.points, &mut summary.points),
                (&run.probes, &mut summary.probes),
            ];
            for (of_run, all) in counts {
                for (name, count) in of_run {
                    *all.entry(name.clone()).or_default() += count;
                }
            }
            if !run.violations.is_empty() {
                summary.failed.push(run.clone());
            }
        }
        for probe in probes {
            if *summary.probes.entry(probe.name.to_owned()).or_default() == 0 {
                summary.missed.push(*probe);
            }
        }
        let mut slowest: Vec<_> = self.runs.values().collect();
        slowest.sort_by_key(|run| (std::cmp::Reverse(run.took_us), run.seed));
        summary.slowest = slowest.iter().take(SLOWEST_LISTED).map(|run| (run.seed, run.took_us)).collect();
        summary
    }
}

/// A sweep in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// How long it took by the wall, in microseconds.
    pub elapsed_us: u64,
    /// Virtual time of all runs, in microseconds.
    pub virtual_us: u64,
    /// Processor time of all runs, in microseconds.
    pub took_us: u64,
    /// Operations of clients, by how they ended.
    pub operations: BTreeMap<String, u64>,
    /// Changes that administrators asked for and that were accepted, by kind.
    pub changes: BTreeMap<String, u64>,
    /// Faults, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Points of the product that some run had, and how often each struck.
    pub points: BTreeMap<String, u64>,
    /// Rare paths; those that were never taken with a zero.
    pub probes: BTreeMap<String, u64>,
    /// Paths never taken.
    pub missed: Vec<Probe>,
    /// Checks that gave up before they knew.
    pub undecided: u64,
    /// Seeds of the slowest runs, and their processor time in microseconds.
    pub slowest: Vec<(u64, u64)>,
    /// Runs with violations.
    pub failed: Vec<RunRecord>,
    /// Runs that gave another trace when they were repeated.
    pub disagreeing: Vec<(u64, String)>,
}

impl Summary {
    /// Whether nothing was found, every path was taken that must be, and the same seed always gave the same trace.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.disagreeing.is_empty() && !self.missed.iter().any(|probe| probe.must)
    }

    /// Points of the product that never struck, be it that no run had them.
    pub fn never_struck(&self) -> impl Iterator<Item = &'static str> {
        let names = buggify::POINTS.iter().map(|point| point.name);
        names.filter(|name| self.points.get(*name).is_none_or(|struck| *struck == 0))
    }

    /// Runs per second by the wall.
    pub fn runs_per_second(&self) -> f64 {
        self.runs as f64 / (self.elapsed_us.max(1) as f64 / 1e6)
    }

    /// Virtual seconds per second of processor time.
    pub fn speed(&self) -> f64 {
        self.virtual_us as f64 / self.took_us.max(1) as f64
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.virtual_us as f64 / 3.6e9;
        let (rate, of) = match self.elapsed_us {
            // Records say how long each run took, and not how many went on at once.
            0 => (self.runs as f64 / (self.took_us.max(1) as f64 / 1e6), " of processor time"),
            _ => (self.runs_per_second(), ""),
        };
        writeln!(formatter, "{} seeds, {hours:.2} virtual hours, {rate:.2} seeds a second{of}", self.runs)?;
        writeln!(formatter, "{} faults survived", self.faults.values().sum::<u64>())?;
        writeln!(formatter, "{} changes of how tables lie accepted", self.changes.values().sum::<u64>())?;
        writeln!(formatter, "{:.1} virtual seconds a second of processor time", self.speed())?;
        let tables = [
            ("operations", &self.operations),
            ("changes accepted", &self.changes),
            ("faults", &self.faults),
            ("rare behaviour", &self.points),
            ("rare paths", &self.probes),
        ];
        for (title, counts) in tables {
            writeln!(formatter, "{title}:")?;
            for (name, count) in counts {
                writeln!(formatter, "{count:>12} x {name}")?;
            }
        }
        for probe in &self.missed {
            let must = if probe.must { ", and must be" } else { "" };
            writeln!(formatter, "never taken{must}: {}", probe.name)?;
        }
        for name in self.never_struck() {
            writeln!(formatter, "never struck: {name}")?;
        }
        if self.undecided > 0 {
            writeln!(formatter, "{} checks gave up before they knew", self.undecided)?;
        }
        for (seed, took_us) in &self.slowest {
            writeln!(formatter, "slow: seed {seed}, {:.2} s", *took_us as f64 / 1e6)?;
        }
        for (seed, scenario) in &self.disagreeing {
            writeln!(formatter, "NOT DETERMINISTIC: seed {seed} of {scenario}")?;
        }
        for run in &self.failed {
            let first = run.violations.first().map_or("", |finding| finding.property.as_str());
            let count = run.violations.len();
            writeln!(formatter, "FAILED: seed {} of {}: {count} findings, the first: {first}", run.seed, run.scenario)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBES: [Probe; 3] = [Probe::must("torn tail"), Probe::may("rot"), Probe::must("transfer")];

    fn run(seed: u64, probe: &str) -> RunRecord {
        RunRecord {
            seed,
            scenario: "register".to_owned(),
            trace_hash: format!("{seed:x}"),
            virtual_us: 20_000_000,
            took_us: 1_000_000 * seed,
            probes: BTreeMap::from([(probe.to_owned(), 2)]),
            changes: BTreeMap::from([("node drained".to_owned(), 2)]),
            faults: BTreeMap::from([("crash".to_owned(), seed)]),
            ..RunRecord::default()
        }
    }

    #[test]
    fn lines_of_processes_add_up_in_any_order() {
        let runs = [run(1, "torn tail"), run(2, "transfer"), run(3, "torn tail")];
        let lines = |order: [usize; 3]| order.map(|at| runs[at].to_line()).join("\n");
        let (mut one, mut other) = (Sweep::default(), Sweep::default());
        one.add_lines(&lines([0, 1, 2])).unwrap();
        other.add_lines(&lines([2, 0, 1])).unwrap();
        assert_eq!(one, other);
        let summary = one.summary(&PROBES, 3_000_000);
        assert_eq!((summary.runs, summary.virtual_us, summary.faults["crash"]), (3, 60_000_000, 6));
        assert_eq!(summary.slowest, [(3, 3_000_000), (2, 2_000_000), (1, 1_000_000)]);
        assert_eq!(summary.missed, [Probe::may("rot")]);
        assert!(summary.is_good());
        assert_eq!((summary.runs_per_second(), summary.speed()), (1.0, 10.0));
        assert!(summary.to_string().contains("never taken: rot"));
        assert!(summary.to_string().contains("6 changes of how tables lie accepted"));
    }

    #[test]
    fn what_must_happen_and_what_must_not_is_noticed() {
        let mut sweep = Sweep::default();
        sweep.add(run(1, "torn tail"));
        assert!(!sweep.summary(&PROBES, 1).is_good(), "no transfer");
        sweep.add(run(2, "transfer"));
        assert!(sweep.summary(&PROBES, 1).is_good());
        let finding = Finding { property: "linearizable".to_owned(), evidence: "x".to_owned() };
        sweep.add(RunRecord { violations: vec![finding], ..run(3, "rot") });
        let summary = sweep.summary(&PROBES, 1);
        assert!(!summary.is_good());
        assert!(summary.to_string().contains("FAILED: seed 3 of register: 1 findings, the first: linearizable"));
    }

    #[test]
    fn a_seed_that_gives_two_traces_is_no_success() {
        let mut sweep = Sweep::default();
        sweep.add(run(1, "torn tail"));
        sweep.add(run(1, "torn tail"));
        assert!(sweep.summary(&[], 1).is_good());
        assert_eq!(sweep.summary(&[], 1).runs, 1);
        sweep.add(RunRecord { trace_hash: "other".to_owned(), ..run(1, "torn tail") });
        assert!(!sweep.summary(&[], 1).is_good());
    }

    #[test]
    fn a_line_that_is_no_run_is_refused() {
        assert!(Sweep::default().add_lines("{\"seed\":1}").is_err());
    }
}

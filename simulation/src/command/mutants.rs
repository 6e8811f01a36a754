//! For each deliberate bug, seeds are run until one fails because of it.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Length, one};
use crate::buggify;
use crate::mutant::Mutant;

/// Characters of what noticed a bug.
const EVIDENCE_TOLD: usize = 160;

/// How bugs are looked for.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The program `simulation`.
    pub program: PathBuf,
    /// The first seed.
    pub first: u64,
    /// A bug that so many seeds do not show is not found.
    pub seeds_max: u64,
    /// Processes at once.
    pub jobs: usize,
    /// Whether everything is left to the seed, wherever the bug would be looked for first.
    pub unpinned: bool,
    /// What of runs is not left to their seeds.
    pub length: Length,
}

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Hunted {
    /// The bug.
    pub mutant: Mutant,
    /// The seed that showed it, how many were run for it, and what noticed it.
    pub found: Option<Caught>,
    /// Seeds that fail without the bug, which prove nothing.
    pub failing_anyway: Vec<u64>,
    /// Time by the wall.
    pub took: Duration,
}

/// A bug that was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The seed.
    pub seed: u64,
    /// It was the so-manieth.
    pub seeds: u64,
    /// What the clients did.
    pub workload: String,
    /// The property that did not hold.
    pub property: String,
    /// How that showed.
    pub evidence: String,
}

/// Looks for one bug. Errors: a process cannot be started.
pub fn hunt(hunt: &Hunt, mutant: &Mutant) -> anyhow::Result<Hunted> {
    let began = Instant::now();
    let clean = hunt.length_for(mutant);
    let length = Length { mutant: Some(mutant.name.to_owned()), ..clean.clone() };
    let waiting = Mutex::new((0..hunt.seeds_max).collect::<VecDeque<u64>>());
    let caught: Mutex<Vec<Caught>> = Mutex::default();
    let (anyway, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    let work = || -> anyhow::Result<()> {
        while caught.lock().is_empty() && failure.lock().is_none() {
            let Some(number) = waiting.lock().pop_front() else { break };
            let seed = hunt.first.wrapping_add(number);
            let record = one(&hunt.program, seed, &length)?;
            let Some(first) = record.violations.first() else { continue };
            if !one(&hunt.program, seed, &clean)?.violations.is_empty() {
                anyway.lock().push(seed);
                continue;
            }
            let (property, evidence) = (first.property.clone(), first.evidence.clone());
            let workload = record.scenario.clone();
            caught.lock().push(Caught { seed, seeds: number + 1, workload, property, evidence });
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..hunt.jobs {
            scope.spawn(|| {
                if let Err(error) = work() {
                    *failure.lock() = Some(error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    let found = caught.into_inner().into_iter().min_by_key(|caught| caught.seeds);
    Ok(Hunted { mutant: *mutant, found, failing_anyway: anyway.into_inner(), took: began.elapsed() })
}

impl Hunt {
    fn length_for(&self, mutant: &Mutant) -> Length {
        if self.unpinned {
            return self.length.clone();
        }
        let hint = &mutant.hint;
        let points = hint.points.iter().map(|name| buggify::named(name).expect("hints name points that there are"));
        Length {
            workload: self.length.workload.clone().or(hint.workload.map(str::to_owned)),
            machines: self.length.machines.or(hint.machines),
            administered: self.length.administered.or(hint.administered.then_some(true)),
            // Which seeds show a bug is written down of runs that are not.
            impatient: self.length.impatient.or(Some(false)),
            arranged: self.length.arranged.or(hint.arranged.then_some(true)),
            aim: self.length.aim.or(hint.aim),
            points_too: self.length.points_too.iter().copied().chain(points).collect(),
            ..self.length.clone()
        }
    }
}

impl fmt::Display for Hunted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hunted { mutant: Mutant { name, what, .. }, found, failing_anyway, took } = self;
        let took = took.as_secs_f64();
        writeln!(formatter, "{name}: {what}")?;
        match found {
            Some(Caught { seed, seeds, workload, property, evidence }) => {
                let evidence: String = evidence.chars().take(EVIDENCE_TOLD).collect();
                writeln!(
                    formatter,
                    "    seed {seed} of {workload}, number {seeds}, in {took:.0} s: {property}: {evidence}"
                )?;
            }
            None => writeln!(formatter, "    NOT FOUND in {took:.0} s")?,
        }
        if !failing_anyway.is_empty() {
            writeln!(formatter, "    these fail without it as well: {failing_anyway:?}")?;
        }
        Ok(())
    }
}

//! What the program does with many runs: each is a process of its own, so that nothing of one reaches the next.

pub mod mutants;

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use parking_lot::Mutex;

use crate::buggify::Point;
use crate::cluster::aim::Aim;
use crate::cluster::plan::ClusterPlan;
use crate::cluster::rare;
use crate::shrink;
use crate::sweep::{Finding, RunRecord, Summary, Sweep};

/// Real time that a run may take; one that takes more goes on for ever.
const RUN_TIME_MAX: Duration = Duration::from_secs(300);

/// What is told of a run that failed; its record has the rest.
const FINDINGS_TOLD: usize = 3;

/// Characters of a finding.
const EVIDENCE_TOLD: usize = 600;

/// How the program ends when nobody reads what it prints: as by SIGPIPE.
const READER_GONE: i32 = 128 + 13;

/// Between two looks at whether a run has ended.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// What the command line says of the executor.
const ON: &str = if cfg!(madsim) { "madsim " } else { "" };

/// Prints a line. When nobody reads any more (`| head`), the program ends: there is no one left to tell.
pub fn say(line: impl fmt::Display) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(READER_GONE);
    }
}

/// What of runs is not left to their seeds.
#[derive(Clone, Debug, Default)]
pub struct Length {
    /// Of the load, in virtual time.
    pub duration: Duration,
    /// What clients do.
    pub workload: Option<String>,
    /// How many machines.
    pub machines: Option<usize>,
    /// Whether somebody changes how tables lie; `None`: the seed draws it.
    pub administered: Option<bool>,
    /// Whether silent nodes are given up soon; `None`: the seed draws it.
    pub impatient: Option<bool>,
    /// Whether nodes have zones and tags; `None`: the seed draws it.
    pub arranged: Option<bool>,
    /// What they are brought to again and again, in place of the faults that the seed draws.
    pub aim: Option<Aim>,
    /// Points that they have besides those of the seed.
    pub points_too: Vec<&'static Point>,
    /// Only these faults, by number.
    pub faults: Option<Vec<usize>>,
    /// A deliberate bug that the processes of runs have.
    pub mutant: Option<String>,
    /// Only these points of the product.
    pub points: Option<Vec<&'static Point>>,
}

/// What a run that fails may do without.
#[derive(Clone, Copy, Debug)]
enum Item {
    Fault(usize),
    Point(&'static Point),
}

impl Length {
    /// The run of `seed`.
    pub fn plan(&self, seed: u64) -> ClusterPlan {
        let mut plan = ClusterPlan::draw(seed, self.workload.as_deref(), self.machines, self.duration);
        plan.administered = self.administered.unwrap_or(plan.administered);
        plan.set_impatient(self.impatient.unwrap_or(plan.impatient));
        plan.arrange(self.arranged.unwrap_or(plan.arranged));
        if let Some(aim) = self.aim {
            aim.take(&mut plan);
        }
        if let Some(kept) = &self.faults {
            plan.faults = kept.iter().filter_map(|number| plan.faults.get(*number).copied()).collect();
        }
        plan.add_points(&self.points_too);
        if let Some(points) = &self.points {
            plan.points = points.iter().copied().filter(|point| point.fits(plan.workload)).collect();
        }
        plan
    }

    fn arguments(&self, seed: u64) -> Vec<String> {
        let mut arguments = vec![seed.to_string(), "--seconds".to_owned(), self.duration.as_secs().to_string()];
        if let Some(workload) = &self.workload {
            arguments.extend(["--workload".to_owned(), workload.clone()]);
        }
        if let Some(machines) = self.machines {
            arguments.extend(["--machines".to_owned(), machines.to_string()]);
        }
        if let Some(administered) = self.administered {
            arguments.extend(["--administered".to_owned(), administered.to_string()]);
        }
        if let Some(impatient) = self.impatient {
            arguments.extend(["--impatient".to_owned(), impatient.to_string()]);
        }
        if let Some(arranged) = self.arranged {
            arguments.extend(["--arranged".to_owned(), arranged.to_string()]);
        }
        if let Some(aim) = self.aim {
            arguments.extend(["--aim".to_owned(), aim.name().to_owned()]);
        }
        if !self.points_too.is_empty() {
            let list: Vec<&str> = self.points_too.iter().map(|point| point.name).collect();
            arguments.extend(["--points-too".to_owned(), list.join(",")]);
        }
        if let Some(faults) = &self.faults {
            let list: Vec<String> = faults.iter().map(usize::to_string).collect();
            let list = if list.is_empty() { "none".to_owned() } else { list.join(",") };
            arguments.extend(["--faults".to_owned(), list]);
        }
        if let Some(mutant) = &self.mutant {
            arguments.extend(["--mutant".to_owned(), mutant.clone()]);
        }
        if let Some(points) = &self.points {
            let list: Vec<&str> = points.iter().map(|point| point.name).collect();
            let list = if list.is_empty() { "none".to_owned() } else { list.join(",") };
            arguments.extend(["--points".to_owned(), list]);
        }
        arguments
    }

    /// The command that repeats a run and prints its events.
    pub fn repeat_command(&self, seed: u64) -> String {
        format!("cargo run -p photondb-simulation -- {ON}replay {}", self.arguments(seed).join(" "))
    }
}

/// Which runs to make.
#[derive(Clone, Debug)]
pub struct Sweeping {
    /// The program `simulation`.
    pub program: PathBuf,
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// Processes at once.
    pub jobs: usize,
    /// No run begins later than this after the first.
    pub budget: Option<Duration>,
    /// Where records go.
    pub out: Option<PathBuf>,
}

/// A seed that was probably never used.
pub fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default() << 12
}

/// Makes runs, says of each that fails how to repeat it, and puts them together. Errors: a process cannot be started, or a
/// file not be written.
pub fn sweep(sweeping: &Sweeping, length: &Length) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let waiting = Mutex::new(VecDeque::from(sweeping.seeds.clone()));
    let (sweep, failure) = (Mutex::new(Sweep::default()), Mutex::new(None));
    let mut out = sweeping.out.as_ref().map(fs::File::create).transpose().context("the file for records")?;
    let lines = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..sweeping.jobs {
            scope.spawn(|| {
                while sweeping.budget.is_none_or(|budget| began.elapsed() < budget) && failure.lock().is_none() {
                    let Some(seed) = waiting.lock().pop_front() else { return };
                    match one(&sweeping.program, seed, length) {
                        Ok(record) => {
                            tell(&record, length);
                            lines.lock().push(record.to_line());
                            sweep.lock().add(record);
                        }
                        Err(error) => *failure.lock() = Some(error),
                    }
                }
            });
        }
    });
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    if let Some(out) = &mut out {
        for line in lines.into_inner() {
            writeln!(out, "{line}").context("the file for records")?;
        }
    }
    Ok(sweep.into_inner().summary(&rare::all(), u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)))
}

fn tell(record: &RunRecord, length: &Length) {
    for Finding { property, evidence } in record.violations.iter().take(FINDINGS_TOLD) {
        let evidence: String = evidence.chars().take(EVIDENCE_TOLD).collect();
        say(format_args!("FAILED: seed {} of {}: {property} does not hold: {evidence}", record.seed, record.scenario));
    }
    if record.violations.len() > FINDINGS_TOLD {
        say(format_args!("  and {} more", record.violations.len() - FINDINGS_TOLD));
    }
    if !record.violations.is_empty() {
        say(format_args!("  repeat: {}", length.repeat_command(record.seed)));
    }
}

/// One run in a process of its own. A process that dies is a run that failed.
pub fn one(program: &Path, seed: u64, length: &Length) -> anyhow::Result<RunRecord> {
    let mut child = Command::new(program)
        .arg("one")
        .args(length.arguments(seed))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("a process for a run")?;
    // Read while it runs: a pipe that is full would stop it.
    let (said, complaint) = (child.stdout.take().map(read), child.stderr.take().map(read));
    // A run in which virtual time stands still would never end.
    let began = Instant::now();
    let mut overdue = "";
    while child.try_wait().context("waiting for a run")?.is_none() {
        if began.elapsed() > RUN_TIME_MAX {
            overdue = "it did not end by itself, virtual time may stand still: ";
            child.kill().context("ending a run")?;
        }
        std::thread::sleep(LOOK_PERIOD);
    }
    let status = child.wait().context("waiting for a run")?;
    let text = |reader: Option<JoinHandle<Vec<u8>>>| {
        let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (said, complaint) = (text(said), text(complaint));
    let record = said.lines().last().and_then(|line| serde_json::from_str::<RunRecord>(line).ok());
    Ok(record.unwrap_or_else(|| {
        let evidence = format!("{overdue}{status}: {}", complaint.lines().take(20).collect::<Vec<_>>().join(" | "));
        let property = "the process of a run goes on to its end".to_owned();
        let scenario = length.plan(seed).workload.to_owned();
        RunRecord { seed, scenario, violations: vec![Finding { property, evidence }], ..RunRecord::default() }
    }))
}

fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is to tell.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// The shortest list of faults that was found with which a seed still fails.
#[derive(Clone, Debug)]
pub struct Smallest {
    seed: u64,
    length: Length,
    of: usize,
    of_points: usize,
    runs: u64,
    is_minimal: bool,
}

impl fmt::Display for Smallest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.length.plan(self.seed);
        let known = if self.is_minimal { "each is needed" } else { "the runs did not suffice to try each" };
        let (faults, points) = (plan.faults.len(), plan.points.len());
        writeln!(
            formatter,
            "{faults} of {} faults, {points} of {} points, after {} runs ({known}):",
            self.of, self.of_points, self.runs
        )?;
        for point in &plan.points {
            writeln!(formatter, "  {}: {}", point.name, point.what)?;
        }
        for fault in &plan.faults {
            writeln!(formatter, "  at {:.3} s {fault}", fault.at.as_secs_f64())?;
        }
        write!(formatter, "repeat: {}", self.length.repeat_command(self.seed))
    }
}

/// Takes faults and points away from a failing run for as long as it fails. Errors: it does not fail, or no process can be
/// started.
pub fn shrink_faults(program: &Path, seed: u64, length: &Length, runs_max: u64) -> anyhow::Result<Smallest> {
    let whole = Length { faults: None, points: None, ..length.clone() }.plan(seed);
    let (of, of_points) = (whole.faults.len(), whole.points.len());
    let faults = length.faults.clone().unwrap_or_else(|| (0..of).collect());
    let points = length.points.clone().unwrap_or(whole.points);
    let items: Vec<Item> = faults.into_iter().map(Item::Fault).chain(points.into_iter().map(Item::Point)).collect();
    let with = |kept: &[Item]| {
        let fault = |item: &Item| if let Item::Fault(number) = item { Some(*number) } else { None };
        let point = |item: &Item| if let Item::Point(point) = item { Some(*point) } else { None };
        let (faults, points) = (kept.iter().filter_map(fault).collect(), kept.iter().filter_map(point).collect());
        Length { faults: Some(faults), points: Some(points), ..length.clone() }
    };
    let first = one(program, seed, &with(&items))?;
    anyhow::ensure!(!first.violations.is_empty(), "seed {seed} does not fail: there is nothing to make smaller");
    let shrunk = shrink::shrink(&items, runs_max, |kept| {
        one(program, seed, &with(kept)).is_ok_and(|record| !record.violations.is_empty())
    });
    let (runs, is_minimal) = (shrunk.tried, shrunk.is_minimal);
    Ok(Smallest { seed, length: with(&shrunk.steps), of, of_points, runs, is_minimal })
}

/// Puts the records of files together. Errors: a file cannot be read, or holds something else.
pub fn report(files: &[PathBuf]) -> anyhow::Result<Summary> {
    let mut sweep = Sweep::default();
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        sweep.add_lines(&text).with_context(|| format!("{} holds no records of runs", file.display()))?;
    }
    Ok(sweep.summary(&rare::all(), 0))
}

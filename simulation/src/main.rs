//! The program `simulation`: runs seeds, repeats one, makes a failing one smaller, and puts records together.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use photondb_simulation::buggify;
use photondb_simulation::cluster::plan::{self, ClusterPlan};
use photondb_simulation::cluster::run;
use photondb_simulation::command::{self, Length, Sweeping};
use photondb_simulation::scenario::Scenario;
use photondb_simulation::{Plan, Workload};

#[derive(Parser)]
#[command(about = "A cluster under simulated faults, from one number")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs seeds, each in a process of its own, and says what came out.
    Run {
        /// How many fresh seeds, or A..B: these, without B.
        #[arg(long, default_value = "10")]
        seeds: String,
        /// Processes at once.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Begins no run after so many seconds of real time.
        #[arg(long)]
        budget_seconds: Option<u64>,
        /// Where the records of the runs go, a line each.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        shape: Shape,
    },
    /// Runs one seed and prints every event.
    Replay {
        /// The seed.
        seed: u64,
        #[command(flatten)]
        shape: Shape,
    },
    /// Looks for the shortest list of faults with which a seed still fails.
    Shrink {
        /// The seed.
        seed: u64,
        /// Runs to try at most.
        #[arg(long, default_value_t = 200)]
        runs: u64,
        #[command(flatten)]
        shape: Shape,
    },
    /// Puts records of runs together: faults survived, rare paths, virtual hours.
    Report {
        /// Files that `run --out` has written.
        files: Vec<PathBuf>,
    },
    /// Runs one node alone, through crashes and full disks, and prints every event.
    Node {
        /// The seed.
        seed: u64,
        /// Virtual seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// A workload (register, counter, index_agrees, feed_follows), or the name of a scenario, whose own seed and length
        /// then count. The seed draws a workload when none is given.
        #[arg(long)]
        scenario: Option<String>,
    },
    /// Runs one seed and prints its record.
    #[command(hide = true)]
    One {
        /// The seed.
        seed: u64,
        #[command(flatten)]
        shape: Shape,
    },
}

/// What of a run is not left to its seed.
#[derive(clap::Args, Clone)]
struct Shape {
    /// Virtual seconds of load.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// What clients do; the seed draws it when it is not given.
    #[arg(long)]
    workload: Option<String>,
    /// How many machines; the seed draws it when it is not given.
    #[arg(long)]
    machines: Option<usize>,
    /// Only these of the run's faults, by their numbers from zero, separated by commas; `none`: no fault.
    #[arg(long)]
    faults: Option<String>,
    /// Of what is rare in the product only these happen often, by their names, separated by commas; `none`, `all`.
    #[arg(long)]
    points: Option<String>,
}

impl Shape {
    fn length(&self) -> anyhow::Result<Length> {
        if let Some(name) = &self.workload
            && plan::named(name).is_none()
        {
            bail!("there is no workload {name}; there are {}", plan::WORKLOADS.join(", "));
        }
        if let Some(machines) = self.machines
            && !(1..=plan::MACHINES_MAX).contains(&machines)
        {
            bail!("a cluster has 1 to {} machines", plan::MACHINES_MAX);
        }
        let number = |text: &str| text.trim().parse::<usize>().with_context(|| format!("{text:?} is no number"));
        let faults = match self.faults.as_deref() {
            None => None,
            Some("none") => Some(Vec::new()),
            Some(list) => Some(list.split(',').map(number).collect::<anyhow::Result<Vec<_>>>()?),
        };
        let point = |name: &str| buggify::named(name.trim()).with_context(|| format!("there is no point {name:?}"));
        let points = match self.points.as_deref() {
            None => None,
            Some("none") => Some(Vec::new()),
            Some("all") => Some(buggify::POINTS.iter().collect()),
            Some(list) => Some(list.split(',').map(point).collect::<anyhow::Result<Vec<_>>>()?),
        };
        Ok(Length {
            duration: Duration::from_secs(self.seconds),
            workload: self.workload.clone(),
            machines: self.machines,
            faults,
            points,
        })
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let good = match Arguments::parse().command {
        Command::Run { seeds, jobs, budget_seconds, out, shape } => {
            let budget = budget_seconds.map(Duration::from_secs);
            let sweeping =
                Sweeping { program: this_program()?, seeds: seeds_of(&seeds)?, jobs: jobs.max(1), budget, out };
            let summary = command::sweep(&sweeping, &shape.length()?)?;
            print!("{summary}");
            summary.is_good()
        }
        Command::Replay { seed, shape } => {
            let plan = shape.length()?.plan(seed);
            print_plan(&plan);
            let record = run::run(&plan, true);
            println!("{}", record.to_line());
            record.violations.is_empty()
        }
        Command::Shrink { seed, runs, shape } => {
            let smallest = command::shrink_faults(&this_program()?, seed, &shape.length()?, runs)?;
            println!("{smallest}");
            true
        }
        Command::Report { files } => {
            let summary = command::report(&files)?;
            print!("{summary}");
            summary.is_good()
        }
        Command::Node { seed, seconds, scenario } => {
            let plan = node_plan(seed, Duration::from_secs(seconds), scenario.as_deref())?;
            let report = photondb_simulation::run(&plan, true);
            report.violations.iter().for_each(|violation| println!("FAILED: {violation}"));
            report.violations.is_empty()
        }
        Command::One { seed, shape } => {
            let record = run::run(&shape.length()?.plan(seed), false);
            println!("{}", record.to_line());
            true
        }
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program's own file")
}

fn print_plan(plan: &ClusterPlan) {
    println!("seed {}: {} on {} machines, {:?}", plan.seed, plan.workload, plan.machines.len(), plan.transport);
    for point in &plan.points {
        println!("  often: {} ({})", point.what, point.name);
    }
    for (number, fault) in plan.faults.iter().enumerate() {
        println!("  fault {number}: at {:.3} s {fault}", fault.at.as_secs_f64());
    }
}

fn node_plan(seed: u64, duration: Duration, name: Option<&str>) -> anyhow::Result<Plan> {
    let Some(name) = name else { return Ok(Plan::draw(seed, None, duration)) };
    if let Some(scenario) = Scenario::named(name) {
        return Ok(scenario.plan());
    }
    let workload = Workload::named(name).with_context(|| format!("there is no workload or scenario {name}"))?;
    Ok(Plan::draw(seed, Some(workload), duration))
}

/// So many fresh seeds, or those of a range.
fn seeds_of(text: &str) -> anyhow::Result<Vec<u64>> {
    if let Some((from, to)) = text.split_once("..") {
        let (from, to): (u64, u64) = (from.parse().context("the first seed")?, to.parse().context("the last seed")?);
        return Ok((from..to).collect());
    }
    let count: u64 =
        text.parse().with_context(|| format!("--seeds takes a number of fresh seeds, or A..B, not {text:?}"))?;
    let first = command::fresh_seed();
    Ok((0..count).map(|number| first.wrapping_add(number)).collect())
}

//! The program `simulation`: runs seeds, repeats one, makes a failing one smaller, and puts records together.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use photondb::config::{Config, Given};
use photondb_simulation::buggify;
use photondb_simulation::cluster::aim::{AIMS, Aim};
use photondb_simulation::cluster::plan::{self, ClusterPlan};
use photondb_simulation::cluster::run;
use photondb_simulation::command::mutants::{self, Hunt};
use photondb_simulation::command::{self, Length, Sweeping, say};
use photondb_simulation::mutant;

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
        /// What the nodes log goes to standard error, as `photondb serve --log-level` has it: for example `debug`.
        #[arg(long)]
        log: Option<String>,
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
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Looks, for each deliberate bug, for a seed that shows it, and prints the score.
    Mutants {
        /// These bugs only; `list` prints all names.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// A bug that so many seeds do not show is not found.
        #[arg(long, default_value_t = 2_000)]
        seeds_max: u64,
        /// The first seed of each search.
        #[arg(long, default_value_t = 1)]
        first: u64,
        /// Processes at once.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Clients do what each seed draws, wherever a bug would be looked for first.
        #[arg(long)]
        unpinned: bool,
        #[command(flatten)]
        shape: Shape,
    },
    /// Builds this program on madsim, where the seed picks which ready task runs next, and gives it the rest of the line:
    /// `madsim run --seeds 100`, `madsim replay 507`.
    #[cfg(not(madsim))]
    Madsim {
        /// A command, and what it takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
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
    /// Whether somebody changes how tables lie (`true`, `false`); the seed draws it when it is not given.
    #[arg(long)]
    administered: Option<bool>,
    /// Whether nodes are given up that are silent for some seconds (`true`, `false`); the seed draws it when it is not given.
    #[arg(long)]
    impatient: Option<bool>,
    /// Whether nodes have zones and tags, and who changes how tables lie uses them (`true`, `false`); the seed draws it when it is not given.
    #[arg(long)]
    arranged: Option<bool>,
    /// What the run is brought to again and again, in place of the faults that the seed draws; see `cluster/aim.rs`.
    #[arg(long)]
    aim: Option<String>,
    /// Of what is rare in the product these happen often, besides those that the seed draws.
    #[arg(long, value_delimiter = ',')]
    points_too: Vec<String>,
    /// Only these of the run's faults, by their numbers from zero, separated by commas; `none`: no fault.
    #[arg(long)]
    faults: Option<String>,
    /// A deliberate bug that is on.
    #[arg(long)]
    mutant: Option<String>,
    /// Of what is rare in the product only these happen often, by their names, separated by commas; `none`, `all`.
    #[arg(long)]
    points: Option<String>,
}

impl Shape {
    /// This process has the deliberate bug from here on.
    fn switch_on(&self) -> anyhow::Result<()> {
        match &self.mutant {
            Some(name) if !mutant::switch_on(name) => bail!("the bug {name} cannot be switched on"),
            _ => Ok(()),
        }
    }

    fn length(&self) -> anyhow::Result<Length> {
        if let Some(name) = &self.workload
            && plan::named(name).is_none()
        {
            bail!("--workload {name}: there is no such workload; there are {}", plan::WORKLOADS.join(", "));
        }
        if let Some(machines) = self.machines
            && !(1..=plan::MACHINES_MAX).contains(&machines)
        {
            bail!("--machines {machines}: a cluster has 1 to {}", plan::MACHINES_MAX);
        }
        let number = |text: &str| {
            text.trim()
                .parse::<usize>()
                .with_context(|| format!("--faults takes numbers separated by commas, or none; {text:?} is neither"))
        };
        let faults = match self.faults.as_deref() {
            None => None,
            Some("none") => Some(Vec::new()),
            Some(list) => Some(list.split(',').map(number).collect::<anyhow::Result<Vec<_>>>()?),
        };
        if let Some(name) = &self.mutant
            && mutant::named(name).is_none()
        {
            bail!("there is no bug {name}; `mutants --only list` names them");
        }
        let point = |name: &str| buggify::named(name.trim()).with_context(|| format!("there is no point {name:?}"));
        let points = match self.points.as_deref() {
            None => None,
            Some("none") => Some(Vec::new()),
            Some("all") => Some(buggify::POINTS.iter().collect()),
            Some(list) => Some(list.split(',').map(point).collect::<anyhow::Result<Vec<_>>>()?),
        };
        let aim = match self.aim.as_deref() {
            None => None,
            Some(name) => Some(Aim::named(name).with_context(|| {
                let known = AIMS.map(|(name, _)| name).join(", ");
                format!("--aim {name}: there is no such aim; there are {known}")
            })?),
        };
        let points_too = self.points_too.iter().map(|name| point(name)).collect::<anyhow::Result<_>>()?;
        Ok(Length {
            duration: Duration::from_secs(self.seconds),
            workload: self.workload.clone(),
            machines: self.machines,
            administered: self.administered,
            impatient: self.impatient,
            arranged: self.arranged,
            aim,
            points_too,
            faults,
            mutant: self.mutant.clone(),
            points,
        })
    }
}

fn main() -> ExitCode {
    match carry_out() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Whoever asked made a mistake, or the machine did: where in the program that was noticed helps nobody.
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything held. Errors: it could not be done.
fn carry_out() -> anyhow::Result<bool> {
    let good = match Arguments::parse().command {
        Command::Run { seeds, jobs, budget_seconds, out, shape } => {
            let budget = budget_seconds.map(Duration::from_secs);
            let sweeping =
                Sweeping { program: this_program()?, seeds: seeds_of(&seeds)?, jobs: jobs.max(1), budget, out };
            let summary = command::sweep(&sweeping, &shape.length()?)?;
            say(summary.to_string().trim_end());
            summary.is_good()
        }
        Command::Replay { seed, log, shape } => {
            if let Some(level) = log {
                start_log(&level)?;
            }
            let plan = shape.length()?.plan(seed);
            shape.switch_on()?;
            print_plan(&plan);
            let record = run::run(&plan, true);
            say(record.to_line());
            record.violations.is_empty()
        }
        Command::Shrink { seed, runs, shape } => {
            let smallest = command::shrink_faults(&this_program()?, seed, &shape.length()?, runs)?;
            say(smallest);
            true
        }
        Command::Report { files } => {
            let summary = command::report(&files)?;
            say(summary.to_string().trim_end());
            summary.is_good()
        }
        Command::Mutants { only, seeds_max, first, jobs, unpinned, shape } => {
            let (program, length) = (this_program()?, shape.length()?);
            hunt_all(&only, &Hunt { program, first, seeds_max, jobs: jobs.max(1), unpinned, length })?
        }
        #[cfg(not(madsim))]
        Command::Madsim { arguments } => {
            let program = photondb_simulation::on_madsim::build(&this_program()?)?;
            let status = std::process::Command::new(program).args(arguments).status();
            status.context("the program on madsim")?.success()
        }
        Command::One { seed, shape } => {
            shape.switch_on()?;
            let record = run::run(&shape.length()?.plan(seed), false);
            say(record.to_line());
            true
        }
    };
    Ok(good)
}

/// Whether every bug was found.
fn hunt_all(only: &[String], hunt: &Hunt) -> anyhow::Result<bool> {
    let all = mutant::all();
    if only.iter().any(|name| name == "list") {
        all.iter().for_each(|mutant| println!("{}: {}", mutant.name, mutant.what));
        return Ok(true);
    }
    if let Some(unknown) = only.iter().find(|name| mutant::named(name).is_none()) {
        bail!("there is no bug {unknown}; `--only list` names them");
    }
    let chosen = all.iter().filter(|mutant| only.is_empty() || only.iter().any(|name| name == mutant.name));
    let (mut found, mut tried) = (0, 0);
    for mutant in chosen {
        let hunted = mutants::hunt(hunt, mutant)?;
        print!("{hunted}");
        tried += 1;
        found += u64::from(hunted.found.is_some());
    }
    println!("{found} of {tried} deliberate bugs were found");
    Ok(found == tried)
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program's own file")
}

/// Shows what nodes log; their times are those of the run.
fn start_log(level: &str) -> anyhow::Result<()> {
    let mut given = Given::default();
    given.add("log-level", level)?;
    Ok(photondb::telemetry::start_log(&Config::resolve(&given)?)?)
}

fn print_plan(plan: &ClusterPlan) {
    let (seed, machines) = (plan.seed, plan.machines.len());
    say(format_args!("seed {seed}: {} on {machines} machines, {:?}", plan.workload, plan.transport));
    if plan.impatient {
        say("  nodes that are silent are given up soon");
    }
    for (place, machine) in plan.machines.iter().enumerate().filter(|(_, machine)| !machine.tags.is_empty()) {
        say(format_args!("  n{}: {}", place + 1, machine.tags.join(", ")));
    }
    for point in &plan.points {
        say(format_args!("  often: {} ({})", point.what, point.name));
    }
    for (number, fault) in plan.faults.iter().enumerate() {
        say(format_args!("  fault {number}: at {:.3} s {fault}", fault.at.as_secs_f64()));
    }
}

/// So many fresh seeds, or those of a range.
fn seeds_of(text: &str) -> anyhow::Result<Vec<u64>> {
    let wanted = || format!("--seeds takes a number of fresh seeds, or A..B (without B), not {text:?}");
    if let Some((from, to)) = text.split_once("..") {
        let (from, to): (u64, u64) = (from.parse().with_context(wanted)?, to.parse().with_context(wanted)?);
        if from >= to {
            bail!("--seeds {text}: there is no seed from {from} on before {to}");
        }
        return Ok((from..to).collect());
    }
    let count: u64 = text.parse().with_context(wanted)?;
    let first = command::fresh_seed();
    Ok((0..count).map(|number| first.wrapping_add(number)).collect())
}

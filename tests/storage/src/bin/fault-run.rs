//! The program `fault-run`: runs seeds, repeats one, or looks whether a deliberate bug is noticed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use photondb_storage::fault::{MUTANTS, switch_on};
use photondb_test_storage::campaign::{Budget, campaign, hush_runs};
use photondb_test_storage::plan::STEPS;
use photondb_test_storage::{Plan, Report, run};

#[derive(Parser)]
#[command(about = "Storage under faults, from one seed")]
struct Arguments {
    /// The first seed.
    #[arg(long)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Begins no run after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many at once.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Actions of each run.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// Shows every event of one run.
    #[arg(long)]
    verbose: bool,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// Switches a deliberate bug on. `list` lists them.
    #[arg(long)]
    mutant: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    hush_runs();
    if let Some(mutant) = &arguments.mutant
        && !(MUTANTS.iter().any(|known| known.name == mutant) && switch_on(mutant))
    {
        MUTANTS.iter().for_each(|mutant| println!("{}: {}", mutant.name, mutant.what));
        return if mutant == "list" { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    if arguments.runs == 1 {
        return run_one(&arguments);
    }
    let began = Instant::now();
    let budget = Budget {
        runs_min: if arguments.seconds.is_some() { 1 } else { arguments.runs },
        runs_max: arguments.runs,
        time: Duration::from_secs(arguments.seconds.unwrap_or(0)),
        threads: arguments.threads,
    };
    let outcome = campaign(arguments.seed, arguments.steps, budget, arguments.keep_going);
    for report in &outcome.failed {
        tell(report, !arguments.keep_going, arguments.mutant.as_deref());
    }
    println!("{}", outcome.sums);
    println!("{} failed; {:.1} s", outcome.failed.len(), began.elapsed().as_secs_f64());
    if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(arguments: &Arguments) -> ExitCode {
    let report = run(&Plan::draw(arguments.seed, arguments.steps), arguments.verbose);
    if report.violation.is_some() {
        tell(&report, true, arguments.mutant.as_deref());
        return ExitCode::FAILURE;
    }
    println!("seed {}: held, hash {:016x}, reported: {:?}", arguments.seed, report.hash, report.reported);
    ExitCode::SUCCESS
}

fn tell(report: &Report, all: bool, mutant: Option<&str>) {
    let plan = &report.plan;
    if all {
        report.trace.iter().for_each(|line| println!("{line}"));
        println!("{plan:?}");
    }
    let violation = report.violation.as_deref().unwrap_or("nothing");
    println!("seed {} ({:?}): {violation}", plan.seed, plan.hostility);
    let mutant = mutant.map(|name| format!(" --mutant {name}")).unwrap_or_default();
    println!("repeat: {}{mutant}", report.repeat_command());
}

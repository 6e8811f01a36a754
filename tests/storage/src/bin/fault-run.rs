//! The program `fault-run`: runs seeds, and repeats one.

use std::process::ExitCode;

use clap::Parser;
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
    /// Actions of each run.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// Shows every event.
    #[arg(long)]
    verbose: bool,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    std::panic::set_hook(Box::new(move |panic| {
        if arguments.verbose {
            println!("{panic}");
        }
    }));
    let (mut lives, mut losses, mut faults, mut checks, mut reported, mut failed) = (0, 0, 0, 0, 0, 0);
    for seed in arguments.seed..arguments.seed + arguments.runs {
        let report = run(&Plan::draw(seed, arguments.steps), arguments.verbose);
        lives += report.lives;
        losses += report.power_losses;
        faults += report.faults;
        checks += report.checks;
        reported += u64::from(report.reported.is_some());
        if let Some(violation) = &report.violation {
            failed += 1;
            tell(&report, violation, !arguments.keep_going);
            if !arguments.keep_going {
                return ExitCode::FAILURE;
            }
        } else if arguments.runs == 1 {
            println!("seed {seed}: held, hash {:016x}, reported: {:?}", report.hash, report.reported);
        }
    }
    println!(
        "{} runs, {lives} lives, {losses} power losses, {faults} faults, {checks} checks, {reported} with damage \
         reported, {failed} failed",
        arguments.runs
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(report: &Report, violation: &str, all: bool) {
    let plan = &report.plan;
    if all {
        report.trace.iter().for_each(|line| println!("{line}"));
        println!("{plan:?}");
    }
    println!("seed {} ({:?}): {violation}", plan.seed, plan.hostility);
    println!(
        "repeat: cargo run -p photondb-test-storage --bin fault-run -- --seed {} --steps {}",
        plan.seed, plan.steps
    );
}

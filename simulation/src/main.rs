//! The program `simulation`: runs seeds, and repeats one.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use photondb_simulation::probe;
use photondb_simulation::scenario::Scenario;
use photondb_simulation::{Plan, Report, Workload, run};

#[derive(Parser)]
#[command(about = "A node under simulated faults, from one seed")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs seeds, and says for each what came out.
    Run {
        /// One seed.
        #[arg(long, conflicts_with = "seeds")]
        seed: Option<u64>,
        /// Seeds A..B, without B.
        #[arg(long)]
        seeds: Option<String>,
        #[command(flatten)]
        length: Length,
    },
    /// Runs one seed and prints every event.
    Replay {
        /// The seed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        length: Length,
    },
}

#[derive(clap::Args)]
struct Length {
    /// Virtual seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A workload (register, counter, index_agrees, feed_follows), or the name of a scenario, whose own seed and length
    /// then count. The seed draws a workload when none is given.
    #[arg(long)]
    scenario: Option<String>,
}

impl Length {
    fn plan(&self, seed: u64) -> anyhow::Result<Plan> {
        let workload = match &self.scenario {
            None => None,
            Some(name) => match Scenario::named(name) {
                Some(scenario) => return Ok(scenario.plan()),
                None => {
                    Some(Workload::named(name).with_context(|| format!("there is no workload or scenario {name}"))?)
                }
            },
        };
        Ok(Plan::draw(seed, workload, Duration::from_secs(self.seconds)))
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let reports = match Arguments::parse().command {
        Command::Run { seed, seeds, length } => {
            let seeds = match (seed, seeds) {
                (Some(seed), _) => seed..seed + 1,
                (None, Some(range)) => parse_range(&range)?,
                (None, None) => 0..10,
            };
            seeds.map(|seed| Ok(run_one(&length.plan(seed)?, false))).collect::<anyhow::Result<Vec<_>>>()?
        }
        Command::Replay { seed, length } => vec![run_one(&length.plan(seed)?, true)],
    };
    let failed = reports.iter().filter(|report| !report.violations.is_empty()).count();
    let operations: u64 = reports.iter().map(|report| report.operations).sum();
    let lives: u64 = reports.iter().map(|report| report.lives).sum();
    let mut reached: BTreeMap<&str, u64> = probe::ALL.iter().map(|name| (*name, 0)).collect();
    for (name, times) in reports.iter().flat_map(|report| &report.reached) {
        *reached.entry(name).or_default() += times;
    }
    for (name, times) in reached {
        println!("{times:>10} x {name}");
    }
    println!("{} runs, {lives} lives, {operations} operations, {failed} failed", reports.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_one(plan: &Plan, print: bool) -> Report {
    let report = run(plan, print);
    let Report { hash, events, lives, power_losses, operations, unknown, .. } = &report;
    println!(
        "seed {} {}: trace {hash:016x} of {events} events, {lives} lives ({power_losses} power losses), \
         {operations} operations ({unknown} unknown)",
        plan.seed, plan.workload
    );
    for violation in &report.violations {
        println!("  FAILED: {violation}");
    }
    if !report.violations.is_empty() {
        println!("  repeat: {}", report.repeat_command());
    }
    report
}

fn parse_range(range: &str) -> anyhow::Result<std::ops::Range<u64>> {
    let (from, to) = range.split_once("..").context("seeds are given as A..B")?;
    Ok(from.parse().context("the first seed")?..to.parse().context("the seed after the last")?)
}

//! `photondb check`: proves that a data directory is sound, or says what is not.

mod accept_loss;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use photondb_storage::verify::{self, CheckOptions, CheckReport, Concerns, Finding, Progress, Stage, Zone};
use serde_json::{Value, json};

use accept_loss::Accepted;

use super::offline::{self, EXIT_DAMAGED, EXIT_LOSS_ACCEPTED, EXIT_WHOLE, OfflineError, ProgressBar, size};

pub use accept_loss::cluster_state_name;

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Check a data directory that no server has open: every page, every tree, the log. Changes nothing, except with \
             --accept-loss")
        .after_help(
            "Exit codes: 0 the directory is whole; 1 it is damaged; 2 it could not be checked (missing, in use, no data, \
             written by a newer version); 3 with --accept-loss: what the log had lost was given up, and the node starts \
             again.\n\nPages cannot be mended: with --accept-loss a damaged page stays as it is, and the exit code 1.",
        )
        .arg(offline::directory_argument())
        .arg(offline::copy_argument())
        .arg(offline::json_argument())
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("Print what is wrong and nothing else"),
        )
        .arg(
            Arg::new("accept-loss")
                .long("accept-loss")
                .action(ArgAction::SetTrue)
                .conflicts_with("read-only-copy")
                .help("Give up what the log has lost, so that a node with the only replica starts again. Copy the directory first"),
        )
}

pub(super) fn run(arguments: &ArgMatches) -> ExitCode {
    offline::finish(check(arguments))
}

fn check(arguments: &ArgMatches) -> Result<u8, OfflineError> {
    let path = offline::directory(arguments);
    let disk = offline::open(&path)?;
    let again = disk.clone();
    let (json, quiet) = (arguments.get_flag("json"), arguments.get_flag("quiet"));
    let mut bar = ProgressBar::new(quiet);
    let options = CheckOptions { unlocked: arguments.get_flag("read-only-copy") };
    let report = verify::check_with(disk, options, &mut |Progress { stage, done, total }| {
        let (what, texts) = match stage {
            Stage::Log => ("log", [size(done), size(total)]),
            Stage::Pages => ("pages", [done.to_string(), total.to_string()]),
        };
        bar.show(what, &texts[0], &texts[1], done as f64 / total.max(1) as f64);
    });
    bar.clear();
    let report = report.map_err(|error| OfflineError::storage(&path, error))?;
    let mut out = std::io::stdout().lock();
    if !json {
        print(&mut out, &report, quiet)?;
    }
    let accepted = match arguments.get_flag("accept-loss") {
        true => Some(accept_loss::accept(&path, again)?),
        false => None,
    };
    let pages = report.problems.iter().filter(|finding| !is_of_the_log(finding.zone)).count();
    match &accepted {
        _ if json => {
            let mut object = as_json(&path, &report);
            object["accepted"] = accepted.as_ref().map(Accepted::as_json).unwrap_or_default();
            writeln!(out, "{object:#}")?;
        }
        Some(accepted) => {
            accepted.print(&mut out)?;
            if pages > 0 {
                writeln!(
                    out,
                    "{pages} problems outside the log stay: pages are not mended, they must be refilled or restored"
                )?;
            }
        }
        None => {}
    }
    out.flush()?;
    Ok(match accepted {
        None if report.problems.is_empty() => EXIT_WHOLE,
        None => EXIT_DAMAGED,
        Some(_) if pages > 0 || report.problems_not_listed > 0 => EXIT_DAMAGED,
        Some(accepted) if accepted.is_nothing() => EXIT_WHOLE,
        Some(_) => EXIT_LOSS_ACCEPTED,
    })
}

/// Whether accepting a loss deals with it.
fn is_of_the_log(zone: Zone) -> bool {
    matches!(zone, Zone::LogSegment | Zone::LogRecord | Zone::LogStream)
}

fn print(out: &mut impl Write, report: &CheckReport, quiet: bool) -> std::io::Result<()> {
    if !quiet {
        writeln!(
            out,
            "checkpoint {}: {} tree sets, {} trees, {} entries, {} pages ({} more of the checkpoint before)",
            report.generation, report.tree_sets, report.trees, report.entries, report.pages, report.older_pages
        )?;
        let log = size(report.log_bytes);
        writeln!(out, "log: {log}, {} records, {} streams", report.log_records, report.streams)?;
        report.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    }
    for (number, finding) in (1..).zip(&report.problems) {
        print_finding(out, number, finding)?;
    }
    if report.problems_not_listed > 0 {
        writeln!(out, "and {} more", report.problems_not_listed)?;
    }
    match report.problems.len() as u64 + report.problems_not_listed {
        0 if quiet => Ok(()),
        0 => writeln!(out, "no problems found"),
        1 => writeln!(out, "1 problem found"),
        count => writeln!(out, "{count} problems found"),
    }
}

fn print_finding(out: &mut impl Write, number: u64, finding: &Finding) -> std::io::Result<()> {
    let mut place = finding.zone.name().replace('_', " ");
    if !finding.file.is_empty() {
        place.push_str(&format!(", file {}", finding.file));
    }
    if let Some(offset) = finding.offset {
        place.push_str(&format!(", byte {offset}"));
    }
    if let Some(page) = finding.page {
        place.push_str(&format!(", page {page:?}"));
    }
    if let Some(generation) = finding.generation {
        place.push_str(&format!(", checkpoint {generation}"));
    }
    writeln!(out, "problem {number}: {place}")?;
    writeln!(out, "    what:     {}", finding.problem)?;
    writeln!(out, "    concerns: {}", finding.concerns)?;
    writeln!(out, "    to do:    {}", finding.remedy)
}

fn as_json(path: &Path, report: &CheckReport) -> Value {
    json!({
        "directory": path.display().to_string(),
        "whole": report.problems.is_empty(),
        "generation": report.generation,
        "both_superblocks": report.both_superblocks,
        "tree_sets": report.tree_sets,
        "trees": report.trees,
        "entries": report.entries,
        "pages": report.pages,
        "older_pages": report.older_pages,
        "log": { "bytes": report.log_bytes, "records": report.log_records, "streams": report.streams },
        "notes": report.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "problems": report.problems.iter().map(finding_json).collect::<Vec<_>>(),
        "problems_not_listed": report.problems_not_listed,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "zone": finding.zone.name(),
        "file": finding.file,
        "offset": finding.offset,
        "page": finding.page.map(|page| format!("{page:?}")),
        "checkpoint": finding.generation,
        "what": finding.problem.to_string(),
        "concerns": concerns_json(&finding.concerns),
        "remedy": finding.remedy.name(),
        "to_do": finding.remedy.to_string(),
    })
}

fn concerns_json(concerns: &Concerns) -> Value {
    let hex = |key: &[u8]| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match concerns {
        Concerns::Everything => json!({ "what": "everything" }),
        Concerns::NoData => json!({ "what": "nothing" }),
        Concerns::TreeSets { from, to } => json!({ "what": "tree_sets", "from": from, "to": to }),
        Concerns::Keys { set, tree, from, to, entries } => json!({
            "what": "keys",
            "tree_set": set.0,
            "tree": tree.0,
            "from": hex(from),
            "to": to.as_deref().map(hex),
            "entries": entries,
        }),
        Concerns::Log => json!({ "what": "log" }),
        Concerns::Stream(stream) => json!({ "what": "stream", "stream": stream.0 }),
    }
}

//! `photondb compact`: makes the page file of a directory that no server has open as short as what it holds.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use photondb_storage::disk::Disk;
use photondb_storage::superblock::SUPERBLOCK_FILE;
use photondb_storage::{CompactionReport, Engine, EngineOptions, StorageError};
use serde_json::json;

use super::offline::{self, EXIT_WHOLE, OfflineError, ProgressBar, size};

pub(super) fn command() -> Command {
    Command::new("compact")
        .about(
            "Make the page file of a data directory that no server has open as short as what it holds, in place. A running \
             server does the same little by little, and leaves some room",
        )
        .after_help(
            "It may be stopped at any moment: what is done stays done, and nothing is lost.\nThe log stays as it is: the \
             server re-applies it at its next start.\nExit codes: 0 done; 2 it could not be done (missing, in use, no data, \
             damaged, no space).",
        )
        .arg(offline::directory_argument())
        .arg(offline::json_argument())
}

pub(super) fn run(arguments: &ArgMatches) -> ExitCode {
    offline::finish(compact(arguments))
}

fn compact(arguments: &ArgMatches) -> Result<u8, OfflineError> {
    let path = offline::directory(arguments);
    let disk = offline::open(&path)?;
    let report = compact_directory(&path, disk).map_err(|error| match error {
        CompactError::NoDatabase => OfflineError::NoDatabase(path.clone()),
        CompactError::Storage(error) => OfflineError::storage(&path, error),
    })?;
    let mut out = std::io::stdout().lock();
    if arguments.get_flag("json") {
        let report = json!({
            "directory": path.display().to_string(),
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
            "slots_moved": report.slots_moved,
            "slots_found": report.slots_found,
            "headers_found": report.headers_found,
        });
        writeln!(out, "{report:#}")?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(EXIT_WHOLE)
}

enum CompactError {
    NoDatabase,
    Storage(StorageError),
}

impl From<StorageError> for CompactError {
    fn from(error: StorageError) -> Self {
        CompactError::Storage(error)
    }
}

fn compact_directory(path: &Path, disk: Arc<dyn Disk>) -> Result<CompactionReport, CompactError> {
    let names = disk.list().map_err(|error| StorageError::io("listing of", &path.display().to_string(), error))?;
    // An engine would make a new database where there is none.
    if !names.iter().any(|name| name == SUPERBLOCK_FILE) {
        return Err(CompactError::NoDatabase);
    }
    let engine = Engine::open(disk, EngineOptions::default())?;
    let before = engine.metrics().page_file_bytes;
    let mut bar = ProgressBar::new(false);
    let report = engine.compact(&mut |bytes| {
        let used = engine.metrics().page_file_used_bytes;
        let (won, waste) = (before.saturating_sub(bytes), before.saturating_sub(used));
        bar.show("page file", &size(bytes), &size(used), won as f64 / waste.max(1) as f64);
    });
    bar.clear();
    let report = report?;
    engine.close()?;
    Ok(report)
}

fn print(out: &mut impl Write, report: &CompactionReport) -> std::io::Result<()> {
    let CompactionReport { bytes_before, bytes_after, slots_moved, slots_found, headers_found } = *report;
    if slots_found > 0 {
        writeln!(out, "gave back {slots_found} pages that nothing referred to")?;
    }
    if headers_found > 0 {
        writeln!(out, "wrote {headers_found} damaged extent headers anew")?;
    }
    if bytes_after == bytes_before && slots_moved == 0 {
        return writeln!(out, "the page file ({}) is as short as it can be", size(bytes_before));
    }
    writeln!(
        out,
        "the page file had {}, and has {} now; {slots_moved} pages were moved",
        size(bytes_before),
        size(bytes_after)
    )
}

//! `photondb check`: proves that a data directory is sound.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use photondb_storage::StorageError;
use photondb_storage::disk::Disk;
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::verify::{self, CheckReport, Progress};

/// Why a directory is not sound, or was not checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("{} is not a directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("cannot open {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("cannot check: {0}")]
    Refused(#[from] StorageError),
    #[error("{count} problems found; restore the directory from a backup or refill this node from another replica")]
    Unsound { count: usize },
    #[error(
        "--accept-loss is not supported yet: a damaged directory can be examined, but not be opened without its loss"
    )]
    AcceptLoss,
}

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Check a data directory that no server has open: every page, every tree, the log. Changes nothing")
        .arg(Arg::new("directory").value_name("DIR").required(true).help("The data directory"))
        .arg(
            Arg::new("accept-loss")
                .long("accept-loss")
                .action(ArgAction::SetTrue)
                .help("Open a directory whose only replica is damaged, giving up what is lost"),
        )
}

pub(super) fn run(arguments: &ArgMatches) -> Result<(), CheckError> {
    let path = Path::new(arguments.get_one::<String>("directory").map_or("", String::as_str));
    if !path.is_dir() {
        return Err(CheckError::NoDirectory(path.to_owned()));
    }
    let disk = SystemDisk::open(path).map_err(|source| CheckError::Unreadable { path: path.to_owned(), source })?;
    let report = check(Arc::new(disk))?;
    println!(
        "checkpoint {}: {} shards and states, {} trees, {} entries, {} pages; {} log streams{}",
        report.generation,
        report.tree_sets,
        report.trees,
        report.entries,
        report.pages,
        report.streams,
        if report.both_superblocks { "" } else { "; only one superblock is valid, as after a crash" },
    );
    for problem in &report.problems {
        println!("problem: {problem}");
    }
    match report.problems.len() {
        0 => {
            println!("no problems found");
            Ok(())
        }
        _ if arguments.get_flag("accept-loss") => Err(CheckError::AcceptLoss),
        count => Err(CheckError::Unsound { count }),
    }
}

fn check(disk: Arc<dyn Disk>) -> Result<CheckReport, StorageError> {
    let mut terminal = std::io::stderr();
    let show = terminal.is_terminal();
    let report = verify::check(disk, &mut |Progress { pages, pages_total }| {
        if show && pages % 1_000 == 0 {
            // What cannot be shown is not worth an error.
            let _ = write!(terminal, "\r{pages} of {pages_total} pages");
        }
    });
    if show {
        let _ = write!(terminal, "\r");
    }
    report
}

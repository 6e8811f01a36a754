//! What the commands share that look at a directory which no server has open: the directory, exit codes, errors,
//! progress, sizes.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches};
use photondb_consensus::ConsensusError;
use photondb_storage::StorageError;
use photondb_storage::disk::Disk;
use photondb_storage::disk::system::SystemDisk;

/// Looked at or changed as asked, and whole.
pub const EXIT_WHOLE: u8 = 0;
/// Damage was found.
pub const EXIT_DAMAGED: u8 = 1;
/// The command could not do its work, or was not understood.
pub const EXIT_NOT_DONE: u8 = 2;
/// Something was lost, and that was accepted: the directory can be opened.
pub const EXIT_LOSS_ACCEPTED: u8 = 3;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    #[error("{} is a file, not a data directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("{} cannot be opened: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "{} is in use: a server, or another command, has it open. Stop it first, or look at a copy that was made while it \
         was stopped",
        .0.display()
    )]
    Locked(PathBuf),
    #[error("{} holds no PhotonDB data: there is no superblock, no page file and no log in it", .0.display())]
    NoDatabase(PathBuf),
    #[error(
        "{} was written by a newer version of this program ({name} has format {found}, this version reads up to \
         {supported}): use that version",
        path.display()
    )]
    Newer { path: PathBuf, name: String, found: u32, supported: u32 },
    #[error("{}: {source}", path.display())]
    Storage { path: PathBuf, source: StorageError },
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
    #[error("{}: a loss cannot be accepted: {reason}", path.display())]
    NotAccepted { path: PathBuf, reason: ConsensusError },
    #[error("{}: the cluster state cannot be read, so nobody knows what belongs to which table: {reason}", path.display())]
    NoClusterState { path: PathBuf, reason: String },
    #[error("{what} has other replicas: let them refill this one instead of accepting a loss")]
    OtherReplicas { what: String },
    #[error("{0:?} is not a page: a page is named as `check` prints it, as in 8K:12.3")]
    NoPage(String),
    #[error("{0:?} is not a part of a data directory: superblock, trees, space, wal, page PAGE")]
    NoPart(String),
}

impl OfflineError {
    /// An error of storage, in words for whoever typed the command.
    pub fn storage(path: &Path, source: StorageError) -> Self {
        let path = path.to_owned();
        match source {
            StorageError::Locked { .. } => Self::Locked(path),
            StorageError::NoDatabase { .. } => Self::NoDatabase(path),
            StorageError::NewerFormat { name, found, supported } => Self::Newer { path, name, found, supported },
            source => Self::Storage { path, source },
        }
    }
}

/// The argument that names the directory.
pub fn directory_argument() -> Arg {
    Arg::new("directory").value_name("DIR").required(true).help("The data directory")
}

/// The argument that says that nobody can change the directory, so that no lock is needed.
pub fn copy_argument() -> Arg {
    Arg::new("read-only-copy")
        .long("read-only-copy")
        .action(ArgAction::SetTrue)
        .help("DIR is a copy or a snapshot that nobody changes: take no lock")
}

/// The argument for programs that read the output.
pub fn json_argument() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object")
}

/// The directory that was named.
pub fn directory(arguments: &ArgMatches) -> PathBuf {
    PathBuf::from(arguments.get_one::<String>("directory").map_or("", String::as_str))
}

/// Opens a directory that must be there.
pub fn open(path: &Path) -> Result<Arc<dyn Disk>, OfflineError> {
    if !path.exists() {
        return Err(OfflineError::Missing(path.to_owned()));
    }
    if !path.is_dir() {
        return Err(OfflineError::NoDirectory(path.to_owned()));
    }
    match SystemDisk::open(path) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(source) => Err(OfflineError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Ends a command: an error is printed, and is not the same as damage.
pub fn finish(outcome: Result<u8, OfflineError>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever reads the output has seen enough, as `head` has.
        Err(OfflineError::Print(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::from(EXIT_NOT_DONE)
        }
        Err(error) => {
            eprintln!("photondb: {error}");
            ExitCode::from(EXIT_NOT_DONE)
        }
    }
}

/// Shows how far something is: a bar on a terminal, a line now and then elsewhere. On standard error, so that the output
/// stays what was asked for.
pub struct ProgressBar {
    shown: bool,
    terminal: bool,
    begun: Instant,
    last: Option<Instant>,
}

const BAR_WIDTH: usize = 30;
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);

impl ProgressBar {
    /// A bar that shows nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        ProgressBar { shown: !quiet, terminal, begun: Instant::now(), last: None }
    }

    /// `done` of `total`, of something with a name.
    pub fn show(&mut self, what: &str, done: &str, total: &str, fraction: f64) {
        let every = if self.terminal { BAR_EVERY } else { LINE_EVERY };
        let since = self.last.unwrap_or(self.begun).elapsed();
        if !self.shown || since < every {
            return;
        }
        self.last = Some(Instant::now());
        let fraction = fraction.clamp(0.0, 1.0);
        let percent = fraction * 100.0;
        // What cannot be shown is not worth an error.
        let _ = if self.terminal {
            let filled = (fraction * BAR_WIDTH as f64) as usize;
            let (full, empty) = ("#".repeat(filled), " ".repeat(BAR_WIDTH - filled));
            write!(std::io::stderr(), "\r[{full}{empty}] {percent:3.0} %  {what}: {done} of {total}\x1b[K")
        } else {
            writeln!(std::io::stderr(), "{what}: {done} of {total} ({percent:.0} %)")
        };
    }

    /// Takes the bar off the screen.
    pub fn clear(&mut self) {
        if self.terminal && self.last.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A table of text: columns as wide as they need, numbers to the right.
pub fn table(out: &mut impl Write, titles: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let numeric = |cell: &str| cell.starts_with(|first: char| first.is_ascii_digit());
    let mut line = |cells: &mut dyn Iterator<Item = (&str, bool)>| -> std::io::Result<()> {
        let mut text = String::from(" ");
        for ((cell, right), width) in cells.zip(&widths) {
            let gap = " ".repeat(width - cell.chars().count());
            text.push(' ');
            text.push_str(&if right { format!("{gap}{cell} ") } else { format!("{cell}{gap} ") });
        }
        writeln!(out, "{}", text.trim_end())
    };
    let right: Vec<bool> = (0..titles.len())
        .map(|column| !rows.is_empty() && rows.iter().all(|row| row.get(column).is_none_or(|cell| numeric(cell))))
        .collect();
    line(&mut titles.iter().copied().zip(right.iter().copied()))?;
    for row in rows {
        line(&mut row.iter().map(String::as_str).zip(right.iter().copied()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(0), size(1023), size(1024), size(5 << 30)], ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]);
    }

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["bcd".to_owned(), "2".to_owned()]];
        table(&mut out, &["n", "count"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  n    count\n  a       10\n  bcd      2\n");
    }
}

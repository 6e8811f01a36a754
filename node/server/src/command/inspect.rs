//! `photondb inspect`: shows what a data directory holds, part by part.

mod as_json;
mod as_text;

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use photondb_storage::inspect::{Inspector, PageReport, SpaceReport, TreeReport, TreesReport, parse_page};
use photondb_storage::page::format::PageKind;
use photondb_storage::wal::{LogSurvey, SegmentState, StreamSurvey};
use photondb_storage::{Compression, StorageError};
use serde_json::{Map, Value};

use super::offline::{self, EXIT_DAMAGED, EXIT_WHOLE, OfflineError};

/// The parts that are shown when none is named, in this order.
const PARTS: [&str; 4] = ["superblock", "trees", "space", "wal"];

pub(super) fn command() -> Command {
    Command::new("inspect")
        .about("Show what a data directory holds that no server has open: superblocks, trees, space, log. Changes nothing")
        .after_help(
            "Parts: superblock, trees, space, wal (all of them when none is named), and page PAGE, where PAGE is as \
             `inspect` and `check` print it, as in 8K:12.3.\nWhat is damaged is said in its place; `photondb check` reads \
             everything.\nExit codes: 0 shown; 1 shown, and something of it is damaged; 2 it could not be shown.",
        )
        .arg(offline::directory_argument())
        .arg(Arg::new("part").value_name("PART").num_args(0..).help("What to show"))
        .arg(offline::copy_argument())
        .arg(offline::json_argument())
        .arg(
            Arg::new("deep")
                .long("deep")
                .action(ArgAction::SetTrue)
                .help("Read every page, to say how much the trees hold before and after compression"),
        )
}

pub(super) fn run(arguments: &ArgMatches) -> ExitCode {
    offline::finish(inspect(arguments))
}

/// A part, or why it cannot be shown.
enum Part<'i> {
    Superblock(&'i Inspector),
    Trees(Result<TreesReport, StorageError>),
    Space(Result<SpaceReport, StorageError>),
    Log(Result<LogSurvey, StorageError>),
    Page(Result<PageReport, StorageError>),
}

impl Part<'_> {
    fn name(&self) -> &'static str {
        match self {
            Part::Superblock(_) => "superblock",
            Part::Trees(_) => "trees",
            Part::Space(_) => "space",
            Part::Log(_) => "wal",
            Part::Page(_) => "page",
        }
    }

    fn is_damaged(&self) -> bool {
        match self {
            Part::Superblock(inspector) => inspector.newest().is_err(),
            Part::Trees(Ok(trees)) => {
                let damaged = |tree: &TreeReport| tree.problem.is_some();
                trees.problem.is_some() || trees.sets.iter().any(|set| set.trees.iter().any(damaged))
            }
            Part::Log(Ok(log)) => {
                let stream = |stream: &StreamSurvey| stream.lost.is_some() || stream.state.suspect;
                !log.damage.is_empty() || log.streams.values().any(stream)
            }
            Part::Space(result) => result.is_err(),
            Part::Page(result) => result.is_err(),
            Part::Trees(Err(_)) | Part::Log(Err(_)) => true,
        }
    }
}

fn inspect(arguments: &ArgMatches) -> Result<u8, OfflineError> {
    let path = offline::directory(arguments);
    let mut wanted = arguments.get_many::<String>("part").unwrap_or_default().map(String::as_str).peekable();
    let none_named = wanted.peek().is_none();
    let mut names = Vec::new();
    while let Some(name) = wanted.next() {
        match name {
            "page" => {
                let text = wanted.next().unwrap_or_default();
                let page = parse_page(text).ok_or_else(|| OfflineError::NoPage(text.to_owned()))?;
                names.push((name, Some(page)));
            }
            _ if PARTS.contains(&name) => names.push((name, None)),
            _ => return Err(OfflineError::NoPart(name.to_owned())),
        }
    }
    if none_named {
        names.extend(PARTS.map(|name| (name, None)));
    }
    let disk = offline::open(&path)?;
    let inspector = Inspector::open(disk, arguments.get_flag("read-only-copy"));
    let inspector = inspector.map_err(|error| OfflineError::storage(&path, error))?;
    let parts: Vec<Part<'_>> = names
        .into_iter()
        .map(|(name, page)| match (name, page) {
            ("superblock", _) => Part::Superblock(&inspector),
            ("trees", _) => Part::Trees(inspector.trees(arguments.get_flag("deep"))),
            ("space", _) => Part::Space(inspector.space()),
            (_, Some(page)) => Part::Page(inspector.page(page)),
            _ => Part::Log(inspector.log()),
        })
        .collect();
    let mut out = std::io::stdout().lock();
    if arguments.get_flag("json") {
        let mut all = Map::new();
        all.insert("directory".to_owned(), Value::String(path.display().to_string()));
        parts.iter().for_each(|part| drop(all.insert(part.name().to_owned(), as_json::part(part))));
        writeln!(out, "{:#}", Value::Object(all))?;
    } else {
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            as_text::part(&mut out, part)?;
        }
    }
    out.flush()?;
    Ok(if parts.iter().any(Part::is_damaged) { EXIT_DAMAGED } else { EXIT_WHOLE })
}

fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

fn state_name(state: SegmentState) -> &'static str {
    match state {
        SegmentState::InUse => "in use",
        SegmentState::Prepared => "prepared",
        SegmentState::Missing => "missing",
        SegmentState::Unreadable => "unreadable",
    }
}

fn kind_name(kind: PageKind) -> &'static str {
    match kind {
        PageKind::Leaf => "leaf",
        PageKind::Branch => "branch",
        PageKind::Value => "value",
        PageKind::ValuePart => "part of a value",
        PageKind::ValueParts => "list of a value's parts",
        PageKind::FreeChunk => "free set chunk",
        PageKind::FreeDirectory => "free set directory",
    }
}

//! What the benchmark is told on its command line.

use std::path::PathBuf;
use std::process::Command;

use photondb_storage::{Compression, EngineOptions};

/// What this process does. The parent starts one process for each of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything, and the table.
    Table,
    /// The peers' work on this engine; prints one JSON line.
    Engine,
    /// The figures that only this engine is asked for; prints one JSON line.
    Extras,
    /// Overwrites keys in synced groups until killed.
    Churn,
    /// Opens a store and times it to its first answered get.
    Reopen,
}

const MODES: &[(&str, Mode)] = &[
    ("table", Mode::Table),
    ("engine", Mode::Engine),
    ("extras", Mode::Extras),
    ("churn", Mode::Churn),
    ("reopen", Mode::Reopen),
];

/// Everything it is told, checked.
#[derive(Clone, Debug)]
pub struct Arguments {
    pub mode: Mode,
    pub directory: PathBuf,
    pub keys: u64,
    pub value_bytes: usize,
    /// The length of each timed window.
    pub seconds: f64,
    pub rounds: usize,
    /// The peers' benchmark program.
    pub peers: Option<PathBuf>,
    /// Which of its engines.
    pub engines: Vec<String>,
    pub cache_bytes: usize,
    pub dirty_bytes: usize,
    pub checkpoint_wal_bytes: u64,
    pub compression: Compression,
    /// Where the churning child writes what was acknowledged.
    pub acknowledged: Option<PathBuf>,
    /// Print JSON lines as well.
    pub json: bool,
}

impl Arguments {
    /// Reads the command line. Errors: what is wrong with it.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let words: Vec<String> = words.collect();
        // `cargo test` runs a benchmark without `--bench`: a short pass that shows that it works.
        let measured = words.iter().any(|word| word == "--bench") || words.iter().any(|word| word == "--mode");
        let engine = EngineOptions::default();
        let mut arguments = Arguments {
            mode: Mode::Table,
            directory: std::env::var_os("PHOTONDB_BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from),
            keys: if measured { 1_000_000 } else { 2_000 },
            value_bytes: 200,
            seconds: if measured { 2.0 } else { 0.02 },
            rounds: 1,
            peers: std::env::var_os("PHOTONDB_STOREBENCH").filter(|_| measured).map(PathBuf::from),
            engines: ["redb", "fjall", "lmdb", "sled", "rocksdb"].map(str::to_owned).to_vec(),
            cache_bytes: 512 << 20,
            dirty_bytes: engine.dirty_bytes,
            checkpoint_wal_bytes: engine.checkpoint_wal_bytes,
            compression: Compression::None,
            acknowledged: None,
            json: false,
        };
        if arguments.mode == Mode::Table {
            arguments.directory.push(format!("photondb-peers-{}", std::process::id()));
        }
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            arguments.take(&word, &mut words)?;
        }
        Ok(arguments)
    }

    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), String> {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "--bench" => {}
            "--json" => self.json = true,
            "--mode" => {
                let name = value()?;
                let known = MODES.iter().find(|(known, _)| *known == name);
                self.mode = known.ok_or_else(|| format!("{name} is no mode"))?.1;
            }
            "--dir" => self.directory = PathBuf::from(value()?),
            "--keys" => self.keys = number(word, &value()?)?,
            "--value" => self.value_bytes = number(word, &value()?)?,
            "--secs" => self.seconds = number(word, &value()?)?,
            "--rounds" => self.rounds = number(word, &value()?)?,
            "--peers" => self.peers = Some(PathBuf::from(value()?)),
            "--engines" => self.engines = value()?.split(',').map(str::to_owned).collect(),
            "--cache-mib" => self.cache_bytes = number::<usize>(word, &value()?)? << 20,
            "--dirty-mib" => self.dirty_bytes = number::<usize>(word, &value()?)? << 20,
            "--wal-mib" => self.checkpoint_wal_bytes = number::<u64>(word, &value()?)? << 20,
            "--compression" => self.compression = compression(&value()?)?,
            "--acks" => self.acknowledged = Some(PathBuf::from(value()?)),
            _ => return Err(format!("{word} is not an argument of this benchmark; see docs/testing.md")),
        }
        Ok(())
    }

    /// This program again, with the same arguments in another mode.
    pub fn command(&self, mode: Mode) -> Command {
        let program = std::env::current_exe().expect("this program is a file");
        let name = MODES.iter().find(|(_, known)| *known == mode).expect("every mode has a name").0;
        let mut command = Command::new(program);
        command.args(["--mode", name, "--dir"]).arg(&self.directory);
        let numbers = [
            ("--keys", self.keys),
            ("--value", self.value_bytes as u64),
            ("--cache-mib", (self.cache_bytes >> 20) as u64),
            ("--dirty-mib", (self.dirty_bytes >> 20) as u64),
            ("--wal-mib", self.checkpoint_wal_bytes >> 20),
        ];
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        command.args(["--secs", &self.seconds.to_string(), "--compression", compression_name(self.compression)]);
        if let Some(acknowledged) = &self.acknowledged {
            command.arg("--acks").arg(acknowledged);
        }
        command
    }
}

fn number<N: std::str::FromStr>(flag: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{flag} needs a number, not {text}"))
}

fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "none" => Ok(Compression::None),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(format!("{text} is no compression")),
    }
}

fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

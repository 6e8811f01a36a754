//! Runs this engine and its peers in turn, and prints one table.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::arguments::{Arguments, Mode};
use super::goals;

/// The name of this engine among the others.
pub const OURS: &str = "photondb";

/// The figures of all rounds.
#[derive(Default)]
pub struct Figures {
    /// One line of the common work per engine and round.
    engines: Vec<(String, Value)>,
    extras: Vec<Value>,
}

/// A figure of the common work: its heading, where it stands in a line, and its digits.
const ROWS: &[(&str, &str)] = &[
    ("load, puts/s", "/load_puts_s"),
    ("load, CPU us/put", "/load_cpu_us_per_put"),
    ("get hot, 1/s", "/gets_s"),
    ("get hot, p50 us", "/get/p50_us"),
    ("get hot, p99 us", "/get/p99_us"),
    ("full scan, rows/s", "/scan_rows_s"),
    ("scan of 100 rows, 1/s", "/scan100_s"),
    ("synced put, p50 us", "/group1/p50_us"),
    ("synced put, p99 us", "/group1/p99_us"),
    ("synced put, CPU us", "/group1/cpu_us_per_put"),
    ("groups of 100, puts/s", "/group100/puts_s"),
    ("groups of 100, CPU us/put", "/group100/cpu_us_per_put"),
    ("groups of 100, p99.9 us", "/group100/p999_us"),
    ("groups of 1000, puts/s", "/group1000/puts_s"),
    ("groups of 1000, CPU us/put", "/group1000/cpu_us_per_put"),
    ("groups of 1000, max us", "/group1000/max_us"),
    ("space after load", "/space_amp_load"),
    ("space after groups", "/space_amp_churn"),
    ("resident MiB", "/rss_mib"),
    ("open after kill -9, ms", "/reopen_after_kill9/open_ms"),
    ("  of it re-applying, ms", "/reopen_after_kill9/replay_ms"),
    ("  re-applied, MB", "/reopen_after_kill9/replayed_mb"),
    ("  re-applied, MB/s", "/reopen_after_kill9/replay_mb_s"),
    ("rows lost by kill -9", "/reopen_after_kill9/lost_rows"),
    ("open after clean end, ms", "/reopen_clean/open_ms"),
];

/// See the module.
pub fn run(arguments: &Arguments) {
    std::fs::create_dir_all(&arguments.directory).expect("the directory can be made");
    let mut figures = Figures::default();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        let ours = at(arguments, "photondb");
        let line = json_of(ours.command(Mode::Engine), arguments.json);
        figures.engines.push((OURS.to_owned(), line));
        figures.extras.push(json_of(at(arguments, "extras").command(Mode::Extras), arguments.json));
        for engine in arguments.peers.iter().flat_map(|_| &arguments.engines) {
            let line = json_of(peer(arguments, engine), arguments.json);
            figures.engines.push((engine.clone(), line));
        }
    }
    let _ = std::fs::remove_dir_all(&arguments.directory);
    figures.check();
    print!("{}", figures.table(arguments));
    print!("{}", goals::report(&figures));
}

fn at(arguments: &Arguments, name: &str) -> Arguments {
    Arguments { directory: arguments.directory.join(name), ..arguments.clone() }
}

fn peer(arguments: &Arguments, engine: &str) -> Command {
    let program: &Path = arguments.peers.as_deref().expect("peers were asked for");
    let mut command = Command::new(program);
    command.args(["engine", "--engine", engine, "--dir"]).arg(arguments.directory.join(engine));
    command.args(["--keys", &arguments.keys.to_string(), "--value", &arguments.value_bytes.to_string()]);
    command.args(["--secs", &arguments.seconds.to_string()]);
    command
}

fn json_of(mut command: Command, echo: bool) -> Value {
    let output = command.stderr(Stdio::inherit()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?} failed: {}", output.status);
    if echo {
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    serde_json::from_slice(&output.stdout).expect("it prints one JSON line")
}

impl Figures {
    /// The median of a figure over the rounds of one engine.
    pub fn engine(&self, name: &str, pointer: &str) -> Option<f64> {
        let lines = self.engines.iter().filter(|(engine, _)| engine == name).map(|(_, line)| line);
        median(lines.filter_map(|line| line.pointer(pointer)?.as_f64()).collect())
    }

    /// The same of what only this engine is asked for.
    pub fn extra(&self, pointer: &str) -> Option<f64> {
        median(self.extras.iter().filter_map(|line| line.pointer(pointer)?.as_f64()).collect())
    }

    /// A run that lost a row has no figures.
    fn check(&self) {
        for (engine, line) in self.engines.iter().filter(|(engine, _)| engine == OURS) {
            for opening in ["reopen_after_kill9", "reopen_clean"] {
                assert_eq!(line[opening]["lost_rows"], 0, "{engine}, {opening}: {}", line[opening]);
            }
        }
    }

    fn table(&self, arguments: &Arguments) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (engine, _) in &self.engines {
            if !names.contains(&engine.as_str()) {
                names.push(engine);
            }
        }
        let load = self.engine(OURS, "/load1").unwrap_or_default();
        let mut text = format!(
            "{} keys of 16 B with {} B, windows of {} s, {} round(s); cache {} MiB each; ours: dirty budget {} MiB, checkpoint by {} MiB of log; load {load}\n\n{:<28}",
            arguments.keys,
            arguments.value_bytes,
            arguments.seconds,
            arguments.rounds,
            arguments.cache_bytes >> 20,
            arguments.dirty_bytes >> 20,
            arguments.checkpoint_wal_bytes >> 20,
            ""
        );
        names.iter().for_each(|name| text.push_str(&format!("{name:>12}")));
        text.push('\n');
        for (heading, pointer) in ROWS {
            text.push_str(&format!("{heading:<28}"));
            for name in &names {
                let cell = self.engine(name, pointer).map_or_else(|| "-".to_owned(), short);
                text.push_str(&format!("{cell:>12}"));
            }
            text.push('\n');
        }
        text.push('\n');
        text
    }
}

/// A figure as people read it.
pub fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 1e6 => format!("{:.2} M", figure / 1e6),
        figure if figure >= 1e4 => format!("{:.1} k", figure / 1e3),
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure => format!("{figure:.2}"),
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

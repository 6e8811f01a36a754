//! Each deliberate bug of `photondb_storage::fault` makes the random runs fail, within a bounded time. Without a bug the
//! same runs hold: `faults_lose_nothing_unreported`.
//!
//! A bug is on for a whole process, so each has one of its own: the program `fault-run`, which anybody can run.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use photondb_storage::fault::{MUTANTS, Mutant};

/// A bug that is not noticed by then is not noticed.
const SECONDS_MAX: u64 = 120;

/// Processes at once.
const PROCESSES: usize = 2;

/// Runs seeds until one fails. Gives what the program said, and whether one did.
fn notice(mutant: &Mutant, seed: u64) -> (String, bool) {
    let (seed, seconds) = (seed.to_string(), SECONDS_MAX.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_fault-run"))
        .args(["--mutant", mutant.name, "--seed", &seed, "--runs", "1000000", "--seconds", &seconds])
        .stderr(Stdio::null())
        .output()
        .expect("the program was built with this test");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code() == Some(1))
}

/// The lines that say what failed, how to repeat it, and how many runs it took.
fn summary(said: &str) -> Vec<String> {
    let tells = ["seed ", "repeat: "];
    let mut lines: Vec<String> =
        said.lines().filter(|line| tells.iter().any(|tell| line.starts_with(tell))).map(str::to_owned).collect();
    let runs = said.lines().rev().nth(1).and_then(|line| line.split_once(" runs")).map_or("?", |(runs, _)| runs);
    let time = said.lines().last().and_then(|line| line.split_once("; ")).map_or("?", |(_, time)| time);
    lines.push(format!("after {runs} runs that held, {time}"));
    lines.iter().map(|line| line.chars().take(240).collect()).collect()
}

#[test]
fn each_of_them() {
    let given: Option<u64> = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let seed = given.unwrap_or(now % 1_000_000_000 * 1_000);
    println!("seeds from {seed} on; PHOTONDB_SEED={seed} repeats");
    let (waiting, survived) = (Mutex::new(MUTANTS.to_vec()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(mutant) = waiting.lock().expect("nobody panics").pop() {
            let (said, noticed) = notice(&mutant, seed);
            println!("{}: {}\n    {}", mutant.name, mutant.what, summary(&said).join("\n    "));
            if !noticed {
                survived.lock().expect("nobody panics").push(mutant.name);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(work);
        }
    });
    let survived = survived.into_inner().expect("nobody panics");
    assert!(survived.is_empty(), "nobody notices {survived:?}");
}

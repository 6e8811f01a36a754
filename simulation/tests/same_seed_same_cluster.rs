//! A run of a cluster is a function of its seed: two processes that run the same one give the same trace.
//!
//! `PHOTONDB_TESTS=full` compares twenty seeds, and those with an optimised build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use photondb_simulation::command::{Length, one};

const FIRST_SEED: u64 = 503;

fn length() -> Length {
    Length { duration: Duration::from_secs(6), ..Length::default() }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_another_process() {
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_simulation"));
    let optimised = full.then(build_optimised);
    let mut hashes = Vec::new();
    for seed in FIRST_SEED..FIRST_SEED + if full { 20 } else { 4 } {
        let record = one(&program, seed, &length()).unwrap();
        assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
        assert!(record.events > 100, "seed {seed} did almost nothing");
        for again in [Some(&program), optimised.as_ref()].into_iter().flatten() {
            let again = one(again, seed, &length()).unwrap();
            assert_eq!(again.trace_hash, record.trace_hash, "seed {seed} of {}", record.scenario);
            assert_eq!((again.events, again.virtual_us), (record.events, record.virtual_us));
        }
        hashes.push(record.trace_hash);
    }
    hashes.sort();
    hashes.dedup();
    assert!(hashes.len() > 3, "another seed gives another trace");
}

/// The program in the profile of releases, built beside everything else.
fn build_optimised() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--message-format=json-render-diagnostics"]).current_dir(manifest);
    cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("optimised"));
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = |line: &str| -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "simulation").then(|| message["executable"].as_str().map(PathBuf::from))?
    };
    messages.lines().filter_map(executable).next_back().expect("cargo names what it has built")
}

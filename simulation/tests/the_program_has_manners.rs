//! What the program says to a mistake, and to a reader that has gone.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulation"));
    command.args(arguments).env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command
}

fn said(Output { stderr, .. }: &Output) -> String {
    String::from_utf8_lossy(stderr).into_owned()
}

#[test]
fn a_mistake_is_told_in_a_line_that_says_what_there_is() {
    let mistakes: [(&[&str], &str); 6] = [
        (&["run", "--workload", "nonsense"], "there is no such workload; there are register,"),
        (&["run", "--seeds", "many"], "--seeds takes a number of fresh seeds, or A..B"),
        (&["run", "--seeds", "9..9"], "there is no seed from 9 on before 9"),
        (&["replay", "1", "--machines", "99"], "--machines 99: a cluster has 1 to 9"),
        (&["replay", "1", "--faults", "first"], "--faults takes numbers separated by commas, or none"),
        (&["report", "/nowhere"], "reading /nowhere"),
    ];
    for (arguments, wanted) in mistakes {
        let output = program(arguments).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains(wanted), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{arguments:?}: {said}");
    }
    let output = program(&["report"]).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("Usage:"), "{output:?}");
}

#[test]
fn a_reader_that_goes_is_the_end_and_no_panic() {
    let mut child = program(&["replay", "1", "--machines", "1", "--seconds", "1", "--faults", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("seed 1: "), "{first}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(141));
}

//! `photonctl`: arguments to command.

mod client;
mod command;
mod failure;
mod limits;
mod output;
mod tls;
mod transport;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    let text = match command::run(&arguments) {
        Ok(text) => text,
        Err(failure) => {
            if let Some(text) = failure.text() {
                let _ = std::io::stdout().write_all(text.as_bytes());
            }
            eprintln!("photonctl: {failure}");
            return ExitCode::from(failure.exit_code());
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("photonctl: the answer cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

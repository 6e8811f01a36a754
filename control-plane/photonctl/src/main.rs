//! `photonctl`: arguments to command.

mod bench;
mod client;
mod command;
mod failure;
mod javascript;
mod limits;
mod output;
mod password;
mod repl;
mod term;
mod tls;
mod transport;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use command::Arguments;
use failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Err(failure) = answer(&arguments) else { return ExitCode::SUCCESS };
    if !failure.is_silent() {
        eprintln!("photonctl: {failure}");
    }
    ExitCode::from(failure.exit_code())
}

fn answer(arguments: &Arguments) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    match arguments.watch()? {
        Some(period) => watch::run(period, || command::run(arguments)),
        None => match command::run(arguments) {
            Ok(text) => stdout.write_all(text.as_bytes()).map_err(Failure::Unwritable),
            Err(failure) => {
                if let Some(text) = failure.text() {
                    stdout.write_all(text.as_bytes()).map_err(Failure::Unwritable)?;
                }
                Err(failure)
            }
        },
    }
}

//! The command line: one file for each subcommand.

pub mod check;
mod compact;
pub mod connection;
mod database;
mod demo;
mod inspect;
mod javascript_worker;
mod offline;
pub mod serve;
mod signals;
mod table;

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::options::{OPTIONS, ServeOption};

pub use connection::{ClientError, Connection};
use serve::Until;

/// The program's version, as `photondb version` and the HTTP port show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command that a node starts for scripts; nobody else does.
pub const JAVASCRIPT_WORKER: &str = "javascript-worker";

/// The whole command line.
pub fn command_line() -> Command {
    Command::new("photondb")
        .about("A document database that speaks ReQL: RethinkDB's drivers connect to it unchanged.")
        .version(VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "Start a node for trying things out, or three with a few documents:\n    photondb serve --dev-mode\n    \
             photondb demo\n\n\
             Then connect any RethinkDB driver to localhost:28015.",
        )
        .subcommand(serve_command())
        .subcommand(demo::command())
        .subcommand(check::command())
        .subcommand(compact::command())
        .subcommand(inspect::command())
        .subcommand(database::command())
        .subcommand(table::command())
        .subcommand(with_options(Command::new(demo::DEMO_NODE)).about("Run a node of a demonstration").hide(true))
        .subcommand(Command::new(JAVASCRIPT_WORKER).about("Run scripts for a node that has started this").hide(true))
        .subcommand(Command::new("version").about("Print the version"))
}

fn serve_command() -> Command {
    let command = Command::new("serve")
        .about("Run a node until it is told to stop (SIGTERM or Ctrl-C; a second one ends it at once)")
        .after_help(
            "Every option may also be given as an environment variable (--cache-size as PHOTONDB_CACHE_SIZE, --dev-mode \
             also as DEV_MODE) or in a file (--config-file).\nA flag wins over the environment, the environment over the \
             file, the file over what is built in.",
        );
    with_options(command)
}

/// What a node may be told.
fn with_options(command: Command) -> Command {
    OPTIONS.iter().fold(command, |command, option| command.arg(argument(option)))
}

fn argument(option: &'static ServeOption) -> Arg {
    let argument = Arg::new(option.name)
        .long(option.name)
        .help(option.help)
        .help_heading(option.heading)
        .hide(!option.advertised());
    let argument = match option.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match option.value {
        Some(value) => argument.value_name(value).action(ArgAction::Append).allow_hyphen_values(true),
        None => argument.action(ArgAction::SetTrue),
    }
}

/// Runs the subcommand that was chosen. Commands on a directory have exit codes of their own.
pub fn run(matches: &ArgMatches) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    match matches.subcommand() {
        Some(("serve", arguments)) => serve::run(arguments, Until::Signal)?,
        Some(("demo", arguments)) => demo::run(arguments)?,
        Some((demo::DEMO_NODE, arguments)) => serve::run(arguments, Until::EndOfInput)?,
        Some(("check", arguments)) => return Ok(check::run(arguments)),
        Some(("compact", arguments)) => return Ok(compact::run(arguments)),
        Some(("inspect", arguments)) => return Ok(inspect::run(arguments)),
        Some((JAVASCRIPT_WORKER, _)) => return Ok(javascript_worker::run()),
        Some(("db", arguments)) => database::run(arguments)?,
        Some(("table", arguments)) => table::run(arguments)?,
        Some(("version", _)) => println!("photondb {VERSION}"),
        _ => unreachable!("clap refuses other subcommands"),
    }
    Ok(ExitCode::SUCCESS)
}

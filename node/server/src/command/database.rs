//! `photondb db`: databases of a running server.

use clap::{Arg, ArgMatches, Command};
use photondb_reql::TermKind;
use serde_json::{Value, json};

use super::connection::{ClientError, Connection, term};

pub(super) fn command() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The database");
    let subcommands = [
        Command::new("create").about("Create a database").arg(name()),
        Command::new("list").about("List the databases, one a line"),
        Command::new("drop").about("Drop a database with all its tables").arg(name()),
        Command::new("info").about("Show a database as JSON").arg(name()),
    ];
    Command::new("db")
        .about("Create, list, drop and show databases of a running server")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(subcommands.map(Connection::arguments))
}

pub(super) fn run(arguments: &ArgMatches) -> Result<(), ClientError> {
    let Some((verb, arguments)) = arguments.subcommand() else { unreachable!("clap asks for a subcommand") };
    let mut connection = Connection::from_arguments(arguments)?;
    let name = arguments.try_get_one::<String>("name").ok().flatten().cloned().unwrap_or_default();
    match verb {
        "create" => {
            connection.run(&term(TermKind::DbCreate, &[json!(name)]))?;
            println!("created database {name}");
        }
        "drop" => {
            connection.run(&term(TermKind::DbDrop, &[json!(name)]))?;
            println!("dropped database {name}");
        }
        "info" => println!("{:#}", connection.run(&term(TermKind::Info, &[term(TermKind::Db, &[json!(name)])]))?),
        _ => print_lines(&connection.run(&term(TermKind::DbList, &[]))?),
    }
    Ok(())
}

/// An array of texts, one a line.
pub(super) fn print_lines(names: &Value) {
    for name in names.as_array().into_iter().flatten() {
        println!("{}", name.as_str().unwrap_or_default());
    }
}

//! `photondb table`: tables of a running server.

use clap::{Arg, ArgMatches, Command};
use photondb_reql::TermKind;
use serde_json::json;

use super::connection::{ClientError, Connection, term};
use super::database::print_lines;

pub(super) fn command() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The table");
    let primary_key =
        Arg::new("primary-key").long("primary-key").value_name("FIELD").help("The primary key [default: id]");
    let compression = Arg::new("compression")
        .long("compression")
        .value_name("NAME")
        .value_parser(["lz4", "zstd", "none"])
        .help("How its pages are written [default: lz4]");
    let subcommands = [
        Command::new("create").about("Create a table").arg(name()).arg(primary_key).arg(compression),
        Command::new("list").about("List the tables of the database, one a line"),
        Command::new("drop").about("Drop a table with all its documents").arg(name()),
        Command::new("info").about("Show a table as JSON").arg(name()),
    ];
    let database = || Arg::new("db").long("db").default_value("test").help("The database");
    Command::new("table")
        .about("Create, list, drop and show tables of a running server")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(subcommands.map(|command| Connection::arguments(command.arg(database()))))
}

pub(super) fn run(arguments: &ArgMatches) -> Result<(), ClientError> {
    let Some((verb, arguments)) = arguments.subcommand() else { unreachable!("clap asks for a subcommand") };
    let text = |name: &str| arguments.try_get_one::<String>(name).ok().flatten().cloned();
    let (name, database) = (text("name").unwrap_or_default(), text("db").unwrap_or_default());
    let mut connection = Connection::from_arguments(arguments)?;
    let db = term(TermKind::Db, &[json!(database)]);
    match verb {
        "create" => {
            let mut create = term(TermKind::TableCreate, &[db, json!(name)]);
            let options = [("primary_key", text("primary-key")), ("compression", text("compression"))];
            let given: serde_json::Map<_, _> =
                options.into_iter().filter_map(|(option, value)| Some((option.to_owned(), value?.into()))).collect();
            if let (false, Some(parts)) = (given.is_empty(), create.as_array_mut()) {
                parts.push(given.into());
            }
            connection.run(&create)?;
            println!("created table {database}.{name}");
        }
        "drop" => {
            connection.run(&term(TermKind::TableDrop, &[db, json!(name)]))?;
            println!("dropped table {database}.{name}");
        }
        "info" => {
            let table = term(TermKind::Table, &[db, json!(name)]);
            println!("{:#}", connection.run(&term(TermKind::Info, &[table]))?);
        }
        _ => print_lines(&connection.run(&term(TermKind::TableList, &[db]))?),
    }
    Ok(())
}

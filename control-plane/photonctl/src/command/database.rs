//! `photonctl db`.

use clap::Subcommand;
use photondb_reql::term::TermKind;
use serde_json::Value;

use super::table::rename;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Columns, Format, cell};
use crate::term::{call, database};

#[derive(Debug, Subcommand)]
pub enum DatabaseVerb {
    /// The databases.
    List,
    /// Makes a database.
    Create {
        /// Its name.
        name: String,
    },
    /// Drops a database with all its tables.
    Drop {
        /// Its name.
        name: String,
    },
    /// Gives a database another name.
    Rename {
        /// Its name.
        name: String,
        /// The new one.
        new_name: String,
    },
}

pub fn run(verb: &DatabaseVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let done = |kind, name: &str, said: &str| {
        let answer = client.value(&call(kind, [name.into()]))?;
        Ok(format.write(&answer, || format!("Database `{name}` has been {said}\n")))
    };
    match verb {
        DatabaseVerb::List => {
            let names = client.value(&call(TermKind::DbList, []))?;
            Ok(format.write(&names, || list(&names)))
        }
        DatabaseVerb::Create { name } => done(TermKind::DbCreate, name, "made"),
        DatabaseVerb::Drop { name } => done(TermKind::DbDrop, name, "dropped"),
        DatabaseVerb::Rename { name, new_name } => {
            let (answer, _) = client.write(&rename(call(TermKind::Config, [database(name)]), new_name))?;
            Ok(format.write(&answer, || format!("Database `{name}` is called `{new_name}` now\n")))
        }
    }
}

fn list(names: &Value) -> String {
    let mut columns = Columns::new(["DATABASE"]);
    names.as_array().into_iter().flatten().for_each(|name| columns.row([cell(name)]));
    columns.finish()
}

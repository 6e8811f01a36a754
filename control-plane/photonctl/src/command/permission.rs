//! `photonctl grant` and `revoke`.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use photondb_reql::term::TermKind;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Format;
use crate::term::{NotATable, TableName, call_with, database};

/// Whom, what, and where.
#[derive(Clone, Debug, Args)]
pub struct Permissions {
    /// The user's name.
    #[arg(value_name = "USER")]
    name: String,
    /// What the user may do.
    #[arg(required = true, value_delimiter = ',')]
    permissions: Vec<Permission>,
    /// A database, or a table of one; without it everywhere.
    #[arg(long, value_name = "DATABASE[.TABLE]")]
    on: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Permission {
    /// Read documents.
    Read,
    /// Write documents.
    Write,
    /// Make, change and drop databases, tables and indexes.
    Config,
    /// Fetch from other servers with `r.http`; only everywhere.
    Connect,
}

/// `DATABASE` or `DATABASE.TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Database(String),
    Table(TableName),
}

impl FromStr for Place {
    type Err = NotATable;

    fn from_str(text: &str) -> Result<Place, NotATable> {
        match text.contains('.') {
            true => text.parse().map(Place::Table),
            false if text.is_empty() => Err(NotATable),
            false => Ok(Place::Database(text.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Database(name) => write!(f, "database `{name}`"),
            Place::Table(name) => write!(f, "table `{name}`"),
        }
    }
}

/// What becomes of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They are given.
    Grant,
    /// What was said here is taken back: the wider scope decides.
    Revoke,
    /// They are refused here, whatever the wider scope says.
    Deny,
}

pub fn run(permissions: &Permissions, change: Change, client: &Client, format: Format) -> Result<String, Failure> {
    let answer = client.value(&term(permissions, change))?;
    let place = permissions.on.as_ref().map_or("everywhere".to_owned(), |place| format!("on {place}"));
    let names: Vec<&str> = permissions.permissions.iter().map(|permission| word(*permission)).collect();
    let (user, names) = (&permissions.name, names.join(", "));
    Ok(format.write(&answer, || match change {
        Change::Grant => format!("User `{user}` may {names} {place}\n"),
        Change::Revoke => format!("Whether user `{user}` may {names} {place} is no longer said there\n"),
        Change::Deny => format!("User `{user}` may not {names} {place}\n"),
    }))
}

fn term(permissions: &Permissions, change: Change) -> Value {
    let value = match change {
        Change::Grant => Value::Bool(true),
        Change::Revoke => Value::Null,
        Change::Deny => Value::Bool(false),
    };
    let said = permissions.permissions.iter().map(|permission| (word(*permission).to_owned(), value.clone()));
    let place = permissions.on.as_ref().map(|place| match place {
        Place::Database(name) => database(name),
        Place::Table(name) => name.term(),
    });
    let rest = [Value::from(permissions.name.as_str()), Value::Object(said.collect())];
    call_with(TermKind::Grant, place.into_iter().chain(rest).collect(), Map::new())
}

fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::Config => "config",
        Permission::Connect => "connect",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        permissions: Permissions,
    }

    #[test]
    fn permissions_are_given_and_taken_at_a_scope() {
        let check = |line: &str, change: Change, expected: Value| {
            let line = Line::try_parse_from(std::iter::once("grant").chain(line.split_whitespace())).unwrap();
            assert_eq!(term(&line.permissions, change), expected);
        };
        check("ann read,write", Change::Grant, json!([188, ["ann", {"read": true, "write": true}]]));
        check(
            "ann read config --on d",
            Change::Deny,
            json!([188, [[14, ["d"]], "ann", {"read": false, "config": false}]]),
        );
        check("ann connect", Change::Revoke, json!([188, ["ann", {"connect": null}]]));
        check("ann read --on d.t", Change::Grant, json!([188, [[15, [[14, ["d"]], "t"]], "ann", {"read": true}]]));
        for line in [&["grant", "ann"][..], &["grant", "ann", "fly"], &["grant", "ann", "read", "--on", "a.b.c"]] {
            assert!(Line::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}

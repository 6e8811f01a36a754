//! Fields of documents: reading what users write into system tables, and what several tables show.

use photondb_cluster_state::Table;
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::Viewer;

/// Refuses fields other than `known`: `` Unexpected key(s) `a`, `b`. ``
pub(super) fn only(fields: &Object, known: &[&str]) -> Result<()> {
    let unknown = unknown(fields, known);
    if unknown.is_empty() {
        return Ok(());
    }
    let quoted: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
    Err(Error::op_failed(format!("Unexpected key(s) {}.", quoted.join(", "))))
}

/// The fields that are not among `known`.
fn unknown(fields: &Object, known: &[&str]) -> Vec<String> {
    fields.keys().filter(|name| !known.contains(&name.as_str())).map(|name| name.to_string()).collect()
}

/// The same for a configuration table, which says it without quotes: `Unexpected key(s): a b`.
pub(super) fn no_others(fields: &Object, known: &[&str]) -> std::result::Result<(), String> {
    match unknown(fields, known) {
        unknown if unknown.is_empty() => Ok(()),
        unknown => Err(format!("Unexpected key(s): {}", unknown.join(" "))),
    }
}

/// A field that has to be there.
pub(super) fn required(fields: &Object, name: &str) -> std::result::Result<Datum, String> {
    fields.get(name).ok_or_else(|| format!("Expected a field named `{name}`."))
}

/// A name, in RethinkDB's words if it is none; `what` is to be called so.
pub(super) fn named(found: &Datum, what: &str, is_valid: fn(&str) -> bool) -> std::result::Result<String, String> {
    match found {
        Datum::String(name) if is_valid(name) => Ok(name.to_string()),
        Datum::String(_) => Err(format!("{} is not a valid {what}; Use A-Z, a-z, 0-9, _ and - only", found.print())),
        other => Err(format!("Expected a {what}; got {}", other.print())),
    }
}

/// Whether a database, a table or a server can be called so. How long a name may be others say.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

/// A text.
pub(super) fn text(found: &Datum) -> std::result::Result<String, String> {
    match found {
        Datum::String(text) => Ok(text.to_string()),
        other => Err(format!("Expected a string; got {}", other.print())),
    }
}

/// The text of a UUID.
pub(super) fn uuid<T: std::str::FromStr>(found: &Datum) -> std::result::Result<T, String> {
    let read = match found {
        Datum::String(text) => text.parse::<T>().ok(),
        _ => None,
    };
    read.ok_or_else(|| format!("Expected a UUID; got {}", found.print()))
}

/// The error for a document of a configuration table that has the wrong form.
pub(super) fn wrong_format(table: &str, what: &str) -> Error {
    Error::op_failed(format!("The change you're trying to make to `rethinkdb.{table}` has the wrong format. {what}"))
}

/// A time in UTC from microseconds since the epoch, to the millisecond.
pub(super) fn time(micros: i64) -> Datum {
    Datum::Object(Object::from([
        ("$reql_type$", Datum::from("TIME")),
        ("epoch_time", Datum::Number(micros.saturating_add(500).div_euclid(1_000) as f64 / 1e3)),
        ("timezone", Datum::from("+00:00")),
    ]))
}

/// How a table is named in documents.
pub(super) fn table(viewer: &Viewer<'_>, table: &Table) -> Datum {
    table_as(viewer.format, table)
}

/// The same, for who knows only the format.
pub(super) fn table_as(format: IdentifierFormat, table: &Table) -> Datum {
    match format {
        IdentifierFormat::Name => Datum::from(table.name.as_str()),
        IdentifierFormat::Uuid => Datum::from(table.id.to_string()),
    }
}

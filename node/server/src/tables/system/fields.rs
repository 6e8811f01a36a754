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
pub(super) fn unknown(fields: &Object, known: &[&str]) -> Vec<String> {
    fields.keys().filter(|name| !known.contains(&name.as_str())).map(|name| name.to_string()).collect()
}

/// The error for a document of a configuration table that has the wrong form.
pub(super) fn wrong_format(table: &str, what: &str) -> Error {
    Error::op_failed(format!("The change you're trying to make to `rethinkdb.{table}` has the wrong format. {what}"))
}

/// Whether the key is one that `insert` made up.
pub(super) fn looks_generated(key: &Datum) -> bool {
    matches!(key, Datum::String(text) if text.parse::<photondb_proto::TableId>().is_ok())
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

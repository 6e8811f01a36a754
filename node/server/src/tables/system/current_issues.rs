//! `current_issues`: problems that need an administrator. One node can have one kind of RethinkDB's: a table that is not
//! ready, because its replica was found damaged or is still being started.

use photondb_cluster_state::Table;
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;
use uuid::Uuid;

use super::{Contents, News, Viewer};
use crate::catalog;

const TABLE_AVAILABILITY: &str = "table_availability";

/// From which RethinkDB derives the ids of such issues.
const TABLE_AVAILABILITY_BASE: Uuid = Uuid::from_u128(0x4ae8c575_b103_3335_a79a_121089e34339);

/// The table.
pub(super) struct CurrentIssues;

impl Contents for CurrentIssues {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let unavailable = viewer.state.tables().filter(|table| !viewer.ground.is_ready(table.id));
        Ok(unavailable.map(|table| table_availability(viewer, table)).collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

fn table_availability(viewer: &Viewer<'_>, table: &Table) -> Datum {
    let status = catalog::status_of(viewer.ground, &viewer.state, table, viewer.format);
    let name = match viewer.format {
        IdentifierFormat::Name => Datum::from(table.name.as_str()),
        IdentifierFormat::Uuid => Datum::from(table.id.to_string()),
    };
    let mut info = Object::new().with("table", name);
    if let Datum::Object(fields) = &status {
        for (field, value) in fields.iter().filter(|(field, _)| !matches!(field.as_str(), "id" | "name")) {
            info = info.with(field, value);
        }
    }
    let db = catalog::database(&viewer.state, table, IdentifierFormat::Name);
    let db = db.as_string().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("Table `{db}.{}` is not available for any operations.", table.name);
    text.push_str("\nThe servers that are not ready are:");
    for member in table.shards.iter().flat_map(|shard| &shard.members) {
        let server = catalog::server(&viewer.state, member.node, IdentifierFormat::Name);
        text.push_str(&format!("\n {} (secondary replica)", server.as_string().map(Str::as_str).unwrap_or_default()));
    }
    Datum::Object(Object::from([
        ("critical", Datum::from(true)),
        ("description", Datum::from(text)),
        ("id", Datum::from(Uuid::new_v5(&TABLE_AVAILABILITY_BASE, table.id.to_string().as_bytes()).to_string())),
        ("info", Datum::Object(info)),
        ("type", Datum::from(TABLE_AVAILABILITY)),
    ]))
}

//! `table_availability`: tables that are not as ready as they could be.

use std::collections::BTreeSet;

use photondb_cluster_state::Table;
use photondb_proto::NodeId;
use photondb_query::catalog::{IdentifierFormat, Readiness};
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::super::issue::{Issue, names};
use super::super::photon_issues::{how_to_repair, majority_away};
use super::super::{Viewer, fields};
use crate::catalog::{self, Overview};

const TABLE_AVAILABILITY: &str = "table_availability";

/// From which RethinkDB derives the ids of such issues.
const BASE: Uuid = Uuid::from_u128(0x4ae8c575_b103_3335_a79a_121089e34339);

pub(super) fn of_tables(viewer: &Viewer<'_>) -> Vec<Issue> {
    let overview = viewer.ground.overview_of_all(&viewer.state);
    viewer.state.tables().filter_map(|table| issue(viewer, table, &overview)).collect()
}

fn issue(viewer: &Viewer<'_>, table: &Table, overview: &Overview) -> Option<Issue> {
    let readiness = overview.readiness(table);
    let able = match readiness {
        None => "not available for any operations",
        Some(Readiness::OutdatedReads) => "available for outdated reads, but not up-to-date reads or writes",
        Some(Readiness::Reads) => "available for outdated and up-to-date reads, but not writes",
        Some(Readiness::Writes) => "available for all operations, but some replicas are not ready",
        Some(Readiness::AllReplicas) => return None,
    };
    let mut info = Object::new().with("table", fields::table(viewer, table));
    if let Datum::Object(status) = overview.status_of(&viewer.state, table, viewer.format) {
        for (field, value) in status.iter().filter(|(field, _)| !matches!(field.as_str(), "id" | "name")) {
            info = info.with(field, value);
        }
    }
    let db = catalog::database(&viewer.state, table, IdentifierFormat::Name);
    let db = db.as_string().map(Str::to_string).unwrap_or_default();
    let away: BTreeSet<NodeId> = overview.silent(table).collect();
    let away: Vec<NodeId> = away.into_iter().collect();
    let mut description = format!("Table `{db}.{}` is {able}.", table.name);
    if !away.is_empty() {
        description.push_str(&format!(" The following servers are not reachable: {}", names(viewer, &away)));
    }
    if table.shards.iter().any(|shard| majority_away(viewer, shard).is_some()) {
        description.push_str(". ");
        description.push_str(&how_to_repair(&db, &table.name));
    }
    let id = Uuid::new_v5(&BASE, table.id.to_string().as_bytes());
    Some(Issue { kind: TABLE_AVAILABILITY, critical: readiness < Some(Readiness::Writes), id, info, description })
}

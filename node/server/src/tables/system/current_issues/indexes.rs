//! `outdated_index`: indexes of another version of the evaluator, one issue for all of them.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::TableId;
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::super::issue::{Issue, Patient};
use super::super::{Viewer, fields};
use crate::catalog;
use crate::report::id_of;

const OUTDATED_INDEX: &str = "outdated_index";

/// The id of the issue in RethinkDB.
const ID: Uuid = Uuid::from_u128(0x528f5239_096e_47a3_b263_7a06a256ecc3);

pub(super) fn outdated(viewer: &Viewer<'_>, patients: &[Patient]) -> Option<Issue> {
    let mut found: BTreeMap<TableId, BTreeSet<&str>> = BTreeMap::new();
    for outdated in patients.iter().filter_map(|patient| patient.health.as_ref()).flat_map(|health| &health.outdated) {
        if let Some(table) = id_of(&outdated.table) {
            found.entry(TableId(table)).or_default().insert(&outdated.index);
        }
    }
    let (mut tables, mut text) = (Vec::new(), String::new());
    for (id, indexes) in found {
        let Some(table) = viewer.state.table(id) else { continue };
        let db = catalog::database(&viewer.state, table, IdentifierFormat::Name);
        let db = db.as_string().map(Str::to_string).unwrap_or_default();
        let quoted: Vec<String> = indexes.iter().map(|index| format!("`{index}`")).collect();
        text.push_str(&format!("\nFor table `{db}.{}`: {}", table.name, quoted.join(", ")));
        tables.push(Datum::Object(Object::from([
            ("db", catalog::database(&viewer.state, table, viewer.format)),
            ("indexes", Datum::from(indexes.into_iter().map(Datum::from).collect::<Vec<_>>())),
            ("table", fields::table(viewer, table)),
        ])));
    }
    (!tables.is_empty()).then(|| Issue {
        kind: OUTDATED_INDEX,
        critical: false,
        id: ID,
        info: Object::from([("tables", Datum::from(tables))]),
        description: format!(
            "The cluster contains indexes that were made with another version of the query language. They are being built \
             again, which needs nothing to be done, and cannot be used until that is done.{text}"
        ),
    })
}

//! What the documents of `current_issues` and `photon_issues` have in common: RethinkDB's frame of fields.

mod foreign;

use photondb_proto::NodeId;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{Health, HealthCall};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::Viewer;
use crate::catalog;

pub(super) use foreign::foreign_clusters;

/// One problem that needs an administrator.
pub(super) struct Issue {
    /// What kind of problem.
    pub kind: &'static str,
    /// Whether something does not work because of it.
    pub critical: bool,
    /// The same for as long as the problem lasts.
    pub id: Uuid,
    pub info: Object,
    pub description: String,
}

impl Issue {
    pub fn document(self) -> Datum {
        Datum::Object(Object::from([
            ("critical", Datum::from(self.critical)),
            ("description", Datum::from(self.description)),
            ("id", Datum::from(self.id.to_string())),
            ("info", Datum::Object(self.info)),
            ("type", Datum::from(self.kind)),
        ]))
    }
}

/// What one server says of what is wrong with it.
pub(super) struct Patient {
    pub node: NodeId,
    /// `None`: it has not answered.
    pub health: Option<Health>,
}

/// Asks all servers what is wrong with them.
pub(super) fn examine(viewer: &Viewer<'_>) -> Vec<Patient> {
    let heard = viewer.ground.ask_all(Ask::Health(HealthCall {})).into_iter();
    let patients = heard.map(|heard| Patient {
        node: heard.node,
        health: match heard.told {
            Some(Told::Health(health)) => Some(health),
            _ => None,
        },
    });
    patients.collect()
}

/// Servers as documents name them.
pub(super) fn servers(viewer: &Viewer<'_>, nodes: &[NodeId]) -> Datum {
    let named = nodes.iter().map(|node| catalog::server(&viewer.state, *node, viewer.format));
    Datum::from(named.collect::<Vec<_>>())
}

/// Servers as texts name them.
pub(super) fn names(viewer: &Viewer<'_>, nodes: &[NodeId]) -> String {
    let named = nodes.iter().map(|node| catalog::server(&viewer.state, *node, IdentifierFormat::Name));
    named.map(|name| name.as_string().map(Str::to_string).unwrap_or_default()).collect::<Vec<_>>().join(", ")
}

/// `s` for several.
pub(super) fn plural(nodes: &[NodeId]) -> &'static str {
    if nodes.len() == 1 { "" } else { "s" }
}

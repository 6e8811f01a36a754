//! Issues that servers report of themselves: `log_write_error`, `memory_error`, `non_transitive_error`.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::NodeId;
use photondb_proto::v1::report::Health;
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::super::Viewer;
use super::super::issue::{Issue, Patient, names, plural, servers};
use crate::report::id_of;

const LOG_WRITE_ERROR: &str = "log_write_error";
const MEMORY_ERROR: &str = "memory_error";
const NON_TRANSITIVE_ERROR: &str = "non_transitive_error";

/// From which RethinkDB derives the ids of each kind.
const LOG_WRITE_BASE: Uuid = Uuid::from_u128(0xa0c0dc6d_aa7f_4119_a29d_4c717c343445);
const MEMORY_BASE: Uuid = Uuid::from_u128(0xe013d7af_dd63_4fc0_a021_d9b57591685b);
const NON_TRANSITIVE_BASE: Uuid = Uuid::from_u128(0xab2a4f6d_c623_4c11_9982_8e5cc653737d);

const NON_TRANSITIVE: &str = "Server connectivity is non-transitive.";

pub(super) fn log_write_errors(viewer: &Viewer<'_>, patients: &[Patient]) -> Vec<Issue> {
    let issue = |(message, nodes): (String, Vec<NodeId>)| {
        let (s, names) = (plural(&nodes), names(viewer, &nodes));
        let description = format!(
            "The following server{s} encountered an error while writing log statements: {names}.\n\nThe error message \
             reported is: {message}\n\nPlease fix the problem that is preventing the server{s} from writing to their log \
             file. This issue will go away the next time the server successfully writes to the log file."
        );
        reported(viewer, LOG_WRITE_ERROR, LOG_WRITE_BASE, &message, &nodes, description)
    };
    by_message(patients, |health| &health.log_error).into_iter().map(issue).collect()
}

pub(super) fn memory_errors(viewer: &Viewer<'_>, patients: &[Patient]) -> Vec<Issue> {
    let issue = |(message, nodes): (String, Vec<NodeId>)| {
        let (s, names) = (plural(&nodes), names(viewer, &nodes));
        let description = format!(
            "The following server{s} encountered a memory problem: {names}. \n\n The message reported is: {message}\n\n"
        );
        reported(viewer, MEMORY_ERROR, MEMORY_BASE, &message, &nodes, description)
    };
    by_message(patients, |health| &health.memory_error).into_iter().map(issue).collect()
}

/// Servers that do not reach one that has just answered this one.
pub(super) fn non_transitive(viewer: &Viewer<'_>, patients: &[Patient]) -> Option<Issue> {
    let there: BTreeSet<NodeId> =
        patients.iter().filter(|patient| patient.health.is_some()).map(|patient| patient.node).collect();
    let misses = |health: &Health| {
        let mut missed = health.contacts.iter().filter(|contact| !contact.reached);
        missed.any(|contact| id_of(&contact.node).is_some_and(|node| there.contains(&NodeId(node))))
    };
    let apart = patients.iter().filter(|patient| patient.health.as_ref().is_some_and(misses));
    let apart: Vec<NodeId> = apart.map(|patient| patient.node).collect();
    (!apart.is_empty()).then(|| {
        let description =
            "There are currently servers that cannot see every server in the cluster. This may cause table \
                           availability issues."
                .to_owned();
        reported(viewer, NON_TRANSITIVE_ERROR, NON_TRANSITIVE_BASE, NON_TRANSITIVE, &apart, description)
    })
}

/// Who says the same.
fn by_message(patients: &[Patient], message: impl Fn(&Health) -> &String) -> BTreeMap<String, Vec<NodeId>> {
    let mut saying: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for patient in patients {
        if let Some(said) = patient.health.as_ref().map(&message).filter(|said| !said.is_empty()) {
            saying.entry(said.clone()).or_default().push(patient.node);
        }
    }
    saying
}

fn reported(
    viewer: &Viewer<'_>,
    kind: &'static str,
    base: Uuid,
    message: &str,
    nodes: &[NodeId],
    description: String,
) -> Issue {
    let info = Object::from([("message", Datum::from(message)), ("servers", servers(viewer, nodes))]);
    Issue { kind, critical: false, id: Uuid::new_v5(&base, message.as_bytes()), info, description }
}

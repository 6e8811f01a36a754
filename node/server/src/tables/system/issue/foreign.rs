//! `foreign_cluster`: nodes of another cluster, or with another cluster secret, that servers of this one have met and refused.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::{ClusterId, NodeId};
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::super::{Viewer, fields};
use super::{Issue, Patient, names, plural, servers};
use crate::limits::FOREIGN_TOLD_PERIOD;
use crate::report::id_of;

const FOREIGN_CLUSTER: &str = "foreign_cluster";
const BASE: Uuid = Uuid::from_u128(0x1ac5_7fdb_6f0c_4a53_9b1e_2d3c_5a4f_9e10);

/// What all servers together know of one foreign cluster.
#[derive(Default)]
struct Met {
    nodes: BTreeSet<NodeId>,
    addresses: BTreeSet<String>,
    by: Vec<NodeId>,
    first_micros: i64,
    last_micros: i64,
}

/// One for each foreign cluster, and one for whoever does not know the secret.
pub(in super::super) fn foreign_clusters(viewer: &Viewer<'_>, patients: &[Patient]) -> Vec<Issue> {
    let mut met: BTreeMap<Option<ClusterId>, Met> = BTreeMap::new();
    for patient in patients {
        for foreign in patient.health.iter().flat_map(|health| &health.foreign) {
            let all = met.entry(id_of(&foreign.cluster).map(ClusterId)).or_default();
            if all.by.is_empty() {
                (all.first_micros, all.last_micros) = (foreign.first_micros, foreign.last_micros);
            }
            all.nodes.extend(foreign.nodes.iter().filter_map(|node| id_of(node)).map(NodeId));
            all.addresses.extend(foreign.addresses.iter().cloned());
            all.by.push(patient.node);
            all.first_micros = all.first_micros.min(foreign.first_micros);
            all.last_micros = all.last_micros.max(foreign.last_micros);
        }
    }
    met.into_iter().map(|(cluster, met)| issue(viewer, cluster, &met)).collect()
}

fn issue(viewer: &Viewer<'_>, cluster: Option<ClusterId>, met: &Met) -> Issue {
    let shown = cluster.map(|cluster| cluster.to_string());
    let list = |texts: Vec<String>| Datum::from(texts.into_iter().map(Datum::from).collect::<Vec<_>>());
    let period = i64::try_from(FOREIGN_TOLD_PERIOD.as_micros()).unwrap_or(i64::MAX);
    let info = Object::from([
        ("addresses", list(met.addresses.iter().cloned().collect())),
        ("cluster", shown.clone().map_or(Datum::Null, Datum::from)),
        ("first_seen", fields::time(met.first_micros)),
        ("last_seen", fields::time((met.last_micros - met.last_micros.rem_euclid(period)).max(met.first_micros))),
        ("nodes", list(met.nodes.iter().map(NodeId::to_string).collect())),
        ("servers", servers(viewer, &met.by)),
    ]);
    let (plural, names) = (plural(&met.by), names(viewer, &met.by));
    let addresses = met.addresses.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let description = match &shown {
        Some(cluster) => format!(
            "The following server{plural} of this cluster met nodes of cluster {cluster}: {names}. Each side refuses the \
             other, and nothing has passed between them. An address (of {addresses}) may have gone from a node of the one \
             cluster to a node of the other, or `--join` or `--canonical-address` name a wrong one."
        ),
        None => format!(
            "The following server{plural} met nodes that do not have this cluster's secret: {names}. They were refused. They \
             are of another cluster, or were started with a wrong secret; they are, or call from: {addresses}."
        ),
    };
    let id = Uuid::new_v5(&BASE, shown.unwrap_or_default().as_bytes());
    Issue { kind: FOREIGN_CLUSTER, critical: false, id, info, description }
}

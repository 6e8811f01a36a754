//! `photon_issues`: problems that RethinkDB has no kind for, in the frame of fields of `current_issues`: `foreign_cluster`,
//! `server_down`, `server_lost`, `server_silent`, `shard_without_majority`, `shard_not_split`, `disk_nearly_full`.

use std::collections::BTreeMap;

use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_cluster_state::{Liveness, Member, Node, Role, Service, Shard, Table};
use photondb_proto::v1::report::Disk;
use photondb_proto::{NodeId, ShardId};
use photondb_query::catalog::IdentifierFormat;
use photondb_replica::limits::GROUPS_PER_NODE_MAX;
use photondb_reql::Str;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;
use uuid::Uuid;

use super::issue::{Issue, Patient, examine, foreign_clusters, names};
use super::{Contents, News, Viewer, fields};
use crate::catalog;
use crate::limits::{DISK_FREE_BYTES, DISK_FREE_SHARE};
use crate::report::id_of;

/// From which the ids of these issues are derived, with their kind and what they are about.
const BASE: Uuid = Uuid::from_u128(0x7d1b_62a4_53ce_4e0f_8c87_91f3_0c6e_5b28);

/// The table.
pub(super) struct PhotonIssues;

impl Contents for PhotonIssues {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let patients = examine(viewer);
        let mut issues = foreign_clusters(viewer, &patients);
        issues.extend(viewer.state.nodes().filter_map(|node| absent(viewer, node)));
        issues.extend(patients.iter().filter_map(|patient| silent(viewer, patient)));
        issues.extend(patients.iter().filter_map(|patient| nearly_full(viewer, patient)));
        for table in viewer.state.tables() {
            let shards = table.shards.iter().enumerate();
            issues.extend(shards.filter_map(|(number, shard)| without_majority(viewer, table, number, shard)));
        }
        issues.extend(not_split(viewer, &patients));
        Ok(issues.into_iter().map(Issue::document).collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

fn id(kind: &str, of: impl std::fmt::Display) -> Uuid {
    Uuid::new_v5(&BASE, format!("{kind} {of}").as_bytes())
}

fn of_server(viewer: &Viewer<'_>, kind: &'static str, critical: bool, node: NodeId, description: String) -> Issue {
    let info = Object::from([
        ("server", catalog::server(&viewer.state, node, viewer.format)),
        ("server_id", Datum::from(node.to_string())),
    ]);
    Issue { kind, critical, id: id(kind, node), info, description }
}

fn absent(viewer: &Viewer<'_>, node: &Node) -> Option<Issue> {
    let name = &node.name;
    match (node.liveness, node.service) {
        (_, Service::Gone) | (Liveness::Up, _) => None,
        (Liveness::Down, _) => {
            let description = format!("Server `{name}` has not been heard of lately. Others lead what it led.");
            Some(of_server(viewer, "server_down", false, node.id, description))
        }
        (Liveness::Lost, _) => {
            let description = format!(
                "Server `{name}` is lost: it is not waited for any more, and other servers take its places where there are \
                 enough. If it does not come back, or has come back as another one because its directory is gone, take it \
                 out of the cluster with `photonctl node decommission {name}`."
            );
            Some(of_server(viewer, "server_lost", true, node.id, description))
        }
    }
}

/// It is there, and has not said how it does.
fn silent(viewer: &Viewer<'_>, patient: &Patient) -> Option<Issue> {
    let node = viewer.state.node(patient.node).filter(|node| node.is_up() && patient.health.is_none())?;
    let description = format!(
        "Server `{}` does not answer the server that was asked. It is about to be found missing, or overloaded, or the two do \
         not reach each other.",
        node.name
    );
    Some(of_server(viewer, "server_silent", false, node.id, description))
}

fn nearly_full(viewer: &Viewer<'_>, patient: &Patient) -> Option<Issue> {
    let disk = patient.health.as_ref()?.disk.filter(is_nearly_full)?;
    let name = names(viewer, &[patient.node]);
    let (free, total) = (disk.free_bytes >> 20, disk.total_bytes >> 20);
    let refused = match disk.refused {
        0 => "When it is full, writes are refused.".to_owned(),
        refused => format!("Writes have found no room {refused} times since its start."),
    };
    let kind = "disk_nearly_full";
    let info = Object::from([
        ("free_bytes", Datum::from(disk.free_bytes)),
        ("server", catalog::server(&viewer.state, patient.node, viewer.format)),
        ("server_id", Datum::from(patient.node.to_string())),
        ("total_bytes", Datum::from(disk.total_bytes)),
        ("writes_refused", Datum::from(disk.refused)),
    ]);
    let description = format!("The disk of server `{name}` has {free} MiB left of {total} MiB. {refused}");
    Some(Issue { kind, critical: disk.refused > 0, id: id(kind, patient.node), info, description })
}

fn is_nearly_full(disk: &Disk) -> bool {
    disk.free_bytes < disk.total_bytes / DISK_FREE_SHARE && disk.free_bytes < DISK_FREE_BYTES
}

/// How many members vote, and where those are that are not there, if the others are no majority.
pub(super) fn majority_away(viewer: &Viewer<'_>, shard: &Shard) -> Option<(usize, Vec<NodeId>)> {
    // A broken member says no more whether it voted; where one that votes is wanted it did.
    let counts = |member: &&Member| {
        member.role == Role::Voter || member.role.is_broken() && shard.placement.voters.contains(&member.node)
    };
    let voters: Vec<_> = shard.members.iter().filter(counts).collect();
    let is_up = |member: &Member| viewer.state.node(member.node).is_some_and(|node| node.is_up());
    let away = voters.iter().filter(|member| member.role.is_broken() || !is_up(member));
    let away: Vec<_> = away.map(|member| member.node).collect();
    let is_lost = !voters.is_empty() && (voters.len() - away.len()) * 2 <= voters.len();
    is_lost.then_some((voters.len(), away))
}

/// How a table that lost replicas for good is repaired.
pub(super) fn how_to_repair(db: &str, table: &str) -> String {
    format!(
        "If they are lost for good, `reconfigure` with `emergency_repair: \"unsafe_rollback\"` (`photonctl table reconfigure \
         {db}.{table} --emergency-repair unsafe-rollback`) goes on with the replicas that are left, and gives up what only the lost \
         ones had."
    )
}

/// Of the members that vote, no majority is on servers that are there.
fn without_majority(viewer: &Viewer<'_>, table: &Table, number: usize, shard: &Shard) -> Option<Issue> {
    let (voters, away) = majority_away(viewer, shard)?;
    let db = catalog::database(&viewer.state, table, IdentifierFormat::Name);
    let db = db.as_string().map(Str::to_string).unwrap_or_default();
    let kind = "shard_without_majority";
    let info = Object::from([
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("replicas", Datum::from(voters)),
        ("replicas_up", Datum::from(voters - away.len())),
        ("servers_down", super::issue::servers(viewer, &away)),
        ("shard", Datum::from(number)),
        ("table", fields::table(viewer, table)),
    ]);
    let description = format!(
        "Shard {number} of table `{db}.{}` can be neither read nor written: of the servers of its {voters} voting replicas, {} are \
         not there: {}. It serves again when more than half of them are. {}",
        table.name,
        away.len(),
        names(viewer, &away),
        how_to_repair(&db, &table.name)
    );
    Some(Issue { kind, critical: true, id: id(kind, shard.id), info, description })
}

/// Shards that have grown too much for one, and are not split by themselves any more.
fn not_split(viewer: &Viewer<'_>, patients: &[Patient]) -> Vec<Issue> {
    let told = patients.iter().filter_map(|patient| patient.health.as_ref()).flat_map(|health| &health.uncut);
    // Of two that believe to lead it one is enough.
    let told: BTreeMap<ShardId, Option<NodeId>> =
        told.map(|uncut| (ShardId(uncut.shard), id_of(&uncut.node).map(NodeId))).collect();
    told.into_iter().filter_map(|(shard, full)| not_split_because(viewer, shard, full)).collect()
}

/// `full`: the server that has replicas of as many shards as are good for it; `None`: the table has as many as one may have.
fn not_split_because(viewer: &Viewer<'_>, id_of_shard: ShardId, full: Option<NodeId>) -> Option<Issue> {
    let (table, _) = viewer.state.shard(id_of_shard)?;
    let number = table.shards.iter().position(|shard| shard.id == id_of_shard)?;
    let db = catalog::database(&viewer.state, table, IdentifierFormat::Name);
    let db = db.as_string().map(Str::to_string).unwrap_or_default();
    let server = full.map_or(Datum::Null, |node| catalog::server(&viewer.state, node, viewer.format));
    let reason = match full {
        None => format!(
            "the table has {SHARDS_PER_TABLE_MAX} shards, as many as a table may have. Join small ones (`photonctl shard merge`), or divide \
             its documents over several tables."
        ),
        Some(node) => format!(
            "server `{}`, which has a replica of it, has replicas of {GROUPS_PER_NODE_MAX} shards already. Add servers and spread tables \
             over them (`reconfigure`), or join small shards (`photonctl shard merge`). By hand it can be split still (`photonctl shard split`).",
            names(viewer, &[node])
        ),
    };
    let kind = "shard_not_split";
    let info = Object::from([
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("server", server),
        ("shard", Datum::from(number)),
        ("table", fields::table(viewer, table)),
    ]);
    let description = format!(
        "Shard {number} of table `{db}.{}` has grown too large, or is used too much, for one shard (`--shard-size-max` and the options beside \
         it), and is not split by itself: {reason}",
        table.name
    );
    Some(Issue { kind, critical: false, id: id(kind, id_of_shard), info, description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_when_a_small_part_and_few_bytes_are_free() {
        let disk = |total_bytes, free_bytes| Disk { total_bytes, free_bytes, refused: 0 };
        let tib = 1_u64 << 40;
        assert!(is_nearly_full(&disk(tib, DISK_FREE_BYTES - 1)));
        assert!(!is_nearly_full(&disk(tib, DISK_FREE_BYTES)));
        assert!(is_nearly_full(&disk(1_000, 49)) && !is_nearly_full(&disk(1_000, 50)));
    }
}

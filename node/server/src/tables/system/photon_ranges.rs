//! `photon_ranges`: each shard as `photonctl shard list` shows it: its keys, who leads it, and how its replicas are.

use std::collections::BTreeMap;

use bytes::Bytes;
use photondb_cluster_state::{ClusterState, Member, Shard, Table};
use photondb_proto::v1::{MemberRole, MemberStatus, ShardStatus};
use photondb_proto::{MemberId, NodeId};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;
use photondb_reql::key::PrimaryKey;

use super::{Contents, News, Viewer, fields};
use crate::catalog;

/// The table.
pub(super) struct PhotonRanges;

impl Contents for PhotonRanges {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let statuses = viewer.ground.shard_statuses(&viewer.state);
        Ok(rows(&viewer.state, viewer.format, &statuses))
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}

/// The statuses are those of the state's shards.
fn rows(state: &ClusterState, format: IdentifierFormat, statuses: &[ShardStatus]) -> Vec<Datum> {
    let statuses: BTreeMap<u64, &ShardStatus> = statuses.iter().map(|status| (status.shard_id, status)).collect();
    let shards = state.tables().flat_map(|table| table.shards.iter().map(move |shard| (table, shard)));
    shards.filter_map(|(table, shard)| Some(row(state, format, table, shard, statuses.get(&shard.id.0)?))).collect()
}

fn row(state: &ClusterState, format: IdentifierFormat, table: &Table, shard: &Shard, status: &ShardStatus) -> Datum {
    let server = |node: NodeId| catalog::server(state, node, format);
    let leader = status.leader().and_then(|leader| shard.member(MemberId(leader.member_id)));
    let said = |member: &Member| status.members.iter().find(|status| status.member_id == member.id.0);
    let replica = |member: &Member| replica(server(member.node), said(member));
    let range = Object::from([
        ("end", shard.range.end().map_or(Datum::Null, bound)),
        ("start", if shard.range.start().is_empty() { Datum::Null } else { bound(shard.range.start()) }),
    ]);
    Datum::Object(Object::from([
        ("db", catalog::database(state, table, format)),
        ("epoch", Datum::from(shard.epoch.0)),
        ("id", Datum::from(shard.id.0)),
        ("leader", leader.map_or(Datum::Null, |member| server(member.node))),
        ("preferred_leader", shard.placement.voters.first().copied().map_or(Datum::Null, server)),
        ("range", Datum::Object(range)),
        ("replicas", Datum::from(shard.members.iter().map(replica).collect::<Vec<_>>())),
        ("table", fields::table_as(format, table)),
    ]))
}

fn replica(server: Datum, status: Option<&MemberStatus>) -> Datum {
    let report = status.and_then(|status| status.report);
    Datum::Object(Object::from([
        ("applied", report.map_or(Datum::Null, |report| Datum::from(report.applied))),
        ("leads", report.map_or(Datum::Null, |report| Datum::from(report.leads))),
        ("ready", report.map_or(Datum::Null, |report| Datum::from(report.ready))),
        ("role", Datum::from(status.map_or(MemberRole::Unspecified, MemberStatus::role).word())),
        ("server", server),
    ]))
}

/// The key that a range begins with, or ends before. Bytes that stand between two keys, and are none, come as `{encoded: BINARY}`: no
/// key is an object.
fn bound(bytes: &[u8]) -> Datum {
    let bytes = Bytes::copy_from_slice(bytes);
    match PrimaryKey::from_encoded(bytes.clone()).to_datum() {
        Ok(key) if !matches!(key, Datum::MinVal | Datum::MaxVal) => key,
        _ => Datum::Object(Object::from([("encoded", Datum::Binary(bytes))])),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use photondb_cluster_state::{NewShard, Role};
    use photondb_proto::KeyRange;
    use photondb_proto::v1::MemberReport;

    use super::*;
    use crate::catalog::samples::{TABLE, cluster};

    /// A table that is cut at `"m"` and then between two keys.
    fn state() -> Arc<ClusterState> {
        let key = PrimaryKey::bound(&Datum::from("m")).expect("a short text is a key");
        let cuts = [Vec::new(), key.clone(), [key, vec![0]].concat()];
        let range = |number: usize| KeyRange::new(cuts[number].clone(), cuts.get(number + 1).cloned());
        let shard = |number| NewShard::voting(range(number).expect("cuts ascend"), vec![NodeId(1), NodeId(2)]);
        cluster((0..cuts.len()).map(shard).collect())
    }

    /// The one on node 2 says that it leads; the one on node 1 says nothing.
    fn statuses(state: &ClusterState) -> Vec<ShardStatus> {
        let member = |member: &Member| {
            assert_eq!(member.role, Role::Voter, "it began the group");
            MemberStatus {
                member_id: member.id.0,
                role: MemberRole::Voter.into(),
                report: (member.node == NodeId(2)).then_some(MemberReport { leads: true, ready: true, applied: 5 }),
                ..MemberStatus::default()
            }
        };
        let status = |shard: &Shard| ShardStatus {
            shard_id: shard.id.0,
            members: shard.members.iter().map(member).collect(),
            ..ShardStatus::default()
        };
        state.tables().flat_map(|table| &table.shards).map(status).collect()
    }

    fn shown(state: &ClusterState, format: IdentifierFormat) -> Vec<serde_json::Value> {
        let json = |row: Datum| serde_json::from_str(&row.print()).expect("a document is JSON");
        rows(state, format, &statuses(state)).into_iter().map(json).collect()
    }

    #[test]
    fn a_row_for_each_shard_names_its_keys_its_leader_and_what_is_known_of_its_replicas() {
        let state = state();
        let found = shown(&state, IdentifierFormat::Name);
        assert_eq!(found.len(), 3);
        let shards = &state.table(TABLE).expect("is there").shards;
        let expected = serde_json::json!({
            "db": "test",
            "epoch": shards[0].epoch.0,
            "id": shards[0].id.0,
            "leader": "bob",
            "preferred_leader": "ann",
            "range": { "start": null, "end": "m" },
            "replicas": [
                { "applied": null, "leads": null, "ready": null, "role": "voter", "server": "ann" },
                { "applied": 5, "leads": true, "ready": true, "role": "voter", "server": "bob" },
            ],
            "table": "t",
        });
        assert_eq!(found[0], expected);
        // What is no key is told apart from any that is one.
        assert_eq!(found[1]["range"]["start"], "m");
        assert_eq!(found[1]["range"]["end"]["encoded"]["$reql_type$"], "BINARY");
        assert_eq!(found[2]["range"]["start"], found[1]["range"]["end"]);
        assert!(found[2]["range"]["end"].is_null());
    }

    #[test]
    fn ids_stand_for_names_where_they_are_asked_for() {
        let found = shown(&state(), IdentifierFormat::Uuid);
        assert_eq!(found[0]["table"], TABLE.to_string());
        assert_eq!(found[0]["leader"], NodeId(2).to_string());
        assert_eq!(found[0]["replicas"][0]["server"], NodeId(1).to_string());
    }
}

//! Rows of replicas that are being filled: one for each table, server that sends and server that gets, as RethinkDB has it.

use std::collections::BTreeMap;

use photondb_cluster_state::ClusterState;
use photondb_proto::v1::report::Backfill;
use photondb_proto::{NodeId, TableId};
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::{Datum, Object};
use uuid::Uuid;

use super::super::fields;
use super::row;
use crate::catalog;
use crate::report::id_of;

const BACKFILL: &str = "backfill";

/// From which RethinkDB derives the ids of these jobs.
const BASE: Uuid = Uuid::from_u128(0xa5e1b38d_c712_42d7_ab4c_f177a3fb0d20);

/// What is sent of one table from one server to another: several shards may be at once.
#[derive(Default)]
struct Sent {
    /// Of each shard, from 0 to 1.
    parts: Vec<f64>,
    /// Of the shard that was begun first.
    lasts_micros: u64,
}

/// Made of what each node sends.
pub(super) fn rows(state: &ClusterState, format: IdentifierFormat, told: Vec<(NodeId, Backfill)>) -> Vec<Datum> {
    let mut all: BTreeMap<(TableId, NodeId, NodeId), Sent> = BTreeMap::new();
    for (from, backfill) in told {
        let (Some(table), Some(to)) = (id_of(&backfill.table), id_of(&backfill.to_node)) else { continue };
        let sent = all.entry((TableId(table), from, NodeId(to))).or_default();
        sent.parts.push(backfill.part_sent.clamp(0.0, 1.0));
        sent.lasts_micros = sent.lasts_micros.max(backfill.lasts_micros);
    }
    let shown = |((table, from, to), sent)| backfill_row(state, format, table, (from, to), &sent);
    all.into_iter().filter_map(shown).collect()
}

fn backfill_row(
    state: &ClusterState,
    format: IdentifierFormat,
    table: TableId,
    (from, to): (NodeId, NodeId),
    sent: &Sent,
) -> Option<Datum> {
    let table = state.table(table)?;
    let id = Uuid::new_v5(&BASE, format!("{to}{}{from}", table.id).as_bytes());
    let mut servers = [from, to];
    servers.sort_unstable();
    let info = Object::from([
        ("db", catalog::database(state, table, format)),
        ("destination_server", catalog::server(state, to, format)),
        ("progress", Datum::Number(sent.parts.iter().sum::<f64>() / sent.parts.len() as f64)),
        ("source_server", catalog::server(state, from, format)),
        ("table", fields::table_as(format, table)),
    ]);
    Some(row(state, format, BACKFILL, id, &servers, Some(sent.lasts_micros as f64 / 1e6), info))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples::{TABLE, cluster, whole};

    fn sent(from: u128, to: u128, part_sent: f64, lasts_micros: u64) -> (NodeId, Backfill) {
        let bytes = |id: u128| id.to_be_bytes().to_vec();
        (NodeId(from), Backfill { table: bytes(TABLE.0), to_node: bytes(to), part_sent, lasts_micros })
    }

    fn shown(state: &ClusterState, format: IdentifierFormat, told: Vec<(NodeId, Backfill)>) -> Vec<serde_json::Value> {
        let json = |row: Datum| serde_json::from_str(&row.print()).unwrap();
        rows(state, format, told).into_iter().map(json).collect()
    }

    #[test]
    fn shards_of_a_table_between_two_servers_are_one_job_in_rethinkdbs_shape() {
        let state = cluster(whole(&[1]));
        let told = vec![sent(2, 1, 0.25, 2_500_000), sent(2, 1, 0.75, 1_000_000)];
        let found = shown(&state, IdentifierFormat::Name, told.clone());
        let id = found[0]["id"][1].as_str().unwrap().to_owned();
        assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 5);
        let expected = serde_json::json!([{
            "duration_sec": 2.5,
            "id": ["backfill", id],
            "info": {
                "db": "test", "destination_server": "ann", "progress": 0.5, "source_server": "bob", "table": "t",
            },
            "servers": ["ann", "bob"],
            "type": "backfill",
        }]);
        assert_eq!(serde_json::Value::from(found), expected);
        let by_id = &shown(&state, IdentifierFormat::Uuid, told)[0];
        assert_eq!((&by_id["id"][1], &by_id["info"]["table"]), (&id.into(), &TABLE.to_string().into()));
        assert_eq!(by_id["info"]["source_server"], NodeId(2).to_string());
        assert_eq!(by_id["servers"], serde_json::json!([NodeId(1).to_string(), NodeId(2).to_string()]));
    }

    #[test]
    fn each_way_between_two_servers_is_a_job_of_its_own() {
        let state = cluster(whole(&[1]));
        let found = shown(&state, IdentifierFormat::Name, vec![sent(1, 2, 0.0, 0), sent(2, 1, 1.0, 0)]);
        assert_eq!(found.len(), 2);
        assert_ne!(found[0]["id"], found[1]["id"]);
    }

    #[test]
    fn what_is_told_of_a_table_that_is_gone_or_in_bytes_that_are_no_id_is_left_out() {
        let state = cluster(whole(&[1]));
        let (from, gone) = sent(1, 2, 0.5, 1);
        let gone = Backfill { table: TableId(7).0.to_be_bytes().to_vec(), ..gone };
        let (_, unreadable) = sent(1, 2, 0.5, 1);
        let unreadable = Backfill { to_node: vec![1, 2], ..unreadable };
        assert!(shown(&state, IdentifierFormat::Name, vec![(from, gone), (from, unreadable)]).is_empty());
    }
}

//! The documents of `db_config` and `table_config`, which DDL answers too.

use photondb_cluster_state::{ClusterState, Durability, Placement, Shard, Table, WriteAcks};
use photondb_proto::NodeId;
use photondb_query::catalog::{IdentifierFormat, WriteHook};
use photondb_reql::datum::{Datum, Object};

/// A row of `db_config`.
pub(crate) fn db_config(id: &str, name: &str) -> Datum {
    Datum::Object(Object::from([("id", id), ("name", name)]))
}

/// How a server is named in documents.
pub(crate) fn server(state: &ClusterState, id: NodeId, format: IdentifierFormat) -> Datum {
    match format {
        IdentifierFormat::Uuid => Datum::from(id.to_string()),
        IdentifierFormat::Name => {
            Datum::from(state.node(id).map_or("__disconnected_server__", |node| node.name.as_str()))
        }
    }
}

/// How a table's database is named in documents.
pub(crate) fn database(state: &ClusterState, table: &Table, format: IdentifierFormat) -> Datum {
    match format {
        IdentifierFormat::Uuid => Datum::from(table.database.to_string()),
        IdentifierFormat::Name => Datum::from(
            state.database(table.database).map_or("__deleted_database__", |database| database.name.as_str()),
        ),
    }
}

/// A row of `table_config`.
pub(crate) fn table_config<'a>(state: &ClusterState, table: &'a Table, format: IdentifierFormat) -> Datum {
    let shard = |placement: &Placement| {
        let shown = |node| server(state, node, format);
        let replicas: Vec<Datum> = placement.nodes().map(shown).collect();
        let nonvoting: Vec<Datum> = placement.nonvoting.iter().copied().map(shown).collect();
        Datum::Object(Object::from([
            ("nonvoting_replicas", Datum::from(nonvoting)),
            ("primary_replica", replicas.first().cloned().unwrap_or(Datum::Null)),
            ("replicas", Datum::from(replicas)),
        ]))
    };
    // What is to be cut off is wanted, too.
    let of_cuts = |shard: &'a Shard| shard.cuts.iter().map(|cut| &cut.placement);
    // What is to be joined to its left neighbour is not.
    let own = |shard: &'a Shard| shard.joining.is_none().then_some(&shard.placement);
    let wanted = table.shards.iter().flat_map(|shard| own(shard).into_iter().chain(of_cuts(shard)));
    let hook = table.write_hook.clone().map_or(Datum::Null, |definition| WriteHook { definition }.to_datum());
    let indexes: Vec<Datum> = table.indexes.keys().map(|name| Datum::from(name.as_str())).collect();
    Datum::Object(Object::from([
        ("db", database(state, table, format)),
        ("durability", Datum::from(durability(table.durability))),
        ("id", Datum::from(table.id.to_string())),
        ("indexes", Datum::from(indexes)),
        ("name", Datum::from(table.name.as_str())),
        ("primary_key", Datum::from(table.primary_key.as_str())),
        ("shards", Datum::from(wanted.map(shard).collect::<Vec<_>>())),
        ("write_acks", Datum::from(write_acks(table.write_acks))),
        ("write_hook", hook),
    ]))
}

fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Hard => "hard",
        Durability::Soft => "soft",
    }
}

fn write_acks(acks: WriteAcks) -> &'static str {
    match acks {
        WriteAcks::Majority => "majority",
        WriteAcks::Single => "single",
    }
}

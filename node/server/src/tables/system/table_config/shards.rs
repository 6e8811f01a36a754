//! What somebody writes into the field `shards`, and what is wrong with it in RethinkDB's words.

use std::collections::BTreeSet;

use photondb_cluster_state::Placement;
use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_proto::NodeId;
use photondb_query::catalog::IdentifierFormat;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};

use super::wrong;
use crate::tables::system::{Viewer, fields};

/// Where the replicas of each shard are to be, as `wanted` says.
pub(super) fn read(viewer: &Viewer<'_>, wanted: &Datum) -> Result<Vec<Placement>> {
    let Datum::Array(shards) = wanted else {
        return Err(wrong(viewer, &format!("In `shards`: Expected an array, got {}", wanted.print())));
    };
    if shards.is_empty() {
        return Err(wrong(viewer, "In `shards`: You must specify at least one shard."));
    }
    let read = |shard| read_shard(viewer, &shard).map_err(|what| wrong(viewer, &format!("In `shards`: {what}")));
    let placements: Vec<Placement> = shards.iter().map(read).collect::<Result<_>>()?;
    if placements.len() > SHARDS_PER_TABLE_MAX {
        return Err(Error::op_failed(format!("Maximum number of shards is {SHARDS_PER_TABLE_MAX}.")));
    }
    Ok(placements)
}

fn read_shard(viewer: &Viewer<'_>, shard: &Datum) -> std::result::Result<Placement, String> {
    let Datum::Object(shard) = shard else { return Err(format!("Expected an object; got {}", shard.print())) };
    let replicas = servers(viewer, &fields::required(shard, "replicas")?, "replicas")?;
    if replicas.is_empty() {
        return Err("You must specify at least one replica for each shard.".to_owned());
    }
    let nonvoting = match shard.get("nonvoting_replicas") {
        Some(listed) => servers(viewer, &listed, "nonvoting_replicas")?,
        None => BTreeSet::new(),
    };
    if !nonvoting.is_subset(&replicas) {
        return Err("Every server listed in the `nonvoting_replicas` field must also appear in `replicas`.".to_owned());
    }
    let primary = fields::required(shard, "primary_replica")?;
    let server = server(viewer, &primary).map_err(|what| format!("In `primary_replica`: {what}"))?;
    let shown = shown(viewer, server);
    if !replicas.contains(&server) {
        return Err(format!(
            "The server listed in the `primary_replica` field (`{shown}`) must also appear in `replicas`."
        ));
    }
    if nonvoting.contains(&server) {
        return Err(format!("The primary replica (`{shown}`) must not be a nonvoting replica."));
    }
    fields::no_others(shard, &["replicas", "nonvoting_replicas", "primary_replica"])?;
    let others = replicas.difference(&nonvoting).copied().filter(|replica| *replica != server);
    Ok(Placement { voters: std::iter::once(server).chain(others).collect(), nonvoting })
}

fn servers(viewer: &Viewer<'_>, listed: &Datum, field: &str) -> std::result::Result<BTreeSet<NodeId>, String> {
    let Datum::Array(listed) = listed else {
        return Err(format!("In `{field}`: Expected an array, got {}", listed.print()));
    };
    let mut servers = BTreeSet::new();
    for named in listed.iter() {
        let found = server(viewer, &named).map_err(|what| format!("In `{field}`: {what}"))?;
        if !servers.insert(found) {
            return Err(format!("In `{field}`: Server `{}` is listed more than once.", shown(viewer, found)));
        }
    }
    Ok(servers)
}

/// The name of a server, also where it was named by its id.
fn shown<'a>(viewer: &'a Viewer<'_>, server: NodeId) -> &'a str {
    viewer.state.node(server).map_or("", |node| node.name.as_str())
}

fn server(viewer: &Viewer<'_>, named: &Datum) -> std::result::Result<NodeId, String> {
    match viewer.format {
        IdentifierFormat::Name => {
            // One that is lost may be called longer than anybody may be called anew.
            let name = fields::named(named, "server name", fields::is_name)?;
            let found = viewer.state.node_named(&name).map(|node| node.id);
            found.ok_or_else(|| format!("Server `{name}` does not exist or is not connected."))
        }
        IdentifierFormat::Uuid => {
            let id: NodeId = fields::uuid(named)?;
            let found = viewer.state.node(id).map(|node| node.id);
            found.ok_or_else(|| format!("There is no server with UUID `{id}`."))
        }
    }
}

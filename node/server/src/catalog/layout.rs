//! Whether there are servers for the replicas that are asked for.

use photondb_cluster_state::{ClusterState, Node};
use photondb_query::catalog::{Layout, Replicas};
use photondb_reql::error::{Error, Result};

/// The tag of servers that were given none.
const DEFAULT_TAG: &str = "default";

/// RethinkDB's limit.
const SHARDS_MAX: u32 = 64;

/// Checks it against the servers there are.
pub(super) fn check(state: &ClusterState, layout: &Layout) -> Result<()> {
    if layout.shards > SHARDS_MAX {
        return Err(Error::op_failed(format!("Maximum number of shards is {SHARDS_MAX}.")));
    }
    match &layout.replicas {
        Replicas::Default => {}
        Replicas::Count(count) => enough(state, DEFAULT_TAG, *count)?,
        Replicas::Tagged { counts, .. } => counts.iter().try_for_each(|(tag, count)| enough(state, tag, *count))?,
    }
    if layout.shards > 1 {
        return Err(Error::op_failed(format!(
            "{} shards are not supported yet: a table has one shard. Leave out `shards`, or set it to 1.",
            layout.shards
        )));
    }
    Ok(())
}

fn enough(state: &ClusterState, tag: &str, wanted: u64) -> Result<()> {
    // A server without any tag counts as one with the default tag.
    let tagged = |node: &Node| node.tags.contains(tag) || (node.tags.is_empty() && tag == DEFAULT_TAG);
    let servers = state.nodes().filter(|node| tagged(node)).count() as u64;
    if wanted <= servers {
        return Ok(());
    }
    Err(Error::op_failed(format!(
        "Can't put {wanted} replicas on servers with the tag `{tag}` because there are only {servers} servers with the \
         tag `{tag}`. It's impossible to have more replicas of the data than there are servers."
    )))
}

//! Where the replicas lie that are asked for, in RethinkDB's words when they cannot.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::plan::{self, Burdens, DEFAULT_TAG, PlaceError, Tagged, Wish};
use photondb_cluster_state::{ClusterState, Command, Node, Placement, Table, apply};
use photondb_query::catalog::{Layout, Replicas};
use photondb_reql::error::{Error, Result};
use photondb_storage::fault::fault_point;

/// Replicas of a shard when the user leaves it to the cluster, and servers from which on there are as many: two bear the loss
/// of none.
const REPLICAS_DEFAULT: usize = 3;

/// A placement for each shard, among nodes that bear so much.
pub(crate) fn place(
    state: &ClusterState,
    layout: &Layout,
    table: Option<&Table>,
    burdens: &Burdens,
) -> Result<Vec<Placement>> {
    layout.check()?;
    let tagged = |tag: &str, count: u64, votes: bool| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Tagged { tag: tag.to_owned(), count, votes }
    };
    let (replicas, primary) = match &layout.replicas {
        Replicas::Default => {
            let servers = state.nodes().filter(|node| node.is_open() && node.has_tag(DEFAULT_TAG)).count();
            let count = if servers < REPLICAS_DEFAULT { 1 } else { REPLICAS_DEFAULT };
            (vec![tagged(DEFAULT_TAG, count as u64, true)], DEFAULT_TAG.to_owned())
        }
        Replicas::Count(count) => (vec![tagged(DEFAULT_TAG, *count, true)], DEFAULT_TAG.to_owned()),
        Replicas::Tagged { counts, primary, nonvoting } => {
            let of_tag = |(tag, count): &(photondb_reql::Str, u64)| tagged(tag, *count, !nonvoting.contains(tag));
            (counts.iter().map(of_tag).collect(), primary.to_string())
        }
    };
    let wish = Wish { shards: layout.shards as usize, replicas, primary };
    let unzoned = fault_point!("zone-ignored").then(|| without_zones(state));
    let state = unzoned.as_ref().unwrap_or(state);
    let placed = plan::place(state, &wish, table, burdens);
    let is_weighed = || placed != plan::place(state, &wish, table, &Burdens::new());
    photondb_storage::probe!("replica placed where less is stored or done", is_weighed());
    let placed = placed.map_err(|error| match error {
        PlaceError::TooFew { tag, wanted, there } => Error::op_failed(format!(
            "Can't put {wanted} replicas on servers with the tag `{tag}` because there are only {there} servers with the \
             tag `{tag}`. It's impossible to have more replicas of the data than there are servers."
        )),
        PlaceError::NoPrimary { tag } => Error::op_failed(format!(
            "Can't use server tag `{tag}` for primary replicas because you specified no replicas in server tag `{tag}`."
        )),
    })?;
    let is_spread = |placement: &Placement| zones(state, placement).len() > 1;
    photondb_storage::probe!("table placed in several zones", placed.iter().any(is_spread));
    photondb_storage::probe!("replica placed that never votes", placed.iter().any(|all| !all.nonvoting.is_empty()));
    Ok(placed)
}

/// The zones in which a shard's replicas are wanted.
fn zones<'a>(state: &'a ClusterState, placement: &Placement) -> BTreeSet<Option<&'a str>> {
    placement.nodes().filter_map(|node| state.node(node)).map(|node| node.zone()).collect()
}

/// The state in the eyes of a deliberate bug: nobody knows in which zones nodes are.
fn without_zones(state: &ClusterState) -> ClusterState {
    let unnamed = |node: &Arc<Node>| Command::SetNodeConfig {
        id: node.id,
        name: None,
        tags: Some(node.tags_beside_zone().map(str::to_owned).collect()),
        cache_size_mb: None,
    };
    let mut unzoned = state.clone();
    for command in state.nodes().map(unnamed) {
        // It refuses a name that is taken, and none is given.
        let _ = apply(&mut unzoned, &command);
    }
    unzoned
}

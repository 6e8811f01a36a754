//! The cluster itself and its nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_proto::NodeId;

use crate::command::Response;
use crate::error::{NameKind, StateError};
use crate::membership::{Address, Node};
use crate::names;
use crate::state::{ClusterId, ClusterState};

pub(super) fn found(state: &mut ClusterState, cluster: ClusterId) -> Result<Response, StateError> {
    match state.cluster {
        Some(is) if is != cluster => Err(StateError::OtherCluster { is, asked: cluster }),
        _ => {
            state.cluster = Some(cluster);
            Ok(Response::Done)
        }
    }
}

pub(super) fn register(
    state: &mut ClusterState,
    id: NodeId,
    name: &str,
    tags: &BTreeSet<String>,
    addresses: &[Address],
    boots: u64,
) -> Result<Response, StateError> {
    let node = match state.node(id) {
        Some(known) if known.boots >= boots => {
            return Err(StateError::StaleBoot { id, registered: known.boots, asked: boots });
        }
        Some(known) => Node { addresses: addresses.to_vec(), boots, ..Node::clone(known) },
        None => {
            names::check(NameKind::Node, name)?;
            node_name_is_free(state, id, name)?;
            Node {
                id,
                name: name.to_owned(),
                tags: tags.clone(),
                addresses: addresses.to_vec(),
                boots,
                cache_size_mb: None,
            }
        }
    };
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Done)
}

pub(super) fn set_config(
    state: &mut ClusterState,
    id: NodeId,
    name: Option<&str>,
    tags: Option<&BTreeSet<String>>,
    cache_size_mb: Option<Option<u64>>,
) -> Result<Response, StateError> {
    let mut node = Node::clone(state.node(id).ok_or(StateError::NodeNotFound { id })?);
    if let Some(name) = name {
        names::check(NameKind::Node, name)?;
        node_name_is_free(state, id, name)?;
        name.clone_into(&mut node.name);
    }
    if let Some(tags) = tags {
        node.tags.clone_from(tags);
    }
    if let Some(cache_size_mb) = cache_size_mb {
        node.cache_size_mb = cache_size_mb;
    }
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Done)
}

pub(super) fn set_heartbeat_timeout(state: &mut ClusterState, seconds: u64) -> Result<Response, StateError> {
    if seconds == 0 {
        return Err(StateError::OutOfRange { what: "heartbeat_timeout_secs".to_owned(), found: 0 });
    }
    state.heartbeat_timeout_secs = seconds;
    Ok(Response::Done)
}

fn node_name_is_free(state: &ClusterState, id: NodeId, name: &str) -> Result<(), StateError> {
    if state.node_named(name).is_some_and(|node| node.id != id) {
        return Err(StateError::NodeNameTaken { name: name.to_owned() });
    }
    Ok(())
}

//! The cluster itself and its nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_proto::{MemberId, NodeId};

use super::shards::next_member;
use crate::command::Response;
use crate::error::{NameKind, StateError};
use crate::limits::NAME_BYTES_MAX;
use crate::membership::{Address, Incarnation, Liveness, Node, Service};
use crate::names;
use crate::state::{ClusterState, META_FOUNDER};
use photondb_proto::ClusterId;

pub(super) fn found(state: &mut ClusterState, cluster: ClusterId) -> Result<Response, StateError> {
    match state.cluster {
        Some(is) if is != cluster => Err(StateError::OtherCluster { is, asked: cluster }),
        _ => {
            state.cluster = Some(cluster);
            Ok(Response::Done)
        }
    }
}

/// What a node says of itself.
pub(super) struct Asking<'a> {
    pub(super) name: &'a str,
    pub(super) tags: &'a BTreeSet<String>,
    pub(super) addresses: &'a [Address],
    pub(super) boots: u64,
    pub(super) incarnation: Incarnation,
}

pub(super) fn register(state: &mut ClusterState, id: NodeId, asks: &Asking<'_>) -> Result<Response, StateError> {
    let (boots, incarnation, addresses) = (asks.boots, asks.incarnation, asks.addresses.to_vec());
    let node = match state.node(id) {
        Some(known) if known.service == Service::Gone => return Err(StateError::NodeGone { name: known.name.clone() }),
        // The answer to the first one was lost.
        Some(known) if known.boots == boots && known.incarnation == incarnation && incarnation != Incarnation(0) => {
            Node { liveness: Liveness::Up, ..Node::clone(known) }
        }
        Some(known) if known.boots >= boots => {
            return Err(StateError::StaleBoot { id, registered: known.boots, asked: boots });
        }
        Some(known) => {
            // Whoever was drained to be stopped has been.
            let service = if known.service == Service::Drained { Service::Full } else { known.service };
            Node { addresses, boots, incarnation, liveness: Liveness::Up, service, ..Node::clone(known) }
        }
        None => {
            names::check(NameKind::Node, asks.name)?;
            give_up_former_self(state, asks);
            name_is_not_held(state, asks.name)?;
            node_name_is_free(state, id, asks.name)?;
            Node {
                id,
                name: asks.name.to_owned(),
                tags: asks.tags.clone(),
                addresses,
                boots,
                cache_size_mb: None,
                meta: if state.nodes.is_empty() { META_FOUNDER } else { next_member(state) },
                incarnation,
                liveness: Liveness::Up,
                service: Service::Full,
            }
        }
    };
    let meta = node.meta;
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Member(meta))
}

/// A node that comes with the name and the addresses of another, which nobody hears, is that one with an empty disk: what
/// the other had is lost, and its name goes to who is there. One that is lost already, or has gone, needs its name no more,
/// wherever it was: the machine that takes its place may have another address.
fn give_up_former_self(state: &mut ClusterState, asks: &Asking<'_>) {
    let is_there = |node: &Node| node.addresses == asks.addresses && !asks.addresses.is_empty() && !node.is_up();
    let gives_way = |node: &Node| node.service == Service::Gone || node.is_lost() || is_there(node);
    let same = |node: &&Arc<Node>| node.name == asks.name && gives_way(node);
    let Some(former) = state.nodes.values().find(same) else { return };
    let mut former = Node::clone(former);
    former.name = format!("{}_lost_{:08x}", former.name, former.id.0 >> 96);
    former.liveness = Liveness::Lost;
    if former.name.len() <= NAME_BYTES_MAX && node_name_is_free(state, former.id, &former.name).is_ok() {
        state.nodes.insert(former.id, Arc::new(former));
    }
}

/// One that is only down may come back.
fn name_is_not_held(state: &ClusterState, name: &str) -> Result<(), StateError> {
    match state.node_named(name) {
        Some(holder) if holder.liveness == Liveness::Down => Err(StateError::NodeNameHeld { name: name.to_owned() }),
        _ => Ok(()),
    }
}

pub(super) fn set_liveness(
    state: &mut ClusterState,
    id: NodeId,
    boots: u64,
    liveness: Liveness,
) -> Result<Response, StateError> {
    let node = state.node(id).ok_or(StateError::NodeNotFound { id })?;
    // One that has gone is lost for good.
    if node.boots == boots && node.liveness != liveness && node.service != Service::Gone {
        let node = Node { liveness, ..Node::clone(node) };
        state.nodes.insert(id, Arc::new(node));
    }
    Ok(Response::Done)
}

pub(super) fn set_service(state: &mut ClusterState, id: NodeId, service: Service) -> Result<Response, StateError> {
    let mut node = Node::clone(state.node(id).ok_or(StateError::NodeNotFound { id })?);
    if node.service == Service::Gone || service == Service::Gone {
        return Err(StateError::NodeGone { name: node.name });
    }
    if service == Service::Drained && node.service == Service::Leaving {
        // It gives away what it leads already, and is stopped when it has gone or on the way: that takes nothing back.
        return Ok(Response::Done);
    }
    if service == Service::Leaving && node.service != Service::Leaving {
        somebody_takes_its_places(state, &node)?;
    }
    node.service = service;
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Done)
}

/// As many nodes are there besides as each table wants replicas on.
fn somebody_takes_its_places(state: &ClusterState, leaving: &Node) -> Result<(), StateError> {
    // One that is down or drained comes back.
    let holds = |node: &&Arc<Node>| node.id != leaving.id && !node.is_to_be_replaced();
    let others = state.nodes().filter(holds).count();
    for table in state.tables() {
        let of = table.shards.iter().map(|shard| &shard.placement).filter(|placement| placement.contains(leaving.id));
        let Some(replicas) = of.map(|placement| placement.nodes().count()).max() else { continue };
        if replicas > others {
            let (name, table) = (leaving.name.clone(), table.name.clone());
            return Err(StateError::NowhereToGo { name, table, replicas: replicas as u64, others: others as u64 });
        }
    }
    Ok(())
}

pub(super) fn gone(state: &mut ClusterState, id: NodeId) -> Result<Response, StateError> {
    let mut node = Node::clone(state.node(id).ok_or(StateError::NodeNotFound { id })?);
    if node.service == Service::Gone {
        return Ok(Response::Done);
    }
    if state.has_shards_on(id) || node.service != Service::Leaving {
        return Err(StateError::NodeNotEmpty { name: node.name });
    }
    (node.service, node.liveness) = (Service::Gone, Liveness::Lost);
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Done)
}

pub(super) fn renew_member(state: &mut ClusterState, id: NodeId, failed: MemberId) -> Result<Response, StateError> {
    let mut node = Node::clone(state.node(id).ok_or(StateError::NodeNotFound { id })?);
    if node.meta == failed {
        node.meta = next_member(state);
    }
    let meta = node.meta;
    state.nodes.insert(id, Arc::new(node));
    Ok(Response::Member(meta))
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

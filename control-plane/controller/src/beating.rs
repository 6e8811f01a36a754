//! Each node tells the leader of the cluster state that it lives, and what it bears.

use std::pin::pin;
use std::sync::{Arc, Weak};

use futures_util::future::{Either, join_all, select};
use photondb_cluster_state::{ClusterState, Service};
use photondb_proto::NodeId;
use photondb_runtime::task;
use photondb_storage::fault::buggify;
use tokio::sync::watch;

use crate::controller::Inner;
use crate::limits::{HEARTBEAT_PERIOD, STOPPING_HEARTBEAT_PERIOD};

/// Tells it for as long as the controller lives.
pub(crate) async fn beat(controller: Weak<Inner>) {
    loop {
        let mut stopping = {
            let Some(inner) = controller.upgrade() else { return };
            let mut stopping = inner.stopping.subscribe();
            if !buggify!("controller/beat-skipped") && !tell_unless_it_stops(&inner, &mut stopping).await {
                continue;
            }
            stopping
        };
        // Who is about to stop says so soon to whoever leads next, too: it should not be let lead meanwhile.
        let period = if *stopping.borrow() { STOPPING_HEARTBEAT_PERIOD } else { HEARTBEAT_PERIOD };
        let _ = task::timeout(period, stopping.changed()).await;
    }
}

/// Whether it was told to the end. Who hears meanwhile that it is about to stop says so at once, and does not wait for an answer to what it
/// said before.
async fn tell_unless_it_stops(inner: &Arc<Inner>, stopping: &mut watch::Receiver<bool>) -> bool {
    match select(pin!(tell(inner)), pin!(stopping.changed())).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}

async fn tell(inner: &Arc<Inner>) {
    let Some(group) = inner.group.get() else { return };
    let leader = group.leader().map(|(_, leader)| leader);
    if leader == Some(inner.me.node) {
        let now = inner.parts.clock.now();
        inner.heard.lock().hear(inner.me.node, inner.me.boots, now);
        if let Some(burden) = inner.own_burden() {
            inner.told.lock().note(inner.me.node, burden, now);
        }
        return;
    }
    if let Some(leader) = leader
        && tell_one(inner, leader).await
    {
        return;
    }
    // A node that was given up while it was away is no member of the state's group any more: nobody tells it who leads, and the leader
    // takes it in again when it hears it.
    let state = inner.replicated.state();
    let others = others(&state, inner.me.node).filter(|node| Some(*node) != leader);
    join_all(others.map(|node| tell_one(inner, node))).await;
}

/// Whether the leader was told.
async fn tell_one(inner: &Arc<Inner>, node: NodeId) -> bool {
    match inner.call_heartbeat(node).await {
        Ok(leads) => leads,
        Err(error) => {
            // The leader draws its conclusions from silence alone.
            tracing::debug!(%error, %node, "another node did not hear this one");
            false
        }
    }
}

fn others(state: &ClusterState, me: NodeId) -> impl Iterator<Item = NodeId> {
    state.nodes().filter(move |node| node.id != me && node.service != Service::Gone).map(|node| node.id)
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::{Command, Incarnation, apply};

    use super::*;

    #[test]
    fn everybody_is_all_others_that_have_not_gone() {
        let mut state = ClusterState::at_birth();
        for id in (1..=4).map(NodeId) {
            let (name, tags, addresses) = (format!("n{id}"), Default::default(), Vec::new());
            let register = Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation: Incarnation(1) };
            apply(&mut state, &register).unwrap();
        }
        apply(&mut state, &Command::SetService { id: NodeId(4), service: Service::Leaving }).unwrap();
        apply(&mut state, &Command::NodeGone { id: NodeId(4) }).unwrap();
        assert_eq!(others(&state, NodeId(1)).collect::<Vec<_>>(), [NodeId(2), NodeId(3)]);
    }
}

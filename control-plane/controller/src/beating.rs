//! Each node tells the leader of the cluster state that it lives, and what it bears.

use std::sync::{Arc, Weak};

use photondb_runtime::task;
use photondb_storage::fault::buggify;

use crate::controller::Inner;
use crate::limits::{HEARTBEAT_PERIOD, STOPPING_HEARTBEAT_PERIOD};

/// Tells it for as long as the controller lives.
pub(crate) async fn beat(controller: Weak<Inner>) {
    loop {
        let mut stopping = {
            let Some(inner) = controller.upgrade() else { return };
            if !buggify!("controller/beat-skipped") {
                tell(&inner).await;
            }
            inner.stopping.subscribe()
        };
        // Who is about to stop says so at once, and soon to whoever leads next: it should not be let lead meanwhile.
        let period = if *stopping.borrow_and_update() { STOPPING_HEARTBEAT_PERIOD } else { HEARTBEAT_PERIOD };
        let _ = task::timeout(period, stopping.changed()).await;
    }
}

async fn tell(inner: &Arc<Inner>) {
    let Some((_, leader)) = inner.group.get().and_then(|group| group.leader()) else { return };
    if leader == inner.me.node {
        let now = inner.parts.clock.now();
        inner.heard.lock().hear(leader, inner.me.boots, now);
        if let Some(burden) = inner.own_burden() {
            inner.told.lock().note(leader, burden, now);
        }
    } else if let Err(error) = inner.call_heartbeat(leader).await {
        // The leader draws its conclusions from silence alone.
        tracing::debug!(%error, %leader, "the leader of the cluster state did not hear this node");
    }
}

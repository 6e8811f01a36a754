//! Watches a running group: who leads, and whether its core still lives.

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use crate::error::ConsensusError;
use crate::fatal::Fatal;
use crate::group::{Group, Raft};
use crate::position::Term;
use crate::state_machine::StateMachine;
use crate::types::Types;

/// Follows the core until it ends. When it ends without having been asked to, the node does too (C6).
pub(crate) fn spawn(group: Group, fatal: Fatal) {
    tokio::spawn(async move {
        let raft = group.raft().clone();
        let mut metrics = raft.server_metrics();
        loop {
            let led = {
                let now = metrics.borrow_watched();
                (now.state == ServerState::Leader).then_some(Term(now.vote.leader_id.term))
            };
            group.leadership().elected(led);
            if announce(&raft).await.is_err() || metrics.changed().await.is_err() {
                break;
            }
        }
        group.leadership().elected(None);
        if !group.is_stopping() {
            let reason = match raft.is_initialized().await {
                Ok(_) => "its core has ended".to_owned(),
                Err(error) => error.to_string(),
            };
            fatal.end(reason);
        }
    });
}

/// Lets the apply task tell the state machine what has changed about leading.
async fn announce(raft: &Raft) -> Result<(), openraft::errors::Fatal<Types>> {
    raft.external_state_machine_request(|machine: &mut StateMachine| {
        machine.announce();
        Box::pin(std::future::ready(()))
    })
    .await
}

/// The only voter of the membership in force needs nobody's vote and waits for no timeout.
pub(crate) async fn elect_if_alone(group: &Group) -> Result<(), openraft::errors::Fatal<Types>> {
    let member = group.member();
    let alone =
        group.raft().with_raft_state(move |state| state.membership_state.effective().voter_ids().eq([member])).await?;
    if alone {
        group.raft().trigger().elect(false).await?;
    }
    Ok(())
}

/// Ends the core, lets the state machine know, and makes what the log still holds in memory durable.
pub(crate) async fn stop(group: &Group) -> Result<(), ConsensusError> {
    group.set_stopping();
    group.leadership().elected(None);
    let _ = announce(group.raft()).await;
    let ended = |reason: String| ConsensusError::Fatal { group: group.id(), reason };
    group.raft().shutdown().await.map_err(|error| ended(error.to_string()))?;
    group.log().close().await.map_err(|source| ConsensusError::Storage { member: group.member(), source })
}

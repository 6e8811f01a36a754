//! Watches a running group: who leads, and whether its core still lives; and lets a member take part when it may.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{AsyncRuntime, ServerState};
use photondb_proto::MemberId;
use photondb_storage::fault::{buggify, fault_point};

use crate::error::ConsensusError;
use crate::fatal::Fatal;
use crate::group::{Group, Raft};
use crate::limits::{CAMPAIGN_RETRIES_GROW, CAMPAIGN_RETRY, CAMPAIGN_SPREAD, RETIRING_PATIENCE};
use crate::position::Term;
use crate::runtime::{Instant, Runtime, draw, now};
use crate::state_machine::StateMachine;
use crate::types::{Membership, Types};

/// Follows the core until it ends. When it ends without having been asked to, the node does too (C6).
pub(crate) fn spawn(group: Group, fatal: Fatal) {
    Runtime::spawn(async move {
        let raft = group.raft().clone();
        let mut metrics = raft.server_metrics();
        loop {
            {
                let now = metrics.borrow_and_update();
                let led = (now.state == ServerState::Leader).then_some(Term(now.vote.leader_id.term));
                let membership = &now.membership_config;
                group.leadership().elected(led, *membership.log_id(), membership.membership());
                let leader = now.current_leader.and_then(|member| Some((member, *membership.get_node(&member)?)));
                group.set_leader(leader);
            }
            if announce(&raft).await.is_err() || metrics.changed().await.is_err() {
                break;
            }
        }
        leads_no_more(&group);
        if !group.is_stopping() && !fatal.is_damaged() {
            let reason = match raft.is_initialized().await {
                Ok(_) => "its core has ended".to_owned(),
                Err(error) => error.to_string(),
            };
            fatal.end(reason);
        }
    });
}

fn leads_no_more(group: &Group) {
    group.leadership().elected(None, None, &Membership::default());
    group.set_leader(None);
}

/// Lets the apply task tell the state machine what has changed about leading.
async fn announce(raft: &Raft) -> Result<(), openraft::errors::Fatal<Types>> {
    raft.external_state_machine_request(|machine: &mut StateMachine| {
        machine.announce();
        Box::pin(std::future::ready(()))
    })
    .await
}

/// Lets the member answer and elect: at once when nobody can rely on what it promised in an earlier life, otherwise after
/// `wait` (C10). The only voter of the committed membership and of the one in force needs nobody's vote and waits for no
/// timeout.
pub(crate) async fn let_take_part(
    group: &Group,
    pristine: bool,
    wait: Duration,
) -> Result<(), openraft::errors::Fatal<Types>> {
    let member = group.member();
    let (alone, founder) = group
        .raft()
        .with_raft_state(move |state| {
            let memberships = [state.membership_state.effective(), state.membership_state.committed()];
            let alone = |voters: Vec<_>| voters == [member];
            let known = memberships.iter().filter(|membership| membership.log_id().is_some());
            let alone = known.map(|membership| alone(membership.voter_ids().collect())).reduce(|a, b| a && b);
            (alone == Some(true), memberships[0].voter_ids().any(|voter| voter == member))
        })
        .await?;
    if !alone && !pristine {
        if fault_point!("part-taken-at-once") {
            begin(group);
            return Ok(());
        }
        photondb_storage::probe!("restarted member waits before it takes part");
        let held = group.clone();
        Runtime::spawn(async move {
            Runtime::sleep(wait).await;
            if buggify!("consensus/takes-part-late") {
                Runtime::sleep(wait).await;
            }
            begin(&held);
        });
        return Ok(());
    }
    if alone || founder {
        // A founder need not wait until its fellows could have had a leader; who comes last finds a quorum. Before the
        // timer may do the same: two elections would be two terms.
        group.raft().trigger().elect(!alone).await?;
    }
    begin(group);
    Ok(())
}

fn begin(group: &Group) {
    group.take_part();
    campaign(group.clone());
}

/// Stands for election soon after the last moment at which votes may be promised to a leader that is not heard of any more; again and
/// again, while nobody is. openraft's own timer begins at that moment only, and takes another election timeout: it seldom has its turn.
///
/// All that is safe without it: an election that comes too early is refused, here and by others (C9), before it raises the term.
fn campaign(group: Group) {
    Runtime::spawn(async move {
        let mut metrics = group.raft().server_metrics();
        let ended = async move { while metrics.changed().await.is_ok() {} };
        tokio::select! {
            () = ended => {}
            _ = stand_again_and_again(&group) => {}
        }
    });
}

/// Ends with the core.
async fn stand_again_and_again(group: &Group) -> Result<(), openraft::errors::Fatal<Types>> {
    let (raft, member) = (group.raft(), group.member());
    let promise = Duration::from_millis(raft.config().election_timeout_max);
    // How often in a row, with nobody heard of.
    let mut stood = 0;
    loop {
        let (heard, may) = last_heard(raft, member).await?;
        if !may {
            stood = 0;
            Runtime::sleep(promise).await;
            continue;
        }
        // A leader that it could not answer yet is one. Two that stand at the same time may take each other's votes.
        let due = match stood {
            0 => {
                heard.max(group.leader_unheard()).unwrap_or_else(now)
                    + promise
                    + Duration::from_millis(draw(CAMPAIGN_SPREAD))
            }
            again => now() + Duration::from_millis(draw(CAMPAIGN_RETRY)) * again.min(CAMPAIGN_RETRIES_GROW),
        };
        let patience = if group.is_retiring() { RETIRING_PATIENCE } else { Duration::ZERO };
        Runtime::sleep_until(due + patience).await;
        if last_heard(raft, member).await? != (heard, true) {
            stood = 0;
            continue;
        }
        if stood == 0 {
            tracing::info!(group = %group.id(), %member, "a member stands for election: no leader is heard of");
        }
        stood += 1;
        raft.trigger().elect(true).await?;
    }
}

/// When the member last promised its vote to a leader or gave it to a candidate; and whether it may stand for election.
async fn last_heard(raft: &Raft, member: MemberId) -> Result<(Option<Instant>, bool), openraft::errors::Fatal<Types>> {
    raft.with_raft_state(move |state| {
        let votes = state.membership_state.effective().voter_ids().any(|voter| voter == member);
        (state.vote_last_modified(), votes && state.server_state != ServerState::Leader)
    })
    .await
}

/// Ends the core, lets the state machine know, and makes what the log still holds in memory durable.
pub(crate) async fn stop(group: &Group) -> Result<(), ConsensusError> {
    group.set_stopping();
    leads_no_more(group);
    let _ = announce(group.raft()).await;
    let ended = |reason: String| ConsensusError::Fatal { group: group.id(), reason };
    group.raft().shutdown().await.map_err(|error| ended(error.to_string()))?;
    group.applying_ended().await;
    group.log().close().await.map_err(|source| ConsensusError::Storage { member: group.member(), source })
}

//! What the leader of the cluster state does: it hears who lives, keeps the state's own group on enough nodes, and plans. It
//! stops at once when it leads no more; whoever leads next begins by looking, and nothing else.

mod liveness;
mod members;

use std::sync::Weak;

use photondb_cluster_state::plan::{Burdens, plan};
use photondb_cluster_state::{ClusterState, Command};
use photondb_consensus::Term;
use photondb_runtime::task;
use photondb_storage::fault::{buggify, fault_point};

pub(crate) use liveness::Heard;
pub(crate) use members::successor;

use crate::controller::Inner;
use crate::limits::LOOK_PERIOD;

/// Leads whenever this node's member does, for as long as the controller lives.
pub(crate) async fn lead(controller: Weak<Inner>) {
    let mut led_before = None;
    loop {
        let Some(inner) = controller.upgrade() else { return };
        let mut states = inner.replicated.watch();
        let led = inner.group.get().and_then(|group| group.led());
        if let Some(term) = led {
            if led_before != led {
                // What was heard before counts from now on at the earliest: nobody has told this node lately.
                inner.heard.lock().begin();
            }
            states.mark_unchanged();
            if !buggify!("controller/planned-late") {
                step(&inner, term).await;
            }
        }
        led_before = led;
        drop(inner);
        // A change of the state, a change of the leader, or a node's silence: the last two nobody tells.
        let _ = task::timeout(LOOK_PERIOD, states.changed()).await;
    }
}

/// One look at everything.
async fn step(inner: &Inner, term: Term) {
    let state = inner.replicated.state();
    if inner.is_stopping() {
        // Whoever leads next does the rest.
        if let Err(error) = members::lead_before_stop(inner).await {
            tracing::debug!(%error, "another node could not be let lead");
        }
        return;
    }
    // What is planned would find no space either.
    match members::lead_where_space_is(inner, &state).await {
        Ok(false) => {}
        Ok(true) => return,
        Err(error) => tracing::debug!(%error, "another node could not be let lead"),
    }
    let now = inner.parts.clock.now();
    let seen = inner.heard.lock().judge(&state, inner.me.node, now, inner.parts.options.lost_after);
    let waits = |command: &Command| match command {
        // It goes when the state's own group is without its vote too.
        Command::NodeGone { id } => members::votes(inner, &state, *id) && !fault_point!("gone-while-it-votes"),
        Command::Substitute { .. } => fault_point!("lost-not-substituted"),
        _ => false,
    };
    for command in seen.into_iter().chain(planned(inner, &state).into_iter().filter(|command| !waits(command))) {
        if !propose(inner, term, command).await || buggify!("controller/planned-one-by-one") {
            return;
        }
    }
    if let Err(error) = members::keep(inner, &state).await {
        tracing::debug!(%error, "the members of the cluster state's group are not what they should be; trying again");
    }
}

fn planned(inner: &Inner, state: &ClusterState) -> Vec<Command> {
    let planned = plan(state, &inner.burdens());
    let is_weighed = || planned != plan(state, &Burdens::new());
    photondb_storage::probe!("lost replica placed where less is stored or done", is_weighed());
    planned
}

/// Whether to go on. A command that is refused was planned for a state that is no more.
async fn propose(inner: &Inner, term: Term, command: Command) -> bool {
    if inner.group.get().and_then(|group| group.led()) != Some(term) {
        return false;
    }
    tracing::debug!(?command, "planned");
    match inner.propose_here(term, command.encode().into()).await {
        Ok(_) => {
            inner.heard.lock().note_applied(&command);
            let (replaces, ends) =
                (matches!(command, Command::Substitute { .. }), matches!(command, Command::NodeGone { .. }));
            photondb_storage::probe!("place of a node that is lost or leaves given to another", replaces);
            photondb_storage::probe!("node has left the cluster", ends);
            true
        }
        Err(error) => {
            photondb_storage::probe!("what was planned could not be proposed");
            tracing::warn!(%error, ?command, "what was planned could not be proposed");
            false
        }
    }
}

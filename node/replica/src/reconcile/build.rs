//! Building what indexes are not built, taking in what a join has left beside them, and copying them for what is to be cut off, on every
//! member by itself. That an index is ready is said by the leader, when every voter has built it.

use std::sync::{Arc, Weak};

use photondb_runtime::task;
use photondb_shard::shard::BuildStep;
use photondb_storage::fault::buggify;

use crate::error::ReplicaError;
use crate::limits::{BUGGIFIED_PAUSE, BUILD_RETRY_PERIOD, BUILD_STEP_DOCUMENTS, LOOK_PERIOD};
use crate::pressure;
use crate::replica::Replica;

/// Builds whenever there is something to build, for as long as the member runs.
pub(super) async fn build(replica: Weak<Replica>) {
    loop {
        let changed = {
            let Some(replica) = replica.upgrade().filter(|replica| !replica.duty.is_stopping()) else { return };
            if let Err(error) = build_all(&replica).await {
                if replica.shard.tree_set().is_dropped() || replica.duty.is_stopping() {
                    return;
                }
                tracing::warn!(shard = %replica.id, %error, "building indexes stopped; it goes on in a while");
                task::sleep(BUILD_RETRY_PERIOD).await;
            }
            replica.duty.schema_changed.clone()
        };
        let _ = task::timeout(LOOK_PERIOD, changed.notified()).await;
    }
}

/// Turn by turn, until nothing is left.
async fn build_all(replica: &Arc<Replica>) -> Result<(), ReplicaError> {
    while !replica.duty.is_stopping() {
        let view = replica.shard.view();
        let builds = view.schema.indexes.values().any(|index| index.needs_building());
        // What has gone is not copied again before the state says so.
        let cut = replica.duty.cut.lock().clone().filter(|at| view.has(at) && !replica.shard.is_prepared(at));
        if !builds && cut.is_none() && replica.shard.is_settled() {
            break;
        }
        if let Err(error) = pressure::wait_for_memory(replica.proposer.engine()).await {
            // A full disk is no reason to give up; that the index or the shard is gone is.
            if error.is_fatal() || replica.shard.tree_set().is_dropped() {
                return Err(error.into());
            }
            task::sleep(BUILD_RETRY_PERIOD).await;
            continue;
        }
        if buggify!("replica/index-built-late") {
            task::sleep(BUGGIFIED_PAUSE).await;
        }
        let documents = if buggify!("replica/index-built-one-by-one") { 1 } else { BUILD_STEP_DOCUMENTS };
        let step = if builds { replica.shard.build_step(documents)? } else { BuildStep::Idle };
        let copies = match &cut {
            Some(at) => replica.shard.prepare_split_step(at, documents)?,
            None => false,
        };
        let settles = replica.shard.settle_rest_step(documents)?;
        match step {
            BuildStep::Built(_) => replica.duty.look.notify_one(),
            BuildStep::Idle if !copies && !settles => break,
            BuildStep::Idle | BuildStep::Progress => task::yield_now().await,
        }
    }
    if !replica.shard.built_not_ready().is_empty() || replica.duty.cut.lock().is_some() {
        replica.duty.look.notify_one();
    }
    Ok(())
}

//! Writes that another node's query makes, evaluated here.

use std::sync::Arc;

use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::answer::Told;
use photondb_reql::eval::Cx;
use photondb_runtime::clock::Clock;
use photondb_runtime::fiber::{self, StackSize};

use super::failed_at;
use super::world::ArrivedWorld;
use crate::error::ReplicaError;
use crate::limits::HOOK_DEPTH;
use crate::message::failed;
use crate::message::write::{Arrived, read_write, written};
use crate::replica::Replica;
use crate::writer::{Request, write_shard};

/// Carries writes out if this node's member leads. Called on a worker's local set.
pub(super) async fn serve(replica: Arc<Replica>, message: wire::Write, clock: Arc<dyn Clock>) -> Told {
    let arrived = match read_write(message) {
        Ok(arrived) => arrived,
        Err(error) => return Told::Failed(failed(error, None)),
    };
    let stack = StackSize::for_depth(arrived.depth.max(HOOK_DEPTH));
    let fiber = fiber::run(stack, move || evaluate(&replica, arrived, clock));
    match fiber.await {
        Ok(told) => told,
        // Whether it was proposed before is not known.
        Err(panicked) => Told::Failed(failed(ReplicaError::Unknown(panicked.to_string()), None)),
    }
}

fn evaluate(replica: &Replica, arrived: Arrived, clock: Arc<dyn Clock>) -> Told {
    let Arrived { writes, primary_key, options, now_micros, limits, .. } = arrived;
    let cx = Cx::new(ArrivedWorld::new(now_micros, clock), limits);
    let mut results = vec![None; writes.len()];
    let request = Request { primary_key: &primary_key, options: &options, cx: &cx };
    let open = (0..writes.len()).collect();
    match write_shard(&replica.proposer, &writes, open, &request, &mut results) {
        Ok(()) => Told::Written(written(&writes, results, None)),
        Err(error) if results.iter().all(Option::is_none) => Told::Failed(failed_at(replica, error)),
        Err(error) => Told::Written(written(&writes, results, Some(failed_at(replica, error)))),
    }
}

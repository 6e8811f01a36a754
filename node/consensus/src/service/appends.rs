//! Entries from a leader, for as long as it sends them.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use openraft::AsyncRuntime;
use openraft::raft::AppendEntriesRequest;
use photondb_proto::v1;
use photondb_proto::v1::raft_answer::Answer;
use photondb_runtime::peers::{Exchange, PeerError};
use photondb_storage::fault::buggify;
use prost::Message;
use tokio::sync::mpsc;

use super::{Refusal, encode};
use crate::group::Group;
use crate::limits::BUGGIFIED_PAUSE;
use crate::runtime::Runtime;
use crate::types::Types;
use crate::wire::{self, Address};

pub(super) async fn take(group: &Group, address: Address, exchange: Exchange) -> Result<(), Refusal> {
    let Exchange { send, receive } = exchange;
    let requests = stream::unfold(receive, move |mut receive| async move {
        let request = next(&mut receive, address).await?;
        Some((request, receive))
    });
    let mut answers = std::pin::pin!(group.raft().stream_append(requests));
    while let Some(answer) = answers.next().await {
        let appended = answer.map_err(Refusal::ended)?;
        if buggify!("consensus/append-answered-late") {
            Runtime::sleep(3 * BUGGIFIED_PAUSE).await;
        }
        if send.send(encode(Answer::Appended(wire::appended(&appended)))).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next message; `None` when there is none, or none that a leader sends: then the exchange ends, and the leader opens
/// another.
async fn next(
    receive: &mut mpsc::Receiver<Result<Bytes, PeerError>>,
    address: Address,
) -> Option<AppendEntriesRequest<Types>> {
    let bytes = receive.recv().await?.ok()?;
    let read = v1::RaftAppend::decode(bytes).map_err(Into::into);
    match read.and_then(|message| wire::read_append(message, address.from)) {
        Ok(request) => Some(request),
        Err(error) => {
            tracing::warn!(group = %address.group, member = %address.from, %error, "entries were refused");
            None
        }
    }
}

//! A snapshot from a leader: spooled to the disk piece by piece, and installed when it is whole.

use bytes::{Bytes, BytesMut};
use openraft::type_config::alias::SnapshotOf;
use photondb_proto::v1;
use photondb_proto::v1::raft_answer::Answer;
use photondb_runtime::peers::Exchange;
use photondb_storage::fault::buggify;
use photondb_storage::spool::Spool;
use prost::Message;

use super::{Refusal, encode};
use crate::error::ApplyError;
use crate::format;
use crate::group::Group;
use crate::groups::Shared;
use crate::limits::{CHUNK_BYTES_MAX, PIECE_WAIT};
use crate::network::continued_crc;
use crate::replicated::{Applied, Snapshot};
use crate::types::{SnapshotMeta, Types};
use crate::wire::{self, Address, WireError};

pub(super) async fn take(
    shared: &Shared,
    group: &Group,
    address: Address,
    what: v1::RaftSnapshot,
    mut exchange: Exchange,
) -> Result<(), Refusal> {
    let vote = wire::read_vote(what.vote)?;
    if vote.leader_id.voted_for != address.from || !vote.committed {
        return Err(WireError::Contradiction("snapshots come from leaders alone").into());
    }
    let (last_log_id, last_membership) = format::decode_applied(&what.applied).map_err(WireError::from)?;
    // One more waits: the senders stop where they are.
    let Ok(_turn) = shared.receiving.acquire().await else { return Ok(()) };
    let spool = shared.spool().map_err(Refusal::ended)?;
    let Some(spool) = receive(shared, &mut exchange, spool).await? else {
        photondb_storage::probe!("snapshot broken off on its way");
        return Ok(());
    };
    let chunks = Box::new(spool.into_chunks().map(|chunk| chunk.map_err(ApplyError::new)));
    let snapshot = Snapshot::new(Applied { consensus: what.applied }, chunks);
    let meta = SnapshotMeta { last_log_id, last_membership };
    let installed = group.raft().install_full_snapshot(vote, SnapshotOf::<Types, Snapshot> { meta, snapshot }).await;
    let response = installed.map_err(Refusal::ended)?;
    let answer = Answer::Installed(v1::RaftInstalled { vote: Some(wire::vote(&response.vote)) });
    // The sender has gone: it will ask again, and find the log where it is.
    let _ = exchange.send.send(encode(answer)).await;
    Ok(())
}

/// Everything until the end; `None`: the sender broke off.
async fn receive(shared: &Shared, exchange: &mut Exchange, mut spool: Spool) -> Result<Option<Spool>, Refusal> {
    let (mut crc, mut chunk) = (0, BytesMut::new());
    loop {
        let Ok(Some(Ok(bytes))) = tokio::time::timeout(PIECE_WAIT, exchange.receive.recv()).await else {
            return Ok(None);
        };
        let piece = v1::RaftPiece::decode(bytes)?;
        crc = continued_crc(crc, &piece.bytes);
        if crc != piece.crc {
            return Err(WireError::Contradiction("a piece of a snapshot is not what was sent").into());
        }
        if chunk.len() + piece.bytes.len() > CHUNK_BYTES_MAX {
            return Err(WireError::Contradiction("a chunk of a snapshot is too large").into());
        }
        if buggify!("consensus/snapshot-given-up") {
            return Ok(None);
        }
        if piece.snapshot_ends {
            return Ok(Some(spool));
        }
        chunk.extend_from_slice(&piece.bytes);
        if piece.chunk_ends {
            spool = append(shared, spool, std::mem::take(&mut chunk).freeze()).await?;
        }
    }
}

async fn append(shared: &Shared, mut spool: Spool, chunk: Bytes) -> Result<Spool, Refusal> {
    let written = move || spool.append(&chunk).map(|()| spool);
    shared.blocking.run(written).await.map_err(Refusal::ended)?.map_err(Refusal::ended)
}

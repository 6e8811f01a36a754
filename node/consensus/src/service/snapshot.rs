//! A snapshot from a leader: spooled to the disk piece by piece, and installed when it is whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use openraft::type_config::alias::SnapshotOf;
use photondb_proto::v1;
use photondb_proto::v1::raft_answer::Answer;
use photondb_runtime::peers::Exchange;
use photondb_storage::fault::buggify;
use photondb_storage::spool::Spool;
use prost::Message;
use tokio::sync::SemaphorePermit;
use tokio::sync::mpsc::error::TrySendError;

use super::interrupted::{Name, Part, Receiving};
use super::{Refusal, encode};
use crate::error::ApplyError;
use crate::format;
use crate::group::Group;
use crate::groups::Shared;
use crate::limits::{CHUNK_BYTES_MAX, INTERRUPTED_KEPT_FOR, PIECE_WAIT, TURN_WORD_PERIOD};
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
    let applied = what.applied.clone();
    let name = Name { group: address.group, to: address.to, transfer: what.transfer, applied };
    let (receiving, part) = shared.interrupted.begin(&name).await;
    let chunks = part.as_ref().map_or(0, |part| part.chunks);
    let Some(_turn) = turn(shared, &exchange, &receiving, &name, chunks).await else {
        if let Some(part) = part {
            keep(shared, receiving, part).await;
        }
        return Ok(());
    };
    let part = match part {
        Some(part) => part,
        None => Part { spool: shared.spool().map_err(Refusal::ended)?, chunks: 0, crc: 0 },
    };
    let spool = match receive(shared, &mut exchange, &receiving, &name, part).await? {
        Came::Whole(spool) => spool,
        Came::Partly(part) => {
            photondb_storage::probe!("snapshot broken off on its way");
            keep(shared, receiving, part).await;
            return Ok(());
        }
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

/// A turn to receive, once there is one. The sender stops where it is meanwhile, and is told again and again what is here, so that it waits.
/// `None`: it has gone, or goes on over another exchange.
async fn turn<'a>(
    shared: &'a Shared,
    exchange: &Exchange,
    receiving: &Receiving,
    name: &Name,
    chunks: u64,
) -> Option<SemaphorePermit<'a>> {
    let telling = async {
        // One that has not taken the last word needs no other.
        while !matches!(exchange.send.try_send(received(chunks)), Err(TrySendError::Closed(_))) {
            tokio::time::sleep(TURN_WORD_PERIOD).await;
        }
    };
    tokio::select! {
        biased;
        () = receiving.broken_off.notified() => None,
        turn = shared.receiving.acquire() => turn.ok(),
        () = telling, if name.is_gone_on_with() => None,
    }
}

/// What came over one exchange, with what was here before.
enum Came {
    Whole(Spool),
    /// The sender broke off.
    Partly(Part),
}

/// Everything until the end.
async fn receive(
    shared: &Shared,
    exchange: &mut Exchange,
    receiving: &Receiving,
    name: &Name,
    mut part: Part,
) -> Result<Came, Refusal> {
    let (mut crc, mut chunk) = (part.crc, BytesMut::new());
    if !say(exchange, receiving, name, &part).await {
        return Ok(Came::Partly(part));
    }
    loop {
        let came = async {
            tokio::select! {
                biased;
                () = receiving.broken_off.notified() => None,
                message = exchange.receive.recv() => message,
            }
        };
        let Ok(Some(Ok(bytes))) = tokio::time::timeout(PIECE_WAIT, came).await else {
            return Ok(Came::Partly(part));
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
            return Ok(Came::Partly(part));
        }
        if piece.snapshot_ends {
            return Ok(Came::Whole(part.spool));
        }
        chunk.extend_from_slice(&piece.bytes);
        if piece.chunk_ends {
            let (spool, chunk) = (part.spool, std::mem::take(&mut chunk).freeze());
            part = Part { spool: append(shared, spool, chunk).await?, chunks: part.chunks + 1, crc };
            if !say(exchange, receiving, name, &part).await {
                return Ok(Came::Partly(part));
            }
        }
    }
}

async fn append(shared: &Shared, mut spool: Spool, chunk: Bytes) -> Result<Spool, Refusal> {
    let written = move || spool.append(&chunk).map(|()| spool);
    shared.blocking.run(written).await.map_err(Refusal::ended)?.map_err(Refusal::ended)
}

/// Tells the sender what is here, if it wants to know. Whether it is there still, and goes on over this exchange.
async fn say(exchange: &Exchange, receiving: &Receiving, name: &Name, part: &Part) -> bool {
    if !name.is_gone_on_with() {
        return true;
    }
    let said = async {
        tokio::select! {
            biased;
            () = receiving.broken_off.notified() => false,
            sent = exchange.send.send(received(part.chunks)) => sent.is_ok(),
        }
    };
    tokio::time::timeout(PIECE_WAIT, said).await.unwrap_or(false)
}

fn received(chunks: u64) -> Bytes {
    encode(Answer::Received(v1::RaftReceived { chunks }))
}

/// Until its sender goes on, or has had some time to.
async fn keep(shared: &Shared, receiving: Receiving, part: Part) {
    let Some(serial) = receiving.keep(part).await else { return };
    let interrupted = Arc::clone(&shared.interrupted);
    shared.spawn(async move {
        tokio::time::sleep(INTERRUPTED_KEPT_FOR).await;
        interrupted.forget(serial).await;
    });
}

//! A snapshot to one member, as an exchange: pieces as fast as the receiver takes them, and one answer.
//!
//! A broken exchange is begun anew, with a snapshot pinned then: what openraft asks for next.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use openraft::RPCTypes;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::SnapshotOf;
use photondb_proto::v1;
use photondb_proto::v1::raft_answer::Answer;
use photondb_proto::v1::raft_open::What;
use photondb_runtime::peers::{Exchange, Lane, Service};
use photondb_storage::fault::buggify;
use prost::Message;

use super::{Channel, Transfer};
use crate::limits::{INSTALL_WAIT, PIECE_BYTES_MAX, PIECE_WAIT};
use crate::replicated::{Snapshot, SnapshotChunks};
use crate::types::{Types, Vote};
use crate::wire::{self, Address};

/// Checksums pieces as one run of bytes.
pub(crate) fn continued_crc(before: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(before);
    crc.update(bytes);
    crc.finalize()
}

impl Channel {
    pub(super) async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Snapshot>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        // What is pinned is let go when this future ends, cancelled or not.
        match select(pin!(cancel), pin!(self.stream_snapshot(vote, snapshot.snapshot))).await {
            Either::Left((closed, _)) => Err(closed.into()),
            Either::Right((sent, _)) => sent,
        }
    }

    async fn stream_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let Address { group, to, .. } = self.address;
        let transfer = Transfer {
            group,
            to,
            node: self.node,
            since: self.leadership.now(),
            part_read: snapshot.part_read.clone(),
        };
        // As long as this future.
        let _listed = self.transfers.list(transfer);
        let what = v1::RaftSnapshot { vote: Some(wire::vote(&vote)), applied: snapshot.applied.consensus };
        let open = v1::RaftOpen { address: Some(self.address.write()), what: Some(What::Snapshot(what)) };
        let first = Bytes::from(open.encode_to_vec());
        let opening = self.peers.exchange(self.peer(), Service::Consensus, Lane::Bulk, first);
        let opened = self.in_time(PIECE_WAIT, opening).await?;
        let mut exchange = opened.map_err(|error| self.failed(error, RPCTypes::InstallSnapshot))?;
        // Who has not taken everything has answered already, or is gone.
        let limit = if self.send_chunks(&exchange, snapshot.chunks).await? { INSTALL_WAIT } else { PIECE_WAIT };
        let answer = self.in_time(limit, exchange.receive.recv()).await?;
        let bytes = match answer {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Err(self.failed(error, RPCTypes::InstallSnapshot).into()),
            None => return Err(NetworkError::from_string("the receiver of a snapshot has given up").into()),
        };
        let answer = self.answer(bytes)?;
        let Answer::Installed(installed) = answer else { return Ok(self.other(answer)?) };
        Ok(SnapshotResponse::new(self.read(wire::read_vote(installed.vote))?))
    }

    /// Sends everything, or as much as the receiver takes. Gives whether that was everything.
    async fn send_chunks(
        &self,
        exchange: &Exchange,
        mut chunks: SnapshotChunks,
    ) -> Result<bool, StreamingError<Types>> {
        let mut crc = 0;
        loop {
            let (rest, chunk) = self
                .blocking
                .run(move || {
                    let chunk = chunks.next();
                    (chunks, chunk)
                })
                .await
                .map_err(|error| self.unread(error))?;
            chunks = rest;
            let Some(chunk) = chunk.transpose().map_err(|error| self.unread(error))? else { break };
            if buggify!("consensus/snapshot-broken-off") {
                return Err(NetworkError::from_string("the exchange is broken off").into());
            }
            for piece in pieces(chunk, piece_bytes(), &mut crc) {
                if !self.send_piece(exchange, &piece).await? {
                    return Ok(false);
                }
            }
        }
        let end = v1::RaftPiece { crc, snapshot_ends: true, ..v1::RaftPiece::default() };
        self.send_piece(exchange, &end).await
    }

    async fn send_piece(&self, exchange: &Exchange, piece: &v1::RaftPiece) -> Result<bool, StreamingError<Types>> {
        let sending = exchange.send.send(Bytes::from(piece.encode_to_vec()));
        Ok(self.in_time(PIECE_WAIT, sending).await?.is_ok())
    }

    async fn in_time<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, RPCError<Types>> {
        tokio::time::timeout(limit, future).await.map_err(|_| self.late(RPCTypes::InstallSnapshot, limit))
    }

    /// The sender's own state cannot be read. It goes on with the rest of its work; another may lead one day.
    fn unread(&self, error: impl std::fmt::Display) -> StreamingError<Types> {
        let Address { group, from, to } = self.address;
        tracing::error!(%group, member = %from, %to, %error, "a snapshot cannot be read");
        Unreachable::from_string(format!("the snapshot for member {to} cannot be read: {error}")).into()
    }
}

/// A chunk in pieces of at most [`PIECE_BYTES_MAX`]; an empty chunk is one empty piece.
fn piece_bytes() -> usize {
    if buggify!("consensus/snapshot-in-small-pieces") { PIECE_BYTES_MAX / 128 } else { PIECE_BYTES_MAX }
}

fn pieces(mut chunk: Bytes, bytes_max: usize, crc: &mut u32) -> Vec<v1::RaftPiece> {
    let mut pieces = Vec::with_capacity(chunk.len() / bytes_max + 1);
    loop {
        let bytes = chunk.split_to(chunk.len().min(bytes_max));
        *crc = continued_crc(*crc, &bytes);
        let chunk_ends = chunk.is_empty();
        pieces.push(v1::RaftPiece { bytes, crc: *crc, chunk_ends, snapshot_ends: false });
        if chunk_ends {
            return pieces;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_cut_into_pieces_that_say_where_it_ends() {
        let check = |bytes: usize, count: usize| {
            let (chunk, mut crc) = (Bytes::from(vec![7; bytes]), 3);
            let cut = pieces(chunk.clone(), PIECE_BYTES_MAX, &mut crc);
            assert_eq!(cut.len(), count, "{bytes} bytes");
            let ends: Vec<bool> = cut.iter().map(|piece| piece.chunk_ends).collect();
            assert_eq!(ends.iter().position(|ends| *ends), Some(count - 1));
            assert_eq!(cut.iter().map(|piece| piece.bytes.len()).sum::<usize>(), bytes);
            assert_eq!(crc, continued_crc(3, &chunk), "the checksum runs on over the pieces");
            assert_eq!(cut.last().map(|piece| piece.crc), Some(crc));
        };
        check(0, 1);
        check(1, 1);
        check(PIECE_BYTES_MAX, 1);
        check(PIECE_BYTES_MAX + 1, 2);
        check(3 * PIECE_BYTES_MAX, 3);
    }
}

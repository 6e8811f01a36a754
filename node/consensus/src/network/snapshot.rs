//! A snapshot to one member, as an exchange: pieces as fast as the receiver takes them, and one answer.
//!
//! A broken exchange is followed by another one that goes on where the receiver is. When that does not help, or the receiver has
//! nothing any more, the snapshot is begun anew, with one pinned then: what openraft asks for next.

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
use photondb_runtime::peers::{Exchange, Lane, PeerError, Service};
use photondb_storage::fault::buggify;
use prost::Message;

use super::sending::Sending;
use super::{Channel, Transfer};
use crate::limits::{INSTALL_WAIT, PIECE_BYTES_MAX, PIECE_WAIT, RESUME_PAUSE, RESUMES_MAX};
use crate::replicated::Snapshot;
use crate::runtime::draw;
use crate::types::{Types, Vote};
use crate::wire::{self, Address};

/// How an exchange ended without an answer.
enum Ended {
    /// Another one may go on.
    Broken(StreamingError<Types>),
    /// Another one would not help.
    ForGood(StreamingError<Types>),
}

impl From<RPCError<Types>> for Ended {
    fn from(error: RPCError<Types>) -> Ended {
        Ended::Broken(error.into())
    }
}

/// What became of a piece.
enum Sent {
    /// It is on its way.
    Taken,
    /// The receiver takes nothing more.
    Refused,
    /// It has answered already.
    Answered(Answer),
}

/// What is only said of how far the receiver is, is no answer.
fn note(heard: Answer, sending: &mut Sending) -> Sent {
    match heard {
        Answer::Received(received) => {
            sending.receive(received.chunks);
            Sent::Taken
        }
        answer => Sent::Answered(answer),
    }
}

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

    /// Over as many exchanges as it takes.
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
        let applied = snapshot.applied.consensus;
        let mut sending = Sending::new(draw(1..u64::MAX), snapshot.chunks);
        let mut failed = 0;
        loop {
            let before = sending.received();
            let is_first = before == 0 && failed == 0;
            let error = match self.attempt(&vote, &applied, &mut sending, is_first).await {
                Ok(response) => return Ok(response),
                Err(Ended::ForGood(error)) => return Err(error),
                Err(Ended::Broken(error)) => error,
            };
            failed = if sending.received() > before { 1 } else { failed + 1 };
            if !sending.can_go_on() || failed > RESUMES_MAX {
                return Err(error);
            }
            tracing::debug!(%group, member = %to, %error, chunks = sending.received(), "a snapshot goes on over another exchange");
            photondb_storage::probe!("snapshot gone on with over another exchange", sending.received() > 0);
            tokio::time::sleep(RESUME_PAUSE).await;
        }
    }

    /// One exchange, from where the receiver is to its answer.
    async fn attempt(
        &self,
        vote: &Vote,
        applied: &Bytes,
        sending: &mut Sending,
        is_first: bool,
    ) -> Result<SnapshotResponse<Types>, Ended> {
        let (vote, applied, number) = (Some(wire::vote(vote)), applied.clone(), sending.number);
        let what = v1::RaftSnapshot { vote, applied, transfer: number };
        let open = v1::RaftOpen { address: Some(self.address.write()), what: Some(What::Snapshot(what)) };
        let first = Bytes::from(open.encode_to_vec());
        let opening = self.peers.exchange(self.peer(), Service::Consensus, Lane::Bulk, first);
        let opened = self.in_time(PIECE_WAIT, opening).await?;
        let mut exchange = opened.map_err(|error| self.failed(error, RPCTypes::InstallSnapshot))?;
        if !is_first {
            // Another exchange goes on where the receiver says.
            match self.in_time(PIECE_WAIT, exchange.receive.recv()).await.map(|heard| self.heard(heard))?? {
                Answer::Received(received) if sending.begin(received.chunks) => {}
                Answer::Received(_) => {
                    let lost = NetworkError::from_string("the receiver of a snapshot has no use for the rest of it");
                    return Err(Ended::ForGood(lost.into()));
                }
                answer => return self.read_answer(answer),
            }
        }
        // Who has not taken everything has answered already, or is gone.
        let (mut limit, mut answer) = (INSTALL_WAIT, self.send_chunks(&mut exchange, sending).await?);
        if let Sent::Refused = answer {
            limit = PIECE_WAIT;
        }
        loop {
            if let Sent::Answered(answer) = answer {
                return self.read_answer(answer);
            }
            let heard = self.in_time(limit, exchange.receive.recv()).await.map(|heard| self.heard(heard))??;
            answer = note(heard, sending);
        }
    }

    /// What nobody understands is no better the next time.
    fn read_answer(&self, answer: Answer) -> Result<SnapshotResponse<Types>, Ended> {
        let vote = match answer {
            Answer::Installed(installed) => self.read(wire::read_vote(installed.vote)),
            other => self.other(other),
        };
        vote.map(SnapshotResponse::<Types>::new).map_err(|error| Ended::ForGood(error.into()))
    }

    fn heard(&self, heard: Option<Result<Bytes, PeerError>>) -> Result<Answer, Ended> {
        match heard {
            // A member that is not there, and what nobody understands, say that once for all.
            Some(Ok(bytes)) => self.answer(bytes).map_err(|error| Ended::ForGood(error.into())),
            Some(Err(error)) => Err(self.failed(error, RPCTypes::InstallSnapshot).into()),
            None => Err(Ended::Broken(NetworkError::from_string("the receiver of a snapshot has given up").into())),
        }
    }

    /// Sends everything from where the receiver is, or as much as it takes.
    async fn send_chunks(&self, exchange: &mut Exchange, sending: &mut Sending) -> Result<Sent, Ended> {
        loop {
            let Some((chunk, mut crc)) = sending.next_kept() else {
                while sending.is_far_ahead() {
                    let heard = self.in_time(PIECE_WAIT, exchange.receive.recv()).await;
                    if let Sent::Answered(answer) = note(heard.map(|heard| self.heard(heard))??, sending) {
                        return Ok(Sent::Answered(answer));
                    }
                }
                if self.read_chunk(sending).await? {
                    continue;
                }
                break;
            };
            if buggify!("consensus/snapshot-broken-off") {
                return Err(Ended::Broken(NetworkError::from_string("the exchange is broken off").into()));
            }
            for piece in pieces(chunk, piece_bytes(), &mut crc) {
                match self.send_piece(exchange, &piece, sending).await? {
                    Sent::Taken => {}
                    other => return Ok(other),
                }
            }
        }
        let end = v1::RaftPiece { crc: sending.crc(), snapshot_ends: true, ..v1::RaftPiece::default() };
        self.send_piece(exchange, &end, sending).await
    }

    /// Reads one more chunk. Whether there was one.
    async fn read_chunk(&self, sending: &mut Sending) -> Result<bool, Ended> {
        let unread = |error: &dyn std::fmt::Display| Ended::ForGood(self.unread(error));
        let Some(mut chunks) = sending.unread() else { return Err(unread(&"its reading was interrupted")) };
        let reading = self.blocking.run(move || {
            let chunk = chunks.next();
            (chunks, chunk)
        });
        let (rest, chunk) = reading.await.map_err(|error| unread(&error))?;
        sending.take_in(rest, chunk).map_err(|error| unread(&error))
    }

    /// Hears what the receiver says meanwhile: it does not take more before somebody takes what it says.
    async fn send_piece(
        &self,
        exchange: &mut Exchange,
        piece: &v1::RaftPiece,
        sending: &mut Sending,
    ) -> Result<Sent, Ended> {
        let piece = Bytes::from(piece.encode_to_vec());
        loop {
            let Exchange { send, receive } = &mut *exchange;
            let taken = async {
                tokio::select! {
                    biased;
                    heard = receive.recv() => Err(heard),
                    room = send.reserve() => Ok(room),
                }
            };
            match self.in_time(PIECE_WAIT, taken).await? {
                Ok(Ok(room)) => {
                    room.send(piece);
                    return Ok(Sent::Taken);
                }
                Ok(Err(_)) => return Ok(Sent::Refused),
                Err(heard) => {
                    if let Sent::Answered(answer) = note(self.heard(heard)?, sending) {
                        return Ok(Sent::Answered(answer));
                    }
                }
            }
        }
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

fn piece_bytes() -> usize {
    if buggify!("consensus/snapshot-in-small-pieces") { PIECE_BYTES_MAX / 128 } else { PIECE_BYTES_MAX }
}

/// A chunk in pieces of at most so many bytes; an empty chunk is one empty piece.
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
    use std::sync::Arc;

    use photondb_proto::{GroupId, MemberId, NodeId};
    use photondb_runtime::clock::ManualClock;
    use photondb_runtime::peers::NoPeers;
    use photondb_runtime::task::Blocking;

    use super::*;
    use crate::leadership::Leadership;
    use crate::limits::LEASE;

    fn channel() -> Channel {
        let leadership = Leadership::new(MemberId(1), Arc::new(ManualClock::default()), LEASE);
        Channel {
            address: Address { group: GroupId(1), from: MemberId(1), to: MemberId(2) },
            node: NodeId(2),
            peers: Arc::new(NoPeers),
            leadership: Arc::new(leadership),
            blocking: Blocking::Here,
            transfers: Arc::default(),
            beats: false,
        }
    }

    #[test]
    fn an_answer_that_nobody_understands_is_not_asked_for_again() {
        let installed = |vote| Answer::Installed(v1::RaftInstalled { vote });
        let read = |answer| channel().read_answer(answer);
        assert!(matches!(read(Answer::Elected(v1::RaftElected::default())), Err(Ended::ForGood(_))));
        assert!(matches!(read(installed(None)), Err(Ended::ForGood(_))));
        let vote = v1::RaftVote { term: 3, member: 2, committed: false };
        assert!(read(installed(Some(vote))).is_ok());
    }

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

//! Messages between control planes, in the words of this crate.

use bytes::Bytes;
use photondb_consensus::{LogPosition, Term};
use photondb_proto::{NodeId, v1};
use prost::Message;

pub(crate) use v1::control_answer::What as Answer;
pub(crate) use v1::control_call::What as Call;

/// A call as bytes.
pub(crate) fn encode_call(sender_boots: u64, receiver_boots: u64, serial: u64, what: Call) -> Bytes {
    v1::ControlCall { sender_boots, receiver_boots, serial, what: Some(what) }.encode_to_vec().into()
}

/// An answer as bytes.
pub(crate) fn encode_answer(what: Answer) -> Bytes {
    v1::ControlAnswer { what: Some(what) }.encode_to_vec().into()
}

/// The inverse. `None`: another version's, or damage.
pub(crate) fn decode_answer(bytes: Bytes) -> Option<Answer> {
    v1::ControlAnswer::decode(bytes).ok()?.what
}

pub(crate) fn id_bytes(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

pub(crate) fn id_of(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().ok().map(u128::from_be_bytes)
}

pub(crate) fn not_leading(leader: Option<NodeId>) -> Answer {
    Answer::NotLeading(v1::NotLeading { leader: leader.map(|node| id_bytes(node.0)).unwrap_or_default() })
}

pub(crate) fn position_message(at: Option<LogPosition>) -> v1::Position {
    at.map_or_else(v1::Position::default, |at| v1::Position { term: at.term.0, index: at.index })
}

pub(crate) fn position_of(message: Option<v1::Position>) -> Option<LogPosition> {
    let v1::Position { term, index } = message?;
    (term > 0).then_some(LogPosition { term: Term(term), index })
}

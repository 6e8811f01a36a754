//! Between what crates know and the messages that nodes send each other. What comes from another node is checked.

pub(crate) mod scan;
pub(crate) mod write;

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::failed::Reason;
use photondb_proto::{KeyRange, NodeId, TableId};
use photondb_query::table::ReadMode;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error as QueryError, ErrorKind};
use photondb_shard::ShardError;

use crate::error::ReplicaError;

/// The version of the messages that this program speaks.
pub(crate) const MESSAGE_VERSION: u32 = 1;

/// A message that is none of this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of another node makes no sense: {0}")]
pub struct Malformed(pub &'static str);

/// What a node that did not do something says of it.
pub(crate) enum Failure {
    /// Nothing was done, and another node is to be asked; this one, if it is known.
    Elsewhere { leader: Option<NodeId> },
    /// Nobody else would do better.
    Error(ReplicaError),
}

pub(crate) fn failure(failed: wire::Failed) -> Failure {
    let number = failed.number;
    Failure::Error(match failed.reason() {
        Reason::NotHere => return Failure::Elsewhere { leader: None },
        Reason::NotLeading => {
            let leader = <[u8; 16]>::try_from(failed.leader.as_ref()).ok();
            return Failure::Elsewhere { leader: leader.map(|id| NodeId(u128::from_be_bytes(id))) };
        }
        Reason::Unknown => ReplicaError::Unknown(failed.text),
        Reason::Unsettled => ReplicaError::Unsettled { attempts: usize::try_from(number).unwrap_or(usize::MAX) },
        Reason::Full => ReplicaError::Full(failed.text),
        Reason::NoIndex => ShardError::NoIndex(failed.text).into(),
        Reason::IndexNotReady => ShardError::NotReady(failed.text).into(),
        Reason::Gone => ShardError::Gone.into(),
        Reason::Behind => ShardError::ListenerBehind { skipped: number }.into(),
        Reason::ChangesTrimmed => ShardError::ChangesTrimmed { floor: photondb_shard::Position(number) }.into(),
        Reason::Query => {
            let kind = u8::try_from(number).ok().and_then(ErrorKind::from_code).unwrap_or(ErrorKind::Internal);
            ReplicaError::Query(QueryError::new(kind, failed.text))
        }
        Reason::Moved => ShardError::Moved.into(),
        Reason::Repaired => ReplicaError::Repaired,
        Reason::Other | Reason::Unspecified => ReplicaError::Elsewhere(failed.text),
    })
}

/// What is said of an error; `leader` is who may lead instead.
pub(crate) fn failed(error: ReplicaError, leader: Option<NodeId>) -> wire::Failed {
    let (mut text, mut number, mut hint) = (String::new(), 0, Bytes::new());
    let reason = match error {
        ReplicaError::NotLeading | ReplicaError::Unavailable { .. } => {
            hint = leader.map(|node| Bytes::copy_from_slice(&node.0.to_be_bytes())).unwrap_or_default();
            Reason::NotLeading
        }
        ReplicaError::Unknown(reason) => {
            text = reason;
            Reason::Unknown
        }
        ReplicaError::Unsettled { attempts } => {
            number = attempts as u64;
            Reason::Unsettled
        }
        ReplicaError::Storage(error) | ReplicaError::Shard(ShardError::Storage(error)) if error.is_full() => {
            text = error.to_string();
            Reason::Full
        }
        ReplicaError::Full(reason) => {
            text = reason;
            Reason::Full
        }
        ReplicaError::Shard(ShardError::NoIndex(index)) => {
            text = index;
            Reason::NoIndex
        }
        ReplicaError::Shard(ShardError::NotReady(index)) => {
            text = index;
            Reason::IndexNotReady
        }
        ReplicaError::Shard(ShardError::Gone) => Reason::Gone,
        ReplicaError::Shard(ShardError::Moved) => Reason::Moved,
        ReplicaError::Repaired => Reason::Repaired,
        ReplicaError::Shard(ShardError::ListenerBehind { skipped }) => {
            number = skipped;
            Reason::Behind
        }
        ReplicaError::Shard(ShardError::ChangesTrimmed { floor }) => {
            number = floor.0;
            Reason::ChangesTrimmed
        }
        ReplicaError::Query(error) => {
            (text, number) = (error.message, error.kind.code().into());
            Reason::Query
        }
        other => {
            text = other.to_string();
            Reason::Other
        }
    };
    wire::Failed { reason: reason.into(), text, number, leader: hint }
}

pub(crate) fn mode(mode: ReadMode) -> i32 {
    match mode {
        ReadMode::Single | ReadMode::Majority => wire::ReadMode::Current.into(),
        ReadMode::Outdated => wire::ReadMode::Outdated.into(),
    }
}

pub(crate) fn read_mode(mode: i32) -> Result<ReadMode, Malformed> {
    match wire::ReadMode::try_from(mode) {
        Ok(wire::ReadMode::Current) => Ok(ReadMode::Single),
        Ok(wire::ReadMode::Outdated) => Ok(ReadMode::Outdated),
        Err(_) => Err(Malformed("an unknown mode of reading")),
    }
}

pub(crate) fn range(range: &KeyRange) -> wire::Range {
    let (start, end) = (Bytes::copy_from_slice(range.start()), range.end().map(Bytes::copy_from_slice));
    wire::Range { start, end }
}

pub(crate) fn read_range(range: &wire::Range) -> Result<KeyRange, Malformed> {
    let end = range.end.as_ref().map(|end| end.to_vec());
    KeyRange::new(range.start.to_vec(), end).ok_or(Malformed("a range without keys"))
}

pub(crate) fn table(bytes: &[u8]) -> Result<TableId, Malformed> {
    let id = bytes.try_into().map_err(|_| Malformed("a table's id is not of 16 bytes"))?;
    Ok(TableId(u128::from_be_bytes(id)))
}

pub(crate) fn datum(datum: &Datum) -> Bytes {
    Bytes::from(datum.to_encoded())
}

/// `None` for `Null`, which stands for no document.
pub(crate) fn document(document: &Datum) -> Option<Bytes> {
    (!document.is_null()).then(|| datum(document))
}

/// A datum, every part of it looked at.
pub(crate) fn read_datum(bytes: Bytes) -> Result<Datum, Malformed> {
    Datum::decode(bytes).map_err(|_| Malformed("a datum cannot be read"))
}

pub(crate) fn read_document(bytes: Option<Bytes>) -> Result<Datum, Malformed> {
    bytes.map_or(Ok(Datum::Null), read_datum)
}

//! The openraft types of this crate; nothing outside of it names them.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{BoxedErrorSource, InlineBatch, OneshotResponder, leader_id_std};
use openraft::type_config::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};
use photondb_proto::{MemberId, NodeId};

use crate::position::{LogPosition, Term};

/// A member is a `MemberId` that lives on a `NodeId`. One leader per term: a log id is then term and index alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = Bytes;
    type NodeId = MemberId;
    type Node = NodeId;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = openraft::impls::Vote<LeaderId>;
    type Payload = EntryPayload<Command, MemberId, NodeId>;
    type Entry = openraft::impls::Entry<CommittedLeaderIdOf<Types>, Self::Payload>;
    type AsyncRuntime = crate::runtime::Runtime;
    type Responder<T>
        = OneshotResponder<Types, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

pub(crate) type Entry = EntryOf<Types>;
pub(crate) type LogId = LogIdOf<Types>;
pub(crate) type Vote = VoteOf<Types>;
pub(crate) type LeaderId = leader_id_std::LeaderId<u64, MemberId>;
pub(crate) type Membership = openraft::Membership<MemberId, NodeId>;
pub(crate) type StoredMembership = StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<Types>;

/// A proposed command. The bytes are the owner's.
#[derive(Clone, PartialEq)]
pub(crate) struct Command(pub Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(crate) fn log_id(position: LogPosition) -> LogId {
    LogId::new(CommittedLeaderIdOf::<Types>::from(position.term.0), position.index)
}

pub(crate) fn position(log_id: &LogId) -> LogPosition {
    LogPosition { term: Term(log_id.leader_id.term), index: log_id.index }
}

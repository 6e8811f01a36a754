//! What this crate writes into the WAL and into state machines, byte by byte. Little-endian; every value opens with a
//! version byte, which is 1 in all of them today; one that is newer is refused.
//!
//! ```text
//! entry payload   version u8, kind u8, rest        kind 0 blank: no rest; 1 command: rest is the command;
//!                                                  2 membership: rest is a membership
//!                 (term and index of the entry are fields of the WAL record)
//! log id          version u8, term u64, index u64                                  (committed, purged)
//! vote            version u8, committed u8 (0, 1), term u64, member u64
//! applied         version u8, has position u8 (0, 1), term u64, index u64 (zero without a position),
//!                 has membership position u8 (0, 1), term u64, index u64, membership
//! membership      configurations u32, of each: voters u32, of each: member u64;
//!                 nodes u32, of each: member u64, node u128            (all ascending by member)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::vote::RaftVote;
use photondb_proto::{MemberId, NodeId};

use crate::limits::MEMBERS_MAX;
use crate::position::{LogPosition, Term};
use crate::types::{Command, Entry, LeaderId, LogId, Membership, StoredMembership, Vote, log_id, position};

const VERSION: u8 = 1;

const KIND_BLANK: u8 = 0;
const KIND_COMMAND: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// Stored bytes that are not what this crate wrote, or what a newer version wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It ends early.
    #[error("a {what} ends early")]
    Short {
        /// Which value.
        what: &'static str,
    },
    /// Bytes are left over.
    #[error("a {what} has {extra} bytes too many")]
    Long {
        /// Which value.
        what: &'static str,
        /// How many.
        extra: usize,
    },
    /// A newer program wrote it.
    #[error("a {what} has version {found}; this program reads versions up to {VERSION}")]
    Version {
        /// Which value.
        what: &'static str,
        /// Its version.
        found: u8,
    },
    /// A field has a value that it cannot have.
    #[error("a {what} holds {found} where that is impossible")]
    Value {
        /// Which value.
        what: &'static str,
        /// The field's value.
        found: u64,
    },
    /// The membership contradicts itself.
    #[error("a membership contradicts itself: {0}")]
    Membership(String),
}

/// An entry's payload, ready for the log.
pub(crate) fn encode_payload(payload: &EntryPayload<Command, MemberId, NodeId>) -> Bytes {
    match payload {
        EntryPayload::Blank => Bytes::from_static(&[VERSION, KIND_BLANK]),
        EntryPayload::Normal(Command(command)) => {
            let mut out = Vec::with_capacity(2 + command.len());
            out.extend_from_slice(&[VERSION, KIND_COMMAND]);
            out.extend_from_slice(command);
            out.into()
        }
        EntryPayload::Membership(membership) => {
            let mut out = vec![VERSION, KIND_MEMBERSHIP];
            put_membership(&mut out, membership);
            out.into()
        }
    }
}

/// An entry as the log gives it back. A command shares its bytes with `payload`.
pub(crate) fn decode_entry(at: LogPosition, mut payload: Bytes) -> Result<Entry, FormatError> {
    const WHAT: &str = "log entry";
    check_version(&mut payload, WHAT)?;
    let payload = match get_u8(&mut payload, WHAT)? {
        KIND_BLANK => done(payload, WHAT, EntryPayload::Blank)?,
        KIND_COMMAND => EntryPayload::Normal(Command(payload)),
        KIND_MEMBERSHIP => {
            let membership = get_membership(&mut payload)?;
            done(payload, WHAT, EntryPayload::Membership(membership))?
        }
        kind => return Err(FormatError::Value { what: WHAT, found: kind.into() }),
    };
    Ok(Entry { log_id: log_id(at), payload })
}

/// See the module's table.
pub(crate) fn encode_log_id(id: &LogId) -> Bytes {
    let mut out = Vec::with_capacity(17);
    out.put_u8(VERSION);
    out.put_u64_le(id.leader_id.term);
    out.put_u64_le(id.index);
    out.into()
}

/// The inverse of [`encode_log_id`].
pub(crate) fn decode_log_id(mut bytes: Bytes) -> Result<LogId, FormatError> {
    const WHAT: &str = "log id";
    check_version(&mut bytes, WHAT)?;
    let at = get_position(&mut bytes, WHAT)?;
    done(bytes, WHAT, log_id(at))
}

/// See the module's table.
pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = Vec::with_capacity(18);
    out.put_u8(VERSION);
    out.put_u8(vote.is_committed().into());
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.voted_for.0);
    out.into()
}

/// The inverse of [`encode_vote`].
pub(crate) fn decode_vote(mut bytes: Bytes) -> Result<Vote, FormatError> {
    const WHAT: &str = "vote";
    check_version(&mut bytes, WHAT)?;
    let committed = get_flag(&mut bytes, WHAT)?;
    let term = get_u64(&mut bytes, WHAT)?;
    let member = MemberId(get_u64(&mut bytes, WHAT)?);
    done(bytes, WHAT, Vote::from_leader_id(LeaderId { term, voted_for: member }, committed))
}

/// The position and membership that a state machine keeps.
pub(crate) fn encode_applied(applied: Option<&LogId>, membership: &StoredMembership) -> Bytes {
    let mut out = Vec::with_capacity(64);
    out.put_u8(VERSION);
    put_optional_log_id(&mut out, applied);
    put_optional_log_id(&mut out, membership.log_id().as_ref());
    put_membership(&mut out, membership.membership());
    out.into()
}

/// The inverse of [`encode_applied`]; empty bytes are a state machine that has applied nothing.
pub(crate) fn decode_applied(bytes: &Bytes) -> Result<(Option<LogId>, StoredMembership), FormatError> {
    const WHAT: &str = "state machine position";
    if bytes.is_empty() {
        return Ok((None, StoredMembership::default()));
    }
    let mut bytes = bytes.clone();
    check_version(&mut bytes, WHAT)?;
    let applied = get_optional_log_id(&mut bytes, WHAT)?;
    let at = get_optional_log_id(&mut bytes, WHAT)?;
    let membership = get_membership(&mut bytes)?;
    done(bytes, WHAT, (applied, StoredMembership::new(at, membership)))
}

/// The position alone, for those who keep an [`Applied`](crate::Applied).
pub(crate) fn applied_position(bytes: &Bytes) -> Result<Option<LogPosition>, FormatError> {
    Ok(decode_applied(bytes)?.0.as_ref().map(position))
}

fn put_optional_log_id(out: &mut Vec<u8>, id: Option<&LogId>) {
    out.put_u8(id.is_some().into());
    out.put_u64_le(id.map_or(0, |id| id.leader_id.term));
    out.put_u64_le(id.map_or(0, |id| id.index));
}

fn get_optional_log_id(bytes: &mut Bytes, what: &'static str) -> Result<Option<LogId>, FormatError> {
    let present = get_flag(bytes, what)?;
    let at = get_position(bytes, what)?;
    Ok(present.then(|| log_id(at)))
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let configurations = membership.get_joint_config();
    out.put_u32_le(count(configurations.len()));
    for voters in configurations {
        out.put_u32_le(count(voters.len()));
        for member in voters {
            out.put_u64_le(member.0);
        }
    }
    out.put_u32_le(count(membership.nodes().count()));
    for (member, node) in membership.nodes() {
        out.put_u64_le(member.0);
        out.put_u128_le(node.0);
    }
}

fn get_membership(bytes: &mut Bytes) -> Result<Membership, FormatError> {
    const WHAT: &str = "membership";
    let mut configurations = Vec::new();
    for _ in 0..get_count(bytes, WHAT)? {
        let mut voters = BTreeSet::new();
        for _ in 0..get_count(bytes, WHAT)? {
            voters.insert(MemberId(get_u64(bytes, WHAT)?));
        }
        configurations.push(voters);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..get_count(bytes, WHAT)? {
        let member = MemberId(get_u64(bytes, WHAT)?);
        if bytes.remaining() < 16 {
            return Err(FormatError::Short { what: WHAT });
        }
        nodes.insert(member, NodeId(bytes.get_u128_le()));
    }
    if configurations.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configurations, nodes).map_err(|error| FormatError::Membership(error.to_string()))
}

fn count(length: usize) -> u32 {
    assert!(length <= MEMBERS_MAX, "a membership names at most {MEMBERS_MAX} members");
    length as u32
}

fn get_count(bytes: &mut Bytes, what: &'static str) -> Result<usize, FormatError> {
    if bytes.remaining() < 4 {
        return Err(FormatError::Short { what });
    }
    let found = bytes.get_u32_le() as usize;
    if found > MEMBERS_MAX {
        return Err(FormatError::Value { what, found: found as u64 });
    }
    Ok(found)
}

fn get_position(bytes: &mut Bytes, what: &'static str) -> Result<LogPosition, FormatError> {
    let term = Term(get_u64(bytes, what)?);
    let index = get_u64(bytes, what)?;
    Ok(LogPosition { term, index })
}

fn get_u64(bytes: &mut Bytes, what: &'static str) -> Result<u64, FormatError> {
    if bytes.remaining() < 8 {
        return Err(FormatError::Short { what });
    }
    Ok(bytes.get_u64_le())
}

fn get_u8(bytes: &mut Bytes, what: &'static str) -> Result<u8, FormatError> {
    if bytes.is_empty() {
        return Err(FormatError::Short { what });
    }
    Ok(bytes.get_u8())
}

fn get_flag(bytes: &mut Bytes, what: &'static str) -> Result<bool, FormatError> {
    match get_u8(bytes, what)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(FormatError::Value { what, found: other.into() }),
    }
}

fn check_version(bytes: &mut Bytes, what: &'static str) -> Result<(), FormatError> {
    match get_u8(bytes, what)? {
        VERSION => Ok(()),
        found => Err(FormatError::Version { what, found }),
    }
}

fn done<T>(rest: Bytes, what: &'static str, value: T) -> Result<T, FormatError> {
    if rest.is_empty() { Ok(value) } else { Err(FormatError::Long { what, extra: rest.len() }) }
}

#[cfg(test)]
mod tests;

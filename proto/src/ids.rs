//! Identifiers as types of their own, so that a shard is never passed where a group is meant.
//!
//! Databases, tables and nodes carry RethinkDB's 128-bit UUIDs, because clients see them. Shards, groups, members and
//! indexes are counted by the cluster state, which never gives a number twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UUID")]
pub struct NotAnId(pub String);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_uuid(text).map(Self).ok_or_else(|| NotAnId(text.to_owned()))
            }
        }
    };
}

macro_rules! counted_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A database, as `r.db(..).info()` shows it.
    DatabaseId
);
uuid_id!(
    /// A table, as `r.table(..).info()` shows it.
    TableId
);
uuid_id!(
    /// A cluster: chosen once, when it is founded.
    ClusterId
);
uuid_id!(
    /// A node (RethinkDB's "server").
    NodeId
);
counted_id!(
    /// A key range of a table; its Raft group has the same number.
    ShardId
);
counted_id!(
    /// A Raft group. [`GroupId::META`] holds the cluster state.
    GroupId
);
counted_id!(
    /// One replica's membership of one group, in one incarnation: never used twice, because a replica that lost its log
    /// must not vote under the name that already voted.
    MemberId
);
counted_id!(
    /// A secondary index of a table. Never used twice within the cluster, so that a dropped and recreated name is another index.
    IndexId
);
counted_id!(
    /// Counts the changes to a shard's key range; an entry evaluated under another epoch is skipped.
    Epoch
);
counted_id!(
    /// Counts the changes to what a shard's table looks like (indexes, hooks); see [`Epoch`].
    SchemaVersion
);

impl GroupId {
    /// The group of the cluster state; groups of shards are counted from one.
    pub const META: GroupId = GroupId(0);
}

impl From<ShardId> for GroupId {
    fn from(shard: ShardId) -> GroupId {
        GroupId(shard.0)
    }
}

fn write_uuid(id: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = format!("{id:032x}");
    write!(f, "{}-{}-{}-{}-{}", &hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

fn parse_uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value = 0u128;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_back_as_it_is_written() {
        let id = TableId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(id.to_string(), "01234567-89ab-cdef-0011-223344556677");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_not_a_uuid_is_refused() {
        for text in [
            "",
            "0123456789abcdef0011223344556677",
            "01234567-89ab-cdef-0011-22334455667g",
            "01234567+89ab-cdef-0011-223344556677",
        ] {
            assert_eq!(text.parse::<TableId>(), Err(NotAnId(text.to_owned())));
        }
    }
}

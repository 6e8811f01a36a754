//! Messages to identifiers and key ranges, and back: the only crossing, and a checked one. What comes from another process
//! is whatever that process sent.

use std::str::FromStr;

use crate::ids::NotAnId;
use crate::{DatabaseId, Epoch, KeyRange, MemberId, NodeId, ShardId, TableId, v1};

/// The version of the messages of [`v1::control_client`], which each request and answer names.
pub const CONTROL_VERSION: u32 = 1;

/// The version of the messages between nodes.
pub const NODE_VERSION: u32 = 1;

/// The version of the messages of [`v1::report`], which each call names.
pub const REPORT_VERSION: u32 = 1;

/// What a message says and cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The other side speaks another version of the messages.
    #[error("messages of version {found}, but only version {CONTROL_VERSION} is spoken here")]
    Version {
        /// What it speaks; zero: it does not say.
        found: u32,
    },
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field does not hold an id.
    #[error("`{field}`: {source}")]
    Id {
        /// Its name.
        field: &'static str,
        /// What it holds.
        source: NotAnId,
    },
    /// A field holds a number that no port has.
    #[error("`{field}` is {found}, which is no port")]
    Port {
        /// Its name.
        field: &'static str,
        /// What it holds.
        found: u32,
    },
    /// A key range that holds no key.
    #[error("`{field}` is a key range without keys")]
    EmptyRange {
        /// Its name.
        field: &'static str,
    },
}

/// Whether messages of `version` are spoken here.
pub fn check_version(version: u32) -> Result<(), ConvertError> {
    if version == CONTROL_VERSION { Ok(()) } else { Err(ConvertError::Version { found: version }) }
}

fn id<I: FromStr<Err = NotAnId>>(field: &'static str, text: &str) -> Result<I, ConvertError> {
    match text {
        "" => Err(ConvertError::Missing { field }),
        text => text.parse().map_err(|source| ConvertError::Id { field, source }),
    }
}

/// Shards and members are counted from one; zero is what a message holds that does not say.
fn number(field: &'static str, found: u64) -> Result<u64, ConvertError> {
    if found == 0 { Err(ConvertError::Missing { field }) } else { Ok(found) }
}

impl From<&KeyRange> for v1::KeyRange {
    fn from(range: &KeyRange) -> v1::KeyRange {
        v1::KeyRange { start: range.start().to_vec(), end: range.end().map(<[u8]>::to_vec) }
    }
}

impl TryFrom<v1::KeyRange> for KeyRange {
    type Error = ConvertError;

    fn try_from(range: v1::KeyRange) -> Result<KeyRange, ConvertError> {
        KeyRange::new(range.start, range.end).ok_or(ConvertError::EmptyRange { field: "range" })
    }
}

impl v1::NodeInfoResponse {
    /// The node.
    pub fn checked_node(&self) -> Result<NodeId, ConvertError> {
        id("node_id", &self.node_id)
    }

    /// Its ports, which a node always has.
    pub fn checked_ports(&self) -> Result<Ports, ConvertError> {
        let ports = self.ports.as_ref().ok_or(ConvertError::Missing { field: "ports" })?;
        Ok(Ports {
            driver: port("ports.driver", ports.driver)?,
            cluster: port("ports.cluster", ports.cluster)?,
            http: ports.http.map(|http| port("ports.http", http)).transpose()?,
        })
    }
}

/// Ports that are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// ReQL.
    pub driver: u16,
    /// Between nodes and for photonctl.
    pub cluster: u16,
    /// HTTP, unless it is off.
    pub http: Option<u16>,
}

impl From<Ports> for v1::Ports {
    fn from(ports: Ports) -> v1::Ports {
        v1::Ports { driver: ports.driver.into(), cluster: ports.cluster.into(), http: ports.http.map(u32::from) }
    }
}

fn port(field: &'static str, found: u32) -> Result<u16, ConvertError> {
    match u16::try_from(found) {
        Ok(0) => Err(ConvertError::Missing { field }),
        Ok(port) => Ok(port),
        Err(_) => Err(ConvertError::Port { field, found }),
    }
}

impl v1::Node {
    /// Its id.
    pub fn checked_id(&self) -> Result<NodeId, ConvertError> {
        id("node_id", &self.node_id)
    }
}

impl v1::Database {
    /// Its id.
    pub fn checked_id(&self) -> Result<DatabaseId, ConvertError> {
        id("database_id", &self.database_id)
    }
}

impl v1::Table {
    /// Its id.
    pub fn checked_id(&self) -> Result<TableId, ConvertError> {
        id("table_id", &self.table_id)
    }

    /// Where it is.
    pub fn checked_database(&self) -> Result<DatabaseId, ConvertError> {
        id("database_id", &self.database_id)
    }
}

impl v1::Shard {
    /// Its id.
    pub fn checked_id(&self) -> Result<ShardId, ConvertError> {
        number("shard_id", self.shard_id).map(ShardId)
    }

    /// See [`Epoch`]; counted from zero.
    pub fn checked_epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// Its keys.
    pub fn checked_range(&self) -> Result<KeyRange, ConvertError> {
        self.range.clone().ok_or(ConvertError::Missing { field: "range" })?.try_into()
    }
}

impl v1::Member {
    /// Its id.
    pub fn checked_id(&self) -> Result<MemberId, ConvertError> {
        number("member_id", self.member_id).map(MemberId)
    }

    /// Where it lives.
    pub fn checked_node(&self) -> Result<NodeId, ConvertError> {
        id("node_id", &self.node_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_refused_by_number() {
        assert_eq!(check_version(CONTROL_VERSION), Ok(()));
        for found in [0, CONTROL_VERSION + 1, u32::MAX] {
            let refused = check_version(found).expect_err("another version");
            assert_eq!(refused, ConvertError::Version { found });
            assert!(refused.to_string().contains(&format!("version {found}")), "{refused}");
        }
    }

    #[test]
    fn key_ranges_cross_both_ways() {
        let bounded = KeyRange::new(b"a".to_vec(), Some(b"b".to_vec())).expect("not empty");
        for range in [KeyRange::all(), bounded] {
            assert_eq!(KeyRange::try_from(v1::KeyRange::from(&range)), Ok(range));
        }
    }

    #[test]
    fn a_range_without_keys_does_not_cross() {
        for (start, end) in [("b", "b"), ("b", "a"), ("", "")] {
            let range = v1::KeyRange { start: start.into(), end: Some(end.into()) };
            assert_eq!(KeyRange::try_from(range), Err(ConvertError::EmptyRange { field: "range" }));
        }
        assert_eq!(v1::Shard::default().checked_range(), Err(ConvertError::Missing { field: "range" }));
    }

    #[test]
    fn ids_cross_both_ways() {
        let (node, table) = (NodeId(u128::MAX), TableId(7));
        let message = v1::Member { member_id: 9, node_id: node.to_string(), state: None };
        assert_eq!((message.checked_id(), message.checked_node()), (Ok(MemberId(9)), Ok(node)));
        let message =
            v1::Table { table_id: table.to_string(), database_id: DatabaseId(8).to_string(), ..v1::Table::default() };
        assert_eq!((message.checked_id(), message.checked_database()), (Ok(table), Ok(DatabaseId(8))));
    }

    #[test]
    fn what_is_no_id_is_named_with_its_field() {
        let message = v1::Node { node_id: "everywhere".to_owned(), ..v1::Node::default() };
        let refused = message.checked_id().expect_err("not an id");
        assert_eq!(refused.to_string(), "`node_id`: `everywhere` is not a UUID");
        assert_eq!(v1::Node::default().checked_id(), Err(ConvertError::Missing { field: "node_id" }));
        assert_eq!(v1::Shard::default().checked_id(), Err(ConvertError::Missing { field: "shard_id" }));
        assert_eq!(v1::Member::default().checked_id(), Err(ConvertError::Missing { field: "member_id" }));
    }

    #[test]
    fn ports_are_ports() {
        let with = |driver, cluster, http| v1::NodeInfoResponse {
            ports: Some(v1::Ports { driver, cluster, http }),
            ..v1::NodeInfoResponse::default()
        };
        let ports = Ports { driver: 28015, cluster: 65535, http: None };
        assert_eq!(with(28015, 65535, None).checked_ports(), Ok(ports));
        assert_eq!(v1::Ports::from(ports), v1::Ports { driver: 28015, cluster: 65535, http: None });
        let refused = Err(ConvertError::Port { field: "ports.http", found: 65536 });
        assert_eq!(with(1, 2, Some(65536)).checked_ports(), refused);
        assert_eq!(with(0, 2, None).checked_ports(), Err(ConvertError::Missing { field: "ports.driver" }));
        let missing = Err(ConvertError::Missing { field: "ports" });
        assert_eq!(v1::NodeInfoResponse::default().checked_ports(), missing);
    }
}

//! What nodes bear, as they say themselves. It is known to who plans, and never part of the state: it changes all the time.

use std::collections::BTreeMap;

use photondb_proto::NodeId;

/// What a node bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burden {
    /// Bytes that what it holds takes as it is stored.
    pub bytes: u64,
    /// Documents that were read and written there in each second, of late.
    pub work: u64,
}

/// What each node bears, as far as it was heard.
pub type Burdens = BTreeMap<NodeId, Burden>;

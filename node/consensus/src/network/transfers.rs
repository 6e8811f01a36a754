//! The snapshots that this node sends at the moment, for who wants to see how far they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_runtime::clock::Moment;

use crate::replicated::PartRead;

/// A snapshot on its way to another member. One that was broken off and is begun anew is another one.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The group.
    pub group: GroupId,
    /// Who gets it.
    pub to: MemberId,
    /// The node of who gets it.
    pub node: NodeId,
    /// When it was begun, on the clock of the node's leases.
    pub since: Moment,
    /// How much of it has been read, which is a few pieces more than has been sent. All of it, while it is put in place over there.
    pub part_read: PartRead,
}

/// Those of all groups of the node.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    /// By the order of their beginning.
    under_way: BTreeMap<u64, Transfer>,
    begun: u64,
}

/// Keeps a transfer listed.
#[must_use = "what nobody keeps is not listed"]
pub(crate) struct Listing {
    of: Arc<Transfers>,
    number: u64,
}

impl Transfers {
    /// Lists one until the listing is dropped.
    pub(crate) fn list(self: &Arc<Self>, transfer: Transfer) -> Listing {
        let mut listed = self.0.lock();
        listed.begun += 1;
        let number = listed.begun;
        listed.under_way.insert(number, transfer);
        Listing { of: Arc::clone(self), number }
    }

    /// All that are under way, the oldest first.
    pub(crate) fn under_way(&self) -> Vec<Transfer> {
        self.0.lock().under_way.values().cloned().collect()
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.of.0.lock().under_way.remove(&self.number);
    }
}

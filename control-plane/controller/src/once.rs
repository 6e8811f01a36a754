//! Calls that must not be carried out twice, though the network may bring them twice.
//!
//! A sender numbers its calls within one opening of its directory. The receiver takes a number once, and none that is older
//! than its window: it would not know whether it had come before.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::NodeId;

use crate::limits::CALLS_REMEMBERED_MAX;

/// The calls that this process has carried out.
#[derive(Default)]
pub(crate) struct CarriedOut {
    senders: BTreeMap<NodeId, Window>,
}

#[derive(Default)]
struct Window {
    boots: u64,
    /// Numbers up to this one are not taken any more.
    floor: u64,
    seen: BTreeSet<u64>,
}

impl CarriedOut {
    /// Whether this call comes for the first time: then it must be carried out now, and never again. Senders must be nodes of
    /// the cluster: what is remembered grows with their number.
    pub fn is_first(&mut self, sender: NodeId, boots: u64, serial: u64) -> bool {
        let window = self.senders.entry(sender).or_default();
        if boots < window.boots {
            return false;
        }
        if boots > window.boots {
            *window = Window { boots, ..Window::default() };
        }
        if serial <= window.floor || !window.seen.insert(serial) {
            return false;
        }
        if window.seen.len() > CALLS_REMEMBERED_MAX
            && let Some(oldest) = window.seen.pop_first()
        {
            window.floor = oldest;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_taken_once_in_whatever_order_calls_come() {
        let mut carried = CarriedOut::default();
        let sender = NodeId(1);
        for serial in [3, 1, 2] {
            assert!(carried.is_first(sender, 5, serial));
            assert!(!carried.is_first(sender, 5, serial));
        }
        assert!(carried.is_first(NodeId(2), 5, 3), "another sender has numbers of its own");
    }

    #[test]
    fn an_earlier_opening_of_the_sender_and_what_is_older_than_the_window_are_not_taken() {
        let mut carried = CarriedOut::default();
        let sender = NodeId(1);
        assert!(carried.is_first(sender, 5, 9));
        assert!(carried.is_first(sender, 6, 9), "it counts anew");
        assert!(!carried.is_first(sender, 5, 10));
        let last = 9 + CALLS_REMEMBERED_MAX as u64;
        for serial in 10..=last {
            assert!(carried.is_first(sender, 6, serial));
        }
        assert!(!carried.is_first(sender, 6, 9), "it was carried out");
        assert!(!carried.is_first(sender, 6, 4), "nobody knows whether it was");
    }
}

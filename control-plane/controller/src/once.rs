//! Calls that must not be carried out twice, though the network may bring them twice.
//!
//! A sender numbers its calls within one opening of its directory. The receiver takes a number once, and none that is older
//! than its window: it would not know whether it had come before. What comes again is answered as the first was: whoever asked
//! may hear the answer to either, and must not take a refusal of the second for one of both.

use std::collections::BTreeMap;

use photondb_proto::NodeId;
use tokio::sync::watch;

use crate::limits::CALLS_REMEMBERED_MAX;
use crate::messages::Answer;

/// What became of a call; an error says that nothing was done.
pub(crate) type Outcome = Result<Answer, String>;

/// What to do about a call.
pub(crate) enum Turn {
    /// To carry it out now, and never again; then to tell those who bring it again what became of it.
    First(watch::Sender<Option<Outcome>>),
    /// To answer what the first comes to.
    Again(watch::Receiver<Option<Outcome>>),
    /// Nobody knows whether it was carried out.
    Forgotten,
}

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
    seen: BTreeMap<u64, watch::Receiver<Option<Outcome>>>,
}

impl CarriedOut {
    /// A call arrives. Senders must be nodes of the cluster: what is remembered grows with their number.
    pub fn arrives(&mut self, sender: NodeId, boots: u64, serial: u64) -> Turn {
        let window = self.senders.entry(sender).or_default();
        if boots > window.boots {
            *window = Window { boots, ..Window::default() };
        }
        if boots < window.boots || serial <= window.floor {
            return Turn::Forgotten;
        }
        if let Some(first) = window.seen.get(&serial) {
            photondb_storage::probe!("call of the control plane came twice");
            return Turn::Again(first.clone());
        }
        let (tell, told) = watch::channel(None);
        window.seen.insert(serial, told);
        if window.seen.len() > CALLS_REMEMBERED_MAX
            && let Some((oldest, _)) = window.seen.pop_first()
        {
            window.floor = oldest;
        }
        Turn::First(tell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_first(carried: &mut CarriedOut, sender: u128, boots: u64, serial: u64) -> bool {
        matches!(carried.arrives(NodeId(sender), boots, serial), Turn::First(_))
    }

    fn is_forgotten(carried: &mut CarriedOut, sender: u128, boots: u64, serial: u64) -> bool {
        matches!(carried.arrives(NodeId(sender), boots, serial), Turn::Forgotten)
    }

    #[test]
    fn a_call_is_taken_once_in_whatever_order_calls_come() {
        let mut carried = CarriedOut::default();
        for serial in [3, 1, 2] {
            assert!(is_first(&mut carried, 1, 5, serial));
            assert!(!is_first(&mut carried, 1, 5, serial));
        }
        assert!(is_first(&mut carried, 2, 5, 3), "another sender has numbers of its own");
    }

    #[test]
    fn what_comes_again_hears_what_the_first_came_to() {
        let mut carried = CarriedOut::default();
        let Turn::First(tell) = carried.arrives(NodeId(1), 5, 1) else { panic!("it comes for the first time") };
        let Turn::Again(told) = carried.arrives(NodeId(1), 5, 1) else { panic!("it comes for the second time") };
        assert_eq!(*told.borrow(), None);
        tell.send_replace(Some(Err("nothing".to_owned())));
        assert_eq!(*told.borrow(), Some(Err("nothing".to_owned())));
        let Turn::Again(told) = carried.arrives(NodeId(1), 5, 1) else { panic!("it comes for the third time") };
        assert_eq!(*told.borrow(), Some(Err("nothing".to_owned())));
    }

    #[test]
    fn an_earlier_opening_of_the_sender_and_what_is_older_than_the_window_are_not_taken() {
        let mut carried = CarriedOut::default();
        assert!(is_first(&mut carried, 1, 5, 9));
        assert!(is_first(&mut carried, 1, 6, 9), "it counts anew");
        assert!(is_forgotten(&mut carried, 1, 5, 10));
        let last = 9 + CALLS_REMEMBERED_MAX as u64;
        for serial in 10..=last {
            assert!(is_first(&mut carried, 1, 6, serial));
        }
        assert!(is_forgotten(&mut carried, 1, 6, 9), "it was carried out");
        assert!(is_forgotten(&mut carried, 1, 6, 4), "nobody knows whether it was");
    }
}

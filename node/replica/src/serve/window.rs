//! Which requests were seen: of each sender's present life, the numbers of the last so many.

use parking_lot::Mutex;
use photondb_proto::NodeId;
use photondb_storage::fault::fault_point;
use rustc_hash::FxHashMap;

use crate::limits::{SENDERS_MAX, SERIALS_REMEMBERED};

const WORDS: usize = (SERIALS_REMEMBERED / 64) as usize;

/// What is said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not seen before; from now on it is.
    New,
    /// It was seen, or is so old that nobody knows.
    Repeated,
    /// Its sender has been started again since.
    OldSender,
    /// No more senders can be remembered.
    TooManySenders,
}

/// Of all senders.
#[derive(Default)]
pub(super) struct Windows(Mutex<FxHashMap<NodeId, Window>>);

/// Of one.
struct Window {
    boot: u64,
    newest: u64,
    /// One bit for each number from `newest` back, at its place modulo their count.
    seen: Box<[u64; WORDS]>,
}

impl Windows {
    /// Takes note of a request.
    pub fn take(&self, from: NodeId, boot: u64, serial: u64) -> Verdict {
        let mut windows = self.0.lock();
        let count = windows.len();
        let window = match windows.get_mut(&from) {
            Some(window) => window,
            None if count >= SENDERS_MAX => return Verdict::TooManySenders,
            None => windows.entry(from).or_insert_with(|| Window::of(boot)),
        };
        if boot < window.boot {
            return Verdict::OldSender;
        }
        if boot > window.boot {
            *window = Window::of(boot);
        }
        let is_new = window.take(serial) || fault_point!("request-taken-twice");
        if is_new { Verdict::New } else { Verdict::Repeated }
    }
}

impl Window {
    fn of(boot: u64) -> Window {
        Window { boot, newest: 0, seen: Box::new([0; WORDS]) }
    }

    fn take(&mut self, serial: u64) -> bool {
        if serial > self.newest {
            if serial - self.newest >= SERIALS_REMEMBERED {
                self.seen.fill(0);
            } else {
                (self.newest + 1..=serial).for_each(|passed| self.set(passed, false));
            }
            self.newest = serial;
        } else if self.newest - serial >= SERIALS_REMEMBERED || self.is_set(serial) {
            return false;
        }
        self.set(serial, true);
        true
    }

    fn is_set(&self, serial: u64) -> bool {
        let place = serial % SERIALS_REMEMBERED;
        self.seen[(place / 64) as usize] >> (place % 64) & 1 == 1
    }

    fn set(&mut self, serial: u64, seen: bool) {
        let place = serial % SERIALS_REMEMBERED;
        let (word, bit) = (&mut self.seen[(place / 64) as usize], 1 << (place % 64));
        if seen { *word |= bit } else { *word &= !bit }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NODE: NodeId = NodeId(1);

    #[test]
    fn each_number_is_taken_once_and_old_ones_never() {
        let windows = Windows::default();
        let mut taken = BTreeSet::new();
        let (mut newest, mut mixed) = (0u64, 88_172_645_463_325_252u64);
        for round in 0..200_000u64 {
            mixed ^= mixed << 13;
            mixed ^= mixed >> 7;
            mixed ^= mixed << 17;
            let back = mixed % (SERIALS_REMEMBERED + SERIALS_REMEMBERED / 4);
            let ahead = if round % 7 == 0 { mixed % 1000 } else { mixed % 2 };
            let serial = if mixed & 1 == 0 { newest + ahead } else { newest.saturating_sub(back) }.max(1);
            let remembered = serial + SERIALS_REMEMBERED > newest;
            let expected = if serial > newest || (remembered && !taken.contains(&serial)) {
                Verdict::New
            } else {
                Verdict::Repeated
            };
            assert_eq!(windows.take(NODE, 3, serial), expected, "{serial} with {newest} the newest");
            newest = newest.max(serial);
            taken.insert(serial);
        }
        assert_eq!(windows.take(NODE, 3, newest + 3 * SERIALS_REMEMBERED), Verdict::New);
        assert_eq!(windows.take(NODE, 3, newest), Verdict::Repeated);
    }

    #[test]
    fn another_life_of_a_sender_counts_anew_and_the_earlier_one_is_refused() {
        let windows = Windows::default();
        assert_eq!(windows.take(NODE, 3, 7), Verdict::New);
        assert_eq!(windows.take(NODE, 4, 7), Verdict::New);
        assert_eq!(windows.take(NODE, 3, 8), Verdict::OldSender);
        assert_eq!(windows.take(NODE, 4, 7), Verdict::Repeated);
        assert_eq!(windows.take(NodeId(2), 1, 7), Verdict::New);
    }

    #[test]
    fn so_many_senders_are_remembered_and_no_more() {
        let windows = Windows::default();
        for node in 0..SENDERS_MAX as u128 {
            assert_eq!(windows.take(NodeId(node), 1, 1), Verdict::New);
        }
        assert_eq!(windows.take(NodeId(u128::MAX), 1, 1), Verdict::TooManySenders);
        assert_eq!(windows.take(NodeId(0), 1, 2), Verdict::New);
    }
}

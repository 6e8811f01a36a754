//! Places in the code that behave otherwise when a test wants it.
//!
//! - `fault_point!("name")` is a deliberate bug: it shows that the tests would notice a real one. A test switches it on at run
//!   time through the registry of the crate `fail`; the whole process has it then. [`MUTANTS`] lists those of this crate.
//! - `buggify!("name")` is a rare but right behaviour made frequent: a tiny buffer, a forced retry, an early checkpoint, a
//!   pause (the name is FoundationDB's). A simulator says with its [`Dice`] which of them happen, and when.
//! - `probe!("name")` counts that a rare path was taken ([`probe`]).
//!
//! Without the feature `fault-points` both are the constant `false`, and nothing of them is left in the program. Crates
//! above use these too, and what they ask is decided by the feature of this crate: whoever runs simulations turns it on. The
//! points of `buggify!` are listed in `simulation/src/buggify/points.rs`, each with what happens there.

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What the fault point asks for.
    pub name: &'static str,
    /// What is wrong while it is on.
    pub what: &'static str,
}

/// Every deliberate bug of this crate.
pub const MUTANTS: [Mutant; 11] = [
    Mutant { name: "skip-one-sync", what: "the log acknowledges a group that it has not synced" },
    Mutant { name: "superblock-before-data", what: "the superblock is published before the pages it names are synced" },
    Mutant { name: "free-too-early", what: "a slot is given out while a superblock still needs it" },
    Mutant { name: "replay-truncated", what: "recovery brings back entries that were truncated" },
    Mutant { name: "tombstone-forgotten", what: "recovery forgets that a stream was erased" },
    Mutant { name: "swallow-eio", what: "a failed sync of the log is taken for a good one" },
    Mutant { name: "cut-at-rot", what: "rot in the middle of the log is taken for a torn tail" },
    Mutant { name: "wrong-count", what: "a split counts one entry too many below the new node" },
    Mutant { name: "reuse-under-reader", what: "a slot is given out while a reader can reach it" },
    Mutant { name: "purge-past-checkpoint", what: "the log may be purged beyond what a superblock has" },
    Mutant { name: "ignore-checksum", what: "a page is served whose checksum does not hold" },
];

pub mod probe;

#[cfg(feature = "fault-points")]
pub use switched::{Dice, is_on, roll, set_dice, switch_on};

#[cfg(not(feature = "fault-points"))]
pub use absent::{is_on, roll};

#[cfg(feature = "fault-points")]
mod switched {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, Ordering};

    static ANY_MUTANT: AtomicBool = AtomicBool::new(false);
    static ANY_DICE: AtomicBool = AtomicBool::new(false);

    /// Says whether the point of this name strikes now.
    pub type Dice = Box<dyn FnMut(&'static str) -> bool>;

    thread_local! {
        static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
    }

    /// Switches a deliberate bug on, for the whole process and for good. False: it cannot be.
    pub fn switch_on(name: &str) -> bool {
        let known = fail::cfg(name, "return").is_ok();
        ANY_MUTANT.fetch_or(known, Ordering::Relaxed);
        known
    }

    /// Whether a deliberate bug is on. Asked through `fault_point!`.
    pub fn is_on(name: &str) -> bool {
        ANY_MUTANT.load(Ordering::Relaxed) && fail::eval(name, |_| ()).is_some()
    }

    /// From here on `dice` decide for everything that runs on the calling thread; `None`: nothing strikes.
    pub fn set_dice(dice: Option<Dice>) {
        ANY_DICE.fetch_or(dice.is_some(), Ordering::Relaxed);
        DICE.with_borrow_mut(|current| *current = dice);
    }

    /// Whether the point of this name strikes now. Asked through `buggify!`.
    pub fn roll(name: &'static str) -> bool {
        // Dice that ask the product something get no answer from themselves.
        let rolled = || DICE.with(|dice| dice.try_borrow_mut().ok()?.as_mut().map(|dice| dice(name)));
        ANY_DICE.load(Ordering::Relaxed) && rolled().unwrap_or(false)
    }
}

#[cfg(not(feature = "fault-points"))]
mod absent {
    /// No deliberate bug is on.
    #[inline(always)]
    pub const fn is_on(_name: &str) -> bool {
        false
    }

    /// Nothing strikes.
    #[inline(always)]
    pub const fn roll(_name: &'static str) -> bool {
        false
    }
}

/// Whether the deliberate bug of this name is on: `false`, as a constant, unless the feature `fault-points` is.
#[macro_export]
macro_rules! fault_point {
    ($name:literal) => {
        $crate::fault::is_on($name)
    };
}

/// Whether what is rare here happens now: `false`, as a constant, unless the feature `fault-points` is on and a simulator's
/// dice say so.
#[macro_export]
macro_rules! buggify {
    ($name:literal) => {
        $crate::fault::roll($name)
    };
}

pub use {buggify, fault_point};

#[cfg(all(test, feature = "fault-points"))]
mod tests {
    use super::*;

    #[test]
    fn dice_decide_on_their_own_thread_alone() {
        assert!(!buggify!("storage/test"));
        let mut rolled = 0;
        set_dice(Some(Box::new(move |name| {
            rolled += 1;
            name == "storage/test" && rolled == 2
        })));
        assert_eq!([0; 3].map(|_| buggify!("storage/test")), [false, true, false]);
        std::thread::scope(|scope| scope.spawn(|| assert!(!buggify!("storage/test"))).join().unwrap());
        set_dice(None);
        assert!(!buggify!("storage/test"));
    }
}

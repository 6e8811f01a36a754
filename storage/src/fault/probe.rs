//! Rare paths, counted under simulation: a sweep that never takes one says nothing of it.
//!
//! `probe!("what happens")` counts; with a condition after the name, only when that holds. Without the feature
//! `fault-points` nothing of it is left in the program. Simulators list the names and know which must be reached.

/// Whether anything is counted: what a condition costs is not spent otherwise.
pub const COUNTS: bool = cfg!(feature = "fault-points");

#[cfg(feature = "fault-points")]
pub use counted::{reach, take_reached};

#[cfg(not(feature = "fault-points"))]
pub use absent::reach;

#[cfg(feature = "fault-points")]
mod counted {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// The path of this name is taken. Asked through `probe!`.
    pub fn reach(name: &'static str) {
        // A thread that ends counts no more.
        let _ = REACHED.try_with(|reached| *reached.borrow_mut().entry(name).or_default() += 1);
    }

    /// How often each path was taken on the calling thread since this was asked the last time.
    pub fn take_reached() -> BTreeMap<&'static str, u64> {
        REACHED.take()
    }
}

#[cfg(not(feature = "fault-points"))]
mod absent {
    /// Nothing is counted.
    #[inline(always)]
    pub const fn reach(_name: &'static str) {}
}

/// Counts that a rare path is taken, under simulation only; with a condition, if that holds.
#[macro_export]
macro_rules! probe {
    ($name:literal) => {
        $crate::fault::probe::reach($name)
    };
    ($name:literal, $condition:expr) => {
        if $crate::fault::probe::COUNTS && $condition {
            $crate::fault::probe::reach($name);
        }
    };
}

#[cfg(all(test, feature = "fault-points"))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_on_their_own_thread() {
        probe!("storage: a test");
        probe!("storage: a test", 1 > 2);
        probe!("storage: a test", 2 > 1);
        std::thread::scope(|scope| scope.spawn(|| probe!("storage: a test")).join().unwrap());
        assert_eq!(take_reached().get("storage: a test"), Some(&2));
        assert!(take_reached().is_empty());
    }
}

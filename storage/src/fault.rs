//! Deliberate bugs, to show that the tests would notice real ones.
//!
//! A fault point is a place in the code that asks `fault_point!("name")`. Without the feature `fault-points` the answer is
//! the constant `false`, and nothing of it is left in the program. With it, a test switches a bug on at run time through the
//! registry of the crate `fail`; the whole process has it then. `MUTANTS` lists them all.

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What the fault point asks for.
    pub name: &'static str,
    /// What is wrong while it is on.
    pub what: &'static str,
}

/// Every deliberate bug there is.
pub const MUTANTS: [Mutant; 10] = [
    Mutant { name: "skip-one-sync", what: "the log acknowledges a group that it has not synced" },
    Mutant { name: "superblock-before-data", what: "the superblock is published before the pages it names are synced" },
    Mutant { name: "free-too-early", what: "a slot is given out while a superblock still needs it" },
    Mutant { name: "replay-truncated", what: "recovery brings back entries that were truncated" },
    Mutant { name: "swallow-eio", what: "a failed sync of the log is taken for a good one" },
    Mutant { name: "cut-at-rot", what: "rot in the middle of the log is taken for a torn tail" },
    Mutant { name: "wrong-count", what: "a split counts one entry too many below the new node" },
    Mutant { name: "reuse-under-reader", what: "a slot is given out while a reader can reach it" },
    Mutant { name: "purge-past-checkpoint", what: "the log may be purged beyond what a superblock has" },
    Mutant { name: "ignore-checksum", what: "a page is served whose checksum does not hold" },
];

/// Switches a deliberate bug on, for the whole process and for good. False: there is none of that name.
#[cfg(feature = "fault-points")]
pub fn switch_on(name: &str) -> bool {
    let known = MUTANTS.iter().any(|mutant| mutant.name == name) && fail::cfg(name, "return").is_ok();
    ANY.fetch_or(known, std::sync::atomic::Ordering::Relaxed);
    known
}

#[cfg(feature = "fault-points")]
static ANY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether a deliberate bug is on. Ask through `fault_point!`.
#[cfg(feature = "fault-points")]
pub(crate) fn is_on(name: &str) -> bool {
    ANY.load(std::sync::atomic::Ordering::Relaxed) && fail::eval(name, |_| ()).is_some()
}

/// Whether the deliberate bug of this name is on: `false`, as a constant, unless the feature `fault-points` is.
macro_rules! fault_point {
    ($name:literal) => {{
        #[cfg(feature = "fault-points")]
        let on = $crate::fault::is_on($name);
        #[cfg(not(feature = "fault-points"))]
        let on = false;
        on
    }};
}
pub(crate) use fault_point;

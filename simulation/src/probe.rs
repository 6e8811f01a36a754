//! Rare paths, and how often a run came by: a sweep that never does proves less than it seems to.

/// A rare path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What happens on it.
    pub name: &'static str,
    /// Whether a sweep fails that never took it.
    pub must: bool,
}

impl Probe {
    /// A path that every sweep must take.
    pub const fn must(name: &'static str) -> Probe {
        Probe { name, must: true }
    }

    /// A path that a sweep may miss, which its report says.
    pub const fn may(name: &'static str) -> Probe {
        Probe { name, must: false }
    }
}

//! Runs with a name: every seed that ever failed, under what it showed.

/// A run that failed once.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it showed.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// The workload, if it is not the one that the seed draws.
    pub workload: Option<crate::Workload>,
    /// How long it ran, in virtual seconds.
    pub seconds: u64,
}

/// All of them.
pub const ALL: &[Scenario] = &[];

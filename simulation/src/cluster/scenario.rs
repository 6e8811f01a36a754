//! Runs of clusters with a name: every seed that ever failed because of the product, under what it showed.
//!
//! A seed means a run only together with the code that draws from it. Where a change of the simulator makes it mean another
//! one, the claim is also held by a test beside the code that was wrong, which the scenario names.

use std::time::Duration;

use crate::command::Length;

/// A run that failed once.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it showed; also its name on the command line.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// The load.
    pub workload: &'static str,
    /// How many machines; `None`: as many as the seed draws.
    pub machines: Option<usize>,
    /// How long the load was, in virtual seconds.
    pub seconds: u64,
    /// What was wrong.
    pub story: &'static str,
}

/// All of them.
pub const ALL: &[Scenario] = &[];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.name == name)
    }

    /// What of the run is not left to the seed.
    pub fn length(&self) -> Length {
        Length {
            duration: Duration::from_secs(self.seconds),
            workload: Some(self.workload.to_owned()),
            machines: self.machines,
            faults: None,
            points: None,
        }
    }
}

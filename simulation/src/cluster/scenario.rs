//! Runs of clusters with a name: every seed that ever failed because of the product, under what it showed.
//!
//! A seed means a run only together with the code that draws from it. Where a change of the simulator makes it mean another
//! one, the claim is also held by a test beside the code that was wrong, which the scenario names.

use std::time::Duration;

use crate::buggify;
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
    /// Which points of the product strike, by name; `None`: those that the seed draws.
    pub points: Option<&'static [&'static str]>,
    /// What was wrong.
    pub story: &'static str,
}

/// All of them.
pub const ALL: &[Scenario] = &[Scenario {
    name: "a-node-is-taken-in-before-the-founder-is-registered",
    seed: 8018,
    workload: "churn",
    machines: Some(3),
    seconds: 2,
    points: Some(&["controller/proposed-at-second-try"]),
    story: "Between the founding of a cluster and the registration of who founds it, another node asked to be taken in. The \
            first node that is registered gets the founder's member of the state's group, so that two nodes ran the same \
            member. The founder now takes nobody in before it is registered itself. Held too by \
            `nodes_form_one_cluster` of the controller.",
}];

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
            points: self.points.map(|names| names.iter().filter_map(|name| buggify::named(name)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_names_points_that_there_are() {
        for scenario in ALL {
            let found = scenario.length().points.map(|points| points.len());
            assert_eq!(found, scenario.points.map(<[_]>::len), "{}", scenario.name);
        }
    }
}

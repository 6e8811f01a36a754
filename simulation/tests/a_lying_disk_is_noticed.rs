//! The checkers look: on disks that do not sync what they say they synced, runs fail.

use std::collections::BTreeSet;
use std::time::Duration;

use photondb_simulation::cluster::fault::{Fault, Timed};
use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::run::run;
use photondb_simulation::disk::Honesty;

#[test]
fn lost_syncs_are_noticed() {
    let (mut noticed, mut properties) = (0, BTreeSet::new());
    for seed in 0..6 {
        let mut plan = ClusterPlan::draw(seed, Some("register"), Some(1), Duration::from_secs(4));
        let at = |seconds| Timed {
            at: Duration::from_secs(seconds),
            lasts: Duration::from_millis(300),
            fault: Fault::PowerLoss { at: 0 },
        };
        plan.faults = vec![at(1), at(2), at(3)];
        plan.machines[0].honesty = Honesty::Lying;
        let record = run(&plan, false);
        noticed += u64::from(!record.violations.is_empty());
        properties.extend(record.violations.into_iter().map(|finding| finding.property));
    }
    assert!(noticed >= 4, "only {noticed} of 6 runs noticed: {properties:?}");
}

//! Followers whose clients have stopped still see what others write after that.

use std::time::Duration;

use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::run::run;

#[test]
fn a_stopped_follower_sees_the_last_writes_of_others() {
    for seed in 0..6 {
        let mut plan = ClusterPlan::draw(seed, Some("feed_replay"), Some(1), Duration::from_secs(6));
        plan.faults.clear();
        // Two of them follow. Clients think so long that a follower often stops while nothing comes, and others write after that.
        plan.clients = 8;
        plan.think_ms = 0..=3_000;
        let record = run(&plan, false);
        assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
        assert!(record.operations["steps"] > 0, "seed {seed}: nothing was done");
    }
}

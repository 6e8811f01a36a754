//! Where nodes have zones and tags and nothing goes wrong, tables are changed again and again, single replicas move, nodes come and go, and
//! one table is repaired in the end. All of it is accepted, comes to its end, and is told.

use std::collections::BTreeMap;
use std::time::Duration;

use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::run::run;

/// In the first two a table loses a replica for good in the end.
const SEEDS: [u64; 4] = [6, 18, 2, 3];

/// Accepted changes in a run, on the mean, at least.
const CHANGES_MIN: u64 = 7;

#[test]
fn what_is_asked_for_comes_to_pass() {
    let (mut changes, mut probes): (BTreeMap<String, u64>, BTreeMap<String, u64>) = Default::default();
    for seed in SEEDS {
        let mut plan = ClusterPlan::draw(seed, Some("register"), Some(5), Duration::from_secs(8));
        plan.administered = true;
        plan.arrange(true);
        plan.faults.clear();
        plan.points.clear();
        let record = run(&plan, false);
        assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
        record.changes.into_iter().for_each(|(kind, count)| *changes.entry(kind).or_default() += count);
        record.probes.into_iter().for_each(|(name, count)| *probes.entry(name).or_default() += count);
    }
    println!("{changes:?}");
    assert!(changes.values().sum::<u64>() >= CHANGES_MIN * SEEDS.len() as u64, "{changes:?}");
    for kind in ["shards and replicas changed", "replica moved to a chosen node", "leader chosen", "node drained"] {
        assert!(changes.contains_key(kind), "{kind} is missing: {changes:?}");
    }
    for name in [
        "node registered by another",
        "table placed in several zones",
        "replica moved to a chosen node has left the other one",
        "shard goes on with what one of its replicas had",
    ] {
        assert!(probes.contains_key(name), "{name}: {probes:?}");
    }
}

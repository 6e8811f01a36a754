//! A disk that is wiped, set back or damaged costs nothing that was acknowledged, and in the end other members stand in the
//! place of those that lost something. Runs draw such faults by themselves; here each kind is sure to strike.

use std::time::Duration;

use photondb_simulation::cluster::fault::{Fault, Timed};
use photondb_simulation::cluster::harm::Harm;
use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::run::run;
use photondb_simulation::sweep::RunRecord;

fn at(millis: u64, fault: Fault) -> Timed {
    Timed { at: Duration::from_millis(millis), lasts: Duration::from_millis(300), fault }
}

fn check(seed: u64, faults: Vec<Timed>) -> RunRecord {
    let mut plan = ClusterPlan::draw(seed, Some("list_append"), Some(3), Duration::from_secs(10));
    plan.faults = faults;
    plan.quiet_start = true;
    let record = run(&plan, false);
    assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
    assert!(record.operations["steps"] > 0, "seed {seed}: nothing was done");
    record
}

#[test]
fn a_wiped_disk_comes_back_as_a_new_node() {
    for place in [0, 2] {
        let record = check(1, vec![at(2_000, Fault::Harm(Harm::WipedDisk { at: place }))]);
        assert_eq!(record.faults["disk wiped"], 1);
        assert!(record.probes["node with a wiped disk back as a new one"] > 0, "{:?}", record.probes);
    }
}

#[test]
fn an_older_disk_is_refused() {
    let faults = vec![
        at(500, Fault::Harm(Harm::DiskCopied { at: 1 })),
        at(1_000, Fault::Kill { at: 1 }),
        at(5_000, Fault::Harm(Harm::OlderDisk { at: 1 })),
        // Its counter soon is as high as the newest one's.
        at(5_500, Fault::Kill { at: 1 }),
        at(6_000, Fault::Kill { at: 1 }),
    ];
    let record = check(2, faults);
    assert_eq!(record.faults["disk set back"], 1);
    assert_eq!(record.probes["older disk refused"], 1);
    assert!(record.probes["node with a wiped disk back as a new one"] > 0, "{:?}", record.probes);
}

#[test]
fn a_process_that_stands_still_serves_nothing_old_when_it_wakes() {
    for seed in 0..3 {
        let mut plan = ClusterPlan::draw(seed, Some("register"), Some(3), Duration::from_secs(12));
        plan.faults = (0..3)
            .flat_map(|place| {
                let begins = [1_000 + 900 * place as u64, 6_000 + 1_700 * place as u64];
                begins.map(|begins| Timed {
                    at: Duration::from_millis(begins),
                    lasts: Duration::from_millis(800),
                    fault: Fault::Harm(Harm::Pause { at: place }),
                })
            })
            .collect();
        plan.quiet_start = true;
        let record = run(&plan, false);
        assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
        assert_eq!(record.faults["process paused"], 6);
    }
}

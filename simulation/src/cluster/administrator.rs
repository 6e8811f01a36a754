//! A client that changes how tables lie, again and again, whatever else happens: shards are split and joined, boundaries between them move,
//! replicas are added, moved and taken away.

use std::time::Duration;

use tokio::time::sleep;

use super::fault::{Fault, Timed};
use super::plan::ClusterPlan;
use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term;

/// Shards of one table that it asks for at most.
const SHARDS_MAX: u64 = 6;

/// So many replicas have a majority when one of them is on a disk that has lost something unseen.
const REPLICAS_BESIDE_LOSS: u64 = 3;

/// One change in so many moves the boundaries between shards.
const REBALANCES_ONE_OF: u64 = 6;

/// How long it rests between two changes, in milliseconds.
const REST_MS: std::ops::RangeInclusive<u64> = 20..=1_500;

/// How many replicas a table keeps in the run, at least: what is put on a disk that has lost something, and does not know, is lost,
/// so that in a run with such disks it must not be all there is.
pub fn replicas_min(plan: &ClusterPlan) -> u64 {
    let shows_late = |timed: &Timed| matches!(timed.fault, Fault::Harm(harm) if harm.shows_late());
    if plan.faults.iter().any(shows_late) { REPLICAS_BESIDE_LOSS } else { 1 }
}

/// One change of some table, if there is one, to no fewer replicas than `replicas_min`, where there are as many nodes. Whether it was
/// accepted: it is refused while another one goes on, and while too many nodes are away.
pub async fn administer(client: &mut Client, random: &mut Random, replicas_min: u64) -> bool {
    let rest: Duration = random.millis(REST_MS);
    sleep(rest).await;
    change(client, random, replicas_min).await.is_ok()
}

async fn change(client: &mut Client, random: &mut Random, replicas_min: u64) -> Result<(), Failure> {
    let listed = client.query(&term::table_list("test")).await?.into_value();
    let names: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    if names.is_empty() {
        return Err(Failure::NotSent("there is no table".to_owned()));
    }
    let (table, nodes) = (term::table(random.pick(&names)), client.nodes() as u64);
    let replicas_max = nodes.min(5);
    let (shards, replicas) =
        (random.within(1..=SHARDS_MAX), random.within(replicas_min.min(replicas_max)..=replicas_max));
    let change = match random.once_in(REBALANCES_ONE_OF) {
        true => term::rebalance(table),
        false => term::reconfigure(table, shards, replicas),
    };
    client.query(&change).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::harm::Harm;

    #[test]
    fn no_table_rests_on_a_disk_that_has_lost_something_unseen() {
        let mut plan = ClusterPlan::draw(1, None, None, Duration::from_secs(1));
        plan.faults.clear();
        assert_eq!(replicas_min(&plan), 1);
        for (harm, least) in [
            (Harm::WipedDisk { at: 0 }, 1),
            (Harm::LostWrite { at: 0, draw: 0 }, 3),
            (Harm::RotInLog { at: 0, draw: 0 }, 3),
            (Harm::RotInPages { at: 0, draw: 0 }, 3),
        ] {
            plan.faults = vec![Timed { at: Duration::ZERO, lasts: Duration::ZERO, fault: Fault::Harm(harm) }];
            assert_eq!(replicas_min(&plan), least, "{harm:?}");
        }
    }
}

//! A client that changes how tables lie, again and again, whatever else happens: shards are split and joined, boundaries between them move,
//! replicas are added, moved and taken away, and where nodes have tags, they are placed by those, and some of them never vote.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::sleep;

use super::fault::{Fault, Timed};
use super::plan::ClusterPlan;
use super::tags::{self, TAGS};
use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term::{self, Term};

/// Shards of one table that it asks for at most.
const SHARDS_MAX: u64 = 6;

/// Replicas of a shard that it asks for at most.
const REPLICAS_MAX: u64 = 5;

/// So many replicas have a majority when one of them is on a disk that has lost something unseen.
const REPLICAS_BESIDE_LOSS: u64 = 3;

/// One change in so many moves the boundaries between shards.
const REBALANCES_ONE_OF: u64 = 6;

/// One change in so many says on nodes of which tags the replicas are to be, where nodes have tags.
const TAGGED_ONE_OF: u64 = 3;

/// How long it rests between two changes, in milliseconds.
const REST_MS: RangeInclusive<u64> = 20..=1_500;

/// The same in a run in which nodes have tags: more comes to pass there.
const REST_ARRANGED_MS: RangeInclusive<u64> = 20..=400;

/// What was accepted, for counts.
pub const RESIZED: &str = "shards and replicas changed";
const REBALANCED: &str = "boundaries between shards moved";
const TAGGED: &str = "replicas placed by tags";
const NONVOTING: &str = "replicas placed by tags, some of which never vote";

/// How it goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many replicas a table keeps that vote, where there are as many nodes.
    replicas_min: u64,
    /// How many nodes have each tag. `None`: they have none.
    tagged: Option<[u64; TAGS.len()]>,
}

impl Manner {
    /// In that run.
    pub fn of(plan: &ClusterPlan) -> Manner {
        let tags = plan.machines.iter().map(|machine| machine.tags.as_slice());
        Manner { replicas_min: replicas_min(plan), tagged: plan.arranged.then(|| tags::counts(tags)) }
    }
}

/// How many replicas a table keeps in the run, at least: what is put on a disk that has lost something, and does not know, is lost,
/// so that in a run with such disks it must not be all there is.
pub fn replicas_min(plan: &ClusterPlan) -> u64 {
    let shows_late = |timed: &Timed| matches!(timed.fault, Fault::Harm(harm) if harm.shows_late());
    if plan.faults.iter().any(shows_late) { REPLICAS_BESIDE_LOSS } else { 1 }
}

/// One change of some table, if there is one. What kind it was, if it was accepted: it is refused while another one goes on, and while too
/// many nodes are away.
pub async fn administer(client: &mut Client, random: &mut Random, manner: Manner) -> Option<&'static str> {
    let rests = if manner.tagged.is_some() { REST_ARRANGED_MS } else { REST_MS };
    let rest: Duration = random.millis(rests);
    sleep(rest).await;
    change(client, random, manner).await.ok()
}

async fn change(client: &mut Client, random: &mut Random, manner: Manner) -> Result<&'static str, Failure> {
    let listed = client.query(&term::table_list("test")).await?.into_value();
    let names: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    if names.is_empty() {
        return Err(Failure::NotSent("there is no table".to_owned()));
    }
    let (table, nodes) = (term::table(random.pick(&names)), client.nodes() as u64);
    let replicas_max = nodes.min(REPLICAS_MAX);
    let (shards, replicas) =
        (random.within(1..=SHARDS_MAX), random.within(manner.replicas_min.min(replicas_max)..=replicas_max));
    let (kind, change) = match (random.once_in(REBALANCES_ONE_OF), manner.tagged) {
        (true, _) => (REBALANCED, term::rebalance(table)),
        (false, Some(tagged)) if random.once_in(TAGGED_ONE_OF) => {
            let wish = Tagged::draw(random, tagged, manner.replicas_min);
            let kind = if wish.votes { TAGGED } else { NONVOTING };
            (kind, wish.term(table, shards))
        }
        (false, _) => (RESIZED, term::reconfigure(table, shards, replicas)),
    };
    client.query(&change).await.map(|_| kind)
}

/// So many replicas on nodes of each tag, the primary on one of the first.
#[derive(Clone, Copy, Debug)]
struct Tagged {
    counts: [u64; TAGS.len()],
    /// Whether those of the second tag vote.
    votes: bool,
}

impl Tagged {
    fn draw(random: &mut Random, nodes: [u64; TAGS.len()], replicas_min: u64) -> Tagged {
        let [first, second] = nodes.map(|nodes| nodes.min(REPLICAS_MAX - 2));
        let least = replicas_min.clamp(1, first.max(1));
        let of_first = random.within(least..=first.max(1));
        // What never votes is no majority of anything.
        let lacking = replicas_min.saturating_sub(of_first);
        let votes = random.once_in(3) || lacking > 0;
        let of_second = random.within(1..=second.max(1));
        Tagged { counts: [of_first, if votes { of_second.max(lacking.min(second)) } else { of_second }], votes }
    }

    fn term(self, table: Term, shards: u64) -> Term {
        let counts: Vec<(&str, u64)> = TAGS.into_iter().zip(self.counts).collect();
        let [primary, other] = TAGS;
        let nonvoting: &[&str] = if self.votes { &[] } else { &[other] };
        term::reconfigure_by_tags(table, shards, &counts, primary, nonvoting)
    }
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

    #[test]
    fn so_many_replicas_vote_as_a_loss_asks_for() {
        let (mut random, mut few_vote) = (Random::new(5), 0);
        for least in [1, 3] {
            for _ in 0..200 {
                let Tagged { counts: [first, second], votes } = Tagged::draw(&mut random, [4, 1], least);
                assert!((1..=3).contains(&first) && second == 1);
                let voting = if votes { first + second } else { first };
                assert!(voting >= least);
                few_vote += u64::from(!votes);
            }
        }
        assert!(few_vote > 50, "{few_vote} of 400 have replicas that never vote");
    }
}

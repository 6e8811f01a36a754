//! How long a leader may answer reads by itself: counted from when it *sent* the beats that a quorum has answered
//! (Ongaro's dissertation, section 6.4.1; DESIGN section 3, "Read").
//!
//! Whoever answers a beat promises to vote for nobody else for [`election_timeout_max`](crate::Options) from then on, by
//! its own clock. A quorum's promises outlast the lease that is counted from the earlier moment of sending, as long as no
//! two clocks differ in rate by more than [`CLOCK_DRIFT_MAX`] allows (C9).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use photondb_proto::MemberId;
use photondb_runtime::clock::Moment;

use crate::limits::CLOCK_DRIFT_MAX;

/// What a leader holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nobody else can be elected without this member's own vote.
    Alone,
    /// A quorum has answered beats sent at this moment or later.
    Since(Moment),
    /// No quorum has answered yet, or this member is no voter.
    Nothing,
}

/// What the leader `me` of a group with these voters holds by the answers it has got: for each member the moment at which
/// the newest answered message was sent. In a joint membership each of the sets must have a quorum.
pub(crate) fn held(me: MemberId, voters: &[BTreeSet<MemberId>], sent: &BTreeMap<MemberId, Moment>) -> Held {
    let mut least = Held::Alone;
    for set in voters {
        if !set.contains(&me) {
            // Those who are left could elect one of them without this member hearing of it.
            return Held::Nothing;
        }
        let others = set.iter().filter(|member| **member != me);
        let mut answered: Vec<Moment> = others.filter_map(|member| sent.get(member).copied()).collect();
        answered.sort_unstable_by(|a, b| b.cmp(a));
        // A majority is half of the set, rounded down, besides the leader itself.
        let Some(last) = (set.len() / 2).checked_sub(1) else { continue };
        let Some(since) = answered.get(last).copied() else { return Held::Nothing };
        least = match least {
            Held::Since(earlier) if earlier <= since => least,
            _ => Held::Since(since),
        };
    }
    if voters.is_empty() { Held::Nothing } else { least }
}

/// Whether more than half of `voters`, this member counted if it is one, have answered what was sent at `since` or later.
pub(crate) fn is_heard_by_majority(
    me: MemberId,
    voters: &BTreeSet<MemberId>,
    sent: &BTreeMap<MemberId, Moment>,
    since: Moment,
) -> bool {
    let heard = |member: &&MemberId| **member == me || sent.get(member).is_some_and(|sent| *sent >= since);
    voters.iter().filter(heard).count() * 2 > voters.len()
}

/// Whether every lease of this length ends before a promise of this length does, whatever two clocks within
/// [`CLOCK_DRIFT_MAX`] show.
pub(crate) fn is_within_promise(lease: Duration, promise: Duration) -> bool {
    lease.as_secs_f64() / (1.0 - CLOCK_DRIFT_MAX) <= promise.as_secs_f64() / (1.0 + CLOCK_DRIFT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    fn check(voters: &[&[u64]], sent: &[(u64, u64)], expect: Held) {
        let voters: Vec<_> = voters.iter().map(|set| set.iter().copied().map(MemberId).collect()).collect();
        let sent = sent.iter().map(|(member, millis)| (MemberId(*member), at(*millis))).collect();
        assert_eq!(held(MemberId(1), &voters, &sent), expect);
    }

    #[test]
    fn a_majority_with_the_leader_counts_from_its_slowest_member() {
        check(&[&[1, 2, 3]], &[], Held::Nothing);
        check(&[&[1, 2, 3]], &[(2, 10)], Held::Since(at(10)));
        check(&[&[1, 2, 3]], &[(2, 10), (3, 30)], Held::Since(at(30)));
        check(&[&[1, 2, 3, 4, 5]], &[(2, 10)], Held::Nothing);
        check(&[&[1, 2, 3, 4, 5]], &[(2, 10), (3, 30), (5, 20)], Held::Since(at(20)));
        check(&[&[1, 2]], &[(2, 5)], Held::Since(at(5)));
        check(&[&[1, 2, 3, 4]], &[(2, 10), (3, 20)], Held::Since(at(10)));
    }

    #[test]
    fn a_sole_voter_needs_nobody_and_who_is_no_voter_holds_nothing() {
        check(&[&[1]], &[], Held::Alone);
        check(&[&[2]], &[(2, 10)], Held::Nothing);
        check(&[], &[(2, 10)], Held::Nothing);
    }

    #[test]
    fn learners_do_not_count_and_joint_sets_count_each_for_itself() {
        check(&[&[1, 2, 3]], &[(7, 10), (8, 10)], Held::Nothing);
        check(&[&[1], &[1, 2, 3]], &[], Held::Nothing);
        check(&[&[1], &[1, 2, 3]], &[(3, 10)], Held::Since(at(10)));
        check(&[&[1, 2, 3], &[1, 4, 5]], &[(2, 10)], Held::Nothing);
        check(&[&[1, 2, 3], &[1, 4, 5]], &[(2, 10), (4, 7)], Held::Since(at(7)));
        check(&[&[1, 2, 3], &[2, 3]], &[(2, 10), (3, 10)], Held::Nothing);
    }

    #[test]
    fn the_leader_s_own_answers_are_not_needed_and_not_counted_twice() {
        check(&[&[1, 2, 3]], &[(1, 99)], Held::Nothing);
    }

    #[test]
    fn the_default_lease_is_within_the_default_promise() {
        assert!(is_within_promise(crate::limits::LEASE, crate::limits::ELECTION_TIMEOUT_MAX));
        assert!(!is_within_promise(crate::limits::ELECTION_TIMEOUT_MAX, crate::limits::ELECTION_TIMEOUT_MAX));
    }
}

//! Rare paths of a cluster, told from what can be seen of the members of its groups.

use std::collections::BTreeMap;

use super::probes::PRODUCT;
use crate::observation::{GroupId, Index, MemberId, Observation, Role, Term};
use crate::probe::Probe;

const ELECTED: &str = "another leader elected";
const TRUNCATED: &str = "suffix of a log truncated";
const PURGED: &str = "log purged behind a checkpoint";
const INSTALLED: &str = "snapshot installed";
const JOINT: &str = "joint membership in force";
const PROMOTED: &str = "learner became a voter";
const LEFT: &str = "voter left its group";
const INSTALLED_JOINT: &str = "snapshot installed during a membership change";
pub(super) const OLDER_REFUSED: &str = "older disk refused";
pub(super) const WIPED_BACK: &str = "node with a wiped disk back as a new one";
pub(super) const ROT_REPAIRED: &str = "member with rot in the middle of its log replaced and refilled";
pub(super) const PAGE_REPAIRED: &str = "member with a damaged page replaced and refilled";
pub(super) const MOVED: &str = "replica moved to a chosen node has left the other one";
pub(super) const TORN_REPAIRED: &str = "torn tail of a log cut";

/// Two replicas, or two lives of one, were compared at one position.
pub const COMPARED: &str = "states of two replicas compared";

/// What is counted, here and in the product.
pub fn all() -> Vec<Probe> {
    SEEN.into_iter().chain(PRODUCT).collect()
}

/// What is told from members.
const SEEN: [Probe; 15] = [
    Probe::must(COMPARED),
    Probe::must(ELECTED),
    Probe::must(TRUNCATED),
    Probe::must(PURGED),
    Probe::may(INSTALLED),
    Probe::must(JOINT),
    Probe::must(PROMOTED),
    Probe::may(LEFT),
    Probe::may(INSTALLED_JOINT),
    Probe::must(OLDER_REFUSED),
    Probe::must(WIPED_BACK),
    Probe::must(ROT_REPAIRED),
    Probe::may(PAGE_REPAIRED),
    Probe::must(TORN_REPAIRED),
    Probe::must(MOVED),
];

/// Counts them.
#[derive(Debug, Default)]
pub struct Rare {
    members: BTreeMap<(GroupId, MemberId), Known>,
    leaders: BTreeMap<GroupId, Term>,
    counts: BTreeMap<&'static str, u64>,
}

/// A member as it was.
#[derive(Clone, Copy, Debug)]
struct Known {
    boot: u64,
    role: Role,
    last: Option<Index>,
    purged: Option<Index>,
    votes: bool,
}

impl Rare {
    /// Looks at a member.
    pub fn look(&mut self, seen: &Observation) {
        let now = Known {
            boot: seen.boot.0,
            role: seen.role,
            last: seen.last.map(|(_, index)| index),
            purged: seen.purged,
            votes: seen.voters.iter().any(|set| set.contains(&seen.member)),
        };
        if seen.role == Role::Leader && self.leaders.insert(seen.group, seen.term).is_some_and(|term| term < seen.term)
        {
            self.reach(ELECTED);
        }
        let joint = seen.voters.len() > 1;
        let Some(before) = self.members.insert((seen.group, seen.member), now) else { return };
        // A start shows the whole log again.
        if before.boot == now.boot && seen.truncated_from.is_some() {
            self.reach(TRUNCATED);
        }
        if now.purged > before.purged {
            let installed = now.purged > before.last;
            self.reach(if installed { INSTALLED } else { PURGED });
            if installed && joint {
                self.reach(INSTALLED_JOINT);
            }
        }
        if joint {
            self.reach(JOINT);
        }
        if before.role == Role::Learner && now.votes && !before.votes {
            self.reach(PROMOTED);
        }
        if before.votes && !now.votes {
            self.reach(LEFT);
        }
    }

    /// The path was taken.
    pub(super) fn reach(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// All counts.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::client::NodeIndex;
    use crate::observation::Boot;

    fn member(role: Role, purged: Option<u64>, last: u64) -> Observation {
        Observation {
            group: GroupId(1),
            member: MemberId(2),
            node: NodeIndex(0),
            boot: Boot(1),
            term: Term(1),
            voted_for: None,
            role,
            last: Some((Term(1), Index(last))),
            committed: None,
            applied: None,
            purged: purged.map(Index),
            voters: vec![BTreeSet::from([MemberId(2)])],
            digest: None,
            truncated_from: None,
            appended: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_is_told_from_a_purge_by_what_the_log_had() {
        let mut rare = Rare::default();
        rare.look(&member(Role::Follower, None, 10));
        rare.look(&member(Role::Follower, Some(5), 10));
        assert_eq!(rare.counts(), BTreeMap::from([(PURGED.to_owned(), 1)]));
        rare.look(&member(Role::Follower, Some(20), 20));
        assert_eq!(rare.counts()[INSTALLED], 1);
    }

    #[test]
    fn a_suffix_is_truncated_within_a_life_and_not_by_a_start() {
        let mut rare = Rare::default();
        rare.look(&member(Role::Follower, None, 10));
        rare.look(&Observation { boot: Boot(2), truncated_from: Some(Index(0)), ..member(Role::Follower, None, 9) });
        assert!(rare.counts().is_empty());
        rare.look(&Observation { boot: Boot(2), truncated_from: Some(Index(8)), ..member(Role::Follower, None, 9) });
        assert_eq!(rare.counts()[TRUNCATED], 1);
    }

    #[test]
    fn every_new_term_with_a_leader_is_an_election_but_the_first() {
        let mut rare = Rare::default();
        rare.look(&member(Role::Leader, None, 1));
        rare.look(&member(Role::Leader, None, 2));
        assert!(rare.counts().is_empty());
        rare.look(&Observation { term: Term(4), ..member(Role::Leader, None, 3) });
        assert_eq!(rare.counts()[ELECTED], 1);
    }
}

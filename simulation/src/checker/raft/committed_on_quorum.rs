//! What a member takes for committed is durable at a majority of the voters, of both sets while the membership is joint.

use std::collections::{BTreeMap, BTreeSet};

use super::logs::Logs;
use crate::checker::Violation;
use crate::observation::{GroupId, Index, MemberId, Observation, Term};

const PROPERTY: &str = "committed is on a quorum";

/// Memberships of a group that are remembered.
const MEMBERSHIPS_MAX: usize = 8;

/// Commit positions of a group that are remembered.
const FOUND_MAX: usize = 10_000;

/// Up to where each group was found to be committed on a quorum, with the term of the last entry.
#[derive(Debug, Default)]
pub struct Checker {
    found: BTreeMap<GroupId, BTreeMap<Index, Term>>,
    voters: BTreeMap<GroupId, Vec<Vec<BTreeSet<MemberId>>>>,
}

impl Checker {
    /// Looks at what one member takes for committed.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        let memberships = self.voters.entry(seen.group).or_default();
        if memberships.last() != Some(&seen.voters) {
            memberships.push(seen.voters.clone());
            // The one in force when an entry was committed is the newest or the one before, for a member that is not late.
            let surplus = memberships.len().saturating_sub(MEMBERSHIPS_MAX);
            memberships.drain(..surplus);
        }
        let Some(committed) = seen.committed else { return Ok(()) };
        let found = self.found.entry(seen.group).or_default();
        let log = logs.log(seen.group, seen.member);
        let Some(entry) = log.and_then(|log| log.entry(committed)) else { return Ok(()) };
        if let Some((index, term)) = found.range(committed..).next() {
            // A place that was committed before, or one before it, which logs that match answer for.
            if *index == committed && *term != entry.term {
                let evidence = format!("{:?}: {:?} was committed at {committed:?} and now {entry:?}", seen.group, term);
                return Err(Violation { property: PROPERTY, evidence });
            }
            return Ok(());
        }
        let holders: BTreeSet<MemberId> =
            logs.members(seen.group).filter(|(_, log)| log.holds(committed, entry.term)).map(|(id, _)| id).collect();
        let memberships = memberships.iter().rev();
        let mut own_first = std::iter::once(&seen.voters).chain(memberships).filter(|sets| !sets.is_empty());
        if !own_first.any(|sets| sets.iter().all(|set| is_majority(set, &holders))) {
            let all: Vec<_> = logs.members(seen.group).map(|(id, log)| (id, log.last())).collect();
            let evidence = format!(
                "{:?}: {:?} takes {entry:?} for committed by {:?}, but {holders:?} have it; logs end at {all:?}",
                seen.group, seen.member, seen.voters
            );
            return Err(Violation { property: PROPERTY, evidence });
        }
        found.insert(committed, entry.term);
        // Only the newest and one more are ever asked for.
        while found.len() > FOUND_MAX {
            found.pop_first();
        }
        Ok(())
    }
}

fn is_majority(set: &BTreeSet<MemberId>, holders: &BTreeSet<MemberId>) -> bool {
    2 * set.intersection(holders).count() > set.len()
}

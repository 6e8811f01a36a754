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
    /// Members whose logs took what nobody could read.
    unread: BTreeSet<(GroupId, MemberId)>,
    /// Commits that such a member may be needed for.
    open: Vec<Open>,
}

/// A commit whose quorum was not seen, because the log of a voter could not be read.
#[derive(Clone, Debug)]
struct Open {
    group: GroupId,
    index: Index,
    term: Term,
    memberships: Vec<Vec<BTreeSet<MemberId>>>,
    evidence: String,
}

impl Open {
    fn waits_for(&self, unread: &BTreeSet<(GroupId, MemberId)>) -> bool {
        let mut voters = self.memberships.iter().flatten().flatten();
        voters.any(|member| unread.contains(&(self.group, *member)))
    }

    fn has_quorum(&self, logs: &Logs) -> bool {
        has_quorum(&self.memberships, &holders(logs, self.group, self.index, self.term))
    }

    fn violated(&self) -> Result<(), Violation> {
        Err(Violation { property: PROPERTY, evidence: self.evidence.clone() })
    }
}

impl Checker {
    /// The log of this member took something that cannot be read before the member is seen again: it may be what a quorum
    /// needs, and it answered for it before its disk failed.
    pub fn unread(&mut self, group: GroupId, member: MemberId) {
        self.unread.insert((group, member));
    }

    /// Everybody has been seen.
    pub fn end(&self, logs: &Logs) -> Result<(), Violation> {
        self.open.iter().filter(|open| !open.has_quorum(logs)).try_for_each(Open::violated)
    }

    /// Decides what waited for a member that has now been seen.
    fn decide(&mut self, logs: &Logs) -> Result<(), Violation> {
        let (waiting, decided) =
            std::mem::take(&mut self.open).into_iter().partition(|open| open.waits_for(&self.unread));
        self.open = waiting;
        let decided: Vec<Open> = decided;
        decided.iter().filter(|open| !open.has_quorum(logs)).try_for_each(Open::violated)
    }

    /// Looks at what one member takes for committed.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        if self.unread.remove(&(seen.group, seen.member)) {
            self.decide(logs)?;
        }
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
        let (index, term) = (committed, entry.term);
        let holders = holders(logs, seen.group, index, term);
        let own_first = std::iter::once(&seen.voters).chain(memberships.iter().rev());
        let memberships: Vec<_> = own_first.filter(|sets| !sets.is_empty()).cloned().collect();
        if !has_quorum(&memberships, &holders) {
            let all: Vec<_> = logs.members(seen.group).map(|(id, log)| (id, log.last())).collect();
            let evidence = format!(
                "{:?}: {:?} takes {entry:?} for committed by {:?}, but {holders:?} have it; logs end at {all:?}",
                seen.group, seen.member, seen.voters
            );
            let open = Open { group: seen.group, index, term, memberships, evidence };
            if !open.waits_for(&self.unread) {
                return open.violated();
            }
            self.open.push(open);
            return Ok(());
        }
        found.insert(committed, entry.term);
        // Only the newest and one more are ever asked for.
        while found.len() > FOUND_MAX {
            found.pop_first();
        }
        Ok(())
    }
}

fn holders(logs: &Logs, group: GroupId, index: Index, term: Term) -> BTreeSet<MemberId> {
    logs.members(group).filter(|(_, log)| log.holds(index, term)).map(|(id, _)| id).collect()
}

fn has_quorum(memberships: &[Vec<BTreeSet<MemberId>>], holders: &BTreeSet<MemberId>) -> bool {
    memberships.iter().any(|sets| sets.iter().all(|set| is_majority(set, holders)))
}

fn is_majority(set: &BTreeSet<MemberId>, holders: &BTreeSet<MemberId>) -> bool {
    2 * set.intersection(holders).count() > set.len()
}

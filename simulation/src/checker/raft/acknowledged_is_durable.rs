//! An entry that a client was told of stays: whoever knows its place to be committed has this very entry there, and in the
//! end so has a majority. A member that is sent a snapshot knows all of it to be committed while its log still ends before, or
//! with entries that give way: of such a one only what it has applied is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::logs::Logs;
use crate::checker::Violation;
use crate::observation::{GroupId, Index, MemberId, Observation, Term};

const PROPERTY: &str = "acknowledged is durable";

/// What clients were told.
#[derive(Debug, Default)]
pub struct Checker {
    acknowledged: BTreeMap<GroupId, BTreeSet<(Index, Term)>>,
    /// Up to where each member's log has been compared.
    compared: BTreeMap<(GroupId, MemberId), Index>,
}

impl Checker {
    /// A client was told that this entry is done.
    pub fn acknowledged(&mut self, group: GroupId, term: Term, index: Index) {
        self.acknowledged.entry(group).or_default().insert((index, term));
        for (_, compared) in self.compared.range_mut((group, MemberId(0))..=(group, MemberId(u64::MAX))) {
            *compared = index.min(*compared);
        }
    }

    /// Looks at what one member knows to be committed.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        let (Some(acknowledged), Some(committed)) = (self.acknowledged.get(&seen.group), seen.committed) else {
            return Ok(());
        };
        let Some(log) = logs.log(seen.group, seen.member) else { return Ok(()) };
        let certain = if Some(committed) <= log.last().max(log.purged) { Some(committed) } else { seen.applied };
        let Some(certain) = certain else { return Ok(()) };
        // What was taken back or seen again is compared again.
        let again = seen.truncated_from.into_iter().chain(seen.appended.first().map(|entry| entry.index)).min();
        let compared = self.compared.entry((seen.group, seen.member)).or_default();
        let from = again.map_or(*compared, |again| again.min(*compared));
        if from <= certain {
            for (index, term) in acknowledged.range((from, Term(0))..=(certain, Term(u64::MAX))) {
                if !log.holds(*index, *term) {
                    let found = log.entry(*index);
                    let evidence = format!(
                        "{:?} {:?} on {:?} is committed to {certain:?} and has {found:?} at {index:?}, where {term:?} \
                         was acknowledged",
                        seen.group, seen.member, seen.node
                    );
                    return Err(Violation { property: PROPERTY, evidence });
                }
            }
        }
        *compared = Index(certain.0 + 1);
        Ok(())
    }

    /// Everything acknowledged is at a majority of some member's voters.
    pub fn end(&self, logs: &Logs) -> Result<(), Violation> {
        for (group, acknowledged) in &self.acknowledged {
            let memberships: BTreeSet<_> = logs.members(*group).map(|(_, log)| log.voters.clone()).collect();
            for (index, term) in acknowledged {
                let holders: BTreeSet<MemberId> =
                    logs.members(*group).filter(|(_, log)| log.holds(*index, *term)).map(|(id, _)| id).collect();
                let is_majority = |set: &BTreeSet<MemberId>| 2 * set.intersection(&holders).count() > set.len();
                if !memberships.iter().any(|sets| !sets.is_empty() && sets.iter().all(is_majority)) {
                    let evidence = format!("{group:?}: {index:?} of {term:?} is at {holders:?} of {memberships:?}");
                    return Err(Violation { property: PROPERTY, evidence });
                }
            }
        }
        Ok(())
    }
}

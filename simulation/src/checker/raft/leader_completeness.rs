//! A leader has every entry that was committed before its term.
//!
//! Logs match, so that the newest committed entry stands for all before it.

use std::collections::BTreeMap;

use super::logs::Logs;
use crate::checker::Violation;
use crate::observation::{GroupId, Index, MemberId, Observation, Role, Term};

/// The newest committed entry of a group.
#[derive(Clone, Copy, Debug)]
struct Committed {
    index: Index,
    term: Term,
    by: MemberId,
    /// The term of whoever said so, which is at least the one in which it was committed.
    in_term: Term,
}

/// What is known to be committed, and who leads.
#[derive(Debug, Default)]
pub struct Checker {
    /// The newest for each term in which somebody knew of one.
    committed: BTreeMap<GroupId, BTreeMap<Term, Committed>>,
    newest_leader: BTreeMap<GroupId, (Term, MemberId)>,
}

impl Checker {
    /// Looks at a member that leads, once a term.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        let newest = self.newest_leader.get(&seen.group);
        if seen.role != Role::Leader || newest.is_some_and(|(term, _)| *term >= seen.term) {
            return Ok(());
        }
        self.newest_leader.insert(seen.group, (seen.term, seen.member));
        let before = self.committed.get(&seen.group).into_iter().flat_map(|terms| terms.range(..seen.term));
        match before.map(|(_, committed)| *committed).max_by_key(|committed| committed.index) {
            Some(committed) => compare(logs, seen.group, (seen.term, seen.member), committed),
            None => Ok(()),
        }
    }

    /// Looks at what a member knows to be committed: a leader of a later term has it already.
    pub fn commit(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        let Some(index) = seen.committed else { return Ok(()) };
        let entry = logs.log(seen.group, seen.member).and_then(|log| log.entry(index));
        let Some(entry) = entry else { return Ok(()) };
        let committed = Committed { index, term: entry.term, by: seen.member, in_term: seen.term };
        let known = self.committed.entry(seen.group).or_default().entry(seen.term).or_insert(committed);
        if known.index < index {
            *known = committed;
        }
        match self.newest_leader.get(&seen.group) {
            Some((term, member)) if *term > seen.term => compare(logs, seen.group, (*term, *member), committed),
            _ => Ok(()),
        }
    }
}

fn compare(logs: &Logs, group: GroupId, leader: (Term, MemberId), committed: Committed) -> Result<(), Violation> {
    let log = logs.log(group, leader.1);
    if log.is_some_and(|log| log.holds(committed.index, committed.term)) {
        return Ok(());
    }
    let Committed { index, term, by, in_term } = committed;
    let evidence = format!(
        "{group:?}: {:?} leads in {:?} with a log up to {:?}, and without {index:?} of {term:?}, which {by:?} knew in \
         {in_term:?} to be committed",
        leader.1,
        leader.0,
        log.and_then(|log| log.last())
    );
    Err(Violation { property: "leader completeness", evidence })
}

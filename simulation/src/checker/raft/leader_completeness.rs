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

/// What is known to be committed.
#[derive(Debug, Default)]
pub struct Checker {
    committed: BTreeMap<GroupId, Vec<Committed>>,
    checked: BTreeMap<GroupId, Term>,
}

impl Checker {
    /// Looks at a member that leads, once a term.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        if seen.role != Role::Leader || self.checked.get(&seen.group) >= Some(&seen.term) {
            return Ok(());
        }
        self.checked.insert(seen.group, seen.term);
        let committed = self.committed.get(&seen.group).into_iter().flatten();
        let Some(newest) =
            committed.filter(|committed| committed.in_term < seen.term).max_by_key(|newest| newest.index)
        else {
            return Ok(());
        };
        if logs.log(seen.group, seen.member).is_some_and(|log| log.holds(newest.index, newest.term)) {
            return Ok(());
        }
        let evidence = format!(
            "{:?}: {:?} leads in {:?} with the log {:?} and without {:?} of {:?}, which {:?} \
             knew in {:?} to be committed",
            seen.group, seen.member, seen.term, seen.last, newest.index, newest.term, newest.by, newest.in_term
        );
        Err(Violation { property: "leader completeness", evidence })
    }

    /// Notes what a member knows to be committed.
    pub fn commit(&mut self, logs: &Logs, seen: &Observation) {
        let Some(index) = seen.committed else { return };
        let entry = logs.log(seen.group, seen.member).and_then(|log| log.entry(index));
        let Some(entry) = entry else { return };
        let committed = Committed { index, term: entry.term, by: seen.member, in_term: seen.term };
        let known = self.committed.entry(seen.group).or_default();
        // One is enough for each term in which somebody said so: the newest.
        match known.iter_mut().find(|known| known.in_term == seen.term) {
            Some(known) if known.index >= index => {}
            Some(known) => *known = committed,
            None => known.push(committed),
        }
    }
}

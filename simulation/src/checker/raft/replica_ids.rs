//! No member's id is used twice: a member that has had anything never comes back with nothing, and none is on two nodes.
//!
//! An empty log alone says nothing: entries that were never committed may all be taken back, and so may those that others have
//! committed without a member that does not vote, when its process ends before it has written them. Who votes has confirmed
//! something; a term is not taken back either.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::client::NodeIndex;
use crate::observation::{GroupId, MemberId, Observation, Term};

#[derive(Clone, Copy, Debug)]
struct Known {
    node: NodeIndex,
    had_committed: bool,
    had_term: bool,
}

/// Members seen so far, for ever.
#[derive(Debug, Default)]
pub struct Checker {
    known: BTreeMap<(GroupId, MemberId), Known>,
}

impl Checker {
    /// Looks at one member.
    pub fn look(&mut self, seen: &Observation) -> Result<(), Violation> {
        let has_log = seen.last.is_some() || seen.purged.is_some();
        let has_term = seen.term > Term(0) || seen.voted_for.is_some();
        let votes = seen.voters.iter().any(|voters| voters.contains(&seen.member));
        let had_committed = votes && has_log && seen.committed.is_some();
        let now = Known { node: seen.node, had_committed, had_term: has_term };
        let known = self.known.entry((seen.group, seen.member)).or_insert(now);
        let what = if known.node != seen.node {
            "is on two nodes"
        } else if known.had_committed && !has_log {
            "comes back with an empty log"
        } else if known.had_term && !has_term {
            "comes back without its term and vote"
        } else {
            known.had_committed |= now.had_committed;
            known.had_term |= has_term;
            return Ok(());
        };
        let evidence = format!("{:?} {:?} of {:?} {what}: {now:?} after {known:?}", seen.group, seen.member, seen.boot);
        Err(Violation { property: "replica ids are used once", evidence })
    }
}

//! No member's id is used twice: a member that has had anything never comes back with nothing, none is on two nodes, and
//! none that is gone comes back in an older life of its node.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::client::NodeIndex;
use crate::observation::{GroupId, MemberId, Observation, Term};

#[derive(Clone, Copy, Debug)]
struct Known {
    node: NodeIndex,
    had_log: bool,
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
        let now = Known { node: seen.node, had_log: has_log, had_term: has_term };
        let known = self.known.entry((seen.group, seen.member)).or_insert(now);
        let what = if known.node != seen.node {
            "is on two nodes"
        } else if known.had_log && !has_log {
            "comes back with an empty log"
        } else if known.had_term && !has_term {
            "comes back without its term and vote"
        } else {
            known.had_log |= has_log;
            known.had_term |= has_term;
            return Ok(());
        };
        let evidence = format!("{:?} {:?} of {:?} {what}: {now:?} after {known:?}", seen.group, seen.member, seen.boot);
        Err(Violation { property: "replica ids are used once", evidence })
    }
}

//! At most one member of a group leads in a term.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::client::NodeIndex;
use crate::observation::{GroupId, MemberId, Observation, Role, Term};

/// Leaders seen so far.
#[derive(Debug, Default)]
pub struct Checker {
    leaders: BTreeMap<(GroupId, Term), (MemberId, NodeIndex)>,
}

impl Checker {
    /// Looks at one member.
    pub fn look(&mut self, seen: &Observation) -> Result<(), Violation> {
        if seen.role != Role::Leader {
            return Ok(());
        }
        let leader = (seen.member, seen.node);
        let known = *self.leaders.entry((seen.group, seen.term)).or_insert(leader);
        if known == leader {
            return Ok(());
        }
        let evidence = format!("{:?}: in {:?} both {known:?} and {leader:?} lead", seen.group, seen.term);
        Err(Violation { property: "election safety", evidence })
    }
}

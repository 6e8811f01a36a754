//! While a member answers reads by itself, nobody leads in a later term: what that one is told could not be in the answers
//! (Ongaro's dissertation, section 6.4.1). Whether a client happened to ask at that moment does not matter.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::client::{Micros, NodeIndex};
use crate::observation::{GroupId, Lease, MemberId, Observation, Role, Term};

/// The newest leader of each group.
#[derive(Debug, Default)]
pub struct Checker {
    newest: BTreeMap<GroupId, (Term, MemberId, NodeIndex)>,
}

impl Checker {
    /// Looks at one member.
    pub fn look(&mut self, seen: &Observation) {
        if seen.role == Role::Leader {
            let leader = (seen.term, seen.member, seen.node);
            let newest = self.newest.entry(seen.group).or_insert(leader);
            *newest = (*newest).max(leader);
        }
    }

    /// Where the newest of the groups is led.
    pub fn leader(&self) -> Option<NodeIndex> {
        self.newest.last_key_value().map(|(_, (_, _, node))| *node)
    }

    /// Looks at a lease that has not run out.
    pub fn held(&self, at: Micros, lease: &Lease) -> Result<(), Violation> {
        let later = self.newest.get(&lease.group).filter(|(term, ..)| *term > lease.term);
        let Some((term, leader, _)) = later else { return Ok(()) };
        let Lease { group, member, node, term: held } = lease;
        let evidence = format!(
            "at {} us, {group:?}: {member:?} on {node:?} has a lease in {held:?}, and {leader:?} was elected in {term:?}",
            at.0
        );
        Err(Violation { property: "a lease is exclusive", evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Boot;

    fn leader(member: u64, term: u64) -> Observation {
        Observation {
            group: GroupId(1),
            member: MemberId(member),
            node: NodeIndex(0),
            boot: Boot(1),
            term: Term(term),
            voted_for: None,
            role: Role::Leader,
            last: None,
            committed: None,
            applied: None,
            purged: None,
            voters: Vec::new(),
            digest: None,
            truncated_from: None,
            appended: Vec::new(),
        }
    }

    fn lease(group: u64, term: u64) -> Lease {
        Lease { group: GroupId(group), member: MemberId(1), node: NodeIndex(0), term: Term(term) }
    }

    #[test]
    fn a_lease_of_the_newest_leader_is_right_and_an_older_one_is_not() {
        let mut checker = Checker::default();
        assert!(checker.held(Micros(1), &lease(1, 3)).is_ok());
        checker.look(&leader(1, 3));
        assert!(checker.held(Micros(2), &lease(1, 3)).is_ok());
        checker.look(&leader(2, 5));
        assert!(checker.held(Micros(3), &lease(1, 5)).is_ok());
        assert!(checker.held(Micros(3), &lease(2, 3)).is_ok(), "another group");
        let found = checker.held(Micros(3), &lease(1, 3)).unwrap_err();
        assert_eq!(found.property, "a lease is exclusive");
        checker.look(&leader(1, 4));
        assert!(checker.held(Micros(4), &lease(1, 4)).is_err(), "seen late, and older all the same");
    }
}

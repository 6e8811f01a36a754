//! Nothing goes back that must not: the term and the vote never, what is applied, committed and purged not within a life of
//! the node; and what is applied is committed, what is purged applied.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::observation::{Boot, GroupId, Index, MemberId, Observation, Term};

#[derive(Clone, Copy, Debug)]
struct Known {
    boot: Boot,
    term: Term,
    voted_for: Option<MemberId>,
    committed: Option<Index>,
    applied: Option<Index>,
    purged: Option<Index>,
}

/// Members as they were last seen.
#[derive(Debug, Default)]
pub struct Checker {
    known: BTreeMap<(GroupId, MemberId), Known>,
}

impl Checker {
    /// Looks at one member.
    pub fn look(&mut self, seen: &Observation) -> Result<(), Violation> {
        let now = Known {
            boot: seen.boot,
            term: seen.term,
            voted_for: seen.voted_for,
            committed: seen.committed,
            applied: seen.applied,
            purged: seen.purged,
        };
        let before = self.known.insert((seen.group, seen.member), now);
        let wrong = within(&now).or_else(|| before.and_then(|before| since(&before, &now)));
        let Some(what) = wrong else { return Ok(()) };
        let evidence =
            format!("{:?} {:?} on {:?}: {what}: {now:?} after {before:?}", seen.group, seen.member, seen.node);
        Err(Violation { property: "nothing goes back", evidence })
    }
}

fn within(now: &Known) -> Option<&'static str> {
    if now.applied > now.committed {
        return Some("more is applied than committed");
    }
    (now.purged > now.applied).then_some("more is purged than applied")
}

fn since(before: &Known, now: &Known) -> Option<&'static str> {
    if now.boot < before.boot {
        return Some("an earlier life of the node is seen again");
    }
    if now.term < before.term {
        return Some("the term went back");
    }
    // A vote is not remembered beside the leader that it may have been for.
    let both = before.voted_for.zip(now.voted_for);
    if now.term == before.term && both.is_some_and(|(before, now)| before != now) {
        return Some("the vote of a term changed");
    }
    // A purge is a record like others: power that is lost before it is synced brings back entries that a checkpoint holds too.
    if now.boot > before.boot {
        return None;
    }
    if now.purged < before.purged {
        return Some("what was purged is back");
    }
    if now.committed < before.committed {
        return Some("what is committed went back");
    }
    (now.applied < before.applied).then_some("what is applied went back")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(boot: u64, purged: u64) -> Known {
        let (committed, applied) = (Some(Index(9)), Some(Index(9)));
        Known { boot: Boot(boot), term: Term(2), voted_for: None, committed, applied, purged: Some(Index(purged)) }
    }

    #[test]
    fn a_purge_that_was_not_synced_may_be_lost_with_the_power_and_not_otherwise() {
        assert_eq!(since(&known(1, 7), &known(2, 5)), None);
        assert_eq!(since(&known(1, 7), &known(1, 5)), Some("what was purged is back"));
        assert_eq!(since(&known(1, 5), &known(1, 7)), None);
    }
}

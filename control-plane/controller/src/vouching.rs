//! When enough others have said that they know no newer opening of a node's directory.
//!
//! A registration is known to a majority of those that vote on the cluster state, at the least. One of them may be the very
//! node that asks, which would have forgotten it with the rest. So with the asker left out:
//!
//! - one word is enough of a node that has just confirmed, by a quorum without the asker, that it knows everything;
//! - else all the words are that take a quorum to contradict: more than half of the voters, rounded up, without the asker;
//! - else a majority together with the asker, so that a cluster starts again of which a minority is gone for good. Then a
//!   directory that was set back may pass for the newest one, if the others of those who knew better are gone too: more
//!   than a minority has lost something.

use std::collections::BTreeSet;

use photondb_proto::NodeId;

/// What was heard so far.
pub(crate) struct Vouching {
    me: NodeId,
    /// Who votes; in the middle of a change, in each of its halves.
    voters: Vec<BTreeSet<NodeId>>,
    heard: BTreeSet<NodeId>,
    confirmed: bool,
}

impl Vouching {
    /// Nothing was heard yet.
    pub fn new(me: NodeId, voters: Vec<BTreeSet<NodeId>>) -> Vouching {
        Vouching { me, voters, heard: BTreeSet::new(), confirmed: false }
    }

    /// `node` knows of nothing newer.
    pub fn hear(&mut self, node: NodeId, confirmed: bool) {
        self.heard.insert(node);
        self.confirmed |= confirmed;
    }

    /// Whether that is enough; `impatient`: better words were waited for.
    pub fn suffices(&self, impatient: bool) -> bool {
        let is_enough = |voters: &BTreeSet<NodeId>| {
            let others = voters.iter().filter(|voter| **voter != self.me && self.heard.contains(voter)).count();
            let wanted = match impatient || voters.len() < 2 {
                true => voters.len() / 2,
                false => voters.len().div_ceil(2),
            };
            others >= wanted
        };
        self.confirmed || self.voters.iter().all(is_enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(voters: &[u128], heard: &[u128], expect: [bool; 2]) {
        let set: BTreeSet<NodeId> = voters.iter().copied().map(NodeId).collect();
        let mut vouching = Vouching::new(NodeId(1), vec![set]);
        heard.iter().for_each(|node| vouching.hear(NodeId(*node), false));
        assert_eq!([false, true].map(|impatient| vouching.suffices(impatient)), expect, "{heard:?} of {voters:?}");
    }

    #[test]
    fn words_that_may_be_wrong_are_taken_after_a_while() {
        check(&[1, 2, 3], &[], [false, false]);
        check(&[1, 2, 3], &[2], [false, true]);
        check(&[1, 2, 3], &[2, 3], [true, true]);
        check(&[1, 2, 3, 4, 5], &[2, 3], [false, true]);
        check(&[1, 2, 3, 4, 5], &[2, 3, 5], [true, true]);
        check(&[1, 2, 3, 4], &[2, 3], [true, true]);
        check(&[1, 2], &[], [false, false]);
        check(&[1, 2], &[2], [true, true]);
    }

    #[test]
    fn who_is_alone_asks_nobody_and_only_voters_count() {
        check(&[1], &[], [true, true]);
        check(&[1, 2, 3], &[7, 8, 9], [false, false]);
        check(&[2, 3, 4], &[2, 3], [true, true]);
    }

    #[test]
    fn one_confirmed_word_is_enough() {
        let set: BTreeSet<NodeId> = [1, 2, 3, 4, 5].map(NodeId).into();
        let mut vouching = Vouching::new(NodeId(1), vec![set]);
        vouching.hear(NodeId(9), true);
        assert!(vouching.suffices(false));
    }

    #[test]
    fn no_two_quorums_hide_a_registration_from_the_words_that_are_certain() {
        for count in 2..=7u128 {
            let voters: Vec<NodeId> = (1..=count).map(NodeId).collect();
            let quorum = voters.len() / 2 + 1;
            for knowing in subsets(&voters).filter(|knowing| knowing.len() >= quorum) {
                for heard in subsets(&voters[1..]).filter(|heard| heard.is_disjoint(&knowing)) {
                    let mut vouching = Vouching::new(NodeId(1), vec![voters.iter().copied().collect()]);
                    heard.iter().for_each(|node| vouching.hear(*node, false));
                    assert!(!vouching.suffices(false), "{heard:?} knew nothing of what {knowing:?} did");
                }
            }
        }
    }

    fn subsets(nodes: &[NodeId]) -> impl Iterator<Item = BTreeSet<NodeId>> + '_ {
        (0..1u32 << nodes.len()).map(|bits| {
            let chosen = nodes.iter().enumerate().filter(|(number, _)| bits >> number & 1 == 1);
            chosen.map(|(_, node)| *node).collect()
        })
    }
}

//! Who holds the cluster state itself.

use std::collections::BTreeSet;

use photondb_proto::{MemberId, NodeId};

use super::place::crowd;
use crate::membership::Node;
use crate::state::ClusterState;

/// Who votes in the group of the cluster state: one of one or two nodes, three of three or four, five of five or six, and
/// never more than seven. `voting` are those that vote now; who votes stays, unless it is lost or to leave, so that a node
/// that is only away changes nothing.
pub fn meta_voters(state: &ClusterState, voting: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    let mut candidates: Vec<&Node> =
        state.nodes().map(|node| &**node).filter(|node| !node.is_to_be_replaced()).collect();
    let wanted = match candidates.len() {
        0..=2 => 1,
        3..=4 => 3,
        5..=6 => 5,
        _ => 7,
    };
    candidates.retain(|node| voting.contains(&node.meta) || node.is_up());
    let mut taken: Vec<NodeId> = Vec::with_capacity(wanted);
    let mut chosen = BTreeSet::new();
    // Among those that vote, who is away goes first when fewer are wanted; who is new comes from a zone that has fewest.
    while let Some(node) =
        candidates.iter().filter(|node| !taken.contains(&node.id) && taken.len() < wanted).min_by_key(|node| {
            let crowd = crowd(state, taken.iter().copied(), node);
            (!voting.contains(&node.meta), !node.is_up(), crowd, node.meta)
        })
    {
        taken.push(node.id);
        chosen.insert(node.meta);
    }
    // An even number of voters bears no more losses than one less; the change to three is made at once.
    if chosen.len() < wanted || chosen.is_empty() { keep(state, voting, chosen) } else { chosen }
}

/// Fewer are there than are wanted: those that vote go on, without whom the others would be no majority of them.
fn keep(state: &ClusterState, voting: &BTreeSet<MemberId>, chosen: BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    let known = |member: &MemberId| state.nodes().any(|node| node.meta == *member);
    let staying: BTreeSet<MemberId> = voting.iter().copied().filter(known).collect();
    if staying.is_empty() { chosen } else { staying }
}

/// Who watches the cluster state without voting: every other node that is not lost.
pub fn meta_learners(state: &ClusterState, voters: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    state.nodes().filter(|node| !node.is_lost()).map(|node| node.meta).filter(|meta| !voters.contains(meta)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Incarnation, apply};

    #[test]
    fn those_who_vote_are_in_different_zones_and_stay() {
        let mut state = ClusterState::at_birth();
        let register = |state: &mut ClusterState, id: u128, zone: &str| {
            let tags = [format!("zone-{zone}")].into();
            let (name, incarnation) = (format!("n{id}"), Incarnation(1));
            let id = NodeId(id);
            apply(state, &Command::RegisterNode { id, name, tags, addresses: vec![], boots: 1, incarnation }).unwrap();
            state.node(id).unwrap().meta
        };
        let first = register(&mut state, 1, "a");
        let _beside = register(&mut state, 2, "a");
        let alone = meta_voters(&state, &BTreeSet::from([first]));
        assert_eq!(alone, [first].into());
        let [third, fourth] = [(3, "b"), (4, "c")].map(|(id, zone)| register(&mut state, id, zone));
        let three = meta_voters(&state, &alone);
        assert_eq!(three, [first, third, fourth].into());
        // Two more in a zone where somebody votes, one in a new one.
        let [_fifth, sixth] = [(5, "b"), (6, "d")].map(|(id, zone)| register(&mut state, id, zone));
        let five = meta_voters(&state, &three);
        assert!(five.is_superset(&three) && five.contains(&sixth) && five.len() == 5, "{five:?}");
    }
}

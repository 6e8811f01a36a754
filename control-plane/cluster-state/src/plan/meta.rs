//! Who holds the cluster state itself.

use std::collections::BTreeSet;

use photondb_proto::MemberId;

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
    // Among those that vote, who is away goes first when fewer are wanted.
    candidates.sort_by_key(|node| (!voting.contains(&node.meta), !node.is_up(), node.meta));
    let chosen: BTreeSet<MemberId> = candidates.into_iter().take(wanted).map(|node| node.meta).collect();
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

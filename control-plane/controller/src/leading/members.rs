//! Keeps the group of the cluster state itself on enough nodes: everybody who is not lost has a member, a few vote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::plan::{meta_learners, meta_voters};
use photondb_cluster_state::{ClusterState, Node, Service};
use photondb_consensus::{ConsensusError, Group, Successor};
use photondb_proto::{MemberId, NodeId};
use photondb_storage::fault::buggify;

use super::Heard;
use crate::controller::Inner;
use crate::limits::CAUGHT_UP_ENTRIES;

/// One change of the group, if one is due. Each may be repeated, by this leader or the next.
pub(super) async fn keep(inner: &Inner, state: &ClusterState) -> Result<(), ConsensusError> {
    let Some(group) = inner.group.get() else { return Ok(()) };
    let members = group.membership();
    let voting = members.all_voters();
    let wanted = meta_voters(state, &voting);
    let learning = meta_learners(state, &wanted);
    // Nobody is registered yet, not even this node.
    if wanted.is_empty() || state.node(inner.me.node).is_none() {
        return Ok(());
    }
    if buggify!("controller/members-kept-late") {
        return Ok(());
    }
    if buggify!("controller/leadership-given-away")
        && let Some(other) = voting.iter().find(|voter| **voter != group.member() && has_caught_up(group, **voter))
    {
        return group.transfer_leadership(*other).await;
    }
    if let Some(to) = who_serves(inner, state, group, (&wanted, &voting)) {
        tracing::info!(%to, "this node is to lead nothing: another leads the cluster state from now on");
        return group.transfer_leadership(to).await;
    }
    if members.is_joint() {
        photondb_storage::probe!("joint change of the cluster state's group taken over");
        return group.change_voters(wanted, members.position).await.map(|_| ());
    }
    for node in state.nodes().filter(|node| !node.is_lost() || is_heard_after_its_end(inner, state, node)) {
        if !members.nodes.contains_key(&node.meta) {
            tracing::info!(node = %node.name, member = %node.meta, "a node begins to watch the cluster state");
            return group.add_learner(node.meta, node.id).await;
        }
    }
    let ready = wanted.difference(&voting).all(|member| has_caught_up(group, *member));
    if wanted != voting && ready {
        if !wanted.contains(&group.member()) {
            return hand_over(inner, group, state, (&wanted, &voting)).await;
        }
        tracing::info!(?wanted, "the voters of the cluster state change");
        return group.change_voters(wanted, members.position).await.map(|_| ());
    }
    let useless = |member: &&MemberId| !learning.contains(member) && !wanted.contains(member);
    let gone = members.learners.iter().filter(useless).find(|member| !has_yet_to_hear(inner, state, **member));
    match gone {
        Some(gone) => group.remove_learner(*gone).await,
        None => Ok(()),
    }
}

/// Lets another node lead when the disk of this one is full and that of the other is not. Whether one was told to.
pub(super) async fn lead_where_space_is(inner: &Inner, state: &ClusterState) -> Result<bool, ConsensusError> {
    let Some(group) = inner.group.get().filter(|_| !inner.parts.engine.has_space()) else { return Ok(false) };
    let Some(to) = who_has_space(inner, state, group) else { return Ok(false) };
    tracing::warn!(%to, "the disk is full: another node leads the cluster state from now on");
    photondb_storage::probe!("cluster state led by another because the disk is full");
    group.transfer_leadership(to).await.map(|()| true)
}

/// Whether the node's member votes.
pub(super) fn votes(inner: &Inner, state: &ClusterState, node: NodeId) -> bool {
    let Some((group, node)) = inner.group.get().zip(state.node(node)) else { return true };
    let (in_force, committed) = (group.membership(), group.committed_membership());
    [in_force, committed].iter().any(|members| members.all_voters().contains(&node.meta))
}

/// Another voter, when this node is to lead nothing: an heir whose disk has space. One whose disk is full would let somebody lead whose disk
/// is not, and that one may let this node lead again, which is to change who votes. So while all heirs are full this node leads on, and
/// changes it. A node that loses its vote itself cannot, nor is it let lead again: in its place any voter leads whose disk has space. Where
/// this node has no space either, an heir leads that has none.
fn who_serves(
    inner: &Inner,
    state: &ClusterState,
    group: &Group,
    (wanted, voting): (&BTreeSet<MemberId>, &BTreeSet<MemberId>),
) -> Option<MemberId> {
    if state.node(inner.me.node).is_none_or(|node| node.service == Service::Full) {
        return None;
    }
    let (heard, heirs) = (inner.heard.lock(), heirs(wanted, voting));
    let first = |of: &BTreeSet<MemberId>, has_space: bool| {
        let mut said = successors(state, group, &heard, of);
        said.find(|node| heard.has_space(node.id) == Some(has_space)).map(|node| node.meta)
    };
    if let Some(heir) = successors(state, group, &heard, &heirs).find(|node| heard.has_space(node.id) != Some(false)) {
        // Who has said nothing yet does so within a heartbeat.
        return heard.has_space(heir.id).map(|_| heir.meta);
    }
    let goes = !wanted.contains(&group.member());
    let full = || first(&heirs, false).filter(|_| !inner.parts.engine.has_space());
    first(voting, true).filter(|_| goes).or_else(full)
}

/// One look of a leader that is about to stop: it was elected since, or nobody could lead in its place when it was asked.
pub(super) async fn lead_before_stop(inner: &Inner) -> Result<(), ConsensusError> {
    match (inner.group.get(), successor(inner)) {
        (Some(group), Successor::Is(to)) => group.transfer_leadership(to).await,
        _ => Ok(()),
    }
}

/// Who is to lead in place of this node, which is about to stop: of those who can at once and have said that they go on, one that may
/// lead, then one whose disk has space, then one that goes on voting.
pub(crate) fn successor(inner: &Inner) -> Successor {
    let Some(group) = inner.group.get() else { return Successor::Nobody };
    let state = inner.replicated.state();
    let voting = group.membership().all_voters();
    let staying = staying(&meta_voters(&state, &voting), &voting);
    let mut others = voting;
    others.retain(|voter| *voter != group.member() && group.has_heard(*voter));
    let heard = inner.heard.lock();
    let nodes = || state.nodes().filter(|node| others.contains(&node.meta));
    if nodes().all(|node| heard.is_stopping(node.id)) {
        return Successor::Nobody;
    }
    let able = nodes().filter(|node| !heard.is_stopping(node.id) && is_able(group, node.meta));
    // Who has said nothing yet does so within a heartbeat.
    let ranked = able.filter_map(|node| {
        let has_space = heard.has_space(node.id)?;
        Some((!node.is_open(), !has_space, !staying.contains(&node.meta), node.meta))
    });
    ranked.min().map_or(Successor::NotYet, |(.., to)| Successor::Is(to))
}

/// Those who vote and go on voting. Another would let one of them lead in its turn, be it one that is to lead nothing: the two would
/// go on with that for ever, and none of them changes who votes. Before one of them votes, all who do.
fn heirs(wanted: &BTreeSet<MemberId>, voting: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    let staying = staying(wanted, voting);
    if staying.is_empty() { voting.clone() } else { staying }
}

fn staying(wanted: &BTreeSet<MemberId>, voting: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    wanted.intersection(voting).copied().collect()
}

/// Another voter, when the disk of this node is full: one whose disk is not. One that goes on voting, if there is such: another one would
/// have to let one of those lead.
fn who_has_space(inner: &Inner, state: &ClusterState, group: &Group) -> Option<MemberId> {
    let voting = group.membership().all_voters();
    let staying = staying(&meta_voters(state, &voting), &voting);
    let heard = inner.heard.lock();
    let with_space = |of: &BTreeSet<MemberId>| {
        let mut others = successors(state, group, &heard, of).filter(|node| node.id != inner.me.node);
        others.find(|node| heard.has_space(node.id) == Some(true)).map(|node| node.meta)
    };
    with_space(&staying).or_else(|| with_space(&voting))
}

/// Whether none of these nodes has space. Who has said nothing yet may have some, and says so within a heartbeat. Of nobody it is true.
fn none_has_space<'a>(heard: &Heard, mut nodes: impl Iterator<Item = &'a Arc<Node>>) -> bool {
    nodes.all(|node| heard.has_space(node.id) == Some(false))
}

/// Those `of` the voters who have everything and answer, on nodes that may lead and are not about to stop.
fn successors<'a>(
    state: &'a ClusterState,
    group: &Group,
    heard: &Heard,
    of: &BTreeSet<MemberId>,
) -> impl Iterator<Item = &'a Arc<Node>> {
    ready(state, group, of).filter(|node| node.is_open() && !heard.is_stopping(node.id))
}

/// Those `of` the voters who have everything and answer.
fn ready<'a>(state: &'a ClusterState, group: &Group, of: &BTreeSet<MemberId>) -> impl Iterator<Item = &'a Arc<Node>> {
    state.nodes().filter(|node| of.contains(&node.meta) && is_able(group, node.meta))
}

/// Whether a voter can lead at once.
fn is_able(group: &Group, member: MemberId) -> bool {
    has_caught_up(group, member) && group.hears(member)
}

/// Whether it is the member of a node that has gone and still runs: it hears of that as long as it is a member, and ends.
fn has_yet_to_hear(inner: &Inner, state: &ClusterState, member: MemberId) -> bool {
    let (heard, now) = (inner.heard.lock(), inner.parts.clock.now());
    let timeout = Duration::from_secs(state.heartbeat_timeout_secs());
    let mut gone = state.nodes().filter(|node| node.service == Service::Gone && node.meta == member);
    gone.any(|node| heard.silent(node, now) < timeout)
}

/// Whether it has gone, and says that it lives: it was away when it went, and has to hear of that.
fn is_heard_after_its_end(inner: &Inner, state: &ClusterState, node: &Node) -> bool {
    let timeout = Duration::from_secs(state.heartbeat_timeout_secs());
    node.service == Service::Gone && inner.heard.lock().has_heard(node, inner.parts.clock.now(), timeout)
}

/// Whether a member lacks so little that it may vote.
fn has_caught_up(group: &Group, member: MemberId) -> bool {
    let last = group.observe().last.map_or(0, |last| last.index);
    let matched = group.matched().get(&member).copied().flatten();
    matched.is_some_and(|matched| matched.index + CAUGHT_UP_ENTRIES >= last)
}

/// Another makes the change in which this member loses its vote: one whose disk has space. One whose disk is full would let this one lead
/// again, without end.
async fn hand_over(
    inner: &Inner,
    group: &Group,
    state: &ClusterState,
    (wanted, voting): (&BTreeSet<MemberId>, &BTreeSet<MemberId>),
) -> Result<(), ConsensusError> {
    let staying = staying(wanted, voting);
    let (to, nobody_can) = {
        let heard = inner.heard.lock();
        let has_space = |node: &&Arc<Node>| heard.has_space(node.id) == Some(true);
        let to = successors(state, group, &heard, &staying).find(has_space);
        // Be it that there is none at all.
        let nobody_can = none_has_space(&heard, successors(state, group, &heard, &staying));
        // Rather one that is to lead nothing than this one, which is to have no vote.
        let drained = || ready(state, group, &staying).find(has_space).filter(|_| nobody_can);
        (to.or_else(drained).map(|node| node.meta), nobody_can)
    };
    match to {
        Some(to) => group.transfer_leadership(to).await,
        // Nobody who could lead votes yet and stays: those who come do, beside those who go, and then one of them takes over.
        None if nobody_can && !wanted.is_subset(voting) => {
            let all = wanted.union(voting).copied().collect();
            group.change_voters(all, group.membership().position).await.map(|_| ())
        }
        // Who has said nothing yet does so within a heartbeat; who has no space, when there is some.
        None => Ok(()),
    }
}

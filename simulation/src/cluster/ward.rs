//! Whose copies are whole: a disk may lose what it holds only while, in every group, a majority of those that vote has lost
//! nothing. What a member has lost it never gets back; it is whole again as another member, which the group fills.

use std::collections::{BTreeMap, BTreeSet};

use photondb_cluster_state::{ClusterState, Member, Role, Shard, Table};
use photondb_consensus::{Group, LogPosition, Members};
use photondb_proto::{GroupId, MemberId, NodeId};

use super::fault::Place;
use super::observe::Living;

/// What is known of every group's members, and which of them have lost something.
#[derive(Debug, Default)]
pub struct Ward {
    /// Who lives, or has lived, at each place.
    nodes: BTreeMap<NodeId, Place>,
    groups: BTreeMap<GroupId, Memberships>,
    /// Every member that a group ever had.
    members: BTreeSet<(GroupId, MemberId)>,
    /// Those that were seen to run.
    seen: BTreeSet<MemberId>,
    /// Those that may have lost something.
    broken: BTreeSet<MemberId>,
    /// Those that can never go on, and know it.
    gone: BTreeSet<MemberId>,
    /// Those that were on a disk that is lost, with its node. One that nobody had committed yet may be another node's later (101777).
    gone_with: BTreeMap<MemberId, NodeId>,
    /// Nodes whose disk is lost. Until others have missed one, it is still given members, which will never be there (41405).
    lost: BTreeSet<NodeId>,
    /// Where a disk has lost something that nobody has seen yet: who is put there meanwhile loses it, too.
    unseen: BTreeSet<Place>,
}

/// Memberships that may be in force somewhere.
#[derive(Debug, Default)]
struct Memberships {
    committed: Option<LogPosition>,
    known: BTreeMap<Option<LogPosition>, Members>,
}

impl Ward {
    /// Looks at what a process at `place` knows.
    pub fn look(&mut self, place: Place, living: &Living) {
        if let Some(node) = living.engine.identity().node {
            self.nodes.insert(NodeId(node), place);
        }
        living.groups.list().iter().for_each(|group| self.look_at(group));
    }

    /// Where the node lives.
    pub fn place_of(&self, node: NodeId) -> Option<Place> {
        self.nodes.get(&node).copied()
    }

    /// Who lives, or has lived, at a place, in the order of their numbers.
    pub fn nodes_at(&self, place: Place) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, at)| **at == place).map(|(node, _)| *node).collect()
    }

    /// Looks at what one member knows of its group.
    pub fn look_at(&mut self, group: &Group) {
        self.seen.insert(group.member());
        let memberships = self.groups.entry(group.id()).or_default();
        let (committed, newest) = (group.committed_membership(), group.membership());
        memberships.committed = memberships.committed.max(committed.position);
        self.members.extend(newest.nodes.keys().map(|member| (group.id(), *member)));
        for members in [committed, newest] {
            memberships.known.insert(members.position, members);
        }
        let settled = memberships.committed;
        memberships.known.retain(|position, _| *position >= settled);
    }

    /// Whether the member belonged to the group.
    pub fn was_in(&self, group: GroupId, member: MemberId) -> bool {
        self.members.contains(&(group, member))
    }

    /// Whether the disk at `place` may lose what it holds, by what `states`, those that are known on living nodes, say.
    pub fn may_lose(&self, place: Place, states: &[ClusterState]) -> bool {
        let mut lost = self.broken_with(place, states);
        // A founder that is borne by another shard's member is nothing until it is; it may never be, if that one got a snapshot (3958155625).
        let borne = states.iter().flat_map(ClusterState::tables).flat_map(|table| &table.shards);
        let founders = borne.filter(|shard| shard.parent.is_some()).flat_map(|shard| &shard.founders);
        lost.extend(founders.map(|founder| founder.id).filter(|founder| !self.seen.contains(founder)));
        let whole = |voters: &BTreeSet<MemberId>| {
            let left = voters.difference(&lost).count();
            voters.is_empty() || 2 * left > voters.len()
        };
        let shards = || states.iter().flat_map(ClusterState::tables).flat_map(|table| &table.shards);
        let wanted: BTreeSet<GroupId> = shards().map(|shard| GroupId::from(shard.id)).chain([GroupId::META]).collect();
        let in_force = self.groups.iter().filter(|(group, _)| wanted.contains(group));
        let mut in_force = in_force.flat_map(|(_, known)| known.known.values()).flat_map(|members| &members.voters);
        let mut planned = shards()
            .map(|shard| shard.founders.iter().map(|founder| founder.id).collect())
            .zip(shards().map(|shard| shard.reached.is_some()))
            .filter_map(|(founders, begun)| (!begun).then_some(founders));
        // What is made now may be put on nodes that are lost and not missed yet: a majority of it would never be there (20110).
        let missed = |node: &NodeId| states.iter().any(|state| state.node(*node).is_some_and(|node| !node.is_up()));
        let all_missed = self.lost.iter().filter(|node| self.nodes.get(node) != Some(&place)).all(missed);
        // Before anybody is known to vote, who founds a cluster is all there is of it (51611).
        let meta = self.groups.get(&GroupId::META).into_iter().flat_map(|known| known.known.values());
        let founded = meta.flat_map(|members| &members.voters).any(|voters| !voters.is_empty());
        founded
            && all_missed
            && !states.is_empty()
            // A table may be made on this disk and that one.
            && self.unseen.iter().all(|at| *at == place)
            && in_force.all(whole)
            && states.iter().flat_map(ClusterState::tables).all(|table| are_whole_side_by_side(table, &lost))
            && planned.all(|voters: BTreeSet<MemberId>| whole(&voters))
    }

    /// The disk at `place` loses what it holds, or some of it, and nobody sees it.
    pub fn lose(&mut self, place: Place, states: &[ClusterState]) {
        self.broken = self.broken_with(place, states);
        self.unseen.insert(place);
    }

    /// Whatever member is at `place` can never go on, nor can the node.
    pub fn give_up(&mut self, place: Place, states: &[ClusterState]) {
        self.broken = self.broken_with(place, states);
        self.unseen.remove(&place);
        self.gone_with.extend(self.members_at(place, states));
        self.lost.extend(self.nodes.iter().filter(|(_, at)| **at == place).map(|(node, _)| *node));
    }

    /// A member that says so itself.
    pub fn give_up_member(&mut self, member: MemberId) {
        self.gone.insert(member);
    }

    fn broken_with(&self, place: Place, states: &[ClusterState]) -> BTreeSet<MemberId> {
        let unborn = self.members_on(|node| self.lost.contains(&node), states);
        let here = self.members_at(place, states);
        self.broken.iter().copied().chain(unborn.into_keys()).chain(here.into_keys()).collect()
    }

    /// Whether the member, on that node, can never go on.
    fn is_gone(&self, member: MemberId, node: Option<NodeId>) -> bool {
        self.gone.contains(&member)
            || self.gone_with.get(&member).is_some_and(|lost| node.is_none_or(|node| node == *lost))
    }

    fn members_at(&self, place: Place, states: &[ClusterState]) -> BTreeMap<MemberId, NodeId> {
        self.members_on(|node| self.nodes.get(&node) == Some(&place), states)
    }

    fn members_on(&self, here: impl Fn(NodeId) -> bool, states: &[ClusterState]) -> BTreeMap<MemberId, NodeId> {
        let memberships = self.groups.values().flat_map(|group| group.known.values());
        let members = memberships.flat_map(|members| &members.nodes);
        let known = members.filter(|(_, node)| here(**node)).map(|(member, node)| (*member, *node));
        let shards = states.iter().flat_map(ClusterState::tables).flat_map(|table| &table.shards);
        let planned = shards.flat_map(|shard| &shard.members).filter(|member| here(member.node));
        let nodes = states.iter().flat_map(ClusterState::nodes).filter(|node| here(node.id));
        let nodes = nodes.map(|node| (node.meta, node.id));
        known.chain(planned.map(|member| (member.id, member.node))).chain(nodes).collect()
    }

    /// What is still to be replaced, by `state`, the newest there is.
    pub fn unrestored(&self, state: &ClusterState) -> Vec<String> {
        let mut left = Vec::new();
        for shard in state.tables().flat_map(|table| &table.shards) {
            for member in shard.members.iter().filter(|member| self.is_gone(member.id, Some(member.node))) {
                left.push(format!(
                    "shard {} has member {}, {:?}, which lost its disk",
                    shard.id, member.id, member.role
                ));
            }
            if shard.members.len() < shard.placement.nodes().count() || shard.is_changing() {
                left.push(format!("shard {} has {:?} and wants {:?}", shard.id, shard.members, shard.placement));
            }
        }
        let members = self.groups.get(&GroupId::META).and_then(|meta| meta.known.values().next_back());
        if let Some(members) = members {
            for voter in members.voters.iter().flatten() {
                if self.is_gone(*voter, members.nodes.get(voter).copied()) {
                    left.push(format!("member {voter}, which lost its disk, votes on the cluster state"));
                }
            }
        }
        left
    }
}

/// Whether, of every two shards that are to be joined, a majority of the nodes has both whole: what one half has lost here and the other one
/// there is lost to the whole.
fn are_whole_side_by_side(table: &Table, lost: &BTreeSet<MemberId>) -> bool {
    let is_joined = |right: &&Shard| right.joining.is_some();
    table.shards.iter().filter(is_joined).filter_map(|right| Some((table.left_of(right.id)?, right))).all(
        |(left, right)| {
            let voters: Vec<_> = left.members.iter().filter(|member| member.role == Role::Voter).collect();
            let is_whole = |member: &&&Member| {
                let beside = right.member_on(member.node);
                !lost.contains(&member.id) && beside.is_none_or(|beside| !lost.contains(&beside.id))
            };
            voters.is_empty() || 2 * voters.iter().filter(is_whole).count() > voters.len()
        },
    )
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::{
        Attempt, Command, Compression, Durability, Incarnation, NewCut, NewShard, Reached, Stage, WriteAcks, apply,
    };
    use photondb_proto::{KeyRange, ShardId, TableId};

    use super::*;

    fn shards(state: &ClusterState) -> &[Shard] {
        &state.tables().next().unwrap().shards
    }

    /// Three nodes, at the places zero to two, with a table whose only shard was just cut.
    fn cut() -> (Ward, ClusterState) {
        let (mut ward, mut state) = (Ward::default(), ClusterState::at_birth());
        for (place, id) in (1..=3).map(NodeId).enumerate() {
            let (name, tags, addresses) = (format!("n{id}"), BTreeSet::new(), Vec::new());
            let register = Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation: Incarnation(1) };
            apply(&mut state, &register).unwrap();
            ward.nodes.insert(id, place);
        }
        let voters = vec![[1, 2, 3].map(|number| MemberId(1_000 + number)).into()];
        let meta = ward.groups.entry(GroupId::META).or_default();
        meta.known.insert(None, Members { voters, ..Members::default() });
        let create = Command::CreateTable {
            id: TableId(1),
            database: state.database_named("test").unwrap().id,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: vec![NewShard::voting(KeyRange::all(), [1, 2, 3].map(NodeId).into())],
            compression: Compression::None,
        };
        apply(&mut state, &create).unwrap();
        let Shard { id: shard, generation, members, placement, .. } = shards(&state)[0].clone();
        let voters = members.iter().map(|member| member.id).collect();
        let at = Reached { term: 1, index: 1 };
        let reached = Command::MembersReached { shard, generation, at, voters, learners: BTreeSet::new() };
        apply(&mut state, &reached).unwrap();
        let generation = shards(&state)[0].generation;
        let cuts = vec![NewCut { at: b"m".to_vec(), placement }];
        apply(&mut state, &Command::CutShard { shard, generation, cuts }).unwrap();
        let child: ShardId = shards(&state)[0].cuts[0].shard;
        apply(&mut state, &Command::ShardCut { shard, child }).unwrap();
        ward.seen.extend(members.iter().map(|member| member.id));
        (ward, state)
    }

    /// Each half has lost one member, on another node: of three nodes one alone has both.
    #[test]
    fn what_is_to_be_joined_is_whole_where_both_halves_are() {
        let (_, state) = cut();
        let mut table = (**state.tables().next().unwrap()).clone();
        let on = |shard: usize, node: u128| shards(&state)[shard].member_on(NodeId(node)).unwrap().id;
        let lost = BTreeSet::from([on(0, 1), on(1, 2)]);
        assert!(are_whole_side_by_side(&table, &lost));
        table.shards[1].joining = Some(Stage::Freezing);
        table.shards[1].attempt = Attempt(1);
        assert!(!are_whole_side_by_side(&table, &lost));
        assert!(are_whole_side_by_side(&table, &BTreeSet::from([on(0, 1), on(1, 1)])));
    }

    /// What was proposed and never committed gave a number to a member there; the same number is another's later.
    #[test]
    fn a_member_is_gone_with_its_node_alone() {
        let (mut ward, state) = cut();
        let member = shards(&state)[0].members.iter().find(|member| member.node == NodeId(1)).unwrap().id;
        ward.give_up(0, std::slice::from_ref(&state));
        assert!(ward.is_gone(member, Some(NodeId(1))) && ward.is_gone(member, None));
        assert!(!ward.is_gone(member, Some(NodeId(2))));
        ward.give_up_member(member);
        assert!(ward.is_gone(member, Some(NodeId(2))), "it says so itself");
    }

    #[test]
    fn a_founder_that_is_not_borne_counts_as_lost() {
        let (mut ward, state) = cut();
        let founders: Vec<MemberId> = shards(&state)[1].founders.iter().map(|founder| founder.id).collect();
        let may_lose =
            |ward: &Ward| (0..3).map(|place| ward.may_lose(place, std::slice::from_ref(&state))).collect::<Vec<_>>();
        assert_eq!(may_lose(&ward), [false; 3], "nobody has been borne");
        ward.seen.extend(&founders[..2]);
        assert_eq!(may_lose(&ward), [false, false, true], "who has nothing loses nothing");
        ward.seen.insert(founders[2]);
        assert_eq!(may_lose(&ward), [true; 3]);
    }
}

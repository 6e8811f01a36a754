//! How tables lie, looked at after every step: what is promised of those that vote, of those that never do, and of nodes that have gone.

use std::collections::{BTreeMap, BTreeSet};

use photondb_cluster_state::{ClusterState, Member, Role, Service, Shard};
use photondb_consensus::{LogPosition, Members};
use photondb_proto::{GroupId, MemberId, NodeId};

use super::Cluster;
use super::ending::known_state;
use crate::checker::Violation;
use crate::observation::{self, Observation};

/// On the way from one set of voters to another there are as many as are wanted, or as there were.
const FACTOR: &str = "no shard has fewer voters than are wanted";
const NONVOTING: &str = "who is never to vote does not";
const GONE: &str = "a node that has gone holds nothing";

/// What is known of all shards.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// How many changes of the cluster state are known.
    applied: Option<u64>,
    shards: BTreeMap<GroupId, Kept>,
    /// Who votes on the cluster state.
    meta: Committed,
    /// Members that were told to vote at any time.
    told_to_vote: BTreeSet<MemberId>,
    /// Members that are told not to vote, be it that they did before.
    nonvoting: BTreeSet<MemberId>,
    /// Members that have failed.
    failed: BTreeSet<MemberId>,
    /// Where members were told to be.
    nodes: BTreeMap<MemberId, NodeId>,
    /// Nodes that were given up at any time, and may be back.
    lost: BTreeSet<NodeId>,
}

/// What is known of a shard.
#[derive(Debug)]
struct Kept {
    /// The fewest voters that were ever wanted.
    least_wanted: usize,
    /// How many voted when nothing was on its way the last time. One that comes for another is not counted twice meanwhile.
    at_rest: usize,
    members: BTreeSet<MemberId>,
    /// Who began the group that it has instead of its first one.
    rescued_by: Option<MemberId>,
    /// Another shard has its keys.
    is_joined: bool,
    committed: Committed,
}

/// Voters whose election is committed, and where in the log.
#[derive(Debug, Default)]
struct Committed {
    position: Option<LogPosition>,
    voters: BTreeSet<MemberId>,
}

impl Kept {
    fn new(wanted: usize) -> Kept {
        let (members, committed) = (BTreeSet::new(), Committed::default());
        Kept { least_wanted: wanted, at_rest: wanted, members, rescued_by: None, is_joined: false, committed }
    }
}

impl Layout {
    /// The cluster state after so many changes. Errors: a node that has gone holds something.
    fn learn(&mut self, applied: u64, state: &ClusterState) -> Result<(), Violation> {
        self.applied = self.applied.max(Some(applied));
        self.lost.extend(state.nodes().filter(|node| node.is_lost()).map(|node| node.id));
        for shard in state.tables().flat_map(|table| table.with_members()) {
            self.learn_shard(shard);
        }
        let gone = state.nodes().filter(|node| node.service == Service::Gone);
        for node in gone {
            // A place that is given to it meanwhile is given to another; nobody begins to fill it.
            let holds = |shard: &&Shard| shard.members.iter().any(|member| member.node == node.id);
            if let Some(shard) = state.tables().flat_map(|table| &table.shards).find(holds) {
                let evidence = format!("{} has gone, and has a member of {}: {:?}", node.name, shard.id, shard.members);
                return Err(Violation { property: GONE, evidence });
            }
            if self.meta.voters.contains(&node.meta) {
                let evidence = format!("{} has gone, and votes on the cluster state as {}", node.name, node.meta);
                return Err(Violation { property: GONE, evidence });
            }
        }
        Ok(())
    }

    fn learn_shard(&mut self, shard: &Shard) {
        let wanted = shard.placement.voters.len();
        let kept = self.shards.entry(GroupId::from(shard.id)).or_insert_with(|| Kept::new(wanted));
        kept.least_wanted = kept.least_wanted.min(wanted);
        kept.is_joined |= shard.is_joined();
        if shard.rests() {
            kept.at_rest = shard.members.iter().filter(|member| member.role == Role::Voter).count();
        }
        kept.members = shard.members.iter().map(|member| member.id).collect();
        let rescued_by = shard.rescue.map(|rescue| rescue.founder);
        if kept.rescued_by != rescued_by {
            (kept.rescued_by, kept.committed) = (rescued_by, Committed::default());
        }
        for cut in &shard.cuts {
            let wanted = cut.placement.voters.len();
            let kept = self.shards.entry(GroupId::from(cut.shard)).or_insert_with(|| Kept::new(wanted));
            kept.least_wanted = kept.least_wanted.min(wanted);
            cut.members.iter().for_each(|member| self.learn_member(member));
        }
        shard.members.iter().for_each(|member| self.learn_member(member));
    }

    fn learn_member(&mut self, member: &Member) {
        self.nodes.insert(member.id, member.node);
        self.nonvoting.remove(&member.id);
        match member.role {
            Role::Voter | Role::Joining => self.told_to_vote.insert(member.id),
            Role::Nonvoting => self.nonvoting.insert(member.id),
            Role::Failed | Role::Discarded => self.failed.insert(member.id),
            Role::Leaving => false,
        };
    }

    /// Who votes on the cluster state, as a member of its group has it.
    fn note_meta(&mut self, members: &Members) {
        if self.meta.position < members.position {
            self.meta = Committed { position: members.position, voters: members.all_voters() };
        }
    }

    /// What is committed of who votes for a shard. Errors: one went before another had come, though as many are wanted.
    fn note(&mut self, group: GroupId, members: &Members) -> Result<(), Violation> {
        let Some(kept) = self.shards.get_mut(&group).filter(|kept| !kept.is_joined) else { return Ok(()) };
        if members.is_joint() || members.voters.is_empty() || members.position <= kept.committed.position {
            return Ok(());
        }
        let now = Committed { position: members.position, voters: members.all_voters() };
        let before = std::mem::replace(&mut kept.committed, now).voters;
        let now = &kept.committed.voters;
        let is_lost = |member: &MemberId| {
            let node_is_lost = self.nodes.get(member).is_none_or(|node| self.lost.contains(node));
            node_is_lost || self.failed.contains(member) || self.nonvoting.contains(member)
        };
        // Nobody is kept for the sake of one that was given up.
        let counts = |member: &&MemberId| now.contains(*member) || kept.members.contains(*member) && !is_lost(member);
        let needed = before.iter().filter(counts).count().min(kept.least_wanted).min(kept.at_rest);
        if now.len() >= needed {
            return Ok(());
        }
        let evidence = format!("{group:?} is voted for by {now:?} after {before:?}, though {needed} are wanted");
        Err(Violation { property: FACTOR, evidence })
    }

    /// Who takes part in a group. Errors: one of them votes that was never told to.
    fn look(&self, seen: &Observation) -> Result<(), Violation> {
        let voters = || seen.voters.iter().flatten().map(|voter| MemberId(voter.0));
        let wrong = |voter: &MemberId| self.nonvoting.contains(voter) && !self.told_to_vote.contains(voter);
        match voters().find(wrong) {
            None => Ok(()),
            Some(member) => {
                let evidence = format!("member {member} of group {:?} is among those that vote", seen.group);
                Err(Violation { property: NONVOTING, evidence })
            }
        }
    }
}

impl Cluster {
    /// Looks at what has changed in a step.
    pub(super) fn look_at_layout(&mut self, changed: &[Observation]) {
        let meta = observation::GroupId(GroupId::META.0);
        let (of_state, of_shards): (Vec<&Observation>, Vec<_>) = changed.iter().partition(|seen| seen.group == meta);
        let living = |seen: &Observation| Some(self.observers[seen.node.0].as_ref()?.living());
        for seen in of_state.iter().copied() {
            if let Some(group) = living(seen).and_then(|living| living.groups.find(GroupId::META)) {
                self.layout.note_meta(&group.committed_membership());
            }
        }
        for seen in of_state.iter().copied() {
            let is_newer = seen.applied.map(|applied| applied.0) > self.layout.applied;
            let known = living(seen).filter(|_| is_newer).and_then(known_state);
            if let Some((applied, state)) = known.filter(|(applied, _)| Some(*applied) > self.layout.applied) {
                self.judge.take(self.layout.learn(applied, &state));
            }
        }
        for seen in of_shards {
            let id = GroupId(seen.group.0);
            if let Some(group) = living(seen).and_then(|living| living.groups.find(id)) {
                self.judge.take(self.layout.note(id, &group.committed_membership()));
            }
            self.judge.take(self.layout.look(seen));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use photondb_cluster_state::{
        Command, Compression, Durability, Incarnation, Liveness, NewShard, Placement, Reached, WriteAcks, apply,
    };
    use photondb_consensus::Term;
    use photondb_proto::{KeyRange, TableId};

    use super::*;
    use crate::client::NodeIndex;
    use crate::observation::{Boot, Term as SeenTerm};

    /// So many nodes, and a table with one shard on the first three, which has reported.
    pub(in crate::cluster) fn table_of_three(nodes: u128) -> Arc<ClusterState> {
        let mut state = Arc::new(ClusterState::at_birth());
        for id in (1..=nodes).map(NodeId) {
            let (name, tags, addresses) = (format!("n{id}"), BTreeSet::new(), Vec::new());
            run(&mut state, Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation: Incarnation(1) });
        }
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
        run(&mut state, create);
        let (shard, generation, voters) = (shard(&state).id, shard(&state).generation, shard(&state).wanted_voters());
        let at = Reached { term: 1, index: 1 };
        run(&mut state, Command::MembersReached { shard, generation, at, voters, learners: BTreeSet::new() });
        state
    }

    fn run(state: &mut Arc<ClusterState>, command: Command) {
        apply(Arc::make_mut(state), &command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    fn shard(state: &ClusterState) -> &Shard {
        &state.tables().next().unwrap().shards[0]
    }

    fn on(state: &ClusterState, nodes: &[u128]) -> BTreeSet<MemberId> {
        nodes.iter().map(|node| shard(state).member_on(NodeId(*node)).unwrap().id).collect()
    }

    /// What is said when those vote on these nodes from that entry on.
    fn votes(layout: &mut Layout, state: &ClusterState, index: u64, nodes: &[u128]) -> Result<(), Violation> {
        let position = Some(LogPosition { term: Term(1), index });
        let members = Members { position, voters: vec![on(state, nodes)], ..Members::default() };
        layout.note(GroupId::from(shard(state).id), &members)
    }

    fn known(state: &ClusterState) -> Layout {
        let mut layout = Layout::default();
        layout.learn(1, state).unwrap();
        votes(&mut layout, state, 1, &[1, 2, 3]).unwrap();
        layout
    }

    #[test]
    fn a_voter_goes_when_another_has_come_or_fewer_are_wanted() {
        let mut state = table_of_three(4);
        assert_eq!(votes(&mut known(&state), &state, 2, &[1, 2]).unwrap_err().property, FACTOR);
        assert_eq!(votes(&mut known(&state), &state, 1, &[1, 2]), Ok(()), "that was known before");
        // Another one is wanted in the place of the third.
        let (id, generation) = (shard(&state).id, shard(&state).generation);
        run(&mut state, Command::Substitute { shard: id, lost: NodeId(3), by: NodeId(4) });
        let replaces = on(&state, &[3]).first().copied();
        run(&mut state, Command::AddMember { shard: id, generation, node: NodeId(4), votes: true, replaces });
        let learned = || {
            let mut layout = known(&table_of_three(4));
            layout.learn(2, &state).unwrap();
            layout
        };
        assert_eq!(votes(&mut learned(), &state, 2, &[1, 2, 4]), Ok(()));
        assert_eq!(votes(&mut learned(), &state, 2, &[1, 2]).unwrap_err().property, FACTOR);
        // Two are enough.
        let mut fewer = table_of_three(4);
        let placement = Placement { voters: [1, 2].map(NodeId).into(), nonvoting: BTreeSet::new() };
        run(&mut fewer, Command::PlaceShard { shard: id, placement });
        let mut layout = known(&table_of_three(4));
        layout.learn(2, &fewer).unwrap();
        assert_eq!(votes(&mut layout, &fewer, 2, &[1, 2]), Ok(()));
        assert_eq!(votes(&mut layout, &fewer, 3, &[1]).unwrap_err().property, FACTOR);
    }

    #[test]
    fn who_was_given_up_or_has_failed_may_go_before_another_has_come() {
        let mut state = table_of_three(3);
        let mut layout = known(&state);
        run(&mut state, Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Lost });
        layout.learn(2, &state).unwrap();
        // It is back, and has been given up all the same.
        run(&mut state, Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Up });
        layout.learn(3, &state).unwrap();
        assert_eq!(votes(&mut layout, &state, 2, &[1, 2]), Ok(()));
        let (mut state, member) = (table_of_three(3), on(&state, &[2]).first().copied().unwrap());
        let mut layout = known(&state);
        let failed = Command::MemberFailed { shard: shard(&state).id, member };
        run(&mut state, failed);
        layout.learn(2, &state).unwrap();
        assert_eq!(votes(&mut layout, &state, 2, &[1, 3]), Ok(()));
    }

    fn seen(state: &ClusterState, nodes: &[u128]) -> Observation {
        let voters = on(state, nodes).into_iter().map(|member| observation::MemberId(member.0)).collect();
        Observation {
            group: observation::GroupId(GroupId::from(shard(state).id).0),
            member: observation::MemberId(2),
            node: NodeIndex(0),
            boot: Boot(1),
            term: SeenTerm(1),
            voted_for: None,
            role: observation::Role::Follower,
            last: None,
            committed: None,
            applied: None,
            purged: None,
            voters: vec![voters],
            digest: None,
            truncated_from: None,
            appended: Vec::new(),
        }
    }

    #[test]
    fn who_is_never_to_vote_is_not_among_those_that_do() {
        let mut state = table_of_three(4);
        let (id, generation) = (shard(&state).id, shard(&state).generation);
        let placement = Placement { voters: [1, 2, 3].map(NodeId).into(), nonvoting: [NodeId(4)].into() };
        run(&mut state, Command::PlaceShard { shard: id, placement });
        run(&mut state, Command::AddMember { shard: id, generation, node: NodeId(4), votes: false, replaces: None });
        let mut layout = known(&table_of_three(4));
        layout.learn(2, &state).unwrap();
        assert_eq!(layout.look(&seen(&state, &[1, 2, 3])), Ok(()));
        assert_eq!(layout.look(&seen(&state, &[1, 2, 3, 4])).unwrap_err().property, NONVOTING);
        // It is told to.
        let (generation, member) = (shard(&state).generation, on(&state, &[4]).first().copied().unwrap());
        run(&mut state, Command::SetRole { shard: id, generation, member, role: Role::Joining });
        layout.learn(3, &state).unwrap();
        assert_eq!(layout.look(&seen(&state, &[1, 2, 3, 4])), Ok(()));
        // Who is told to vote no more does until that is done.
        let (generation, member) = (shard(&state).generation, on(&state, &[1]).first().copied().unwrap());
        run(&mut state, Command::SetRole { shard: id, generation, member, role: Role::Nonvoting });
        layout.learn(4, &state).unwrap();
        assert_eq!(layout.look(&seen(&state, &[1, 2, 3, 4])), Ok(()));
    }

    #[test]
    fn who_has_gone_votes_on_nothing() {
        let mut state = table_of_three(4);
        run(&mut state, Command::SetService { id: NodeId(4), service: Service::Leaving });
        run(&mut state, Command::NodeGone { id: NodeId(4) });
        let meta = |node: u128| state.node(NodeId(node)).unwrap().meta;
        let note = |layout: &mut Layout, index: u64, nodes: &[u128]| {
            let position = Some(LogPosition { term: Term(1), index });
            let voters = vec![nodes.iter().map(|node| meta(*node)).collect()];
            layout.note_meta(&Members { position, voters, ..Members::default() });
        };
        let mut layout = Layout::default();
        note(&mut layout, 1, &[1, 2, 4]);
        assert_eq!(layout.learn(1, &state).unwrap_err().property, GONE);
        note(&mut layout, 2, &[1, 2, 3]);
        note(&mut layout, 1, &[1, 2, 4]);
        assert_eq!(layout.learn(2, &state), Ok(()), "the older one is over");
    }
}

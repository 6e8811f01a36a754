//! The planner and the leaders of groups together, under any order of events: nodes that go, come back or are lost, members
//! that fail, places that change, reports and plans that come late or never, whatever the nodes say that they bear.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "made/made.rs"]
mod made;

use std::collections::BTreeSet;

use made::{create_table, register};
use photondb_cluster_state::plan::{
    Burden, Burdens, GroupMembers, Order, meta_learners, meta_voters, next_order, plan,
};
use photondb_cluster_state::*;
use photondb_proto::{KeyRange, MemberId, NodeId, ShardId, TableId};
use proptest::prelude::*;

const NODES: u128 = 7;

#[derive(Clone, Debug)]
enum Event {
    /// The leader of the state plans, and what it proposes is applied.
    Plan,
    /// It plans, and what it proposes is applied later, or not.
    PlanLate,
    /// What was planned earlier is applied.
    Late,
    /// The group's leader carries out one order.
    Obey,
    /// A report that was made earlier arrives.
    LateReport,
    Down(u128),
    Up(u128),
    Lost(u128),
    /// It is lost, and never comes back.
    Gone(u128),
    /// It is to lead nothing for a while, or not any more.
    Drain(u128, bool),
    /// It is to go for good.
    Leave(u128),
    Fail(usize),
    /// What it bears is another thing now, or not known.
    Bear(u128, Option<Burden>),
    /// Replicas are wanted elsewhere: by a command for places alone, or by one for the whole table.
    Place(Vec<u128>, Option<u128>, bool),
    /// People give the shard another group, which goes on with one of the members that are there.
    Repair(usize),
}

fn burden() -> impl Strategy<Value = Burden> {
    // None, little, more than is worth comparing, and all there can be.
    let amount = || prop_oneof![Just(0), 0u64..2_000, 0u64..1 << 40, Just(u64::MAX)];
    (amount(), amount()).prop_map(|(bytes, work)| Burden { bytes, work })
}

fn event() -> impl Strategy<Value = Event> {
    let node = 1..=NODES;
    prop_oneof![
        6 => Just(Event::Plan),
        2 => Just(Event::PlanLate),
        2 => Just(Event::Late),
        12 => Just(Event::Obey),
        1 => Just(Event::LateReport),
        2 => node.clone().prop_map(Event::Down),
        3 => node.clone().prop_map(Event::Up),
        1 => node.clone().prop_map(Event::Lost),
        1 => node.clone().prop_map(Event::Gone),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, drained)| Event::Drain(node, drained)),
        1 => node.clone().prop_map(Event::Leave),
        1 => (0usize..5).prop_map(Event::Fail),
        3 => (node.clone(), prop::option::of(burden())).prop_map(|(node, burden)| Event::Bear(node, burden)),
        2 => (prop::sample::subsequence((1..=NODES).collect::<Vec<_>>(), 1..=4), prop::option::of(node), any::<bool>())
            .prop_map(|(voters, nonvoting, whole)| Event::Place(voters, nonvoting, whole)),
        1 => (0usize..5).prop_map(Event::Repair),
    ]
}

/// A cluster with one shard: the state, and the group as it is.
struct World {
    state: ClusterState,
    group: GroupMembers,
    /// What its leader knows of what the nodes bear.
    burdens: Burdens,
    /// Members that were ever in the group, in the order of their ids.
    seen: BTreeSet<MemberId>,
    /// Members that can do nothing any more.
    broken: BTreeSet<MemberId>,
    /// Nodes that were ever lost.
    given_up: BTreeSet<NodeId>,
    /// The one that stays so.
    gone: Option<NodeId>,
    /// The fewest voters that were ever wanted.
    least_wanted: usize,
    index: u64,
    late: Vec<Command>,
    reports: Vec<Command>,
}

const TABLE: TableId = TableId(5);

impl World {
    fn new() -> World {
        let mut state = ClusterState::at_birth();
        for node in 1..=NODES {
            apply(&mut state, &register(NodeId(node), [format!("zone-{}", node % 3)].into())).unwrap();
        }
        let whole = NewShard::voting(KeyRange::all(), vec![NodeId(1), NodeId(2), NodeId(3)]);
        let create = create_table(&state, TABLE, vec![whole]);
        apply(&mut state, &create).unwrap();
        let voters: BTreeSet<MemberId> = state.tables().next().unwrap().shards[0].wanted_voters();
        let group = GroupMembers { voters: voters.clone(), ..GroupMembers::default() };
        World {
            state,
            group,
            burdens: Burdens::new(),
            seen: voters,
            broken: BTreeSet::new(),
            given_up: BTreeSet::new(),
            gone: None,
            least_wanted: 3,
            index: 1,
            late: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn shard(&self) -> &Shard {
        &self.state.tables().next().unwrap().shards[0]
    }

    fn id(&self) -> ShardId {
        self.shard().id
    }

    fn node_of(&self, member: MemberId) -> Option<NodeId> {
        self.shard().member(member).map(|member| member.node)
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.state.node(node).unwrap().is_up()
    }

    fn plan(&self) -> Vec<Command> {
        let commands = plan(&self.state, &self.burdens);
        let of_nobody = plan(&self.state, &Burdens::new());
        assert_eq!(unfilled(&commands), unfilled(&of_nobody), "what nodes bear decides who takes a place, and no more");
        commands
    }

    fn bear(&mut self, node: u128, burden: Option<Burden>) {
        match burden {
            Some(burden) => self.burdens.insert(NodeId(node), burden),
            None => self.burdens.remove(&NodeId(node)),
        };
    }

    fn apply(&mut self, commands: Vec<Command>) {
        for command in commands {
            let _ = apply(&mut self.state, &command);
            self.check();
        }
    }

    /// Learners on nodes that are up are taken to be caught up by the time they are looked at.
    fn obey(&mut self) -> bool {
        let shard = self.shard().clone();
        // A group that has lost its majority does nothing.
        let live = |member: &&MemberId| {
            !self.broken.contains(*member) && shard.member(**member).is_some_and(|found| self.is_up(found.node))
        };
        let decide = |voters: &BTreeSet<MemberId>| voters.iter().filter(live).count() * 2 > voters.len();
        if !decide(&self.group.voters) {
            return false;
        }
        let mut group = self.group.clone();
        group.caught_up = group.learners.iter().filter(live).copied().collect();
        let Some(order) = next_order(&shard, &group) else { return false };
        // Nor is a change begun after which it could decide nothing.
        if matches!(&order, Order::ChangeVoters(voters) if !decide(voters)) {
            return false;
        }
        self.index += 1;
        match order {
            Order::AddLearner(member, node) => {
                assert_eq!(Some(node), self.node_of(member));
                self.seen.insert(member);
                self.group.learners.insert(member);
            }
            Order::ChangeVoters(voters) => {
                assert!(!voters.is_empty());
                let gone: Vec<MemberId> = self.group.voters.difference(&voters).copied().collect();
                // K3: as many healthy ones vote as were ever wanted, or as there were.
                // A failure in the moment in which a voter is told to vote no more costs that one as well.
                let demotes = shard
                    .members
                    .iter()
                    .any(|member| member.role == Role::Nonvoting && self.group.voters.contains(&member.id));
                // Nobody is kept for the sake of one that was given up and came back.
                let is_lost =
                    |member: &MemberId| shard.member(*member).is_none_or(|member| self.given_up.contains(&member.node));
                let healthy = |voters: &BTreeSet<MemberId>| voters.difference(&self.broken).count();
                let mut before = self.group.voters.clone();
                before.retain(|member| voters.contains(member) || !is_lost(member));
                assert!(
                    demotes || healthy(&voters) >= self.least_wanted.min(healthy(&before)),
                    "{voters:?} of {:?} for {shard:?}",
                    self.group.voters
                );
                self.group.learners.extend(gone);
                self.group.learners.retain(|member| !voters.contains(member));
                self.group.voters = voters;
            }
            Order::RemoveLearner(member) => {
                self.group.learners.remove(&member);
            }
            Order::Report => {
                let report = Command::MembersReached {
                    shard: self.id(),
                    generation: shard.generation,
                    at: Reached { term: 1, index: self.index },
                    voters: self.group.voters.clone(),
                    learners: self.group.learners.clone(),
                };
                self.reports.push(report.clone());
                apply(&mut self.state, &report).unwrap();
            }
            Order::Cut => unreachable!("nobody cuts this shard"),
        }
        self.check();
        true
    }

    /// A node that is told to run a member which it cannot run says so, however often it is told.
    fn report_failures(&mut self) {
        for member in self.broken.clone() {
            let told = self.shard().member(member).is_some_and(|member| !member.role.is_broken());
            if told {
                self.apply(vec![Command::MemberFailed { shard: self.id(), member }]);
            }
        }
    }

    fn check(&self) {
        let shard = self.shard();
        let stays = |member: &Member| matches!(member.role, Role::Voter | Role::Joining | Role::Leaving);
        assert!(shard.members.iter().any(stays), "K4: somebody votes");
        // K5: who is erased is in the group no more.
        for member in self.group.voters.union(&self.group.learners) {
            assert!(shard.member(*member).is_some(), "{member} is in the group and was forgotten: {shard:?}");
        }
        let mut ids: Vec<MemberId> = shard.members.iter().map(|member| member.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), shard.members.len());
        for node in 1..=NODES {
            let useful = shard
                .members
                .iter()
                .filter(|member| member.node == NodeId(node))
                .filter(|member| !member.role.leaves() && member.role != Role::Failed);
            assert!(useful.count() <= 1, "two members of a shard on one node: {shard:?}");
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Plan => {
                let commands = self.plan();
                let of_nodes = commands.iter().filter(|command| matches!(command, Command::NodeGone { .. })).count();
                assert!(commands.len() - of_nodes <= 1, "K2: {commands:?}");
                self.apply(commands);
            }
            Event::PlanLate => self.late.extend(self.plan()),
            Event::Late => {
                if let Some(command) = self.late.pop() {
                    self.apply(vec![command]);
                }
            }
            Event::Obey => {
                self.obey();
            }
            Event::LateReport => {
                if let Some(report) = self.reports.first().cloned() {
                    let before = self.shard().clone();
                    let _ = apply(&mut self.state, &report);
                    let newest = self.reports.last() == Some(&report);
                    assert!(newest || *self.shard() == before, "an old report changed something");
                }
            }
            Event::Down(node) => self.liveness(node, Liveness::Down),
            Event::Up(node) => self.liveness(node, Liveness::Up),
            Event::Lost(node) => self.liveness(node, Liveness::Lost),
            Event::Gone(node) => {
                // As long as those who vote now can decide without it.
                let shard = self.shard();
                let held = shard.members.iter().filter(|member| member.node == NodeId(node));
                let held: BTreeSet<MemberId> = held.map(|member| member.id).collect();
                let left = self.group.voters.difference(&self.broken).filter(|voter| !held.contains(voter)).count();
                if self.gone.is_none() && left * 2 > self.group.voters.len() {
                    self.liveness(node, Liveness::Lost);
                    self.gone = Some(NodeId(node));
                }
            }
            Event::Drain(node, drained) => {
                let service = if drained { Service::Drained } else { Service::Full };
                if !self.state.node(NodeId(node)).unwrap().is_to_be_replaced() {
                    self.apply(vec![Command::SetService { id: NodeId(node), service }]);
                }
            }
            Event::Leave(node) => {
                // One at a time, so that there are always enough others for what is wanted.
                if self.state.nodes().all(|other| matches!(other.service, Service::Full | Service::Drained)) {
                    self.apply(vec![Command::SetService { id: NodeId(node), service: Service::Leaving }]);
                }
            }
            Event::Fail(number) => {
                let members = &self.shard().members;
                let member = members[number % members.len()].id;
                // As long as a majority is left, before and after the change under way; without one, people must decide.
                let is_gone = |voter: &MemberId| self.gone.is_some() && self.node_of(*voter) == self.gone;
                let works = |voter: &MemberId| !self.broken.contains(voter) && !is_gone(voter);
                let left = |voters: &BTreeSet<MemberId>| {
                    voters.iter().filter(|voter| **voter != member && works(voter)).count()
                };
                let wanted = self.shard().wanted_voters();
                let of_all = self.group.voters.union(&wanted).copied().collect::<BTreeSet<_>>();
                if [&self.group.voters, &of_all].into_iter().all(|voters| left(voters) * 2 > voters.len()) {
                    let failed = Command::MemberFailed { shard: self.id(), member };
                    if apply(&mut self.state, &failed).is_ok() {
                        self.broken.insert(member);
                    }
                    self.check();
                }
            }
            Event::Place(voters, nonvoting, whole) => {
                let voters: Vec<NodeId> = voters.into_iter().map(NodeId).collect();
                self.least_wanted = self.least_wanted.min(voters.len());
                let nonvoting = nonvoting.map(NodeId).filter(|node| !voters.contains(node)).into_iter().collect();
                let placement = Placement { voters, nonvoting };
                let (shard, epoch) = (self.id(), self.shard().epoch);
                let place = if whole {
                    let shards = vec![Reshaped { shard, epoch, cuts: Vec::new(), placement: Some(placement) }];
                    Command::Reshape { table: TABLE, named: None, settings: TableSettings::default(), shards }
                } else {
                    Command::Place { table: TABLE, shards: vec![placement] }
                };
                apply(&mut self.state, &place).unwrap();
            }
            Event::Bear(node, burden) => self.bear(node, burden),
            Event::Repair(number) => self.repair(number),
        }
    }

    /// K11: nothing of the old group is left, and what was planned or reported of it does nothing.
    fn repair(&mut self, number: usize) {
        let shard = self.shard().clone();
        let serves =
            |member: &&Member| !self.broken.contains(&member.id) && !member.role.is_broken() && self.is_up(member.node);
        let there: Vec<&Member> = shard.members.iter().filter(serves).collect();
        if there.is_empty() {
            return;
        }
        let from = there[number % there.len()];
        let mut placement = shard.placement.clone();
        placement.nonvoting.remove(&from.node);
        if !placement.voters.contains(&from.node) {
            placement.voters[0] = from.node;
        }
        placement.voters.sort_by_key(|node| *node != from.node);
        self.least_wanted = self.least_wanted.min(placement.voters.len());
        let repair = ShardRepair { shard: shard.id, generation: shard.generation, from: Some(from.id), placement };
        apply(&mut self.state, &Command::RepairTable { table: TABLE, shards: vec![repair] }).unwrap();
        let founder = self.shard().rescue.unwrap().founder;
        assert!(!self.seen.contains(&founder), "K1: {founder} was a member before");
        assert!(self.shard().generation > shard.generation && self.shard().epoch > shard.epoch);
        self.seen.insert(founder);
        self.group = GroupMembers { voters: [founder].into(), ..GroupMembers::default() };
        self.check();
    }

    fn liveness(&mut self, node: u128, liveness: Liveness) {
        if self.gone == Some(NodeId(node)) {
            return;
        }
        if liveness == Liveness::Lost {
            self.given_up.insert(NodeId(node));
        }
        self.apply(vec![Command::SetLiveness { id: NodeId(node), boots: 1, liveness }]);
    }
}

/// The commands without who is to take a place.
fn unfilled(commands: &[Command]) -> Vec<Command> {
    let without = |command: &Command| match command {
        Command::Substitute { shard, lost, .. } => Command::Substitute { shard: *shard, lost: *lost, by: *lost },
        other => other.clone(),
    };
    commands.iter().map(without).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn members_become_what_is_wanted_once_nodes_stay(
        events in prop::collection::vec(event(), 0..120),
        bears in prop::collection::vec((1..=NODES, prop::option::of(burden())), 1..40),
    ) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        for node in 1..=NODES {
            world.liveness(node, Liveness::Up);
            let drained = world.state.node(NodeId(node)).unwrap().service == Service::Drained;
            if drained {
                world.apply(vec![Command::SetService { id: NodeId(node), service: Service::Full }]);
            }
        }
        // Every round plans one step and obeys it to its end.
        let mut replaced = BTreeSet::new();
        for (_, (node, burden)) in (0..60).zip(bears.iter().cycle()) {
            world.bear(*node, *burden);
            let commands = world.plan();
            for command in &commands {
                if let Command::Substitute { lost, .. } = command {
                    prop_assert!(replaced.insert(*lost), "a place goes on from node to node: {:?}", commands);
                }
            }
            world.apply(commands);
            world.report_failures();
            while world.obey() {}
        }
        prop_assert!(world.plan().is_empty(), "{:?} for {:?}", world.plan(), world.shard());
        for node in world.state.nodes() {
            prop_assert!(matches!(node.service, Service::Full | Service::Gone), "{:?} for {:?}", node, world.shard());
        }
        let shard = world.shard();
        let on = |role: Role| shard.members.iter().filter(|member| member.role == role).map(|member| member.node).collect();
        let voting: BTreeSet<NodeId> = on(Role::Voter);
        let nonvoting: BTreeSet<NodeId> = on(Role::Nonvoting);
        prop_assert_eq!(voting, shard.placement.voters.iter().copied().collect::<BTreeSet<_>>(), "{:?}", shard);
        prop_assert_eq!(nonvoting, shard.placement.nonvoting.clone());
        prop_assert_eq!(&world.group.voters, &shard.wanted_voters());
        prop_assert_eq!(&world.group.learners, &shard.wanted_learners());
    }

    #[test]
    fn the_voters_of_the_state_are_few_odd_and_stay(
        nodes in 1u128..12,
        away in prop::collection::vec((1u128..12, 0u8..3), 0..12),
    ) {
        let mut state = ClusterState::at_birth();
        let mut voters: BTreeSet<MemberId> = [META_FOUNDER].into();
        for node in 1..=nodes {
            let register = Command::RegisterNode {
                id: NodeId(node), name: format!("n{node}"), tags: [format!("zone-{}", node % 4)].into(), addresses: vec![], boots: 1,
                incarnation: Incarnation(1),
            };
            apply(&mut state, &register).unwrap();
            voters = meta_voters(&state, &voters);
        }
        prop_assert_eq!(voters.len() % 2, 1);
        prop_assert_eq!(voters.len(), [0, 1, 1, 3, 3, 5, 5, 7, 7, 7, 7, 7][nodes as usize]);
        for (node, liveness) in away {
            let liveness = [Liveness::Up, Liveness::Down, Liveness::Lost][liveness as usize];
            let was_up = state.node(NodeId(node)).is_some_and(|node| node.is_up());
            let _ = apply(&mut state, &Command::SetLiveness { id: NodeId(node), boots: 1, liveness });
            let next = meta_voters(&state, &voters);
            prop_assert!(!next.is_empty());
            prop_assert_eq!(&meta_voters(&state, &next), &next, "asked again, it answers the same");
            prop_assert!(meta_learners(&state, &next).is_disjoint(&next));
            if liveness == Liveness::Down && was_up {
                prop_assert!(voters.len() != next.len() || voters == next, "one that is away stays");
            }
            voters = next;
        }
    }
}

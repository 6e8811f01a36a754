//! Shards that are to be joined, under any order of events: nodes that go, come back or are lost, members that fail, shards that
//! are placed elsewhere or cut meanwhile, reports and plans that come late, twice or never.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "joins/group.rs"]
mod group;
#[path = "made/made.rs"]
mod made;
#[path = "joins/world.rs"]
mod world;

use std::collections::BTreeSet;

use photondb_cluster_state::*;
use photondb_proto::NodeId;
use proptest::prelude::*;
use world::{NODES, TABLE, World};

/// Rounds of planning and obeying after which everything is as it was wanted.
const ROUNDS_MAX: usize = 200;

#[derive(Clone, Debug)]
enum Event {
    /// The leader of the state plans, and what it proposes is applied.
    Plan,
    /// It plans, and what it proposes is applied later, or not.
    PlanLate,
    /// What was proposed earlier is applied.
    Late(usize),
    /// The leader of a group makes a step; what it reports comes now, or later, or not.
    Obey(usize, bool),
    /// Every leader makes its steps.
    ObeyAll,
    /// A report that came earlier comes again.
    Again(usize),
    Down(u128),
    Up(u128),
    Lost(u128),
    /// It is lost, and never comes back.
    Gone(u128),
    Drain(u128, bool),
    /// It is to go for good.
    Leave(u128),
    Fail(usize, usize),
    /// Shards are to be joined to their left neighbours.
    Wish(Vec<usize>),
    /// All shards are placed elsewhere.
    Place(Vec<Placement>),
    PlaceShard(usize, Placement),
    /// The whole table is to be otherwise: of each shard where it is to be, if it stays, and at what key it is cut, if it is. Now, or
    /// later, or not.
    Reshape(Vec<(Option<Placement>, Option<u8>)>, bool),
    /// A shard is to be cut.
    Cut(usize, u8),
    /// People give a shard another group, which goes on with one of the members that are there.
    Repair(usize, usize),
}

fn placement() -> impl Strategy<Value = Placement> {
    let nodes = || (1..=NODES).map(NodeId);
    let voters = prop::sample::subsequence(nodes().collect::<Vec<_>>(), 1..=4).prop_shuffle();
    (voters, prop::option::of(prop::sample::select(nodes().collect::<Vec<_>>()))).prop_map(|(voters, other)| {
        let nonvoting = other.filter(|node| !voters.contains(node)).into_iter().collect();
        Placement { voters, nonvoting }
    })
}

fn shape() -> impl Strategy<Value = (Option<Placement>, Option<u8>)> {
    (prop::option::weighted(0.7, placement()), prop::option::weighted(0.2, b'a'..=b'z'))
}

fn event() -> impl Strategy<Value = Event> {
    let node = 1..=NODES;
    let number = 0usize..8;
    prop_oneof![
        8 => Just(Event::Plan),
        2 => Just(Event::PlanLate),
        2 => number.clone().prop_map(Event::Late),
        12 => (number.clone(), prop::bool::weighted(0.2)).prop_map(|(number, late)| Event::Obey(number, late)),
        4 => Just(Event::ObeyAll),
        1 => number.clone().prop_map(Event::Again),
        2 => node.clone().prop_map(Event::Down),
        3 => node.clone().prop_map(Event::Up),
        1 => node.clone().prop_map(Event::Lost),
        1 => node.clone().prop_map(Event::Gone),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, drained)| Event::Drain(node, drained)),
        1 => node.prop_map(Event::Leave),
        1 => (number.clone(), 0usize..5).prop_map(|(number, member)| Event::Fail(number, member)),
        4 => prop::collection::vec(number.clone(), 1..4).prop_map(Event::Wish),
        1 => prop::collection::vec(placement(), 8).prop_map(Event::Place),
        1 => (number.clone(), placement()).prop_map(|(number, placement)| Event::PlaceShard(number, placement)),
        2 => (prop::collection::vec(shape(), 8), prop::bool::weighted(0.2))
            .prop_map(|(shards, late)| Event::Reshape(shards, late)),
        1 => (number.clone(), b'a'..=b'z').prop_map(|(number, at)| Event::Cut(number, at)),
        1 => (number, 0usize..5).prop_map(|(number, member)| Event::Repair(number, member)),
    ]
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Plan => self.carry_out_plan(),
            Event::PlanLate => {
                let planned = self.plan();
                self.late.extend(planned);
            }
            Event::Late(number) if !self.late.is_empty() => {
                let command = self.late.remove(number % self.late.len());
                self.apply(&command);
            }
            Event::Obey(number, late) => {
                let shards: Vec<_> = self.table().with_members().map(|shard| shard.id).collect();
                self.obey(shards[number % shards.len()], late);
            }
            Event::ObeyAll => {
                self.obey_all();
            }
            Event::Again(number) if !self.reports.is_empty() => {
                let report = self.reports[number % self.reports.len()].clone();
                self.apply(&report);
            }
            Event::Late(_) | Event::Again(_) => {}
            Event::Down(node) => self.liveness(node, Liveness::Down),
            Event::Up(node) => self.liveness(node, Liveness::Up),
            Event::Lost(node) => self.liveness(node, Liveness::Lost),
            Event::Gone(node) => {
                if self.gone.is_none() && self.can_lose(|member| member.node == NodeId(node)) {
                    self.liveness(node, Liveness::Lost);
                    self.gone = Some(NodeId(node));
                }
            }
            Event::Drain(node, drained) => {
                let service = if drained { Service::Drained } else { Service::Full };
                if !self.state.node(NodeId(node)).unwrap().is_to_be_replaced() {
                    self.apply(&Command::SetService { id: NodeId(node), service });
                }
            }
            Event::Leave(node) => {
                // One at a time, so that there are always enough others for what is wanted.
                if self.state.nodes().all(|other| matches!(other.service, Service::Full | Service::Drained)) {
                    self.apply(&Command::SetService { id: NodeId(node), service: Service::Leaving });
                }
            }
            Event::Fail(number, member) => {
                let shard = self.any(number);
                let lost = shard.members[member % shard.members.len()].id;
                if self.can_lose(|member| member.id == lost)
                    && self.apply(&Command::MemberFailed { shard: shard.id, member: lost })
                {
                    self.broken.insert(lost);
                }
            }
            Event::Wish(numbers) => {
                let shards =
                    numbers.into_iter().map(|number| self.any(number)).map(|shard| (shard.id, shard.generation));
                let wish = Command::JoinShards { table: TABLE, shards: shards.collect() };
                self.apply(&wish);
            }
            Event::Place(mut shards) => {
                shards.truncate(self.table().shards.len());
                let fits = shards.len() == self.table().shards.len();
                let bound = self.table().shards.iter().any(|shard| self.table().is_bound(shard));
                let accepted = self.apply(&Command::Place { table: TABLE, shards });
                assert_eq!(accepted, fits && !bound);
                assert!(!accepted || self.table().shards.iter().all(|shard| shard.joining.is_none()));
            }
            Event::PlaceShard(number, placement) => {
                let shard = self.any(number);
                let bound = self.table().is_bound(&shard);
                assert_eq!(self.apply(&Command::PlaceShard { shard: shard.id, placement }), !bound);
            }
            Event::Reshape(shards, late) => {
                let shards = self.table().shards.iter().zip(shards).map(reshaped).collect();
                match late {
                    true => self.late.push(self.reshape(shards)),
                    false => self.reshape_now(shards),
                }
            }
            Event::Cut(number, at) => {
                let (shard, at) = (self.any(number), vec![at]);
                let cuts = vec![NewCut { at, placement: shard.placement.clone() }];
                let cut = Command::CutShard { shard: shard.id, generation: shard.generation, cuts };
                assert!(!self.table().is_joining(&shard) || !self.apply(&cut), "{shard:?} is joined and cut");
                self.apply(&cut);
            }
            Event::Repair(number, member) => self.repair(number, member),
        }
    }

    /// With a setting that changes with everything else.
    fn reshape(&self, shards: Vec<Reshaped>) -> Command {
        let durability = match self.table().durability {
            Durability::Hard => Durability::Soft,
            Durability::Soft => Durability::Hard,
        };
        let settings = TableSettings { durability: Some(durability), ..TableSettings::default() };
        Command::Reshape { table: TABLE, named: None, settings, shards }
    }

    /// K13: all of it, or nothing.
    fn reshape_now(&mut self, shards: Vec<Reshaped>) {
        let before = self.state.clone();
        if !self.apply(&self.reshape(shards.clone())) {
            assert_eq!(self.state, before, "it was refused, and a part of it stayed");
            return;
        }
        let table = self.table();
        assert_ne!(table.durability, before.table(TABLE).unwrap().durability);
        assert_eq!(table.shards.len(), shards.len());
        for (shard, wanted) in table.shards.iter().zip(shards) {
            assert_eq!((shard.id, shard.cuts.len()), (wanted.shard, wanted.cuts.len()));
            assert_eq!(shard.joining.is_some(), wanted.placement.is_none(), "{shard:?}");
            assert!(wanted.placement.is_none_or(|placement| placement == shard.placement), "{shard:?}");
        }
    }

    fn carry_out_plan(&mut self) {
        for command in self.plan() {
            self.apply(&command);
        }
    }

    /// Whether there was something to do.
    fn obey_all(&mut self) -> bool {
        let mut done = false;
        for shard in self.table().with_members().map(|shard| shard.id).collect::<Vec<_>>() {
            while self.obey(shard, false) {
                done = true;
            }
        }
        done
    }

    fn liveness(&mut self, node: u128, liveness: Liveness) {
        if self.gone == Some(NodeId(node)) {
            return;
        }
        if liveness == Liveness::Lost {
            self.given_up.insert(NodeId(node));
        }
        self.apply(&Command::SetLiveness { id: NodeId(node), boots: 1, liveness });
    }

    fn repair(&mut self, number: usize, member: usize) {
        let shard = self.any(number);
        let table = self.table();
        let right = [Some(&shard), table.right_of(shard.id)].into_iter().flatten().find(|shard| shard.stays_frozen());
        let halves = right.map(|right| [table.left_of(right.id).unwrap().clone(), right.clone()]);
        let parent = |child: &Shard| child.parent == Some(shard.id) && child.reached.is_none();
        let begins = shard.parent.is_some() && shard.reached.is_none();
        if begins || !shard.cuts.is_empty() || table.shards.iter().any(parent) {
            return;
        }
        let Some(halves) = halves else {
            let there = shard.members.iter().filter(|member| self.is_live(member)).map(|member| member.node).collect();
            return self.repair_on(&[shard], there, member);
        };
        let on = |half: &Shard| -> BTreeSet<NodeId> {
            half.members.iter().filter(|member| self.is_live(member)).map(|member| member.node).collect()
        };
        let [left, right] = [on(&halves[0]), on(&halves[1])];
        if let Some(node) = on(&shard).first() {
            // What the other half takes, or gives, is not there.
            let alone = vec![self.anew(&shard, *node)];
            assert!(!self.apply(&Command::RepairTable { table: TABLE, shards: alone }), "{shard:?}");
        }
        self.repair_on(&halves, left.intersection(&right).copied().collect(), member);
    }

    fn repair_on(&mut self, shards: &[Shard], there: Vec<NodeId>, number: usize) {
        if there.is_empty() {
            return;
        }
        let repairs = shards.iter().map(|shard| self.anew(shard, there[number % there.len()])).collect();
        let groups: Vec<_> = shards.iter().map(|shard| self.groups.remove(&shard.id).unwrap()).collect();
        assert!(self.apply(&Command::RepairTable { table: TABLE, shards: repairs }), "{shards:?}");
        for (shard, group) in shards.iter().zip(groups) {
            let repaired = self.state.shard(shard.id).unwrap().1.clone();
            let next = group.given_anew(&repaired, number.is_multiple_of(2));
            let unused = repaired.stays_frozen() || group.range != shard.range || repaired.epoch > group.epoch;
            assert!(unused, "the group was at {} before: {repaired:?}", group.epoch);
            assert!(next.epoch > group.epoch || repaired.stays_frozen() || next.range != group.range);
            self.groups.insert(shard.id, next);
        }
    }

    /// The shard goes on with the member on that node that lives.
    fn anew(&self, shard: &Shard, node: NodeId) -> ShardRepair {
        let from = shard.members.iter().find(|member| member.node == node && self.is_live(member));
        let mut placement = shard.placement.clone();
        placement.nonvoting.remove(&node);
        if !placement.voters.contains(&node) {
            placement.voters[0] = node;
        }
        placement.voters.sort_by_key(|other| *other != node);
        ShardRepair { shard: shard.id, generation: shard.generation, from: from.map(|member| member.id), placement }
    }
}

/// The first shard has nobody to be joined to: it stays.
fn reshaped((shard, (placement, at)): (&Shard, (Option<Placement>, Option<u8>))) -> Reshaped {
    let stays = shard.range.start().is_empty().then(|| shard.placement.clone());
    let cuts = at.map(|at| NewCut { at: vec![at], placement: shard.placement.clone() });
    Reshaped { shard: shard.id, epoch: shard.epoch, cuts: cuts.into_iter().collect(), placement: placement.or(stays) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_wish_is_fulfilled_once_nodes_stay(events in prop::collection::vec(event(), 0..160)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        for node in 1..=NODES {
            world.liveness(node, Liveness::Up);
            if world.state.node(NodeId(node)).unwrap().service == Service::Drained {
                world.apply(&Command::SetService { id: NodeId(node), service: Service::Full });
            }
        }
        for _ in 0..ROUNDS_MAX {
            world.report_failures();
            world.carry_out_plan();
            if !world.obey_all() && world.plan().is_empty() {
                break;
            }
        }
        let table = world.table();
        prop_assert!(world.plan().is_empty(), "{:?} for {:?}", world.plan(), table);
        prop_assert!(table.joined.is_empty(), "{:?}", table.joined);
        for node in world.state.nodes() {
            prop_assert!(matches!(node.service, Service::Full | Service::Gone), "{:?} for {:?}", node, table);
        }
        for shard in &table.shards {
            prop_assert_eq!(shard.joining, None, "{:?} of {:?}", shard, table);
            prop_assert!(shard.rests());
            let on = |role: Role| shard.members.iter().filter(move |member| member.role == role).map(|member| member.node);
            prop_assert_eq!(on(Role::Voter).collect::<BTreeSet<_>>(), shard.placement.voters.iter().copied().collect());
            prop_assert_eq!(&on(Role::Nonvoting).collect::<BTreeSet<_>>(), &shard.placement.nonvoting);
            let group = &world.groups[&shard.id];
            prop_assert_eq!((&group.range, group.epoch), (&shard.range, shard.epoch));
            prop_assert_eq!(&group.members.voters, &shard.wanted_voters());
        }
    }
}

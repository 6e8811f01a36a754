//! A table of several shards: the state, and the groups as they are.

use std::collections::{BTreeMap, BTreeSet};

use photondb_cluster_state::plan::{Burdens, Order, next_order, plan};
use photondb_cluster_state::*;
use photondb_proto::{KeyRange, MemberId, NodeId, ShardId, TableId};

use super::group::Group;
use super::made::{create_table, register};

pub const NODES: u128 = 7;
pub const TABLE: TableId = TableId(5);

/// Where the shards begin, and which nodes have them.
const SHARDS: [(&[u8], [u128; 3]); 4] = [(b"", [1, 2, 3]), (b"g", [3, 2, 4]), (b"m", [5, 6, 7]), (b"t", [1, 2, 3])];

pub struct World {
    pub state: ClusterState,
    pub groups: BTreeMap<ShardId, Group>,
    /// Members that can do nothing any more.
    pub broken: BTreeSet<MemberId>,
    /// Nodes that were ever lost.
    pub given_up: BTreeSet<NodeId>,
    /// The one that stays so.
    pub gone: Option<NodeId>,
    /// The fewest voters that were ever wanted of each shard.
    least_wanted: BTreeMap<ShardId, usize>,
    /// Commands and reports that come later, or not.
    pub late: Vec<Command>,
    /// Reports that came, and may come again.
    pub reports: Vec<Command>,
}

impl World {
    pub fn new() -> World {
        let mut state = ClusterState::at_birth();
        for node in 1..=NODES {
            apply(&mut state, &register(NodeId(node), [format!("zone-{}", node % 3)].into())).unwrap();
        }
        let ends = SHARDS.iter().skip(1).map(|(start, _)| Some(start.to_vec())).chain([None]);
        let mut shards = Vec::new();
        for ((start, nodes), end) in SHARDS.iter().zip(ends) {
            let range = KeyRange::new(start.to_vec(), end).unwrap();
            shards.push(NewShard::voting(range, nodes.map(NodeId).into()));
        }
        let create = create_table(&state, TABLE, shards);
        apply(&mut state, &create).unwrap();
        let groups = state.table(TABLE).unwrap().shards.iter().map(|shard| (shard.id, Group::of(shard))).collect();
        let mut world = World {
            state,
            groups,
            broken: BTreeSet::new(),
            given_up: BTreeSet::new(),
            gone: None,
            least_wanted: BTreeMap::new(),
            late: Vec::new(),
            reports: Vec::new(),
        };
        world.check();
        world
    }

    pub fn table(&self) -> &Table {
        self.state.table(TABLE).unwrap()
    }

    /// One of the shards that have keys.
    pub fn any(&self, number: usize) -> Shard {
        let shards = &self.table().shards;
        shards[number % shards.len()].clone()
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.state.node(node).unwrap().is_up()
    }

    /// Whether a member is there and whole.
    pub fn is_live(&self, member: &Member) -> bool {
        !self.broken.contains(&member.id) && self.is_up(member.node)
    }

    /// Applies what somebody proposes. Whether it was accepted.
    pub fn apply(&mut self, command: &Command) -> bool {
        let before = self.state.clone();
        let accepted = apply(&mut self.state, command).is_ok();
        self.check();
        self.check_bound(&before, command);
        accepted
    }

    pub fn plan(&self) -> Vec<Command> {
        let commands = plan(&self.state, &Burdens::new());
        self.check_plan(&commands);
        commands
    }

    /// The leader of a group makes one step, if it has a majority; `late`: what it has to report comes later, or not. Whether
    /// there was something to do.
    ///
    /// Learners on nodes that are up are taken to be caught up by the time they are looked at.
    pub fn obey(&mut self, id: ShardId, late: bool) -> bool {
        let Some((_, shard)) = self.state.shard(id) else { return false };
        let shard = shard.clone();
        if !self.decides(&shard, &self.groups[&id].members.voters) {
            return false;
        }
        if let Some(report) = self.join_step(&shard) {
            let before = self.state.clone();
            self.report(report, late);
            return self.state != before;
        }
        let mut members = self.groups[&id].members.clone();
        let live = |member: &MemberId| shard.member(*member).is_some_and(|member| self.is_live(member));
        members.caught_up = members.learners.iter().copied().filter(live).collect();
        let Some(order) = next_order(&shard, &members) else { return false };
        // Nor is a change begun after which it could decide nothing.
        if matches!(&order, Order::ChangeVoters(voters) if !self.decides(&shard, voters)) {
            return false;
        }
        // One that does not vote may be on its way into its group yet.
        let is_of_learner = matches!(order, Order::AddLearner(..) | Order::RemoveLearner(_));
        let is_of_repaired = order == Order::Report && shard.rescue.is_some();
        assert!(is_of_learner || is_of_repaired || !self.table().is_bound(&shard), "K12: {order:?} for {shard:?}");
        self.carry_out(&shard, order);
        true
    }

    fn carry_out(&mut self, shard: &Shard, order: Order) {
        let id = shard.id;
        if let Order::ChangeVoters(voters) = &order {
            self.check_factor(shard, voters);
        }
        let group = self.groups.get_mut(&id).unwrap();
        let at = group.entry();
        match order {
            Order::AddLearner(member, _) => {
                group.members.learners.insert(member);
            }
            Order::ChangeVoters(voters) => group.change_voters(voters),
            Order::RemoveLearner(member) => {
                group.members.learners.remove(&member);
            }
            Order::Report => {
                let (voters, learners) = (group.members.voters.clone(), group.members.learners.clone());
                let generation = shard.generation;
                self.report(Command::MembersReached { shard: id, generation, at, voters, learners }, false);
            }
            Order::Cut => {
                let cut = shard.next_cut().unwrap();
                let child = group.cut(cut);
                self.groups.insert(cut.shard, child);
                // Whose member cannot bear one has none.
                let on = |node: NodeId| cut.members.iter().find(|member| member.node == node).map(|member| member.id);
                let broken = shard.members.iter().filter(|member| self.broken.contains(&member.id));
                let unborn: Vec<MemberId> = broken.filter_map(|member| on(member.node)).collect();
                self.broken.extend(unborn);
                self.report(Command::ShardCut { shard: id, child: cut.shard }, false);
            }
        }
    }

    /// What the leader of a shard does for a join of which that is a half, and reports then.
    fn join_step(&mut self, shard: &Shard) -> Option<Command> {
        let (id, attempt) = (shard.id, shard.attempt);
        let all_live = shard.members.iter().all(|member| self.is_live(member));
        let group = self.groups.get_mut(&id).unwrap();
        match shard.joining {
            Some(Stage::Freezing) => {
                group.freeze(attempt);
                let at = group.entry();
                let is_in = |member: &Member| {
                    group.members.voters.contains(&member.id) || group.members.learners.contains(&member.id)
                };
                return (all_live && shard.members.iter().all(is_in)).then_some(Command::ShardFrozen {
                    shard: id,
                    attempt,
                    at,
                });
            }
            Some(Stage::Thawing) => {
                group.thaw(attempt);
                return Some(Command::ShardThawed { shard: id, attempt, epoch: group.epoch });
            }
            Some(Stage::Joined { .. }) => return Some(Command::ShardRetired { shard: id }),
            Some(Stage::Wanted | Stage::Frozen { .. }) | None => {}
        }
        let right = self.table().right_of(id).filter(|right| matches!(right.joining, Some(Stage::Frozen { .. })))?;
        let right = right.clone();
        let beside = |member: &Member| right.members.iter().find(|beside| beside.node == member.node).copied();
        let has_both = |member: &&Member| {
            self.is_live(member) && beside(member).is_some_and(|beside| !self.broken.contains(&beside.id))
        };
        let voters = &self.groups[&id].members.voters;
        let adopted = shard.members.iter().filter(|member| voters.contains(&member.id)).filter(has_both).count();
        if self.groups[&id].range == shard.range {
            if adopted * 2 <= voters.len() {
                return None;
            }
            // Who has nothing to adopt from cannot go on behind the join.
            let bereft = |member: &&Member| beside(member).is_none_or(|beside| self.broken.contains(&beside.id));
            let bereft: Vec<MemberId> = shard.members.iter().filter(bereft).map(|member| member.id).collect();
            self.broken.extend(bereft);
            let frozen = self.groups[&right.id].clone();
            self.groups.get_mut(&id).unwrap().join(&frozen);
        }
        let epoch = self.groups[&id].epoch;
        Some(Command::ShardJoined { shard: right.id, into: id, attempt: right.attempt, epoch })
    }

    fn report(&mut self, report: Command, late: bool) {
        if late {
            self.late.push(report);
            return;
        }
        self.apply(&report);
        self.reports.push(report);
    }

    /// A group that has lost its majority does nothing.
    fn decides(&self, shard: &Shard, voters: &BTreeSet<MemberId>) -> bool {
        let live = |voter: &&MemberId| shard.member(**voter).is_some_and(|member| self.is_live(member));
        voters.iter().filter(live).count() * 2 > voters.len()
    }

    /// Whether every group can go on without those members: as it is, and behind the change that is under way; and every join
    /// that was begun.
    pub fn can_lose(&self, lost: impl Fn(&Member) -> bool) -> bool {
        let works =
            |member: &Member| !lost(member) && !self.broken.contains(&member.id) && Some(member.node) != self.gone;
        let table = self.table();
        table.with_members().all(|shard| {
            let left = |voters: &BTreeSet<MemberId>| {
                let left = voters.iter().filter(|voter| shard.member(**voter).is_some_and(works)).count();
                left * 2 > voters.len()
            };
            let in_force = &self.groups[&shard.id].members.voters;
            let of_all = in_force.union(&shard.wanted_voters()).copied().collect();
            let beside = table.left_of(shard.id).filter(|_| table.is_bound(shard));
            let pairs = beside.is_none_or(|beside| {
                let works_on = |node| beside.members.iter().any(|member| member.node == node && works(member));
                let both = shard
                    .members
                    .iter()
                    .filter(|member| in_force.contains(&member.id) && works(member) && works_on(member.node));
                both.count() * 2 > in_force.len()
            });
            left(in_force) && left(&of_all) && pairs
        })
    }

    /// A node that is told to run a member which it cannot run says so, however often it is told.
    pub fn report_failures(&mut self) {
        for shard in self.table().with_members().cloned().collect::<Vec<_>>() {
            for member in &shard.members {
                if self.broken.contains(&member.id) && !member.role.is_broken() {
                    self.apply(&Command::MemberFailed { shard: shard.id, member: member.id });
                }
            }
        }
    }

    /// What holds always.
    fn check(&mut self) {
        let table = self.state.table(TABLE).unwrap();
        let mut begins: Option<&[u8]> = Some(&[]);
        let mut left: Option<&Shard> = None;
        for shard in &table.shards {
            assert_eq!(begins, Some(shard.range.start()), "every key is one shard's: {:?}", table.shards);
            begins = shard.range.end();
            let beside = left.map(|left| left.cuts.last().map_or(&left.placement, |cut| &cut.placement));
            assert!(shard.joining.is_none() || beside.map(roles) == Some(roles(&shard.placement)), "{shard:?}");
            assert!(!shard.is_joined());
            left = Some(shard);
            let least = self.least_wanted.entry(shard.id).or_insert(usize::MAX);
            *least = (*least).min(shard.placement.voters.len());
        }
        assert_eq!(begins, None, "every key is one shard's: {:?}", table.shards);
        for shard in table.with_members() {
            let Some(group) = self.groups.get(&shard.id) else { continue };
            for member in group.members.voters.union(&group.members.learners) {
                assert!(shard.member(*member).is_some(), "{member} is in the group and was forgotten: {shard:?}");
            }
            match shard.joining {
                None | Some(Stage::Wanted) => assert_eq!(group.frozen, None, "it answers nothing: {shard:?}"),
                Some(Stage::Freezing | Stage::Thawing) => {}
                Some(Stage::Frozen { .. } | Stage::Joined { .. }) => {
                    assert_eq!(group.frozen, Some(shard.attempt), "it is not: {shard:?}");
                }
            }
        }
    }

    /// K12, and that epochs rise whenever keys move.
    fn check_bound(&self, before: &ClusterState, command: &Command) {
        let is_repaired = |id: ShardId| match command {
            Command::RepairTable { shards, .. } => shards.iter().any(|repair| repair.shard == id),
            _ => false,
        };
        for shard in before.table(TABLE).unwrap().with_members() {
            let Some((_, now)) = self.state.shard(shard.id) else {
                assert!(shard.is_joined(), "{shard:?} has keys, and was forgotten for {command:?}");
                continue;
            };
            assert!(now.epoch >= shard.epoch, "{shard:?} became {now:?}");
            assert!(now.epoch > shard.epoch || now.range == shard.range, "{shard:?} became {now:?}");
            if !before.table(TABLE).unwrap().is_bound(shard) || is_repaired(shard.id) {
                continue;
            }
            let same = |(was, is): (&Member, &Member)| {
                was.id == is.id && was.node == is.node && (was.role == is.role || is.role == Role::Failed)
            };
            let kept = shard.members.len() == now.members.len() && shard.members.iter().zip(&now.members).all(same);
            assert!(kept && shard.cuts == now.cuts, "K12: {command:?} made of {shard:?} {now:?}");
        }
    }

    fn check_plan(&self, commands: &[Command]) {
        let table = self.table();
        let mut touched = Vec::new();
        for command in commands {
            match command {
                Command::NodeGone { .. } => {}
                Command::BeginJoin { shard, left, .. } => {
                    let halves = [shard, left].map(|id| self.state.shard(*id).unwrap().1);
                    let on = |shard: &Shard| {
                        shard.members.iter().map(|member| (member.node, member.role)).collect::<BTreeSet<_>>()
                    };
                    assert_eq!(on(halves[0]), on(halves[1]));
                    assert!(halves[0].members.iter().all(|member| self.is_up(member.node)));
                    touched.extend([*shard, *left]);
                }
                Command::Substitute { shard, .. }
                | Command::AddMember { shard, .. }
                | Command::RetireMember { shard, .. }
                | Command::SetRole { shard, .. }
                | Command::UndoJoin { shard, .. }
                | Command::ShardRetired { shard } => touched.push(*shard),
                other => panic!("nobody plans {other:?}"),
            }
        }
        let once: BTreeSet<ShardId> = touched.iter().copied().collect();
        assert_eq!(once.len(), touched.len(), "K2: {commands:?}");
        // Who misses somebody does not stay frozen.
        for shard in table.shards.iter().filter(|shard| shard.joining == Some(Stage::Freezing)) {
            let halves = [Some(shard), table.left_of(shard.id)].into_iter().flatten();
            let goes_on =
                halves.flat_map(|half| &half.members).all(|member| self.is_up(member.node) && !member.role.is_broken());
            let undo = Command::UndoJoin { shard: shard.id, attempt: shard.attempt };
            assert_eq!(commands.contains(&undo), !goes_on, "{shard:?}: {commands:?}");
        }
    }

    /// K3: as many healthy ones vote as were ever wanted, or as there were.
    fn check_factor(&self, shard: &Shard, voters: &BTreeSet<MemberId>) {
        let before = &self.groups[&shard.id].members.voters;
        // A failure in the moment in which a voter is told to vote no more costs that one as well.
        let demotes = shard.members.iter().any(|member| member.role == Role::Nonvoting && before.contains(&member.id));
        // Nobody is kept for the sake of one that was given up and came back.
        let is_lost =
            |member: &MemberId| shard.member(*member).is_none_or(|member| self.given_up.contains(&member.node));
        // Of which nobody has said yet that it failed, nobody can know.
        let is_whole = |voter: &&MemberId| shard.member(**voter).is_some_and(|member| !member.role.is_broken());
        let healthy = |voters: &BTreeSet<MemberId>| voters.iter().filter(is_whole).count();
        let stay = before.iter().copied().filter(|member| voters.contains(member) || !is_lost(member)).collect();
        let least = self.least_wanted[&shard.id].min(healthy(&stay));
        assert!(demotes || healthy(voters) >= least, "{voters:?} of {before:?} for {shard:?}");
    }
}

/// Who is to vote, whoever leads, and who is not to.
fn roles(placement: &Placement) -> (BTreeSet<NodeId>, &BTreeSet<NodeId>) {
    (placement.voters.iter().copied().collect(), &placement.nonvoting)
}

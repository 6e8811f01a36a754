//! Which shards of a table have lost the majority of their replicas, and what each of them can go on with.

use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::{MemberId, NodeId, ShardId};

use super::burden::Burdens;
use super::loads::Loads;
use super::repair::instead_of;
use crate::command::ShardRepair;
use crate::schema::Table;
use crate::shard::{Placement, Reached, Shard};
use crate::state::ClusterState;

/// What a member that answers says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survivor {
    /// The last entry of its log; `None`: it has never held anything.
    pub last: Option<Reached>,
    /// Who votes by the membership in its log: one set, in the middle of a change two, of each of which a majority is needed.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// Whether it leads with the consent of a majority.
    pub answers: bool,
}

/// What can be done for a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescues {
    /// What [`RepairTable`](crate::Command::RepairTable) is to carry.
    pub shards: Vec<ShardRepair>,
    /// Shards of which nothing is left, and that are to stay as they are.
    pub missing: usize,
    /// Shards that are to begin empty, and find no node to begin on.
    pub homeless: usize,
    /// Right halves of joins from which there is no way back, and of which no node is left that has both halves: they stay as they are.
    pub apart: Vec<ShardId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    GoOnWith(MemberId, NodeId),
    BeginEmpty,
}

/// Other groups for those shards of a table that can never again decide anything with the members of which `survivors` are left:
/// what is known of those on nodes that answer. Each goes on with the member that has most in its log. `erases`: shards of which
/// nothing is left begin empty.
///
/// Both halves of a join from which there is no way back go on together, on one node that has both.
pub fn rescue(
    state: &ClusterState,
    table: &Table,
    survivors: &BTreeMap<MemberId, Survivor>,
    erases: bool,
    burdens: &Burdens,
) -> Rescues {
    let mut loads = Loads::of(state, burdens, None);
    let mut rescues = Rescues::default();
    for shard in table.shards.iter().filter(|shard| !shard.stays_frozen()) {
        if let Some(right) = table.frozen_beside(shard.id) {
            rescues.add_both(state, [shard, right], survivors, erases, &mut loads);
            continue;
        }
        let placement = match need(shard, survivors) {
            Need::Nothing => continue,
            Need::GoOnWith(member, home) => Some((Some(member), placement(state, shard, home, &mut loads))),
            // What it has may still be borne where its parent goes on.
            Need::BeginEmpty if awaits_parent(table, shard, survivors) => continue,
            Need::BeginEmpty if !erases => {
                rescues.missing += 1;
                continue;
            }
            Need::BeginEmpty => {
                home(state, shard, &loads).map(|home| (None, placement(state, shard, home, &mut loads)))
            }
        };
        let Some((from, placement)) = placement else {
            rescues.homeless += 1;
            continue;
        };
        rescues.shards.push(ShardRepair { shard: shard.id, generation: shard.generation, from, placement });
    }
    rescues
}

impl Rescues {
    /// The one half may have its majority, and begins anew all the same: nothing else brings it where the other one is.
    fn add_both(
        &mut self,
        state: &ClusterState,
        halves: [&Shard; 2],
        survivors: &BTreeMap<MemberId, Survivor>,
        erases: bool,
        loads: &mut Loads,
    ) {
        let [left, right] = halves;
        let needs = halves.map(|shard| need(shard, survivors));
        let repair = |shard: &Shard, from, placement| ShardRepair {
            shard: shard.id,
            generation: shard.generation,
            from,
            placement,
        };
        if needs == [Need::Nothing; 2] {
            return;
        }
        if let Some((home, from)) = both_on(halves, survivors) {
            let placement = placement(state, left, home, loads);
            self.shards.extend([0, 1].map(|half: usize| repair(halves[half], Some(from[half]), placement.clone())));
        } else if needs != [Need::BeginEmpty; 2] {
            self.apart.push(right.id);
        } else if !erases {
            self.missing += halves.len();
        } else if let Some(home) = home(state, left, loads) {
            let placement = placement(state, left, home, loads);
            self.shards.extend(halves.map(|shard| repair(shard, None, placement.clone())));
        } else {
            self.homeless += halves.len();
        }
    }
}

/// The node that has members of both with most in the left one's log, and those members.
fn both_on(halves: [&Shard; 2], survivors: &BTreeMap<MemberId, Survivor>) -> Option<(NodeId, [MemberId; 2])> {
    let whole = |shard: &Shard, node: NodeId| {
        let mut there = shard.members.iter().filter(|member| member.node == node && !member.role.is_broken());
        there.find_map(|member| Some((survivors.get(&member.id)?.last?, member.id)))
    };
    let both = halves[0].members.iter().filter_map(|member| {
        let [left, right] = halves.map(|shard| whole(shard, member.node));
        let ((left, left_member), (right, right_member)) = (left?, right?);
        Some(((left, right), (member.node, [left_member, right_member])))
    });
    both.max_by_key(|(log, (node, _))| (*log, *node)).map(|(_, found)| found)
}

fn need(shard: &Shard, survivors: &BTreeMap<MemberId, Survivor>) -> Need {
    let of = shard.members.iter().filter_map(|member| Some((member, survivors.get(&member.id)?)));
    let left: Vec<_> = of.filter(|(_, survivor)| survivor.last.is_some()).collect();
    if left.iter().any(|(_, survivor)| survivor.answers) {
        return Need::Nothing;
    }
    let longest = left.iter().max_by_key(|(member, survivor)| (survivor.last, member.id));
    let Some((member, survivor)) = longest else { return Need::BeginEmpty };
    let is_left = |voter: &&MemberId| left.iter().any(|(member, _)| member.id == **voter);
    let decides = |voters: &BTreeSet<MemberId>| voters.iter().filter(is_left).count() * 2 > voters.len();
    match !survivor.voters.is_empty() && survivor.voters.iter().all(decides) {
        true => Need::Nothing,
        false => Need::GoOnWith(member.id, member.node),
    }
}

fn awaits_parent(table: &Table, shard: &Shard, survivors: &BTreeMap<MemberId, Survivor>) -> bool {
    let parent = table.shards.iter().find(|other| Some(other.id) == shard.parent && shard.reached.is_none());
    parent.is_some_and(|parent| matches!(need(parent, survivors), Need::GoOnWith(..)))
}

/// As many places as before, `home` the first: nodes that are not there give theirs to others, where there are any.
fn placement(state: &ClusterState, shard: &Shard, home: NodeId, loads: &mut Loads) -> Placement {
    let is_up = |node: &NodeId| state.node(*node).is_some_and(|node| node.is_up());
    let mut placement = shard.placement.clone();
    placement.nonvoting.remove(&home);
    if !placement.voters.contains(&home) {
        let gives_way = placement.voters.iter().position(|node| !is_up(node)).unwrap_or(0);
        placement.voters[gives_way] = home;
        loads.give(home);
    }
    placement.voters.sort_by_key(|node| *node != home);
    for at in 1..placement.voters.len() {
        let node = placement.voters[at];
        if let Some(other) = instead_of(state, node, &placement, loads).filter(|_| !is_up(&node)) {
            placement.voters[at] = other;
            loads.give(other);
        }
    }
    placement
}

/// Where a shard begins of which nothing is left.
fn home(state: &ClusterState, shard: &Shard, loads: &Loads) -> Option<NodeId> {
    let is_open = |node: &NodeId| state.node(*node).is_some_and(|node| node.is_open());
    let elsewhere = || instead_of(state, shard.placement.voters[0], &shard.placement, loads);
    shard.placement.nodes().find(is_open).or_else(elsewhere)
}

#[cfg(test)]
mod tests {
    use photondb_proto::{KeyRange, TableId};

    use super::*;
    use crate::command::{Command, NewShard};
    use crate::joining::Stage;
    use crate::membership::{Incarnation, Liveness};
    use crate::schema::{Compression, Durability, WriteAcks};

    const TABLE: TableId = TableId(1);

    /// Five nodes, those in `down` away, and a table on the first three: members 6, 7 and 8.
    fn cluster(down: &[u128]) -> ClusterState {
        let mut state = ClusterState::at_birth();
        for id in (1..=5).map(NodeId) {
            let (name, tags, addresses) = (format!("n{id}"), BTreeSet::new(), Vec::new());
            let register = Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation: Incarnation(1) };
            crate::apply(&mut state, &register).unwrap();
        }
        let create = Command::CreateTable {
            id: TABLE,
            database: state.database_named("test").unwrap().id,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: vec![NewShard::voting(KeyRange::all(), [1, 2, 3].map(NodeId).into())],
            compression: Compression::None,
        };
        crate::apply(&mut state, &create).unwrap();
        for node in down {
            let down = Command::SetLiveness { id: NodeId(*node), boots: 1, liveness: Liveness::Down };
            crate::apply(&mut state, &down).unwrap();
        }
        state
    }

    fn of(state: &ClusterState, survivors: &[(u64, u64, u64)], erases: bool) -> Rescues {
        let survivor = |(member, term, index): &(u64, u64, u64)| {
            let voters = vec![[6, 7, 8].map(MemberId).into()];
            let last = Some(Reached { term: *term, index: *index });
            (MemberId(*member), Survivor { last, voters, answers: false })
        };
        rescue(state, state.table(TABLE).unwrap(), &survivors.iter().map(survivor).collect(), erases, &Burdens::new())
    }

    #[test]
    fn the_longest_log_of_those_that_are_left_goes_on_and_others_take_the_places_of_who_is_away() {
        let state = cluster(&[1, 2]);
        let found = of(&state, &[(8, 3, 9)], false);
        let [one] = &found.shards[..] else { panic!("one shard: {found:?}") };
        assert_eq!(one.from, Some(MemberId(8)));
        assert_eq!(one.placement.voters, [3, 4, 5].map(NodeId));
        assert_eq!((found.missing, found.homeless), (0, 0));
        // By term first: an entry of a later one overrules more of an earlier one.
        let state = cluster(&[]);
        let mut survivors = BTreeMap::new();
        for (member, term, index) in [(6, 4, 5), (7, 3, 9), (8, 4, 6)] {
            let voters = vec![[6, 17, 18, 19].map(MemberId).into()];
            let last = Some(Reached { term, index });
            survivors.insert(MemberId(member), Survivor { last, voters, answers: false });
        }
        let found = rescue(&state, state.table(TABLE).unwrap(), &survivors, false, &Burdens::new());
        assert_eq!(found.shards[0].from, Some(MemberId(8)));
        assert_eq!(found.shards[0].placement.voters, [3, 1, 2].map(NodeId));
    }

    #[test]
    fn nothing_is_done_where_a_majority_is_left() {
        let state = cluster(&[1]);
        assert_eq!(of(&state, &[(7, 1, 1), (8, 1, 1)], true), Rescues::default());
        // A member that leads with a majority knows better than what the others say of the membership.
        let mut leads = Survivor { last: Some(Reached::default()), answers: true, ..Survivor::default() };
        let alone = |survivor: &Survivor| BTreeMap::from([(MemberId(8), survivor.clone())]);
        let table = state.table(TABLE).unwrap();
        assert_eq!(rescue(&state, table, &alone(&leads), true, &Burdens::new()), Rescues::default());
        leads.answers = false;
        assert_eq!(rescue(&state, table, &alone(&leads), true, &Burdens::new()).shards.len(), 1);
    }

    #[test]
    fn in_the_middle_of_a_change_both_majorities_are_needed() {
        let state = cluster(&[]);
        let voters = vec![[6, 7, 8].map(MemberId).into(), [6, 18, 19].map(MemberId).into()];
        let survivor = Survivor { last: Some(Reached::default()), voters, answers: false };
        let survivors = [6, 7, 8].map(|member| (MemberId(member), survivor.clone())).into();
        assert_eq!(rescue(&state, state.table(TABLE).unwrap(), &survivors, false, &Burdens::new()).shards.len(), 1);
    }

    #[test]
    fn a_shard_of_which_nothing_is_left_begins_empty_only_if_that_is_wanted() {
        let state = cluster(&[1, 2, 3]);
        let found = of(&state, &[], false);
        assert_eq!((found.shards.len(), found.missing), (0, 1));
        let found = of(&state, &[], true);
        assert_eq!((found.shards.len(), found.missing), (1, 0));
        assert_eq!((found.shards[0].from, found.shards[0].placement.voters[0]), (None, NodeId(4)));
        assert_eq!(found.shards[0].placement.voters.len(), 3);
        // One that was to be filled and has nothing yet does not count.
        let blank = BTreeMap::from([(MemberId(8), Survivor::default())]);
        assert_eq!(rescue(&state, state.table(TABLE).unwrap(), &blank, false, &Burdens::new()).missing, 1);
        let none_up = cluster(&[1, 2, 3, 4, 5]);
        assert_eq!(of(&none_up, &[], true).homeless, 1);
    }

    /// A table of two shards on the first three nodes, members 6 to 8 and 9 to 11, the second one frozen to be joined to the first one.
    fn frozen() -> ClusterState {
        let mut state = cluster(&[]);
        let first = state.table(TABLE).unwrap().shards[0].clone();
        let [left, right] = first.range.cut(b"m").unwrap();
        let mut second = Shard { id: ShardId(9), range: right, ..first };
        second.members.iter_mut().for_each(|member| member.id.0 += 3);
        second.joining = Some(Stage::Frozen { at: Reached::default() });
        let table = std::sync::Arc::make_mut(state.tables.get_mut(&TABLE).unwrap());
        table.shards[0].range = left;
        table.shards.push(second);
        state
    }

    fn survivors(of: &[(u64, u64)]) -> BTreeMap<MemberId, Survivor> {
        let voters = |member: u64| if member < 9 { [6, 7, 8] } else { [9, 10, 11] }.map(MemberId).into();
        let survivor = |(member, index): &(u64, u64)| {
            let last = Some(Reached { term: 1, index: *index });
            (MemberId(*member), Survivor { last, voters: vec![voters(*member)], answers: false })
        };
        of.iter().map(survivor).collect()
    }

    #[test]
    fn both_halves_of_a_join_go_on_where_both_are_left() {
        let state = frozen();
        let of = |left: &[(u64, u64)], erases| {
            let found = rescue(&state, state.table(TABLE).unwrap(), &survivors(left), erases, &Burdens::new());
            let on = found.shards.iter().map(|repair| (repair.from.map(|from| from.0), repair.placement.voters[0].0));
            (on.collect::<Vec<_>>(), found.apart.len(), found.missing)
        };
        assert_eq!(of(&[(6, 5), (7, 5), (9, 5), (10, 5)], true), (vec![], 0, 0), "majorities are left");
        assert_eq!(of(&[(6, 5), (9, 5)], false), (vec![(Some(6), 1), (Some(9), 1)], 0, 0));
        // The longest log of the left one does not count on a node that has nothing of the right one.
        assert_eq!(of(&[(6, 9), (7, 5), (10, 5)], false), (vec![(Some(7), 2), (Some(10), 2)], 0, 0));
        // One half has its majority, and goes where the other one is.
        assert_eq!(of(&[(6, 5), (7, 5), (8, 5), (11, 5)], false), (vec![(Some(8), 3), (Some(11), 3)], 0, 0));
        // No node has both.
        for erases in [false, true] {
            assert_eq!(of(&[(6, 5), (10, 5)], erases), (vec![], 1, 0));
            assert_eq!(of(&[(6, 5)], erases), (vec![], 1, 0));
        }
        assert_eq!(of(&[], false), (vec![], 0, 2));
        assert_eq!(of(&[], true), (vec![(None, 1), (None, 1)], 0, 0));
    }

    #[test]
    fn of_nodes_that_have_both_halves_the_one_goes_on_with_most_of_the_left_one() {
        let state = frozen();
        let mut left = survivors(&[(7, 5), (8, 6), (10, 9), (11, 5)]);
        // It has lost others.
        left.values_mut().for_each(|survivor| survivor.voters = vec![[6, 17, 18].map(MemberId).into()]);
        let found = rescue(&state, state.table(TABLE).unwrap(), &left, false, &Burdens::new());
        assert_eq!(
            found.shards.iter().map(|repair| repair.from).collect::<Vec<_>>(),
            [8, 11].map(|id| Some(MemberId(id)))
        );
    }

    #[test]
    fn a_join_that_cannot_go_on_does_not_keep_the_rest_of_the_table_from_being_repaired() {
        let mut state = frozen();
        let table = std::sync::Arc::make_mut(state.tables.get_mut(&TABLE).unwrap());
        let mut third = Shard { id: ShardId(10), joining: None, ..table.shards[0].clone() };
        third.members.iter_mut().for_each(|member| member.id.0 += 10);
        table.shards.push(third);
        let mut left = survivors(&[(6, 5), (10, 5)]);
        let voters = vec![[16, 17, 18].map(MemberId).into()];
        left.insert(MemberId(17), Survivor { last: Some(Reached::default()), voters, answers: false });
        let found = rescue(&state, state.table(TABLE).unwrap(), &left, false, &Burdens::new());
        assert_eq!(found.shards.iter().map(|repair| repair.shard).collect::<Vec<_>>(), [ShardId(10)]);
        assert_eq!(found.apart, [ShardId(9)]);
    }

    #[test]
    fn a_shard_that_is_not_borne_waits_for_the_one_that_bears_it() {
        let mut state = cluster(&[1, 2]);
        let parent = state.table(TABLE).unwrap().shards[0].clone();
        let mut child = parent.clone();
        (child.id, child.parent, child.reached) = (photondb_proto::ShardId(9), Some(parent.id), None);
        child.members.iter_mut().for_each(|member| member.id.0 += 10);
        std::sync::Arc::make_mut(state.tables.get_mut(&TABLE).unwrap()).shards.push(child);
        let found = of(&state, &[(8, 1, 1)], true);
        assert_eq!(found.shards.iter().map(|repair| repair.shard).collect::<Vec<_>>(), [parent.id]);
    }
}

//! Of nodes that suit alike the one gets a replica, or leads, that bears least: by replicas, bytes and work, each as a share of the whole.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "made/made.rs"]
mod made;

use std::collections::{BTreeMap, BTreeSet};

use made::{create_table, register};
use photondb_cluster_state::plan::{Burden, Burdens, Tagged, Wish, part_placement, place, plan, rescue};
use photondb_cluster_state::*;
use photondb_proto::{KeyRange, NodeId, TableId};

const TABLE: TableId = TableId(200);
const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// So many nodes, and a table with a shard on each of these.
fn cluster(nodes: u128, shards: &[&[u128]]) -> ClusterState {
    let mut state = ClusterState::at_birth();
    for id in (1..=nodes).map(NodeId) {
        apply(&mut state, &register(id, BTreeSet::new())).unwrap();
    }
    let mut rest = KeyRange::all();
    let mut new = Vec::new();
    for (number, nodes) in shards.iter().enumerate() {
        let cut = rest.cut(&[number as u8 + 1]).unwrap();
        let is_last = number + 1 == shards.len();
        let [range, right] = if is_last { [rest.clone(), rest] } else { cut };
        new.push(NewShard::voting(range, nodes.iter().copied().map(NodeId).collect()));
        rest = right;
    }
    if !new.is_empty() {
        let create = create_table(&state, TABLE, new);
        apply(&mut state, &create).unwrap();
    }
    state
}

fn liveness(state: &mut ClusterState, node: u128, liveness: Liveness) {
    apply(state, &Command::SetLiveness { id: NodeId(node), boots: 1, liveness }).unwrap();
}

/// Of each node: bytes, and documents in each second.
fn burdens(of: &[(u128, u64, u64)]) -> Burdens {
    of.iter().map(|(node, bytes, work)| (NodeId(*node), Burden { bytes: *bytes, work: *work })).collect()
}

fn wish(shards: usize, replicas: usize) -> Wish {
    let default = "default".to_owned();
    Wish { shards, replicas: vec![Tagged { tag: default.clone(), count: replicas, votes: true }], primary: default }
}

/// Where the only replica of another table goes.
fn next(state: &ClusterState, burdens: &Burdens) -> u128 {
    place(state, &wish(1, 1), None, burdens).unwrap()[0].voters[0].0
}

fn ids(nodes: &[NodeId]) -> Vec<u128> {
    nodes.iter().map(|node| node.0).collect()
}

#[test]
fn of_nodes_with_as_many_replicas_the_one_gets_another_that_stores_and_does_least() {
    let state = cluster(3, &[&[1], &[2], &[3]]);
    assert_eq!(next(&state, &Burdens::new()), 1);
    assert_eq!(next(&state, &burdens(&[(1, 9 * GIB, 0), (2, 8 * GIB, 0), (3, 9 * GIB, 0)])), 2);
    assert_eq!(next(&state, &burdens(&[(1, GIB, 900), (2, GIB, 900), (3, GIB, 800)])), 3);
    // Each counts by its share of the whole: twice the work is more than a tenth of the bytes.
    assert_eq!(next(&state, &burdens(&[(1, 10 * GIB, 2_000), (2, 11 * GIB, 1_000), (3, 11 * GIB, 2_000)])), 2);
}

#[test]
fn much_outweighs_a_replica_and_little_does_not() {
    let state = cluster(2, &[&[1], &[1], &[1], &[2], &[2]]);
    assert_eq!(next(&state, &Burdens::new()), 2);
    assert_eq!(next(&state, &burdens(&[(1, GIB, 0), (2, 100 * GIB, 0)])), 1);
    assert_eq!(next(&state, &burdens(&[(1, MIB, 0), (2, 40 * MIB, 0)])), 2);
    assert_eq!(next(&state, &burdens(&[(1, 0, 10), (2, 0, 2_000)])), 1);
    assert_eq!(next(&state, &burdens(&[(1, 0, 1), (2, 0, 40)])), 2);
    let all = u64::MAX;
    assert_eq!(next(&state, &burdens(&[(1, all, all), (2, all, all)])), 2);
}

#[test]
fn who_has_not_said_what_it_bears_is_taken_to_bear_what_its_replicas_do_elsewhere() {
    let state = cluster(4, &[&[1], &[2], &[3], &[4], &[4]]);
    assert_eq!(next(&state, &burdens(&[(1, 10 * GIB, 0), (2, 8 * GIB, 0), (4, 90 * GIB, 0)])), 2);
    assert_eq!(next(&state, &burdens(&[(1, 10 * GIB, 0), (2, 8 * GIB, 0), (4, 9 * GIB, 0)])), 3);
    // One without replicas bears nothing, though it has not said that either.
    let state = cluster(4, &[&[1], &[2], &[3]]);
    assert_eq!(next(&state, &burdens(&[(1, 9 * GIB, 9), (2, 9 * GIB, 9), (3, GIB, 1)])), 4);
}

#[test]
fn what_is_to_be_cut_off_counts_where_it_is_wanted() {
    for (nodes, wanted, least) in [([1, 2], 1, 2), ([2, 1], 1, 2), ([1, 2], 2, 1)] {
        let mut state = cluster(2, &[&nodes[..1], &nodes[1..]]);
        let shard = state.table(TABLE).unwrap().shards[0].clone();
        let (id, generation, at) = (shard.id, shard.generation, Reached { term: 1, index: 1 });
        let (voters, learners) = (shard.wanted_voters(), Default::default());
        apply(&mut state, &Command::MembersReached { shard: id, generation, at, voters, learners }).unwrap();
        assert_eq!(next(&state, &Burdens::new()), 1, "both bear as much");
        let generation = state.shard(id).unwrap().1.generation;
        let placement = Placement { voters: vec![NodeId(wanted)], nonvoting: BTreeSet::new() };
        let cuts = vec![NewCut { at: vec![0], placement }];
        apply(&mut state, &Command::CutShard { shard: id, generation, cuts }).unwrap();
        assert_eq!(next(&state, &Burdens::new()), least, "cut from {}, wanted on {wanted}", nodes[0]);
    }
}

#[test]
fn what_a_table_has_stays_where_it_is_though_most_is_borne_there() {
    let state = cluster(5, &[&[2, 1, 3], &[3, 2, 1]]);
    let table = state.table(TABLE).unwrap();
    let heavy = burdens(&[(1, 9 * GIB, 9_000), (2, 8 * GIB, 9_900), (3, 7 * GIB, 9_999), (4, 6, 60), (5, 5, 50)]);
    let placed = place(&state, &wish(2, 3), Some(table), &heavy).unwrap();
    for (placement, shard) in placed.iter().zip(&table.shards) {
        let nodes = |placement: &Placement| placement.nodes().collect::<BTreeSet<_>>();
        assert_eq!(nodes(placement), nodes(&shard.placement));
        assert_eq!(placement.voters[0], shard.placement.voters[0], "primaries too");
    }
    // What comes new goes elsewhere.
    let placed = place(&state, &wish(2, 4), Some(table), &heavy).unwrap();
    let added = |at: usize| placed[at].nodes().find(|node| node.0 > 3).unwrap().0;
    assert_eq!([added(0), added(1)], [5, 4], "and is spread before it is weighed");
}

#[test]
fn of_nodes_that_lead_as_many_the_one_leads_another_on_which_least_is_done() {
    let state = cluster(3, &[]);
    let busy = burdens(&[(1, 0, 9_000), (2, 0, 1_000), (3, 0, 5_000)]);
    let placed = place(&state, &wish(4, 3), None, &busy).unwrap();
    assert_eq!(placed.iter().map(|placement| placement.voters[0].0).collect::<Vec<_>>(), [2, 3, 1, 2]);

    let state = cluster(3, &[&[1, 2, 3]]);
    let part = |state: &ClusterState, burdens: &Burdens| {
        ids(&part_placement(state, &state.table(TABLE).unwrap().shards[0], burdens).voters)
    };
    assert_eq!(part(&state, &burdens(&[(2, 0, 900), (3, 0, 100)])), [3, 1, 2]);
    assert_eq!(part(&state, &burdens(&[(2, 0, 100), (3, 0, 900)])), [2, 1, 3]);
    let state = cluster(3, &[&[1, 2, 3], &[3, 2, 1]]);
    assert_eq!(part(&state, &burdens(&[(2, 0, 900), (3, 0, 100)])), [2, 1, 3], "the third leads more");
}

/// Twelve shards on the first node, which is lost, and two on each of the other three.
fn twelve_to_place() -> ClusterState {
    let mut on: Vec<&[u128]> = vec![&[1][..]; 12];
    on.extend([&[2][..], &[2], &[3], &[3], &[4], &[4]]);
    let mut state = cluster(4, &on);
    liveness(&mut state, 1, Liveness::Lost);
    state
}

fn substitutes(commands: &[Command]) -> Vec<NodeId> {
    let by = |command: &Command| match command {
        Command::Substitute { by, .. } => Some(*by),
        _ => None,
    };
    commands.iter().filter_map(by).collect()
}

fn counts(nodes: Vec<NodeId>) -> Vec<(u128, usize)> {
    let mut counts = BTreeMap::new();
    nodes.into_iter().for_each(|node| *counts.entry(node.0).or_default() += 1);
    counts.into_iter().collect()
}

#[test]
fn the_places_of_a_lost_node_go_to_all_others_and_fewer_to_who_bears_more() {
    let state = twelve_to_place();
    assert_eq!(counts(substitutes(&plan(&state, &Burdens::new()))), [(2, 4), (3, 4), (4, 4)]);
    let unequal = burdens(&[(2, 40 * GIB, 0), (3, 10 * GIB, 0), (4, 10 * GIB, 0)]);
    assert_eq!(counts(substitutes(&plan(&state, &unequal))), [(2, 3), (3, 5), (4, 4)]);
}

#[test]
fn what_is_on_its_way_counts_as_what_is_there() {
    let unequal = burdens(&[(2, 40 * GIB, 0), (3, 10 * GIB, 0), (4, 10 * GIB, 0)]);
    let mut state = twelve_to_place();
    let mut placed = Vec::new();
    // A leader that gets no further than one command, again and again: the nodes say the same meanwhile.
    while let Some(first) =
        plan(&state, &unequal).into_iter().find(|command| matches!(command, Command::Substitute { .. }))
    {
        apply(&mut state, &first).unwrap();
        placed.extend(substitutes(&[first]));
    }
    assert_eq!(counts(placed), [(2, 3), (3, 5), (4, 4)]);
}

#[test]
fn shards_that_are_repaired_at_once_begin_on_several_nodes() {
    let mut state = cluster(4, &[&[1], &[1], &[1]]);
    liveness(&mut state, 1, Liveness::Down);
    let homes = |burdens: &Burdens| {
        let rescues = rescue(&state, state.table(TABLE).unwrap(), &BTreeMap::new(), true, burdens);
        rescues.shards.iter().map(|repair| repair.placement.voters[0].0).collect::<Vec<_>>()
    };
    assert_eq!(homes(&Burdens::new()), [2, 3, 4]);
    assert_eq!(homes(&burdens(&[(2, 9 * GIB, 0), (3, GIB, 0), (4, 0, 0)])), [4, 3, 4]);
}

//! One command makes a table as somebody wants it, and one that is refused changes nothing (K13).

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "made/made.rs"]
mod made;

use made::{create_table, register};
use photondb_cluster_state::plan::{Burdens, plan};
use photondb_cluster_state::*;
use photondb_proto::{DatabaseId, Epoch, KeyRange, NodeId, ShardId, TableId};

const TABLE: TableId = TableId(200);

/// Shards that begin at the first key, at `h` and at `p`, on the same three nodes of five, all of which have reported.
fn cluster() -> (ClusterState, [ShardId; 3]) {
    let mut state = ClusterState::at_birth();
    for id in 1..=5 {
        run(&mut state, register(NodeId(id), Default::default()));
    }
    let shard = |start: &str, end: Option<&str>| {
        NewShard::voting(KeyRange::new(start.into(), end.map(Into::into)).unwrap(), [1, 2, 3].map(NodeId).into())
    };
    let create = create_table(&state, TABLE, vec![shard("", Some("h")), shard("h", Some("p")), shard("p", None)]);
    run(&mut state, create);
    let ids = [0, 1, 2].map(|number: usize| table(&state).shards[number].id);
    ids.into_iter().for_each(|id| reach(&mut state, id));
    (state, ids)
}

#[track_caller]
fn run(state: &mut ClusterState, command: Command) {
    apply(state, &command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
}

#[track_caller]
fn refused(state: &ClusterState, command: &Command, error: StateError) {
    let mut after = state.clone();
    assert_eq!(apply(&mut after, command), Err(error), "{command:?}");
    assert_eq!(after, *state, "a part of it stayed: {command:?}");
}

fn table(state: &ClusterState) -> Table {
    Table::clone(state.table(TABLE).unwrap())
}

fn shard(state: &ClusterState, id: ShardId) -> Shard {
    state.shard(id).unwrap().1.clone()
}

/// The group reports that it is what it was told to be.
fn reach(state: &mut ClusterState, id: ShardId) {
    let shard = shard(state, id);
    let (at, generation) = (Reached { term: 1, index: 1 }, shard.generation);
    let (voters, learners) = (shard.wanted_voters(), shard.wanted_learners());
    run(state, Command::MembersReached { shard: id, generation, at, voters, learners });
}

fn on(nodes: &[u128]) -> Placement {
    Placement { voters: nodes.iter().copied().map(NodeId).collect(), nonvoting: Default::default() }
}

fn stays(state: &ClusterState, id: ShardId, placement: Placement) -> Reshaped {
    Reshaped { shard: id, epoch: shard(state, id).epoch, cuts: Vec::new(), placement: Some(placement) }
}

fn joins(state: &ClusterState, id: ShardId) -> Reshaped {
    Reshaped { placement: None, ..stays(state, id, on(&[])) }
}

fn cut(at: &str, mut shard: Reshaped) -> Reshaped {
    shard.cuts.push(NewCut { at: at.into(), placement: on(&[2, 3, 4]) });
    shard
}

const SOFT: TableSettings = TableSettings {
    durability: Some(Durability::Soft),
    write_acks: None,
    flush_interval_ms: None,
    compression: None,
    change_log_bytes: None,
};

fn reshape(shards: Vec<Reshaped>) -> Command {
    Command::Reshape { table: TABLE, named: None, settings: SOFT, shards }
}

#[test]
fn name_settings_places_cuts_and_joins_come_with_one_command() {
    let (mut state, [a, b, c]) = cluster();
    let database = DatabaseId(9);
    run(&mut state, Command::CreateDatabase { id: database, name: "other".into() });
    let shards = vec![cut("c", stays(&state, a, on(&[3, 2, 1]))), stays(&state, b, on(&[4, 5])), joins(&state, c)];
    let named = Some((database, "u".into()));
    run(&mut state, Command::Reshape { table: TABLE, named, settings: SOFT, shards });
    let after = table(&state);
    assert_eq!((after.database, &*after.name, after.durability), (database, "u", Durability::Soft));
    assert_eq!(state.table_named(database, "u").map(|table| table.id), Some(TABLE));
    let [a, b, c] = [a, b, c].map(|id| shard(&state, id));
    assert_eq!(
        (a.placement.clone(), a.cuts.len(), a.next_cut().unwrap().placement.clone()),
        (on(&[3, 2, 1]), 1, on(&[2, 3, 4]))
    );
    assert_eq!((b.placement, b.joining), (on(&[4, 5]), None));
    assert_eq!((c.placement, c.joining), (on(&[4, 5]), Some(Stage::Wanted)), "beside the one that it is joined to");
}

#[test]
fn a_table_of_which_only_settings_change_keeps_wishes_and_cuts() {
    let (mut state, [a, b, c]) = cluster();
    let shards = vec![cut("c", stays(&state, a, on(&[1, 2, 3]))), stays(&state, b, on(&[1, 2, 3])), joins(&state, c)];
    run(&mut state, reshape(shards));
    let before = table(&state).shards;
    let settings = TableSettings { durability: Some(Durability::Hard), ..TableSettings::default() };
    run(&mut state, Command::Reshape { table: TABLE, named: None, settings, shards: Vec::new() });
    assert_eq!((table(&state).durability, table(&state).shards), (Durability::Hard, before));
}

#[test]
fn one_part_that_is_refused_takes_all_others_back() {
    let (mut state, [a, b, c]) = cluster();
    let database = table(&state).database;
    let create = create_table(&state, TableId(201), vec![NewShard::voting(KeyRange::all(), vec![NodeId(1)])]);
    let Command::CreateTable { id, primary_key, durability, write_acks, shards, compression, .. } = create else {
        unreachable!()
    };
    let name = "taken".to_owned();
    let other = Command::CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression };
    run(&mut state, other);
    let whole = [1, 2, 3];
    let all = |state: &ClusterState| [a, b, c].map(|id| stays(state, id, on(&whole))).to_vec();
    let with = |state: &ClusterState, number: usize, shard: Reshaped| {
        // What comes before it would be possible.
        let mut shards = all(state);
        shards[0] = cut("c", stays(state, a, on(&[5])));
        shards[number] = shard;
        reshape(shards)
    };
    let invalid = StateError::ShardsInvalid { table: "t".into() };
    let changed = StateError::ShardsChanged { table: "t".into() };
    for (command, error) in [
        (with(&state, 2, stays(&state, c, on(&[9]))), StateError::NodeNotFound { id: NodeId(9) }),
        (with(&state, 2, stays(&state, c, on(&[]))), invalid.clone()),
        (with(&state, 2, cut("a", stays(&state, c, on(&whole)))), invalid),
        (with(&state, 0, joins(&state, a)), StateError::NoLeftNeighbour { shard: a }),
        (with(&state, 2, Reshaped { epoch: Epoch(7), ..joins(&state, c) }), changed.clone()),
        (reshape(all(&state)[..2].to_vec()), changed.clone()),
        (reshape(vec![joins(&state, c), joins(&state, b), stays(&state, a, on(&whole))]), changed),
    ] {
        refused(&state, &command, error);
    }
    let Command::Reshape { table, settings, shards, .. } = with(&state, 1, joins(&state, b)) else { unreachable!() };
    let taken = StateError::TableExists { database: "test".into(), table: "taken".into() };
    let named = Some((database, "taken".to_owned()));
    refused(&state, &Command::Reshape { table, named, settings, shards: shards.clone() }, taken);
    let nowhere = TableId(7);
    let command = Command::Reshape { table: nowhere, named: None, settings, shards };
    refused(&state, &command, StateError::TableNotFound { id: nowhere });
}

#[test]
fn a_shard_is_cut_only_where_its_members_rest_and_what_was_cut_meanwhile_was_not_counted() {
    let (mut state, [a, b, c]) = cluster();
    let all = |state: &ClusterState| [a, b, c].map(|id| stays(state, id, on(&[1, 2, 3])));
    let [first, second, third] = all(&state);
    let both = reshape(vec![first.clone(), cut("k", second), third]);
    // One of the members of the second one is on its way.
    let generation = shard(&state, b).generation;
    let add = Command::AddMember { shard: b, generation, node: NodeId(4), votes: true, replaces: None };
    let mut moving = state.clone();
    run(&mut moving, add);
    refused(&moving, &both, StateError::ShardBusy { shard: b });
    // Who only says where replicas are to be need not wait for it.
    let command = reshape(all(&moving).to_vec());
    run(&mut moving, command);
    // Somebody else has it cut.
    let generation = shard(&state, a).generation;
    let cuts = vec![NewCut { at: b"c".to_vec(), placement: on(&[1]) }];
    run(&mut state, Command::CutShard { shard: a, generation, cuts });
    refused(&state, &both, StateError::ShardBusy { shard: a });
    let child = shard(&state, a).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: a, child });
    refused(&state, &both, StateError::ShardsChanged { table: "t".into() });
}

#[test]
fn wishes_of_before_are_taken_back_and_a_join_that_was_begun_goes_on() {
    let (mut state, [a, b, c]) = cluster();
    let here = on(&[1, 2, 3]);
    let command = reshape(vec![stays(&state, a, here.clone()), joins(&state, b), joins(&state, c)]);
    run(&mut state, command);
    assert_eq!([b, c].map(|id| shard(&state, id).joining), [Some(Stage::Wanted); 2]);
    // What was wished for can be cut with the command that takes the wish back.
    let other = vec![stays(&state, a, here.clone()), cut("k", stays(&state, b, here.clone())), joins(&state, c)];
    let mut apart = state.clone();
    run(&mut apart, reshape(other));
    assert_eq!((shard(&apart, b).joining, shard(&apart, b).cuts.len()), (None, 1));
    assert_eq!(shard(&apart, c).joining, Some(Stage::Wanted));

    let begin = plan(&state, &Burdens::new()).remove(0);
    assert!(matches!(begin, Command::BeginJoin { shard, .. } if shard == b), "{begin:?}");
    run(&mut state, begin);
    let joining = |shard| StateError::ShardJoining { shard };
    let of = |state: &ClusterState, first: Reshaped, second: Reshaped| {
        reshape(vec![first, second, stays(state, c, on(&[4, 5]))])
    };
    let apart = of(&state, stays(&state, a, here.clone()), stays(&state, b, here.clone()));
    refused(&state, &apart, joining(b));
    let elsewhere = of(&state, stays(&state, a, on(&[1, 2, 4])), joins(&state, b));
    refused(&state, &elsewhere, joining(a));
    let cutting = of(&state, cut("c", stays(&state, a, here.clone())), joins(&state, b));
    refused(&state, &cutting, joining(a));
    let command = of(&state, stays(&state, a, here), joins(&state, b));
    run(&mut state, command);
    assert_eq!((shard(&state, b).joining, shard(&state, c).joining), (Some(Stage::Freezing), None));
    assert_eq!(shard(&state, c).placement, on(&[4, 5]));
}

#[test]
fn the_first_part_of_a_shard_goes_to_the_left_while_the_rest_is_cut_off() {
    let (mut state, [a, b, c]) = cluster();
    let here = on(&[1, 2, 3]);
    let command = reshape(vec![stays(&state, a, here.clone()), cut("k", joins(&state, b)), stays(&state, c, here)]);
    run(&mut state, command);
    assert_eq!((shard(&state, b).joining, shard(&state, b).cuts.len()), (Some(Stage::Wanted), 1));
    let child = shard(&state, b).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: b, child });
    let ids: Vec<_> = table(&state).shards.iter().map(|shard| (shard.id, shard.joining)).collect();
    assert_eq!(ids, [(a, None), (b, Some(Stage::Wanted)), (child, None), (c, None)]);
}

#[test]
fn replicas_that_do_not_vote_are_wanted_from_the_command_that_makes_the_table() {
    let mut state = ClusterState::at_birth();
    for id in 1..=3 {
        run(&mut state, register(NodeId(id), Default::default()));
    }
    let placement = Placement { voters: vec![NodeId(2), NodeId(1)], nonvoting: [NodeId(3)].into() };
    let new = NewShard { range: KeyRange::all(), placement: placement.clone() };
    let create = |state: &ClusterState, new: NewShard| create_table(state, TABLE, vec![new]);
    let command = create(&state, new.clone());
    run(&mut state, command);
    let made = table(&state).shards[0].clone();
    assert_eq!(made.placement, placement);
    assert_eq!(made.members.iter().map(|member| member.node).collect::<Vec<_>>(), [2, 1].map(NodeId));
    assert_eq!(made.founders.len(), 2, "who never votes is none (K8)");
    reach(&mut state, made.id);
    let added = plan(&state, &Burdens::new());
    assert!(
        matches!(added[..], [Command::AddMember { node: NodeId(3), votes: false, replaces: None, .. }]),
        "{added:?}"
    );
    run(&mut state, Command::DropTable { id: TABLE });
    let wrong = |voters: &[u128], nonvoting: u128| {
        let placement = Placement { nonvoting: [NodeId(nonvoting)].into(), ..on(voters) };
        NewShard { range: KeyRange::all(), placement }
    };
    let invalid = StateError::ShardsInvalid { table: "t".into() };
    for (new, error) in [
        (wrong(&[1, 2], 2), invalid.clone()),
        (wrong(&[], 2), invalid),
        (wrong(&[1], 9), StateError::NodeNotFound { id: NodeId(9) }),
    ] {
        let command = create(&state, new);
        refused(&state, &command, error);
    }
}

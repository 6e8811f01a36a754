//! What each command of a join does, from which stage to which, and what is refused meanwhile (K12).

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "made/made.rs"]
mod made;

use made::{create_table, register};
use photondb_cluster_state::plan::Burdens;
use photondb_cluster_state::*;
use photondb_proto::{Epoch, KeyRange, NodeId, ShardId, TableId};

const TABLE: TableId = TableId(200);
const NODES: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

fn plan(state: &ClusterState) -> Vec<Command> {
    plan::plan(state, &Burdens::new())
}

/// Shards `a`, `b` and `c`, all of which have reported: the first two on the first three nodes, the last one on others.
fn cluster() -> (ClusterState, [ShardId; 3]) {
    let mut state = ClusterState::at_birth();
    for id in NODES {
        run(&mut state, register(id, Default::default()));
    }
    let shard = |start: &str, end: Option<&str>, nodes: [u128; 3]| {
        NewShard::voting(KeyRange::new(start.into(), end.map(Into::into)).unwrap(), nodes.map(NodeId).into())
    };
    let shards = vec![shard("", Some("h"), [1, 2, 3]), shard("h", Some("p"), [3, 1, 2]), shard("p", None, [1, 4, 5])];
    let create = create_table(&state, TABLE, shards);
    run(&mut state, create);
    let ids = [0, 1, 2].map(|number: usize| state.table(TABLE).unwrap().shards[number].id);
    ids.into_iter().for_each(|id| reach(&mut state, id));
    (state, ids)
}

#[track_caller]
fn run(state: &mut ClusterState, command: Command) -> Response {
    apply(state, &command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[track_caller]
fn refused(state: &mut ClusterState, command: Command, error: StateError) {
    let before = state.clone();
    assert_eq!(apply(state, &command), Err(error), "{command:?}");
    assert_eq!(*state, before, "a refused command changes nothing");
}

#[track_caller]
fn nothing(state: &mut ClusterState, command: Command) {
    let before = state.clone();
    assert_eq!(run(state, command.clone()), Response::Done);
    assert_eq!(*state, before, "{command:?}");
}

fn shard(state: &ClusterState, id: ShardId) -> Shard {
    state.shard(id).unwrap().1.clone()
}

/// The group reports that it is what it was told to be.
fn reach(state: &mut ClusterState, id: ShardId) {
    let shard = shard(state, id);
    let at = Reached { term: 1, index: shard.reached.map_or(1, |reached| reached.index + 1) };
    let (voters, learners, generation) = (shard.wanted_voters(), shard.wanted_learners(), shard.generation);
    run(state, Command::MembersReached { shard: id, generation, at, voters, learners });
}

fn wish(state: &ClusterState, ids: &[ShardId]) -> Command {
    let generation = |id: &ShardId| (*id, shard(state, *id).generation);
    Command::JoinShards { table: TABLE, shards: ids.iter().map(generation).collect() }
}

fn begin(state: &ClusterState, left: ShardId, right: ShardId) -> Command {
    let [generation, left_generation] = [right, left].map(|id| shard(state, id).generation);
    Command::BeginJoin { shard: right, generation, left, left_generation }
}

fn cut(state: &ClusterState, id: ShardId, at: &str) -> Command {
    let shard = shard(state, id);
    let cuts = vec![NewCut { at: at.into(), placement: shard.placement }];
    Command::CutShard { shard: id, generation: shard.generation, cuts }
}

fn on(nodes: &[u128]) -> Placement {
    Placement { voters: nodes.iter().copied().map(NodeId).collect(), nonvoting: Default::default() }
}

const AT: Reached = Reached { term: 3, index: 30 };

/// The second shard is being joined to the first one.
fn freezing() -> (ClusterState, [ShardId; 3]) {
    let (mut state, ids) = cluster();
    let wish = wish(&state, &ids[1..2]);
    run(&mut state, wish);
    let planned = plan(&state);
    assert_eq!(planned, [begin(&state, ids[0], ids[1])]);
    planned.into_iter().for_each(|command| drop(run(&mut state, command)));
    (state, ids)
}

fn frozen() -> (ClusterState, [ShardId; 3]) {
    let (mut state, ids) = freezing();
    run(&mut state, Command::ShardFrozen { shard: ids[1], attempt: Attempt(1), at: AT });
    assert_eq!(shard(&state, ids[1]).joining, Some(Stage::Frozen { at: AT }));
    (state, ids)
}

fn joined() -> (ClusterState, [ShardId; 3]) {
    let (mut state, ids) = frozen();
    run(&mut state, Command::ShardJoined { shard: ids[1], into: ids[0], attempt: Attempt(1), epoch: Epoch(4) });
    (state, ids)
}

#[test]
fn shards_that_are_to_be_joined_are_wanted_where_the_leftmost_of_them_is() {
    let (mut state, [a, b, c]) = cluster();
    let command = wish(&state, &[c, b]);
    run(&mut state, command.clone());
    nothing(&mut state, command);
    for id in [b, c] {
        assert_eq!(shard(&state, id).joining, Some(Stage::Wanted));
        // Where it was in the right places, another one may lead it.
        assert_eq!(shard(&state, id).placement, on(&[3, 1, 2]));
    }
    // The first of them begins, while the other one moves.
    let planned = plan(&state);
    assert_eq!(planned[0], begin(&state, a, b));
    assert!(matches!(planned[1], Command::AddMember { shard, .. } if shard == c) && planned.len() == 2, "{planned:?}");
    // Another node for one that is lost is found for all of them.
    run(&mut state, Command::SetLiveness { id: NodeId(2), boots: 1, liveness: Liveness::Lost });
    let planned = plan(&state);
    let Command::Substitute { shard: of, lost: NodeId(2), by } = planned[0] else { panic!("{planned:?}") };
    assert_eq!(of, a);
    run(&mut state, planned[0].clone());
    assert!([a, b, c].iter().all(|id| shard(&state, *id).placement == on(&[1, by.0, 3])));
    // What was planned before the wish does not take one of them elsewhere.
    nothing(&mut state, Command::Substitute { shard: b, lost: NodeId(3), by: NodeId(2) });
}

#[test]
fn a_wish_that_cannot_be_fulfilled_is_refused_with_all_others() {
    let (mut state, [a, b, _]) = cluster();
    let command = wish(&state, &[b, a]);
    refused(&mut state, command, StateError::NoLeftNeighbour { shard: a });
    let unknown = |shards| Command::JoinShards { table: TABLE, shards };
    let generation = shard(&state, b).generation;
    let none = ShardId(99);
    refused(&mut state, unknown(vec![(b, generation), (none, generation)]), StateError::ShardNotFound { id: none });
    let other = StateError::OtherGeneration { shard: b, is: generation.0, asked: generation.0 + 1 };
    refused(&mut state, unknown(vec![(b, Generation(generation.0 + 1))]), other);
    let nowhere = Command::JoinShards { table: TableId(7), shards: vec![] };
    refused(&mut state, nowhere, StateError::TableNotFound { id: TableId(7) });
}

#[test]
fn a_wish_is_about_the_boundary_whatever_is_being_cut_off_on_either_side() {
    let (mut state, [a, b, c]) = cluster();
    let command = cut(&state, b, "k");
    run(&mut state, command);
    let child = shard(&state, b).next_cut().unwrap().shard;
    let command = wish(&state, &[b, c]);
    run(&mut state, command);
    // The last one goes where that is which is to be cut off from its neighbour.
    assert_eq!([b, c].map(|id| shard(&state, id).placement), [on(&[3, 1, 2]), on(&[3, 1, 2])]);
    for (left, right) in [(a, b), (b, c)] {
        let command = begin(&state, left, right);
        refused(&mut state, command, StateError::ShardBusy { shard: right });
    }
    assert!(!plan(&state).iter().any(|command| matches!(command, Command::BeginJoin { .. })));
    run(&mut state, Command::ShardCut { shard: b, child });
    assert_eq!(state.table(TABLE).unwrap().left_of(c).unwrap().id, child);
    assert_eq!(shard(&state, c).placement, shard(&state, child).placement);
    reach(&mut state, child);
    let command = begin(&state, a, b);
    run(&mut state, command);
}

#[test]
fn who_places_a_shard_takes_the_wish_back_and_who_cuts_one_waits() {
    let (mut state, [a, b, c]) = cluster();
    let command = wish(&state, &[b, c]);
    run(&mut state, command);
    for id in [a, b] {
        let command = cut(&state, id, if id == a { "c" } else { "k" });
        refused(&mut state, command, StateError::ShardJoining { shard: id });
    }
    run(&mut state, Command::PlaceShard { shard: b, placement: on(&[4]) });
    assert_eq!((shard(&state, b).joining, shard(&state, c).joining), (None, Some(Stage::Wanted)));
    assert_eq!(shard(&state, c).placement, on(&[4]));
    let shards = vec![on(&[1]), on(&[2]), on(&[3])];
    run(&mut state, Command::Place { table: TABLE, shards });
    assert_eq!((shard(&state, c).joining, shard(&state, c).placement), (None, on(&[3])));
    // People who repair a shard say where it is to begin, and not that it is to stay apart.
    let command = wish(&state, &[b]);
    run(&mut state, command);
    let (from, generation) = (Some(shard(&state, b).members[0].id), shard(&state, b).generation);
    let repair = ShardRepair { shard: b, generation, from, placement: on(&[3]) };
    run(&mut state, Command::RepairTable { table: TABLE, shards: vec![repair] });
    assert_eq!((shard(&state, b).joining, shard(&state, b).placement), (Some(Stage::Wanted), on(&[1])));
}

#[test]
fn a_join_begins_when_both_shards_rest_side_by_side() {
    let (mut state, [a, b, c]) = cluster();
    let busy = |shard| StateError::ShardBusy { shard };
    let command = begin(&state, a, b);
    refused(&mut state, command, busy(b));
    let command = wish(&state, &[b, c]);
    run(&mut state, command);
    // Not on the same nodes yet, and its left neighbour goes first; nor with another one.
    for (left, right) in [(b, c), (a, c), (b, b), (c, b)] {
        let command = begin(&state, left, right);
        refused(&mut state, command, busy(right));
    }
    let Command::BeginJoin { shard: right, generation, left, left_generation } = begin(&state, a, b) else {
        unreachable!()
    };
    let next = |generation: Generation| Generation(generation.0 + 1);
    for (generation, left_generation) in [(next(generation), left_generation), (generation, next(left_generation))] {
        let command = Command::BeginJoin { shard: right, generation, left, left_generation };
        assert!(matches!(apply(&mut state, &command), Err(StateError::OtherGeneration { .. })));
    }
    // Not while somebody is away, though it is not forbidden.
    run(&mut state, Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Down });
    assert!(!plan(&state).contains(&begin(&state, a, b)));
    run(&mut state, Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Up });
    // Nor when one has failed, in the left one as in the right one.
    for id in [a, b] {
        let mut state = state.clone();
        let member = shard(&state, id).members[1].id;
        run(&mut state, Command::MemberFailed { shard: id, member });
        let command = begin(&state, a, b);
        refused(&mut state, command, busy(b));
    }
    let before = [a, b].map(|id| shard(&state, id).generation);
    let command = begin(&state, a, b);
    run(&mut state, command.clone());
    assert_eq!([a, b].map(|id| shard(&state, id).generation), before.map(next));
    assert_eq!((shard(&state, b).joining, shard(&state, b).attempt), (Some(Stage::Freezing), Attempt(1)));
    assert!(matches!(apply(&mut state, &command), Err(StateError::OtherGeneration { .. })));
}

#[test]
fn a_join_waits_for_what_was_cut_off_from_either_to_begin() {
    let (mut state, [a, b, _]) = cluster();
    let command = cut(&state, a, "c");
    run(&mut state, command);
    let child = shard(&state, a).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: a, child });
    let command = wish(&state, &[child]);
    run(&mut state, command);
    let command = begin(&state, a, child);
    refused(&mut state, command, StateError::ShardBusy { shard: child });
    reach(&mut state, child);
    let command = begin(&state, a, child);
    run(&mut state, command);
    assert_eq!(state.table(TABLE).unwrap().left_of(b).unwrap().id, child);
    // Nor is one joined that bears another still.
    let command = cut(&state, b, "k");
    run(&mut state, command);
    let unborn = shard(&state, b).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: b, child: unborn });
    reach(&mut state, b);
    run(&mut state, Command::UndoJoin { shard: child, attempt: Attempt(1) });
    run(&mut state, Command::ShardThawed { shard: child, attempt: Attempt(1), epoch: Epoch(9) });
    run(&mut state, Command::PlaceShard { shard: child, placement: on(&[1, 2, 4]) });
    let command = wish(&state, &[b]);
    run(&mut state, command);
    let command = begin(&state, child, b);
    refused(&mut state, command, StateError::ShardBusy { shard: b });
    reach(&mut state, unborn);
    let command = begin(&state, child, b);
    run(&mut state, command);
}

#[test]
fn a_shard_that_takes_another_one_is_joined_itself_when_that_is_done() {
    let (mut state, [a, b, _]) = cluster();
    let command = cut(&state, b, "k");
    run(&mut state, command);
    let child = shard(&state, b).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: b, child });
    reach(&mut state, child);
    let command = wish(&state, &[child]);
    run(&mut state, command);
    let command = begin(&state, b, child);
    run(&mut state, command);
    let command = wish(&state, &[b]);
    run(&mut state, command);
    let command = begin(&state, a, b);
    refused(&mut state, command, StateError::ShardBusy { shard: b });
    assert_eq!(plan(&state), []);
    run(&mut state, Command::ShardFrozen { shard: child, attempt: Attempt(1), at: AT });
    run(&mut state, Command::ShardJoined { shard: child, into: b, attempt: Attempt(1), epoch: Epoch(9) });
    assert_eq!(plan(&state), [begin(&state, a, b)]);
}

#[test]
fn nothing_else_happens_to_either_shard_while_they_are_joined() {
    let stages = [freezing(), frozen()].into_iter().chain([freezing()].map(|(mut state, ids)| {
        run(&mut state, Command::UndoJoin { shard: ids[1], attempt: Attempt(1) });
        (state, ids)
    }));
    for (mut state, [a, b, c]) in stages {
        let joining = |shard| StateError::ShardJoining { shard };
        for id in [a, b] {
            let stored = shard(&state, id);
            let (generation, member) = (stored.generation, stored.members[2].id);
            let command = cut(&state, id, if id == a { "c" } else { "k" });
            for command in [
                command,
                Command::AddMember { shard: id, generation, node: NodeId(4), votes: true, replaces: None },
                Command::RetireMember { shard: id, generation, member, restores: None },
                Command::SetRole { shard: id, generation, member, role: Role::Nonvoting },
                Command::Substitute { shard: id, lost: NodeId(1), by: NodeId(4) },
                Command::PlaceShard { shard: id, placement: on(&[4]) },
            ] {
                refused(&mut state, command, joining(id));
            }
        }
        let shards = vec![on(&[1]), on(&[2]), on(&[3])];
        refused(&mut state, Command::Place { table: TABLE, shards }, joining(a));
        let command = wish(&state, &[b]);
        refused(&mut state, command, joining(b));
        // The right neighbour of both may be wanted there, too, and is not joined before.
        let command = wish(&state, &[c]);
        run(&mut state, command);
        run(&mut state, Command::SetLiveness { id: NodeId(2), boots: 1, liveness: Liveness::Lost });
        let other = |command: &Command| !matches!(command, Command::UndoJoin { shard, .. } if *shard == b);
        let touches = |command: &Command| matches!(command, Command::Substitute { shard, .. } | Command::BeginJoin { shard, .. } if [a, b, c].contains(shard));
        let planned = plan(&state);
        assert!(!planned.iter().filter(|command| other(command)).any(touches), "{planned:?}");
        // A member that fails says so all the same.
        let failed = shard(&state, b).members[0].id;
        run(&mut state, Command::MemberFailed { shard: b, member: failed });
        assert_eq!(shard(&state, b).member(failed).map(|member| member.role), Some(Role::Failed));
    }
}

#[test]
fn an_attempt_is_given_up_when_somebody_is_missed_and_the_wish_stands() {
    for (half, fails) in [(0, false), (1, false), (0, true), (1, true)] {
        let (mut state, ids) = freezing();
        assert!(!plan(&state).iter().any(|command| matches!(command, Command::UndoJoin { .. })));
        let member = shard(&state, ids[half]).members[1];
        run(
            &mut state,
            match fails {
                true => Command::MemberFailed { shard: ids[half], member: member.id },
                false => Command::SetLiveness { id: member.node, boots: 1, liveness: Liveness::Down },
            },
        );
        let attempt = Attempt(1);
        let undo = Command::UndoJoin { shard: ids[1], attempt };
        assert_eq!(plan(&state), std::slice::from_ref(&undo));
        if fails {
            // What its leader counted on may be lost.
            nothing(&mut state, Command::ShardFrozen { shard: ids[1], attempt, at: AT });
        }
        nothing(&mut state, Command::UndoJoin { shard: ids[1], attempt: Attempt(2) });
        nothing(&mut state, Command::ShardThawed { shard: ids[1], attempt, epoch: Epoch(3) });
        run(&mut state, undo.clone());
        nothing(&mut state, undo);
        assert_eq!(shard(&state, ids[1]).joining, Some(Stage::Thawing));
        nothing(&mut state, Command::ShardFrozen { shard: ids[1], attempt, at: AT });
        nothing(&mut state, Command::ShardThawed { shard: ids[1], attempt: Attempt(2), epoch: Epoch(3) });
        let stale = StateError::StaleReport { shard: ids[1] };
        refused(&mut state, Command::ShardThawed { shard: ids[1], attempt, epoch: Epoch(0) }, stale);
        let thawed = Command::ShardThawed { shard: ids[1], attempt, epoch: Epoch(3) };
        run(&mut state, thawed.clone());
        nothing(&mut state, thawed);
        let after = shard(&state, ids[1]);
        assert_eq!((after.joining, after.epoch), (Some(Stage::Wanted), Epoch(3)));
    }
}

#[test]
fn an_attempt_has_a_number_that_no_other_had_whatever_happens_between() {
    let (mut state, [a, b, _]) = freezing();
    run(&mut state, Command::UndoJoin { shard: b, attempt: Attempt(1) });
    run(&mut state, Command::ShardThawed { shard: b, attempt: Attempt(1), epoch: Epoch(3) });
    run(&mut state, Command::PlaceShard { shard: b, placement: on(&[3, 1, 4]) });
    // What is cut off remembers the freezes of what it was part of.
    let command = cut(&state, b, "k");
    run(&mut state, command);
    let child = shard(&state, b).next_cut().unwrap().shard;
    run(&mut state, Command::ShardCut { shard: b, child });
    reach(&mut state, child);
    for (left, right) in [(b, child), (a, b)] {
        let command = wish(&state, &[right]);
        run(&mut state, command);
        let command = begin(&state, left, right);
        run(&mut state, command);
        assert_eq!(shard(&state, right).attempt, Attempt(2), "{right}");
        run(&mut state, Command::UndoJoin { shard: right, attempt: Attempt(2) });
        run(&mut state, Command::ShardThawed { shard: right, attempt: Attempt(2), epoch: Epoch(9) });
        run(&mut state, Command::PlaceShard { shard: right, placement: on(&[3, 1, 5]) });
    }
}

#[test]
fn who_only_names_another_one_to_lead_keeps_the_wish() {
    let (mut state, [a, b, c]) = cluster();
    let command = wish(&state, &[b, c]);
    run(&mut state, command);
    for (id, order) in [(a, [2, 3, 1]), (b, [1, 3, 2]), (c, [2, 1, 3])] {
        run(&mut state, Command::PlaceShard { shard: id, placement: on(&order) });
        assert_eq!(shard(&state, id).placement, on(&order), "it is led as was said");
    }
    assert_eq!([b, c].map(|id| shard(&state, id).joining), [Some(Stage::Wanted); 2]);
    assert_eq!(plan(&state)[0], begin(&state, a, b), "the order is no matter for a join");
    // The same nodes in other roles are another place.
    let nonvoting = Placement { voters: vec![NodeId(1), NodeId(2)], nonvoting: [NodeId(3)].into() };
    run(&mut state, Command::PlaceShard { shard: b, placement: nonvoting.clone() });
    assert_eq!((shard(&state, b).joining, shard(&state, b).placement), (None, nonvoting.clone()));
    assert_eq!((shard(&state, c).joining, shard(&state, c).placement), (Some(Stage::Wanted), nonvoting));
}

#[test]
fn the_left_shard_has_the_keys_of_both_and_the_right_one_keeps_its_members() {
    let (mut state, [a, b, c]) = frozen();
    let report = |into, attempt, epoch| Command::ShardJoined { shard: b, into, attempt, epoch: Epoch(epoch) };
    let stale = StateError::StaleReport { shard: b };
    for wrong in [report(c, Attempt(1), 4), report(a, Attempt(2), 4), report(a, Attempt(1), 1)] {
        refused(&mut state, wrong, stale.clone());
    }
    nothing(&mut state, Command::UndoJoin { shard: b, attempt: Attempt(1) });
    refused(&mut state, Command::ShardRetired { shard: b }, stale.clone());
    let before = [a, b].map(|id| shard(&state, id));
    run(&mut state, report(a, Attempt(1), 4));
    nothing(&mut state, report(a, Attempt(1), 4));
    refused(&mut state, report(a, Attempt(2), 4), stale);
    let table = state.table(TABLE).unwrap().clone();
    assert_eq!(table.shards.iter().map(|shard| shard.id).collect::<Vec<_>>(), [a, c]);
    assert_eq!((table.shard_of(b"k").id, table.shards[0].range.end()), (a, Some(&b"p"[..])));
    assert_eq!((table.shards[0].epoch, table.shards[0].generation.0), (Epoch(4), before[0].generation.0 + 1));
    let right = shard(&state, b);
    assert_eq!(right.joining, Some(Stage::Joined { at: AT, into: a, epoch: Epoch(4) }));
    assert_eq!((&right.members, right.generation.0), (&before[1].members, before[1].generation.0 + 1));
    assert!(right.is_joined() && table.left_of(b).is_none() && table.right_of(a).unwrap().id == c);
    assert_eq!(table.with_members().map(|shard| shard.id).collect::<Vec<_>>(), [a, c, b]);
    // The left one is free again, for the next one too.
    let command = wish(&state, &[c]);
    run(&mut state, command);
    assert_eq!(shard(&state, c).placement, on(&[1, 2, 3]));
}

#[test]
fn nobody_changes_a_shard_that_was_joined() {
    let (mut state, [a, b, _]) = joined();
    let generation = shard(&state, b).generation;
    let joining = StateError::ShardJoining { shard: b };
    refused(&mut state, Command::PlaceShard { shard: b, placement: on(&[4]) }, joining.clone());
    refused(&mut state, Command::Substitute { shard: b, lost: NodeId(1), by: NodeId(4) }, joining.clone());
    let add = Command::AddMember { shard: b, generation, node: NodeId(4), votes: true, replaces: None };
    refused(&mut state, add, joining.clone());
    let command = wish(&state, &[b]);
    refused(&mut state, command, joining);
    let repair = ShardRepair { shard: b, generation, from: None, placement: on(&[4]) };
    let gone = StateError::ShardNotFound { id: b };
    refused(&mut state, Command::RepairTable { table: TABLE, shards: vec![repair] }, gone);
    let command = begin(&state, a, b);
    refused(&mut state, command, StateError::ShardBusy { shard: b });
}

#[test]
fn a_node_has_not_gone_before_its_members_of_joined_shards_have() {
    let (mut state, [a, b, c]) = joined();
    let node = NodeId(2);
    run(&mut state, Command::SetService { id: node, service: Service::Leaving });
    run(&mut state, Command::PlaceShard { shard: a, placement: on(&[1, 3]) });
    let (member, generation) = (shard(&state, a).members[1].id, shard(&state, a).generation);
    run(&mut state, Command::RetireMember { shard: a, generation, member, restores: None });
    reach(&mut state, a);
    let name = state.node(node).unwrap().name.clone();
    refused(&mut state, Command::NodeGone { id: node }, StateError::NodeNotEmpty { name });
    assert!(!plan(&state).contains(&Command::NodeGone { id: node }));
    run(&mut state, Command::ShardRetired { shard: b });
    nothing(&mut state, Command::ShardRetired { shard: b });
    assert!(state.shard(b).is_none());
    assert!(plan(&state).contains(&Command::NodeGone { id: node }));
    refused(&mut state, Command::ShardRetired { shard: c }, StateError::StaleReport { shard: c });
}

#[test]
fn a_joined_shard_whose_group_is_lost_is_forgotten_all_the_same() {
    let (mut state, [_, b, _]) = joined();
    let retired = Command::ShardRetired { shard: b };
    let lost = |id| Command::SetLiveness { id: NodeId(id), boots: 1, liveness: Liveness::Lost };
    run(&mut state, lost(1));
    assert!(!plan(&state).contains(&retired));
    run(&mut state, lost(2));
    assert!(plan(&state).contains(&retired));
}

#[test]
fn a_table_that_is_dropped_takes_what_was_joined_along() {
    for (mut state, ids) in [freezing(), frozen(), joined()] {
        run(&mut state, Command::DropTable { id: TABLE });
        assert!(ids.iter().all(|id| state.shard(*id).is_none()));
        assert!(apply(&mut state, &Command::ShardFrozen { shard: ids[1], attempt: Attempt(1), at: AT }).is_err());
    }
}

/// Goes on with the member on that node.
fn repair(state: &ClusterState, id: ShardId, node: u128) -> ShardRepair {
    let stored = shard(state, id);
    let from = stored.members.iter().find(|member| member.node == NodeId(node)).map(|member| member.id);
    ShardRepair { shard: id, generation: stored.generation, from, placement: on(&[node]) }
}

fn repairs(shards: Vec<ShardRepair>) -> Command {
    Command::RepairTable { table: TABLE, shards }
}

#[test]
fn an_attempt_ends_with_a_repair_of_the_shard_that_was_to_be_frozen() {
    for thaws in [false, true] {
        let (mut state, [a, b, _]) = freezing();
        let attempt = Attempt(1);
        if thaws {
            run(&mut state, Command::UndoJoin { shard: b, attempt });
        }
        let before = shard(&state, b);
        let command = repairs(vec![repair(&state, b, 2)]);
        run(&mut state, command);
        let after = shard(&state, b);
        assert_eq!((after.joining, after.attempt), (Some(Stage::Wanted), attempt));
        assert_eq!(after.placement, shard(&state, a).placement);
        assert!(after.epoch.0 > before.epoch.0 + 2, "freeze and thaw may be applied, and nobody has said so");
        assert!(!state.table(TABLE).unwrap().is_bound(&shard(&state, a)));
        // What comes late of it does nothing.
        nothing(&mut state, Command::ShardFrozen { shard: b, attempt, at: AT });
        nothing(&mut state, Command::ShardThawed { shard: b, attempt, epoch: Epoch(99) });
    }
}

#[test]
fn a_shard_is_thawed_whose_left_neighbour_goes_on_in_another_group() {
    for thaws in [false, true] {
        let (mut state, [a, b, _]) = freezing();
        let attempt = Attempt(1);
        if thaws {
            run(&mut state, Command::UndoJoin { shard: b, attempt });
        }
        let members = shard(&state, b).members;
        let command = repairs(vec![repair(&state, a, 2)]);
        run(&mut state, command);
        assert_eq!((shard(&state, b).joining, shard(&state, b).members), (Some(Stage::Thawing), members));
        nothing(&mut state, Command::ShardFrozen { shard: b, attempt, at: AT });
        run(&mut state, Command::ShardThawed { shard: b, attempt, epoch: Epoch(3) });
        assert_eq!(shard(&state, b).joining, Some(Stage::Wanted));
    }
    // Both of them: nobody is left to be thawed.
    let (mut state, [a, b, _]) = freezing();
    let command = repairs(vec![repair(&state, a, 2), repair(&state, b, 3)]);
    run(&mut state, command);
    assert_eq!((shard(&state, b).joining, shard(&state, b).placement), (Some(Stage::Wanted), on(&[2])));
}

#[test]
fn where_there_is_no_way_back_both_halves_are_repaired_on_one_node() {
    let (mut state, [a, b, c]) = frozen();
    let joining = StateError::ShardJoining { shard: b };
    let empty = |repair: ShardRepair| ShardRepair { from: None, ..repair };
    for wrong in [
        vec![repair(&state, a, 2)],
        vec![repair(&state, b, 2)],
        vec![repair(&state, a, 2), repair(&state, b, 3)],
        vec![repair(&state, a, 2), empty(repair(&state, b, 2))],
        vec![empty(repair(&state, a, 2)), repair(&state, b, 2), repair(&state, c, 1)],
    ] {
        refused(&mut state, repairs(wrong), joining.clone());
    }
    let before = [a, b].map(|id| shard(&state, id));
    let command = repairs(vec![repair(&state, c, 4), repair(&state, a, 2), repair(&state, b, 2)]);
    run(&mut state, command);
    let after = [a, b].map(|id| shard(&state, id));
    assert_eq!((after[1].joining, after[1].attempt), (Some(Stage::Frozen { at: AT }), Attempt(1)));
    assert_eq!(after[1].epoch, before[1].epoch, "nothing is evaluated under it any more");
    assert!(after.iter().all(|shard| shard.members.len() == 1 && shard.members[0].node == NodeId(2)));
    assert_eq!(
        plan(&state)
            .iter()
            .filter(|command| !matches!(command, Command::AddMember { shard, .. } if *shard == c))
            .count(),
        0
    );
    // The old left group had joined them, and says so late: what it has may be lost.
    let joined = |epoch| Command::ShardJoined { shard: b, into: a, attempt: Attempt(1), epoch: Epoch(epoch) };
    let of_old = before[0].epoch.0.max(before[1].epoch.0 + 1) + 1;
    refused(&mut state, joined(of_old), StateError::StaleReport { shard: b });
    run(&mut state, joined(of_old + 1));
    assert!(shard(&state, b).is_joined());
}

#[test]
fn halves_of_which_nothing_is_left_begin_apart() {
    let (mut state, [a, b, _]) = frozen();
    let empty = |id| ShardRepair { from: None, ..repair(&state, id, 4) };
    let before = [a, b].map(|id| shard(&state, id).epoch);
    let command = repairs(vec![ShardRepair { placement: on(&[4]), ..empty(a) }, empty(b)]);
    run(&mut state, command);
    assert_eq!(shard(&state, b).joining, Some(Stage::Wanted));
    assert!([a, b].iter().zip(before).all(|(id, before)| shard(&state, *id).epoch.0 > before.0 + 1));
}

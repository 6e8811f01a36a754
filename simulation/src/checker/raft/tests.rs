//! A group that keeps to the rules, seen step by step, and the same with each rule broken.

use super::ideal::{GROUP, Group, Member};
use super::*;
use crate::client::NodeIndex;
use crate::observation::{Boot, Entry, Left, MemberId, Observation, Role};

const STEPS: u64 = 300;

/// Runs a group; from `from` on, `break_rule` may change what is seen, and says whether it did.
fn run(
    seed: u64,
    size: usize,
    from: u64,
    mut break_rule: impl FnMut(&mut Group, &mut Snapshot) -> bool,
) -> (bool, Result<(), Violation>) {
    let mut group = Group::new(seed, size);
    let mut checkers = RaftCheckers::new();
    let mut broken = false;
    for step in 0..STEPS {
        group.step();
        let mut snapshot = group.observe();
        if step >= from && !broken {
            broken = break_rule(&mut group, &mut snapshot);
        }
        for (term, index) in &group.acknowledged {
            checkers.acknowledged(GROUP, *term, *index);
        }
        if let Err(violation) = checkers.step(&snapshot) {
            return (broken, Err(violation));
        }
    }
    (broken, checkers.end())
}

/// Every run in which the rule is broken is noticed, as one of these properties.
fn is_noticed(properties: &[&str], mut break_rule: impl FnMut(&mut Group, &mut Snapshot) -> bool) {
    let mut broken = 0;
    for seed in 0..60 {
        let (was_broken, result) = run(seed, 3, 60, &mut break_rule);
        match result {
            Ok(()) => assert!(!was_broken, "seed {seed}: nothing was noticed"),
            Err(violation) => {
                assert!(was_broken, "seed {seed}: {violation}");
                assert!(properties.contains(&violation.property), "seed {seed}: {violation}");
                assert!(violation.evidence.starts_with("at "), "{violation}");
                broken += 1;
            }
        }
    }
    assert!(broken >= 15, "only {broken} runs broke the rule");
}

#[test]
fn a_group_that_keeps_to_the_rules_is_left_alone() {
    let mut elections = 0;
    for seed in 0..300 {
        let size = [1, 3, 5][seed as usize % 3];
        let (_, result) = run(seed, size, 0, |group, _| {
            elections = elections.max(group.elections);
            false
        });
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    assert!(elections > 10, "{elections}");
}

#[test]
fn two_leaders_of_a_term_are_noticed() {
    // Also where the second leader is seen before the first.
    is_noticed(&["election safety", "leader completeness"], |group, snapshot| {
        let Some(leader) = group.leader() else { return false };
        let term = group.members[leader].term;
        let other = snapshot.changed.iter_mut().find(|seen| seen.term == Term(term) && seen.role == Role::Follower);
        other.map(|seen| seen.role = Role::Leader).is_some()
    });
}

#[test]
fn another_entry_in_the_same_place_is_noticed() {
    is_noticed(&["log matching"], |_, snapshot| {
        let followers = snapshot.changed.iter_mut().filter(|seen| seen.role == Role::Follower);
        // Its own and nothing but a repetition, so that somebody else has had it.
        let mut copied = followers.filter(|seen| !seen.appended.is_empty() && seen.committed.is_some());
        copied.next().and_then(|seen| seen.appended.last_mut()).map(|entry| entry.hash ^= 1).is_some()
    });
}

#[test]
fn a_leader_without_what_was_committed_is_noticed() {
    is_noticed(&["leader completeness"], |group, snapshot| {
        // Somebody behind takes the next term, as if votes were not compared.
        let committed = group.members.iter().filter_map(|member| member.committed).max();
        let is_behind = |member: &Member| Some(member.log.len() as u64) <= committed;
        let Some(at) = group.members.iter().position(is_behind) else { return false };
        let term = group.members.iter().map(|member| member.term).max().unwrap_or(0) + 1;
        let member = &mut group.members[at];
        (member.term, member.voted_for, member.role) = (term, Some(MemberId(at as u64)), Role::Leader);
        member.changed = true;
        let late = group.observe();
        snapshot.changed.retain(|seen| seen.member != MemberId(at as u64));
        snapshot.changed.extend(late.changed);
        true
    });
}

#[test]
fn a_commit_without_a_quorum_is_noticed() {
    is_noticed(&["committed is on a quorum"], |group, snapshot| {
        let Some(leader) = group.leader() else { return false };
        let member = &group.members[leader];
        let last = member.log.len() as u64 - 1;
        let alone = group.members.iter().filter(|other| other.log.get(last as usize) == member.log.last()).count() == 1;
        let seen = snapshot.changed.iter_mut().find(|seen| seen.member == MemberId(leader as u64));
        match seen {
            Some(seen) if alone => {
                seen.committed = Some(Index(last));
                true
            }
            _ => false,
        }
    });
}

/// Of a group of three, in term 1.
fn one_of_three(member: u64, appended: &[Entry], committed: Option<u64>) -> Observation {
    Observation {
        group: GROUP,
        member: MemberId(member),
        node: NodeIndex(member as usize),
        boot: Boot(1),
        term: Term(1),
        voted_for: Some(MemberId(0)),
        role: if member == 0 { Role::Leader } else { Role::Follower },
        last: (member == 0 || !appended.is_empty()).then_some((Term(1), Index(0))),
        committed: committed.map(Index),
        applied: None,
        purged: None,
        voters: vec![(0..3).map(MemberId).collect()],
        digest: None,
        truncated_from: None,
        appended: appended.to_vec(),
    }
}

const FIRST: Entry = Entry { index: Index(0), term: Term(1), hash: 7 };

/// Of an entry that two have, one is not seen while the other commits.
fn commits_beside_an_unread_member(found_again: bool) -> Result<(), Violation> {
    let (entry, seen) = (FIRST, one_of_three);
    let mut checkers = RaftCheckers::new();
    let mut step = |changed, unread| checkers.step(&Snapshot { changed, unread, ..Snapshot::default() });
    step(vec![seen(0, &[entry], None), seen(1, &[], None), seen(2, &[], None)], vec![])?;
    step(vec![seen(0, &[], Some(0))], vec![(GROUP, MemberId(1))])?;
    let held = if found_again { vec![entry] } else { Vec::new() };
    step(vec![Observation { boot: Boot(2), ..seen(1, &held, None) }], vec![])
}

#[test]
fn a_quorum_may_rest_on_the_last_entry_of_a_member_that_has_gone() {
    let commits_when_one_went_at = |last: Option<(u64, u64)>| {
        let mut checkers = RaftCheckers::new();
        let founded = vec![one_of_three(0, &[FIRST], None), one_of_three(1, &[], None), one_of_three(2, &[], None)];
        checkers.step(&Snapshot { changed: founded, ..Snapshot::default() })?;
        let left =
            last.map(|(term, index)| Left { group: GROUP, member: MemberId(1), last: (Term(term), Index(index)) });
        let changed = vec![one_of_three(0, &[], Some(0))];
        checkers.step(&Snapshot { changed, left: left.into_iter().collect(), ..Snapshot::default() })
    };
    assert_eq!(commits_when_one_went_at(Some((1, 0))), Ok(()));
    assert_eq!(commits_when_one_went_at(Some((1, 4))), Ok(()));
    for elsewhere in [None, Some((0, 0)), Some((2, 0))] {
        let violation = commits_when_one_went_at(elsewhere).unwrap_err();
        assert_eq!(violation.property, "committed is on a quorum");
    }
}

#[test]
fn a_quorum_may_rest_on_a_log_that_can_be_read_only_later() {
    assert_eq!(commits_beside_an_unread_member(true), Ok(()));
    let violation = commits_beside_an_unread_member(false).unwrap_err();
    assert_eq!(violation.property, "committed is on a quorum");
}

#[test]
fn what_goes_back_is_noticed() {
    let more = |index: Option<Index>| Some(index.map_or(Index(0), |index| Index(index.0 + 1)));
    let go_back: [&dyn Fn(&mut Observation); 6] = [
        &|seen| seen.term = Term(0),
        &|seen| seen.voted_for = Some(MemberId(77)),
        &|seen| (seen.committed, seen.applied, seen.purged) = (None, None, None),
        &|seen| seen.boot = Boot(0),
        &|seen| seen.applied = more(seen.committed),
        &|seen| seen.purged = more(seen.applied),
    ];
    for (kind, go_back) in go_back.into_iter().enumerate() {
        let mut noticed = 0;
        for seed in 0..40 {
            let mut before = None;
            let (broken, result) = run(seed, 3, 60, |group, snapshot| {
                let Some(seen) = snapshot.changed.first_mut() else { return false };
                let same_life = before == Some((seen.member, seen.boot, seen.term));
                before = Some((seen.member, seen.boot, seen.term));
                // A change within one life and term, where none of these may happen.
                let steady =
                    same_life && seen.applied.is_some() && seen.voted_for.is_some() && group.leader().is_some();
                if steady {
                    go_back(seen);
                }
                steady
            });
            if let Err(violation) = result {
                assert!(broken, "{kind}: {violation}");
                assert!(
                    ["nothing goes back", "replica ids are used once"].contains(&violation.property),
                    "{kind}: {violation}"
                );
                noticed += 1;
            } else {
                assert!(!broken, "{kind}, seed {seed}: nothing was noticed");
            }
        }
        assert!(noticed > 10, "{kind}: {noticed}");
    }
}

#[test]
fn state_machines_that_differ_are_noticed() {
    is_noticed(&["digests are equal"], |group, snapshot| {
        let shared = |seen: &&mut Observation| {
            let others = group.members.iter().filter(|other| other.applied.map(Index) == seen.applied).count();
            seen.applied.is_some() && others > 1
        };
        let seen = snapshot.changed.iter_mut().find(shared);
        // Only where somebody has shown the other digest before.
        let known = group.at > 100_000;
        seen.filter(|_| known).map(|seen| seen.digest = Some(4)).is_some()
    });
}

#[test]
fn an_id_used_twice_is_noticed() {
    let ways: [fn(&mut Observation); 3] = [
        |seen| {
            seen.boot = Boot(seen.boot.0 + 1);
            (seen.last, seen.purged, seen.committed, seen.applied) = (None, None, None, None);
            seen.appended.clear();
        },
        |seen| {
            seen.boot = Boot(seen.boot.0 + 1);
            (seen.term, seen.voted_for) = (Term(0), None);
        },
        |seen| seen.node = NodeIndex(9),
    ];
    for way in ways {
        is_noticed(&["replica ids are used once"], |_, snapshot| {
            let seen = snapshot.changed.iter_mut().find(|seen| seen.applied.is_some());
            seen.map(way).is_some()
        });
    }
}

#[test]
fn who_does_not_vote_may_lose_what_it_had_not_written() {
    for votes in [false, true] {
        let mut group = Group::new(1, 3);
        let mut checker = super::replica_ids::Checker::default();
        let seen = loop {
            group.step();
            let found = group.observe().changed.into_iter().find(|seen| seen.committed.is_some());
            if let Some(seen) = found {
                break seen;
            }
        };
        let mut seen = Observation { voted_for: Some(seen.member), ..seen };
        if !votes {
            seen.voters = vec![std::collections::BTreeSet::from([MemberId(99)])];
        }
        checker.look(&seen).unwrap();
        let after = Observation { boot: Boot(seen.boot.0 + 1), last: None, committed: None, purged: None, ..seen };
        assert_eq!(checker.look(&after).is_err(), votes);
    }
}

#[test]
fn an_acknowledged_entry_that_is_lost_is_noticed() {
    for seed in 0..60 {
        let mut group = Group::new(seed, 3);
        let mut checkers = RaftCheckers::new();
        for _ in 0..STEPS {
            group.step();
            checkers.step(&group.observe()).unwrap();
        }
        // What nobody has: a promise made too early.
        let Some(leader) = group.leader() else { continue };
        let length = group.members[leader].log.len() as u64;
        checkers.acknowledged(GROUP, Term(group.members[leader].term), Index(length + 1));
        let found = checkers.end().expect_err("nobody holds it");
        assert_eq!(found.property, "acknowledged is durable");
    }
}

#[test]
fn an_acknowledged_entry_that_gives_way_to_another_is_noticed() {
    is_noticed(&["acknowledged is durable"], |group, _| {
        // The client was told of another proposal in the same place.
        match group.acknowledged.first_mut() {
            Some((term, _)) => {
                term.0 += 1_000;
                true
            }
            None => false,
        }
    });
}

#[test]
fn what_a_snapshot_under_way_holds_is_asked_for_when_it_is_there() {
    let (mut group, mut checkers) = (Group::new(1, 3), RaftCheckers::new());
    for seed in 2.. {
        for _ in 0..STEPS {
            group.step();
            checkers.step(&group.observe()).unwrap();
        }
        if !group.acknowledged.is_empty() {
            break;
        }
        (group, checkers) = (Group::new(seed, 3), RaftCheckers::new());
    }
    for (term, index) in &group.acknowledged {
        checkers.acknowledged(GROUP, *term, *index);
    }
    let (_, newest) = *group.acknowledged.iter().max_by_key(|(_, index)| *index).expect("something was acknowledged");
    let filled = |applied: Option<Index>| Snapshot {
        changed: vec![Observation {
            group: GROUP,
            member: MemberId(99),
            node: NodeIndex(7),
            boot: Boot(1),
            term: Term(1),
            voted_for: None,
            role: Role::Learner,
            last: None,
            committed: Some(newest),
            applied,
            purged: None,
            voters: Vec::new(),
            digest: None,
            truncated_from: None,
            appended: Vec::new(),
        }],
        ..Snapshot::default()
    };
    checkers.step(&filled(None)).expect("a member that is only told of it");
    let found = checkers.step(&filled(Some(newest))).expect_err("it says that it has it, and has not");
    assert_eq!(found.property, "acknowledged is durable");
}

#[test]
fn a_log_with_a_hole_is_noticed() {
    is_noticed(&["log is a sequence"], |_, snapshot| {
        // In a first life, where nothing is seen again.
        let has_new = |seen: &&mut Observation| {
            let first = seen.appended.first().map(|entry| entry.index);
            seen.boot == Boot(1) && seen.appended.len() > 1 && first > Some(Index(0)) && first > seen.purged
        };
        snapshot.changed.iter_mut().find(has_new).map(|seen| seen.appended.remove(0)).is_some()
    });
}

//! When the cell is filled, and how long it lasts.

use std::time::Duration;

use photondb_proto::NodeId;
use photondb_runtime::clock::ManualClock;

use super::*;
use crate::position::LogPosition;
use crate::types::log_id;

const LEASE: Duration = Duration::from_millis(400);

fn membership(sets: &[&[u64]]) -> Membership {
    let sets: Vec<BTreeSet<_>> = sets.iter().map(|set| set.iter().copied().map(MemberId).collect()).collect();
    let nodes: BTreeMap<_, _> = sets.iter().flatten().map(|member| (*member, NodeId(member.0.into()))).collect();
    Membership::new(sets, nodes).unwrap()
}

fn at(term: u64, index: u64) -> LogId {
    log_id(LogPosition { term: Term(term), index })
}

/// Member 1 at a clock that begins after one second.
fn member(voted: u64) -> (Leadership, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(1));
    let leadership = Leadership::new(MemberId(1), clock.clone(), LEASE);
    leadership.voting(Term(voted));
    (leadership, clock)
}

/// Leads in term 3 with these voters.
fn leader(voters: &[&[u64]]) -> (Leadership, Arc<ManualClock>) {
    let (leadership, clock) = member(3);
    leadership.elected(Some(Term(3)), Some(at(0, 0)), &membership(voters));
    leadership.applied(Term(3));
    assert_eq!(leadership.announce(), Some(Term(3)));
    (leadership, clock)
}

#[test]
fn the_cell_is_filled_only_after_the_first_entry_of_the_term() {
    let (leadership, _) = member(2);
    leadership.applied(Term(2));
    leadership.elected(Some(Term(3)), Some(at(0, 0)), &membership(&[&[1]]));
    leadership.voting(Term(3));
    assert_eq!(leadership.announce(), None);
    leadership.applied(Term(3));
    assert_eq!(leadership.leased(), None);
    assert_eq!(leadership.announce(), Some(Term(3)));
    assert_eq!(leadership.leased(), Some(Term(3)));
}

#[test]
fn what_was_applied_in_an_earlier_life_makes_no_leader() {
    let (leadership, _) = member(3);
    leadership.applied(Term(3));
    assert_eq!(leadership.announce(), None);
}

#[test]
fn a_higher_vote_empties_the_cell_and_a_late_announcement_does_not_fill_it() {
    let (leadership, _) = leader(&[&[1]]);
    leadership.voting(Term(4));
    assert_eq!((leadership.leased(), leadership.led()), (None, None));
    assert_eq!(leadership.announce(), None);
}

#[test]
fn a_lease_lasts_from_the_sending_of_what_a_quorum_answered() {
    let (leadership, clock) = leader(&[&[1, 2, 3]]);
    assert_eq!((leadership.leased(), leadership.led()), (None, Some(Term(3))));
    let sent = leadership.now();
    clock.advance(Duration::from_millis(300));
    leadership.answered(MemberId(2), Term(3), sent);
    assert_eq!(leadership.leased(), Some(Term(3)));
    clock.advance(Duration::from_millis(100));
    assert_eq!((leadership.leased(), leadership.led()), (None, Some(Term(3))));
    leadership.answered(MemberId(3), Term(3), leadership.now());
    assert_eq!(leadership.leased(), Some(Term(3)));
}

#[test]
fn answers_in_an_earlier_term_are_worth_nothing() {
    let (leadership, _) = leader(&[&[1, 2, 3]]);
    leadership.answered(MemberId(2), Term(2), leadership.now());
    assert_eq!(leadership.leased(), None);
    leadership.answered(MemberId(2), Term(3), leadership.now());
    leadership.answered(MemberId(2), Term(2), leadership.now());
    assert_eq!(leadership.leased(), Some(Term(3)));
}

#[test]
fn leadership_that_was_handed_over_is_not_filled_again_in_its_term() {
    let (leadership, _) = leader(&[&[1, 2, 3]]);
    leadership.answered(MemberId(2), Term(3), leadership.now());
    leadership.cede(Term(3));
    assert_eq!((leadership.leased(), leadership.led()), (None, None));
    leadership.answered(MemberId(2), Term(3), leadership.now());
    assert_eq!(leadership.announce(), None);
    leadership.voting(Term(4));
    leadership.elected(Some(Term(4)), Some(at(0, 0)), &membership(&[&[1]]));
    leadership.applied(Term(4));
    assert_eq!(leadership.announce(), Some(Term(4)));
}

#[test]
fn a_membership_counts_before_it_is_appended() {
    let (leadership, _) = leader(&[&[1]]);
    leadership.appending(at(3, 5), &membership(&[&[1], &[1, 2, 3]]));
    assert_eq!(leadership.leased(), None);
    // The core's word is older than what has been appended.
    leadership.elected(Some(Term(3)), Some(at(0, 0)), &membership(&[&[1]]));
    assert_eq!(leadership.leased(), None);
    leadership.answered(MemberId(2), Term(3), leadership.now());
    assert_eq!(leadership.leased(), Some(Term(3)));
    leadership.appending(at(3, 6), &membership(&[&[2, 3]]));
    assert_eq!((leadership.leased(), leadership.led()), (None, Some(Term(3))));
}

#[test]
fn a_membership_that_was_truncated_counts_no_more() {
    let (leadership, _) = member(3);
    leadership.appending(at(2, 9), &membership(&[&[1]]));
    leadership.truncated(Some(&at(2, 8)));
    leadership.elected(Some(Term(3)), Some(at(0, 0)), &membership(&[&[1, 2, 3]]));
    leadership.applied(Term(3));
    assert_eq!(leadership.announce(), Some(Term(3)));
    assert_eq!(leadership.leased(), None);
}

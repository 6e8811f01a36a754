//! Members are added as learners, get their vote and lose it by joint consensus, and are removed; whoever finds a change in
//! its middle completes it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::{Cluster, GROUP, member};
use photondb_consensus::{ConsensusError, Members, Role};
use photondb_proto::v1::raft_absent::Why;
use photondb_proto::v1::raft_answer::Answer;
use photondb_proto::v1::raft_request::Ask;
use photondb_proto::{MemberId, NodeId, v1};
use photondb_runtime::peers::Peer;
use prost::Message;

fn voters(nodes: &[u64]) -> BTreeSet<MemberId> {
    nodes.iter().map(|node| member(*node)).collect()
}

/// Node 1 founded the group; the others have blank members.
fn one_and_blanks(size: u64, seed: u64) -> Cluster {
    let mut cluster = Cluster::new(size, seed);
    cluster.found(&[1]);
    cluster.leader();
    for node in 2..=size {
        assert!(cluster.join(node));
    }
    cluster
}

fn add(cluster: &mut Cluster, leader: u64, node: u64) {
    let group = cluster.group(leader);
    cluster.wait(group.add_learner(member(node), NodeId(node.into()))).unwrap();
    cluster.converge(&[leader, node]);
}

/// Asks whoever leads until the voters are these.
fn settle(cluster: &mut Cluster, nodes: &[u64], up: &[u64]) -> Members {
    for _ in 0..100 {
        let (leader, _) = cluster.leader_among(up);
        let group = cluster.group(leader);
        let now = group.membership();
        match cluster.wait(group.change_voters(voters(nodes), now.position)) {
            Ok(_) => return cluster.group(leader).membership(),
            Err(ConsensusError::Fatal { group, reason }) => panic!("group {group} ended: {reason}"),
            Err(_) => cluster.run(Duration::from_millis(50)),
        }
    }
    panic!("the change is never completed");
}

#[test]
fn a_group_of_one_becomes_one_of_three_and_another_three() {
    let mut cluster = one_and_blanks(4, 1);
    cluster.propose_many(1, "a", 30);
    for node in [2, 3] {
        add(&mut cluster, 1, node);
        assert_eq!(cluster.group(node).observe().role, Role::Learner);
    }
    let before = cluster.group(1).membership();
    assert_eq!((before.voters.clone(), before.learners.clone()), (vec![voters(&[1])], voters(&[2, 3])));
    let group = cluster.group(1);
    let at = cluster.wait(group.change_voters(voters(&[1, 2, 3]), before.position)).unwrap();
    let after = group.membership();
    assert_eq!((after.voters.clone(), after.position), (vec![voters(&[1, 2, 3])], at));
    assert_eq!(group.committed_membership(), after);
    let stale = cluster.wait(group.change_voters(voters(&[1]), before.position)).unwrap_err();
    assert!(matches!(stale, ConsensusError::MembershipChanged { found, .. } if found == at), "{stale}");

    cluster.crash(1);
    let (second, _) = cluster.leader_among(&[2, 3]);
    cluster.propose_many(second, "b", 10);
    assert!(cluster.start(1) && cluster.join(1));
    cluster.converge(&[second, 1, 2, 3]);

    // Member 1 moves to node 4.
    add(&mut cluster, second, 4);
    let settled = settle(&mut cluster, &[2, 3, 4], &[1, 2, 3, 4]);
    assert_eq!((settled.voters, settled.learners), (vec![voters(&[2, 3, 4])], voters(&[1])));
    let (leader, _) = cluster.leader_among(&[2, 3, 4]);
    let group = cluster.group(leader);
    cluster.wait(group.remove_learner(member(1))).unwrap();
    assert!(!group.membership().nodes.contains_key(&member(1)));
    let groups = cluster.groups(1);
    cluster.wait(groups.stop(GROUP)).unwrap();
    cluster.wait(groups.erase(member(1))).unwrap();
    cluster.propose_many(leader, "c", 10);
    cluster.converge(&[leader, 2, 3, 4]);
    assert_eq!(cluster.applied(4).len(), 50);
    cluster.assert_healthy();
}

#[test]
fn a_leader_may_remove_itself() {
    for seed in 0..5 {
        let mut cluster = Cluster::of_three(seed);
        let (leader, term) = cluster.leader();
        let rest: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
        let old = cluster.group(leader);
        let now = old.membership();
        cluster.wait(old.change_voters(voters(&rest), now.position)).unwrap();
        assert_eq!(old.leading(), None, "no vote of its own, no lease");
        let settled = settle(&mut cluster, &rest, &rest);
        assert_eq!(settled.voters, [voters(&rest)]);
        let (next, later) = cluster.leader_among(&rest);
        assert!(later > term);
        cluster.propose(next, "x");
    }
}

#[test]
fn a_change_that_was_left_in_its_middle_is_completed() {
    for seed in 0..24 {
        let mut cluster = one_and_blanks(3, seed);
        for node in [2, 3] {
            add(&mut cluster, 1, node);
        }
        let group = cluster.group(1);
        let now = group.membership();
        // The caller is gone after so many milliseconds; in every other run the leader is as well.
        let change = group.change_voters(voters(&[1, 2, 3]), now.position);
        let _ = cluster.within(Duration::from_millis(seed / 2), change);
        if seed % 2 == 1 {
            cluster.restart(1);
        } else if group.membership().is_joint() {
            let (leading, joint) = (group.led(), group.membership());
            assert_eq!((leading.is_some(), joint.all_voters()), (true, voters(&[1, 2, 3])));
        }
        let settled = settle(&mut cluster, &[1, 2, 3], &[1, 2, 3]);
        assert_eq!(settled.voters, [voters(&[1, 2, 3])]);
        let (leader, _) = cluster.leader();
        cluster.propose(leader, "x");
        cluster.converge(&[leader, 1, 2, 3]);
        cluster.assert_healthy();
    }
}

/// A joint membership whose new half is dead commits nothing and cannot be taken back.
#[test]
fn a_change_is_not_begun_while_the_new_voters_are_silent() {
    let mut cluster = Cluster::of_three(3);
    let (leader, _) = cluster.leader();
    let dead = if leader == 1 { 2 } else { 1 };
    // It has answered just now, and nobody has missed it yet.
    cluster.propose(leader, "w");
    cluster.crash(dead);
    let group = cluster.group(leader);
    let now = group.membership();
    let fewer = voters(&[leader, dead]);
    let refused = cluster.wait(group.change_voters(fewer.clone(), now.position)).unwrap_err();
    assert!(matches!(&refused, ConsensusError::VotersSilent { voters, .. } if *voters == fewer), "{refused}");
    assert_eq!(group.membership(), now);
    cluster.propose(leader, "x");
    // Those who are left may decide without the dead one, or it comes back.
    assert!(cluster.start(dead) && cluster.join(dead));
    let settled = settle(&mut cluster, &[leader, dead], &[1, 2, 3]);
    assert_eq!(settled.voters, [fewer]);
    cluster.assert_healthy();
}

#[test]
fn who_was_no_learner_gets_no_vote_and_who_follows_changes_nothing() {
    let mut cluster = Cluster::of_three(1);
    let (leader, _) = cluster.leader();
    let group = cluster.group(leader);
    let now = group.membership();
    let refused = cluster.wait(group.change_voters(voters(&[1, 2, 9]), now.position)).unwrap_err();
    assert!(matches!(refused, ConsensusError::NotAMembership { .. }), "{refused}");
    let refused = cluster.wait(group.remove_learner(member(1))).unwrap_err();
    assert!(matches!(refused, ConsensusError::NotAMembership { .. }), "{refused}");
    let follower = cluster.group(1 + leader % 3);
    let refused = cluster.wait(follower.add_learner(member(9), NodeId(9))).unwrap_err();
    assert!(matches!(refused, ConsensusError::NotLeader { leader: Some(_), .. }), "{refused}");
    assert_eq!(group.membership(), now);
}

fn ask_for_a_vote(cluster: &mut Cluster, node: u64, to: MemberId) -> Answer {
    let vote = Some(v1::RaftVote { term: 99, member: 1, committed: false });
    let last = Some(v1::RaftPosition { term: 98, index: 1000 });
    let request = v1::RaftRequest {
        address: Some(v1::RaftAddress { group: GROUP.0, from: 1, to: to.0 }),
        ask: Some(Ask::PreVote(v1::RaftElection { vote, last, transfer: false })),
    };
    let service = cluster.groups(node).service();
    let answer = cluster.wait(service.request(Peer(1), request.encode_to_vec().into())).unwrap();
    v1::RaftAnswer::decode(answer).unwrap().answer.unwrap()
}

#[test]
fn a_member_that_is_not_born_or_was_erased_answers_so() {
    let mut cluster = Cluster::of_three(1);
    let (leader, _) = cluster.leader();
    let absent = |why: Why| Answer::Absent(v1::RaftAbsent { why: why.into() });
    assert_eq!(ask_for_a_vote(&mut cluster, leader, MemberId(500)), absent(Why::Unborn));
    let other = 1 + leader % 3;
    let groups = cluster.groups(other);
    cluster.wait(groups.stop(GROUP)).unwrap();
    assert_eq!(ask_for_a_vote(&mut cluster, other, member(other)), absent(Why::NotYet));
    cluster.wait(groups.erase(member(other))).unwrap();
    assert_eq!(ask_for_a_vote(&mut cluster, other, member(other)), absent(Why::Erased));
}

#[test]
fn a_restarted_member_says_nothing_for_one_election_timeout() {
    let mut cluster = Cluster::of_three(1);
    let (leader, _) = cluster.leader();
    let other = 1 + leader % 3;
    cluster.propose(leader, "a");
    cluster.restart(other);
    let absent = Answer::Absent(v1::RaftAbsent { why: Why::NotYet.into() });
    for _ in 0..6 {
        assert_eq!(cluster.group(other).observe().role, Role::Idle);
        assert_eq!(ask_for_a_vote(&mut cluster, other, member(other)), absent);
        cluster.run(Duration::from_millis(100));
    }
    cluster.run(Duration::from_millis(200));
    assert_ne!(ask_for_a_vote(&mut cluster, other, member(other)), absent);
    cluster.converge(&[leader, other]);
    assert_eq!(cluster.group(other).observe().role, Role::Follower);
}

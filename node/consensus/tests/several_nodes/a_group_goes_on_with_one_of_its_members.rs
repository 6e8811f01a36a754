//! Two of three are gone for good: the third goes on alone, as another member, with everything that it has in its log.

use std::time::Duration;

use crate::cluster::{Cluster, GROUP, member};
use photondb_consensus::{ConsensusError, Term};
use photondb_proto::MemberId;

const FOUNDER: MemberId = MemberId(900);

/// Node 1 has `a` to `e`; of those the others, who are gone, have acknowledged all but the last, which nobody but it has.
fn survivor(seed: u64) -> Cluster {
    let mut cluster = Cluster::of_three(seed);
    let (first, _) = cluster.leader();
    if first != 1 {
        let group = cluster.group(first);
        cluster.wait(async move { group.transfer_leadership(member(1)).await }).unwrap();
    }
    let (leader, term) = cluster.leader();
    assert_eq!(leader, 1);
    for command in ["a", "b", "c", "d"] {
        cluster.propose(1, command);
    }
    cluster.converge(&[1, 2, 3]);
    cluster.crash(2);
    cluster.crash(3);
    let group = cluster.group(1);
    cluster.spawn(async move { drop(group.propose(term, "e".into()).await) });
    cluster.run(Duration::from_millis(50));
    assert_eq!(cluster.applied(1), ["a", "b", "c", "d"], "one of three decides nothing");
    cluster
}

#[test]
fn all_of_its_log_is_kept_and_written_on() {
    for seed in 0..6 {
        let mut cluster = survivor(seed);
        let last = cluster.group(1).observe().last.unwrap();
        cluster.stop(1);
        assert_eq!(cluster.take_over(1, FOUNDER), last);
        assert_eq!(cluster.applied(1), ["a", "b", "c", "d", "e"]);
        let took = cluster.run_until(Duration::from_secs(5), |cluster| !cluster.leaders().is_empty());
        assert!(took.expect("it leads") < Duration::from_millis(600), "nobody is waited for");
        let (_, term) = cluster.leader();
        assert!(term > last.term, "terms do not fall");
        cluster.propose(1, "f");
        assert_eq!(cluster.applied(1), ["a", "b", "c", "d", "e", "f"]);
        let group = cluster.group(1);
        assert_eq!(group.membership().all_voters(), [FOUNDER].into());
        cluster.assert_healthy();
    }
}

#[test]
fn it_is_done_again_after_a_crash_until_the_founder_has_a_log() {
    let mut cluster = survivor(8);
    cluster.stop(1);
    let (groups, machine) = (cluster.groups(1), cluster.machine(1));
    let at = groups.apply_all(GROUP, member(1), &*machine).unwrap();
    for checkpointed in [false, true] {
        if checkpointed {
            cluster.machine(1).take_checkpoint();
        }
        cluster.crash(1);
        assert!(cluster.start(1));
        let (groups, machine) = (cluster.groups(1), cluster.machine(1));
        assert_eq!(groups.apply_all(GROUP, member(1), &*machine).unwrap(), at);
        assert_eq!(cluster.applied(1), ["a", "b", "c", "d", "e"]);
        let batches = machine.batches.lock().len();
        assert_eq!(groups.apply_all(GROUP, member(1), &*machine).unwrap(), at);
        assert_eq!(machine.batches.lock().len(), batches, "nothing is applied twice");
    }
    assert_eq!(cluster.take_over(1, FOUNDER), at);
    let (_, term) = cluster.leader();
    assert!(term > Term(0));
    cluster.propose(1, "f");
    cluster.assert_healthy();
}

#[test]
fn one_of_the_old_group_that_comes_back_has_no_part_in_it() {
    let mut cluster = survivor(4);
    cluster.stop(1);
    cluster.take_over(1, FOUNDER);
    cluster.leader();
    cluster.propose(1, "f");
    // It knows nothing of it, and asks those for votes whom it knew: on this node that is nobody any more.
    assert!(cluster.start(3) && cluster.join(3));
    cluster.run(Duration::from_secs(5));
    cluster.propose(1, "g");
    assert_eq!(cluster.applied(1), ["a", "b", "c", "d", "e", "f", "g"]);
    assert!(cluster.group(3).led().is_none());
    assert!(!cluster.applied(3).contains(&"f".to_owned()));
}

#[test]
fn what_cannot_be_taken_over_is_refused() {
    let mut cluster = survivor(5);
    let (groups, machine) = (cluster.groups(1), cluster.machine(1));
    let running = groups.apply_all(GROUP, member(1), &*machine);
    assert!(matches!(running, Err(ConsensusError::AlreadyRunning { .. })), "{running:?}");
    let unknown = groups.apply_all(GROUP, MemberId(77), &*machine);
    assert!(matches!(unknown, Err(ConsensusError::LogMissing { .. })), "{unknown:?}");
    cluster.stop(1);
    let (groups, machine) = (cluster.groups(1), cluster.machine(1));
    cluster.wait(groups.erase(member(1))).unwrap();
    let groups = cluster.groups(1);
    let erased = groups.apply_all(GROUP, member(1), &*machine);
    assert!(matches!(erased, Err(ConsensusError::Erased { .. })), "{erased:?}");
}

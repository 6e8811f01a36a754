//! Messages survive the wire, keep the numbers of their fields, and are read from any bytes without a panic.

use photondb_proto::v1;
use prost::Message;

fn shard() -> v1::Shard {
    let state = v1::MemberState { leading: true, applied: 300, documents: Some(0) };
    let members = vec![
        v1::Member { member_id: 2, node_id: "n".to_owned(), state: Some(state) },
        v1::Member { member_id: 3, node_id: "m".to_owned(), state: None },
    ];
    let range = v1::KeyRange { start: b"a".to_vec(), end: None };
    v1::Shard { shard_id: 1, epoch: 4, range: Some(range), members }
}

#[test]
fn messages_come_back_as_they_went() {
    let table = v1::Table { name: "t".to_owned(), shards: vec![shard()], ..v1::Table::default() };
    let message = v1::ClusterInfoResponse {
        version: 1,
        cluster_id: "c".to_owned(),
        tables: vec![table],
        nodes: vec![v1::Node { tags: vec!["default".to_owned()], ..v1::Node::default() }],
        databases: vec![v1::Database::default()],
    };
    let bytes = message.encode_to_vec();
    assert_eq!(v1::ClusterInfoResponse::decode(bytes.as_slice()), Ok(message));
}

/// Counted by hand from the `.proto` file: a field that changes its number breaks every other version of the programs.
#[test]
fn a_shard_has_the_bytes_of_its_first_version() {
    let state = [0x08, 1, 0x10, 0xac, 0x02, 0x18, 0];
    let mut expected = vec![0x08, 1, 0x10, 4, 0x1a, 3, 0x0a, 1, b'a'];
    expected.extend([0x22, 14, 0x08, 2, 0x12, 1, b'n', 0x1a, 7]);
    expected.extend(state);
    expected.extend([0x22, 5, 0x08, 3, 0x12, 1, b'm']);
    assert_eq!(shard().encode_to_vec(), expected);
    assert_eq!(v1::NodeInfoRequest { version: 1 }.encode_to_vec(), [0x08, 1]);
}

#[test]
fn absent_and_zero_are_told_apart_where_it_matters() {
    let silent = v1::MemberState { documents: None, ..v1::MemberState::default() };
    let empty = v1::MemberState { documents: Some(0), ..v1::MemberState::default() };
    assert_ne!(silent.encode_to_vec(), empty.encode_to_vec());
    let unbounded = v1::KeyRange { start: Vec::new(), end: None };
    assert_eq!(v1::KeyRange::decode(unbounded.encode_to_vec().as_slice()), Ok(unbounded));
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let mut bytes = v1::NodeInfoRequest { version: 1 }.encode_to_vec();
    bytes.extend([0xfa, 0x01, 3, 1, 2, 3]);
    assert_eq!(v1::NodeInfoRequest::decode(bytes.as_slice()), Ok(v1::NodeInfoRequest { version: 1 }));
}

#[test]
fn cut_and_changed_bytes_are_refused_or_read_but_never_panic() {
    let bytes = v1::ClusterInfoResponse {
        tables: vec![v1::Table { shards: vec![shard()], ..v1::Table::default() }],
        ..v1::ClusterInfoResponse::default()
    }
    .encode_to_vec();
    for at in 0..bytes.len() {
        let _ = v1::ClusterInfoResponse::decode(&bytes[..at]);
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let _ = v1::ClusterInfoResponse::decode(changed.as_slice());
        }
    }
}

/// Members of different versions speak to each other while a cluster is upgraded.
#[test]
fn entries_between_members_have_the_bytes_of_their_first_version() {
    let vote = Some(v1::RaftVote { term: 5, member: 7, committed: true });
    let entry = v1::RaftEntry { term: 5, index: 2, payload: vec![1, 0].into() };
    let previous = Some(v1::RaftPosition { term: 4, index: 1 });
    let append = v1::RaftAppend { vote, previous, committed: None, entries: vec![entry] };
    let mut expected = vec![0x0a, 6, 0x08, 5, 0x10, 7, 0x18, 1];
    expected.extend([0x12, 4, 0x08, 4, 0x10, 1]);
    expected.extend([0x22, 8, 0x08, 5, 0x10, 2, 0x1a, 2, 1, 0]);
    assert_eq!(append.encode_to_vec(), expected);
    let piece = v1::RaftPiece { bytes: vec![9].into(), crc: 1, chunk_ends: true, snapshot_ends: false };
    assert_eq!(piece.encode_to_vec(), [0x0a, 1, 9, 0x15, 1, 0, 0, 0, 0x18, 1]);
}

/// A snapshot goes on over another exchange under its number; one of the version before has none, and is told nothing.
#[test]
fn interrupted_snapshots_have_the_bytes_of_their_first_version() {
    use v1::raft_answer::Answer;
    let vote = Some(v1::RaftVote { term: 5, member: 7, committed: true });
    let old = v1::RaftSnapshot { vote, applied: vec![1, 2].into(), transfer: 0 };
    let mut expected = vec![0x0a, 6, 0x08, 5, 0x10, 7, 0x18, 1, 0x12, 2, 1, 2];
    assert_eq!(old.encode_to_vec(), expected);
    let numbered = v1::RaftSnapshot { transfer: 0x0102_0304_0506_0708, ..old };
    expected.extend([0x19, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbered.encode_to_vec(), expected);
    let received = |chunks| v1::RaftAnswer { answer: Some(Answer::Received(v1::RaftReceived { chunks })) };
    assert_eq!(received(300).encode_to_vec(), [0x32, 3, 0x08, 0xac, 0x02]);
    // It has nothing, and says so.
    assert_eq!(received(0).encode_to_vec(), [0x32, 0]);
}

/// Who is about to stop asks others whether they take part; one that has nothing in its log says so.
#[test]
fn presence_has_the_bytes_of_its_first_version() {
    use v1::raft_answer::Answer;
    use v1::raft_request::Ask;
    let asked = v1::RaftRequest { ask: Some(Ask::Presence(v1::RaftPresence {})), ..v1::RaftRequest::default() };
    assert_eq!(asked.encode_to_vec(), [0x32, 0]);
    let present = |last| v1::RaftAnswer { answer: Some(Answer::Present(v1::RaftPresent { last })) };
    let last = v1::RaftPosition { term: 4, index: 300 };
    assert_eq!(present(Some(last)).encode_to_vec(), [0x3a, 7, 0x0a, 5, 0x08, 4, 0x10, 0xac, 0x02]);
    assert_eq!(present(None).encode_to_vec(), [0x3a, 0]);
}

/// How members are.
#[test]
fn the_state_of_a_replica_has_the_bytes_of_its_first_version() {
    let stopping =
        v1::ReplicaState { shard: 300, member: 2, full: true, stopping: true, ..v1::ReplicaState::default() };
    assert_eq!(stopping.encode_to_vec(), [0x08, 0xac, 0x02, 0x10, 2, 0x60, 1, 0xa0, 0x01, 1]);
    let idle = v1::ReplicaState { shard: 1, member: 2, ..v1::ReplicaState::default() };
    assert_eq!(idle.encode_to_vec(), [0x08, 1, 0x10, 2]);
}

/// A node tells the leader what it bears, and that it is about to stop, and hears what all do; one of the version before says and hears nothing of that.
#[test]
fn heartbeats_have_the_bytes_of_their_first_version() {
    use v1::control_answer::What as Answer;
    let old = v1::HeartbeatCall { boots: 3, full: true, burden: None, stopping: false };
    assert_eq!(old.encode_to_vec(), [0x08, 3, 0x10, 1]);
    let burden = v1::Burden { bytes: 300, work: 5 };
    let call = v1::HeartbeatCall { boots: 3, full: false, burden: Some(burden), stopping: false };
    let said = [0x08, 0xac, 0x02, 0x10, 5];
    let mut expected = vec![0x08, 3, 0x1a, 5];
    expected.extend(said);
    assert_eq!(call.encode_to_vec(), expected);
    // It bears nothing, and that is known.
    let idle = v1::HeartbeatCall { boots: 3, full: false, burden: Some(v1::Burden::default()), stopping: true };
    assert_eq!(idle.encode_to_vec(), [0x08, 3, 0x1a, 0, 0x20, 1]);
    let nodes = vec![v1::NodeBurden { node: vec![9], burden: Some(burden), age_ms: 7 }];
    let answer = v1::ControlAnswer { what: Some(Answer::Burdens(v1::Burdens { nodes })) };
    let mut expected = vec![0x42, 14, 0x0a, 12, 0x0a, 1, 9, 0x12, 5];
    expected.extend(said);
    expected.extend([0x18, 7]);
    assert_eq!(answer.encode_to_vec(), expected);
}

/// What nodes tell each other of themselves.
#[test]
fn reports_have_the_bytes_of_their_first_version() {
    use v1::report::{
        Activity, Answer, Backfill, Call, Contact, Count, EndCall, Health, Jobs, Query, UncutShard, answer, call,
    };
    let end = EndCall { query: vec![7; 16], user: Some(String::new()) };
    let asked = Call { version: 1, ask: Some(call::Ask::End(end)) };
    let mut expected = vec![0x08, 1, 0x2a, 20, 0x0a, 16];
    expected.extend([7; 16]);
    // A user without a name is not everybody.
    expected.extend([0x12, 0]);
    assert_eq!(asked.encode_to_vec(), expected);
    let queries = Some(Count { total: 3, per_second: 0.5 });
    let activity = Activity { client_connections: 1, queries, preallocated_bytes: 300, ..Activity::default() };
    let mut expected = vec![0x12, 18, 0x08, 1, 0x1a, 11, 0x08, 3, 0x11];
    expected.extend(0.5_f64.to_le_bytes());
    expected.extend([0x68, 0xac, 0x02]);
    let told = answer::Told::Activity(Box::new(activity));
    assert_eq!(Answer { told: Some(told) }.encode_to_vec(), expected);
    let query = Query { client_port: 5, lasts_micros: 6, ..Query::default() };
    let jobs = Jobs { queries: vec![query], compacting: true, ..Jobs::default() };
    let expected = [0x1a, 8, 0x0a, 4, 0x20, 5, 0x30, 6, 0x18, 1];
    assert_eq!(Answer { told: Some(answer::Told::Jobs(jobs)) }.encode_to_vec(), expected);
    let backfill = Backfill { table: vec![8], to_node: vec![9], part_sent: 0.5, lasts_micros: 6 };
    let jobs = Jobs { backfills: vec![backfill], ..Jobs::default() };
    let mut expected = vec![0x22, 17, 0x0a, 1, 8, 0x12, 1, 9, 0x19];
    expected.extend(0.5_f64.to_le_bytes());
    expected.extend([0x20, 6]);
    assert_eq!(jobs.encode_to_vec(), expected);
    let contacts = vec![Contact { node: vec![9], reached: true }];
    let uncut = vec![UncutShard { shard: 300, node: vec![9] }];
    let health = Health { log_error: "e".to_owned(), contacts, uncut, ..Health::default() };
    let mut expected = vec![0x32, 18, 0x0a, 1, b'e', 0x32, 5, 0x0a, 1, 9, 0x10, 1];
    expected.extend([0x3a, 6, 0x08, 0xac, 0x02, 0x12, 1, 9]);
    assert_eq!(Answer { told: Some(answer::Told::Health(health)) }.encode_to_vec(), expected);
}

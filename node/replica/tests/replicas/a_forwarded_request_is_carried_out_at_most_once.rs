//! Requests to shards on other nodes, while messages are lost, doubled and late, and nodes come back as other ones.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use crate::cluster::{Cluster, SPREAD, cx, datum, function, on_fiber, state_of};
use bytes::Bytes;
use photondb_proto::NodeId;
use photondb_proto::v1::shard::answer::Told;
use photondb_proto::v1::shard::failed::Reason;
use photondb_proto::v1::shard::{Answer, Failed, Request};
use photondb_query::table::{Conflict, ReadMode, Table, Transition, Write, WriteOptions, WriteResult};
use photondb_replica::ShardTable;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, ErrorKind};
use photondb_runtime::peers::{Exchange, Peer, SendFuture, Serve};
use prost::Message;

const ADD_ONE: &str = r#"[69,[[2,[1]],{"n":[24,[[170,[[10,[1]],"n"]],1]]}]]"#;

fn insert(id: i32) -> Write {
    let document = datum(&format!(r#"{{"id":{id},"n":0}}"#));
    Write { key: Datum::from(id), transition: Transition::Insert { document, conflict: Conflict::Error } }
}

fn add_one(id: i32) -> Write {
    Write { key: Datum::from(id), transition: Transition::Update(function(ADD_ONE)) }
}

fn write(table: &ShardTable, writes: Vec<Write>) -> Result<Vec<WriteResult>, Error> {
    table.write(writes, &WriteOptions::default(), &cx())
}

fn number(table: &ShardTable, id: i32) -> f64 {
    let document = table.get(&Datum::from(id), ReadMode::Single).expect("reads").expect("is there");
    document.field("n").expect("has one").as_number().expect("a number")
}

/// Shards below 10 and from there on, on two nodes.
fn two_nodes() -> Cluster {
    Cluster::start(2, &[10])
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_never_sent_again() {
    let cluster = two_nodes();
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        write(&table, vec![insert(50)]).expect("is written");
        for round in 1..=20 {
            mesh.faults.lose_answers.store(1, Ordering::SeqCst);
            let error = write(&table, vec![add_one(50)]).expect_err("nobody knows");
            assert_eq!(error.kind, ErrorKind::OpIndeterminate, "{error}");
            assert_eq!(number(&table, 50), f64::from(round), "it was done once");
        }
    });
}

#[test]
fn what_was_not_sent_is_sent_again_and_reads_are_whatever_happens() {
    let cluster = two_nodes();
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        write(&table, vec![insert(50)]).expect("is written");
        for round in 1..=10 {
            mesh.faults.lose_requests.store(2, Ordering::SeqCst);
            let results = write(&table, vec![add_one(50)]).expect("is sent again");
            assert!(matches!(&results[..], [WriteResult::Done { .. }]), "{results:?}");
            mesh.faults.lose_requests.store(1, Ordering::SeqCst);
            mesh.faults.lose_answers.store(1, Ordering::SeqCst);
            assert_eq!(number(&table, 50), f64::from(round));
        }
    });
}

#[test]
fn a_request_that_is_delivered_twice_is_done_once() {
    let cluster = two_nodes();
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    mesh.faults.double.store(true, Ordering::SeqCst);
    let faults = mesh.clone();
    on_fiber(move || {
        let table = open(SPREAD);
        write(&table, vec![insert(50), insert(51)]).expect("is written");
        for _ in 0..50 {
            write(&table, vec![add_one(50), add_one(51), add_one(50)]).expect("is written");
        }
        assert_eq!((number(&table, 50), number(&table, 51)), (100.0, 50.0));
    });
    assert!(faults.faults.doubled.load(Ordering::SeqCst) >= 50);
}

#[test]
fn a_request_to_another_life_of_a_node_does_nothing() {
    let cluster = two_nodes();
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber({
        let open = open.clone();
        move || {
            let table = open(SPREAD);
            write(&table, vec![insert(50)]).expect("is written");
            write(&table, vec![add_one(50)]).expect("is written");
        }
    });
    let last = mesh.sent.lock().expect("no panic").last().cloned().expect("a request was sent").1;
    let request = Request::decode(last.clone()).expect("a request");
    assert_eq!((request.sender_boot, request.receiver_boot), (1, 1));

    // The node comes back, and with it what has been seen is forgotten: the old request arrives late.
    let again = Arc::new(cluster.nodes[1].service(2));
    mesh.connect(2, again.clone());
    let answer = cluster.nodes[1].raft.handle().block_on(async move { again.request(Peer(1), last).await });
    let answer = Answer::decode(answer.expect("runs").expect("is answered")).expect("an answer");
    assert!(matches!(answer, Answer { boot: 2, told: Some(Told::OtherBoot(_)) }), "{answer:?}");
    on_fiber(move || {
        let table = open(SPREAD);
        assert_eq!(number(&table, 50), 1.0, "the late request has done nothing");
        write(&table, vec![add_one(50)]).expect("the sender learns of the new life, and goes on");
        assert_eq!(number(&table, 50), 2.0);
    });
}

/// A request to the second node's shard, from a life of some node.
fn sync(boot: u64, serial: u64) -> Bytes {
    let request = Request {
        epoch: 1,
        version: 1,
        sender_boot: boot,
        receiver_boot: 1,
        serial,
        time_ms: 1_000,
        table: Bytes::copy_from_slice(&SPREAD.0.to_be_bytes()),
        shard: 2,
        range: Some(photondb_proto::v1::shard::Range { start: Bytes::new(), end: None }),
        ask: Some(photondb_proto::v1::shard::request::Ask::Sync(photondb_proto::v1::shard::Sync::default())),
    };
    Bytes::from(request.encode_to_vec())
}

#[test]
fn what_others_ask_for_is_counted_and_until_it_is_answered_the_node_is_not_idle() {
    let cluster = two_nodes();
    let service = Arc::new(cluster.nodes[1].service(1));
    assert_eq!(service.requests_if_idle(), Some(0));
    cluster.nodes[1].raft.handle().block_on(async move {
        let mut asked = service.request(Peer(9), sync(7, 1));
        assert_eq!(service.requests_if_idle(), Some(0), "nothing has begun");
        let began = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await;
        assert!(began.is_pending(), "it is carried out on another thread");
        assert_eq!(service.requests_if_idle(), None);
        asked.await.expect("is answered");
        assert_eq!(service.requests_if_idle(), Some(1));
        // What is refused was asked for as well, and is over at once.
        service.request(Peer(9), Bytes::from_static(b"\xff\xff")).await.expect_err("it is refused");
        assert_eq!(service.requests_if_idle(), Some(2));
        // Who asked may go away.
        let mut given_up = service.request(Peer(9), sync(7, 2));
        let _ = poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context))).await;
        drop(given_up);
        assert_eq!(service.requests_if_idle(), Some(3));
    });
}

#[test]
fn a_sender_that_has_come_back_silences_its_earlier_life() {
    let cluster = two_nodes();
    let service = Arc::new(cluster.nodes[1].service(1));
    cluster.nodes[1].raft.handle().block_on(async move {
        let told = |body: Bytes| {
            let answer = service.request(Peer(9), body);
            async move { answer.await.map(|answer| Answer::decode(answer).expect("an answer").told.expect("says it")) }
        };
        assert!(matches!(told(sync(7, 1)).await, Ok(Told::Synced(_))));
        assert!(matches!(told(sync(7, 1)).await, Ok(Told::Repeated(_))));
        assert!(matches!(told(sync(8, 1)).await, Ok(Told::Synced(_))));
        assert!(told(sync(7, 2)).await.is_err(), "it is refused");
        assert!(told(Bytes::from_static(b"\xff\xff")).await.is_err(), "it is refused");
    });
}

/// A node that knows who leads, and counts how often it is asked.
struct Knows {
    leader: NodeId,
    asked: Arc<AtomicUsize>,
}

impl Serve for Knows {
    fn request(&self, _from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let leader = Bytes::copy_from_slice(&self.leader.0.to_be_bytes());
        let boot = Request::decode(body).expect("a request").receiver_boot;
        let failed = Failed { reason: Reason::NotLeading.into(), leader, ..Failed::default() };
        let answer = Answer { boot, told: Some(Told::Failed(failed)) };
        Box::pin(async move { Ok(Bytes::from(answer.encode_to_vec())) })
    }

    fn exchange(&self, _from: Peer, _first: Bytes, _exchange: Exchange) -> SendFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[test]
fn who_does_not_lead_says_who_does_and_is_not_asked_again() {
    let cluster = two_nodes();
    // The first node believes that the second shard has one member, on a node that does not lead.
    let state = state_of(&[NodeId(1), NodeId(77)], &[10], 1);
    cluster.nodes[0].states.send_replace(Arc::new(state));
    let asked = Arc::new(AtomicUsize::new(0));
    cluster.mesh.connect(77, Arc::new(Knows { leader: NodeId(2), asked: asked.clone() }));
    let open = cluster.opener(0);
    on_fiber(move || {
        let table = open(SPREAD);
        write(&table, vec![insert(50)]).expect("is redirected");
        for _ in 0..10 {
            write(&table, vec![add_one(50)]).expect("goes where the last answer came from");
        }
        assert_eq!(number(&table, 50), 10.0);
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_node_without_the_shard_is_passed_over_and_nobody_at_all_is_an_error() {
    let cluster = two_nodes();
    // Nobody is at node 78.
    cluster.nodes[0].states.send_replace(Arc::new(state_of(&[NodeId(1), NodeId(78)], &[10], 1)));
    let open = cluster.opener(0);
    on_fiber(move || {
        let table = open(SPREAD);
        write(&table, vec![insert(5)]).expect("the shard of this node is not concerned");
        let error = write(&table, vec![insert(50)]).expect_err("there is nobody");
        assert_eq!(error.kind, ErrorKind::OpFailed);
        assert!(error.message.starts_with("Cannot perform write: primary replica for shard ["), "{error}");
        assert!(error.message.ends_with(", +inf) not available"), "{error}");
        let error = table.get(&Datum::from(50), ReadMode::Single).expect_err("there is nobody");
        assert!(error.message.starts_with("Cannot perform read: primary replica for shard ["), "{error}");
        let Err(error) = table.subscribe() else { panic!("there is nobody") };
        assert!(error.message.starts_with("cannot subscribe to table `test.t`: primary replica"), "{error}");
    });
    // What is written of a request stays written; the rest of it is refused one by one.
    let open = cluster.opener(0);
    on_fiber(move || {
        let results = write(&open(SPREAD), vec![insert(6), insert(60)]).expect("one was written");
        assert!(matches!(&results[..], [WriteResult::Done { .. }, WriteResult::Refused { .. }]), "{results:?}");
    });
}

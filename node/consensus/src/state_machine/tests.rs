//! A state machine moves by snapshot, and takes a long stream of entries in several transactions.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId, NodeId};

use super::*;
use crate::position::LogPosition;
use crate::types::{Membership, log_id};

/// Keeps its commands.
#[derive(Default)]
struct List {
    applied: Mutex<Applied>,
    commands: Mutex<Vec<Bytes>>,
}

impl Replicated for List {
    fn applied(&self) -> Applied {
        self.applied.lock().clone()
    }

    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError> {
        let outcomes = entries.iter().map(|_| Bytes::new()).collect();
        self.commands.lock().extend(entries.into_iter().filter_map(|entry| entry.command));
        *self.applied.lock() = Applied { consensus };
        Ok(outcomes)
    }

    fn durable(&self) -> Applied {
        Applied::default()
    }

    fn leading(&self, _term: Option<Term>) {}

    fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        let commands = self.commands.lock().clone();
        Ok(Snapshot::new(self.applied(), Box::new(commands.into_iter().map(Ok))))
    }

    fn install(&self, snapshot: Snapshot) -> Result<(), ApplyError> {
        *self.commands.lock() = snapshot.chunks.collect::<Result<_, _>>()?;
        *self.applied.lock() = snapshot.applied;
        Ok(())
    }
}

fn open(machine: &Arc<List>) -> StateMachine {
    let wal = Wal::in_memory();
    let stepped = Arc::clone(&wal);
    // Nobody else drives the log here; whoever queues something drives it on a thread of its own.
    wal.set_waker(Box::new(move || {
        let wal = Arc::clone(&stepped);
        std::thread::spawn(move || wal.step());
    }));
    let fatal = Fatal::new(GroupId(1), MemberId(1), Arc::new(|why| panic!("{why}")));
    let clock = Arc::new(photondb_runtime::clock::ManualClock::default());
    let leadership = Arc::new(Leadership::new(fatal.member, clock, crate::limits::LEASE));
    StateMachine::open(Arc::clone(machine) as _, leadership, wal, Blocking::Here, fatal).unwrap()
}

fn entry(index: u64, payload: EntryPayload<Command, MemberId, NodeId>) -> Entry {
    Entry { log_id: log_id(LogPosition { term: Term(1), index }), payload }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_snapshot_carries_state_position_and_membership_to_another_member() {
    let nodes: BTreeMap<_, _> = [(MemberId(1), NodeId(1)), (MemberId(2), NodeId(2))].into();
    let membership = Membership::new(vec![nodes.keys().copied().collect()], nodes).unwrap();
    let (left, right) = (Arc::new(List::default()), Arc::new(List::default()));
    let (mut from, mut to) = (open(&left), open(&right));
    let entries = [
        entry(0, EntryPayload::Membership(membership.clone())),
        entry(1, EntryPayload::Normal(Command(Bytes::from_static(b"a")))),
        entry(2, EntryPayload::Blank),
        entry(3, EntryPayload::Normal(Command(Bytes::from_static(b"b")))),
    ];
    run(async {
        assert!(from.get_current_snapshot().await.unwrap().is_none(), "there is nothing yet");
        let entries = futures_util::stream::iter(entries.map(|entry| Ok((entry, None))));
        from.apply(entries).await.unwrap();

        let snapshot = from.get_current_snapshot().await.unwrap().unwrap();
        assert_eq!(snapshot.meta.last_log_id, Some(log_id(LogPosition { term: Term(1), index: 3 })));
        to.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
        assert_eq!(to.applied_state().await.unwrap(), from.applied_state().await.unwrap());
        assert_eq!(to.applied_state().await.unwrap().1.membership(), &membership);
    });
    assert_eq!(*left.commands.lock(), *right.commands.lock());
    assert_eq!(left.applied(), right.applied());
    // A restart finds the same.
    let mut again = open(&right);
    assert_eq!(again.applied_state().now_or_never().unwrap().unwrap().0, to.applied);
}

#[test]
fn a_long_stream_is_cut_into_transactions() {
    let machine = Arc::new(List::default());
    let mut state_machine = open(&machine);
    let many = (0..2 * APPLY_ENTRIES_MAX as u64 + 5)
        .map(|index| Ok((entry(index, EntryPayload::Normal(Command(Bytes::from_static(b"x")))), None)));
    run(state_machine.apply(futures_util::stream::iter(many))).unwrap();
    assert_eq!(machine.commands.lock().len(), 2 * APPLY_ENTRIES_MAX + 5);
}

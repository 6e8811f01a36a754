//! The hand-off of group commit, in every order the checker can think of: several threads submit, one steps the log as the
//! node's log writer does. Everybody is answered, in the order of submission; what was answered with `Ok` is there after
//! a power loss; after a failed sync everybody gets an error; what was admitted is not refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/schedules.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use harness::{fails, holds, random};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};
use photondb_storage::wal::{Lsn, Purpose, Record, StreamId, Wal, WalOptions};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

/// Deliberate bugs of the model's own log writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// It is woken only if it said before that it sleeps, and does not look again after saying so.
    LostWakeUp,
}

fn options() -> WalOptions {
    WalOptions {
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        reclaim_slack_bytes: 64 << 10,
        recycle_max: 1,
        ..WalOptions::default()
    }
}

fn open(disk: &SimulatedDisk) -> Arc<Wal> {
    Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, 0).unwrap().0
}

/// The node's log writer: steps while there is something to do, looks once more, tidies up, sleeps until woken.
struct LogWriter {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<(), StorageError>>,
}

impl LogWriter {
    fn start(wal: &Arc<Wal>, bug: Bug) -> LogWriter {
        let stop = Arc::new(AtomicBool::new(false));
        let asleep = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (wal, stop, asleep) = (Arc::clone(wal), Arc::clone(&stop), Arc::clone(&asleep));
            move || {
                let mut idle = false;
                while !stop.load(Ordering::Acquire) {
                    match wal.step() {
                        Ok(true) => idle = false,
                        Ok(false) if !idle => {
                            idle = true;
                            thread::yield_now();
                        }
                        Ok(false) => {
                            match wal.prepare().and_then(|()| wal.idle_mark()) {
                                Err(error) if !error.is_full() => return Err(error),
                                _ => {}
                            }
                            if bug == Bug::LostWakeUp {
                                // Long enough that somebody who is about to submit can get in between.
                                (0..8).for_each(|_| thread::yield_now());
                            }
                            asleep.store(true, Ordering::Release);
                            thread::park();
                            asleep.store(false, Ordering::Release);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        });
        let waking = thread.thread().clone();
        wal.set_waker(Box::new(move || {
            if bug != Bug::LostWakeUp || asleep.load(Ordering::Acquire) {
                waking.unpark();
            }
        }));
        LogWriter { stop, thread }
    }

    fn stop(self) -> Result<(), StorageError> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().unwrap()
    }
}

/// What happened, in order. A standard lock: it is no choice of the checker's, and never held across one.
#[derive(Clone, Default)]
struct Trace(Arc<std::sync::Mutex<Vec<Event>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Began(u64),
    Submitted(u64),
    Answered(u64, bool),
}

impl Trace {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn answered(&self) -> Vec<(u64, bool)> {
        let events = self.0.lock().unwrap();
        let answers = events.iter().filter_map(|event| match event {
            Event::Answered(number, whole) => Some((*number, *whole)),
            _ => None,
        });
        answers.collect()
    }

    /// Everything was answered once; what was submitted before another began was answered before it; and once something
    /// failed nothing succeeds.
    fn check(&self, expected: usize) {
        let answers = self.answered();
        assert_eq!(answers.len(), expected, "everybody is answered once");
        let place: BTreeMap<u64, usize> = answers.iter().enumerate().map(|(at, (number, _))| (*number, at)).collect();
        assert_eq!(place.len(), expected, "nobody is answered twice");
        let mut submitted = Vec::new();
        for event in self.0.lock().unwrap().iter() {
            match event {
                Event::Submitted(number) => submitted.push(*number),
                Event::Began(later) => {
                    for earlier in &submitted {
                        // After a failure a call is refused on the spot, while the writer still tells the others.
                        let both = answers[place[earlier]].1 && answers[place[later]].1;
                        assert!(!both || place[earlier] < place[later], "{earlier} was submitted before {later}");
                    }
                }
                Event::Answered(..) => {}
            }
        }
        let good = answers.iter().take_while(|(_, whole)| *whole).count();
        assert!(answers[good..].iter().all(|(_, whole)| !whole), "nothing is acknowledged after a failure");
    }
}

/// One who submits and waits for the answer.
#[derive(Clone)]
struct Waiter(Arc<(Mutex<Option<bool>>, Condvar)>);

impl Waiter {
    fn new() -> Self {
        Waiter(Arc::new((Mutex::new(None), Condvar::new())))
    }

    fn tell(&self, whole: bool) {
        let before = self.0.0.lock().unwrap().replace(whole);
        assert!(before.is_none(), "nobody is answered twice");
        self.0.1.notify_one();
    }

    fn wait(&self) -> bool {
        let mut answer = self.0.0.lock().unwrap();
        loop {
            match *answer {
                Some(whole) => return whole,
                None => answer = self.0.1.wait(answer).unwrap(),
            }
        }
    }
}

/// Submits entry `index` of `stream` and notes when; the answer goes to the trace and to the waiter.
fn submit(
    wal: &Wal,
    trace: &Trace,
    stream: u64,
    index: u64,
    bytes: usize,
    and_then: impl FnOnce() + Send + 'static,
) -> Waiter {
    let number = stream * 100 + index;
    let waiter = Waiter::new();
    let payload = Bytes::from(vec![index as u8; bytes]);
    trace.note(Event::Began(number));
    let completion = {
        let (trace, waiter) = (trace.clone(), waiter.clone());
        move |outcome: Result<(), StorageError>| {
            trace.note(Event::Answered(number, outcome.is_ok()));
            and_then();
            waiter.tell(outcome.is_ok());
        }
    };
    wal.submit(StreamId(stream), vec![Record::Entry { index, term: 1, payload }], Some(Box::new(completion)));
    trace.note(Event::Submitted(number));
    waiter
}

const STREAMS: u64 = 3;
const ENTRIES: u64 = 3;

/// Each stream has its thread, which waits for every other of its entries. One asks for a barrier. At the answer to one
/// of the entries the disk is copied, and the copy loses its power.
fn hand_off(bug: Bug, lying: bool) {
    let disk = SimulatedDisk::new(random());
    let wal = open(&disk);
    let writer = LogWriter::start(&wal, bug);
    let trace = Trace::default();
    let snapped: u64 = 1 + random() % STREAMS;
    let copy = Arc::new(std::sync::Mutex::new(None));
    if lying {
        disk.fail_sync_after(0);
    }
    let threads: Vec<_> = (1..=STREAMS)
        .map(|stream| {
            let (wal, trace, disk, copy) = (Arc::clone(&wal), trace.clone(), disk.clone(), Arc::clone(&copy));
            thread::spawn(move || {
                for index in 1..=ENTRIES {
                    let snap = {
                        let (disk, copy, trace) = (disk.clone(), Arc::clone(&copy), trace.clone());
                        move || {
                            if stream == snapped && index == 2 {
                                let forked = (disk.fork(7), trace.answered());
                                *copy.lock().unwrap() = Some(forked);
                            }
                        }
                    };
                    let waiter = submit(&wal, &trace, stream, index, 100 * index as usize, snap);
                    let read = wal.read(StreamId(stream), 1, u64::MAX, usize::MAX);
                    assert!(read.map_or(lying, |entries| entries.len() as u64 == index), "what is submitted is seen");
                    if index % 2 == 0 {
                        assert!(waiter.wait() || lying);
                    }
                    if index == stream {
                        let waiter = Waiter::new();
                        let (before, told) = (trace.0.lock().unwrap().clone(), (waiter.clone(), trace.clone()));
                        wal.barrier(Box::new(move |outcome| {
                            let answered: Vec<u64> = told.1.answered().iter().map(|(number, _)| *number).collect();
                            for event in before {
                                if let (Event::Submitted(number), true) = (event, outcome.is_ok()) {
                                    assert!(answered.contains(&number), "a barrier waits for {number}");
                                }
                            }
                            told.0.tell(outcome.is_ok());
                        }));
                        assert!(waiter.wait() || lying);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    if !lying {
        wal.close().unwrap();
    }
    assert_eq!(writer.stop().is_err(), lying, "a failed sync ends the writer");
    trace.check((STREAMS * ENTRIES) as usize);
    if lying {
        assert!(trace.answered().iter().all(|(_, whole)| !whole), "what no sync confirmed is not acknowledged");
    }
    let (copy, answered) = copy.lock().unwrap().take().expect("the answer came");
    copy.crash();
    let wal = open(&copy);
    for (number, _) in answered.iter().filter(|(_, whole)| *whole) {
        let (stream, index) = (StreamId(number / 100), number % 100);
        let entries = wal.read(stream, index, index + 1, usize::MAX).unwrap();
        assert_eq!(entries.len(), 1, "what was acknowledged survives: {number}");
    }
}

#[test]
fn everybody_is_answered_in_order_and_what_was_answered_is_durable() {
    holds(2000, || hand_off(Bug::None, false));
}

#[test]
fn after_a_failed_sync_everybody_gets_an_error() {
    holds(1500, || hand_off(Bug::None, true));
}

#[test]
fn a_lost_wake_up_is_noticed() {
    fails(6000, "deadlock", || hand_off(Bug::LostWakeUp, false));
}

/// Two threads fill a disk of a few segments. What is admitted must be taken; what is refused is refused by `admit`.
fn admission() {
    let disk = SimulatedDisk::with_options(1, SimulatedOptions { capacity_bytes: 200 << 10, ..Default::default() });
    let wal = open(&disk);
    let writer = LogWriter::start(&wal, Bug::None);
    let trace = Trace::default();
    let threads: Vec<_> = (1..=2)
        .map(|stream| {
            let (wal, trace) = (Arc::clone(&wal), trace.clone());
            thread::spawn(move || {
                let mut taken = 0;
                for _ in 0..10 {
                    match wal.admit(12 << 10, Purpose::Write) {
                        Ok(admission) => {
                            taken += 1;
                            let waiter = submit(&wal, &trace, stream, taken, 12 << 10, || {});
                            assert!(waiter.wait(), "W8: what was admitted is not refused");
                            drop(admission);
                        }
                        Err(error) => assert!(error.is_full(), "{error}"),
                    }
                }
                taken
            })
        })
        .collect();
    let taken: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!((8..20).contains(&taken), "the disk takes some and not all: {taken}");
    // Whatever was refused, a purge still finds room, and gives space back.
    for stream in 1..=2 {
        let waiter = Waiter::new();
        let told = waiter.clone();
        let last = wal.state(StreamId(stream)).and_then(|state| state.last_index);
        if let Some(upto) = last {
            let purge = Record::Purge { upto, payload: Bytes::new() };
            wal.submit(StreamId(stream), vec![purge], Some(Box::new(move |outcome| told.tell(outcome.is_ok()))));
            assert!(waiter.wait(), "a purge finds room");
        }
    }
    writer.stop().unwrap();
}

#[test]
fn what_was_admitted_is_taken() {
    holds(1000, admission);
}

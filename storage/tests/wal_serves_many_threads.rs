//! One writer, many submitters and readers, on the machine's own disk and in memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use bytes::Bytes;
use photondb_storage::disk::system::SystemDisk;
use photondb_storage::wal::{Lsn, Record, StreamId, Wal, WalOptions};

const STREAMS: u64 = 4;
const ROUNDS: u64 = 300;

fn payload(stream: u64, index: u64) -> Bytes {
    Bytes::from(vec![(stream * 31 + index) as u8; 200 + (index * 37 % 900) as usize])
}

/// Each stream's thread appends, waits, reads back what is anywhere in its log, and purges behind itself.
fn work(wal: &Arc<Wal>) {
    let (wake, woken) = channel();
    wal.set_waker(Box::new(move || wake.send(()).unwrap_or_default()));
    let stop = AtomicBool::new(false);
    let order = AtomicU64::new(0);
    thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Acquire) {
                while wal.step().unwrap() {}
                wal.idle_mark().unwrap();
                let _ = woken.recv_timeout(std::time::Duration::from_millis(5));
            }
        });
        let owners: Vec<_> = (1..=STREAMS)
            .map(|stream| {
                let (wal, order) = (Arc::clone(wal), &order);
                scope.spawn(move || {
                    let id = StreamId(stream);
                    for index in 0..ROUNDS {
                        let (sender, receiver) = channel();
                        let entry = Record::Entry { index, term: 1, payload: payload(stream, index) };
                        wal.submit(id, vec![entry], Some(Box::new(move |outcome| sender.send(outcome).unwrap())));
                        assert_eq!(wal.read(id, index, index + 1, 1).unwrap()[0].payload, payload(stream, index));
                        receiver.recv().unwrap().unwrap();
                        order.fetch_add(1, Ordering::Relaxed);
                        let purged = index.saturating_sub(40 + 60 * u64::from(stream == 1));
                        if purged > 0 && index % 7 == 0 {
                            wal.submit(id, vec![Record::Purge { upto: purged, payload: Bytes::new() }], None);
                        }
                        for entry in wal.read(id, 0, u64::MAX, usize::MAX).unwrap() {
                            assert_eq!(entry.payload, payload(stream, entry.index));
                        }
                    }
                })
            })
            .collect();
        owners.into_iter().for_each(|owner| owner.join().unwrap());
        stop.store(true, Ordering::Release);
    });
    assert_eq!(order.load(Ordering::Relaxed), STREAMS * ROUNDS);
}

#[test]
fn on_the_machines_disk_and_again_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(SystemDisk::open(directory.path()).unwrap());
    let options = WalOptions {
        segment_bytes: 64 << 10,
        first_segment_bytes: 64 << 10,
        reclaim_slack_bytes: 64 << 10,
        cache_bytes: 4 << 10,
        ..WalOptions::default()
    };
    let (wal, states) = Wal::open(Arc::clone(&disk) as _, options, Lsn::ZERO, 0).unwrap();
    assert!(states.is_empty());
    work(&wal);
    let metrics = wal.metrics();
    assert!(metrics.syncs > 0 && metrics.segments_released > 5, "{metrics:?}");
    let before = wal.states();
    wal.close().unwrap();
    drop(wal);
    let (wal, after) = Wal::open(disk, options, Lsn::ZERO, 0).unwrap();
    assert_eq!(before, after);
    for (id, state) in after {
        let entries = wal.read(id, 0, u64::MAX, usize::MAX).unwrap();
        assert_eq!(entries.last().map(|entry| entry.index), state.last_index);
        assert!(entries.iter().all(|entry| entry.payload == payload(id.0, entry.index)));
    }
}

#[test]
fn in_memory() {
    work(&Wal::in_memory());
}

/// A writer that has nothing to do sleeps until it is woken: what does not wake it is never written, nor is anything behind it.
#[test]
fn whatever_is_queued_wakes_a_writer_that_sleeps() {
    let wal = Wal::in_memory();
    let woken = Arc::new(AtomicBool::new(false));
    let waker = Arc::clone(&woken);
    wal.set_waker(Box::new(move || waker.store(true, Ordering::Release)));
    let stream = StreamId(1);
    let entry = |index| vec![Record::Entry { index, term: 1, payload: payload(1, index) }];
    let wakes = |what: &str, queue: &dyn Fn()| {
        woken.store(false, Ordering::Release);
        queue();
        assert!(woken.load(Ordering::Acquire), "{what}");
        while wal.step().unwrap() {}
    };
    wakes("a submission", &|| wal.submit(stream, entry(1), None));
    wakes("a barrier", &|| wal.barrier(Box::new(|_| ())));
    wakes("a checkpoint", &|| wal.checkpoint_published(1));
    wakes("a doubt", &|| wal.doubt(stream, 4096, Box::new(|_| ())));
    assert!(wal.loss(stream).is_some());
    wakes("a doubt of what is in doubt", &|| wal.doubt(stream, 8192, Box::new(|_| ())));
    wakes("an acceptance", &|| wal.accept_loss(stream, Vec::new(), 1, None));
}

//! What a node has of snapshots whose exchanges broke, until their senders go on.
//!
//! One exchange at a time carries a snapshot: a later one ends the one before, which may not know yet that nobody sends any more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId};
use photondb_storage::spool::Spool;
use tokio::sync::Notify;

use crate::limits::INTERRUPTED_MAX;

/// Which snapshot. Its sender draws the number; position and membership are those of the contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) group: GroupId,
    pub(crate) to: MemberId,
    pub(crate) transfer: u64,
    pub(crate) applied: Bytes,
}

impl Name {
    /// Whether its sender goes on over another exchange. One of the version before gives no number, and does not.
    pub(crate) fn is_gone_on_with(&self) -> bool {
        self.transfer != 0
    }
}

/// The beginning of a snapshot.
pub(crate) struct Part {
    pub(crate) spool: Spool,
    /// How many chunks are in it.
    pub(crate) chunks: u64,
    /// The checksum of all their bytes.
    pub(crate) crc: u32,
}

/// All parts that a node keeps, and what it receives.
#[derive(Default)]
pub(crate) struct Interrupted {
    kept: Mutex<VecDeque<Kept>>,
    /// How many were ever kept.
    serial: AtomicU64,
    received: Mutex<Vec<(Name, Arc<Notify>)>>,
    ended: Notify,
}

struct Kept {
    serial: u64,
    name: Name,
    part: Part,
}

/// The right to receive a snapshot. Dropped, another exchange may.
pub(crate) struct Receiving {
    name: Name,
    of: Arc<Interrupted>,
    /// Told when another exchange is to go on.
    pub(crate) broken_off: Arc<Notify>,
}

impl Interrupted {
    /// From here on this exchange receives the snapshot, with what is here of it. Parts of others for the same member are given up: it
    /// gets one at a time.
    pub(crate) async fn begin(self: &Arc<Self>, name: &Name) -> (Receiving, Option<Part>) {
        loop {
            let ended = self.ended.notified();
            match self.try_begin(name) {
                Some(receiving) => {
                    let mut kept = self.kept.lock();
                    let place = kept.iter().position(|kept| kept.name == *name);
                    let part = place.and_then(|place| kept.remove(place)).map(|kept| kept.part);
                    kept.retain(|other| (other.name.group, other.name.to) != (name.group, name.to));
                    return (receiving, part);
                }
                None => ended.await,
            }
        }
    }

    /// `None`: another exchange still receives it, and is told to end.
    fn try_begin(self: &Arc<Self>, name: &Name) -> Option<Receiving> {
        let mut received = self.received.lock();
        if name.is_gone_on_with()
            && let Some((_, before)) = received.iter().find(|(other, _)| other == name)
        {
            before.notify_one();
            return None;
        }
        let broken_off = Arc::new(Notify::new());
        received.push((name.clone(), Arc::clone(&broken_off)));
        Some(Receiving { name: name.clone(), of: Arc::clone(self), broken_off })
    }

    /// Nobody has gone on with what was kept under this number.
    pub(crate) fn forget(&self, serial: u64) {
        self.kept.lock().retain(|kept| kept.serial != serial);
    }
}

impl Receiving {
    /// The exchange is over, and another may go on with `part`. Gives the number under which it is kept.
    pub(crate) fn keep(self, part: Part) -> u64 {
        let serial = self.of.serial.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.of.kept.lock();
        if kept.len() >= INTERRUPTED_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept { serial, name: self.name.clone(), part });
        serial
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.of.received.lock().retain(|(_, other)| !Arc::ptr_eq(other, &self.broken_off));
        self.of.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use photondb_storage::disk::simulated::SimulatedDisk;

    use super::*;

    fn name(to: u64, transfer: u64) -> Name {
        Name { group: GroupId(1), to: MemberId(to), transfer, applied: Bytes::new() }
    }

    fn part(chunks: u64) -> Part {
        let spool = Spool::create(Arc::new(SimulatedDisk::new(chunks)), chunks).expect("there is space");
        Part { spool, chunks, crc: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_exchange_ends_the_one_before_and_goes_on_with_what_it_has() {
        let all = Arc::new(Interrupted::default());
        let (first, none) = all.begin(&name(1, 7)).await;
        assert!(none.is_none());
        let ending = tokio::spawn(async move {
            first.broken_off.notified().await;
            first.keep(part(3));
        });
        let (_second, had) = all.begin(&name(1, 7)).await;
        assert_eq!(had.map(|part| part.chunks), Some(3));
        ending.await.expect("ends");
        let third = tokio::time::timeout(Duration::from_secs(60), all.begin(&name(1, 7))).await;
        assert!(third.is_err(), "one at a time");
    }

    #[tokio::test]
    async fn parts_of_another_snapshot_are_given_up_and_no_more_than_so_many_are_kept() {
        let all = Arc::new(Interrupted::default());
        all.begin(&name(1, 7)).await.0.keep(part(1));
        assert!(all.begin(&name(1, 8)).await.1.is_none());
        assert!(all.begin(&name(1, 7)).await.1.is_none(), "it was given up for another one");
        for to in 10..=10 + INTERRUPTED_MAX as u64 {
            all.begin(&name(to, 7)).await.0.keep(part(to));
        }
        assert!(all.begin(&name(10, 7)).await.1.is_none(), "the oldest has gone");
        assert!(all.begin(&name(11, 7)).await.1.is_some());
        let serial = all.begin(&name(12, 7)).await.0.keep(part(1));
        all.forget(serial);
        assert!(all.begin(&name(12, 7)).await.1.is_none());
    }
}

//! What a node has of snapshots whose exchanges broke, until their senders go on.
//!
//! One exchange at a time carries a snapshot: a later one ends the one before, which may not know yet that nobody sends any more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::{GroupId, MemberId};
use photondb_runtime::task::Blocking;
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

/// All parts that a node keeps, and what it receives. Where both are locked, `received` is locked first.
pub(crate) struct Interrupted {
    kept: Mutex<VecDeque<Kept>>,
    /// How many were ever kept.
    serial: AtomicU64,
    received: Mutex<Vec<(Name, Arc<Notify>)>>,
    ended: Notify,
    /// Where files of parts are removed that nobody needs any more: they may be large.
    blocking: Blocking,
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
    /// Nothing is kept or received yet.
    pub(crate) fn new(blocking: Blocking) -> Interrupted {
        let (kept, serial, received, ended) = (Mutex::default(), AtomicU64::new(0), Mutex::default(), Notify::new());
        Interrupted { kept, serial, received, ended, blocking }
    }

    /// From here on this exchange receives the snapshot, with what is here of it. Parts of others for the same member are given up: it
    /// gets one at a time.
    pub(crate) async fn begin(self: &Arc<Self>, name: &Name) -> (Receiving, Option<Part>) {
        let receiving = loop {
            let ended = self.ended.notified();
            match self.try_begin(name) {
                Some(receiving) => break receiving,
                None => ended.await,
            }
        };
        let is_of_member = |kept: &Kept| (kept.name.group, kept.name.to) == (name.group, name.to);
        let (own, others) = self.take_out(is_of_member).into_iter().partition::<Vec<_>, _>(|kept| kept.name == *name);
        self.give_up(others).await;
        (receiving, own.into_iter().next().map(|kept| kept.part))
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
    pub(crate) async fn forget(&self, serial: u64) {
        let forgotten = self.take_out(|kept| kept.serial == serial);
        self.give_up(forgotten).await;
    }

    fn take_out(&self, is_meant: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let mut kept = self.kept.lock();
        let (meant, others) = kept.drain(..).partition::<Vec<_>, _>(is_meant);
        kept.extend(others);
        meant
    }

    /// Their files go.
    async fn give_up(&self, parts: Vec<Kept>) {
        if !parts.is_empty() {
            // Where nothing runs any more, they have gone with what was to be run.
            let _ = self.blocking.run(move || drop(parts)).await;
        }
    }
}

impl Receiving {
    /// The exchange is over, and another may go on with `part`. Gives the number under which it is kept; `None`: nobody will go on with it.
    pub(crate) async fn keep(self, part: Part) -> Option<u64> {
        let of = Arc::clone(&self.of);
        let (serial, given_up) = self.put(part);
        drop(self);
        of.give_up(given_up).await;
        serial
    }

    /// What is given up is what makes room, or `part` itself.
    fn put(&self, part: Part) -> (Option<u64>, Vec<Kept>) {
        let serial = self.of.serial.fetch_add(1, Ordering::Relaxed);
        let put = Kept { serial, name: self.name.clone(), part };
        let received = self.of.received.lock();
        if !self.name.is_gone_on_with() || self.is_followed(&received) {
            return (None, vec![put]);
        }
        let mut kept = self.of.kept.lock();
        let oldest = if kept.len() >= INTERRUPTED_MAX { kept.pop_front() } else { None };
        kept.push_back(put);
        (Some(serial), oldest.into_iter().collect())
    }

    /// Whether another snapshot for the member, as of a later leader, was begun after this one. `received` is in the order of the beginnings.
    fn is_followed(&self, received: &[(Name, Arc<Notify>)]) -> bool {
        let later = received.iter().skip_while(|(_, told)| !Arc::ptr_eq(told, &self.broken_off));
        let (group, to) = (self.name.group, self.name.to);
        later.skip(1).any(|(name, _)| (name.group, name.to) == (group, to) && *name != self.name)
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

    fn nothing() -> Arc<Interrupted> {
        Arc::new(Interrupted::new(Blocking::Here))
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_exchange_ends_the_one_before_and_goes_on_with_what_it_has() {
        let all = nothing();
        let (first, none) = all.begin(&name(1, 7)).await;
        assert!(none.is_none());
        let ending = tokio::spawn(async move {
            first.broken_off.notified().await;
            first.keep(part(3)).await
        });
        let (_second, had) = all.begin(&name(1, 7)).await;
        assert_eq!(had.map(|part| part.chunks), Some(3));
        assert!(ending.await.expect("ends").is_some());
        let third = tokio::time::timeout(Duration::from_secs(60), all.begin(&name(1, 7))).await;
        assert!(third.is_err(), "one at a time");
    }

    #[tokio::test]
    async fn parts_of_another_snapshot_are_given_up_and_no_more_than_so_many_are_kept() {
        let all = nothing();
        all.begin(&name(1, 7)).await.0.keep(part(1)).await;
        assert!(all.begin(&name(1, 8)).await.1.is_none());
        assert!(all.begin(&name(1, 7)).await.1.is_none(), "it was given up for another one");
        for to in 10..=10 + INTERRUPTED_MAX as u64 {
            all.begin(&name(to, 7)).await.0.keep(part(to)).await;
        }
        assert!(all.begin(&name(10, 7)).await.1.is_none(), "the oldest has gone");
        assert!(all.begin(&name(11, 7)).await.1.is_some());
        let serial = all.begin(&name(12, 7)).await.0.keep(part(1)).await.expect("is kept");
        all.forget(serial).await;
        assert!(all.begin(&name(12, 7)).await.1.is_none());
    }

    #[tokio::test]
    async fn what_another_snapshot_has_followed_meanwhile_is_not_kept() {
        let all = nothing();
        let older = all.begin(&name(1, 7)).await.0;
        let newer = all.begin(&name(1, 8)).await.0;
        let _of_another = all.begin(&name(2, 9)).await.0;
        assert!(newer.keep(part(2)).await.is_some(), "the one before does not concern it");
        let newer = all.begin(&name(1, 8)).await;
        assert_eq!(newer.1.map(|part| part.chunks), Some(2));
        assert!(older.keep(part(1)).await.is_none());
        assert!(all.begin(&name(1, 7)).await.1.is_none());
        // One of the version before does not go on.
        assert!(all.begin(&name(3, 0)).await.0.keep(part(1)).await.is_none());
    }
}

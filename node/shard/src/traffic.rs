//! How much one replica has to do: counted where it is done, for those who decide where shards are cut and where replicas go.
//!
//! Nothing of it is stored, and no two replicas count the same. A read by key costs a few microseconds in all, so counting one is an
//! atomic addition, and once in [`READS_PER_SAMPLE`] times a lock that nobody waits for. What a server was asked for by its own
//! clients, whichever replica answered it, is another question, which the system table `stats` answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::limits::{READS_PER_SAMPLE, RECENT_KEYS, ROWS_PER_READ};
use crate::publish::DocumentChange;

/// What one replica of a shard has done since it was opened.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Reads that go to one place: of a document by its primary key, or a look at a range of such keys, however many documents it finds.
    pub read: Tally,
    /// Documents that applied entries have written.
    pub written: Tally,
    /// Documents that were looked at in ranges of keys, or found by an index.
    rows: AtomicU64,
}

/// A number that grows, and some of the keys that it was counted for. It has a cache line to itself: all client threads add to it.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Tally {
    count: AtomicU64,
    /// The newest last.
    recent: Mutex<VecDeque<Bytes>>,
}

impl Traffic {
    /// A document was looked for by its key.
    pub(crate) fn note_get(&self, key: &[u8]) {
        self.note_read(Some(key));
    }

    /// So many documents of a range of keys were looked at together; `some` is the key of one, if there was any.
    pub fn note_range(&self, documents: usize, some: Option<&[u8]>) {
        self.note_read(some);
        self.rows.fetch_add(documents as u64, Ordering::Relaxed);
    }

    /// So many documents were found by an index together. Every shard is asked for those, whichever keys it has.
    pub fn note_found(&self, documents: usize) {
        self.rows.fetch_add(documents as u64, Ordering::Relaxed);
    }

    /// An entry has written these.
    pub(crate) fn note_written(&self, changes: &[DocumentChange]) {
        let before = self.written.add(changes.len() as u64);
        // Which of them stands for the entry goes round, so that none is left out for its place in entries of one length.
        let Some(place) = (before / READS_PER_SAMPLE).checked_rem(changes.len() as u64) else { return };
        if let Some(some) = changes.get(place as usize) {
            self.written.remember(&some.key);
        }
    }

    /// All of it as one number: documents read and written, of those that were looked at together one for [`ROWS_PER_READ`].
    pub fn total(&self) -> u64 {
        self.read.count() + self.rows.load(Ordering::Relaxed) / ROWS_PER_READ + self.written.count()
    }

    fn note_read(&self, key: Option<&[u8]>) {
        let before = self.read.add(1);
        if let Some(key) = key.filter(|_| before.is_multiple_of(READS_PER_SAMPLE)) {
            self.read.remember(key);
        }
    }
}

impl Tally {
    /// How much was counted.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Keys of some of what was counted last.
    pub fn recent_keys(&self) -> Vec<Bytes> {
        self.recent.lock().iter().cloned().collect()
    }

    fn add(&self, more: u64) -> u64 {
        self.count.fetch_add(more, Ordering::Relaxed)
    }

    /// Nobody waits for it: while somebody else is at it, a key is left out.
    fn remember(&self, key: &[u8]) {
        let Some(mut recent) = self.recent.try_lock() else { return };
        if recent.len() == RECENT_KEYS {
            recent.pop_front();
        }
        // A copy, because the key may be a part of a whole entry or message.
        recent.push_back(Bytes::copy_from_slice(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &'static str) -> DocumentChange {
        DocumentChange { key: Bytes::from_static(key.as_bytes()), old: None, new: None }
    }

    #[test]
    fn each_read_of_one_place_counts_and_a_few_are_remembered() {
        let traffic = Traffic::default();
        for number in 0..3 * READS_PER_SAMPLE {
            traffic.note_get(&number.to_be_bytes());
        }
        let remembered = [0, READS_PER_SAMPLE, 2 * READS_PER_SAMPLE].map(|number| number.to_be_bytes().to_vec());
        assert_eq!(traffic.read.recent_keys(), remembered);
        let all = 3 * READS_PER_SAMPLE;
        assert_eq!((traffic.read.count(), traffic.written.count(), traffic.total()), (all, 0, all));
    }

    #[test]
    fn a_look_at_many_documents_is_one_read_and_as_much_work_as_a_part_of_them() {
        let traffic = Traffic::default();
        traffic.note_range(10 * ROWS_PER_READ as usize, Some(b"a"));
        traffic.note_range(0, None);
        assert_eq!((traffic.read.count(), traffic.total()), (2, 12));
        assert_eq!(traffic.read.recent_keys(), ["a"]);
        // One by one or together: nothing of it is rounded away.
        for _ in 0..5 * ROWS_PER_READ {
            traffic.note_found(1);
        }
        assert_eq!((traffic.read.count(), traffic.total()), (2, 17), "by an index no key is told apart from another");
    }

    #[test]
    fn of_each_entry_one_key_is_remembered_and_the_oldest_are_forgotten() {
        let traffic = Traffic::default();
        traffic.note_written(&[]);
        traffic.note_written(&[change("a"), change("b")]);
        traffic.note_written(&[change("c")]);
        traffic.note_written(&[change("d"), change("e")]);
        assert_eq!((traffic.written.count(), traffic.read.count(), traffic.total()), (5, 0, 5));
        assert_eq!(traffic.written.recent_keys(), ["a", "c", "d"]);
        for _ in 0..RECENT_KEYS {
            traffic.note_written(&[change("y"), change("z")]);
        }
        let remembered = traffic.written.recent_keys();
        assert_eq!(remembered.len(), RECENT_KEYS);
        assert!(["y", "z"].iter().all(|key| remembered.iter().filter(|remembered| *remembered == key).count() > 9));
        assert!(remembered.iter().all(|key| key == "y" || key == "z"), "{remembered:?}");
    }

    #[test]
    fn whoever_finds_the_keys_in_use_goes_on_without() {
        let traffic = Traffic::default();
        let held = traffic.read.recent.lock();
        traffic.note_get(b"a");
        drop(held);
        assert_eq!(traffic.read.count(), 1);
        assert!(traffic.read.recent_keys().is_empty());
    }
}

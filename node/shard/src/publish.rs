//! Committed changes, given to whoever listens, in the order of the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::ShardId;
use photondb_storage::fault::buggify;

use crate::error::ShardError;
use crate::limits::{LISTENER_BATCHES_MAX, LISTENER_BYTES_MAX};
use crate::shard::Position;

/// One document before and after, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentChange {
    /// The encoded primary key.
    pub key: Bytes,
    /// `None`: there was none.
    pub old: Option<Bytes>,
    /// `None`: it was deleted.
    pub new: Option<Bytes>,
}

/// The changes of one entry.
#[derive(Clone, Debug)]
pub struct ChangeBatch {
    /// The entry.
    pub position: Position,
    /// In the entry's order.
    pub changes: Arc<[DocumentChange]>,
    /// The entry cut this shard off: what happens to its keys from here on, it tells.
    pub child: Option<ShardId>,
    /// The entry joined this shard, whose own log ends with that entry of it: from here on this one tells what happens to its keys.
    pub joined: Option<(ShardId, Position)>,
}

impl ChangeBatch {
    /// Of an entry that changed documents, or nothing.
    pub fn of(position: Position, changes: Arc<[DocumentChange]>) -> ChangeBatch {
        ChangeBatch { position, changes, child: None, joined: None }
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// One listener's queue. Dropping it ends the subscription.
pub struct Listener(Arc<Queue>);

struct Queue {
    inner: Mutex<Inner>,
    wake: Wake,
}

#[derive(Default)]
struct Inner {
    batches: VecDeque<ChangeBatch>,
    bytes: usize,
    skipped: u64,
    replaced: bool,
    gone: bool,
}

impl Listener {
    /// What has come since the last call; may be nothing. Errors: some were skipped because the queue was full, or are in a
    /// snapshot that has taken the place of the shard (both told once); the shard is gone.
    pub fn take(&self) -> Result<Vec<ChangeBatch>, ShardError> {
        let mut inner = self.0.inner.lock();
        if std::mem::take(&mut inner.replaced) {
            inner.batches.clear();
            (inner.bytes, inner.skipped) = (0, 0);
            return Err(ShardError::Replaced);
        }
        if !inner.batches.is_empty() {
            inner.bytes = 0;
            return Ok(inner.batches.drain(..).collect());
        }
        match std::mem::take(&mut inner.skipped) {
            0 if inner.gone => Err(ShardError::Gone),
            0 => Ok(Vec::new()),
            skipped => Err(ShardError::ListenerBehind { skipped }),
        }
    }
}

/// All listeners of a shard.
#[derive(Default)]
pub struct Publisher {
    listeners: Mutex<Vec<Weak<Queue>>>,
    /// Set while the listeners are locked, so that nobody who listens later waits for what never comes.
    closed: AtomicBool,
}

impl Publisher {
    /// A new listener, which is given everything published after this call. `wake` is called after each batch.
    pub fn listen(&self, wake: Wake) -> Listener {
        let queue = Arc::new(Queue { inner: Mutex::default(), wake });
        let mut listeners = self.listeners.lock();
        queue.inner.lock().gone = self.closed.load(Ordering::Relaxed);
        listeners.push(Arc::downgrade(&queue));
        drop(listeners);
        Listener(queue)
    }

    /// Whether nobody listens, so that nothing need be kept for publishing.
    pub fn is_idle(&self) -> bool {
        self.listeners.lock().is_empty()
    }

    /// Gives one entry's changes to every listener.
    pub fn publish(&self, batch: &ChangeBatch) {
        let documents = batch.changes.iter().flat_map(|change| [&change.old, &change.new]).flatten();
        let bytes: usize = documents.map(Bytes::len).sum();
        self.for_each(|queue| {
            let mut inner = queue.inner.lock();
            // Whoever listens reads the change log then, as after a snapshot.
            inner.replaced |= buggify!("shard/listener-told-to-read");
            let fits = inner.batches.is_empty()
                || (inner.batches.len() < LISTENER_BATCHES_MAX && inner.bytes + bytes <= LISTENER_BYTES_MAX);
            if fits && inner.skipped == 0 {
                inner.bytes += bytes;
                inner.batches.push_back(batch.clone());
            } else {
                inner.skipped += batch.changes.len() as u64;
            }
        });
    }

    /// Tells every listener that it was not given what has changed.
    pub fn replaced(&self) {
        self.for_each(|queue| queue.inner.lock().replaced = true);
    }

    /// Tells every listener that the shard is gone, those that come later too.
    pub fn close(&self) {
        let listeners = self.listeners.lock();
        self.closed.store(true, Ordering::Relaxed);
        drop(listeners);
        self.for_each(|queue| queue.inner.lock().gone = true);
    }

    fn for_each(&self, give: impl Fn(&Queue)) {
        self.listeners.lock().retain(|listener| match listener.upgrade() {
            Some(queue) => {
                give(&queue);
                (queue.wake)();
                true
            }
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(position: u64) -> ChangeBatch {
        let change = DocumentChange { key: Bytes::from_static(b"k"), old: None, new: None };
        ChangeBatch::of(Position(position), Arc::from([change]))
    }

    #[test]
    fn a_listener_gets_what_is_published_after_it_came_in_order() {
        let publisher = Publisher::default();
        publisher.publish(&batch(1));
        let listener = publisher.listen(Box::new(|| ()));
        publisher.publish(&batch(2));
        publisher.publish(&batch(3));
        let positions: Vec<u64> = listener.take().expect("open").iter().map(|batch| batch.position.0).collect();
        assert_eq!(positions, [2, 3]);
        assert!(listener.take().expect("open").is_empty());
        publisher.close();
        assert!(matches!(listener.take(), Err(ShardError::Gone)));
        assert!(matches!(publisher.listen(Box::new(|| ())).take(), Err(ShardError::Gone)), "nobody waits in vain");
    }

    #[test]
    fn a_listener_that_falls_behind_is_told_how_many_it_lost() {
        let publisher = Publisher::default();
        let listener = publisher.listen(Box::new(|| ()));
        for position in 0..LISTENER_BATCHES_MAX as u64 + 5 {
            publisher.publish(&batch(position));
        }
        assert_eq!(listener.take().expect("the kept ones").len(), LISTENER_BATCHES_MAX);
        assert!(matches!(listener.take(), Err(ShardError::ListenerBehind { skipped: 5 })));
        publisher.publish(&batch(7));
        assert_eq!(listener.take().expect("open again").len(), 1);
    }

    #[test]
    fn a_listener_that_falls_behind_holds_no_more_than_its_bytes() {
        let publisher = Publisher::default();
        let listener = publisher.listen(Box::new(|| ()));
        let large = Bytes::from(vec![0; LISTENER_BYTES_MAX / 4]);
        for position in 0..6 {
            let change = DocumentChange { key: Bytes::from_static(b"k"), old: None, new: Some(large.clone()) };
            publisher.publish(&ChangeBatch::of(Position(position), Arc::from([change])));
        }
        assert_eq!(listener.take().expect("the kept ones").len(), 4);
        assert!(matches!(listener.take(), Err(ShardError::ListenerBehind { skipped: 2 })));
    }

    #[test]
    fn a_dropped_listener_is_forgotten() {
        let publisher = Publisher::default();
        drop(publisher.listen(Box::new(|| ())));
        publisher.publish(&batch(1));
        assert!(publisher.is_idle());
    }
}

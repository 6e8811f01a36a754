//! What the frames of all tree sets take, and who waits until it is less.
//!
//! Only admission waits. A commit never does: what consensus has decided must be applied.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Called once when there is memory again.
type OnFree = Box<dyn FnOnce() + Send>;

/// Called whenever nodes should begin to be written.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

/// Memory of all frames, in bytes.
pub(crate) struct Memory {
    dirty: AtomicUsize,
    forwarding: AtomicUsize,
    /// Dirty memory at which admission waits.
    dirty_max: usize,
    /// Writing makes no progress, so waiting for it would not end.
    stuck: AtomicBool,
    /// How many are in the queue or wait for `freed`.
    waiting: AtomicUsize,
    queue: Mutex<Vec<OnFree>>,
    freed: Condvar,
    waits: AtomicU64,
    waker: ArcSwapOption<Waker>,
}

impl Memory {
    pub fn new(dirty_max: usize) -> Self {
        Memory {
            dirty: AtomicUsize::new(0),
            forwarding: AtomicUsize::new(0),
            dirty_max,
            stuck: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
            freed: Condvar::new(),
            waits: AtomicU64::new(0),
            waker: ArcSwapOption::empty(),
        }
    }

    /// Dirty memory above which nodes should be written.
    pub fn eviction_bytes(&self) -> usize {
        self.dirty_max / 4 * 3
    }

    /// Changed nodes, those written ahead included, at which a checkpoint is due: later than writing them ahead begins, and
    /// early enough that it gives memory back before admission waits.
    pub fn checkpoint_bytes(&self) -> usize {
        self.dirty_max - self.dirty_max / 8
    }

    /// Who is woken when dirty memory comes to be above that.
    pub fn set_waker(&self, waker: Waker) {
        self.waker.store(Some(Arc::new(waker)));
    }

    /// Nodes and values that only memory has.
    pub fn dirty(&self) -> usize {
        self.dirty.load(Ordering::Relaxed)
    }

    /// Dirty memory at which admission waits.
    pub fn dirty_max(&self) -> usize {
        self.dirty_max
    }

    /// Forwarding addresses of evicted ones.
    pub fn forwarding(&self) -> usize {
        self.forwarding.load(Ordering::Relaxed)
    }

    /// How often somebody had to wait.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    pub fn add_dirty(&self, bytes: usize) {
        let before = self.dirty.fetch_add(bytes, Ordering::Relaxed);
        let limit = self.eviction_bytes();
        if before <= limit
            && before + bytes > limit
            && let Some(waker) = &*self.waker.load()
        {
            waker();
        }
    }

    pub fn sub_dirty(&self, bytes: usize) {
        // In one order with `waiting`: either the waiter sees what was freed, or it is seen here.
        self.dirty.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 && !self.is_short() {
            self.wake();
        }
    }

    pub fn add_forwarding(&self, bytes: usize) {
        self.forwarding.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn sub_forwarding(&self, bytes: usize) {
        self.forwarding.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether admission has to wait.
    pub fn is_short(&self) -> bool {
        self.dirty.load(Ordering::SeqCst) > self.dirty_max && !self.stuck.load(Ordering::SeqCst)
    }

    /// Whether writing nodes gives memory back. While it does not, nobody waits for it.
    pub fn set_stuck(&self, stuck: bool) {
        let before = self.stuck.swap(stuck, Ordering::SeqCst);
        if stuck && !before {
            self.wake();
        }
    }

    fn wake(&self) {
        let mut queue = self.queue.lock();
        let ready = std::mem::take(&mut *queue);
        self.waiting.fetch_sub(ready.len(), Ordering::SeqCst);
        self.freed.notify_all();
        drop(queue);
        ready.into_iter().for_each(|on_free| on_free());
    }

    /// Waits until memory is not short.
    pub fn wait(&self) {
        let mut queue = self.queue.lock();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.is_short() {
            self.waits.fetch_add(1, Ordering::Relaxed);
        }
        while self.is_short() {
            self.freed.wait(&mut queue);
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Calls when memory is not short: now, or later on the thread that frees it.
    pub fn when_free(&self, on_free: OnFree) {
        let mut queue = self.queue.lock();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.is_short() {
            self.waits.fetch_add(1, Ordering::Relaxed);
            queue.push(on_free);
            return;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(queue);
        on_free();
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("dirty", &self.dirty())
            .field("dirty_max", &self.dirty_max)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_waits_is_called_once_when_enough_is_free() {
        let memory = Memory::new(100);
        let calls = Arc::new(AtomicUsize::new(0));
        let call = || {
            let calls = Arc::clone(&calls);
            Box::new(move || {
                calls.fetch_add(1, Ordering::Relaxed);
            })
        };
        memory.when_free(call());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        memory.add_dirty(150);
        memory.when_free(call());
        memory.sub_dirty(40);
        assert_eq!(calls.load(Ordering::Relaxed), 1, "110 of 100 are in use");
        memory.sub_dirty(20);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        memory.add_dirty(100);
        memory.sub_dirty(150);
        assert_eq!((calls.load(Ordering::Relaxed), memory.waits()), (2, 1));
    }

    #[test]
    fn who_writes_nodes_is_woken_each_time_that_three_quarters_are_passed() {
        let memory = Memory::new(100);
        let wakes = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&wakes);
        memory.set_waker(Box::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
        }));
        for (added, freed, expected) in [(75, 0, 0), (1, 0, 1), (50, 60, 1), (20, 0, 2)] {
            memory.add_dirty(added);
            assert_eq!(wakes.load(Ordering::Relaxed), expected, "after {added} more");
            memory.sub_dirty(freed);
        }
    }

    #[test]
    fn nobody_waits_for_memory_that_does_not_come() {
        let memory = Arc::new(Memory::new(100));
        memory.add_dirty(150);
        let (send, receive) = mpsc::channel();
        let waiter = Arc::clone(&memory);
        let thread = std::thread::spawn(move || {
            waiter.wait();
            send.send(()).unwrap();
        });
        while memory.waits() == 0 {
            std::thread::yield_now();
        }
        assert!(receive.try_recv().is_err());
        memory.set_stuck(true);
        receive.recv().unwrap();
        thread.join().unwrap();
    }
}

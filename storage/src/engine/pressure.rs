//! One budget for clean and dirty pages, and what happens when writers are faster than the disk.
//!
//! `cache_bytes` is the budget of both. Dirty nodes may take `dirty_bytes` of it, at most half. From three quarters of that
//! share on, [`Engine::evict_step`] has something to do; beyond it, who asks for admission waits until a piece of about
//! 1 MiB was written. A commit never waits. When writing fails nobody waits: admission is refused, see [`Engine::admit`].

use super::Engine;
use crate::checkpoint::Amount;
use crate::error::{Result, StorageError};
use crate::fault::buggify;
use crate::limits::EVICTION_PIECE_BYTES;
use crate::sync::atomic::Ordering;

impl Engine {
    /// Whether so much memory is dirty that [`Engine::evict_step`] should be called.
    pub fn should_evict(&self) -> bool {
        let memory = &self.inner.ambient.memory;
        let limit = if buggify!("storage/evicted-early") { 0 } else { memory.eviction_bytes() };
        self.inner.ambient.store.is_on_disk() && memory.dirty() > limit
    }

    /// Sets who is called, by the thread that commits, whenever [`Engine::should_evict`] begins to say so. It must not wait.
    pub fn set_memory_waker(&self, waker: Box<dyn Fn() + Send + Sync>) {
        self.inner.ambient.memory.set_waker(waker);
    }

    /// Writes about `bytes` of nodes that nobody used lately to fresh slots and gives their memory back; returns whether
    /// more should be. Waits for a checkpoint that is under way, which gives memory back itself.
    ///
    /// Errors: as [`Engine::checkpoint`]. What could not be written stays in memory, and the next call tries again.
    pub fn evict_step(&self, bytes: usize) -> Result<bool> {
        let inner = &self.inner;
        let bytes = if buggify!("storage/evicted-by-one") { 1 } else { bytes };
        inner.evicts.store(true, Ordering::Relaxed);
        let mut checkpointer = inner.checkpointer.lock();
        if inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Stopped);
        }
        let Some(checkpointer) = checkpointer.as_mut().filter(|_| self.should_evict()) else { return Ok(false) };
        let sets = self.live_sets();
        let outcome = checkpointer.evict(&sets, &inner.ambient, inner.options.compression, bytes);
        self.note(|failures| failures.eviction = outcome.as_ref().err().cloned());
        let Amount { pages, bytes } = outcome?;
        inner.evicted_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut counters = inner.counters.lock();
        counters.pages_evicted += pages;
        counters.page_bytes_evicted += bytes;
        drop(counters);
        inner.ambient.memory.set_stuck(pages == 0);
        Ok(pages > 0 && self.should_evict())
    }

    /// Waits until changes may take memory; helps to write nodes when nobody else does. To be called before changes are
    /// made and without an open transaction.
    ///
    /// Errors: what writing fails of.
    pub fn wait_for_memory(&self) -> Result<()> {
        let inner = &self.inner;
        loop {
            if let Some(failure) = self.failure()
                && inner.ambient.memory.dirty() > inner.ambient.memory.dirty_max()
            {
                return Err(failure);
            }
            if !self.is_memory_short() {
                return Ok(());
            }
            match inner.checkpointer.try_lock() {
                Some(checkpointer) => {
                    drop(checkpointer);
                    self.evict_step(EVICTION_PIECE_BYTES)?;
                }
                None => inner.ambient.memory.wait(),
            }
        }
    }

    /// Whether changes should wait until memory is free.
    pub fn is_memory_short(&self) -> bool {
        self.inner.ambient.store.is_on_disk()
            && (self.inner.ambient.memory.is_short() || buggify!("storage/memory-looks-short"))
    }

    /// Calls `on_free` once when changes may take memory: at once, or later on the thread that wrote nodes, which it must
    /// not hold up, or when writing fails, which [`Engine::admit`] then says.
    pub fn when_memory_is_free(&self, on_free: Box<dyn FnOnce() + Send>) {
        if self.inner.ambient.store.is_on_disk() {
            self.inner.ambient.memory.when_free(on_free);
        } else {
            on_free();
        }
    }
}

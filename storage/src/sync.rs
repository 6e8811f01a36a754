//! Where this crate gets its locks and atomics, so that a model checker can put itself in their place.
//!
//! In the product these are `parking_lot`'s and the standard library's, by name and at no cost. Compiled with
//! `cfg(shuttle)`, which only `tests/storage-models` does, every lock, wait and atomic becomes a point where the checker
//! chooses who runs next: the models there run the code that ships, not a sketch of it.
//!
//! `Arc` is the standard one in both: its counters are no such point. `mpsc` and thread-locals have no place here.

#[cfg(shuttle)]
mod modelled;

#[cfg(shuttle)]
#[allow(unused_imports, reason = "the same names as in the product, whoever uses them")]
pub(crate) use modelled::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(shuttle))]
#[allow(unused_imports, reason = "the names a file may use, whether or not one does today")]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Atomics: [`std::sync::atomic`]'s, or the checker's.
pub(crate) mod atomic {
    #[cfg(shuttle)]
    #[allow(unused_imports, reason = "the same names as in the product, whoever uses them")]
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    #[cfg(not(shuttle))]
    #[allow(unused_imports, reason = "the names a file may use, whether or not one does today")]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}

//! The checker's locks behind the names and signatures of `parking_lot`: nothing is poisoned, and a wait keeps its guard.

use std::fmt;
use std::ops::{Deref, DerefMut};

use shuttle::sync::{LockResult, PoisonError};

/// A panic ends the schedule and is reported; whoever finds the lock poisoned on the way down only adds noise.
fn whole<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// See [`parking_lot::Mutex`].
#[derive(Default)]
pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

/// See [`parking_lot::MutexGuard`]. Empty only while its thread waits for a [`Condvar`].
pub(crate) struct MutexGuard<'a, T: ?Sized>(Option<shuttle::sync::MutexGuard<'a, T>>);

#[allow(dead_code, reason = "the same doors as parking_lot, whoever uses them")]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        whole(self.0.into_inner())
    }
}

#[allow(dead_code, reason = "the same doors as parking_lot, whoever uses them")]
impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(whole(self.0.lock())))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        whole(self.0.get_mut())
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("nobody looks through a guard that waits")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("nobody looks through a guard that waits")
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mutex")
    }
}

/// See [`parking_lot::Condvar`].
#[derive(Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

#[allow(dead_code, reason = "the same doors as parking_lot, whoever uses them")]
impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("a guard waits in one place");
        guard.0 = Some(whole(self.0.wait(held)));
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Condvar")
    }
}

/// See [`parking_lot::RwLock`].
#[derive(Default)]
pub(crate) struct RwLock<T: ?Sized>(shuttle::sync::RwLock<T>);

pub(crate) use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard};

#[allow(dead_code, reason = "the same doors as parking_lot, whoever uses them")]
impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        whole(self.0.into_inner())
    }
}

#[allow(dead_code, reason = "the same doors as parking_lot, whoever uses them")]
impl<T: ?Sized> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        whole(self.0.read())
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        whole(self.0.write())
    }

    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok()
    }

    pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        whole(self.0.get_mut())
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RwLock")
    }
}

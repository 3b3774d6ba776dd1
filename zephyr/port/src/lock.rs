// SPDX-License-Identifier: Apache-2.0
//! Locks: a `k_mutex` each, with one `k_condvar` for all.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use wss::service::Lock;

use crate::sys::{self, Once};

/// A value behind a `k_mutex`. The mutex is in C, because kernel objects must not move.
///
/// All zeros if the value is, so that a static one takes no flash. It shares a mutex with others until it is
/// [placed](Self::place).
pub struct KernelLock<T> {
    lock: Once,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only accessed with the k_mutex held.
unsafe impl<T: Send> Sync for KernelLock<T> {}

impl<T> KernelLock<T> {
    /// Puts a lock around `value`.
    ///
    /// # Safety
    /// No thread locks this again while it holds it: a `k_mutex` is recursive.
    pub const unsafe fn new(value: T) -> Self {
        Self {
            lock: Once::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Gives the value its own mutex.
    ///
    /// # Safety
    /// No thread uses the value yet.
    pub(crate) unsafe fn place(&self, lock: sys::Lock) {
        self.lock.set_lock(lock);
    }
}

/// Access to the value of a [`KernelLock`]. Like its `k_mutex`, it belongs to one thread.
pub struct KernelGuard<'a, T>(&'a KernelLock<T>, PhantomData<*mut ()>);

impl<T> Deref for KernelGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard proves that the k_mutex is held.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for KernelGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably; there is no other guard, see `KernelLock::new`.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for KernelGuard<'_, T> {
    fn drop(&mut self) {
        sys::wss_port_unlock(self.0.lock.lock());
    }
}

impl<T> Lock<T> for KernelLock<T> {
    type Guard<'a>
        = KernelGuard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> KernelGuard<'_, T> {
        sys::wss_port_lock(self.lock.lock());
        KernelGuard(self, PhantomData)
    }

    fn wait<'a>(&'a self, guard: KernelGuard<'a, T>, timeout_ms: u32) -> KernelGuard<'a, T> {
        sys::wss_port_wait(self.lock.lock(), timeout_ms);
        guard
    }

    fn notify_all(&self) {
        sys::wss_port_notify(self.lock.lock());
    }
}

//! A lock with a place to wait for a change.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use wss::service::Lock;

use crate::sys;

/// A value behind a `k_mutex`, with a `k_condvar`.
///
/// Kernel objects must not move, and this may until it is used: they are taken from a pool in
/// `port.c` at first use, and given back when this is dropped.
pub struct Monitor<T> {
    lock: AtomicU32,
    value: UnsafeCell<T>,
}

/// No lock yet.
const NONE: u32 = u32::MAX;

// SAFETY: the value is only accessed with the k_mutex held.
unsafe impl<T: Send> Sync for Monitor<T> {}

impl<T> Monitor<T> {
    /// Puts a lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            lock: AtomicU32::new(NONE),
            value: UnsafeCell::new(value),
        }
    }

    fn index(&self) -> u32 {
        let lock = self.lock.load(Ordering::Acquire);
        if lock != NONE {
            return lock;
        }
        let new = sys::wss_port_lock_new();
        match self
            .lock
            .compare_exchange(NONE, new, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => new,
            Err(other) => {
                sys::wss_port_lock_free(new);
                other
            }
        }
    }
}

impl<T> Drop for Monitor<T> {
    fn drop(&mut self) {
        let lock = *self.lock.get_mut();
        if lock != NONE {
            sys::wss_port_lock_free(lock);
        }
    }
}

/// Access to the value of a [`Monitor`]. A `k_mutex` belongs to its thread, and so does this.
pub struct MonitorGuard<'a, T>(&'a Monitor<T>, PhantomData<*mut ()>);

impl<T> Deref for MonitorGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the proof that the k_mutex is held.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for MonitorGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is borrowed mutably. A k_mutex can be locked again by its owner,
        // which the service never does: no lock is held while another of the same kind is taken.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for MonitorGuard<'_, T> {
    fn drop(&mut self) {
        sys::wss_port_unlock(self.0.index());
    }
}

impl<T> Lock<T> for Monitor<T> {
    type Guard<'a>
        = MonitorGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> MonitorGuard<'_, T> {
        sys::wss_port_lock(self.index());
        MonitorGuard(self, PhantomData)
    }

    fn wait<'a>(&'a self, guard: MonitorGuard<'a, T>, timeout_ms: u32) -> MonitorGuard<'a, T> {
        sys::wss_port_wait(self.index(), timeout_ms);
        guard
    }

    fn notify_all(&self) {
        sys::wss_port_notify(self.index());
    }
}

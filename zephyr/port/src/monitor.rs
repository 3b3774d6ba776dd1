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
    lock: Number,
    value: UnsafeCell<T>,
}

/// No lock yet. Zero, so that a static one with much in it takes no flash.
const NONE: u32 = 0;

// SAFETY: the value is only accessed with the k_mutex held.
unsafe impl<T: Send> Sync for Monitor<T> {}

impl<T> Monitor<T> {
    /// Puts a lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            lock: Number(AtomicU32::new(NONE)),
            value: UnsafeCell::new(value),
        }
    }
}

/// Which lock of the pool it is, counted from 1. Apart from the value, so that there is one piece of code for
/// all types of values.
struct Number(AtomicU32);

impl Number {
    #[inline]
    fn get(&self) -> u32 {
        match self.0.load(Ordering::Acquire) {
            NONE => self.take(),
            lock => lock,
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&self) -> u32 {
        // SAFETY: there is the number, which is written as a whole.
        unsafe { sys::wss_port_lock_new(self.0.as_ptr()) }
    }

    #[inline(never)]
    fn lock(&self) {
        sys::wss_port_lock(self.get());
    }

    /// It is locked, so that it has its number.
    #[inline]
    fn unlock(&self) {
        sys::wss_port_unlock(self.0.load(Ordering::Relaxed));
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let lock = *self.0.get_mut();
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
        self.0.lock.unlock();
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
        self.lock.lock();
        MonitorGuard(self, PhantomData)
    }

    fn wait<'a>(&'a self, guard: MonitorGuard<'a, T>, timeout_ms: u32) -> MonitorGuard<'a, T> {
        sys::wss_port_wait(self.lock.get(), timeout_ms);
        guard
    }

    fn notify_all(&self) {
        sys::wss_port_notify(self.lock.get());
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A mutex with its condition variable.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::service::Lock;

/// A mutex with its condition variable.
pub struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// Puts a lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }
    }
}

impl<T> Lock<T> for Monitor<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.value)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>, timeout_ms: u32) -> MutexGuard<'a, T> {
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        let (guard, _) = self
            .changed
            .wait_timeout(guard, timeout)
            .unwrap_or_else(PoisonError::into_inner);
        guard
    }

    fn notify_all(&self) {
        self.changed.notify_all();
    }
}

/// Locks a mutex. It is never poisoned: a panic in a handler is caught before it reaches any lock.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

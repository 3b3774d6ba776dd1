// SPDX-License-Identifier: Apache-2.0
//! Locks of the interface in C.
#![allow(unsafe_code)]

use super::Monitor;

/// Puts a lock around `value`.
pub const fn monitor<T>(value: T) -> Monitor<T> {
    // SAFETY: no function here calls another one that locks the same while it is locked.
    unsafe { Monitor::new(value) }
}

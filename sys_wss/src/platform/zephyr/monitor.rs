// SPDX-License-Identifier: Apache-2.0
//! Locks of the C interface.
#![allow(unsafe_code)]

use super::Monitor;

/// Puts a lock around `value`.
pub const fn monitor<T>(value: T) -> Monitor<T> {
    // SAFETY: no function locks it again while it is locked.
    unsafe { Monitor::new(value) }
}

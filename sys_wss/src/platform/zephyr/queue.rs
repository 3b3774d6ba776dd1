// SPDX-License-Identifier: Apache-2.0
//! What event queues of Zephyr keep: nothing, since an event with data points into the receive buffer of its
//! client, which is not received into until the release.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::NonNull;

use crate::abi::Event;

/// Where the entries of a queue are: a `k_msgq` of the library or of the application.
pub type Storage = wss_zephyr::internal::MessageQueue<Event>;

/// Whether entries may be taken without `wss_queue_get`: with `k_msgq_get`.
pub const IS_READ_DIRECTLY: bool = true;

/// Takes storage for `depth` entries, if there is some left.
pub fn storage(depth: usize) -> Option<Storage> {
    Storage::new(depth)
}

/// Returns the application's own.
///
/// # Safety
/// `messages` points to a `k_msgq` of messages that C lends until `wss_queue_destroy`.
pub const unsafe fn own(messages: NonNull<c_void>) -> Storage {
    // SAFETY: the caller knows it.
    unsafe { Storage::own(messages) }
}

/// Returns the bytes of a message: where they are, and what they are given back by.
///
/// # Safety
/// None.
pub const unsafe fn keep(data: *mut u8, _len: usize) -> (*mut u8, *mut c_void) {
    (data, NonNull::dangling().as_ptr())
}

/// Gives the bytes of a message back.
///
/// # Safety
/// None.
pub const unsafe fn give_back(_kept: *mut c_void) {}

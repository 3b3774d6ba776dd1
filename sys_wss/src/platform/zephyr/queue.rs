// SPDX-License-Identifier: Apache-2.0
//! Storage of event queues on Zephyr. Nothing is copied: an event with data points into the receive buffer of its
//! client, which is not reused until the release.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::NonNull;

use crate::abi::Event;

/// The storage of a queue: a `k_msgq` of the library or of the application.
pub type Storage = wss_zephyr::internal::MessageQueue<Event>;

/// Whether C may take entries without `wss_queue_get`: with `k_msgq_get`.
pub const IS_READ_DIRECTLY: bool = true;

/// Takes storage for `depth` entries, if there is any left.
pub fn storage(depth: usize) -> Option<Storage> {
    Storage::new(depth)
}

/// Wraps a queue of the application.
///
/// # Safety
/// `messages` points to a `k_msgq` of messages that C lends until `wss_queue_destroy`.
pub const unsafe fn own(messages: NonNull<c_void>) -> Storage {
    // SAFETY: the caller guarantees it.
    unsafe { Storage::own(messages) }
}

/// Returns the bytes of a message, and the handle to free them.
///
/// # Safety
/// None required.
pub const unsafe fn keep(data: *mut u8, _len: usize) -> (*mut u8, *mut c_void) {
    (data, NonNull::dangling().as_ptr())
}

/// Does nothing: no bytes are copied.
///
/// # Safety
/// None required.
pub const unsafe fn give_back(_kept: *mut c_void) {}

// SPDX-License-Identifier: Apache-2.0
//! What event queues of a host keep, on the heap.
#![allow(unsafe_code)]

use core::ffi::c_void;

use crate::abi::Event;

/// Where the entries of a queue are.
pub type Storage = wss::host::HeapQueue<Event>;

/// Whether entries may be taken without `wss_queue_get`.
pub const IS_READ_DIRECTLY: bool = false;

/// Storage for `depth` entries.
pub fn storage(depth: usize) -> Option<Storage> {
    Some(Storage::new(depth))
}

/// Keeps the bytes of a message: where they are, and what they are given back by. A copy, since those in the
/// receive buffer could be overwritten once the client is cut off, while C still reads them.
pub fn keep(bytes: &[u8]) -> (*const u8, *mut c_void) {
    let kept = Box::new(Box::<[u8]>::from(bytes));
    (kept.as_ptr(), Box::into_raw(kept).cast())
}

/// Gives the bytes of a message back.
///
/// # Safety
/// `kept` comes from [`keep`], and is given back once.
pub unsafe fn give_back(kept: *mut c_void) {
    // SAFETY: `keep` has made it of such a box.
    drop(unsafe { Box::<Box<[u8]>>::from_raw(kept.cast()) });
}

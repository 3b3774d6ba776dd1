// SPDX-License-Identifier: Apache-2.0
//! Storage of event queues on a host, on the heap.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::slice;

use crate::abi::Event;

/// The storage of a queue.
pub type Storage = wss::host::HeapQueue<Event>;

/// Whether C may take entries without `wss_queue_get`.
pub const IS_READ_DIRECTLY: bool = false;

/// Creates storage for `depth` entries.
pub fn storage(depth: usize) -> Option<Storage> {
    Some(Storage::new(depth))
}

/// Copies the bytes of a message. Returns the copy, and the handle to free it. Without a copy, the receive buffer could
/// be overwritten after the client was aborted, while C still uses the bytes. A NUL follows them.
///
/// # Safety
/// There are `len` bytes at `data`, which are not written to meanwhile.
pub unsafe fn keep(data: *const u8, len: usize) -> (*mut u8, *mut c_void) {
    // SAFETY: the caller guarantees it.
    let bytes = unsafe { slice::from_raw_parts(data, len) };
    let mut kept = Vec::with_capacity(len.saturating_add(1));
    kept.extend_from_slice(bytes);
    kept.push(0);
    let mut kept = Box::new(kept.into_boxed_slice());
    (kept.as_mut_ptr(), Box::into_raw(kept).cast())
}

/// Frees the bytes of a message.
///
/// # Safety
/// `kept` comes from [`keep`], and is freed once.
pub unsafe fn give_back(kept: *mut c_void) {
    // SAFETY: `keep` made it from such a box.
    drop(unsafe { Box::<Box<[u8]>>::from_raw(kept.cast()) });
}

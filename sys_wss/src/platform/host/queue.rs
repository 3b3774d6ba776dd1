// SPDX-License-Identifier: Apache-2.0
//! What event queues of a host keep, on the heap.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::slice;

use crate::abi::Event;

/// Where the entries of a queue are.
pub type Storage = wss::host::HeapQueue<Event>;

/// Whether entries may be taken without `wss_queue_get`.
pub const IS_READ_DIRECTLY: bool = false;

/// Makes storage for `depth` entries.
pub fn storage(depth: usize) -> Option<Storage> {
    Some(Storage::new(depth))
}

/// Keeps the bytes of a message: where they are, and what they are given back by. A copy, since those in the
/// receive buffer could be overwritten once the client is cut off, while C still uses them. A NUL is behind them.
///
/// # Safety
/// There are `len` bytes at `data`, which nothing writes to meanwhile.
pub unsafe fn keep(data: *const u8, len: usize) -> (*mut u8, *mut c_void) {
    // SAFETY: the caller knows it.
    let bytes = unsafe { slice::from_raw_parts(data, len) };
    let mut kept = Vec::with_capacity(len.saturating_add(1));
    kept.extend_from_slice(bytes);
    kept.push(0);
    let mut kept = Box::new(kept.into_boxed_slice());
    (kept.as_mut_ptr(), Box::into_raw(kept).cast())
}

/// Gives the bytes of a message back.
///
/// # Safety
/// `kept` comes from [`keep`], and is given back once.
pub unsafe fn give_back(kept: *mut c_void) {
    // SAFETY: `keep` has made it of such a box.
    drop(unsafe { Box::<Box<[u8]>>::from_raw(kept.cast()) });
}

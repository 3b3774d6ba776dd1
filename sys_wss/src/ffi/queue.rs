// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: event queues.

use core::ffi::c_int;

use wss::service::EventMask;

use super::{outcome, put};
use crate::abi::Event;
use crate::error::Error;
use crate::platform::queue::{Storage, storage};
use crate::platform::{self, guard};
use crate::queues;

/// # Safety
/// `queue` is NULL, or valid for writing.
unsafe fn create(
    mask: u32,
    queue: *mut u32,
    storage: impl FnOnce() -> Option<Storage>,
) -> Result<(), Error> {
    let mask = EventMask::from_bits(mask).ok_or(Error::BadArgument)?;
    if mask.is_empty() {
        return Err(Error::BadArgument);
    }
    if queue.is_null() {
        return Err(Error::BadPointer);
    }
    let number = queues::create(mask, storage)?;
    // SAFETY: the caller guarantees it.
    unsafe { put(queue, number) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_create(mask: u32, depth: usize, queue: *mut u32) -> c_int {
    outcome(|| {
        if depth == 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: C passes NULL, or a place for it.
        unsafe { create(mask, queue, || storage(depth)) }
    })
}

/// Implements `wss_queue_add()`, except for the checks in C.
#[cfg(feature = "zephyr")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_adopt(
    mask: u32,
    messages: *mut core::ffi::c_void,
    queue: *mut u32,
) -> c_int {
    outcome(|| {
        let messages = core::ptr::NonNull::new(messages).ok_or(Error::BadPointer)?;
        // SAFETY: C passes a `k_msgq` of events, and lends it until `wss_queue_destroy`.
        let own = || Some(unsafe { platform::queue::own(messages) });
        // SAFETY: C passes NULL, or a place for it.
        unsafe { create(mask, queue, own) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_get(queue: u32, event: *mut Event, timeout_ms: i32) -> c_int {
    outcome(|| {
        if event.is_null() {
            return Err(Error::BadPointer);
        }
        // Waiting there would block the delivery of events.
        let timeout_ms = if platform::on_service_thread() {
            0
        } else {
            timeout_ms
        };
        let taken = queues::get(queue, timeout_ms)?;
        // SAFETY: C passes a place for it.
        unsafe { put(event, taken) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_event_release(event: *mut Event) {
    guard((), || {
        // SAFETY: C passes NULL, or an event that it took from a queue.
        let Some(event) = (unsafe { event.as_mut() }) else {
            return;
        };
        // SAFETY: it is such an event, which C releases once.
        unsafe { queues::release(event) };
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_queue_destroy(queue: u32) -> c_int {
    outcome(|| queues::destroy(queue))
}

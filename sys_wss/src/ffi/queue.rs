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
/// `queue` is NULL, or where there is room.
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
    // SAFETY: there is room.
    unsafe { put(queue, number) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_create(mask: u32, depth: usize, queue: *mut u32) -> c_int {
    outcome(|| {
        if depth == 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: C gives NULL, or where to put it.
        unsafe { create(mask, queue, || storage(depth)) }
    })
}

/// Does the part of `wss_queue_add()` that is in Rust.
#[cfg(feature = "zephyr")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_adopt(
    mask: u32,
    messages: *mut core::ffi::c_void,
    queue: *mut u32,
) -> c_int {
    outcome(|| {
        let messages = core::ptr::NonNull::new(messages).ok_or(Error::BadPointer)?;
        // SAFETY: C gives a `k_msgq` of events, and lends it until `wss_queue_destroy`.
        let own = || Some(unsafe { platform::queue::own(messages) });
        // SAFETY: C gives NULL, or where to put it.
        unsafe { create(mask, queue, own) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_get(queue: u32, event: *mut Event, timeout_ms: i32) -> c_int {
    outcome(|| {
        if event.is_null() {
            return Err(Error::BadPointer);
        }
        // Waiting there would keep the events from coming.
        let timeout_ms = if platform::on_service_thread() {
            0
        } else {
            timeout_ms
        };
        let taken = queues::get(queue, timeout_ms)?;
        // SAFETY: C gives where to put it.
        unsafe { put(event, taken) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_event_release(event: *mut Event) {
    guard((), || {
        // SAFETY: C gives NULL, or an event that it took from a queue.
        let Some(event) = (unsafe { event.as_mut() }) else {
            return;
        };
        // SAFETY: it is one, which C releases once.
        unsafe { queues::release(event) };
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_queue_destroy(queue: u32) -> c_int {
    outcome(|| queues::destroy(queue))
}

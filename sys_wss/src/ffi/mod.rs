// SPDX-License-Identifier: Apache-2.0
//! The functions of the headers, a file for each group. Arguments from C are checked here. Nothing panics here, or
//! unwinds into C. The headers document the functions.
#![allow(unsafe_code)]
// The headers document them.
#![allow(missing_docs, clippy::missing_safety_doc)]

use core::ffi::c_int;

use crate::config::list;
use crate::error::Error;
use crate::platform::guard;

pub mod client;
#[cfg(feature = "host")]
pub mod log;
pub mod original;
pub mod queue;
pub mod request;
pub mod send;
pub mod server;

/// Runs a function of `wss.h` that returns a number or a negative errno.
fn number(body: impl FnOnce() -> Result<c_int, Error>) -> c_int {
    guard(Error::Failed.to_errno(), || {
        body().unwrap_or_else(Error::to_errno)
    })
}

/// Runs a function of `wss.h` that returns 0 or a negative errno.
fn outcome(body: impl FnOnce() -> Result<(), Error>) -> c_int {
    number(|| body().map(|()| 0))
}

/// Returns the bytes at `data`, for the duration of the call.
///
/// # Safety
/// `data` is NULL, or has `len` bytes that are not written to meanwhile.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    // SAFETY: the caller guarantees it.
    unsafe { list(data, len) }
}

/// Stores `value` for C.
///
/// # Safety
/// `place` is NULL, or valid for writing a `T`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), Error> {
    if place.is_null() {
        return Err(Error::BadPointer);
    }
    // SAFETY: it is not NULL; the caller guarantees the rest.
    unsafe { place.write(value) };
    Ok(())
}

/// Returns the buffer at `room`, all zeros.
///
/// # Safety
/// `room` is NULL, or has `size` bytes that nothing else uses during the call.
unsafe fn text_room<'a>(room: *mut core::ffi::c_char, size: usize) -> Result<&'a mut [u8], Error> {
    if size == 0 {
        return Ok(&mut []);
    }
    if room.is_null() || isize::try_from(size).is_err() {
        return Err(Error::BadPointer);
    }
    // SAFETY: the caller guarantees it. They may be uninitialised, so they are written first.
    unsafe { room.write_bytes(0, size) };
    // SAFETY: they are initialised; the caller guarantees the rest.
    Ok(unsafe { core::slice::from_raw_parts_mut(room.cast(), size) })
}

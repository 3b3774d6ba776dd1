// SPDX-License-Identifier: Apache-2.0
//! The functions of the headers, a file for each group. What C hands over is checked here, and nothing panics
//! or unwinds out of here; what the functions do is said in the headers.
#![allow(unsafe_code)]
// "See the header" is what there is to say about each.
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

/// Runs a function of `wss.h` that returns a number, or a negative errno.
fn number(body: impl FnOnce() -> Result<c_int, Error>) -> c_int {
    guard(Error::Failed.to_errno(), || {
        body().unwrap_or_else(Error::to_errno)
    })
}

/// Runs a function of `wss.h` that returns 0, or a negative errno.
fn outcome(body: impl FnOnce() -> Result<(), Error>) -> c_int {
    number(|| body().map(|()| 0))
}

/// Returns the bytes at `data`, for the time of the call.
///
/// # Safety
/// `data` is NULL, or there are `len` bytes that nothing writes to meanwhile.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    // SAFETY: the caller knows it.
    unsafe { list(data, len) }
}

/// Puts `value` where C wants it.
///
/// # Safety
/// `place` is NULL, or there is room for a `T`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), Error> {
    if place.is_null() {
        return Err(Error::BadPointer);
    }
    // SAFETY: it is not NULL; the caller knows the rest.
    unsafe { place.write(value) };
    Ok(())
}

/// Returns room for a text at `room`, all zeros.
///
/// # Safety
/// `room` is NULL, or there are `size` bytes that nothing else uses during the call.
unsafe fn text_room<'a>(room: *mut core::ffi::c_char, size: usize) -> Result<&'a mut [u8], Error> {
    if size == 0 {
        return Ok(&mut []);
    }
    if room.is_null() || isize::try_from(size).is_err() {
        return Err(Error::BadPointer);
    }
    // SAFETY: the caller knows it. They may be uninitialised, so they are written first.
    unsafe { room.write_bytes(0, size) };
    // SAFETY: they are initialised; the caller knows the rest.
    Ok(unsafe { core::slice::from_raw_parts_mut(room.cast(), size) })
}

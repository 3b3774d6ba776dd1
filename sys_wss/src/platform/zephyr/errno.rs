// SPDX-License-Identifier: Apache-2.0
//! The numbers of the C library's `errno.h`, which only C knows.
#![allow(unsafe_code)]

use core::ffi::c_int;

use crate::error::Errno;

unsafe extern "C" {
    safe fn wss_port_errno(which: u8) -> c_int;
}

/// Returns the number in `errno.h`.
pub fn errno(errno: Errno) -> c_int {
    wss_port_errno(errno as u8)
}

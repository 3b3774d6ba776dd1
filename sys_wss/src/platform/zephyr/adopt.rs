// SPDX-License-Identifier: Apache-2.0
//! Taking over a connection that C has accepted.
#![allow(unsafe_code)]

use core::ffi::c_int;

use wss::{ClientId, Opening};
use wss_zephyr::internal::Descriptor;

use super::Service;
use crate::error::Error;

/// Takes over a connection.
///
/// # Safety
/// The caller owns the descriptor. If this succeeds, and only then, the caller no longer owns it.
pub unsafe fn adopt(
    service: &Service,
    fd: c_int,
    received: &[u8],
    opening: Opening,
) -> Result<ClientId, Error> {
    // SAFETY: the caller guarantees it.
    let socket = unsafe { Descriptor::adopt(fd) }?;
    Ok(service.adopt(&socket, received, opening)?)
}

// SPDX-License-Identifier: Apache-2.0
//! Taking over a connection that C has accepted.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::net::TcpStream;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};

use wss::{AdoptError, ClientId, Opening};

use super::Service;
use crate::error::Error;

/// Takes over a connection.
///
/// # Safety
/// The caller owns the descriptor, which is not below 0. If this succeeds, and only then, the caller no longer owns it.
pub unsafe fn adopt(
    service: &Service,
    fd: c_int,
    received: &[u8],
    opening: Opening,
) -> Result<ClientId, Error> {
    // SAFETY: it is not below 0, and the caller owns it until this returns.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    let stream = copy.map(TcpStream::from).map_err(|error| {
        log::error!("descriptor {fd} cannot be adopted: {error}");
        AdoptError::Failed
    })?;
    let adopted = service.adopt_stream(stream, received, opening);
    let client = adopted.map_err(|refused| refused.error)?;
    // SAFETY: the caller no longer owns it, and the service has its own copy.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(client)
}

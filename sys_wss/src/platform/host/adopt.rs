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
/// The descriptor is the caller's, and not below 0. It is given up if this is done, and only then.
pub unsafe fn adopt(
    service: &Service,
    fd: c_int,
    received: &[u8],
    opening: Opening,
) -> Result<ClientId, Error> {
    // SAFETY: it is not below 0, and the caller's for as long as this lasts.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    let stream = copy.map(TcpStream::from).map_err(|error| {
        log::error!("descriptor {fd} cannot be adopted: {error}");
        AdoptError::Failed
    })?;
    let adopted = service.adopt_stream(stream, received, opening);
    let client = adopted.map_err(|refused| refused.error)?;
    // SAFETY: the caller has given it up, and the service has its own.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(client)
}

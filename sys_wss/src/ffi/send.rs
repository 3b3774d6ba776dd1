// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: sending.

use core::ffi::{CStr, c_char, c_int, c_void};

use wss::protocol::Opcode;
use wss::service::{MAX_VECTORED, Target};
use wss::{MessageKind, SendError};

use super::{bytes, number, outcome};
use crate::abi::{FRAGMENT, MORE, Part, Server};
use crate::client::{self, Client};
use crate::config::list;
use crate::error::Error;
use crate::platform::Handle;
use crate::server::{self, from_c, service_of};

/// Returns a client, and its service.
fn to(client: u64) -> Result<(Handle, Target), Error> {
    let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
    Ok((service_of(client)?, Target::Client(client.id)))
}

/// Returns the kind of a whole message.
fn message_kind(kind: u32) -> Result<MessageKind, Error> {
    match client::frame_type(kind)? {
        Opcode::Text => Ok(MessageKind::Text),
        Opcode::Binary => Ok(MessageKind::Binary),
        _ => Err(Error::BadFrameType),
    }
}

fn send(client: u64, kind: u32, payload: &[u8], timeout_ms: i32) -> Result<(), Error> {
    let opcode = client::frame_type(kind & !(FRAGMENT | MORE))?;
    let (service, to) = to(client)?;
    // Below 0: without a limit.
    let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX);
    let (fin, more) = (kind & FRAGMENT == 0, kind & MORE != 0);
    Ok(service.send_frame_within(to, (fin, opcode), payload, more, timeout_ms)?)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_send(
    client: u64,
    kind: u32,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
) -> c_int {
    outcome(|| {
        // SAFETY: C passes NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        send(client, kind, payload, timeout_ms)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_send_text(client: u64, text: *const c_char, timeout_ms: i32) -> c_int {
    outcome(|| {
        if text.is_null() {
            return Err(Error::BadPointer);
        }
        // SAFETY: it is not NULL; C passes a text.
        let text = unsafe { CStr::from_ptr(text) };
        send(client, Opcode::Text as u32, text.to_bytes(), timeout_ms)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_send_parts(
    client: u64,
    kind: u32,
    parts: *const Part,
    count: usize,
    timeout_ms: i32,
) -> c_int {
    outcome(|| {
        let kind = message_kind(kind)?;
        // SAFETY: C passes NULL, or `count` parts.
        let parts = unsafe { list(parts, count) }?;
        let mut payload = [&[][..]; MAX_VECTORED];
        let places = payload.get_mut(..count).ok_or(SendError::TooLong)?;
        for (place, part) in places.iter_mut().zip(parts) {
            // SAFETY: C passes NULL, or that many bytes.
            *place = unsafe { bytes(part.data, part.len) }?;
        }
        let (service, to) = to(client)?;
        let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX);
        Ok(service.send_vectored_within(to, kind, places, timeout_ms)?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_flush(client: u64) -> c_int {
    outcome(|| {
        let (service, to) = to(client)?;
        Ok(service.flush(to)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_broadcast(
    server: *const Server,
    groups: u32,
    kind: u32,
    data: *const c_void,
    len: usize,
) -> c_int {
    number(|| {
        let kind = message_kind(kind)?;
        // SAFETY: C passes NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        let service = server::service(from_c(server)?)?;
        let groups = Some(groups).filter(|groups| *groups != 0);
        let reached = service.broadcast(groups, kind, payload)?;
        Ok(c_int::try_from(reached).unwrap_or(c_int::MAX))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_ping(client: u64, data: *const c_void, len: usize) -> c_int {
    outcome(|| {
        // SAFETY: C passes NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        let (service, to) = to(client)?;
        Ok(service.ping(to, payload)?)
    })
}

/// # Safety
/// `reason` is NULL, or a text.
unsafe fn close(
    to: impl FnOnce() -> Result<(Handle, Target), Error>,
    code: u16,
    reason: *const c_char,
) -> c_int {
    outcome(|| {
        let code = client::close_code(code.into())?;
        let reason = if reason.is_null() {
            ""
        } else {
            // SAFETY: it is not NULL; the caller guarantees the rest.
            client::reason(unsafe { CStr::from_ptr(reason) }.to_bytes())?
        };
        let (service, to) = to()?;
        Ok(service.close(to, code, reason)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_close(client: u64, code: u16, reason: *const c_char) -> c_int {
    // SAFETY: C passes NULL, or a text.
    unsafe { close(|| to(client), code, reason) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_close_all(
    server: *const Server,
    code: u16,
    reason: *const c_char,
) -> c_int {
    let to = || Ok((server::service(from_c(server)?)?, Target::All));
    // SAFETY: C passes NULL, or a text.
    unsafe { close(to, code, reason) }
}

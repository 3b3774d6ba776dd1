// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: opening requests, inside the hook and later.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use wss::{Status, Verdict};

use super::outcome;
use crate::abi::{NO_CLIENT, Request};
use crate::client::Client;
use crate::config::optional_text;
use crate::error::Error;
use crate::request::{Asked, c_text};
use crate::server::service_of;

/// The request whose hook runs.
///
/// # Safety
/// `request` is NULL, or what the hook that runs was given.
unsafe fn asked<'a>(request: *const Request) -> Option<&'a Asked<'a, 'a>> {
    // SAFETY: the caller knows it; the hook is given an `Asked`.
    unsafe { request.cast::<Asked<'_, '_>>().as_ref() }
}

/// A text of the request whose hook runs; NULL if there is none.
///
/// # Safety
/// As for [`asked`].
unsafe fn text<'a>(
    request: *const Request,
    find: impl FnOnce(&wss::Request<'a>) -> Option<&'a str>,
) -> *const c_char {
    // SAFETY: the caller knows it.
    let asked = unsafe { asked(request) };
    let found = asked.and_then(|asked| c_text(asked.request, find(asked.request)?));
    found.map_or(ptr::null(), CStr::as_ptr)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_client(request: *const Request) -> u64 {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { asked(request) }.map_or(NO_CLIENT, |asked| asked.client.to_c())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_path(request: *const Request) -> *const c_char {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { text(request, |request| Some(request.path())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_query(request: *const Request) -> *const c_char {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { text(request, wss::Request::query) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_host(request: *const Request) -> *const c_char {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { text(request, |request| Some(request.host())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_origin(request: *const Request) -> *const c_char {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { text(request, wss::Request::origin) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_subprotocol(
    request: *const Request,
    index: usize,
) -> *const c_char {
    // SAFETY: C gives NULL, or what its hook was given.
    unsafe { text(request, |request| request.subprotocols().nth(index)) }
}

/// Answers an opening request that the hook has put off.
fn answer(client: u64, verdict: Verdict<'_>) -> Result<(), Error> {
    let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
    let service = service_of(client)?;
    Ok(service.answer_with(client.id, |request| {
        service.application().keep(client.id, request, verdict);
        verdict
    })?)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_accept(client: u64, subprotocol: *const c_char) -> c_int {
    outcome(|| {
        // SAFETY: C gives NULL, or a text.
        let verdict = match unsafe { optional_text(subprotocol) }? {
            Some(subprotocol) => Verdict::accept().subprotocol(subprotocol),
            None => Verdict::accept(),
        };
        answer(client, verdict)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_refuse(client: u64, status: u16) -> c_int {
    outcome(|| {
        let status = Status::new(status).ok_or(Error::BadArgument)?;
        answer(client, Verdict::refuse(status))
    })
}

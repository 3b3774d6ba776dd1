// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: opening requests, inside the hook and later.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use wss::protocol::{QueryError, constant_time_eq};
use wss::{Status, Verdict};

use super::{number, outcome, put, text_room};
use crate::abi::{ANSWERED, MAX_RESPONSE_FIELDS, NO_CLIENT, Request, Response};
use crate::client::Client;
use crate::config::{list, optional_text, required_text};
use crate::error::Error;
use crate::request::{Asked, c_text, copy_text, requests};
use crate::server::service_of;

/// Returns the request whose hook is running.
///
/// # Safety
/// `request` is NULL, or the argument of the hook that is running.
unsafe fn asked<'a>(request: *const Request) -> Option<&'a Asked<'a, 'a>> {
    // SAFETY: the caller guarantees it; the argument of a hook is an `Asked`.
    unsafe { request.cast::<Asked<'_, '_>>().as_ref() }
}

/// Returns a text of the request whose hook is running; NULL if there is none.
///
/// # Safety
/// As for [`asked`].
unsafe fn text<'a>(
    request: *const Request,
    find: impl FnOnce(&wss::Request<'a>) -> Option<&'a str>,
) -> *const c_char {
    // SAFETY: the caller guarantees it.
    let asked = unsafe { asked(request) };
    let found = asked.and_then(|asked| c_text(asked.request, find(asked.request)?));
    found.map_or(ptr::null(), CStr::as_ptr)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_client(request: *const Request) -> u64 {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { asked(request) }.map_or(NO_CLIENT, |asked| asked.client.to_c())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_path(request: *const Request) -> *const c_char {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, |request| Some(request.path())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_query(request: *const Request) -> *const c_char {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, wss::Request::query) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_host(request: *const Request) -> *const c_char {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, |request| Some(request.host())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_origin(request: *const Request) -> *const c_char {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, wss::Request::origin) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_subprotocol(
    request: *const Request,
    index: usize,
) -> *const c_char {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, |request| request.subprotocols().nth(index)) }
}

/// Returns whether the request whose hook is running matches two texts of C; false if one of them is NULL.
///
/// # Safety
/// As for [`asked`]; the texts are NULL or NUL-terminated.
unsafe fn is(
    request: *const Request,
    [a, b]: [*const c_char; 2],
    ask: impl FnOnce(&wss::Request<'_>, &str, &str) -> bool,
) -> bool {
    // SAFETY: the caller guarantees it.
    let asked = unsafe { asked(request) };
    // SAFETY: the caller guarantees it.
    let (a, b) = (unsafe { required_text(a) }, unsafe { required_text(b) });
    matches!((asked, a, b), (Some(asked), Ok(a), Ok(b)) if ask(asked.request, a, b))
}

/// Lets `read` copy a named value of the request whose hook is running. Returns its length.
///
/// # Safety
/// As for [`asked`]; the name is NULL or NUL-terminated; `value` is NULL, or has `size` bytes.
unsafe fn read_value(
    request: *const Request,
    name: *const c_char,
    (value, size): (*mut c_char, usize),
    read: impl FnOnce(&wss::Request<'_>, &str, &mut [u8]) -> Result<usize, Error>,
) -> c_int {
    number(|| {
        // SAFETY: the caller guarantees it.
        let room = unsafe { text_room(value, size) }?;
        // SAFETY: the caller guarantees it.
        let asked = unsafe { asked(request) }.ok_or(Error::BadPointer)?;
        // SAFETY: the caller guarantees it.
        let name = unsafe { required_text(name) }?;
        let len = read(asked.request, name, room)?;
        c_int::try_from(len).map_err(|_| Error::NoRoom)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_field(
    request: *const Request,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: C passes NULL, or a text.
    let Ok(name) = (unsafe { required_text(name) }) else {
        return ptr::null();
    };
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { text(request, |request| request.field(name)) }
}

/// Returns whether a text contains a NUL, where it would end in C.
fn has_nul(text: &str) -> bool {
    text.bytes().any(|byte| byte == 0)
}

/// Splits off the last byte of `room`, for the NUL.
fn before_nul(room: &mut [u8]) -> Result<&mut [u8], Error> {
    let (nul, room) = room.split_last_mut().ok_or(Error::NoRoom)?;
    *nul = 0;
    Ok(room)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_param(
    request: *const Request,
    name: *const c_char,
    value: *mut c_char,
    size: usize,
) -> c_int {
    let read = |request: &wss::Request<'_>, name: &str, room: &mut [u8]| {
        let found = request.query_param(name, before_nul(room)?);
        let value = found.map_err(|error| match error {
            QueryError::NoRoom => Error::NoRoom,
            _ => Error::BadText,
        })?;
        let value = value.ok_or(Error::NoText)?;
        (!has_nul(value))
            .then_some(value.len())
            .ok_or(Error::BadText)
    };
    // SAFETY: C passes NULL, or the argument of its hook; NULL, or a text; NULL, or `size` bytes.
    unsafe { read_value(request, name, (value, size), read) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_is_param(
    request: *const Request,
    name: *const c_char,
    secret: *const c_char,
) -> bool {
    let is_param =
        |request: &wss::Request<'_>, name: &str, secret: &str| request.is_query_param(name, secret);
    // SAFETY: C passes NULL, or the argument of its hook; NULL, or texts.
    unsafe { is(request, [name, secret], is_param) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_cookie(
    request: *const Request,
    name: *const c_char,
    value: *mut c_char,
    size: usize,
) -> c_int {
    let read = |request: &wss::Request<'_>, name: &str, room: &mut [u8]| {
        // A request contains no NUL.
        let value = request.cookie(name).ok_or(Error::NoText)?;
        let fits = copy_text(value, room);
        fits.then_some(value.len()).ok_or(Error::NoRoom)
    };
    // SAFETY: C passes NULL, or the argument of its hook; NULL, or a text; NULL, or `size` bytes.
    unsafe { read_value(request, name, (value, size), read) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_is_basic(
    request: *const Request,
    user: *const c_char,
    password: *const c_char,
) -> bool {
    let is_basic =
        |request: &wss::Request<'_>, user: &str, password: &str| request.is_basic(user, password);
    // SAFETY: C passes NULL, or the argument of its hook; NULL, or texts.
    unsafe { is(request, [user, password], is_basic) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_is_page(request: *const Request) -> bool {
    // SAFETY: C passes NULL, or the argument of its hook.
    unsafe { asked(request) }.is_some_and(|asked| asked.request.is_page())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_is_bearer(
    request: *const Request,
    token: *const c_char,
) -> bool {
    let is_bearer = |request: &wss::Request<'_>, token: &str, _: &str| request.is_bearer(token);
    // SAFETY: C passes NULL, or the argument of its hook; NULL, or a text.
    unsafe { is(request, [token, token], is_bearer) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_basic(
    request: *const Request,
    buffer: *mut c_char,
    size: usize,
    password: *mut *const c_char,
) -> c_int {
    outcome(|| {
        // SAFETY: C passes NULL, or the argument of its hook.
        let asked = unsafe { asked(request) }.ok_or(Error::BadPointer)?;
        // SAFETY: C passes NULL, or `size` bytes.
        let room = unsafe { text_room(buffer, size) }?;
        let encoded = asked.request.field("authorization").map_or(0, str::len);
        let fits = size > encoded;
        let (user_len, password_at, end) = {
            let found = asked.request.basic(before_nul(room)?);
            let missing = if fits { Error::NoText } else { Error::NoRoom };
            let (user, password) = found.ok_or(missing)?;
            if has_nul(user) || has_nul(password) {
                return Err(Error::NoText);
            }
            let at = user.len().saturating_add(1);
            (user.len(), at, at.saturating_add(password.len()))
        };
        for end in [user_len, end] {
            // Replaces the colon between them, and everything after the password.
            if let Some(place) = room.get_mut(end) {
                *place = 0;
            }
        }
        let found = room.get(password_at..).ok_or(Error::NoRoom)?;
        // SAFETY: C passes NULL, or a place for it.
        unsafe { put(password, found.as_ptr().cast()) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_is_equal(given: *const c_char, secret: *const c_char) -> bool {
    if given.is_null() || secret.is_null() {
        return false;
    }
    // SAFETY: it is not NULL; C passes a text.
    let given = unsafe { CStr::from_ptr(given) };
    // SAFETY: it is not NULL; C passes a text.
    let secret = unsafe { CStr::from_ptr(secret) };
    constant_time_eq(given.to_bytes(), secret.to_bytes())
}

/// Passes the answer of C to `give`: a refusal with `status`, or an acceptance.
///
/// # Safety
/// `response` is NULL, or meets the requirements of the header.
unsafe fn with_verdict<T>(
    status: Option<Status>,
    response: *const Response,
    give: impl FnOnce(Verdict<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let verdict = status.map_or(Verdict::accept(), Verdict::refuse);
    // SAFETY: the caller guarantees it.
    let Some(response) = (unsafe { response.as_ref() }) else {
        return give(verdict);
    };
    // SAFETY: C passes that many fields.
    let listed = unsafe { list(response.fields, response.field_count) }?;
    let mut fields = [("", ""); MAX_RESPONSE_FIELDS];
    let fields = fields.get_mut(..listed.len()).ok_or(Error::BadArgument)?;
    for (place, field) in fields.iter_mut().zip(listed) {
        // SAFETY: C passes NULL, or a text.
        let name = unsafe { required_text(field.name) }?;
        // SAFETY: C passes NULL, or a text.
        let value = unsafe { required_text(field.value) }?;
        *place = (name, value);
    }
    let mut verdict = verdict.fields(fields);
    // SAFETY: C passes NULL, or a text.
    if let Some(subprotocol) = unsafe { optional_text(response.subprotocol) }? {
        verdict = verdict.subprotocol(subprotocol);
    }
    // SAFETY: C passes NULL, or a text.
    if let Some(challenge) = unsafe { optional_text(response.challenge) }? {
        verdict = verdict.challenge(challenge);
    }
    give(verdict)
}

/// Answers the request whose hook is running.
///
/// # Safety
/// As for [`asked`] and [`with_verdict`].
unsafe fn answer_now(
    request: *mut Request,
    status: Option<Status>,
    response: *const Response,
) -> c_int {
    number(|| {
        // SAFETY: the caller guarantees it; nothing else refers to it during the call.
        let asked = unsafe { request.cast::<Asked<'_, '_>>().as_mut() };
        let asked = asked.ok_or(Error::BadPointer)?;
        let give = |verdict: Verdict<'_>| {
            asked.give(verdict);
            Ok(ANSWERED)
        };
        // SAFETY: the caller guarantees it.
        unsafe { with_verdict(status, response, give) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_accept(
    request: *mut Request,
    response: *const Response,
) -> c_int {
    // SAFETY: C passes the argument of its hook; NULL, or a response.
    unsafe { answer_now(request, None, response) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_refuse(
    request: *mut Request,
    status: u16,
    response: *const Response,
) -> c_int {
    let Some(status) = Status::new(status) else {
        log::error!("{status} is not a status to refuse with");
        return Error::BadArgument.to_errno();
    };
    // SAFETY: C passes the argument of its hook; NULL, or a response.
    unsafe { answer_now(request, Some(status), response) }
}

/// Answers an opening request that the hook has deferred.
fn answer_later(client: u64, verdict: Verdict<'_>) -> Result<(), Error> {
    let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
    let service = service_of(client)?;
    Ok(service.answer_with(client.id, |request| {
        requests(client.place).keep_unless_refused(client.id, request, &verdict);
        verdict
    })?)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_accept(client: u64, response: *const Response) -> c_int {
    // SAFETY: C passes NULL, or a response.
    outcome(|| unsafe { with_verdict(None, response, |verdict| answer_later(client, verdict)) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_refuse(client: u64, status: u16, response: *const Response) -> c_int {
    outcome(|| {
        let status = Some(Status::new(status).ok_or(Error::BadArgument)?);
        let answer = |verdict: Verdict<'_>| answer_later(client, verdict);
        // SAFETY: C passes NULL, or a response.
        unsafe { with_verdict(status, response, answer) }
    })
}

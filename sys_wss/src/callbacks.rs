// SPDX-License-Identifier: Apache-2.0
//! Functions that C registered, and calling them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_uint, c_void};
use core::ptr;

use wss::service::{Lock as _, Message};
use wss::{ClientId, Request};

use crate::abi::{self, AcceptHook, Callback, Cookie, RxData, RxDataInFull};
use crate::c_text::c_text;
use crate::convert::{Client, client_or_none};
use crate::instance::PerServer;
use crate::platform::{Monitor, SERVERS, monitor};

/// A hook is shown no more subprotocols than these.
const MAX_SUBPROTOCOLS: usize = 16;

/// A function with the cookie that it is to be given.
#[derive(Clone, Copy)]
pub struct Registered<F> {
    pub function: F,
    pub cookie: Cookie,
}

/// A place for one.
pub type Registration<F> = Monitor<Option<Registered<F>>>;

static CALLBACKS: PerServer<Registration<Callback>> = PerServer([const { monitor(None) }; SERVERS]);
static ACCEPT_HOOKS: PerServer<Registration<Hook>> = PerServer([const { monitor(None) }; SERVERS]);

/// The hook, and what calls it. Nobody else refers to that, so that a program that registers no hook is
/// linked without it.
#[derive(Clone, Copy)]
struct Hook {
    function: AcceptHook,
    call: for<'a> fn(Registered<AcceptHook>, Client, &Request<'a>) -> Answer<'a>,
}

/// Registers a function instead of the one before; whether there was one.
pub fn register<F>(place: &Registration<F>, function: Option<F>, cookie: *mut c_void) -> bool {
    let cookie = Cookie(cookie);
    let function = function.map(|function| Registered { function, cookie });
    core::mem::replace(&mut *place.lock(), function).is_some()
}

/// What is registered, taken out of its lock, so that the function may register another.
pub fn registered<F: Copy>(place: &Registration<F>) -> Option<Registered<F>> {
    *place.lock()
}

/// From now on events of the service at `place` go to `callback`.
pub fn set_callback(place: usize, callback: Option<Callback>, cookie: *mut c_void) {
    register(CALLBACKS.at(place), callback, cookie);
}

/// Calls the callback of the service at `place`, if there is one. `message` is what the event brings.
pub fn call_callback(
    place: usize,
    event: c_uint,
    client: Option<ClientId>,
    message: Option<Message<'_>>,
) {
    let Some(Registered { function, cookie }) = registered(CALLBACKS.at(place)) else {
        return;
    };
    let (client, index) = client_or_none(client.map(|id| Client { place, id }));
    let mut rx = message.map(|message| RxDataInFull {
        rx: RxData {
            data: message.bytes.as_ptr().cast_mut(),
            // A slice has at most `isize::MAX` bytes.
            len: i64::try_from(message.bytes.len()).unwrap_or(i64::MAX),
        },
        client,
        first: message.first,
        last: message.last,
    });
    let data = rx
        .as_mut()
        .map_or(ptr::null_mut(), |rx| ptr::from_mut(rx).cast());
    // SAFETY: C registered the function as an `SYS_WSS_CALLBACK`, which the header asks not to unwind;
    // `data` is NULL or lives until it returns, as do the bytes.
    unsafe { function(event, data, index, cookie.0) };
}

/// From now on `hook` decides on opening requests to the service at `place`; whether one did before.
pub fn set_accept_hook(place: usize, hook: Option<AcceptHook>, cookie: *mut c_void) -> bool {
    let hook = hook.map(|function| Hook {
        function,
        call: call_hook,
    });
    register(ACCEPT_HOOKS.at(place), hook, cookie)
}

/// What the accept hook says.
pub enum Answer<'a> {
    Accept,
    /// With a subprotocol: one of those offered.
    AcceptSubprotocol(&'a str),
    /// With a subprotocol that was not offered.
    NotOffered,
    /// With this status.
    Refuse(u16),
    /// Somebody says it later.
    Later,
}

/// What the hook says to a request.
pub fn call_accept_hook<'a>(client: Client, request: &Request<'a>) -> Answer<'a> {
    let Some(Registered { function, cookie }) = registered(ACCEPT_HOOKS.at(client.place)) else {
        return Answer::Accept;
    };
    let Hook { function, call } = function;
    call(Registered { function, cookie }, client, request)
}

fn call_hook<'a>(
    Registered { function, cookie }: Registered<AcceptHook>,
    client: Client,
    request: &Request<'a>,
) -> Answer<'a> {
    let text = |text: Option<&str>| {
        let text = text.and_then(|text| c_text(request, text));
        text.map_or(ptr::null::<c_char>(), CStr::as_ptr)
    };
    let mut subprotocols = [ptr::null(); MAX_SUBPROTOCOLS];
    let mut count = 0;
    for (place, name) in subprotocols.iter_mut().zip(request.subprotocols()) {
        *place = text(Some(name));
        count += 1;
    }
    let shown = abi::Request {
        path: text(Some(request.path())),
        query: text(request.query()),
        host: text(Some(request.host())),
        origin: text(request.origin()),
        subprotocols: subprotocols.as_ptr(),
        subprotocol_count: count,
    };
    let mut chosen = ptr::null();
    // SAFETY: C registered the function as a `wss_accept_hook`, which the header asks not to unwind; all
    // that it is given lives until it returns.
    let status = unsafe { function(client.to_c(), &raw const shown, &raw mut chosen, cookie.0) };
    match status {
        0 => {}
        abi::LATER => return Answer::Later,
        _ => return Answer::Refuse(status),
    }
    if chosen.is_null() {
        return Answer::Accept;
    }
    // SAFETY: the hook set it to a text that ends with NUL: one of those shown, or its own.
    let chosen = unsafe { CStr::from_ptr(chosen) }.to_bytes();
    let offered = request
        .subprotocols()
        .find(|name| name.as_bytes() == chosen);
    offered.map_or(Answer::NotOffered, Answer::AcceptSubprotocol)
}

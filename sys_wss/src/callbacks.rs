// SPDX-License-Identifier: Apache-2.0
//! Functions that C has registered, and calls of them.
#![allow(unsafe_code)]

use core::ffi::{c_int, c_uint};
use core::ptr;

use wss::service::Lock as _;
use wss::{Answer, ClientId, Request, Status, Verdict};

use crate::abi::{self, Callback, Cookie, EventCallback, RequestHook, RxData, TickCallback};
use crate::client::{Client, client_or_none};
use crate::platform::{Monitor, SERVERS, monitor};
use crate::request::Asked;
use crate::server::{self, PerServer};

/// Data that a client has sent: a message, or a piece of one.
#[derive(Clone, Copy)]
pub struct Received {
    /// The bytes, which are valid while the event is delivered or held. If the text is `ended` by NUL, C may write to
    /// them.
    pub data: *mut u8,
    /// The number of bytes, without the NUL.
    pub len: usize,
    /// Whether this is the beginning of the message.
    pub first: bool,
    /// Whether this is the end of the message.
    pub last: bool,
}

/// An event for C.
pub struct Happened {
    /// The place of the server.
    pub place: usize,
    /// The client; `None` for events of the server as a whole.
    pub client: Option<ClientId>,
    /// The number of the event in C.
    pub event: c_uint,
    /// The received data.
    pub message: Option<Received>,
}

impl Happened {
    /// Converts the event to C, without its bytes.
    pub fn to_c(&self) -> abi::Event {
        let Self { place, client, .. } = *self;
        let client = client.map(|id| Client { place, id });
        let user_data = client.and_then(server::user_data);
        let (number, index) = client_or_none(client);
        abi::Event {
            event: self.event,
            index,
            client: number,
            server: server::to_c(place),
            user_data: user_data.unwrap_or(ptr::null_mut()),
            data: ptr::null_mut(),
            len: self.message.map_or(0, |message| message.len),
            first: self.message.is_some_and(|message| message.first),
            last: self.message.is_some_and(|message| message.last),
            hold: ptr::null_mut(),
        }
    }
}

/// A function that gets events. The code that calls it is referred to only where it is registered, so that a program is
/// linked without the code for the other kind of function.
#[derive(Clone, Copy)]
pub struct Sink {
    call: fn(Self, &Happened),
    original: Option<Callback>,
    own: Option<EventCallback>,
    cookie: Cookie,
}

impl Sink {
    /// Creates a callback of `wss.h`.
    pub fn new(function: EventCallback, cookie: Cookie) -> Self {
        Self {
            call: Self::call_own,
            original: None,
            own: Some(function),
            cookie,
        }
    }

    /// Creates a callback of `sys_wss.h`.
    pub fn original(function: Callback, cookie: Cookie) -> Self {
        Self {
            call: Self::call_original,
            original: Some(function),
            own: None,
            cookie,
        }
    }

    fn call_own(self, happened: &Happened) {
        let Some(function) = self.own else { return };
        let mut event = happened.to_c();
        if let Some(message) = happened.message {
            event.data = message.data;
        }
        // SAFETY: C registered the function as a `wss_event_callback`, which according to the header does not unwind.
        // The event and its bytes are valid until it returns.
        unsafe { function(&raw const event, self.cookie.0) };
    }

    fn call_original(self, happened: &Happened) {
        let Some(function) = self.original else {
            return;
        };
        let mut rx = happened.message.map(|message| RxData {
            data: message.data,
            // A slice has at most `isize::MAX` bytes.
            len: i64::try_from(message.len).unwrap_or(i64::MAX),
        });
        let data = rx
            .as_mut()
            .map_or(ptr::null_mut(), |rx| ptr::from_mut(rx).cast());
        let index = happened
            .client
            .map_or(-1, |id| i32::try_from(id.slot()).unwrap_or(-1));
        // SAFETY: C registered the function as an `SYS_WSS_CALLBACK`, which according to the header does not unwind.
        // `data` is NULL, or valid until it returns, as are the bytes.
        unsafe { function(happened.event, data, index, self.cookie.0) };
    }
}

/// The callback of each server.
static CALLBACKS: PerServer<Monitor<Option<Sink>>> = PerServer([const { monitor(None) }; SERVERS]);

/// Sends the events of the server at `place` to `sink` from now on.
pub fn set_callback(place: usize, sink: Option<Sink>) {
    *CALLBACKS.at(place).lock() = sink;
}

/// Returns whether the server at `place` has a callback of the original interface.
pub fn has_original_callback(place: usize) -> bool {
    let sink = *CALLBACKS.at(place).lock();
    sink.is_some_and(|sink| sink.original.is_some())
}

/// Calls the callback of the server at `happened.place`, if there is one.
pub fn call_callback(happened: &Happened) {
    // Unlock first, so that the callback may register another one.
    let sink = *CALLBACKS.at(happened.place).lock();
    if let Some(sink) = sink {
        (sink.call)(sink, happened);
    }
}

/// A hook, with the code that calls it, as in [`Sink`].
#[derive(Clone, Copy)]
pub struct Hook {
    call: fn(Self, Client, &Request<'_>, Answer<'_>),
    function: RequestHook,
    cookie: Cookie,
}

impl Hook {
    /// Creates a hook of `wss.h`.
    pub fn new(function: RequestHook, cookie: Cookie) -> Self {
        Self {
            call: Self::call_hook,
            function,
            cookie,
        }
    }

    /// Calls the hook to answer a request.
    pub fn ask(self, client: Client, request: &Request<'_>, answer: Answer<'_>) {
        (self.call)(self, client, request, answer);
    }

    fn call_hook(self, client: Client, request: &Request<'_>, answer: Answer<'_>) {
        let mut asked = Asked::new(client, request, answer);
        let place = ptr::from_mut(&mut asked).cast();
        // SAFETY: C registered the function as a `wss_request_hook`, which according to the header does not unwind. Its
        // arguments are valid until it returns.
        let returned: c_int = unsafe { (self.function)(place, self.cookie.0) };
        match returned {
            abi::ANSWERED => {}
            0 => asked.give(Verdict::accept()),
            abi::LATER => asked.give(Verdict::Later),
            _ => match u16::try_from(returned).ok().and_then(Status::new) {
                Some(status) => asked.give(Verdict::refuse(status)),
                // A request without an answer is refused with 500.
                None => log::error!("the hook returned {returned}, which is not a status"),
            },
        }
    }
}

/// A function that runs periodically.
#[derive(Clone, Copy)]
pub struct Tick {
    function: TickCallback,
    cookie: Cookie,
}

impl Tick {
    /// Creates a function of `wss.h`.
    pub const fn new(function: TickCallback, cookie: Cookie) -> Self {
        Self { function, cookie }
    }

    /// Runs it for the server at `place`.
    pub fn call(self, place: usize) {
        // SAFETY: C registered the function as a `wss_tick_callback`, which according to the header does not unwind.
        unsafe { (self.function)(server::to_c(place), self.cookie.0) };
    }
}

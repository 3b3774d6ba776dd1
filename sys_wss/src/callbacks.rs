//! Functions that C registered, and calling them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_uint, c_void};
use core::ptr;
use std::ffi::CString;

use crate::abi::{self, AcceptHook, Callback, Cookie, LogHandler, RxData, RxDataInFull};
use crate::convert::{Client, client_or_none};
use crate::platform::{Mutex, lock};

/// A function with the cookie that it is to be given.
#[derive(Clone, Copy)]
struct Registered<F> {
    function: F,
    cookie: Cookie,
}

static CALLBACK: Mutex<Option<Registered<Callback>>> = Mutex::new(None);
static ACCEPT_HOOK: Mutex<Option<Registered<AcceptHook>>> = Mutex::new(None);
static LOG_HANDLER: Mutex<Option<Registered<LogHandler>>> = Mutex::new(None);

fn register<F>(place: &Mutex<Option<Registered<F>>>, function: Option<F>, cookie: *mut c_void) {
    let cookie = Cookie(cookie);
    *lock(place) = function.map(|function| Registered { function, cookie });
}

/// What is registered, taken out of its lock, so that the function may register another.
fn registered<F: Copy>(place: &Mutex<Option<Registered<F>>>) -> Option<Registered<F>> {
    *lock(place)
}

/// From now on events go to `callback`.
pub fn set_callback(callback: Option<Callback>, cookie: *mut c_void) {
    register(&CALLBACK, callback, cookie);
}

/// What an event with data brings.
pub struct Data<'a> {
    pub bytes: &'a [u8],
    pub first: bool,
    pub last: bool,
}

/// Calls the callback, if there is one.
pub fn call_callback(event: c_uint, client: Option<Client>, data: Option<&Data<'_>>) {
    let Some(Registered { function, cookie }) = registered(&CALLBACK) else {
        return;
    };
    let (client, index) = client_or_none(client);
    let mut rx = data.map(|data| RxDataInFull {
        rx: RxData {
            data: data.bytes.as_ptr().cast_mut(),
            // A slice has at most `isize::MAX` bytes.
            len: i64::try_from(data.bytes.len()).unwrap_or(i64::MAX),
        },
        client,
        first: data.first,
        last: data.last,
    });
    let data = rx
        .as_mut()
        .map_or(ptr::null_mut(), |rx| ptr::from_mut(rx).cast());
    // SAFETY: C registered the function as an `SYS_WSS_CALLBACK`, which the header asks not to unwind;
    // `data` is NULL or lives until it returns, as do the bytes.
    unsafe { function(event, data, index, cookie.0) };
}

/// From now on `hook` decides on opening requests.
pub fn set_accept_hook(hook: Option<AcceptHook>, cookie: *mut c_void) {
    register(&ACCEPT_HOOK, hook, cookie);
}

/// Whether a hook decides on opening requests.
pub fn has_accept_hook() -> bool {
    lock(&ACCEPT_HOOK).is_some()
}

/// What the hook is shown of an opening request.
pub struct Shown {
    pub path: CString,
    pub query: Option<CString>,
    pub host: CString,
    pub origin: Option<CString>,
    pub subprotocols: Vec<CString>,
}

/// What the hook says: 0 or a status, and a subprotocol.
pub fn call_accept_hook(client: Client, shown: &Shown) -> (u16, Option<CString>) {
    let Some(Registered { function, cookie }) = registered(&ACCEPT_HOOK) else {
        return (0, None);
    };
    let text = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let subprotocols: Vec<_> = shown
        .subprotocols
        .iter()
        .map(|name| name.as_ptr())
        .collect();
    let request = abi::Request {
        path: shown.path.as_ptr(),
        query: text(&shown.query),
        host: shown.host.as_ptr(),
        origin: text(&shown.origin),
        subprotocols: subprotocols.as_ptr(),
        subprotocol_count: subprotocols.len(),
    };
    let mut chosen = ptr::null();
    // SAFETY: C registered the function as a `wss_accept_hook`, which the header asks not to unwind; all
    // that it is given lives until it returns.
    let status = unsafe { function(client.to_c(), &raw const request, &raw mut chosen, cookie.0) };
    if chosen.is_null() {
        return (status, None);
    }
    // SAFETY: the hook set it to a text that ends with NUL: one of those shown, or its own.
    let chosen = unsafe { CStr::from_ptr(chosen) };
    (status, Some(chosen.to_owned()))
}

/// From now on log lines go to `handler`.
pub fn set_log_handler(level: log::LevelFilter, handler: Option<LogHandler>, cookie: *mut c_void) {
    let level = if handler.is_some() {
        level
    } else {
        log::LevelFilter::Off
    };
    register(&LOG_HANDLER, handler, cookie);
    // Fails if a program in Rust has a logger of its own, which then gets the lines.
    if log::set_logger(&Logger).is_ok() || handler.is_some() {
        log::set_max_level(level);
    }
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let Some(Registered { function, cookie }) = registered(&LOG_HANDLER) else {
            return;
        };
        let level = match record.level() {
            log::Level::Error => 1,
            log::Level::Warn => 2,
            log::Level::Info => 3,
            log::Level::Debug | log::Level::Trace => 4,
        };
        let mut line = record.args().to_string().into_bytes();
        line.retain(|byte| *byte != 0);
        let Ok(line) = CString::new(line) else {
            return;
        };
        // SAFETY: C registered the function as a `wss_log_handler`, which the header asks not to unwind;
        // the line lives until it returns.
        unsafe { function(level, line.as_ptr(), cookie.0) };
    }

    fn flush(&self) {}
}

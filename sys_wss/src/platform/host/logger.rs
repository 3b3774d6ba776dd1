// SPDX-License-Identifier: Apache-2.0
//! Sends log lines to a function that C has registered.
#![allow(unsafe_code)]

use core::ffi::c_void;
use std::ffi::CString;

use crate::abi::LogHandler;
use wss::service::Lock as _;

use crate::abi::Cookie;
use crate::platform::Monitor;

/// A function, and its argument.
#[derive(Clone, Copy)]
struct Registered {
    function: LogHandler,
    cookie: Cookie,
}

static LOG_HANDLER: Monitor<Option<Registered>> = Monitor::new(None);

/// Sends log lines to `handler` from now on.
pub fn set_log_handler(level: log::LevelFilter, handler: Option<LogHandler>, cookie: *mut c_void) {
    let level = if handler.is_some() {
        level
    } else {
        log::LevelFilter::Off
    };
    let cookie = Cookie(cookie);
    *LOG_HANDLER.lock() = handler.map(|function| Registered { function, cookie });
    // Fails if a program in Rust has its own logger, which then gets the lines.
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
        // Unlock first: the handler may be slow.
        let registered = *LOG_HANDLER.lock();
        let Some(Registered { function, cookie }) = registered else {
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
        // SAFETY: C registered the function as a `wss_log_handler`, which according to the header does not unwind. The
        // line is valid until it returns.
        unsafe { function(level, line.as_ptr(), cookie.0) };
    }

    fn flush(&self) {}
}

// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: the log. Not on Zephyr, which has its own log.

use core::ffi::{c_uint, c_void};

use log::LevelFilter;

use crate::abi::LogHandler;
use crate::platform::{guard, set_log_handler};

#[unsafe(no_mangle)]
pub extern "C" fn wss_set_log(level: c_uint, handler: Option<LogHandler>, cookie: *mut c_void) {
    guard((), || {
        let level = match level {
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            _ => LevelFilter::Debug,
        };
        set_log_handler(level, handler, cookie);
    });
}

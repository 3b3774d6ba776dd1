// SPDX-License-Identifier: Apache-2.0
//! Sends the lines of `log` to Zephyr's log.

use core::fmt::Write as _;

use log::{LevelFilter, Log, Metadata, Record};

use crate::{kconfig, sys};

/// The maximum length of a line, in bytes. It is formatted on the stack of the logging thread.
const LINE: usize = 96;

/// The end of a line that was truncated.
const MARK: &[u8] = b"...";

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line(heapless::Vec::new());
        if line.write_fmt(*record.args()).is_err() {
            // It was truncated.
            let end = LINE - MARK.len();
            line.0.truncate(end);
            let _ = line.0.extend_from_slice(MARK);
        }
        // Zephyr's levels are those of `log`: 1 is an error, 4 is for debugging.
        let level = record.level() as u32;
        // `LINE + 1` has room for the NUL.
        let _ = line.0.push(0);
        // SAFETY: the line ends with NUL.
        unsafe { sys::wss_port_log(level, line.0.as_ptr().cast()) };
    }

    fn flush(&self) {}
}

/// A line, truncated if it is too long.
struct Line(heapless::Vec<u8, { LINE + 1 }>);

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = LINE.saturating_sub(self.0.len());
        let bytes = text.as_bytes();
        let fits = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let _ = self.0.extend_from_slice(fits);
        if fits.len() < bytes.len() {
            return Err(core::fmt::Error);
        }
        Ok(())
    }
}

/// Sends the lines of `log` to Zephyr's log, up to `CONFIG_WSS_LOG_LEVEL`. Keeps a logger that the program has already
/// set.
pub fn set_logger() {
    if log::STATIC_MAX_LEVEL == LevelFilter::Off {
        // Logging is off.
        return;
    }
    let level = match kconfig::LOG_LEVEL {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(level);
    }
}

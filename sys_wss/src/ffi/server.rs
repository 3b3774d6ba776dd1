// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: servers.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use wss::Opening;

use super::{bytes, number, outcome, put};
use crate::abi::{self, Limits, Server, ServerConfig, Stats};
use crate::client;
use crate::config::{self, Options};
use crate::error::Error;
use crate::platform;
use crate::server::{self, from_c};

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_at(index: usize) -> *const Server {
    server::to_c(index)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_limits_init(limits: *mut Limits) {
    // SAFETY: C passes NULL, or a place for them.
    let _ = unsafe { put(limits, config::default_limits()) };
}

/// # Safety
/// `config` is NULL, or meets the requirements of the header.
unsafe fn options(config: *const ServerConfig) -> Result<Option<Options>, Error> {
    // SAFETY: the caller guarantees it.
    match unsafe { config.as_ref() } {
        // SAFETY: the caller guarantees it.
        Some(config) => unsafe { config::options(config) }.map(Some),
        None => Ok(None),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_configure(
    server: *const Server,
    config: *const ServerConfig,
) -> c_int {
    outcome(|| {
        let place = from_c(server)?;
        // SAFETY: C passes NULL, or a configuration.
        server::configure(place, unsafe { options(config) }?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_start(server: *const Server, config: *const ServerConfig) -> c_int {
    outcome(|| {
        let place = from_c(server)?;
        // SAFETY: C passes NULL, or a configuration.
        server::start(place, unsafe { options(config) }?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_stop(server: *const Server) -> c_int {
    outcome(|| server::stop(from_c(server)?))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_replace_tls(server: *const Server, tls: *const abi::Tls) -> c_int {
    outcome(|| {
        let place = from_c(server)?;
        // SAFETY: C passes NULL, or credentials.
        let tls = unsafe { tls.as_ref() }.ok_or(Error::BadPointer)?;
        // SAFETY: as above.
        server::replace_tls(place, unsafe { config::Tls::checked(tls) }?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_port(server: *const Server) -> c_int {
    number(|| server::port(from_c(server)?).map(c_int::from))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_get_stats(server: *const Server, stats: *mut Stats) -> c_int {
    outcome(|| {
        let service = server::service(from_c(server)?)?;
        // SAFETY: C passes NULL, or a place for them.
        unsafe { put(stats, client::stats(&service.stats())) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_adopt(
    server: *const Server,
    fd: c_int,
    received: *const c_void,
    len: usize,
    upgraded: bool,
    client: *mut u64,
) -> c_int {
    outcome(|| {
        // SAFETY: C passes NULL, or `len` bytes.
        let received = unsafe { bytes(received.cast(), len) }?;
        if fd < 0 {
            return Err(Error::BadArgument);
        }
        let opening = if upgraded {
            Opening::Upgraded
        } else {
            Opening::Request
        };
        let service = server::service(from_c(server)?)?;
        // SAFETY: C passes its own descriptor, and no longer owns it if this succeeds.
        let id = unsafe { platform::adopt(&service, fd, received, opening) }?;
        if client.is_null() {
            return Ok(());
        }
        let adopted = service.application().client(id);
        // SAFETY: C passes a place for the client.
        unsafe { put(client, adopted.to_c()) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    ptr::from_ref(VERSION).cast()
}

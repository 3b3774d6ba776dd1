// SPDX-License-Identifier: Apache-2.0
//! `sys_wss.h`: the original interface, over the default server.

use core::ffi::{c_uint, c_void};

use wss::service::Target;

use super::bytes;
use crate::abi::{self, Callback, Cookie, MODULE_OBJ_INVALID, ModuleObj, SysResult};
use crate::callbacks::Sink;
use crate::client;
use crate::error::Error;
use crate::platform::{DEFAULT_PORT, TLS_BY_DEFAULT, guard};
use crate::server::{self, DEFAULT};

/// Runs a function of the original interface.
fn sys(body: impl FnOnce() -> Result<(), Error>) -> SysResult {
    guard(SysResult::Failure, || match body() {
        Ok(()) => SysResult::Success,
        Err(error) => error.to_sys(),
    })
}

/// Returns the client, or all clients, for an index.
fn target(index: i32) -> Target {
    usize::try_from(index).map_or(Target::All, Target::Slot)
}

fn sink(callback: Option<Callback>, cookie: *mut c_void) -> Option<Sink> {
    callback.map(|function| Sink::original(function, Cookie(cookie)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_Initialize(
    config: *mut abi::Config,
    callback: Option<Callback>,
    cookie: *mut c_void,
) -> ModuleObj {
    guard(MODULE_OBJ_INVALID, || {
        // SAFETY: C passes NULL, or its configuration.
        let config = unsafe { config.as_ref() };
        let port = config.map_or(Ok(DEFAULT_PORT), |config| u16::try_from(config.port));
        let tls = config.map_or(TLS_BY_DEFAULT, |config| config.is_tls_enabled != 0);
        server::initialize(port.ok(), tls, sink(callback, cookie))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_Deinitialize(object: *mut ModuleObj) {
    guard((), || {
        // SAFETY: C passes NULL, or its variable with the result of `SYS_WSS_Initialize`.
        if let Some(object) = unsafe { object.as_mut() } {
            // Before waiting, so that the callback sees it, too.
            server::deinitialize(core::mem::replace(object, MODULE_OBJ_INVALID));
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn SYS_WSS_register_callback(
    callback: Option<Callback>,
    cookie: *mut c_void,
) -> SysResult {
    sys(|| {
        server::register(sink(callback, cookie));
        if callback.is_some() {
            server::start_itself();
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_sendMessage(
    fin: bool,
    frame_type: c_uint,
    data: *mut u8,
    len: usize,
    index: i32,
) -> SysResult {
    sys(|| {
        let opcode = client::frame_type(frame_type)?;
        // SAFETY: C passes NULL, or `len` bytes.
        let payload = unsafe { bytes(data, len) }?;
        let service = server::service(DEFAULT)?;
        Ok(service.send_frame(target(index), fin, opcode, payload)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_CloseConnection(
    code: c_uint,
    data: *mut u8,
    len: usize,
    index: i32,
) -> SysResult {
    sys(|| {
        let code = client::close_code(code)?;
        // SAFETY: C passes NULL, or `len` bytes.
        let reason = client::reason(unsafe { bytes(data, len) }?)?;
        let service = server::service(DEFAULT)?;
        Ok(service.close(target(index), code, reason)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_PingClient(data: *mut u8, len: usize, index: i32) -> SysResult {
    sys(|| {
        // SAFETY: C passes NULL, or `len` bytes.
        let payload = unsafe { bytes(data, len) }?;
        let service = server::service(DEFAULT)?;
        Ok(service.ping(target(index), payload)?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn SYS_WSS_Task(_object: ModuleObj) -> u8 {
    0
}

// SPDX-License-Identifier: Apache-2.0
//! The functions of the header, in its order. What C hands over is checked here, and nothing panics
//! or unwinds out of here; what the functions do is said in the header.
#![allow(unsafe_code)]
// "See the header" is what there is to say about each.
#![allow(missing_docs, clippy::missing_safety_doc)]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ops::Range;
use core::{ptr, slice};

use wss::protocol::Opcode;
use wss::service::{EventMask, Target};
use wss::{MessageKind, Opening, Status, Verdict};

use crate::abi::{
    self, AcceptHook, Callback, Handshake, Limits, MAX_QUEUES, MODULE_OBJ_INVALID, Message,
    ModuleObj, NO_CLIENT, NO_SERVER, ServerConfig, State, Stats, SysResult, WssResult,
};
use crate::callbacks;
use crate::convert::{self, Client, Error, client_or_none};
use crate::events;
use crate::handshake::{Field, requests};
use crate::instance::{self, DEFAULT, DEFAULT_PLACE};
use crate::options::Options;
use crate::platform::queue::{Storage, storage};
#[cfg(feature = "host")]
use crate::platform::set_log_handler;
use crate::platform::{self, DEFAULT_PORT, Handle, Origins, default_options, guard};
use crate::queues::{self, OF_DEFAULT, OF_SERVERS};

/// Runs a function of the original interface.
fn sys(body: impl FnOnce() -> Result<(), Error>) -> SysResult {
    guard(SysResult::Failure, || match body() {
        Ok(()) => SysResult::Success,
        Err(error) => error.to_sys(),
    })
}

/// Runs a function of the extension.
fn wss(body: impl FnOnce() -> Result<(), Error>) -> WssResult {
    guard(WssResult::Failed, || match body() {
        Ok(()) => WssResult::Ok,
        Err(error) => error.to_wss(),
    })
}

/// The bytes at `data`, for the time of the call.
///
/// # Safety
/// `data` is NULL, or there are `len` bytes that nobody writes to meanwhile.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    match len {
        0 => Ok(&[]),
        _ if data.is_null() || isize::try_from(len).is_err() => Err(Error::BadPointer),
        // SAFETY: it is not NULL, and not longer than memory can be; the caller knows the rest.
        _ => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// The text at `text`.
///
/// # Safety
/// `text` is NULL, or ends with NUL.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(Error::BadPointer);
    }
    // SAFETY: it is not NULL; the caller knows the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::BadArgument)
}

/// Puts `value` where C wants it.
///
/// # Safety
/// `place` is NULL, or there is room for a `T`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), Error> {
    if place.is_null() {
        return Err(Error::BadPointer);
    }
    // SAFETY: it is not NULL; the caller knows the rest.
    unsafe { place.write(value) };
    Ok(())
}

/// Whom an index of the original interface means.
fn index_target(index: i32) -> Target {
    usize::try_from(index).map_or(Target::All, Target::Slot)
}

/// Whom a client of the extension means, and of which service.
fn client_target(number: u64) -> Result<(Handle, Target), Error> {
    if let Some(client) = Client::from_c(number) {
        return Ok((instance::service_of(client)?, Target::Client(client.id)));
    }
    let server = convert::server_of_all(number).ok_or(Error::NoSuchClient)?;
    Ok((instance::service(server)?, Target::All))
}

// The original interface.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_Initialize(
    config: *mut abi::Config,
    callback: Option<Callback>,
    cookie: *mut c_void,
) -> ModuleObj {
    guard(MODULE_OBJ_INVALID, || {
        // SAFETY: C gives NULL or its configuration.
        let config = unsafe { config.as_ref() };
        if config.is_some_and(|config| config.is_tls_enabled != 0) {
            log::error!("TLS is not built in");
            return MODULE_OBJ_INVALID;
        }
        let port = config.map_or(Ok(DEFAULT_PORT), |config| u16::try_from(config.port));
        instance::initialize(port.ok(), || {
            if callback.is_some() {
                callbacks::set_callback(DEFAULT_PLACE, callback, cookie);
                events::set_has_callback(DEFAULT_PLACE, true);
            }
        })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_Deinitialize(object: *mut ModuleObj) {
    guard((), || {
        // SAFETY: C gives NULL or where it keeps what `SYS_WSS_Initialize` gave.
        let Some(object) = (unsafe { object.as_mut() }) else {
            return;
        };
        // Before waiting, so that the callback sees it as well.
        let service = core::mem::replace(object, MODULE_OBJ_INVALID);
        // What is not the default service ends nothing here, and of the outcome nothing is told.
        if let Ok(server) = u32::try_from(service) {
            if instance::place(server) == DEFAULT_PLACE {
                let _ = instance::end(server);
            }
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn SYS_WSS_register_callback(
    callback: Option<Callback>,
    cookie: *mut c_void,
) -> SysResult {
    sys(|| {
        callbacks::set_callback(DEFAULT_PLACE, callback, cookie);
        events::set_has_callback(DEFAULT_PLACE, callback.is_some());
        if callback.is_some() {
            instance::start_itself();
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
        let opcode = convert::frame_type(frame_type)?;
        // SAFETY: C gives NULL, or `len` bytes.
        let payload = unsafe { bytes(data, len) }?;
        let service = instance::service(DEFAULT)?;
        Ok(service.send_frame(index_target(index), fin, opcode, payload)?)
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
        let code = convert::close_code(code)?;
        // SAFETY: C gives NULL, or `len` bytes.
        let reason = convert::reason(unsafe { bytes(data, len) }?)?;
        let service = instance::service(DEFAULT)?;
        Ok(service.close(index_target(index), code, reason)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SYS_WSS_PingClient(data: *mut u8, len: usize, index: i32) -> SysResult {
    sys(|| {
        // SAFETY: C gives NULL, or `len` bytes.
        let payload = unsafe { bytes(data, len) }?;
        let service = instance::service(DEFAULT)?;
        Ok(service.ping(index_target(index), payload)?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn SYS_WSS_Task(_object: ModuleObj) -> u8 {
    0
}

// The extension.

#[unsafe(no_mangle)]
pub extern "C" fn wss_result_text(result: c_uint) -> *const c_char {
    let text = match result {
        0 => c"done",
        1 => c"the client is not connected",
        2 => c"the client takes no output now",
        3 => c"too long",
        4 => c"the connection was cut off in the middle of the frame",
        5 => c"the frame may not be sent",
        6 => c"an argument is not valid",
        7 => c"there is none",
        8 => c"in use",
        9 => c"the service failed",
        _ => c"no result",
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_at(index: i32) -> u64 {
    guard(NO_CLIENT, || client_at(DEFAULT, index).unwrap_or(NO_CLIENT))
}

/// The client that has an index in a server now.
fn client_at(server: u32, index: i32) -> Option<u64> {
    let slot = usize::try_from(index).ok()?;
    let service = instance::service(server).ok()?;
    let id = service.client(slot)?;
    Some(service.application().client(id).to_c())
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_index(client: u64) -> i32 {
    client_or_none(Client::from_c(client)).1
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_state(client: u64) -> State {
    let state = || {
        let client = Client::from_c(client)?;
        let (service, id) = (instance::service_of(client).ok()?, client.id);
        let state = service.state(id.slot());
        // The slot may be another client's.
        (service.client(id.slot()) == Some(id)).then_some(convert::state(state))
    };
    guard(State::Closed, || state().unwrap_or(State::Closed))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_send(
    client: u64,
    fin: bool,
    frame_type: c_uint,
    data: *const c_void,
    len: usize,
) -> WssResult {
    wss(|| {
        let opcode = convert::frame_type(frame_type)?;
        // SAFETY: C gives NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        let (service, to) = client_target(client)?;
        Ok(service.send_frame(to, fin, opcode, payload)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_send_more(
    client: u64,
    frame_type: c_uint,
    data: *const c_void,
    len: usize,
) -> WssResult {
    wss(|| {
        let kind = match convert::frame_type(frame_type)? {
            Opcode::Text => MessageKind::Text,
            Opcode::Binary => MessageKind::Binary,
            _ => return Err(Error::BadFrameType),
        };
        // SAFETY: C gives NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        let (service, to) = client_target(client)?;
        Ok(service.send_more(to, kind, payload)?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_flush(client: u64) -> WssResult {
    wss(|| {
        let (service, to) = client_target(client)?;
        Ok(service.flush(to)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_ping(client: u64, data: *const c_void, len: usize) -> WssResult {
    wss(|| {
        // SAFETY: C gives NULL, or `len` bytes.
        let payload = unsafe { bytes(data.cast(), len) }?;
        let (service, to) = client_target(client)?;
        Ok(service.ping(to, payload)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_close(
    client: u64,
    code: u16,
    data: *const c_void,
    len: usize,
) -> WssResult {
    wss(|| {
        let code = convert::close_code(code.into())?;
        // SAFETY: C gives NULL, or `len` bytes.
        let reason = convert::reason(unsafe { bytes(data.cast(), len) }?)?;
        let (service, to) = client_target(client)?;
        Ok(service.close(to, code, reason)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_limits_init(limits: *mut Limits) {
    let options = default_options();
    let defaults = Limits {
        address: ptr::null(),
        origins: ptr::null(),
        origin_count: 0,
        rx_buffer_size: options.rx_buffer,
        max_clients: options.max_clients,
        tx_blocks: options.tx_blocks,
        handshake_size: options.limits.handshake_limit,
        streaming: options.limits.streaming.into(),
        listens: options.listens.into(),
        handshake_timeout_ms: options.limits.handshake_timeout_ms,
        client_timeout_ms: options.limits.client_timeout_ms,
        ping_interval_ms: options.limits.ping_interval_ms,
        send_timeout_ms: options.limits.send_timeout_ms,
        close_timeout_ms: options.limits.close_timeout_ms,
        hold_timeout_ms: options.limits.hold_timeout_ms,
        clients_per_address: options.limits.clients_per_address,
        handshakes_per_second: options.limits.handshakes_per_second,
        control_frames_per_second: options.limits.control_frames_per_second,
        fragments_per_message: options.limits.fragments_per_message,
    };
    // SAFETY: C gives NULL, or where to put them.
    let _ = unsafe { put(limits, defaults) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_set_limits(limits: *const Limits) -> WssResult {
    wss(|| {
        // SAFETY: C gives NULL, or limits.
        let limits = unsafe { limits.as_ref() }.ok_or(Error::BadPointer)?;
        // SAFETY: C gives what is in there.
        instance::set_options(unsafe { options(limits) }?)
    })
}

/// What C asks for in its limits.
///
/// # Safety
/// The address and the origins are NULL, or as many texts as it says.
unsafe fn options(limits: &Limits) -> Result<Options, Error> {
    let mut options = Options {
        max_clients: limits.max_clients,
        rx_buffer: limits.rx_buffer_size,
        tx_blocks: limits.tx_blocks,
        listens: limits.listens != 0,
        address: None,
        origins: Origins::new(),
        ..default_options()
    };
    options.limits.handshake_limit = limits.handshake_size;
    options.limits.streaming = limits.streaming != 0;
    options.limits.handshake_timeout_ms = limits.handshake_timeout_ms;
    options.limits.client_timeout_ms = limits.client_timeout_ms;
    options.limits.ping_interval_ms = limits.ping_interval_ms;
    options.limits.send_timeout_ms = limits.send_timeout_ms;
    options.limits.close_timeout_ms = limits.close_timeout_ms;
    options.limits.hold_timeout_ms = limits.hold_timeout_ms;
    options.limits.clients_per_address = limits.clients_per_address;
    options.limits.handshakes_per_second = limits.handshakes_per_second;
    options.limits.control_frames_per_second = limits.control_frames_per_second;
    options.limits.fragments_per_message = limits.fragments_per_message;
    if !limits.address.is_null() {
        // SAFETY: C gives a text.
        let address = unsafe { text(limits.address) }?;
        options.address = Some(platform::address(address)?);
    }
    // SAFETY: C gives that many texts.
    for origin in unsafe { list(limits.origins, limits.origin_count) }? {
        // SAFETY: C gives a text.
        let origin = unsafe { text(*origin) }?;
        options.origins.add(origin)?;
    }
    Ok(options)
}

/// The items at `items`, for the time of the call.
///
/// # Safety
/// `items` is NULL, or there are `count` that nobody writes to meanwhile.
unsafe fn list<'a, T>(items: *const T, count: usize) -> Result<&'a [T], Error> {
    match count {
        0 => Ok(&[]),
        _ if items.is_null() || count > isize::MAX as usize / size_of::<T>() => {
            Err(Error::BadPointer)
        }
        // SAFETY: it is not NULL, and not longer than memory can be; the caller knows the rest.
        _ => Ok(unsafe { slice::from_raw_parts(items, count) }),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_port() -> u16 {
    guard(0, || instance::port(DEFAULT).unwrap_or(0))
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_set_accept_hook(hook: Option<AcceptHook>, cookie: *mut c_void) {
    guard((), || {
        let had_one = callbacks::set_accept_hook(DEFAULT_PLACE, hook, cookie);
        if hook.is_some() && !had_one {
            instance::close_unasked();
        }
    });
}

/// Answers an opening request that the hook has put off.
fn answer(client: u64, verdict: Verdict<'_>) -> Result<(), Error> {
    let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
    let service = instance::service_of(client)?;
    Ok(service.answer_with(client.id, |request| {
        service.application().keep(client.id, request, verdict);
        verdict
    })?)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_accept(client: u64, subprotocol: *const c_char) -> WssResult {
    wss(|| {
        if subprotocol.is_null() {
            return answer(client, Verdict::Accept);
        }
        // SAFETY: C gives a text.
        let subprotocol = unsafe { text(subprotocol) }?;
        answer(client, Verdict::AcceptSubprotocol(subprotocol))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_refuse(client: u64, status: u16) -> WssResult {
    wss(|| {
        let status = Status::new(status).ok_or(Error::BadArgument)?;
        answer(client, Verdict::Refuse(status))
    })
}

/// Has a server adopt a connection.
///
/// # Safety
/// `received` is NULL, or there are `len` bytes; the descriptor is given up if this is done; `client` is NULL,
/// or where there is room.
unsafe fn adopt(
    server: u32,
    fd: c_int,
    received: *const c_void,
    len: usize,
    upgraded: bool,
    client: *mut u64,
) -> Result<(), Error> {
    // SAFETY: the caller knows it.
    let received = unsafe { bytes(received.cast(), len) }?;
    if fd < 0 {
        return Err(Error::BadArgument);
    }
    let opening = if upgraded {
        Opening::Upgraded
    } else {
        Opening::Request
    };
    let service = instance::service(server)?;
    // SAFETY: the caller knows it.
    let id = unsafe { platform::adopt(&service, fd, received, opening) }?;
    if client.is_null() {
        return Ok(());
    }
    let adopted = service.application().client(id);
    // SAFETY: the caller knows it.
    unsafe { put(client, adopted.to_c()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_adopt(
    fd: c_int,
    received: *const c_void,
    len: usize,
    upgraded: bool,
    client: *mut u64,
) -> WssResult {
    wss(|| {
        // SAFETY: C gives a descriptor of its own, what was received, and NULL or where to put the client.
        unsafe { adopt(DEFAULT, fd, received, len, upgraded, client) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_server_adopt(
    server: u32,
    fd: c_int,
    received: *const c_void,
    len: usize,
    upgraded: bool,
    client: *mut u64,
) -> WssResult {
    wss(|| match server {
        NO_SERVER => Err(Error::NotRunning),
        // SAFETY: as for `wss_adopt`.
        _ => unsafe { adopt(server, fd, received, len, upgraded, client) },
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_request_field(
    client: u64,
    field: c_uint,
    room: *mut c_char,
    size: usize,
) -> WssResult {
    wss(|| {
        let field = Field::from_c(field).ok_or(Error::BadArgument)?;
        if size > 0 && (room.is_null() || isize::try_from(size).is_err()) {
            return Err(Error::BadPointer);
        }
        // Not touched before there is something to copy.
        let room = || -> &mut [u8] {
            if size == 0 {
                return &mut [];
            }
            // SAFETY: C gives `size` bytes. They may be uninitialised, so they are written first.
            unsafe { room.write_bytes(0, size) };
            // SAFETY: they are initialised, and nobody else uses them during the call.
            unsafe { slice::from_raw_parts_mut(room.cast(), size) }
        };
        let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
        requests(client.place).copy(client.id, field, room)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_handshake(client: u64, handshake: *mut Handshake) -> WssResult {
    wss(|| {
        let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
        let told = requests(client.place).handshake(client.id)?;
        // SAFETY: C gives NULL, or where to put it.
        unsafe { put(handshake, told) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_create(mask: u32, depth: usize, queue: *mut u32) -> WssResult {
    wss(|| {
        if depth == 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: C gives NULL, or where to put it.
        unsafe { add_queue(OF_DEFAULT, mask, queue, || storage(depth)) }
    })
}

/// The part of `wss_queue_add()` that is in Rust.
#[cfg(feature = "zephyr")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_adopt(
    mask: u32,
    messages: *mut c_void,
    queue: *mut u32,
) -> WssResult {
    wss(|| {
        let messages = ptr::NonNull::new(messages).ok_or(Error::BadPointer)?;
        // SAFETY: C gives a `k_msgq` of messages, and lends it until `wss_queue_destroy`.
        let own = || Some(unsafe { platform::queue::own(messages) });
        // SAFETY: C gives NULL, or where to put it.
        unsafe { add_queue(OF_DEFAULT, mask, queue, own) }
    })
}

/// The part of `wss_server_queue_add()` that is in Rust.
#[cfg(feature = "zephyr")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_server_queue_adopt(
    mask: u32,
    messages: *mut c_void,
    queue: *mut u32,
) -> WssResult {
    wss(|| {
        let messages = ptr::NonNull::new(messages).ok_or(Error::BadPointer)?;
        // SAFETY: C gives a `k_msgq` of messages, and lends it until `wss_queue_destroy`.
        let own = || Some(unsafe { platform::queue::own(messages) });
        // SAFETY: C gives NULL, or where to put it.
        unsafe { add_queue(OF_SERVERS, mask, queue, own) }
    })
}

/// # Safety
/// `queue` is NULL, or where there is room.
unsafe fn add_queue(
    places: Range<usize>,
    mask: u32,
    queue: *mut u32,
    storage: impl FnOnce() -> Option<Storage>,
) -> Result<(), Error> {
    let mask = EventMask::from_bits(mask).ok_or(Error::BadArgument)?;
    if mask.is_empty() {
        return Err(Error::BadArgument);
    }
    if queue.is_null() {
        return Err(Error::BadPointer);
    }
    let number = queues::create(places, mask, storage)?;
    // SAFETY: there is room.
    unsafe { put(queue, number) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_queue_get(
    queue: u32,
    message: *mut Message,
    timeout_ms: i32,
) -> WssResult {
    wss(|| {
        if message.is_null() {
            return Err(Error::BadPointer);
        }
        // Waiting there would keep the events from coming.
        let timeout_ms = if platform::on_service_thread() {
            0
        } else {
            timeout_ms
        };
        let taken = queues::get(queue, timeout_ms)?;
        // SAFETY: C gives where to put it.
        unsafe { put(message, taken) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_message_release(message: *mut Message) {
    guard((), || {
        // SAFETY: C gives NULL, or an event that it took from a queue.
        let Some(message) = (unsafe { message.as_mut() }) else {
            return;
        };
        // SAFETY: it is one, which C releases once.
        unsafe { queues::release(message) };
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_queue_destroy(queue: u32) -> WssResult {
    wss(|| queues::destroy(queue))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_get_stats(stats: *mut Stats) -> WssResult {
    wss(|| {
        // SAFETY: C gives NULL, or where to put them.
        unsafe { tell_stats(DEFAULT, stats) }
    })
}

/// # Safety
/// `stats` is NULL, or where there is room.
unsafe fn tell_stats(server: u32, stats: *mut Stats) -> Result<(), Error> {
    let told = convert::stats(&instance::service(server)?.stats());
    // SAFETY: the caller knows it.
    unsafe { put(stats, told) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_server_start(
    config: *const ServerConfig,
    server: *mut u32,
) -> WssResult {
    wss(|| {
        // SAFETY: C gives NULL, or where to put it.
        unsafe { put(server, NO_SERVER) }?;
        // SAFETY: C gives NULL, or how.
        let config = unsafe { config.as_ref() }.ok_or(Error::BadPointer)?;
        // SAFETY: C gives NULL, or limits.
        let options = match unsafe { config.limits.as_ref() } {
            // SAFETY: C gives what is in there.
            Some(limits) => unsafe { options(limits) }?,
            None => default_options(),
        };
        // SAFETY: C gives that many queues.
        let queues = unsafe { list(config.queues, config.queue_count) }?;
        if queues.len() > MAX_QUEUES || !queues.iter().copied().all(queues::exists) {
            return Err(Error::BadArgument);
        }
        let started = instance::start_server(config.port, &options, |number| {
            let place = instance::place(number);
            callbacks::set_callback(place, config.callback, config.cookie);
            let _ = callbacks::set_accept_hook(place, config.accept_hook, config.cookie);
            events::set_has_callback(place, config.callback.is_some());
            events::set_queues(place, queues);
            // SAFETY: C gives where to put it.
            let _ = unsafe { put(server, number) };
        });
        if started.is_err() {
            // SAFETY: C gives where to put it.
            unsafe { put(server, NO_SERVER) }?;
        }
        started
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_stop(server: u32) -> WssResult {
    wss(|| match server {
        NO_SERVER => Err(Error::NotRunning),
        _ if instance::place(server) == DEFAULT_PLACE => {
            // Somebody else's to end, if it runs.
            let running = instance::service(server).map(|_| ());
            running.and(Err(Error::BadArgument))
        }
        _ => instance::end(server),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_port(server: u32) -> u16 {
    guard(0, || of_server(server, instance::port).unwrap_or(0))
}

/// Asks for something of a server, if it can be one: no number stands for the default service here.
fn of_server<T>(server: u32, ask: impl FnOnce(u32) -> Option<T>) -> Option<T> {
    Some(server)
        .filter(|server| *server != NO_SERVER)
        .and_then(ask)
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_all(server: u32) -> u64 {
    convert::all_clients(server)
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_of(client: u64) -> u32 {
    guard(NO_SERVER, || match Client::from_c(client) {
        Some(client) => instance::server_of(client),
        None => convert::server_of_all(client).unwrap_or(NO_SERVER),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_server_client_at(server: u32, index: i32) -> u64 {
    guard(NO_CLIENT, || {
        of_server(server, |server| client_at(server, index)).unwrap_or(NO_CLIENT)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_server_stats(server: u32, stats: *mut Stats) -> WssResult {
    wss(|| match server {
        NO_SERVER => Err(Error::NotRunning),
        // SAFETY: C gives NULL, or where to put them.
        _ => unsafe { tell_stats(server, stats) },
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_server_queue_create(
    mask: u32,
    depth: usize,
    queue: *mut u32,
) -> WssResult {
    wss(|| {
        if depth == 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: C gives NULL, or where to put it.
        unsafe { add_queue(OF_SERVERS, mask, queue, || storage(depth)) }
    })
}

/// Not on Zephyr, which has a log of its own.
#[cfg(feature = "host")]
#[unsafe(no_mangle)]
pub extern "C" fn wss_set_log(
    level: c_uint,
    handler: Option<abi::LogHandler>,
    cookie: *mut c_void,
) {
    guard((), || {
        let level = match level {
            0 => log::LevelFilter::Off,
            1 => log::LevelFilter::Error,
            2 => log::LevelFilter::Warn,
            3 => log::LevelFilter::Info,
            _ => log::LevelFilter::Debug,
        };
        set_log_handler(level, handler, cookie);
    });
}

// SPDX-License-Identifier: Apache-2.0
//! The configuration of a server from C.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::slice;

use wss::Page;
use wss::protocol::check_field_names;
use wss::service::{Config, EventMask};

use crate::abi::{self, ClientAuth, Cookie, Limits, MASK_ALL, MAX_QUEUES};
use crate::admission::{AUTHORIZATION, Login, Origins};
use crate::callbacks::{Hook, Sink, Tick};
use crate::error::Error;
use crate::events::Active;
use crate::platform::{self, Pages, check_sizes, default_options};
use crate::queues;

/// The credentials of a server with TLS. The application lends them, like texts.
#[cfg_attr(feature = "zephyr", allow(dead_code))] // where it is not built in
#[derive(Clone, Copy)]
pub struct Tls {
    /// The certificate chain. If all are empty: the credentials of the build.
    pub cert: &'static [u8],
    /// The private key.
    pub key: &'static [u8],
    /// The CA certificates for client certificates; empty: none.
    pub ca: &'static [u8],
    /// Whether clients need a certificate.
    pub client_auth: ClientAuth,
}

impl Tls {
    /// The credentials of the build.
    pub const OF_BUILD: Self = Self {
        cert: &[],
        key: &[],
        ca: &[],
        client_auth: ClientAuth::None,
    };

    /// Reads credentials from C, and checks that they can be used.
    ///
    /// # Safety
    /// What it points to meets the requirements of `wss.h`.
    pub unsafe fn checked(tls: &abi::Tls) -> Result<Self, Error> {
        // SAFETY: the caller guarantees it.
        let tls = unsafe { Self::new(tls) }.inspect_err(|_| {
            log::error!("tls: the certificate, the key or the CA is missing");
        })?;
        platform::check_tls(&tls)?;
        Ok(tls)
    }

    /// Reads credentials from C.
    ///
    /// # Safety
    /// What it points to meets the requirements of `wss.h`.
    unsafe fn new(tls: &abi::Tls) -> Result<Self, Error> {
        let client_auth = match tls.client_auth {
            0 => ClientAuth::None,
            1 => ClientAuth::Optional,
            2 => ClientAuth::Required,
            _ => return Err(Error::BadArgument),
        };
        // SAFETY: C passes that many bytes, which stay valid.
        let cert = unsafe { list(tls.cert.cast(), tls.cert_len) }?;
        // SAFETY: as above.
        let key = unsafe { list(tls.key.cast(), tls.key_len) }?;
        // SAFETY: as above.
        let ca = unsafe { list(tls.ca.cast(), tls.ca_len) }?;
        let is_of_build = cert.is_empty() && key.is_empty() && ca.is_empty();
        let needs_ca = client_auth != ClientAuth::None;
        if !is_of_build && (cert.is_empty() || key.is_empty() || needs_ca && ca.is_empty()) {
            return Err(Error::BadArgument);
        }
        Ok(Self {
            cert,
            key,
            ca,
            client_auth,
        })
    }
}

/// The configuration of a server. Its texts belong to the application, which lends them while a server is started with
/// them.
#[derive(Clone, Copy)]
pub struct Options {
    /// 0: any free one.
    pub port: u16,
    /// `None`: every address.
    pub address: Option<&'static CStr>,
    /// Whether to listen.
    pub listens: bool,
    /// The largest message that is delivered whole, in bytes.
    pub rx_buffer: usize,
    /// The maximum number of clients.
    pub max_clients: u16,
    /// Blocks for unsent output; 0: the platform chooses the number.
    pub tx_blocks: u16,
    /// The other limits.
    pub limits: Config,
    /// The part that the service's application uses.
    pub active: Active,
    /// The receiver of events; `None`: there is none.
    pub callback: Option<(EventMask, Sink)>,
    /// The queues; 0: none.
    pub queues: [u32; MAX_QUEUES],
    /// TLS, if it is built in; `None`: not used.
    pub tls: [Option<Tls>; platform::TLS as usize],
}

/// Returns the bytes at `data`, for the duration of the call.
///
/// # Safety
/// `data` is NULL, or has `len` items that are not written to meanwhile.
pub unsafe fn list<'a, T>(data: *const T, len: usize) -> Result<&'a [T], Error> {
    match len {
        0 => Ok(&[]),
        _ if data.is_null() || len > isize::MAX as usize / size_of::<T>() => Err(Error::BadPointer),
        // SAFETY: it is not NULL, and not longer than memory can be; the caller guarantees the rest.
        _ => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// Returns the text at `text`; `None` for NULL.
///
/// # Safety
/// `text` is NULL, or NUL-terminated as long as the result is used.
pub unsafe fn optional_text<'a>(text: *const c_char) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL; the caller guarantees the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| Error::BadArgument)
}

/// Returns the text at `text`.
///
/// # Safety
/// As for [`optional_text`].
pub unsafe fn required_text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: the caller guarantees it.
    unsafe { optional_text(text) }?.ok_or(Error::BadPointer)
}

/// Returns a page from C.
///
/// # Safety
/// Its texts are NULL or NUL-terminated, and its body has its size. Nothing changes while the result is used.
pub unsafe fn page<'a>(page: &'a abi::Page) -> Result<Page<'a>, Error> {
    // SAFETY: the caller guarantees it.
    let path = unsafe { required_text(page.path) }?;
    // SAFETY: as above.
    let content_type = unsafe { required_text(page.content_type) }?;
    // SAFETY: as above.
    let encoding = unsafe { optional_text(page.encoding) }?;
    // SAFETY: as above.
    let etag = unsafe { optional_text(page.etag) }?;
    // SAFETY: as above.
    let body = unsafe { list(page.body.cast(), page.size) }?;
    Ok(Page {
        path,
        content_type,
        encoding,
        etag,
        body,
    })
}

/// Reads a configuration from C.
///
/// # Safety
/// What it points to meets the requirements of `wss.h`.
pub unsafe fn options(config: &abi::ServerConfig) -> Result<Options, Error> {
    platform::set_logger();
    let mut options = default_options();
    // SAFETY: C passes NULL, or limits.
    if let Some(limits) = unsafe { config.limits.as_ref() } {
        set_limits(&mut options, limits);
    }
    options.port = config.port;
    if !config.address.is_null() {
        // SAFETY: C passes a text.
        let address = unsafe { CStr::from_ptr(config.address) };
        platform::check_address(address).inspect_err(|_| {
            log::error!(
                "address={} is no IP address",
                address.to_str().unwrap_or("?")
            );
        })?;
        options.address = Some(address);
    }
    // SAFETY: C passes NULL, or a text.
    let origins = unsafe { optional_text(config.origins) }?;
    // SAFETY: C passes NULL, or a text.
    let user = unsafe { optional_text(config.user) }?;
    // SAFETY: C passes NULL, or a text.
    let password = unsafe { optional_text(config.password) }?;
    // SAFETY: C passes NULL, or a text.
    let token = unsafe { optional_text(config.token) }?;
    options.active.login = Login::new(user, password, token)?;
    let is_protected = config.on_request.is_some() || options.active.login.is_some();
    options.active.origins = Some(Origins::new(origins, is_protected)?);
    // SAFETY: C passes NULL, or a text.
    let mut names = unsafe { optional_text(config.request_fields) }?;
    if options.active.login.is_some() {
        let names = names.get_or_insert(AUTHORIZATION);
        let mut names = names.split_ascii_whitespace();
        if !names.any(|name| name.eq_ignore_ascii_case(AUTHORIZATION)) {
            log::error!("credentials need Authorization among the request fields");
            return Err(Error::BadArgument);
        }
    }
    if let Some(names) = names {
        check_field_names(names).map_err(|wrong| {
            log::error!(
                "request_fields: {wrong} is no field name, or a field that the server reads itself"
            );
            Error::BadArgument
        })?;
        platform::check_request_fields(names)?;
        options.active.request_fields = Some(names);
    }
    let cookie = Cookie(config.cookie);
    let events = match config.events {
        0 => MASK_ALL,
        events => events,
    };
    let events = EventMask::from_bits(events).ok_or(Error::BadArgument)?;
    let sink = config.on_event.map(|function| Sink::new(function, cookie));
    options.callback = sink.map(|sink| (events, sink));
    options.active.hook = config
        .on_request
        .map(|function| Hook::new(function, cookie));
    if let Some(function) = config.on_tick {
        if !platform::TICKS {
            log::error!("on_tick needs CONFIG_WSS_TICK=y");
            return Err(Error::NotSupported);
        }
        if config.tick_ms == 0 {
            log::error!("on_tick needs tick_ms");
            return Err(Error::BadArgument);
        }
        options.active.tick = Some(Tick::new(function, cookie));
        options.limits.tick_ms = config.tick_ms;
    }
    // SAFETY: C passes that many queues.
    let queues = unsafe { list(config.queues, config.queue_count) }?;
    if queues.len() > MAX_QUEUES || !queues.iter().copied().all(queues::exists) {
        log::error!("a queue does not exist, or there are more than {MAX_QUEUES}");
        return Err(Error::BadArgument);
    }
    for (place, queue) in options.queues.iter_mut().zip(queues) {
        *place = *queue;
    }
    // SAFETY: C passes NULL, or credentials.
    if let Some(tls) = unsafe { config.tls.as_ref() } {
        let [place] = options.tls.as_mut_slice() else {
            return no_tls();
        };
        // SAFETY: as above.
        *place = Some(unsafe { Tls::checked(tls) }?);
    }
    // SAFETY: C passes that many pages, which do not change while the server runs.
    options.active.pages = unsafe { Pages::of(config) }.inspect_err(|_| {
        log::error!("a page is not valid: see struct wss_page");
    })?;
    options.check()?;
    Ok(options)
}

fn no_tls<T>() -> Result<T, Error> {
    log::error!("TLS needs CONFIG_WSS_TLS=y");
    Err(Error::NotSupported)
}

fn set_limits(options: &mut Options, limits: &Limits) {
    options.rx_buffer = limits.rx_buffer_size;
    options.max_clients = limits.max_clients;
    options.tx_blocks = limits.tx_blocks;
    options.listens = limits.listens != 0;
    let to = &mut options.limits;
    to.handshake_limit = limits.handshake_size;
    to.streaming = limits.streaming != 0;
    to.handshake_timeout_ms = limits.handshake_timeout_ms;
    to.client_timeout_ms = limits.client_timeout_ms;
    to.ping_interval_ms = limits.ping_interval_ms;
    to.send_timeout_ms = limits.send_timeout_ms;
    to.close_timeout_ms = limits.close_timeout_ms;
    to.hold_timeout_ms = limits.hold_timeout_ms;
    to.clients_per_address = limits.clients_per_address;
    to.handshakes_per_second = limits.handshakes_per_second;
    to.control_frames_per_second = limits.control_frames_per_second;
    to.fragments_per_message = limits.fragments_per_message;
    to.login_failures_per_minute = limits.login_failures_per_minute;
}

/// Returns the default limits for C.
pub fn default_limits() -> Limits {
    let options = default_options();
    let limits = options.limits;
    Limits {
        rx_buffer_size: options.rx_buffer,
        max_clients: options.max_clients,
        tx_blocks: options.tx_blocks,
        handshake_size: limits.handshake_limit,
        streaming: limits.streaming.into(),
        listens: options.listens.into(),
        handshake_timeout_ms: limits.handshake_timeout_ms,
        client_timeout_ms: limits.client_timeout_ms,
        ping_interval_ms: limits.ping_interval_ms,
        send_timeout_ms: limits.send_timeout_ms,
        close_timeout_ms: limits.close_timeout_ms,
        hold_timeout_ms: limits.hold_timeout_ms,
        clients_per_address: limits.clients_per_address,
        handshakes_per_second: limits.handshakes_per_second,
        control_frames_per_second: limits.control_frames_per_second,
        fragments_per_message: limits.fragments_per_message,
        login_failures_per_minute: limits.login_failures_per_minute,
    }
}

impl Options {
    /// Turns TLS on or off. If TLS is on, uses the configured credentials if there are any.
    pub fn enable_tls(&mut self, enabled: bool) -> Result<(), Error> {
        match self.tls.as_mut_slice() {
            [tls] if enabled => {
                *tls = tls.or(platform::TLS_BY_DEFAULT.then_some(Tls::OF_BUILD));
                if tls.is_none() {
                    log::error!("TLS needs a certificate, see wss_configure()");
                    return Err(Error::BadArgument);
                }
            }
            [tls] => *tls = None,
            _ if enabled => return no_tls(),
            _ => {}
        }
        Ok(())
    }

    /// Checks that the configuration is valid.
    fn check(&self) -> Result<(), Error> {
        let limits = &self.limits;
        let sizes = self.max_clients > 0 && self.rx_buffer >= 4 && limits.handshake_limit > 0;
        let times = [
            limits.handshake_timeout_ms,
            limits.send_timeout_ms,
            limits.close_timeout_ms,
            limits.hold_timeout_ms,
        ];
        // 0 disables it. A shorter timeout is less than the precision of deadlines.
        let timeout = matches!(limits.client_timeout_ms, 0 | 100..=65_535);
        let valid = sizes && timeout && !times.contains(&0) && limits.check().is_ok();
        let checked = valid.then_some(()).ok_or(Error::BadArgument);
        checked.and_then(|()| check_sizes(self)).inspect_err(|_| {
            log::error!(
                "a limit is out of its range, or not that of the build: see struct wss_limits"
            );
        })
    }
}

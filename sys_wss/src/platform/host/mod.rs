// SPDX-License-Identifier: Apache-2.0
//! The host platform: std.

use std::ffi::{CStr, c_int};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io;
use wss::host::{self, ClientAuth, HostPort, Running, TlsBuilder};
use wss::service::{Config, Lock as _};

use crate::abi::{self, MAX_QUEUES};
use crate::config::{Options, Tls};
use crate::error::{Errno, Error};
use crate::events::{Active, Events};
use crate::request::Accepted;

pub use adopt::adopt;
pub use logger::set_log_handler;
pub use pages::Pages;
pub use wss::host::{Monitor, on_service_thread};

mod adopt;
mod logger;
mod pages;
pub mod queue;

/// The service.
pub type Service = wss::service::Service<HostPort, Events>;
/// A reference that keeps the service alive.
pub type Handle = Arc<Service>;
/// The bytes of a request.
pub type RequestBytes = Vec<u8>;

/// The number of servers.
pub const SERVERS: usize = 64;

/// Only `SYS_WSS_Initialize` starts the service here.
pub const STARTS_ITSELF: bool = false;

/// Whether there is a periodic callback.
pub const TICKS: bool = true;

/// Does nothing: an application chooses its log with `wss_set_log()`.
pub const fn set_logger() {}

/// Whether responses may have header fields of the application.
pub const RESPONSE_FIELDS: bool = true;

/// Whether there is TLS.
pub const TLS: bool = true;

/// Whether TLS can be used without configured credentials.
pub const TLS_BY_DEFAULT: bool = false;

/// Checks credentials.
pub fn check_tls(tls: &Tls) -> Result<(), Error> {
    credentials(tls).build().map(|_| ()).map_err(|error| {
        log::error!("TLS: {error}");
        Error::BadArgument
    })
}

fn credentials(tls: &Tls) -> TlsBuilder {
    let auth = match tls.client_auth {
        abi::ClientAuth::None => return host::Tls::bytes(tls.cert, tls.key),
        abi::ClientAuth::Optional => ClientAuth::Optional,
        abi::ClientAuth::Required => ClientAuth::Required,
    };
    host::Tls::bytes(tls.cert, tls.key).client_ca(tls.ca, auth)
}

/// Returns the header fields that the hook needs, as configured.
pub fn request_fields<'a>(configured: impl FnOnce() -> &'a str) -> &'a str {
    configured()
}

/// Accepts any name.
pub const fn check_request_fields(_names: &str) -> Result<(), Error> {
    Ok(())
}

/// The origins that may connect if the configuration has none.
pub const ORIGINS: &str = "";

/// Checks an address to listen on.
pub fn check_address(text: &CStr) -> Result<(), Error> {
    address(text).map(|_| ()).ok_or(Error::BadArgument)
}

fn address(text: &CStr) -> Option<IpAddr> {
    text.to_str().ok()?.parse().ok()
}

/// Returns the number in `errno.h`.
pub const fn errno(errno: Errno) -> c_int {
    let errno = match errno {
        Errno::Again => io::Errno::AGAIN,
        Errno::MessageSize => io::Errno::MSGSIZE,
        Errno::NotConnected => io::Errno::NOTCONN,
        Errno::ConnectionAborted => io::Errno::CONNABORTED,
        Errno::BadMessage => io::Errno::BADMSG,
        Errno::Invalid => io::Errno::INVAL,
        Errno::NoEntry => io::Errno::NOENT,
        Errno::Busy => io::Errno::BUSY,
        Errno::Io => io::Errno::IO,
        Errno::Pipe => io::Errno::PIPE,
        Errno::AddressInUse => io::Errno::ADDRINUSE,
        Errno::NotSupported => io::Errno::NOTSUP,
    };
    errno.raw_os_error()
}

/// Converts the error of a start.
pub fn start_error(error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::AddrInUse => Error::InUse,
        _ => Error::Failed,
    }
}

/// Returns the defaults of the C interface.
pub fn default_options() -> Options {
    let options = host::Options::default();
    Options {
        port: 0,
        address: None,
        listens: options.listen,
        rx_buffer: options.rx_buffer,
        max_clients: options.max_clients,
        tx_blocks: 0,
        limits: Config::default(),
        active: Active::NONE,
        callback: None,
        queues: [0; MAX_QUEUES],
        tls: [None],
    }
}

/// The default port.
pub const DEFAULT_PORT: u16 = 8000;

/// Checks that there can be memory for these sizes.
pub fn check_sizes(options: &Options) -> Result<(), Error> {
    isize::try_from(options.rx_buffer)
        .ok()
        .filter(|size| *size < isize::MAX / 2)
        .map(|_| ())
        .ok_or(Error::BadArgument)
}

/// Puts a lock around `value`.
pub const fn monitor<T>(value: T) -> Monitor<T> {
    Monitor::new(value)
}

/// Keeps the bytes.
pub fn keep_request(kept: &mut RequestBytes, bytes: &[u8]) {
    *kept = bytes.into();
}

/// Whether requests are kept at all.
pub const KEEPS_REQUESTS: bool = true;

/// The requests of current and former clients, by slot.
pub struct PerClient(Vec<Accepted>);

impl PerClient {
    /// Creates it without requests.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the entry for a slot.
    pub fn place(&mut self, slot: usize) -> Option<&mut Accepted> {
        if self.0.len() <= slot {
            self.0
                .resize_with(slot.saturating_add(1), || Accepted::NONE);
        }
        self.0.get_mut(slot)
    }

    pub fn get(&self, slot: usize) -> Option<&Accepted> {
        self.0.get(slot)
    }

    /// Frees the memory.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// A service, which has memory while it runs or is called.
pub struct Instance {
    running: Monitor<Option<Running<Events>>>,
    /// The TLS configuration of the running service, if it has one.
    tls: Monitor<Option<host::Tls>>,
    /// A generation that no client has had.
    generation: AtomicU32,
}

impl Instance {
    /// Creates a service that does not run.
    pub const fn new() -> Self {
        Self {
            running: monitor(None),
            tls: monitor(None),
            generation: AtomicU32::new(0),
        }
    }

    /// Opens the listener and starts the threads. Returns the port that it listens on. `begin` is called before there
    /// are any events.
    pub fn start(
        &self,
        port: u16,
        options: &Options,
        mut begin: impl FnMut(&Events),
    ) -> std::io::Result<u16> {
        let generation = self.generation.load(Ordering::SeqCst);
        let mut application = || {
            let events = Events::new();
            begin(&events);
            events
        };
        let [tls] = &options.tls;
        let tls = tls.map(|tls| credentials(&tls).build()).transpose();
        let tls = tls.map_err(|error| {
            std::io::Error::new(ErrorKind::InvalidInput, format!("TLS: {error}"))
        })?;
        // Both IPv6 and IPv4, if there are both.
        let every = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let mut at = |addr| {
            let options = host::Options {
                addr,
                port,
                listen: options.listens,
                loops: 1,
                max_clients: options.max_clients,
                rx_buffer: options.rx_buffer,
                tx_blocks: Some(options.tx_blocks).filter(|blocks| *blocks > 0),
                // The application checks them.
                origins: Vec::new(),
                request_fields: String::new(),
                tls: tls.clone(),
                pages: Vec::new(),
                limits: options.limits,
            };
            Running::start(&options, application(), generation)
        };
        let address = options.address.and_then(address);
        let started = match at(address.unwrap_or(every)) {
            // This host has no IPv6.
            Err(error)
                if options.address.is_none()
                    && (error.kind() == ErrorKind::AddrNotAvailable
                        || error.kind() == ErrorKind::Unsupported
                        || error.raw_os_error() == Some(EAFNOSUPPORT)) =>
            {
                at(Ipv4Addr::UNSPECIFIED.into())
            }
            started => started,
        }?;
        let port = started.addr.port();
        *self.running.lock() = Some(started);
        *self.tls.lock() = tls;
        Ok(port)
    }

    /// Replaces the credentials of the running service.
    pub fn replace_tls(&self, tls: &Tls) -> Result<(), Error> {
        let running = self.tls.lock().clone().ok_or(Error::NotRunning)?;
        running
            .replace(credentials(tls))
            .map_err(|_| Error::BadArgument)
    }

    /// Returns the service, while it runs or is stopping.
    pub fn service(&self) -> Option<Handle> {
        let running = self.running.lock();
        running.as_ref().map(|running| Arc::clone(&running.service))
    }

    /// Waits until a stopping service has ended, and all callbacks have returned. Returns false if they have not.
    pub fn join(&self, timeout_ms: u32) -> bool {
        let until = Instant::now() + Duration::from_millis(timeout_ms.into());
        loop {
            let mut running = self.running.lock();
            let threads = running.iter().flat_map(|running| &running.threads);
            if { threads }.all(JoinHandle::is_finished) {
                if let Some(running) = running.take() {
                    let next = running.service.next_generation();
                    self.generation.store(next, Ordering::SeqCst);
                    // This returns at once, and makes the effects of the threads visible.
                    for thread in running.threads {
                        let _ = thread.join();
                    }
                }
                return true;
            }
            drop(running);
            if on_service_thread() || Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// std has no `ErrorKind` for this one.
const EAFNOSUPPORT: i32 = 97;

/// Returns the milliseconds of a monotonic clock.
pub fn now_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Runs a function that C called. Nothing in it is known to panic. If it does, C gets `fallback`, and the stack does
/// not unwind through C.
pub fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

//! A host: std.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Instant;

use wss::host::{self, HostPort};
use wss::service::Config;

use crate::convert::Error;
use crate::events::Events;
use crate::handshake::Accepted;
use crate::options::Options;

pub use adopt::adopt;
pub use logger::set_log_handler;
pub use std::sync::{Arc as Shared, Weak as WeakShared};
pub use wss::host::{Monitor, on_service_thread};

mod adopt;
mod logger;
pub mod queue;

/// The service.
pub type Service = wss::service::Service<HostPort, Events>;
/// An address to listen at.
pub type Address = IpAddr;
/// The bytes of a request.
pub type RequestBytes = Vec<u8>;

/// How many services there can be, the default one among them.
pub const SERVERS: usize = 64;

/// Only `SYS_WSS_Initialize` starts the service here.
pub const STARTS_ITSELF: bool = false;

/// Origins that may connect; none: all.
#[derive(Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub fn add(&mut self, origin: &str) -> Result<(), Error> {
        self.0.push(origin.to_owned());
        Ok(())
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(String::as_str)
    }
}

/// The address that a text names.
pub fn address(text: &str) -> Result<Address, Error> {
    text.parse().map_err(|_| Error::BadArgument)
}

/// The defaults of the C interface.
pub fn default_options() -> Options {
    let options = host::Options::default();
    Options {
        listens: options.listen,
        address: None,
        origins: Origins::new(),
        rx_buffer: options.rx_buffer,
        max_clients: options.max_clients,
        tx_blocks: 0,
        limits: Config::default(),
    }
}

/// The port of a service that nobody gave one.
pub const DEFAULT_PORT: u16 = 8000;

/// Whether there can be memory of such sizes.
pub fn check_sizes(options: &Options) -> Result<(), Error> {
    isize::try_from(options.rx_buffer)
        .ok()
        .filter(|size| *size < isize::MAX / 2)
        .map(|_| ())
        .ok_or(Error::BadArgument)
}

/// Keeps the bytes.
pub fn keep_request(kept: &mut RequestBytes, bytes: &[u8]) {
    *kept = bytes.into();
}

/// Whether requests are kept at all.
pub const KEEPS_REQUESTS: bool = true;

/// The requests of the clients that there were, by slot.
pub struct PerClient(Vec<Accepted>);

impl PerClient {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Where that of a client is.
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

    /// Gives the memory back.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// The service, while it runs.
pub struct Running(host::Running<Events>);

impl Running {
    pub const fn service(&self) -> &Shared<Service> {
        &self.0.service
    }

    /// The port at which it listens.
    pub const fn port(&self) -> u16 {
        self.0.addr.port()
    }

    pub fn into_threads(self) -> Threads {
        Threads(self.0.threads)
    }
}

/// The threads of a service.
#[derive(Default)]
pub struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Waits for threads of a service of which nothing is left: they are about to end, and none of
    /// them can be the one that calls this.
    pub fn join(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

/// Opens the listener and starts the threads. `application` makes the service's application.
pub fn start(
    port: u16,
    options: &Options,
    mut application: impl FnMut() -> Events,
) -> io::Result<Running> {
    // Of IPv6 and IPv4 where there are both.
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
            // The application minds them.
            origins: Vec::new(),
            limits: options.limits,
        };
        host::Running::start(&options, application()).map(Running)
    };
    let started = at(options.address.unwrap_or(every));
    match &started {
        // No IPv6 here.
        Err(error)
            if options.address.is_none()
                && (error.kind() == io::ErrorKind::AddrNotAvailable
                    || error.kind() == io::ErrorKind::Unsupported
                    || error.raw_os_error() == Some(EAFNOSUPPORT)) =>
        {
            at(Ipv4Addr::UNSPECIFIED.into())
        }
        _ => started,
    }
}

/// std has no kind for this one.
const EAFNOSUPPORT: i32 = 97;

/// Milliseconds of a clock that never goes back.
pub fn now_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Runs what C called. Nothing in here is known to panic; if it does nevertheless, C gets `fallback`
/// instead of a stack that unwinds through it.
pub fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

// SPDX-License-Identifier: Apache-2.0
//! The Zephyr platform: static memory, sized by Kconfig.

use core::ffi::CStr;

use wss::ClientId;
use wss::service::Port as _;
use wss_zephyr::internal::{self, KernelLock, ZephyrPort};
use wss_zephyr::{ListenError, kconfig};

use crate::abi::{ClientAuth, MAX_QUEUES};
use crate::config::{Options, Tls};
use crate::error::Error;
use crate::events::{Active, Events};
use crate::request::{Accepted, Text, requests};

pub use adopt::adopt;
pub use errno::errno;
pub use monitor::monitor;
pub use pages::Pages;
pub use wss_zephyr::on_service_thread;

mod adopt;
mod errno;
mod monitor;
mod pages;
pub mod queue;

/// The service.
pub type Service = wss::service::Service<ZephyrPort, Events>;
/// A reference to the service.
pub type Handle = &'static Service;
/// A value behind a lock.
pub type Monitor<T> = KernelLock<T>;
/// The bytes of a request.
pub type RequestBytes = heapless::Vec<u8, REQUEST_SIZE>;

/// Whether requests are kept at all.
pub const KEEPS_REQUESTS: bool = REQUEST_SIZE > 0;

const REQUEST_SIZE: usize = kconfig::REQUEST_SIZE as usize;
/// 0 if nothing is kept.
const KEPT: usize = if REQUEST_SIZE > 0 {
    kconfig::MAX_CLIENTS as usize
} else {
    0
};

/// The number of servers.
pub const SERVERS: usize = kconfig::SERVERS as usize;

/// Whether `SYS_WSS_register_callback` starts the service.
pub const STARTS_ITSELF: bool = kconfig::START_AT_BOOT;

/// The default port.
#[allow(clippy::cast_possible_truncation)] // Kconfig has its range
pub const DEFAULT_PORT: u16 = kconfig::PORT as u16;

/// Whether there is a periodic callback.
pub const TICKS: bool = kconfig::TICK;

/// Sends the log lines to Zephyr's log, from the first one on: those of a configuration that is not valid, too.
pub fn set_logger() {
    wss_zephyr::set_logger();
}

/// Whether responses may have header fields of the application.
pub const RESPONSE_FIELDS: bool = kconfig::RESPONSE_FIELDS;

/// Whether there is TLS.
pub const TLS: bool = kconfig::TLS;

/// Accepts any credentials: they are checked when the server starts.
pub const fn check_tls(_tls: &Tls) -> Result<(), Error> {
    Ok(())
}

/// Whether TLS can be used without configured credentials.
pub const TLS_BY_DEFAULT: bool = TLS;

/// Returns the header fields that the hook needs: a constant, so that an empty list needs no code.
#[inline(always)]
pub const fn request_fields<'a>(_configured: impl FnOnce() -> &'a str + Copy) -> &'a str {
    kconfig::REQUEST_FIELDS
}

/// Checks that Kconfig has all names.
pub fn check_request_fields(names: &str) -> Result<(), Error> {
    let mut names = names.split_ascii_whitespace();
    let is_known = |name: &&str| {
        let mut known = kconfig::REQUEST_FIELDS.split_ascii_whitespace();
        known.any(|known| known.eq_ignore_ascii_case(name))
    };
    match names.find(|name| !is_known(name)) {
        Some(name) => {
            log::error!("CONFIG_WSS_REQUEST_FIELDS lacks {name}: add it");
            Err(Error::BadArgument)
        }
        None => Ok(()),
    }
}

/// The origins that may connect if the configuration has none.
pub const ORIGINS: &str = kconfig::ORIGINS;

/// Accepts any text: listening fails if it is not an address.
pub const fn check_address(_address: &CStr) -> Result<(), Error> {
    Ok(())
}

/// Converts the error of a start.
pub const fn start_error(error: &ListenError) -> Error {
    match error {
        ListenError::InUse(_) => Error::InUse,
        ListenError::Running | ListenError::Servers => Error::Busy,
        ListenError::NoLimit => Error::BadArgument,
        ListenError::Page if kconfig::PAGES => Error::BadArgument,
        _ => Error::Failed,
    }
}

/// Returns the defaults of Kconfig.
pub fn default_options() -> Options {
    #[allow(clippy::cast_possible_truncation)] // Kconfig has their ranges
    Options {
        port: 0,
        address: None,
        listens: true,
        rx_buffer: kconfig::RX_BUFFER_SIZE as usize,
        max_clients: kconfig::MAX_CLIENTS as u16,
        tx_blocks: kconfig::TX_BLOCKS as u16,
        limits: wss_zephyr::Options::new().limits,
        active: Active::NONE,
        callback: None,
        queues: [0; MAX_QUEUES],
        tls: [None; TLS as usize],
    }
}

/// Checks the sizes, which must be those of Kconfig, because memory is static, and the limits, which must have code.
pub fn check_sizes(options: &Options) -> Result<(), Error> {
    let is = default_options();
    let same = options.rx_buffer == is.rx_buffer
        && options.max_clients == is.max_clients
        && (options.tx_blocks == is.tx_blocks || options.tx_blocks == 0)
        && ZephyrPort::LIMITS.contains(options.limits.limits());
    same.then_some(()).ok_or(Error::BadArgument)
}

/// Keeps the bytes if there is room; otherwise none.
pub fn keep_request(kept: &mut RequestBytes, bytes: &[u8]) {
    kept.clear();
    let _ = kept.extend_from_slice(bytes);
}

/// The requests of current and former clients, by slot.
pub struct PerClient([Accepted; KEPT]);

impl PerClient {
    /// Creates it without requests.
    pub const fn new() -> Self {
        Self([const { Accepted::NONE }; KEPT])
    }

    /// Returns the entry for a slot.
    pub fn place(&mut self, slot: usize) -> Option<&mut Accepted> {
        self.0.get_mut(slot)
    }

    pub fn get(&self, slot: usize) -> Option<&Accepted> {
        self.0.get(slot)
    }

    /// Forgets all requests.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(Accepted::clear);
    }
}

impl internal::Paths for Events {
    fn path(&self, client: ClientId, room: &mut [u8]) {
        let place = self.client(client).place;
        // If no request is kept, this writes nothing.
        let _ = requests(place).copy(client, Text::Path, || Ok(room));
    }
}

/// A service in static memory.
pub struct Instance(internal::Instance<Events>);

impl Instance {
    /// Fails: credentials are read when a server starts.
    pub const fn replace_tls(&self, _tls: &Tls) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Creates a service that does not run.
    pub const fn new() -> Self {
        Self(internal::Instance::new(Events::new()))
    }

    /// Opens the listener and starts the thread. Returns the port that it listens on. `begin` is called before there
    /// are any events.
    pub fn start(
        &'static self,
        port: u16,
        options: &Options,
        begin: impl FnOnce(&Events),
    ) -> Result<u16, ListenError> {
        let addr = options.address;
        #[allow(clippy::needless_update)] // With CONFIG_WSS_PAGES there is more.
        let options = wss_zephyr::Options {
            addr,
            port,
            listen: options.listens,
            tls: match options.tls.as_slice() {
                [Some(tls)] => Some(wss_zephyr::Tls::new(tls.cert, tls.key).client_ca(
                    tls.ca,
                    match tls.client_auth {
                        ClientAuth::None => wss_zephyr::ClientAuth::None,
                        ClientAuth::Optional => wss_zephyr::ClientAuth::Optional,
                        ClientAuth::Required => wss_zephyr::ClientAuth::Required,
                    },
                )),
                _ => None,
            },
            limits: options.limits,
            ..wss_zephyr::Options::new()
        };
        if !kconfig::PAGES {
            return self.0.start(&options, |_| {
                begin(self.0.application());
                true
            });
        }
        let mut is_valid = true;
        let started = self.0.start(&options, |_| {
            let events = self.0.application();
            begin(events);
            is_valid = Pages.are_valid(events.place());
            is_valid
        });
        match started {
            Err(_) if !is_valid => Err(ListenError::Page),
            started => started,
        }
    }

    /// Returns the service, if it was ever started.
    pub fn service(&'static self) -> Option<Handle> {
        self.0.service()
    }

    /// Waits until a stopping service has ended, and all callbacks have returned. Returns false if they have not.
    pub fn join(&self, timeout_ms: u32) -> bool {
        self.0.join(timeout_ms)
    }
}

/// Returns the milliseconds of a monotonic clock.
pub fn now_ms() -> u64 {
    wss_zephyr::uptime_ms()
}

/// Runs a function that C called. A panic ends in Zephyr's `k_panic`.
pub fn guard<T>(_fallback: T, body: impl FnOnce() -> T) -> T {
    body()
}

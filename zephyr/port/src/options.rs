// SPDX-License-Identifier: Apache-2.0
//! The configuration of a server, and errors of starting it.

use core::ffi::CStr;

#[cfg(wss_pages)]
use wss::Page;
use wss::service::Config;

use crate::kconfig;

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is requested.
    #[default]
    None = 0,
    /// A certificate is requested. If a client sends one, it must be valid.
    Optional = 1,
    /// A valid certificate is required.
    Required = 2,
}

/// The credentials of a server with TLS: DER or, with `CONFIG_MBEDTLS_PEM_CERTIFICATE_FORMAT`, PEM that ends with a
/// NUL.
#[derive(Clone, Copy, Debug)]
pub struct Tls {
    pub(crate) cert: &'static [u8],
    pub(crate) key: &'static [u8],
    pub(crate) client_ca: &'static [u8],
    pub(crate) client_auth: ClientAuth,
}

impl Tls {
    /// The credentials with the security tags in `CONFIG_WSS_TLS_SEC_TAGS`, and `CONFIG_WSS_TLS_CLIENT_AUTH`.
    pub const OF_TAGS: Self = Self::new(&[], &[]);

    /// Creates the credentials from a certificate, in PEM with its chain, and its private key.
    #[must_use]
    pub const fn new(cert: &'static [u8], key: &'static [u8]) -> Self {
        Self {
            cert,
            key,
            client_ca: &[],
            client_auth: ClientAuth::None,
        }
    }

    /// Asks clients for a certificate that one of these authorities has signed.
    #[must_use]
    pub const fn client_ca(mut self, ca: &'static [u8], auth: ClientAuth) -> Self {
        self.client_ca = ca;
        self.client_auth = auth;
        self
    }
}

/// The configuration of a server. Defaults come from Kconfig, which always determines sizes and origins.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// See [`addr`](Self::addr()); `None`: every address.
    pub addr: Option<&'a CStr>,
    /// See [`port`](Self::port()).
    pub port: u16,
    /// See [`listen`](Self::listen()).
    pub listen: bool,
    /// See [`pages`](Self::pages()).
    #[cfg(wss_pages)]
    pub pages: &'static [Page<'static>],
    /// See [`tls`](Self::tls()).
    pub tls: Option<Tls>,
    /// Timeouts and further limits, which have setters here, too. A limit against abuse (see [`Config::limits`]) that
    /// is 0 in Kconfig must be 0 here, too.
    pub limits: Config,
}

impl<'a> Options<'a> {
    /// Returns the configuration of Kconfig.
    #[must_use]
    pub const fn new() -> Self {
        #[allow(clippy::cast_possible_truncation)] // Kconfig has their ranges
        Self {
            addr: None,
            port: kconfig::PORT as u16,
            listen: true,
            #[cfg(wss_pages)]
            pages: &[],
            tls: None,
            limits: Config {
                handshake_limit: kconfig::HANDSHAKE_SIZE as u16,
                handshake_timeout_ms: kconfig::HANDSHAKE_TIMEOUT_MS,
                client_timeout_ms: kconfig::CLIENT_TIMEOUT_MS,
                ping_interval_ms: kconfig::PING_INTERVAL_MS,
                send_timeout_ms: kconfig::SEND_TIMEOUT_MS,
                close_timeout_ms: kconfig::CLOSE_TIMEOUT_MS,
                hold_timeout_ms: kconfig::HOLD_TIMEOUT_MS,
                tick_ms: 0,
                streaming: kconfig::STREAMING,
                clients_per_address: kconfig::CLIENTS_PER_ADDRESS as u16,
                handshakes_per_second: kconfig::HANDSHAKES_PER_SECOND as u16,
                control_frames_per_second: kconfig::CONTROL_FRAMES_PER_SECOND as u16,
                fragments_per_message: kconfig::FRAGMENTS_PER_MESSAGE as u16,
                login_failures_per_minute: kconfig::LOGIN_FAILURES_PER_MINUTE as u16,
            },
        }
    }

    /// Sets the address to listen on. Default: every address.
    #[must_use]
    pub const fn addr(mut self, addr: &'a CStr) -> Self {
        self.addr = Some(addr);
        self
    }

    /// Sets the port to listen on; 0: any free one. Default: `CONFIG_WSS_PORT`.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets whether to listen. Otherwise all clients are adopted, see [`Server::adopt`](crate::Server::adopt). Default:
    /// true.
    #[must_use]
    pub const fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// Sets the pages that browsers get from the server. They pass through
    /// [`Handler::on_request`](wss::Handler::on_request) like WebSocket requests. Starting fails for a page that cannot
    /// be served, see [`wss::Page::check`]. Default: none. Only with `CONFIG_WSS_PAGES`.
    #[cfg(wss_pages)]
    #[must_use]
    pub const fn pages(mut self, pages: &'static [Page<'static>]) -> Self {
        self.pages = pages;
        self
    }

    /// Sets TLS, which needs `CONFIG_WSS_TLS`. [Adopted](crate::Server::adopt) connections do not use it. Default:
    /// none.
    #[must_use]
    pub const fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    wss::limit_setters!();
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The error of a service that could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// It runs already, or is still stopping.
    Running,
    /// There are more servers than `CONFIG_WSS_SERVERS`.
    Servers,
    /// A limit against abuse is set that is 0 in Kconfig, so that there is no code for it.
    NoLimit,
    /// A tick is set without `CONFIG_WSS_TICK`, so that there is no code for it.
    NoTick,
    /// TLS needs `CONFIG_WSS_TLS`, or there are no valid credentials, or no memory: see the log.
    Tls,
    /// This port is in use by another socket.
    InUse(u16),
    /// The server cannot listen on the address: it is invalid, or there are no sockets left. The number is
    /// Zephyr's `errno`.
    Failed(u32),
    /// A page cannot be served, see [`wss::Page::check`].
    Page,
}

impl core::fmt::Display for ListenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Running => f.write_str("the server runs already"),
            Self::Servers => f.write_str("more servers than CONFIG_WSS_SERVERS"),
            Self::NoLimit => f.write_str("a limit that is 0 in Kconfig"),
            Self::NoTick => f.write_str("a tick needs CONFIG_WSS_TICK"),
            Self::Tls => f.write_str("TLS cannot be used"),
            Self::Page => f.write_str("a page is not valid"),
            Self::InUse(port) => {
                write!(
                    f,
                    "port {port} is in use: set CONFIG_WSS_PORT or pass another port"
                )
            }
            Self::Failed(errno) => write!(f, "errno {errno}"),
        }
    }
}

impl core::error::Error for ListenError {}

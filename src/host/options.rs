// SPDX-License-Identifier: Apache-2.0
//! The configuration of a server.

use std::net::{IpAddr, Ipv4Addr};

#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::limit_setters;
use crate::protocol::Page;
use crate::service::Config;

/// The configuration of a server:
///
/// ```
/// use std::time::Duration;
/// use wss::host::Options;
///
/// let options = Options::new()
///     .port(8000)
///     .max_clients(8)
///     .client_timeout(Duration::from_secs(10))
///     .tick(Duration::from_secs(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// See [`addr`](Self::addr()).
    pub addr: IpAddr,
    /// See [`port`](Self::port()).
    pub port: u16,
    /// See [`listen`](Self::listen()).
    pub listen: bool,
    /// See [`loops`](Self::loops()).
    pub loops: u16,
    /// See [`max_clients`](Self::max_clients()).
    pub max_clients: u16,
    /// See [`rx_buffer`](Self::rx_buffer()).
    pub rx_buffer: usize,
    /// See [`tx_blocks`](Self::tx_blocks()); `None`: one for each client.
    pub tx_blocks: Option<u16>,
    /// See [`origin`](Self::origin).
    pub origins: Vec<String>,
    /// See [`request_field`](Self::request_field): names with a space between them.
    pub request_fields: String,
    /// See [`tls`](Self::tls()); `None`: without TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
    /// See [`page`](Self::page).
    pub pages: Vec<Page<'static>>,
    /// Timeouts and further limits, which have setters here, too.
    pub limits: Config,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8000,
            listen: true,
            loops: 1,
            max_clients: 64,
            rx_buffer: 1400,
            tx_blocks: None,
            origins: Vec::new(),
            request_fields: String::new(),
            #[cfg(feature = "tls")]
            tls: None,
            pages: Vec::new(),
            limits: Config::default(),
        }
    }
}

impl Options {
    /// Creates a server on port 8000 of this host, with one loop for up to 64 clients and messages of up to 1400 bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address to listen on. `::` is every address, also of IPv4. Default: 127.0.0.1.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<IpAddr>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Sets the port to listen on; 0: any free one. Default: 8000.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets whether to listen. Otherwise all clients are adopted, see [`Server::adopt`](super::Server::adopt). Default:
    /// true.
    #[must_use]
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// Sets how many loops share the clients, each with its own thread and handler; at least 1. Default: 1.
    #[must_use]
    pub fn loops(mut self, loops: u16) -> Self {
        self.loops = loops;
        self
    }

    /// Sets the maximum number of clients, at least 1. Default: 64.
    #[must_use]
    pub fn max_clients(mut self, max_clients: u16) -> Self {
        self.max_clients = max_clients;
        self
    }

    /// Sets the size of the largest message that is delivered whole, in bytes; at least 4. Default: 1400. An opening
    /// request needs room, too: the memory of a client is at least as large as the longest request.
    #[must_use]
    pub fn rx_buffer(mut self, bytes: usize) -> Self {
        self.rx_buffer = bytes;
        self
    }

    /// Sets the number of blocks for output, each for a message of [`rx_buffer`](Self::rx_buffer()) bytes. One is
    /// enough to send several frames in one write. Output that a client does not take at once is kept in its receive
    /// buffer. Only while that buffer is full of messages that the application holds, the output takes a block; while
    /// no block is free, frames to such clients are refused. Default: one for each client.
    #[must_use]
    pub fn tx_blocks(mut self, blocks: u16) -> Self {
        self.tx_blocks = Some(blocks);
        self
    }

    /// Adds an origin that may connect, such as `https://example.org`; `*` allows any origin, and clients without one.
    /// Starting fails for an origin that no browser sends, see [`check_origin`](crate::protocol::check_origin).
    /// Default: the answer of the handler decides ([`Verdict::any_origin`](crate::Verdict::any_origin)). A
    /// [`Running`](super::Running) service leaves that to its application.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a header field that handlers need to answer requests, such as `Authorization` or `Cookie`: see
    /// [`Request::field`](crate::Request::field). Starting fails for a name that is not valid here, see
    /// [`check_field_names`](crate::protocol::check_field_names). Default: none.
    #[must_use]
    pub fn request_field(mut self, name: &str) -> Self {
        if !self.request_fields.is_empty() {
            self.request_fields.push(' ');
        }
        self.request_fields.push_str(name);
        self
    }

    /// Encrypts every connection with TLS: clients connect to `wss://`. [Adopted](super::Server::adopt) connections are
    /// not encrypted. Default: none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a page that browsers get from the server. Pages pass through
    /// [`Handler::on_request`](crate::Handler::on_request) like WebSocket requests, see
    /// [`Request::is_page`](crate::Request::is_page). If several pages have the same path, the first one is used.
    /// Starting fails for a page that cannot be served, see [`Page::check`]. Default: none, so that a request without
    /// an upgrade is refused with 426.
    ///
    /// ```
    /// use wss::Page;
    /// use wss::host::Options;
    ///
    /// let page = Page::new("/", "text/html", b"<!DOCTYPE html><title>Hello</title>");
    /// let options = Options::new().page(page);
    /// ```
    #[must_use]
    pub fn page(mut self, page: Page<'static>) -> Self {
        self.pages.push(page);
        self
    }

    /// Adds pages, see [`page`](Self::page).
    #[must_use]
    pub fn pages(mut self, pages: &[Page<'static>]) -> Self {
        self.pages.extend_from_slice(pages);
        self
    }

    limit_setters!();
}

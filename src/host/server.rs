//! Starting and ending a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::application::{Handler, HostApplication};
use super::port::HostPort;
use super::queue::{self, EventQueue};
use super::running::Running;
use crate::service::{Config, EventMask, Service};

/// The service of a host server: what a handler, and the owner of the server, call `send`, `ping`,
/// `close`, … on. Running it is the server's business.
pub type Clients = Service<HostPort, HostApplication>;

/// How a server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The address to listen at. `::` is every address, of IPv4 too.
    pub addr: IpAddr,
    /// The port to listen at; 0: any free one.
    pub port: u16,
    /// How many clients there may be.
    pub max_clients: u16,
    /// The largest message that is delivered whole, in bytes; at least 4.
    pub rx_buffer: usize,
    /// Blocks for output, each for a message of `rx_buffer` bytes; `None`: one for each client. One is
    /// enough to send several frames in one write. What a client does not take at once is kept in its
    /// receive buffer; only where that is full, of messages that the application holds, it takes a
    /// block, and while there is none free, frames to such clients are refused.
    pub tx_blocks: Option<u16>,
    /// Origins that may connect; none: any, and clients without an origin too. A [`Running`] service
    /// leaves that to its application.
    pub origins: Vec<String>,
    /// Time-outs and further limits.
    pub limits: Config,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8000,
            max_clients: 64,
            rx_buffer: 1400,
            tx_blocks: None,
            origins: Vec::new(),
            limits: Config::default(),
        }
    }
}

/// A running server. Dropping it ends it, as [`stop`](Self::stop) does.
pub struct Server {
    clients: Arc<Clients>,
    addr: SocketAddr,
    queue: Option<Arc<queue::Shared>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Starts a server that gives its events to `handler`.
    ///
    /// # Errors
    /// The operating system's, if the address cannot be listened at; `InvalidInput` for options that
    /// cannot work.
    pub fn start(options: &Options, handler: impl Handler) -> io::Result<Self> {
        Self::launch(options, Some(Box::new(handler)), None)
    }

    /// Starts a server that puts the events in `mask` on a queue for `depth` of them.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with_queue(
        options: &Options,
        mask: EventMask,
        depth: usize,
    ) -> io::Result<(Self, EventQueue)> {
        let shared = Arc::new(queue::Shared::new(mask, depth));
        let server = Self::launch(options, None, Some(Arc::clone(&shared)))?;
        let queue = EventQueue::new(shared, Arc::clone(&server.clients));
        Ok((server, queue))
    }

    fn launch(
        options: &Options,
        handler: Option<Box<dyn Handler>>,
        queue: Option<Arc<queue::Shared>>,
    ) -> io::Result<Self> {
        let application = HostApplication {
            handler,
            queue: queue.clone(),
            origins: options.origins.clone(),
        };
        let running = Running::start(options, application)?;
        Ok(Self {
            clients: running.service,
            addr: running.addr,
            queue,
            threads: Mutex::new(running.threads),
        })
    }

    /// What to send with, and to ask about clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The address at which the server listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the server: closes every client with 1001, waits for them for at most the close time-out,
    /// and cuts off the rest. False if a handler is still running then.
    ///
    /// In a handler it only starts that, and is false.
    pub fn stop(&self) -> bool {
        self.clients.stop();
        let ended = self.clients.wait_stopped();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if ended {
            for thread in threads.drain(..) {
                let _ = thread.join();
            }
        }
        if let Some(queue) = &self.queue {
            queue.close();
        }
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

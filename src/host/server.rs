// SPDX-License-Identifier: Apache-2.0
//! Starting and ending a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::application::{Handler, HostApplication};
use super::port::{HostPort, on_service_thread};
use super::queue::{EventQueue, sink};
use super::running::Running;
use crate::service::{Config, EventMask, MAX_SINKS, Service};

/// The service of a host server: what a handler, and the owner of the server, call `send`, `ping`,
/// `close`, … on. Running it is the server's business.
pub type Clients = Service<HostPort, HostApplication>;

/// The ids of a server that has ended refer to no client of the next one.
static NEXT_GENERATION: AtomicU32 = AtomicU32::new(0);

/// How long a service that has stopped is waited for.
const END_GRACE: Duration = Duration::from_millis(500);

/// How a server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The address to listen at. `::` is every address, of IPv4 too.
    pub addr: IpAddr,
    /// The port to listen at; 0: any free one.
    pub port: u16,
    /// Whether to listen at all. If not, clients are adopted: see [`Service::adopt_stream`].
    pub listen: bool,
    /// How many loops share the clients, each on a thread of its own; at least 1. With more than one, a
    /// handler may be called by several threads at once, but never by two for one client.
    pub loops: u16,
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
            listen: true,
            loops: 1,
            max_clients: 64,
            rx_buffer: 1400,
            tx_blocks: None,
            origins: Vec::new(),
            limits: Config::default(),
        }
    }
}

/// A server with events for several, as [`Server::builder`] begins it:
///
/// ```
/// use wss::host::{Clients, Options, Server};
/// use wss::{ClientId, Event, EventMask};
///
/// # fn main() -> std::io::Result<()> {
/// let options = Options { port: 0, ..Options::default() };
/// let answer = |clients: &Clients, id: Option<ClientId>, event: &Event<'_>| { /* … */ };
/// let (server, [log, commands]) = Server::builder(&options)
///     .handler(EventMask::TEXT, answer)
///     .start([(EventMask::CONNECTED | EventMask::CLOSED, 64), (EventMask::BINARY, 16)])?;
/// # Ok(())
/// # }
/// ```
pub struct Builder<'a> {
    options: &'a Options,
    handler: Option<(EventMask, Box<dyn Handler>)>,
}

impl Builder<'_> {
    /// Gives the events in `mask` to a handler, which decides on opening requests, too. Instead of the
    /// one before.
    #[must_use]
    pub fn handler(mut self, mask: EventMask, handler: impl Handler) -> Self {
        self.handler = Some((mask, Box::new(handler)));
        self
    }

    /// Starts the server, with a queue for each of `queues`: which events, and for how many there is
    /// room. The client of a message that several want is received from again when the last of them has
    /// let go of it.
    ///
    /// # Errors
    /// As [`Server::start`]; also `InvalidInput` for more than [`MAX_SINKS`] queues, the handler counted.
    pub fn start<const N: usize>(
        self,
        queues: [(EventMask, usize); N],
    ) -> io::Result<(Server, [EventQueue; N])> {
        let queues = queues.map(|(mask, depth)| Arc::new(sink(mask, depth)));
        let application = HostApplication {
            handler: self.handler,
            queues: queues.to_vec(),
            origins: self.options.origins.clone(),
        };
        if application.sinks() > MAX_SINKS {
            let what = format!("a server has events for no more than {MAX_SINKS}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let (working, ended) = sync_channel::<()>(0);
        let generation = NEXT_GENERATION.load(Ordering::SeqCst);
        let running = Running::start_then(self.options, application, generation, |application| {
            application.end();
            drop(working);
        })?;
        let server = Server {
            clients: running.service,
            addr: running.addr,
            threads: Mutex::new((running.threads, ended)),
        };
        let queues = queues.map(|queue| EventQueue::new(queue, Arc::clone(&server.clients)));
        Ok((server, queues))
    }
}

/// A running server. Dropping it ends it, as [`stop`](Self::stop) does.
pub struct Server {
    clients: Arc<Clients>,
    addr: SocketAddr,
    /// With what is disconnected when the last loop has done its last work.
    threads: Mutex<(Vec<JoinHandle<()>>, Receiver<()>)>,
}

impl Server {
    /// Starts a server that gives its events to `handler`.
    ///
    /// # Errors
    /// The operating system's, if the address cannot be listened at; `InvalidInput` for options that
    /// cannot work.
    pub fn start(options: &Options, handler: impl Handler) -> io::Result<Self> {
        let builder = Self::builder(options).handler(EventMask::all(), handler);
        builder.start([]).map(|(server, [])| server)
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
        let started = Self::builder(options).start([(mask, depth)]);
        started.map(|(server, [queue])| (server, queue))
    }

    /// For a server with a handler and queues, or several queues.
    #[must_use]
    pub const fn builder(options: &Options) -> Builder<'_> {
        Builder {
            options,
            handler: None,
        }
    }

    /// What to send with, and to ask about clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The address at which the server listens; with port 0 if it does not.
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
        NEXT_GENERATION.fetch_max(self.clients.next_generation(), Ordering::SeqCst);
        if on_service_thread() {
            // Its threads, of which this may be one, cannot be waited for, even if all is over but this.
            return false;
        }
        let ended = self.clients.wait_stopped() && self.join();
        // Even if there still are events: the handler that keeps it may wait for who waits for them.
        self.clients.application().end();
        ended
    }

    /// Waits for the threads of a service that has stopped: false if a handler is still told something of the
    /// service as a whole.
    fn join(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let (threads, ended) = &mut *threads;
        let ended = ended.recv_timeout(END_GRACE) == Err(RecvTimeoutError::Disconnected);
        if ended {
            for thread in threads.drain(..) {
                let _ = thread.join();
            }
        }
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Starting and stopping a server.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::adopt::NotAdopted;
use super::application::{HostApplication, ServerService};
use super::monitor::lock;
use super::options::Options;
use super::port::on_service_thread;
use super::queue::{EventQueue, sink};
use super::running::Running;
use crate::clients::{Clients, ErasedService, ServiceOf};
use crate::handler::{Dispatcher, EventHandler, Handler};
use crate::service::{ClientId, EventMask, MAX_SINKS, Opening};

/// The next generation, so that ids of a stopped server refer to no client of a later one.
static NEXT_GENERATION: AtomicU32 = AtomicU32::new(0);

/// How long to wait for a service that has stopped.
const END_GRACE: Duration = Duration::from_millis(500);

/// Builds a server with a handler and queues, or several queues, see [`Server::builder`]:
///
/// ```
/// use wss::host::{Options, Server};
/// use wss::{ClientId, Clients, EventMask, Handler};
///
/// struct Greeter(Clients);
///
/// impl Handler for Greeter {
///     type Session = ();
///     // …
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let options = Options::new().port(0);
/// let (server, [log, commands]) = Server::builder(&options)
///     .handler(Greeter)
///     .start([(EventMask::CONNECTED | EventMask::CLOSED, 64), (EventMask::BINARY, 16)])?;
/// # Ok(())
/// # }
/// ```
pub struct Builder<'a> {
    options: &'a Options,
    handler: Option<(EventMask, Box<MakeHandler<'a>>)>,
}

/// Creates the handler of a loop. Gets the clients, and the numbers of clients and of loops.
type MakeHandler<'a> = dyn FnMut(Clients, (usize, usize)) -> BoxedHandler + 'a;
type BoxedHandler = Box<dyn EventHandler + Send>;

impl<'a> Builder<'a> {
    /// Sets the handler, which gets every event and answers opening requests. `make` is called for each loop, before
    /// the server listens. Replaces the previous handler.
    #[must_use]
    pub fn handler<H: Handler>(mut self, mut make: impl FnMut(Clients) -> H + 'a) -> Self {
        let make = move |clients, (max_clients, loops): (usize, usize)| -> BoxedHandler {
            let entries: Box<[_]> = (0..max_clients.div_ceil(loops)).map(|_| None).collect();
            Box::new(Dispatcher::new(make(clients), entries, loops))
        };
        self.handler = Some((EventMask::all(), Box::new(make)));
        self
    }

    /// Sets a function that creates the receiver of raw events. For tests of the service.
    #[doc(hidden)]
    #[must_use]
    pub fn events<H: EventHandler + Send + 'static>(
        mut self,
        mask: EventMask,
        mut make: impl FnMut(Clients) -> H + 'a,
    ) -> Self {
        let make = move |clients, _: (usize, usize)| -> BoxedHandler { Box::new(make(clients)) };
        self.handler = Some((mask, Box::new(make)));
        self
    }

    /// Starts the server, with a queue for each entry of `queues`: its events, and its number of entries. If several
    /// queues get a message, the server reads from its client again when the last of them has released it.
    ///
    /// # Errors
    /// As [`Server::start`]; also `InvalidInput` for more than [`MAX_SINKS`] queues, including the handler.
    pub fn start<const N: usize>(
        mut self,
        queues: [(EventMask, usize); N],
    ) -> io::Result<(Server, [EventQueue; N])> {
        let options = self.options;
        let queues = queues.map(|(mask, depth)| Arc::new(sink(mask, depth)));
        let loops = self.handler.as_ref().map_or(0, |_| options.loops);
        let mask = self.handler.as_ref().map(|(mask, _)| *mask);
        let application = HostApplication {
            mask: mask.unwrap_or_default(),
            handlers: (0..loops).map(|_| Mutex::default()).collect(),
            queues: queues.to_vec(),
            origins: options.origins.clone(),
            request_fields: options.request_fields.clone(),
            pages: options.pages.clone(),
        };
        if application.sinks() > MAX_SINKS {
            let what = format!("a server has events for no more than {MAX_SINKS}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let (working, ended) = sync_channel::<()>(0);
        let generation = NEXT_GENERATION.load(Ordering::SeqCst);
        let mut made = None;
        let first = |service: &Arc<ServerService>| {
            let clients = Clients::of_shared(Arc::<ServerService>::clone(service));
            if let Some((_, make)) = &mut self.handler {
                let sizes = (service.max_clients(), usize::from(loops));
                for handler in &service.application().handlers {
                    *lock(handler) = Some(make(clients.clone(), sizes));
                }
            }
            made = Some(clients);
        };
        let then = |application: &HostApplication| {
            application.end();
            application.drop_handlers();
            drop(working);
        };
        let running = Running::start_then(options, application, generation, first, then)?;
        let server = Server {
            clients: made.unwrap_or_else(|| Clients::of_shared(running.service.clone())),
            service: running.service,
            addr: running.addr,
            threads: Mutex::new((running.threads, ended)),
        };
        let queues = queues.map(|queue| {
            EventQueue::new(queue, Arc::clone(&server.service), server.clients.clone())
        });
        Ok((server, queues))
    }
}

impl ServiceOf for ServerService {
    fn service(&self) -> Option<&dyn ErasedService> {
        Some(self)
    }
}

/// A running server. Dropping it stops it, as [`stop`](Self::stop).
pub struct Server {
    service: Arc<ServerService>,
    clients: Clients,
    addr: SocketAddr,
    /// The channel is disconnected when the last loop has finished.
    threads: Mutex<(Vec<JoinHandle<()>>, Receiver<()>)>,
}

impl Server {
    /// Starts a server with a handler. `make` creates it with the [`Clients`] to send with, on this thread, once for
    /// each of [`Options::loops`]. The handlers are dropped when the server has stopped.
    ///
    /// # Errors
    /// The operating system's error, if it cannot listen on the address; `InvalidInput` for options that are not valid.
    pub fn start<H: Handler>(
        options: &Options,
        make: impl FnMut(Clients) -> H,
    ) -> io::Result<Self> {
        let builder = Self::builder(options).handler(make);
        builder.start([]).map(|(server, [])| server)
    }

    /// Starts a server that puts the events in `mask` on a queue with `depth` entries.
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

    /// Builds a server with a handler and queues, or with several queues.
    #[must_use]
    pub const fn builder(options: &Options) -> Builder<'_> {
        Builder {
            options,
            handler: None,
        }
    }

    /// Returns the clients of the server, to send and to query from any thread.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Returns the address that the server listens on; with port 0 if it does not listen.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes over a connection from another server: an HTTP server hands over requests for an upgrade, so that both
    /// share a port. `received` is what it has read and not handled. Copies of the stream must not be used any more.
    ///
    /// # Errors
    /// [`NotAdopted`], which contains the stream, to answer with 503 or to try again.
    pub fn adopt(
        &self,
        stream: TcpStream,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, NotAdopted> {
        self.service.adopt_stream(stream, received, opening)
    }

    /// Stops the server: closes every client with 1001, waits for at most the close timeout, and aborts the remaining
    /// ones. Returns false if a handler is still running then.
    ///
    /// In a handler it only starts to stop the server, and returns false.
    pub fn stop(&self) -> bool {
        self.service.stop();
        self.wait()
    }

    /// Aborts all clients of a server that is being stopped, without waiting for them. Returns at once.
    pub fn stop_now(&self) {
        self.service.stop_now();
    }

    /// Waits for a server that is being stopped, as [`stop`](Self::stop) does.
    fn wait(&self) -> bool {
        NEXT_GENERATION.fetch_max(self.service.next_generation(), Ordering::SeqCst);
        if on_service_thread() {
            // The calling thread may be one of the server's, so it cannot wait for them, even if all else has ended.
            return false;
        }
        let ended = self.service.wait_stopped() && self.join();
        // Even if events are left: the handler may wait for a reader that waits for them.
        self.service.application().end();
        ended
    }

    /// Waits for the threads of a stopped service. Returns false if a handler is still running.
    fn join(&self) -> bool {
        let mut threads = lock(&self.threads);
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

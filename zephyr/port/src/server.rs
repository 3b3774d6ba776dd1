//! Starting and ending a server in a Rust application.

use wss::EventMask;
use wss::service::{MAX_SINKS, Queue, Service};

use crate::application::{Handler, ZephyrApplication};
use crate::events::{EventQueue, Sink};
use crate::on_service_thread;
use crate::place::{Place, Shared};
use crate::port::{SERVERS, ZephyrPort};
use crate::queue::MessageQueue;
use crate::running::{ListenError, Options, Places, Running, Threads};

/// The service of a server in Rust: what a handler, and the owner of the server, call `send`, `ping`,
/// `close`, … on. Running it is the server's business.
pub type Clients = Service<ZephyrPort, ZephyrApplication>;

/// How long `stop` waits for the work queue to be done with a server that has stopped, in milliseconds:
/// only handlers of other servers may be in front.
const LET_GO_MS: u32 = 500;

static PLACES: Places<ZephyrApplication> = [const { Place::new() }; SERVERS];

/// Why a server could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The listening socket, or too many servers.
    Listen(ListenError),
    /// There are no more than `CONFIG_WSS_QUEUES` queues, for `CONFIG_WSS_QUEUE_DEPTH` events each, nor
    /// more than [`MAX_SINKS`] for one server, its handler counted.
    NoQueue,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::NoQueue => f.write_str("no queue for so many events (CONFIG_WSS_QUEUES)"),
        }
    }
}

impl core::error::Error for StartError {}

/// A server with events for several, as [`Server::builder`] begins it.
pub struct Builder<'a> {
    options: &'a Options<'a>,
    handler: Option<(EventMask, &'static dyn Handler)>,
}

impl Builder<'_> {
    /// Gives the events in `mask` to a handler, which decides on opening requests, too. Instead of the
    /// one before.
    #[must_use]
    pub const fn handler(mut self, mask: EventMask, handler: &'static dyn Handler) -> Self {
        self.handler = Some((mask, handler));
        self
    }

    /// Starts the server, with a queue for each of `queues`: which events, and for how many there is
    /// room. The client of a message that several want is received from again when the last of them has
    /// let go of it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start<const N: usize>(
        self,
        queues: [(EventMask, usize); N],
    ) -> Result<(Server, [EventQueue; N]), StartError> {
        let mut application = ZephyrApplication {
            handler: self.handler,
            queues: [const { None }; MAX_SINKS],
        };
        if queues.len() > MAX_SINKS {
            return Err(StartError::NoQueue);
        }
        for (place, (mask, depth)) in application.queues.iter_mut().zip(queues) {
            let queue = MessageQueue::new(depth).ok_or(StartError::NoQueue)?;
            *place = Some(Sink::new(mask, queue));
        }
        if application.sinks() > MAX_SINKS {
            return Err(StartError::NoQueue);
        }
        let server = Server::launch(self.options, application)?;
        let queue = |index| EventQueue::new(server.clients.clone(), index);
        let queues = core::array::from_fn(queue);
        Ok((server, queues))
    }
}

/// A running server. Dropping it ends it, as [`stop`](Self::stop) does.
///
/// There are up to `CONFIG_WSS_SERVERS` at a time. The next can be started once one of them, its
/// [`EventQueue`] and every [`share`](Self::share) of it are dropped. The work queue is that of all, so
/// that their handlers are called one after the other.
pub struct Server {
    clients: Shared<Clients>,
    port: u16,
    threads: Threads,
}

impl Server {
    /// Starts a server that gives its events to `handler`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: &Options<'_>, handler: &'static dyn Handler) -> Result<Self, StartError> {
        let builder = Self::builder(options).handler(EventMask::all(), handler);
        builder.start([]).map(|(server, [])| server)
    }

    /// Starts a server that puts the events in `mask` on a queue for `depth` of them.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn with_queue(
        options: &Options<'_>,
        mask: EventMask,
        depth: usize,
    ) -> Result<(Self, EventQueue), StartError> {
        let started = Self::builder(options).start([(mask, depth)]);
        started.map(|(server, [queue])| (server, queue))
    }

    /// For a server with a handler and queues, or several queues.
    #[must_use]
    pub const fn builder<'a>(options: &'a Options<'a>) -> Builder<'a> {
        Builder {
            options,
            handler: None,
        }
    }

    fn launch(options: &Options<'_>, application: ZephyrApplication) -> Result<Self, StartError> {
        let running = Running::start(&PLACES, options, || application);
        let running = running.map_err(StartError::Listen)?;
        Ok(Self {
            clients: running.service,
            port: running.port,
            threads: running.threads,
        })
    }

    /// What to send with, and to ask about clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The same for another thread, to keep.
    #[must_use]
    pub fn share(&self) -> Shared<Clients> {
        self.clients.clone()
    }

    /// The port at which the server listens.
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        self.port
    }

    /// Ends the server: closes every client with 1001, waits for them for at most the close time-out,
    /// and cuts off the rest. False if a handler is still running then.
    ///
    /// In a handler it only starts that, and is false.
    pub fn stop(&self) -> bool {
        self.clients.stop();
        let ended = self.clients.wait_stopped();
        self.clients.application().queues().for_each(Queue::end);
        if ended && !on_service_thread() {
            // Else there would be no place for the next one yet.
            self.threads.let_go(LET_GO_MS);
        }
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

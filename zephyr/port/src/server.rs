// SPDX-License-Identifier: Apache-2.0
//! Starting and ending a server in a Rust application.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use wss::EventMask;

use crate::application::{Handler, ZephyrApplication};
use crate::clients::Clients;
use crate::events::EventQueue;
use crate::instance::Instance;
use crate::on_service_thread;
use crate::options::{ListenError, Options};

/// How long `stop` waits for the WSS thread to end when all clients are closed, in milliseconds: only
/// handlers of other servers may be in front.
const END_MS: u32 = 500;

/// Why a server could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The server runs, or the listening socket failed.
    Listen(ListenError),
    /// There are no more than `CONFIG_WSS_QUEUES` queues, for `CONFIG_WSS_QUEUE_DEPTH` events each, nor
    /// more than three for one server.
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
    server: &'static Server,
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
    ) -> Result<[EventQueue; N], StartError> {
        self.server.launch(self.options, self.handler, &queues)?;
        let run = self.server.run();
        Ok(core::array::from_fn(|index| {
            EventQueue::new(self.server, run, index)
        }))
    }
}

/// A server, with all of its memory:
///
/// ```ignore
/// static SERVER: Server = Server::new();
///
/// SERVER.start(&Options::new(), &Echo)?;
/// ```
///
/// It can be started again once it has ended. There may be as many as `CONFIG_WSS_SERVERS`. The work queue
/// is that of all, so that their handlers are called one after the other.
pub struct Server {
    instance: Instance<ZephyrApplication>,
    /// Where it listens.
    port: AtomicU16,
    /// How often it was started.
    runs: AtomicU32,
}

impl Server {
    /// A server that does not run. All zeros, so that it takes no flash.
    #[must_use]
    #[allow(clippy::new_without_default)] // it is for statics
    pub const fn new() -> Self {
        Self {
            instance: Instance::new(ZephyrApplication::new()),
            port: AtomicU16::new(0),
            runs: AtomicU32::new(0),
        }
    }

    /// Starts the server, with its events for `handler`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        &'static self,
        options: &Options<'_>,
        handler: &'static dyn Handler,
    ) -> Result<(), StartError> {
        let builder = self.builder(options).handler(EventMask::all(), handler);
        builder.start([]).map(|[]| ())
    }

    /// Starts the server, with the events in `mask` for a queue with room for `depth` of them.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_with_queue(
        &'static self,
        options: &Options<'_>,
        mask: EventMask,
        depth: usize,
    ) -> Result<EventQueue, StartError> {
        let started = self.builder(options).start([(mask, depth)]);
        started.map(|[queue]| queue)
    }

    /// For a server with a handler and queues, or several queues.
    #[must_use]
    pub const fn builder<'a>(&'static self, options: &'a Options<'a>) -> Builder<'a> {
        Builder {
            server: self,
            options,
            handler: None,
        }
    }

    fn launch(
        &'static self,
        options: &Options<'_>,
        handler: Option<(EventMask, &'static dyn Handler)>,
        queues: &[(EventMask, usize)],
    ) -> Result<(), StartError> {
        let application = self.application();
        let mut enough = true;
        let started = self.instance.start(options, |_| {
            // SAFETY: it is about to start, so that it does not run.
            unsafe { application.set_handler(handler) };
            enough = application.set_queues(queues);
            self.runs.fetch_add(1, Ordering::SeqCst);
            enough
        });
        match started {
            Ok(port) => self.port.store(port, Ordering::Relaxed),
            Err(_) if !enough => return Err(StartError::NoQueue),
            Err(error) => return Err(StartError::Listen(error)),
        }
        Ok(())
    }

    pub(crate) const fn application(&self) -> &ZephyrApplication {
        self.instance.application()
    }

    /// Which run of it this is.
    pub(crate) fn run(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    /// What to send with, and to ask about clients, from any thread.
    #[must_use]
    pub fn clients(&self) -> Clients<'_> {
        Clients(self.instance.service())
    }

    /// The port at which the server listens.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Begins to end the server, as [`stop`](Self::stop) does, and returns at once.
    pub fn begin_stop(&self) {
        if let Some(service) = self.instance.service() {
            service.stop();
        }
    }

    /// Ends the server: closes every client with 1001, waits for them for at most the close timeout,
    /// and cuts off the rest. False if a handler is still running then.
    ///
    /// In a handler it only starts that, and is false.
    pub fn stop(&self) -> bool {
        let Some(service) = self.instance.service() else {
            return true;
        };
        service.stop();
        let ended = service.wait_stopped() && (on_service_thread() || self.instance.join(END_MS));
        self.application().end();
        ended
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Starting and stopping a server in a Rust application.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use wss::clients::{ErasedService, ServiceOf};
use wss::handler::{Dispatcher, Entry, EventHandler};
use wss::{AdoptError, ClientId, Clients, EventMask, Handler, Opening};

use crate::application::{ServerService, ZephyrApplication};
use crate::events::EventQueue;
use crate::instance::Instance;
use crate::kconfig;
use crate::on_service_thread;
use crate::options::{ListenError, Options};
use crate::port::{CLIENTS, Descriptor};

/// How long `stop` waits for the WSS thread to end after all clients are closed, in milliseconds. Only handlers of
/// other servers can delay it.
const END_MS: u32 = 500;

/// The error of a server that could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The server runs already, or the listening socket failed.
    Listen(ListenError),
    /// There is no queue left (`CONFIG_WSS_QUEUES`), none has room for so many events (`CONFIG_WSS_QUEUE_DEPTH`), or
    /// there are more than three for the server.
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

/// Builds a server with a handler and queues, or several queues, see [`Server::builder`].
pub struct Builder<'a, H: Handler, F = fn(Clients) -> H> {
    server: &'static Server<H>,
    options: &'a Options<'a>,
    make: Option<F>,
}

impl<'a, H: Handler, F: FnOnce(Clients) -> H> Builder<'a, H, F> {
    /// Sets the handler, which gets every event and answers opening requests. `make` is called before the server
    /// listens.
    #[must_use]
    pub fn handler<G: FnOnce(Clients) -> H>(self, make: G) -> Builder<'a, H, G> {
        Builder {
            server: self.server,
            options: self.options,
            make: Some(make),
        }
    }

    /// Starts the server, with a queue for each entry of `queues`: its events, and its number of entries. If several
    /// queues get a message, the server reads from its client again when the last of them has released it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start<const N: usize>(
        self,
        queues: [(EventMask, usize); N],
    ) -> Result<[EventQueue; N], StartError> {
        self.server.launch(self.options, self.make, &queues)?;
        let base = &self.server.base;
        let run = base.run();
        Ok(core::array::from_fn(|index| {
            EventQueue::new(base, run, index)
        }))
    }
}

/// A server with its handler, in static memory:
///
/// ```ignore
/// static SERVER: Server<App> = Server::new();
///
/// SERVER.start(&Options::new(), App::new)?;
/// ```
///
/// It can be started again after it has stopped. There can be `CONFIG_WSS_SERVERS` of them. All share the work queue,
/// so their handlers are called one after the other. A server without a handler, whose events go to queues, is a
/// `Server<()>`.
pub struct Server<H: Handler = ()> {
    base: Base,
    /// The handler, and the sessions of its clients. It is not all zeros, which would take flash, so it stays
    /// uninitialised until the first start.
    dispatcher: UnsafeCell<MaybeUninit<Dispatch<H>>>,
    /// The handler is initialised.
    is_made: AtomicBool,
}

type Dispatch<H> = Dispatcher<H, [Option<Entry<<H as Handler>::Session>>; CLIENTS]>;

// SAFETY: the dispatcher is written by one thread at a time while the server does not run (see `Instance::start`), and
// used by one thread while it runs. The handler and its sessions are `Send`.
unsafe impl<H: Handler> Sync for Server<H> {}

/// The part of a server that does not depend on its handler.
pub(crate) struct Base {
    instance: Instance<ZephyrApplication>,
    /// The port that it listens on.
    port: AtomicU16,
    /// The number of starts.
    runs: AtomicU32,
}

impl Base {
    pub(crate) const fn application(&self) -> &ZephyrApplication {
        self.instance.application()
    }

    /// Returns the service, whether it runs or not, if it was ever started.
    pub(crate) fn service(&self) -> Option<&ServerService> {
        self.instance.service()
    }

    /// Returns the number of this run of the server.
    pub(crate) fn run(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    pub(crate) const fn clients(&'static self) -> Clients {
        Clients::of_static(self)
    }

    fn stop(&self) -> bool {
        let Some(service) = self.service() else {
            return true;
        };
        service.stop();
        let ended = service.wait_stopped() && (on_service_thread() || self.instance.join(END_MS));
        // Even if a handler is still running: it may wait for the reader of a queue.
        self.application().end();
        ended
    }

    /// See [`Server::adopt`].
    unsafe fn adopt(
        &self,
        fd: i32,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        let service = self.service().ok_or(AdoptError::Stopping)?;
        // SAFETY: the caller guarantees it.
        let socket = unsafe { Descriptor::adopt(fd) }?;
        service.adopt(&socket, received, opening)
    }
}

impl ServiceOf for Base {
    fn service(&self) -> Option<&dyn ErasedService> {
        let service = self.instance.service()?;
        Some(service)
    }
}

impl<H: Handler> Server<H> {
    /// Creates a server that does not run. It takes no flash.
    #[must_use]
    #[allow(clippy::new_without_default)] // it is for statics
    pub const fn new() -> Self {
        Self {
            base: Base {
                instance: Instance::new(ZephyrApplication::new()),
                port: AtomicU16::new(0),
                runs: AtomicU32::new(0),
            },
            dispatcher: UnsafeCell::new(MaybeUninit::uninit()),
            is_made: AtomicBool::new(false),
        }
    }

    /// Starts the server with a handler. `make` creates it with the [`Clients`] to send with. The handler of the
    /// previous run is dropped first.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        &'static self,
        options: &Options<'_>,
        make: impl FnOnce(Clients) -> H,
    ) -> Result<(), StartError> {
        self.launch(options, Some(make), &[])
    }

    /// Starts the server without a handler. It puts the events in `mask` on a queue with `depth` entries.
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

    /// Builds a server with a handler and queues, or with several queues.
    #[must_use]
    pub const fn builder<'a>(&'static self, options: &'a Options<'a>) -> Builder<'a, H> {
        Builder {
            server: self,
            options,
            make: None,
        }
    }

    fn launch(
        &'static self,
        options: &Options<'_>,
        make: Option<impl FnOnce(Clients) -> H>,
        queues: &[(EventMask, usize)],
    ) -> Result<(), StartError> {
        if !kconfig::TICK && options.limits.tick_ms > 0 {
            return Err(StartError::Listen(ListenError::NoTick));
        }
        let application = self.base.application();
        let mut enough = true;
        #[cfg_attr(not(wss_pages), expect(unused_mut))]
        let mut served = true;
        let started = self.base.instance.start(options, |_| {
            // SAFETY: the server does not run, and no other thread starts it.
            unsafe { application.set_handler(None) };
            // SAFETY: as above, and the application has no handler any more.
            let handler = unsafe { self.renew(make) };
            // SAFETY: as above; only the application uses the handler until the next start.
            unsafe { application.set_handler(handler) };
            #[cfg(wss_pages)]
            {
                // SAFETY: as above.
                served = unsafe { application.set_pages(options.pages) };
            }
            enough = application.set_queues(queues);
            self.base.runs.fetch_add(1, Ordering::SeqCst);
            enough && served
        });
        match started {
            Ok(port) => self.base.port.store(port, Ordering::Relaxed),
            Err(_) if !served => return Err(StartError::Listen(ListenError::Page)),
            Err(_) if !enough => return Err(StartError::NoQueue),
            Err(error) => return Err(StartError::Listen(error)),
        }
        Ok(())
    }

    /// Drops the handler of the previous run, and creates a new one.
    ///
    /// # Safety
    /// No other thread uses the dispatcher, and the application does not refer to it.
    unsafe fn renew(
        &'static self,
        make: Option<impl FnOnce(Clients) -> H>,
    ) -> Option<NonNull<dyn EventHandler>> {
        // SAFETY: no other thread uses it.
        let place = unsafe { &mut *self.dispatcher.get() };
        if self.is_made.swap(false, Ordering::Relaxed) {
            // SAFETY: it was initialised before `is_made` was set.
            unsafe { place.assume_init_drop() };
        }
        let handler = make?(self.clients());
        let dispatcher = place.write(Dispatcher::new(handler, [const { None }; CLIENTS], 1));
        self.is_made.store(true, Ordering::Relaxed);
        let handler: &'static mut dyn EventHandler = dispatcher;
        Some(NonNull::from(handler))
    }

    /// Returns the clients of the server, to send and to query from any thread. There are none while the server does
    /// not run.
    #[must_use]
    pub const fn clients(&'static self) -> Clients {
        self.base.clients()
    }

    /// Returns the port that the server listens on.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.base.port.load(Ordering::Relaxed)
    }

    /// Takes over a connection that the application has accepted. `received` is what it has read and not handled.
    ///
    /// # Errors
    /// See [`AdoptError`]. The caller then still owns the descriptor.
    ///
    /// # Safety
    /// The caller owns the descriptor, and no thread polls it any more. Once it is adopted, the server owns it.
    pub unsafe fn adopt(
        &self,
        fd: i32,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        // SAFETY: the caller guarantees it.
        unsafe { self.base.adopt(fd, received, opening) }
    }

    /// Stops the server: closes every client with 1001, waits for at most the close timeout, and aborts the remaining
    /// ones. Returns false if a handler is still running then. [`Clients::stop`] does not wait.
    ///
    /// In a handler it only starts to stop the server, and returns false.
    pub fn stop(&self) -> bool {
        self.base.stop()
    }
}

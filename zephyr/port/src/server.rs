// SPDX-License-Identifier: Apache-2.0
//! Starting and ending a server in a Rust application.

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

/// How long `stop` waits for the WSS thread to end when all clients are closed, in milliseconds: only
/// handlers of other servers may be in front.
const END_MS: u32 = 500;

/// Why a server could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// A server with a handler and queues, or several queues, as [`Server::builder`] begins it.
pub struct Builder<'a, H: Handler, F = fn(Clients) -> H> {
    server: &'static Server<H>,
    options: &'a Options<'a>,
    make: Option<F>,
}

impl<'a, H: Handler, F: FnOnce(Clients) -> H> Builder<'a, H, F> {
    /// Gives every event to the handler that `make` makes, which decides on opening requests, too. It is called
    /// before the server listens.
    #[must_use]
    pub fn handler<G: FnOnce(Clients) -> H>(self, make: G) -> Builder<'a, H, G> {
        Builder {
            server: self.server,
            options: self.options,
            make: Some(make),
        }
    }

    /// Starts the server, with a queue for each of `queues`: which events, and for how many there is
    /// room. The client of a message that several want is received from again when the last of them has
    /// released it.
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
/// It can be started again once it has ended. There may be as many as `CONFIG_WSS_SERVERS`. The work queue
/// is that of all, so that their handlers are called one after the other. A server without a handler, whose events go
/// to queues, is a `Server<()>`.
pub struct Server<H: Handler = ()> {
    base: Base,
    /// The handler, and the sessions of its clients. It is not zeros, which would take flash, but nothing until the
    /// first start.
    dispatcher: UnsafeCell<MaybeUninit<Dispatch<H>>>,
    /// There is a handler.
    is_made: AtomicBool,
}

type Dispatch<H> = Dispatcher<H, [Option<Entry<<H as Handler>::Session>>; CLIENTS]>;

// SAFETY: the dispatcher is written while the server does not run, by one thread at a time (see `Instance::start`),
// and is used by one thread while it runs. The handler and its sessions are `Send`.
unsafe impl<H: Handler> Sync for Server<H> {}

/// What all servers have, whatever their handlers are.
pub(crate) struct Base {
    instance: Instance<ZephyrApplication>,
    /// Where it listens.
    port: AtomicU16,
    /// How often it was started.
    runs: AtomicU32,
}

impl Base {
    pub(crate) const fn application(&self) -> &ZephyrApplication {
        self.instance.application()
    }

    /// Returns the service, whether or not it runs, if it ever did.
    pub(crate) fn service(&self) -> Option<&ServerService> {
        self.instance.service()
    }

    /// Returns which run of the server this is.
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
        // SAFETY: the caller knows it.
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

    /// Starts the server with the handler that `make` makes with the [`Clients`] to send with. The handler of the
    /// run before is dropped first.
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

    /// Starts the server without a handler, with the events in `mask` for a queue with room for `depth` of them.
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

    /// Begins a server with a handler and queues, or several queues.
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
            // SAFETY: it is about to start, so that it does not run, and no other thread starts it.
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

    /// Drops the handler of the run before, and makes another one.
    ///
    /// # Safety
    /// No other thread uses the dispatcher, and the application does not have it.
    unsafe fn renew(
        &'static self,
        make: Option<impl FnOnce(Clients) -> H>,
    ) -> Option<NonNull<dyn EventHandler>> {
        // SAFETY: this is the only thread that uses it.
        let place = unsafe { &mut *self.dispatcher.get() };
        if self.is_made.swap(false, Ordering::Relaxed) {
            // SAFETY: it was written before `is_made` was set.
            unsafe { place.assume_init_drop() };
        }
        let handler = make?(self.clients());
        let dispatcher = place.write(Dispatcher::new(handler, [const { None }; CLIENTS], 1));
        self.is_made.store(true, Ordering::Relaxed);
        let handler: &'static mut dyn EventHandler = dispatcher;
        Some(NonNull::from(handler))
    }

    /// Returns what to send with, and to ask about clients, from any thread. There are none while the server does not
    /// run.
    #[must_use]
    pub const fn clients(&'static self) -> Clients {
        self.base.clients()
    }

    /// Returns the port on which the server listens.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.base.port.load(Ordering::Relaxed)
    }

    /// Takes over a connection that the application has accepted. `received` is what it has read and not dealt
    /// with.
    ///
    /// # Errors
    /// See [`AdoptError`]. The descriptor is still the caller's then.
    ///
    /// # Safety
    /// The descriptor is the caller's, and no thread polls it any more. Once it is adopted, it is the server's.
    pub unsafe fn adopt(
        &self,
        fd: i32,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        // SAFETY: the caller knows it.
        unsafe { self.base.adopt(fd, received, opening) }
    }

    /// Ends the server: closes every client with 1001, waits for them for at most the close timeout,
    /// and cuts off the rest. False if a handler is still running then. [`Clients::stop`] does not wait.
    ///
    /// In a handler it only starts that, and is false.
    pub fn stop(&self) -> bool {
        self.base.stop()
    }
}

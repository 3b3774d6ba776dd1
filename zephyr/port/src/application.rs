// SPDX-License-Identifier: Apache-2.0
//! Delivers the events of a server in a Rust application.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use wss::handler::EventHandler;
use wss::protocol::OriginMatch;
use wss::service::{Application, Delivery, MAX_SINKS, Queue as _, QueueSink, QueueState, Service};
use wss::{Answer, ClientId, Event, EventMask, Page, Request, Verdict};

use crate::events::{Received, Sink};
use crate::kconfig;
use crate::lock::KernelLock;
use crate::port::ZephyrPort;
use crate::queue::MessageQueue;
use crate::shell::Paths;

/// The sink that is the handler; the others are queues.
const HANDLER: usize = 0;
/// The maximum number of queues of a server.
pub(crate) const QUEUES: usize = MAX_SINKS - 1;

/// The service of a server in Rust.
pub(crate) type ServerService = Service<ZephyrPort, ZephyrApplication>;

/// The handler and the queues of a server.
pub(crate) struct ZephyrApplication {
    handler: UnsafeCell<Option<NonNull<dyn EventHandler>>>,
    /// The events that the handler gets: all, or none if there is no handler.
    mask: AtomicU32,
    queues: [Sink; QUEUES],
    /// Only with `CONFIG_WSS_PAGES`.
    pages: [UnsafeCell<Option<&'static [Page<'static>]>>; kconfig::PAGES as usize],
}

// SAFETY: only one thread at a time uses the handler, which is `Send`: see `set_handler`.
unsafe impl Sync for ZephyrApplication {}

impl ZephyrApplication {
    pub const fn new() -> Self {
        Self {
            handler: UnsafeCell::new(None),
            mask: AtomicU32::new(0),
            queues: [const { no_queue() }; QUEUES],
            pages: [const { UnsafeCell::new(None) }; kconfig::PAGES as usize],
        }
    }

    /// Sets the handler.
    ///
    /// # Safety
    /// The server does not run. The handler is `Send`, and only this uses it until it is replaced.
    pub unsafe fn set_handler(&self, handler: Option<NonNull<dyn EventHandler>>) {
        let mask = match handler {
            Some(_) => EventMask::all(),
            None => EventMask::empty(),
        };
        self.mask.store(mask.bits(), Ordering::Relaxed);
        // SAFETY: no thread reads it.
        unsafe { *self.handler.get() = handler };
    }

    /// Sets the pages. Returns false if one cannot be served.
    ///
    /// # Safety
    /// The server does not run.
    #[cfg(wss_pages)]
    pub unsafe fn set_pages(&self, pages: &'static [Page<'static>]) -> bool {
        if let Some(place) = self.pages.first() {
            // SAFETY: no thread reads it.
            unsafe { *place.get() = Some(pages) };
        }
        pages.len() <= usize::from(u16::MAX) && pages.iter().all(|page| page.check().is_ok())
    }

    /// Calls the handler, if there is one.
    ///
    /// Only the service may call this, as [`Application`] documents: on the single thread that does the server's work,
    /// and not while the handler runs. No method that a handler can reach delivers events.
    fn with_handler(&self, call: impl FnOnce(&mut dyn EventHandler)) {
        // SAFETY: no thread replaces it while the server runs.
        let handler = unsafe { *self.handler.get() };
        if let Some(mut handler) = handler {
            // SAFETY: it lives until it is replaced, and is not in use: see above.
            call(unsafe { handler.as_mut() });
        }
    }

    /// Replaces the queues of the server. Returns false if there are not enough.
    pub fn set_queues(&self, wanted: &[(EventMask, usize)]) -> bool {
        let clear = || self.queues.iter().for_each(Sink::clear);
        clear();
        let mut places = wanted.iter().zip(&self.queues);
        let enough = wanted.len() <= QUEUES
            && places.all(|((mask, depth), queue)| {
                let storage = MessageQueue::new(*depth);
                storage.map(|storage| queue.begin(*mask, storage)).is_some()
            });
        if !enough {
            clear();
        }
        enough
    }

    pub fn queue(&self, index: usize) -> Option<&Sink> {
        self.queues.get(index)
    }

    /// Ends the queues: no more events follow.
    pub fn end(&self) {
        self.queues.iter().for_each(|queue| queue.end());
    }
}

const fn no_queue() -> Sink {
    // SAFETY: a `QueueSink` holds its lock only while it uses its storage.
    let state = unsafe { KernelLock::new(QueueState::EMPTY) };
    QueueSink::new(EventMask::empty(), state)
}

impl Paths for ZephyrApplication {}

impl Application<ZephyrPort> for ZephyrApplication {
    const TICKS: bool = kconfig::TICK;

    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let handler = EventMask::from_bits_truncate(self.mask.load(Ordering::Relaxed));
        let mut masks = [handler; MAX_SINKS];
        for (place, queue) in masks.iter_mut().skip(1).zip(&self.queues) {
            *place = queue.mask();
        }
        masks
    }

    const RESPONSE_FIELDS: bool = kconfig::RESPONSE_FIELDS;

    #[inline(always)]
    fn request_fields(&self) -> &str {
        kconfig::REQUEST_FIELDS
    }

    fn page(&self, number: usize) -> Option<Page<'_>> {
        // SAFETY: no thread replaces them while the server runs.
        let pages = unsafe { *self.pages.first()?.get() };
        pages?.get(number).copied()
    }

    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        if kconfig::ORIGINS.is_empty() {
            return OriginMatch::NoList;
        }
        OriginMatch::of(request.origin(), kconfig::ORIGINS.split_ascii_whitespace())
    }

    fn accept(&self, client: ClientId, request: &Request<'_>, answer: Answer<'_>) {
        let mut answer = Some(answer);
        self.with_handler(|handler| {
            if let Some(answer) = answer.take() {
                let _ = handler.request(client, request, answer);
            }
        });
        // Without a handler.
        if let Some(answer) = answer {
            let _ = answer.give(Verdict::accept().any_origin());
        }
    }

    fn deliver(
        &self,
        _: &ServerService,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if sink == HANDLER {
            self.with_handler(|handler| handler.event(client, event));
            return Delivery::Done;
        }
        match self.queues.get(sink - 1) {
            Some(queue) => queue.deliver_event(client, event, || Received::of(event)),
            None => Delivery::Done,
        }
    }

    fn tick(&self, _: &ServerService) {
        self.with_handler(|handler| handler.tick());
    }

    fn ended(&self) {
        self.end();
    }
}

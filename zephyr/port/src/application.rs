// SPDX-License-Identifier: Apache-2.0
//! Where the events of a server in a Rust application go.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use wss::protocol::origin_allowed;
use wss::service::{Application, Delivery, MAX_SINKS, Queue as _, QueueSink, QueueState, Service};
use wss::{ClientId, Event, EventMask, Request, Status, Verdict};

use crate::clients::Clients;
use crate::events::{Received, Sink};
use crate::kconfig;
use crate::lock::KernelLock;
use crate::port::ZephyrPort;
use crate::queue::MessageQueue;

/// What an application does with a server's events. A closure `Fn(&Clients, Option<ClientId>,
/// &Event)` is one that accepts every client.
pub trait Handler: Sync {
    /// Decides on an opening request whose origin is allowed. Called on the work queue, which has to go
    /// on: a handler that has to ask elsewhere returns [`Verdict::Later`], and calls [`answer`](Clients::answer) from
    /// another thread.
    fn on_request<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        let _ = (client, request);
        Verdict::Accept
    }

    /// Something happened. Called on the work queue, one event at a time; every method of `clients`
    /// may be called from here, and none of them waits then.
    fn on_event(&self, clients: &Clients<'_>, client: Option<ClientId>, event: &Event<'_>);
}

impl<F> Handler for F
where
    F: Fn(&Clients<'_>, Option<ClientId>, &Event<'_>) + Sync,
{
    fn on_event(&self, clients: &Clients<'_>, client: Option<ClientId>, event: &Event<'_>) {
        self(clients, client, event);
    }
}

/// The sink that is the handler; the others are queues.
const HANDLER: usize = 0;
/// How many queues a server may have.
pub(crate) const QUEUES: usize = MAX_SINKS - 1;

/// The handler and the queues of a server.
pub(crate) struct ZephyrApplication {
    handler: UnsafeCell<Option<&'static dyn Handler>>,
    /// The events that the handler gets.
    mask: AtomicU32,
    queues: [Sink; QUEUES],
}

// SAFETY: the handler is `Sync`, and is set while no thread reads it: see `set_handler`.
unsafe impl Sync for ZephyrApplication {}

impl ZephyrApplication {
    pub const fn new() -> Self {
        Self {
            handler: UnsafeCell::new(None),
            mask: AtomicU32::new(0),
            queues: [const { no_queue() }; QUEUES],
        }
    }

    /// Sets the handler, and the events that it gets.
    ///
    /// # Safety
    /// The server does not run: the handler is only called on its threads, which there are not.
    pub unsafe fn set_handler(&self, handler: Option<(EventMask, &'static dyn Handler)>) {
        let mask = handler.map_or(EventMask::empty(), |(mask, _)| mask);
        self.mask.store(mask.bits(), Ordering::Relaxed);
        // SAFETY: no thread reads it.
        unsafe { *self.handler.get() = handler.map(|(_, handler)| handler) };
    }

    /// To be called on the server's threads.
    fn handler(&self) -> Option<&'static dyn Handler> {
        // SAFETY: no thread sets it while the server runs.
        unsafe { *self.handler.get() }
    }

    /// Gives the server these queues, instead of those that it had; false if there are not enough.
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

    /// No events come any more.
    pub fn end(&self) {
        self.queues.iter().for_each(|queue| queue.end());
    }
}

const fn no_queue() -> Sink {
    // SAFETY: a `QueueSink` holds its lock only while it uses its storage.
    let state = unsafe { KernelLock::new(QueueState::EMPTY) };
    QueueSink::new(EventMask::empty(), state)
}

impl Application<ZephyrPort> for ZephyrApplication {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let handler = EventMask::from_bits_truncate(self.mask.load(Ordering::Relaxed));
        let mut masks = [handler; MAX_SINKS];
        for (place, queue) in masks.iter_mut().skip(1).zip(&self.queues) {
            *place = queue.mask();
        }
        masks
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        let origins = kconfig::ORIGINS.split_ascii_whitespace();
        if !kconfig::ORIGINS.is_empty() && !origin_allowed(request.origin(), origins) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        match self.handler() {
            Some(handler) => handler.on_request(client, request),
            None => Verdict::Accept,
        }
    }

    fn deliver(
        &self,
        service: &Service<ZephyrPort, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if sink == HANDLER {
            if let Some(handler) = self.handler() {
                handler.on_event(&Clients(Some(service)), client, event);
            }
            return Delivery::Done;
        }
        match self.queues.get(sink - 1) {
            Some(queue) => queue.deliver_event(client, event, || Received::of(event)),
            None => Delivery::Done,
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Delivers the events of a server on a host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::monitor::lock;
use super::port::HostPort;
use super::queue::{Sink, keep};
use crate::handler::EventHandler;
use crate::protocol::{OriginMatch, Page, Request};
use crate::service::{
    Answer, Application, ClientId, Delivery, Event, EventMask, MAX_SINKS, Queue as _, Service,
    Verdict,
};

/// The service of a server in Rust.
pub(super) type ServerService = Service<HostPort, HostApplication>;

/// The handler of a loop, with the sessions of its clients. Only the loop's thread takes the lock while the loop
/// runs, so it never waits for it.
type LoopHandler = Mutex<Option<Box<dyn EventHandler + Send>>>;

/// The handlers and the queues of a server.
pub(super) struct HostApplication {
    /// The events that handlers get; none if there are no handlers.
    pub mask: EventMask,
    /// One for each loop, or none.
    pub handlers: Box<[LoopHandler]>,
    /// The queues, no more than there are sinks besides the handlers.
    pub queues: Vec<Arc<Sink>>,
    pub origins: Vec<String>,
    /// The header fields that handlers can read.
    pub request_fields: String,
    pub pages: Vec<Page<'static>>,
}

impl HostApplication {
    /// Returns the sinks: the handlers, if there are any, then the queues.
    pub fn sinks(&self) -> usize {
        usize::from(self.has_handlers()).saturating_add(self.queues.len())
    }

    fn has_handlers(&self) -> bool {
        !self.handlers.is_empty()
    }

    /// Ends the queues: no more events follow.
    pub fn end(&self) {
        self.queues.iter().for_each(|queue| queue.end());
    }

    /// Drops the handlers, and the clients that they own: no more events follow.
    pub fn drop_handlers(&self) {
        for handler in &self.handlers {
            let handler = lock(handler).take();
            caught(|| drop(handler));
        }
    }

    /// Returns the queue of a sink; `None` for the handlers.
    fn queue(&self, sink: usize) -> Option<&Arc<Sink>> {
        let index = sink.checked_sub(usize::from(self.has_handlers()))?;
        self.queues.get(index)
    }

    /// Calls the handler of a loop. A panic, which the panic hook has reported, must not end the service.
    fn with_handler(&self, index: usize, call: impl FnOnce(&mut dyn EventHandler)) {
        if let Some(handler) = self.handlers.get(index) {
            if let Some(handler) = &mut *lock(handler) {
                caught(|| call(&mut **handler));
            }
        }
    }
}

fn caught(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

impl Application<HostPort> for HostApplication {
    const TICKS: bool = true;

    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        let handlers = self.has_handlers().then_some(self.mask);
        let queues = self.queues.iter().map(|queue| queue.mask());
        for (place, mask) in masks.iter_mut().zip(handlers.into_iter().chain(queues)) {
            *place = mask;
        }
        masks
    }

    const RESPONSE_FIELDS: bool = true;

    fn request_fields(&self) -> &str {
        &self.request_fields
    }

    fn page(&self, number: usize) -> Option<Page<'_>> {
        self.pages.get(number).copied()
    }

    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        OriginMatch::of(request.origin(), self.origins.iter().map(String::as_str))
    }

    fn accept(&self, client: ClientId, request: &Request<'_>, answer: Answer<'_>) {
        if !self.has_handlers() {
            let _ = answer.give(Verdict::accept().any_origin());
            return;
        }
        self.with_handler(self.loop_of(client), |handler| {
            let _ = handler.request(client, request, answer);
        });
    }

    fn deliver(
        &self,
        _: &ServerService,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if let Some(queue) = self.queue(sink) {
            return queue.deliver_event(client, event, || keep(event));
        }
        let index = client.map_or(0, |client| self.loop_of(client));
        self.with_handler(index, |handler| handler.event(client, event));
        Delivery::Done
    }

    fn tick(&self, service: &ServerService) {
        let port = service.port();
        let index = port.current_loop();
        if index == 0 {
            port.tick_further_loops();
        }
        self.with_handler(index, |handler| handler.tick());
    }
}

impl HostApplication {
    /// Returns the loop of a client, as in the port.
    fn loop_of(&self, client: ClientId) -> usize {
        client.slot().checked_rem(self.handlers.len()).unwrap_or(0)
    }
}

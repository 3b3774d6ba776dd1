// SPDX-License-Identifier: Apache-2.0
//! Where a host server's events go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::port::HostPort;
use super::queue::{Sink, keep};
use super::server::Clients;
use crate::protocol::{Request, Status, origin_allowed};
use crate::service::{
    Application, ClientId, Delivery, Event, EventMask, MAX_SINKS, Queue as _, Service, Verdict,
};

/// What an application does with a server's events. A closure `Fn(&Clients, Option<ClientId>,
/// &Event)` is one that accepts every client.
pub trait Handler: Send + Sync + 'static {
    /// Decides on an opening request whose origin is allowed. Called on the work queue, which has to go
    /// on: whoever has to ask elsewhere says [`Verdict::Later`], and
    /// [`answer`](Service::answer) from another thread.
    fn on_request<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        let _ = (client, request);
        Verdict::Accept
    }

    /// Something happened. Called on the work queue, one event at a time; every method of `clients`
    /// may be called from here, and none of them waits then.
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>);
}

impl<F> Handler for F
where
    F: Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
{
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
        self(clients, client, event);
    }
}

/// The handler and the queues of a server.
pub struct HostApplication {
    pub(super) handler: Option<(EventMask, Box<dyn Handler>)>,
    /// No more than there are sinks beside the handler's.
    pub(super) queues: Vec<Arc<Sink>>,
    pub(super) origins: Vec<String>,
}

impl HostApplication {
    /// The sinks: the handler, if there is one, then the queues.
    pub(super) fn sinks(&self) -> usize {
        usize::from(self.handler.is_some()).saturating_add(self.queues.len())
    }

    /// There are no more events.
    pub(super) fn end(&self) {
        self.queues.iter().for_each(|queue| queue.end());
    }

    /// The queue that is this sink; none: the handler.
    fn queue(&self, sink: usize) -> Option<&Arc<Sink>> {
        let index = sink.checked_sub(usize::from(self.handler.is_some()))?;
        self.queues.get(index)
    }
}

impl Application<HostPort> for HostApplication {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        let handler = self.handler.iter().map(|(mask, _)| *mask);
        let queues = self.queues.iter().map(|queue| queue.mask());
        for (place, mask) in masks.iter_mut().zip(handler.chain(queues)) {
            *place = mask;
        }
        masks
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        if !origin_allowed(request.origin(), self.origins.iter().map(String::as_str)) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        let Some((_, handler)) = &self.handler else {
            return Verdict::Accept;
        };
        let verdict = catch_unwind(AssertUnwindSafe(|| handler.on_request(client, request)));
        verdict.unwrap_or(Verdict::Refuse(Status::INTERNAL_ERROR))
    }

    fn deliver(
        &self,
        service: &Service<HostPort, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if let Some(queue) = self.queue(sink) {
            return queue.deliver_event(client, event, || keep(event));
        }
        if let Some((_, handler)) = &self.handler {
            // A handler that panics (which the panic hook has reported) must not end the service.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                handler.on_event(service, client, event);
            }));
        }
        Delivery::Done
    }
}

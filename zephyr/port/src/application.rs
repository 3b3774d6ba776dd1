//! Where the events of a server in a Rust application go.

use wss::protocol::origin_allowed;
use wss::service::{Application, Delivery, MAX_SINKS, Service};
use wss::{ClientId, Event, EventMask, Request, Status, Verdict};

use crate::events::{Received, Sink};
use crate::kconfig;
use crate::port::ZephyrPort;
use crate::server::Clients;

/// What an application does with a server's events. A closure `Fn(&Clients, Option<ClientId>,
/// &Event)` is one that accepts every client.
pub trait Handler: Sync {
    /// Decides on an opening request whose origin is allowed. Called on the work queue, which has to go
    /// on: whoever has to ask elsewhere says [`Verdict::Later`], and [`answer`](Service::answer) from
    /// another thread.
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
    F: Fn(&Clients, Option<ClientId>, &Event<'_>) + Sync,
{
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
        self(clients, client, event);
    }
}

/// The handler and the queues of a server.
pub struct ZephyrApplication {
    pub(crate) handler: Option<(EventMask, &'static dyn Handler)>,
    /// Those that there are come first. No more than there are sinks beside the handler's.
    pub(crate) queues: [Option<Sink>; MAX_SINKS],
}

// SAFETY: a handler is only referred to, which its `Sync` allows on any thread.
unsafe impl Send for ZephyrApplication {}

impl ZephyrApplication {
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Sink> {
        self.queues.iter().flatten()
    }

    /// The sinks: the handler, if there is one, then the queues.
    pub(crate) fn sinks(&self) -> usize {
        usize::from(self.handler.is_some()).saturating_add(self.queues().count())
    }

    /// The queue that is this sink; none: the handler.
    fn queue(&self, sink: usize) -> Option<&Sink> {
        let index = sink.checked_sub(usize::from(self.handler.is_some()))?;
        self.queues.get(index)?.as_ref()
    }
}

impl Application<ZephyrPort> for ZephyrApplication {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        let handler = self.handler.iter().map(|(mask, _)| *mask);
        let queues = self.queues().map(Sink::mask);
        for (place, mask) in masks.iter_mut().zip(handler.chain(queues)) {
            *place = mask;
        }
        masks
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        let origins = kconfig::ORIGINS.split_ascii_whitespace();
        if !origin_allowed(request.origin(), origins) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        match self.handler {
            Some((_, handler)) => handler.on_request(client, request),
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
        if let Some(queue) = self.queue(sink) {
            return queue.deliver_event(client, event, || Received::of(event));
        }
        if let Some((_, handler)) = self.handler {
            handler.on_event(service, client, event);
        }
        Delivery::Done
    }
}

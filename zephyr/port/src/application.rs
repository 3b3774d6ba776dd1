//! Where the events of a server in a Rust application go.

use wss::protocol::origin_allowed;
use wss::service::{Application, Delivery, MAX_SINKS, Service};
use wss::{ClientId, Event, EventMask, Request, Status, Verdict};

use crate::events::Events;
use crate::kconfig;
use crate::port::ZephyrPort;
use crate::server::Clients;

/// What an application does with a server's events. A closure `Fn(&Clients, Option<ClientId>,
/// &Event)` is one that accepts every client.
pub trait Handler: Sync {
    /// Decides on an opening request whose origin is allowed.
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

/// The handler, or the queue, of a server.
pub struct ZephyrApplication {
    pub(crate) handler: Option<&'static dyn Handler>,
    pub(crate) events: Option<Events>,
}

// SAFETY: a handler is only referred to, which its `Sync` allows on any thread.
unsafe impl Send for ZephyrApplication {}

const HANDLER: usize = 0;
const QUEUE: usize = 1;

impl Application<ZephyrPort> for ZephyrApplication {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        let handler = self.handler.map(|_| EventMask::all());
        masks[HANDLER] = handler.unwrap_or_default();
        masks[QUEUE] = self.events.as_ref().map(Events::mask).unwrap_or_default();
        masks
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        let origins = kconfig::ORIGINS.split_ascii_whitespace();
        if !origin_allowed(request.origin(), origins) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        match self.handler {
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
        match (sink, self.handler, &self.events) {
            (HANDLER, Some(handler), _) => {
                handler.on_event(service, client, event);
                Delivery::Done
            }
            (QUEUE, _, Some(events)) => events.deliver(client, event),
            _ => Delivery::Done,
        }
    }
}

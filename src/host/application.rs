//! Where a host server's events go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::port::HostPort;
use super::queue;
use super::server::Clients;
use crate::protocol::{Request, Status, origin_allowed};
use crate::service::{
    Application, ClientId, Delivery, Event, EventMask, MAX_SINKS, Service, Verdict,
};

/// What an application does with a server's events. A closure `Fn(&Clients, Option<ClientId>,
/// &Event)` is one that accepts every client.
pub trait Handler: Send + Sync + 'static {
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
    F: Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
{
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
        self(clients, client, event);
    }
}

/// The handler and the queue of a server.
pub struct HostApplication {
    pub(super) handler: Option<Box<dyn Handler>>,
    pub(super) queue: Option<Arc<queue::Shared>>,
    pub(super) origins: Vec<String>,
}

const HANDLER: usize = 0;
const QUEUE: usize = 1;

impl Application<HostPort> for HostApplication {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        let handler = self.handler.as_ref().map(|_| EventMask::all());
        masks[HANDLER] = handler.unwrap_or_default();
        masks[QUEUE] = self
            .queue
            .as_ref()
            .map(|queue| queue.mask)
            .unwrap_or_default();
        masks
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        if !origin_allowed(request.origin(), self.origins.iter().map(String::as_str)) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        let Some(handler) = &self.handler else {
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
        match (sink, &self.handler, &self.queue) {
            (HANDLER, Some(handler), _) => {
                // A handler that panics (which the panic hook has reported) must not end the service.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    handler.on_event(service, client, event);
                }));
                Delivery::Done
            }
            (QUEUE, _, Some(queue)) => queue.deliver(client, event),
            _ => Delivery::Done,
        }
    }
}

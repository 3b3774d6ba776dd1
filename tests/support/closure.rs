// SPDX-License-Identifier: Apache-2.0
//! Closures that get a server's raw events, for tests of the service below `Handler`.

use std::sync::Arc;

use wss::clients::Clients;
use wss::handler::EventHandler;
use wss::host::{Options, Server};
use wss::{Answer, Answered, ClientId, Event, EventMask, Request, Verdict};

/// A closure that gets every event of a loop, and accepts every client.
pub struct Closure<F> {
    clients: Clients,
    act: Arc<F>,
}

impl<F: Fn(&Clients, Option<ClientId>, &Event<'_>)> EventHandler for Closure<F> {
    fn request(&mut self, _: ClientId, _: &Request<'_>, answer: Answer<'_>) -> Answered {
        answer.give(Verdict::accept().any_origin())
    }

    fn event(&mut self, client: Option<ClientId>, event: &Event<'_>) {
        (self.act)(&self.clients, client, event);
    }

    fn tick(&mut self) {}
}

/// Creates a closure for each loop; all are the same.
pub fn closure<F>(act: F) -> impl FnMut(Clients) -> Closure<F>
where
    F: Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
{
    let act = Arc::new(act);
    move |clients| Closure {
        clients,
        act: Arc::clone(&act),
    }
}

/// Starts a server that sends all events to a closure.
pub fn start<F>(options: &Options, act: F) -> std::io::Result<Server>
where
    F: Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
{
    let builder = Server::builder(options).events(EventMask::all(), closure(act));
    builder.start([]).map(|(server, [])| server)
}

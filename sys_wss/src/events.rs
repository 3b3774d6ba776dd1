// SPDX-License-Identifier: Apache-2.0
//! The application of the service: its events go to the callback and to the queues.

use core::sync::atomic::{AtomicU32, Ordering};

use wss::service::{Application, Delivery, EventMask, Lock as _, MAX_SINKS, Port, Service};
use wss::{ClientId, Event, Request, Status, Verdict};

use crate::abi::{MAX_QUEUES, NO_SERVER};
use crate::callbacks::{self, Answer};
use crate::convert::Client;
use crate::handshake::requests;
use crate::instance::{DEFAULT, DEFAULT_PLACE, place};
use crate::platform::{Monitor, Origins, SERVERS, monitor};
use crate::queues::{self, Number, Of, QUEUES};

/// The sink that is the callback; the others are queues.
const CALLBACK: usize = 0;

/// What everybody wants: the callback of the default service and all queues, of which the first are the
/// other sinks of the default service; then the callbacks of further servers. They are asked for with
/// every piece of work.
static MASKS: [AtomicU32; QUEUES + SERVERS] = [const { AtomicU32::new(0) }; QUEUES + SERVERS];

/// The queues of each further server, by their numbers; 0: none.
static SERVER_QUEUES: [[AtomicU32; MAX_QUEUES]; SERVERS - 1] =
    [const { [const { AtomicU32::new(0) }; MAX_QUEUES] }; SERVERS - 1];

fn set_mask(index: usize, mask: EventMask) {
    if let Some(place) = MASKS.get(index) {
        place.store(mask.bits(), Ordering::Relaxed);
    }
}

/// What the queue at a place wants from now on.
pub fn set_queue_mask(place: usize, mask: EventMask) {
    set_mask(place.saturating_add(1), mask);
}

/// Whether the service at `place` has a callback. It gets every event but those of the extension.
pub fn set_has_callback(place: usize, has_callback: bool) {
    let mask = if has_callback {
        EventMask::all().difference(EventMask::WRITABLE)
    } else {
        EventMask::empty()
    };
    set_mask(callback_index(place), mask);
}

const fn callback_index(place: usize) -> usize {
    match place {
        DEFAULT_PLACE => CALLBACK,
        place => QUEUES + place,
    }
}

/// Gives the service at `place`, which is a further server, these queues.
pub fn set_queues(place: usize, numbers: &[u32]) {
    let numbers = numbers.iter().copied().chain(core::iter::repeat(0));
    for (queue, number) in server_queues(place).into_iter().flatten().zip(numbers) {
        queue.store(number, Ordering::Relaxed);
    }
}

fn server_queues(place: usize) -> Option<&'static [AtomicU32; MAX_QUEUES]> {
    SERVER_QUEUES.get(place.checked_sub(1)?)
}

/// The queue that is a sink of the service at `place`.
fn queue(place: usize, sink: usize) -> Option<Number> {
    let index = sink.checked_sub(1)?;
    if place == DEFAULT_PLACE {
        return Some(Number::at(index));
    }
    let number = server_queues(place)?.get(index)?.load(Ordering::Relaxed);
    Number::from_c(number)
}

fn mask(place: usize, sink: usize) -> EventMask {
    let index = match sink {
        _ if place == DEFAULT_PLACE => Some(sink),
        CALLBACK => Some(callback_index(place)),
        _ => queue(place, sink).map(|queue| queue.place.saturating_add(1)),
    };
    let mask = index.and_then(|index| MASKS.get(index));
    let bits = mask.map_or(0, |mask| mask.load(Ordering::Relaxed));
    EventMask::from_bits_truncate(bits)
}

/// The application of a service.
pub struct Events {
    number: AtomicU32,
    origins: Monitor<Origins>,
}

impl Events {
    /// That of a service that was not started yet.
    pub const fn new() -> Self {
        Self {
            number: AtomicU32::new(NO_SERVER),
            origins: monitor(Origins::new()),
        }
    }

    /// From now on it is that of this server, to which these origins may connect.
    pub fn begin(&self, number: u32, origins: Origins) {
        self.number.store(number, Ordering::Relaxed);
        *self.origins.lock() = origins;
    }

    /// Keeps a request unless it is refused.
    pub fn keep(&self, client: ClientId, request: &Request<'_>, verdict: Verdict<'_>) {
        let subprotocol = match verdict {
            Verdict::Accept | Verdict::Later => None,
            Verdict::AcceptSubprotocol(name) => Some(name),
            Verdict::Refuse(_) => return,
        };
        requests(self.place()).keep(client, request, subprotocol);
    }

    fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    fn place(&self) -> usize {
        place(self.number())
    }

    /// A client of this server.
    pub fn client(&self, id: ClientId) -> Client {
        let place = self.place();
        Client { place, id }
    }

    /// What the hook says to a request.
    fn ask<'a>(client: Client, request: &Request<'a>) -> Verdict<'a> {
        match callbacks::call_accept_hook(client, request) {
            Answer::Accept => Verdict::Accept,
            Answer::AcceptSubprotocol(name) => Verdict::AcceptSubprotocol(name),
            Answer::Later => Verdict::Later,
            Answer::Refuse(status) => {
                Verdict::Refuse(Status::new(status).unwrap_or(Status::INTERNAL_ERROR))
            }
            Answer::NotOffered => {
                log::error!("the accept hook chose a subprotocol that was not offered");
                Verdict::Refuse(Status::INTERNAL_ERROR)
            }
        }
    }
}

impl<P: Port> Application<P> for Events {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let place = self.place();
        core::array::from_fn(|sink| mask(place, sink))
    }

    fn accept<'a>(&'a self, id: ClientId, request: &Request<'a>) -> Verdict<'a> {
        if !self.origins.lock().allow(request.origin()) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        let verdict = Self::ask(self.client(id), request);
        // One that is answered later can be asked for until then, to decide.
        self.keep(id, request, verdict);
        verdict
    }

    fn deliver(
        &self,
        _service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if !mask(self.place(), sink).contains(event.mask()) {
            // The sink has changed since the event was noted for it.
            return Delivery::Done;
        }
        deliver(self.number(), sink, client, event)
    }
}

fn deliver(server: u32, sink: usize, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
    let place = place(server);
    // The bits are numbered as the events of the interface.
    let number = event.mask().bits().trailing_zeros();
    let message = event.message();
    if sink == CALLBACK {
        callbacks::call_callback(place, number, client, message);
        return Delivery::Done;
    }
    match (queue(place, sink), queues::delivery()) {
        (Some(queue), Some(deliver)) => deliver(queue, number, Of { server, client }, message),
        _ => Delivery::Done,
    }
}

/// The sinks of the default service, a bit each, that had no room to be told that it could not be started.
static UNTOLD: AtomicU32 = AtomicU32::new(0);

/// Tells the callback and the queues that the default service could not be started.
pub fn tell_listen_failed() {
    UNTOLD.store((1 << MAX_SINKS) - 1, Ordering::SeqCst);
    tell_untold();
}

/// Tells those that had no room.
pub fn tell_untold() {
    let untold = UNTOLD.swap(0, Ordering::SeqCst);
    for sink in (0..MAX_SINKS).filter(|sink| untold & 1 << sink != 0) {
        if mask(DEFAULT_PLACE, sink).contains(EventMask::LISTEN_FAILED)
            && deliver(DEFAULT, sink, None, &Event::ListenFailed) == Delivery::Full
        {
            UNTOLD.fetch_or(1 << sink, Ordering::SeqCst);
        }
    }
}

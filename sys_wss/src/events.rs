//! The application of the service: its events go to the callback and to the queues.

use core::sync::atomic::{AtomicU32, Ordering};

use wss::protocol::origin_allowed;
use wss::service::{Application, Delivery, EventMask, MAX_SINKS, Message, Port, Service};
use wss::{ClientId, Event, Request, Status, Verdict};

use crate::abi::MAX_QUEUES;
use crate::callbacks::{self, Answer, Data};
use crate::convert::Client;
use crate::handshake::requests;
use crate::instance::{self, DEFAULT, place};
use crate::platform::{Origins, SERVERS, queue};
use crate::queues::{Number, Of, QUEUES};

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

/// Whether the service `epoch` has a callback. It is told everything but the extension's events.
pub fn set_has_callback(epoch: u32, has_callback: bool) {
    let mask = if has_callback {
        EventMask::all().difference(EventMask::WRITABLE)
    } else {
        EventMask::empty()
    };
    set_mask(callback_index(epoch), mask);
}

const fn callback_index(epoch: u32) -> usize {
    match place(epoch) {
        0 => CALLBACK,
        place => QUEUES + place,
    }
}

/// Gives the service `epoch`, which is a further server, these queues.
pub fn set_queues(epoch: u32, numbers: &[u32]) {
    let numbers = numbers.iter().copied().chain(core::iter::repeat(0));
    for (queue, number) in server_queues(epoch).into_iter().flatten().zip(numbers) {
        queue.store(number, Ordering::Relaxed);
    }
}

fn server_queues(epoch: u32) -> Option<&'static [AtomicU32; MAX_QUEUES]> {
    SERVER_QUEUES.get(place(epoch).checked_sub(1)?)
}

/// The queue that is a sink of the service `epoch`.
fn queue(epoch: u32, sink: usize) -> Option<Number> {
    let index = sink.checked_sub(1)?;
    if place(epoch) == 0 {
        return Some(Number::at(index));
    }
    let number = server_queues(epoch)?.get(index)?.load(Ordering::Relaxed);
    Number::from_c(number)
}

fn mask(epoch: u32, sink: usize) -> EventMask {
    let index = match sink {
        _ if place(epoch) == 0 => Some(sink),
        CALLBACK => Some(callback_index(epoch)),
        _ => queue(epoch, sink).map(|queue| queue.place.saturating_add(1)),
    };
    let mask = index.and_then(|index| MASKS.get(index));
    let bits = mask.map_or(0, |mask| mask.load(Ordering::Relaxed));
    EventMask::from_bits_truncate(bits)
}

/// The application of one service, from its start until the last of it is freed.
pub struct Events {
    epoch: u32,
    origins: Origins,
}

impl Events {
    /// Keeps a request unless it is refused.
    pub fn keep(&self, client: Client, request: &Request<'_>, verdict: Verdict<'_>) {
        match verdict {
            Verdict::Accept | Verdict::Later => requests(self.epoch).keep(client, request, None),
            Verdict::AcceptSubprotocol(name) => {
                requests(self.epoch).keep(client, request, Some(name));
            }
            Verdict::Refuse(_) => {}
        }
    }

    /// The application of the service `epoch`, to which these origins may connect.
    pub const fn new(epoch: u32, origins: Origins) -> Self {
        Self { epoch, origins }
    }

    /// The number of the service.
    pub const fn epoch(&self) -> u32 {
        self.epoch
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

/// The last of the service is freed.
impl Drop for Events {
    fn drop(&mut self) {
        requests(self.epoch).forget();
        instance::ended(self.epoch);
    }
}

impl<P: Port> Application<P> for Events {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        core::array::from_fn(|sink| mask(self.epoch, sink))
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        if !origin_allowed(request.origin(), self.origins.iter()) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        let client = Client::new(self.epoch, client);
        let verdict = Self::ask(client, request);
        // One that is answered later can be asked for until then, to decide.
        self.keep(client, request, verdict);
        verdict
    }

    fn deliver(
        &self,
        _service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if !mask(self.epoch, sink).contains(event.mask()) {
            // The sink has changed since the event was noted for it.
            return Delivery::Done;
        }
        deliver(self.epoch, sink, client, event)
    }
}

fn deliver(epoch: u32, sink: usize, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
    // The bits are numbered as the events of the interface.
    let number = event.mask().bits().trailing_zeros();
    let data = data(event);
    if sink == CALLBACK {
        callbacks::call_callback(epoch, number, client, data.as_ref());
        return Delivery::Done;
    }
    match queue(epoch, sink) {
        Some(queue) => queue::deliver(queue, number, Of { epoch, client }, data.as_ref()),
        None => Delivery::Done,
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
        if mask(DEFAULT, sink).contains(EventMask::LISTEN_FAILED)
            && deliver(DEFAULT, sink, None, &Event::ListenFailed) == Delivery::Full
        {
            UNTOLD.fetch_or(1 << sink, Ordering::SeqCst);
        }
    }
}

/// The bytes that an event brings.
fn data<'a>(event: &Event<'a>) -> Option<Data<'a>> {
    let (bytes, first, last) = match *event {
        Event::Text(Message { bytes, first, last })
        | Event::Binary(Message { bytes, first, last }) => (bytes, first, last),
        Event::Ping(bytes) | Event::Pong(bytes) => (bytes, true, true),
        Event::CloseFrame { body, .. } => (body, true, true),
        _ => return None,
    };
    Some(Data { bytes, first, last })
}

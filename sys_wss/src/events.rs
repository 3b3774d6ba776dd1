//! The application of the service: its events go to the callback and to the queues.

use core::sync::atomic::{AtomicU32, Ordering};

use wss::protocol::origin_allowed;
use wss::service::{Application, Delivery, EventMask, MAX_SINKS, Message, Port, Service};
use wss::{ClientId, Event, Request, Status, Verdict};

use crate::callbacks::{self, Answer, Data};
use crate::convert::Client;
use crate::handshake::Requests;
use crate::instance;
use crate::platform::{Origins, queue};

/// The sink that is the callback; the others are queues.
const CALLBACK: usize = 0;

/// What each sink wants. They are asked for with every piece of work.
static MASKS: [AtomicU32; MAX_SINKS] = [const { AtomicU32::new(0) }; MAX_SINKS];

/// What a sink wants from now on.
pub fn set_mask(sink: usize, mask: EventMask) {
    if let Some(place) = MASKS.get(sink) {
        place.store(mask.bits(), Ordering::Relaxed);
    }
}

/// Whether there is a callback. It is told everything but the extension's events.
pub fn set_has_callback(has_callback: bool) {
    let mask = if has_callback {
        EventMask::all().difference(EventMask::WRITABLE)
    } else {
        EventMask::empty()
    };
    set_mask(CALLBACK, mask);
}

fn mask(sink: usize) -> EventMask {
    let bits = MASKS
        .get(sink)
        .map_or(0, |mask| mask.load(Ordering::Relaxed));
    EventMask::from_bits_truncate(bits)
}

/// The application of one service, from `Initialize` until the last of it is freed.
pub struct Events {
    epoch: u32,
    origins: Origins,
    /// What its clients asked for.
    pub requests: Requests,
}

impl Events {
    /// The application of the service `epoch`, to which these origins may connect.
    pub const fn new(epoch: u32, origins: Origins) -> Self {
        Self {
            epoch,
            origins,
            requests: Requests::new(),
        }
    }

    /// Which service it is; they are counted.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What the hook says to a request.
    fn ask<'a>(client: Client, request: &Request<'a>) -> Verdict<'a> {
        match callbacks::call_accept_hook(client, request) {
            Answer::Accept => Verdict::Accept,
            Answer::AcceptSubprotocol(name) => Verdict::AcceptSubprotocol(name),
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
        instance::ended(self.epoch);
    }
}

impl<P: Port> Application<P> for Events {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        core::array::from_fn(mask)
    }

    fn accept<'a>(&'a self, client: ClientId, request: &Request<'a>) -> Verdict<'a> {
        if !origin_allowed(request.origin(), self.origins.iter()) {
            return Verdict::Refuse(Status::FORBIDDEN);
        }
        let client = Client::new(self.epoch, client);
        let verdict = Self::ask(client, request);
        match verdict {
            Verdict::Accept => self.requests.keep(client, request, None),
            Verdict::AcceptSubprotocol(name) => self.requests.keep(client, request, Some(name)),
            Verdict::Refuse(_) | Verdict::Later => {}
        }
        verdict
    }

    fn deliver(
        &self,
        _service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        if !mask(sink).contains(event.mask()) {
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
        let client = client.map(|id| Client::new(epoch, id));
        callbacks::call_callback(number, client, data.as_ref());
        Delivery::Done
    } else {
        queue::deliver(sink, number, client.map(|id| (epoch, id)), data.as_ref())
    }
}

/// The sinks, a bit each, that had no room to be told that no service could be started.
static UNTOLD: AtomicU32 = AtomicU32::new(0);

/// Tells the callback and the queues that no service could be started.
pub fn tell_listen_failed() {
    UNTOLD.store((1 << MAX_SINKS) - 1, Ordering::SeqCst);
    tell_untold();
}

/// Tells those that had no room.
pub fn tell_untold() {
    let untold = UNTOLD.swap(0, Ordering::SeqCst);
    for sink in (0..MAX_SINKS).filter(|sink| untold & 1 << sink != 0) {
        if mask(sink).contains(EventMask::LISTEN_FAILED)
            && deliver(0, sink, None, &Event::ListenFailed) == Delivery::Full
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

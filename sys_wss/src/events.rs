// SPDX-License-Identifier: Apache-2.0
//! The application of a service, which delivers events to the callback and to queues.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use wss::protocol::OriginMatch;
use wss::service::{Application, Delivery, EventMask, Lock as _, MAX_SINKS, Port, Service};
use wss::{Answer, ClientId, Event, Page, Request, Status};

use crate::abi::MAX_QUEUES;
use crate::admission::{Login, Origins};
use crate::callbacks::{self, Happened, Hook, Received, Sink, Tick};
use crate::client::Client;
use crate::config::Options;
use crate::platform::{self, Monitor, Pages, SERVERS, monitor};
use crate::queues::{self, Number};
use crate::request::requests;
use crate::server::{DEFAULT, PerServer};

/// The sink that is the callback; the others are queues.
const CALLBACK: usize = 0;

/// The events for a callback of the original interface: all except those that it has no name for.
pub const ORIGINAL: EventMask = EventMask::all().difference(EventMask::WRITABLE);

/// The receivers of a server's events.
struct Sinks {
    /// The events that each sink gets. Read for every work item.
    masks: [AtomicU32; MAX_SINKS],
    /// The numbers of the queues; 0: none.
    queues: [AtomicU32; MAX_QUEUES],
    /// Events may still follow.
    runs: AtomicBool,
}

impl Sinks {
    const fn none() -> Self {
        Self {
            masks: [const { AtomicU32::new(0) }; MAX_SINKS],
            queues: [const { AtomicU32::new(0) }; MAX_QUEUES],
            runs: AtomicBool::new(false),
        }
    }

    fn set_mask(&self, sink: usize, mask: EventMask) {
        if let Some(place) = self.masks.get(sink) {
            place.store(mask.bits(), Ordering::Relaxed);
        }
    }

    fn mask(&self, sink: usize) -> EventMask {
        let mask = self.masks.get(sink);
        EventMask::from_bits_truncate(mask.map_or(0, |mask| mask.load(Ordering::Relaxed)))
    }

    /// Returns the queue that is a sink.
    fn queue(&self, sink: usize) -> Option<Number> {
        let queue = self.queues.get(sink.checked_sub(1)?)?;
        Number::from_c(queue.load(Ordering::Relaxed))
    }

    /// Returns the sinks that are queues, each with its queue.
    fn queues(&self) -> impl Iterator<Item = (usize, Number)> {
        (1..MAX_SINKS).filter_map(|sink| Some((sink, self.queue(sink)?)))
    }
}

static SINKS: PerServer<Sinks> = PerServer([const { Sinks::none() }; SERVERS]);

/// Sets the callback of the server at `place`, which gets these events from now on; `None`: no callback.
pub fn set_callback(place: usize, callback: Option<(EventMask, Sink)>) {
    callbacks::set_callback(place, callback.map(|(_, sink)| sink));
    let mask = callback.map_or(EventMask::empty(), |(mask, _)| mask);
    SINKS.at(place).set_mask(CALLBACK, mask);
}

/// Sets the queues of the server at `place`. Called by [`queues`] only, like the other functions for queues, so that a
/// program without queues is linked without them.
pub fn set_queues(place: usize, queues: &[u32; MAX_QUEUES]) {
    let sinks = SINKS.at(place);
    for ((sink, place), number) in (1..).zip(&sinks.queues).zip(queues) {
        place.store(*number, Ordering::Relaxed);
        let queue = Number::from_c(*number);
        let mask = queue.and_then(Number::resume);
        sinks.set_mask(sink, mask.unwrap_or(EventMask::empty()));
    }
}

/// Ends the readers of the queues of the server at `place`, which has stopped, unless another server gives events to
/// them.
pub fn end_queues(place: usize) {
    for (_, queue) in SINKS.at(place).queues() {
        let is_shared = SINKS.0.iter().any(|sinks| {
            sinks.runs.load(Ordering::SeqCst) && sinks.queues().any(|(_, other)| other == queue)
        });
        if !is_shared {
            queue.end_readers();
        }
    }
}

/// Removes a queue from all servers.
pub fn remove_queue(queue: Number) {
    for sinks in &SINKS.0 {
        for (sink, _) in sinks.queues().filter(|(_, number)| *number == queue) {
            sinks.set_mask(sink, EventMask::empty());
        }
    }
}

/// The application of a service.
pub struct Events {
    place: AtomicUsize,
    active: Monitor<Active>,
}

/// The part of the configuration that is used while a server runs.
#[derive(Clone, Copy)]
pub struct Active {
    /// The origins that may connect; `None`: those of the build.
    pub origins: Option<Origins>,
    /// The credentials that a client needs; `None`: none.
    pub login: Option<Login>,
    /// The header fields that the hook needs.
    // `None` is all zeros, as everything in static memory must be. Otherwise it would take flash, too.
    pub request_fields: Option<&'static str>,
    /// The hook that decides on opening requests.
    pub hook: Option<Hook>,
    /// The function that runs periodically, every [`Config::tick_ms`](wss::service::Config).
    pub tick: Option<Tick>,
    /// The pages.
    pub pages: Pages,
}

impl Active {
    /// An empty configuration.
    pub const NONE: Self = Self {
        origins: None,
        login: None,
        request_fields: None,
        hook: None,
        tick: None,
        pages: Pages::NONE,
    };
}

impl Events {
    /// Creates the application of a service that was not started yet.
    pub const fn new() -> Self {
        Self {
            place: AtomicUsize::new(DEFAULT),
            active: monitor(Active::NONE),
        }
    }

    /// Starts a run of this server.
    pub fn begin(&self, place: usize, options: &Options) {
        self.place.store(place, Ordering::Relaxed);
        *self.active.lock() = options.active;
        SINKS.at(place).runs.store(true, Ordering::SeqCst);
    }

    pub fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    /// Returns a client of this server.
    pub fn client(&self, id: ClientId) -> Client {
        let place = self.place();
        Client { place, id }
    }
}

impl<P: Port> Application<P> for Events {
    const TICKS: bool = platform::TICKS;
    const RESPONSE_FIELDS: bool = platform::RESPONSE_FIELDS;
    const CHECKS_SAME_ORIGIN: bool = false;

    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let sinks = SINKS.at(self.place());
        core::array::from_fn(|sink| sinks.mask(sink))
    }

    #[inline(always)]
    fn request_fields(&self) -> &str {
        platform::request_fields(|| self.active.lock().request_fields.unwrap_or_default())
    }

    fn page(&self, number: usize) -> Option<Page<'_>> {
        let pages = self.active.lock().pages;
        pages.get(self.place(), number)
    }

    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        let origins = self.active.lock().origins;
        match origins {
            Some(origins) => origins.check(request),
            None if platform::ORIGINS.is_empty() => OriginMatch::Listed,
            None => Origins::OF_BUILD.check(request),
        }
    }

    fn accept(&self, id: ClientId, request: &Request<'_>, answer: Answer<'_>) {
        let client = self.client(id);
        let Active { hook, login, .. } = *self.active.lock();
        if login.is_some_and(|login| !login.admits(request)) {
            let _ = answer.refuse(Status::UNAUTHORIZED);
            return;
        }
        match hook {
            Some(hook) => hook.ask(client, request, answer),
            None => {
                requests(client.place).keep(id, request, None);
                let _ = answer.accept();
            }
        }
    }

    fn deliver(
        &self,
        _service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        let message = event.message().map(|message| Received {
            data: message.bytes.as_ptr().cast_mut(),
            len: message.bytes.len(),
            first: message.first,
            last: message.last,
        });
        let happened = Happened {
            place: self.place(),
            client,
            event: number(event.mask()),
            message,
        };
        deliver(sink, &happened)
    }

    const WRITES_TEXT: bool = true;

    fn deliver_text(
        &self,
        _service: &Service<P, Self>,
        sink: usize,
        client: ClientId,
        text: NonNull<[u8]>,
    ) -> Delivery {
        let message = Received {
            data: text.as_ptr().cast(),
            // The NUL follows it.
            len: text.len().saturating_sub(1),
            first: true,
            last: true,
        };
        let happened = Happened {
            place: self.place(),
            client: Some(client),
            event: number(EventMask::TEXT),
            message: Some(message),
        };
        deliver(sink, &happened)
    }

    fn tick(&self, _service: &Service<P, Self>) {
        let tick = self.active.lock().tick;
        if let Some(tick) = tick {
            tick.call(self.place());
        }
    }

    fn ended(&self) {
        end(self.place());
    }
}

/// Ends the events of the server at `place`, which has stopped, or failed to start.
pub fn end(place: usize) {
    SINKS.at(place).runs.store(false, Ordering::SeqCst);
    if let Some(queues) = queues::functions() {
        (queues.end)(place);
    }
}

/// Returns the number of an event in C: its bit has the same number.
const fn number(event: EventMask) -> u32 {
    event.bits().trailing_zeros()
}

/// Delivers an event to a sink.
fn deliver(sink: usize, happened: &Happened) -> Delivery {
    let sinks = SINKS.at(happened.place);
    if sinks.mask(sink).bits() >> happened.event & 1 == 0 {
        // The sink was changed after the event was scheduled for it.
        return Delivery::Done;
    }
    if sink == CALLBACK {
        callbacks::call_callback(happened);
        return Delivery::Done;
    }
    match (sinks.queue(sink), queues::functions()) {
        (Some(queue), Some(queues)) => (queues.deliver)(queue, happened),
        _ => Delivery::Done,
    }
}

/// The sinks of the default server, a bit each, without room for the event that it could not be started.
static UNDELIVERED: AtomicU32 = AtomicU32::new(0);

/// Emits that the default server could not be started.
pub fn emit_listen_failed() {
    UNDELIVERED.store((1 << MAX_SINKS) - 1, Ordering::SeqCst);
    deliver_listen_failed();
}

/// Delivers that event to the sinks that had no room.
pub fn deliver_listen_failed() {
    let undelivered = UNDELIVERED.swap(0, Ordering::SeqCst);
    let happened = Happened {
        place: DEFAULT,
        client: None,
        event: number(EventMask::LISTEN_FAILED),
        message: None,
    };
    for sink in (0..MAX_SINKS).filter(|sink| undelivered & 1 << sink != 0) {
        if deliver(sink, &happened) == Delivery::Full {
            UNDELIVERED.fetch_or(1 << sink, Ordering::SeqCst);
        }
    }
}

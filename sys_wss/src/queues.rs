// SPDX-License-Identifier: Apache-2.0
//! Event queues. They outlive the services.
#![allow(unsafe_code)]

use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicBool;

use wss::ClientId;
use wss::service::{Delivery, EventMask, Instant, Lock as _, Message, Queue, QueueState};

use crate::abi::{self, MAX_QUEUES, NO_CLIENT};
use crate::convert::{Client, Error, all_clients, client_or_none};
use crate::events::{self, set_queue_mask};
use crate::instance::{self, DEFAULT_PLACE, PerServer, place};
use crate::platform::queue::{self, Storage};
use crate::platform::{self, Monitor, SERVERS, monitor};

/// How many queues there can be: those of the default service, then those of the further servers.
pub const QUEUES: usize = MAX_QUEUES * SERVERS;
/// The places of the queues of the default service.
pub const OF_DEFAULT: Range<usize> = 0..MAX_QUEUES;
/// The places of the other queues.
pub const OF_SERVERS: Range<usize> = MAX_QUEUES..QUEUES;

/// The queues, each lock with as many of them as a service has.
static PLACES: PerServer<Monitor<[Place; MAX_QUEUES]>> =
    PerServer([const { monitor([const { Place::EMPTY }; MAX_QUEUES]) }; SERVERS]);

static TURNED_AWAY: [AtomicBool; QUEUES] = [const { AtomicBool::new(false) }; QUEUES];

/// Delivers to queues, once there was one: nothing else refers to that, so that a program without queues
/// is linked without it.
static DELIVERY: Monitor<Option<Deliver>> = monitor(None);

type Deliver = fn(Number, u32, Of, Option<Message<'_>>) -> Delivery;

/// What delivers an event to a queue, if there ever was one.
pub fn delivery() -> Option<Deliver> {
    *DELIVERY.lock()
}

pub struct Place {
    queue: QueueState<Storage>,
    /// Counts the queues that were here, for their numbers.
    generation: u32,
}

impl Place {
    const EMPTY: Self = Self {
        queue: QueueState::EMPTY,
        generation: 0,
    };
}

/// Which queue: its place, and a generation, so that one that has ended is never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub place: usize,
    /// `None`: whichever queue is there.
    generation: Option<u32>,
}

#[allow(clippy::cast_possible_truncation)] // there are not so many
const STEP: u32 = QUEUES as u32;

impl Number {
    /// Whichever queue is at a place.
    pub const fn at(place: usize) -> Self {
        Self {
            place,
            generation: None,
        }
    }

    /// The queue that has this number in C, if one can have it.
    pub fn from_c(number: u32) -> Option<Self> {
        let place = usize::try_from(number % STEP).ok()?;
        let generation = Some(number / STEP).filter(|generation| *generation > 0);
        generation.is_some().then_some(Self { place, generation })
    }
}

impl Queue for Number {
    type Storage = Storage;
    type Shared = [Place; MAX_QUEUES];
    type Lock = Monitor<Self::Shared>;

    fn lock(&self) -> &Self::Lock {
        PLACES.at(self.place / MAX_QUEUES)
    }

    fn state<'a>(&self, shared: &'a mut Self::Shared) -> Option<&'a mut QueueState<Storage>> {
        let found = shared.get_mut(self.place % MAX_QUEUES)?;
        let is_it = |generation| generation == found.generation;
        self.generation
            .is_none_or(is_it)
            .then_some(&mut found.queue)
    }

    fn turned_away(&self) -> &AtomicBool {
        TURNED_AWAY.get(self.place).unwrap_or(&TURNED_AWAY[0])
    }

    fn unsubscribe(&self) {
        set_queue_mask(self.place, EventMask::empty());
    }
}

/// Makes a queue for events in `mask`, at one of these places; its number in C.
pub fn create(
    places: Range<usize>,
    mask: EventMask,
    storage: impl FnOnce() -> Option<Storage>,
) -> Result<u32, Error> {
    *DELIVERY.lock() = Some(deliver);
    for place in places {
        let number = Number::at(place);
        let mut shared = number.lock().lock();
        let Some(free) = shared.get_mut(place % MAX_QUEUES) else {
            continue;
        };
        // A place whose numbers are used up is not used again.
        let next = free.generation.saturating_add(1);
        if free.queue.storage().is_none() && next < u32::MAX / STEP {
            free.queue = QueueState::new(storage().ok_or(Error::Busy)?);
            free.generation = next;
            set_queue_mask(place, mask);
            let place = u32::try_from(place).unwrap_or_default();
            return Ok(next.saturating_mul(STEP).saturating_add(place));
        }
    }
    Err(Error::Busy)
}

/// The queue that has this number in C.
fn find(number: u32) -> Result<Number, Error> {
    let number = Number::from_c(number).ok_or(Error::BadArgument)?;
    let mut shared = number.lock().lock();
    let queue = number.state(&mut shared).and_then(QueueState::storage);
    queue.map(|_| number).ok_or(Error::BadArgument)
}

/// Whether there is a queue that has this number in C.
pub fn exists(number: u32) -> bool {
    find(number).is_ok()
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let number = Number::from_c(number).ok_or(Error::BadArgument)?;
    // SAFETY: what was on the queue comes from `deliver`, and is released once.
    let release = |mut message| unsafe { release(&mut message) };
    let was_there = number.abandon(release, room);
    was_there.then_some(()).ok_or(Error::BadArgument)
}

/// The service has to know that there is room.
fn room() {
    events::tell_untold();
    instance::room();
}

/// Puts an event, as C numbers it, on a queue. `message` is what it brings.
fn deliver(to: Number, event: u32, of: Of, message: Option<Message<'_>>) -> Delivery {
    let (client, client_index) = of.to_c();
    to.deliver(message.is_some(), || {
        // Without data `hold` only says that the event was not released yet.
        let nothing = (ptr::null(), NonNull::dangling().as_ptr());
        let (data, hold) = message.map_or(nothing, |message| queue::keep(message.bytes));
        abi::Message {
            event,
            client_index,
            client,
            data,
            len: message.map_or(0, |message| message.bytes.len()),
            first: message.is_some_and(|message| message.first),
            last: message.is_some_and(|message| message.last),
            hold,
        }
    })
}

/// Takes the next event, waiting for it for `timeout_ms`, or below 0 as long as it takes.
pub fn get(number: u32, timeout_ms: i32) -> Result<abi::Message, Error> {
    #[allow(clippy::cast_possible_truncation)] // it wraps
    let now = || Instant(platform::now_ms() as u32);
    let timeout = u32::try_from(timeout_ms).ok();
    let taken = find(number)?.take(timeout, now, room);
    taken.ok_or(Error::Nothing)
}

/// Gives back an event that came from a queue, unless it was given back before.
///
/// # Safety
/// `message` comes from a queue, or is all 0; it is no copy of one that was given back.
pub unsafe fn release(message: &mut abi::Message) {
    let hold = core::mem::replace(&mut message.hold, ptr::null_mut());
    let data = core::mem::replace(&mut message.data, ptr::null());
    message.len = 0;
    if hold.is_null() {
        return;
    }
    if !data.is_null() {
        // SAFETY: `hold` comes from `keep`, and `message` has it no longer.
        unsafe { queue::give_back(hold) };
        if let Some(client) = Client::from_c(message.client) {
            instance::release(client);
        }
    }
    // Only now it is known that an entry was taken directly, though not from which queue.
    let made_room = |place: &usize| Number::at(*place).has_made_room();
    if queue::IS_READ_DIRECTLY && (0..QUEUES).filter(made_room).count() > 0 {
        room();
    }
}

/// Of whom an event is: of a client, or of the service as a whole.
#[derive(Clone, Copy)]
pub struct Of {
    pub server: u32,
    pub client: Option<ClientId>,
}

impl Of {
    /// The numbers that C has for it, of a client and of its index.
    pub fn to_c(self) -> (u64, i32) {
        let place = place(self.server);
        match self.client {
            Some(id) => client_or_none(Some(Client { place, id })),
            None if place == DEFAULT_PLACE => (NO_CLIENT, -1),
            None => (all_clients(self.server), -1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_queues_are_their_own_and_never_none() {
        assert_eq!(Number::from_c(0), None);
        assert_eq!(Number::from_c(STEP - 1), None);
        let number = Number::from_c(70_000 * STEP + 2);
        let expected = Number {
            place: 2,
            generation: Some(70_000),
        };
        assert_eq!(number, Some(expected));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Event queues. They outlive the servers.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicBool;

use wss::service::{Delivery, EventMask, Instant, Lock as _, Queue, QueueState, RecvError};

use crate::abi::{self, MAX_QUEUES};
use crate::callbacks::{Happened, Received};
use crate::client::Client;
use crate::error::Error;
use crate::events;
use crate::platform::queue::{self, Storage};
use crate::platform::{self, Monitor, SERVERS, monitor};
use crate::server::{self, PerServer};

/// The number of queues.
const QUEUES: usize = MAX_QUEUES * SERVERS;

/// The queues: each lock has as many of them as a server may have.
static PLACES: PerServer<Monitor<Places>> =
    PerServer([const { monitor([const { Place::EMPTY }; MAX_QUEUES]) }; SERVERS]);

static TURNED_AWAY: [AtomicBool; QUEUES] = [const { AtomicBool::new(false) }; QUEUES];

/// What servers do with queues, once there was one: nothing else refers to that, so that a program without queues
/// is linked without it.
static FUNCTIONS: Monitor<Option<&'static Functions>> = monitor(None);

type Places = [Place; MAX_QUEUES];

/// What servers do with queues.
pub struct Functions {
    /// Puts an event on a queue.
    pub deliver: fn(Number, &Happened) -> Delivery,
    /// Gives a server its queues.
    pub set: fn(usize, &[u32; MAX_QUEUES]),
    /// A server has stopped.
    pub end: fn(usize),
}

/// Returns what servers do with queues, if there ever was one.
pub fn functions() -> Option<&'static Functions> {
    *FUNCTIONS.lock()
}

pub struct Place {
    queue: QueueState<Storage>,
    /// The events that it gets.
    mask: EventMask,
    /// Counts the queues that were here, for their numbers.
    generation: u32,
}

impl Place {
    const EMPTY: Self = Self {
        queue: QueueState::EMPTY,
        mask: EventMask::empty(),
        generation: 0,
    };
}

/// Which queue: its place, and a generation, so that one that has ended is never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    place: usize,
    generation: u32,
}

#[allow(clippy::cast_possible_truncation)] // there are not so many
const STEP: u32 = QUEUES as u32;

impl Number {
    /// Returns the queue that has this number in C, if one can have it.
    pub fn from_c(number: u32) -> Option<Self> {
        let place = usize::try_from(number % STEP).ok()?;
        let generation = number / STEP;
        (generation > 0).then_some(Self { place, generation })
    }

    /// Does something with the queue, if it is there.
    fn with<T>(self, act: impl FnOnce(&mut Place) -> T) -> Option<T> {
        let mut shared = self.lock().lock();
        let place = shared.get_mut(self.place % MAX_QUEUES)?;
        let is_there = place.generation == self.generation && place.queue.storage().is_some();
        is_there.then(|| act(place))
    }

    /// Returns a server that gives events to the queue is about to start; which events.
    pub fn resume(self) -> Option<EventMask> {
        self.with(|place| {
            place.queue.resume();
            place.mask
        })
    }

    /// Ends the readers of a queue: no server gives it events any more.
    pub fn end_readers(self) {
        Queue::end(&self);
    }
}

impl Queue for Number {
    type Storage = Storage;
    type Shared = Places;
    type Lock = Monitor<Places>;

    fn lock(&self) -> &Self::Lock {
        PLACES.at(self.place / MAX_QUEUES)
    }

    fn state<'a>(&self, shared: &'a mut Places) -> Option<&'a mut QueueState<Storage>> {
        let found = shared.get_mut(self.place % MAX_QUEUES)?;
        (self.generation == found.generation).then_some(&mut found.queue)
    }

    fn turned_away(&self) -> &AtomicBool {
        TURNED_AWAY.get(self.place).unwrap_or(&TURNED_AWAY[0])
    }

    fn unsubscribe(&self) {
        events::remove_queue(*self);
    }
}

/// Creates a queue for events in `mask`; its number in C.
pub fn create(mask: EventMask, storage: impl FnOnce() -> Option<Storage>) -> Result<u32, Error> {
    // The optimizer is not to see that it is never anything else, and call them directly.
    *FUNCTIONS.lock() = Some(core::hint::black_box(&Functions {
        deliver,
        set: events::set_queues,
        end: events::end_queues,
    }));
    for place in 0..QUEUES {
        let mut shared = PLACES.at(place / MAX_QUEUES).lock();
        let Some(free) = shared.get_mut(place % MAX_QUEUES) else {
            continue;
        };
        // A place whose numbers are used up is not used again.
        let next = free.generation.saturating_add(1);
        if free.queue.storage().is_none() && next < u32::MAX / STEP {
            free.queue = QueueState::new(storage().ok_or(Error::Busy)?);
            free.mask = mask;
            free.generation = next;
            let place = u32::try_from(place).unwrap_or_default();
            return Ok(next.saturating_mul(STEP).saturating_add(place));
        }
    }
    Err(Error::Busy)
}

/// Returns the queue that has this number in C, if there is one.
fn find(number: u32) -> Result<Number, Error> {
    let queue = Number::from_c(number).ok_or(Error::BadArgument)?;
    queue.with(|_| queue).ok_or(Error::BadArgument)
}

/// Returns whether there is a queue that has this number in C.
pub fn exists(number: u32) -> bool {
    find(number).is_ok()
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let queue = Number::from_c(number).ok_or(Error::BadArgument)?;
    // SAFETY: what was on the queue comes from `deliver`, and is released once.
    let release = |mut event| unsafe { release(&mut event) };
    let was_there = queue.abandon(release, room);
    was_there.then_some(()).ok_or(Error::BadArgument)
}

/// Notifies the service that there is room.
fn room() {
    events::deliver_listen_failed();
    server::room();
}

/// Puts an event on a queue.
fn deliver(to: Number, happened: &Happened) -> Delivery {
    // Before the queue is locked.
    let event = happened.to_c();
    to.deliver(happened.message.is_some(), || {
        // Without data `hold` only says that the event was not released yet.
        let nothing = (ptr::null_mut(), NonNull::dangling().as_ptr());
        // SAFETY: the bytes are there, since the event is being delivered.
        let keep = |message: Received| unsafe { queue::keep(message.data, message.len) };
        let kept = happened.message.map(keep);
        let (data, hold) = kept.unwrap_or(nothing);
        abi::Event {
            data,
            hold,
            ..event
        }
    })
}

/// Takes the next event, waiting for it for `timeout_ms`, or below 0 as long as it takes.
pub fn get(number: u32, timeout_ms: i32) -> Result<abi::Event, Error> {
    #[allow(clippy::cast_possible_truncation)] // it wraps
    let now = || Instant(platform::now_ms() as u32);
    let received = find(number)?.recv(u32::try_from(timeout_ms).ok(), now, room);
    received.map_err(|error| match error {
        RecvError::Timeout => Error::NoEvent,
        _ => Error::Ended,
    })
}

/// Gives back an event that came from a queue, unless it was given back before.
///
/// # Safety
/// `event` comes from a queue, or is all 0; it is no copy of one that was given back.
pub unsafe fn release(event: &mut abi::Event) {
    let hold = core::mem::replace(&mut event.hold, ptr::null_mut());
    let data = core::mem::replace(&mut event.data, ptr::null_mut());
    event.len = 0;
    if hold.is_null() {
        return;
    }
    if !data.is_null() {
        // SAFETY: `hold` comes from `keep`, and `event` has it no longer.
        unsafe { queue::give_back(hold) };
        if let Some(client) = Client::from_c(event.client) {
            server::release(client);
        }
    }
    // Only now it is known that an entry was taken directly, though not from which queue.
    if queue::IS_READ_DIRECTLY && made_room() {
        room();
    }
}

/// Returns whether an event was turned away that now has room, on any queue.
fn made_room() -> bool {
    let made_room = |place: usize| {
        let generation = 0;
        Number { place, generation }.has_made_room()
    };
    (0..QUEUES).filter(|place| made_room(*place)).count() > 0
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
            generation: 70_000,
        };
        assert_eq!(number, Some(expected));
    }
}

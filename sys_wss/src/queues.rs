// SPDX-License-Identifier: Apache-2.0
//! Event queues, which outlive the servers.
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

/// The queues. Each lock protects as many as a server may have.
static PLACES: PerServer<Monitor<Places>> =
    PerServer([const { monitor([const { Place::EMPTY }; MAX_QUEUES]) }; SERVERS]);

static TURNED_AWAY: [AtomicBool; QUEUES] = [const { AtomicBool::new(false) }; QUEUES];

/// The functions for queues, once one was created. Nothing else refers to them, so that a program without queues is
/// linked without them.
static FUNCTIONS: Monitor<Option<&'static Functions>> = monitor(None);

type Places = [Place; MAX_QUEUES];

/// The functions that servers call for queues.
pub struct Functions {
    /// Puts an event on a queue.
    pub deliver: fn(Number, &Happened) -> Delivery,
    /// Sets the queues of a server.
    pub set: fn(usize, &[u32; MAX_QUEUES]),
    /// Ends the queues of a server that has stopped.
    pub end: fn(usize),
}

/// Returns the functions for queues, if one was ever created.
pub fn functions() -> Option<&'static Functions> {
    *FUNCTIONS.lock()
}

pub struct Place {
    queue: QueueState<Storage>,
    /// The events that it gets.
    mask: EventMask,
    /// Counts the queues of this place, for their numbers.
    generation: u32,
}

impl Place {
    const EMPTY: Self = Self {
        queue: QueueState::EMPTY,
        mask: EventMask::empty(),
        generation: 0,
    };
}

/// Identifies a queue by its place and a generation, so that an old number never refers to another queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    place: usize,
    generation: u32,
}

#[allow(clippy::cast_possible_truncation)] // there are not so many
const STEP: u32 = QUEUES as u32;

impl Number {
    /// Returns the queue with this number in C, if the number is valid.
    pub fn from_c(number: u32) -> Option<Self> {
        let place = usize::try_from(number % STEP).ok()?;
        let generation = number / STEP;
        (generation > 0).then_some(Self { place, generation })
    }

    /// Calls a function with the queue, if it exists.
    fn with<T>(self, act: impl FnOnce(&mut Place) -> T) -> Option<T> {
        let mut shared = self.lock().lock();
        let place = shared.get_mut(self.place % MAX_QUEUES)?;
        let is_there = place.generation == self.generation && place.queue.storage().is_some();
        is_there.then(|| act(place))
    }

    /// Prepares the queue for the start of a server that gives events to it. Returns its events.
    pub fn resume(self) -> Option<EventMask> {
        self.with(|place| {
            place.queue.resume();
            place.mask
        })
    }

    /// Ends the readers of a queue: no server gives events to it any more.
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

/// Creates a queue for the events in `mask`. Returns its number in C.
pub fn create(mask: EventMask, storage: impl FnOnce() -> Option<Storage>) -> Result<u32, Error> {
    // Hide the only possible value from the optimizer, which would call the functions directly.
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
        // A place whose numbers are used up is not reused.
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

/// Returns the queue with this number in C, if it exists.
fn find(number: u32) -> Result<Number, Error> {
    let queue = Number::from_c(number).ok_or(Error::BadArgument)?;
    queue.with(|_| queue).ok_or(Error::BadArgument)
}

/// Returns whether a queue with this number in C exists.
pub fn exists(number: u32) -> bool {
    find(number).is_ok()
}

/// Destroys a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let queue = Number::from_c(number).ok_or(Error::BadArgument)?;
    // SAFETY: events on the queue come from `deliver`, and are released once.
    let release = |mut event| unsafe { release(&mut event) };
    let was_there = queue.abandon(release, room);
    was_there.then_some(()).ok_or(Error::BadArgument)
}

/// Notifies the services that there is room.
fn room() {
    events::deliver_listen_failed();
    server::room();
}

/// Puts an event on a queue.
fn deliver(to: Number, happened: &Happened) -> Delivery {
    // Before locking the queue.
    let event = happened.to_c();
    to.deliver(happened.message.is_some(), || {
        // Without data, `hold` only means that the event was not released yet.
        let nothing = (ptr::null_mut(), NonNull::dangling().as_ptr());
        // SAFETY: the bytes are valid while the event is being delivered.
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

/// Takes the next event, waiting for up to `timeout_ms`; below 0: without a limit.
pub fn get(number: u32, timeout_ms: i32) -> Result<abi::Event, Error> {
    #[allow(clippy::cast_possible_truncation)] // it wraps
    let now = || Instant(platform::now_ms() as u32);
    let received = find(number)?.recv(u32::try_from(timeout_ms).ok(), now, room);
    received.map_err(|error| match error {
        RecvError::Timeout => Error::NoEvent,
        _ => Error::Ended,
    })
}

/// Releases an event that came from a queue, unless it was released before.
///
/// # Safety
/// `event` comes from a queue, or is all zeros; it is not a copy of a released one.
pub unsafe fn release(event: &mut abi::Event) {
    let hold = core::mem::replace(&mut event.hold, ptr::null_mut());
    let data = core::mem::replace(&mut event.data, ptr::null_mut());
    event.len = 0;
    if hold.is_null() {
        return;
    }
    if !data.is_null() {
        // SAFETY: `hold` comes from `keep`, and was removed from `event`.
        unsafe { queue::give_back(hold) };
        if let Some(client) = Client::from_c(event.client) {
            server::release(client);
        }
    }
    // Only now it is known that C took an entry directly, but not from which queue.
    if queue::IS_READ_DIRECTLY && made_room() {
        room();
    }
}

/// Returns whether any queue has room after it rejected an event.
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

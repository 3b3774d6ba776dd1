//! Event queues, which outlive the service.
#![allow(unsafe_code)]

use core::ptr;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use core::ops::Range;

use wss::service::{Delivery, EventMask};

use crate::abi;
use crate::callbacks::Data;
use crate::convert::{Client, Error};
use crate::events::set_queue_mask;
use crate::instance::{self, DEFAULT, place};
use crate::queues::{Number, Of, QUEUES as PLACES, next_generation, to_c};

/// Waits for a lock. Nothing that holds one can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queues, and how often each place was used before, which makes their numbers.
static QUEUES: Mutex<[Place; PLACES]> = Mutex::new([const { Place::EMPTY }; PLACES]);

struct Place {
    queue: Option<Arc<Queue>>,
    generation: u16,
}

impl Place {
    const EMPTY: Self = Self {
        queue: None,
        generation: 1,
    };
}

struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    depth: usize,
}

#[derive(Default)]
struct State {
    events: VecDeque<Entry>,
    /// An event was turned away; the service is to be told when there is room.
    turned_away: bool,
    destroyed: bool,
}

/// An event on a queue, or taken from one. Dropping it releases its message.
struct Entry {
    /// As C numbers them.
    event: u32,
    of: Of,
    message: Option<Message>,
}

/// The bytes of an event: a copy, since those in the receive buffer could be overwritten once the
/// client is cut off, while C still reads them. The hold on the client is real.
struct Message {
    bytes: Box<[u8]>,
    first: bool,
    last: bool,
    client: Client,
}

impl Drop for Message {
    fn drop(&mut self) {
        instance::release(self.client);
    }
}

/// Makes a queue for events in `mask`, at one of these places; its number.
pub fn create(places: Range<usize>, mask: EventMask, depth: usize) -> Result<u32, Error> {
    let mut queues = lock(&QUEUES);
    let (place, free) = queues
        .iter_mut()
        .enumerate()
        .find(|(place, free)| places.contains(place) && free.queue.is_none())
        .ok_or(Error::Busy)?;
    free.queue = Some(Arc::new(Queue {
        state: Mutex::default(),
        filled: Condvar::new(),
        depth,
    }));
    set_queue_mask(place, mask);
    Ok(to_c(place, free.generation))
}

/// Finds a queue.
fn find(queues: &mut [Place; PLACES], number: Number) -> Option<(&mut Place, Arc<Queue>)> {
    let found = queues.get_mut(number.place)?;
    let queue = found
        .queue
        .clone()
        .filter(|_| number.means(found.generation))?;
    Some((found, queue))
}

/// Finds a queue by the number that C has for it.
fn find_by_c(number: u32) -> Result<Arc<Queue>, Error> {
    let mut queues = lock(&QUEUES);
    let found = Number::from_c(number).and_then(|number| find(&mut queues, number));
    found.map(|(_, queue)| queue).ok_or(Error::BadArgument)
}

/// Whether there is a queue that has this number in C.
pub fn exists(number: u32) -> bool {
    find_by_c(number).is_ok()
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let number = Number::from_c(number).ok_or(Error::BadArgument)?;
    let mut queues = lock(&QUEUES);
    let (found, queue) = find(&mut queues, number).ok_or(Error::BadArgument)?;
    found.queue = None;
    found.generation = next_generation(found.generation);
    set_queue_mask(number.place, EventMask::empty());
    drop(queues);
    let mut state = lock(&queue.state);
    state.destroyed = true;
    // Released without the lock.
    let events = std::mem::take(&mut state.events);
    drop(state);
    queue.filled.notify_all();
    drop(events);
    // Whoever was held back by it goes on.
    instance::room();
    Ok(())
}

/// Puts an event on a queue. `data` is what it brings.
pub fn deliver(to: Number, event: u32, of: Of, data: Option<&Data<'_>>) -> Delivery {
    let mut queues = lock(&QUEUES);
    let Some((_, queue)) = find(&mut queues, to) else {
        return Delivery::Done;
    };
    drop(queues);
    let mut state = lock(&queue.state);
    if state.destroyed {
        return Delivery::Done;
    }
    // What is told of a service that could not be started would not be told again.
    if of.server != DEFAULT && state.events.len() >= queue.depth {
        state.turned_away = true;
        return Delivery::Full;
    }
    let message = data.zip(of.client).map(|(data, id)| Message {
        bytes: data.bytes.into(),
        first: data.first,
        last: data.last,
        client: Client {
            place: place(of.server),
            id,
        },
    });
    let delivery = match message {
        Some(_) => Delivery::Held,
        None => Delivery::Done,
    };
    state.events.push_back(Entry { event, of, message });
    drop(state);
    queue.filled.notify_one();
    delivery
}

/// Takes the next event, waiting for it for `timeout_ms`, or below 0 as long as it takes.
pub fn get(number: u32, timeout_ms: i32) -> Result<abi::Message, Error> {
    let queue = find_by_c(number)?;
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    let until = timeout.map(|timeout| Instant::now() + timeout);
    let mut state = lock(&queue.state);
    let entry = loop {
        if let Some(entry) = state.events.pop_front() {
            break entry;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if state.destroyed || left.is_some_and(|left| left.is_zero()) {
            return Err(Error::Nothing);
        }
        state = match left {
            None => queue
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = queue.filled.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    };
    let turned_away = std::mem::take(&mut state.turned_away);
    drop(state);
    if turned_away {
        instance::room();
    }
    Ok(entry.into_c())
}

impl Entry {
    /// As C has it, until it is released.
    fn into_c(self) -> abi::Message {
        let (client, client_index) = self.of.to_c();
        let entry = Box::new(self);
        let held = entry.message.as_ref();
        abi::Message {
            event: entry.event,
            client_index,
            client,
            data: held.map_or(ptr::null(), |held| held.bytes.as_ptr()),
            len: held.map_or(0, |held| held.bytes.len()),
            first: held.is_some_and(|held| held.first),
            last: held.is_some_and(|held| held.last),
            hold: Box::into_raw(entry).cast(),
        }
    }
}

/// Gives back an event that came from [`get`], unless it was given back before.
pub fn release(message: &mut abi::Message) {
    let hold = core::mem::replace(&mut message.hold, ptr::null_mut());
    (message.data, message.len) = (ptr::null(), 0);
    if !hold.is_null() {
        // SAFETY: it comes from `Box::into_raw` above, and only from there; C has not released it yet,
        // or it would be NULL.
        drop(unsafe { Box::<Entry>::from_raw(hold.cast()) });
    }
}

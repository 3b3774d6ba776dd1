//! Event queues: `k_msgq`s, of the library or of the application. An event with data points into the
//! receive buffer of its client, which is not received into until the release; so nothing is copied.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use wss::service::{Delivery, EventMask, Lock as _};
use wss_zephyr::Queue;

use crate::abi::Message;
use crate::callbacks::Data;
use crate::convert::{Client, Error};
use crate::events::{self, set_queue_mask};
use crate::instance;
use crate::platform::{Monitor, now_ms};
use crate::queues::{Number, Of, QUEUES as PLACES, next_generation, to_c};

#[derive(Clone, Copy)]
struct Place {
    queue: Option<Queue<Message>>,
    /// How often the place was used before, which makes numbers of queues.
    generation: u16,
}

static QUEUES: Monitor<[Place; PLACES]> = Monitor::new(
    [Place {
        queue: None,
        generation: 1,
    }; PLACES],
);

/// Who waits longer for an event looks again, to no end: no time-out is too long for the kernel then.
const LONG_MS: u32 = 3_600_000;

/// An event was turned away; the service is to be told when there is room.
static TURNED_AWAY: AtomicBool = AtomicBool::new(false);

/// Makes a queue for events in `mask`, at one of these places; its number.
pub fn create(places: Range<usize>, mask: EventMask, depth: usize) -> Result<u32, Error> {
    add(places, mask, || Queue::new(depth))
}

/// Adds a queue of the application's own for events in `mask`, at one of these places; its number.
pub fn add_own(
    places: Range<usize>,
    mask: EventMask,
    messages: NonNull<c_void>,
) -> Result<u32, Error> {
    // SAFETY: it is a `k_msgq` of messages that C lends until `destroy`, and no more is asked of it.
    add(places, mask, || Some(unsafe { Queue::own(messages) }))
}

/// Adds a queue for events in `mask`, at one of these places; its number.
fn add(
    places: Range<usize>,
    mask: EventMask,
    queue: impl FnOnce() -> Option<Queue<Message>>,
) -> Result<u32, Error> {
    let mut queues = QUEUES.lock();
    let (place, free) = queues
        .iter_mut()
        .enumerate()
        .find(|(place, free)| places.contains(place) && free.queue.is_none())
        .ok_or(Error::Busy)?;
    free.queue = Some(queue().ok_or(Error::Busy)?);
    set_queue_mask(place, mask);
    Ok(to_c(place, free.generation))
}

/// Finds a queue.
fn find(queues: &mut [Place; PLACES], number: Number) -> Option<(&mut Place, Queue<Message>)> {
    let found = queues.get_mut(number.place)?;
    let queue = found.queue.filter(|_| number.means(found.generation))?;
    Some((found, queue))
}

/// Whether there is a queue that has this number in C.
pub fn exists(number: u32) -> bool {
    let number = Number::from_c(number);
    number.is_some_and(|number| find(&mut QUEUES.lock(), number).is_some())
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let number = Number::from_c(number).ok_or(Error::BadArgument)?;
    let mut queues = QUEUES.lock();
    let (found, queue) = find(&mut queues, number).ok_or(Error::BadArgument)?;
    found.queue = None;
    found.generation = next_generation(found.generation);
    set_queue_mask(number.place, EventMask::empty());
    drop(queues);
    QUEUES.notify_all();
    while let Some(mut message) = queue.take(0) {
        release(&mut message);
    }
    queue.end();
    // Whoever was held back by it goes on.
    instance::room();
    Ok(())
}

/// Puts an event on a queue. `data` is what it brings.
pub fn deliver(to: Number, event: u32, of: Of, data: Option<&Data<'_>>) -> Delivery {
    let (client, client_index) = of.to_c();
    let message = Message {
        event,
        client_index,
        client,
        data: data.map_or(ptr::null(), |data| data.bytes.as_ptr()),
        len: data.map_or(0, |data| data.bytes.len()),
        first: data.is_some_and(|data| data.first),
        last: data.is_some_and(|data| data.last),
        // Marks what is to be released: nothing points here.
        hold: ptr::from_ref(&QUEUES).cast_mut().cast(),
    };
    // Kept for the while, so that the queue is not ended meanwhile. Nothing waits in there.
    let mut queues = QUEUES.lock();
    let Some((_, queue)) = find(&mut queues, to) else {
        return Delivery::Done;
    };
    let mut is_put = queue.put(&message);
    if !is_put {
        TURNED_AWAY.store(true, Ordering::SeqCst);
        // Whoever made room meanwhile has not seen that.
        is_put = queue.put(&message);
    }
    drop(queues);
    QUEUES.notify_all();
    match (is_put, data) {
        (false, _) => Delivery::Full,
        (true, Some(_)) => Delivery::Held,
        (true, None) => Delivery::Done,
    }
}

/// Takes the next event, waiting for it for `timeout_ms`, or below 0 as long as it takes.
pub fn get(number: u32, timeout_ms: i32) -> Result<Message, Error> {
    let until = u64::try_from(timeout_ms).map_or(u64::MAX, |ms| now_ms().saturating_add(ms));
    let number = Number::from_c(number).ok_or(Error::BadArgument)?;
    let mut queues = QUEUES.lock();
    let mut ended = Error::BadArgument;
    // Not in the queue itself, which could be ended, and be another one, before it is waited for.
    let message = loop {
        let (_, queue) = find(&mut queues, number).ok_or(ended)?;
        if let Some(message) = queue.take(0) {
            break message;
        }
        let left = until.saturating_sub(now_ms());
        if left == 0 {
            return Err(Error::Nothing);
        }
        ended = Error::Nothing;
        queues = QUEUES.wait(queues, u32::try_from(left).unwrap_or(LONG_MS).min(LONG_MS));
    };
    drop(queues);
    // There is room now, whether or not the event is released soon.
    room();
    Ok(message)
}

fn room() {
    if TURNED_AWAY.swap(false, Ordering::SeqCst) {
        events::tell_untold();
        instance::room();
    }
}

/// Gives back an event that came from a queue, unless it was given back before.
pub fn release(message: &mut Message) {
    let hold = core::mem::replace(&mut message.hold, ptr::null_mut());
    let data = core::mem::replace(&mut message.data, ptr::null());
    message.len = 0;
    if hold.is_null() {
        return;
    }
    if !data.is_null() {
        if let Some(client) = Client::from_c(message.client) {
            instance::release(client);
        }
    }
    // The application may have taken it from a k_msgq of its own, of which nothing is heard here.
    room();
}

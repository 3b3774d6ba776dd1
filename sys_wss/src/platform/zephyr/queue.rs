//! Event queues: `k_msgq`s, of the library or of the application. An event with data points into the
//! receive buffer of its client, which is not received into until the release; so nothing is copied.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use wss::ClientId;
use wss::service::{Delivery, EventMask, Lock as _};
use wss_zephyr::Queue;

use crate::abi::{MAX_QUEUES, Message};
use crate::callbacks::Data;
use crate::convert::{Client, Error, client_or_none};
use crate::events::{self, set_mask};
use crate::instance;
use crate::platform::Monitor;

#[derive(Clone, Copy)]
struct Place {
    queue: Option<Queue<Message>>,
    /// How often the place was used before, which makes numbers of queues.
    generation: u16,
}

static QUEUES: Monitor<[Place; MAX_QUEUES]> = Monitor::new(
    [Place {
        queue: None,
        generation: 1,
    }; MAX_QUEUES],
);

/// An event was turned away; the service is to be told when there is room.
static TURNED_AWAY: AtomicBool = AtomicBool::new(false);

/// Makes a queue for events in `mask`; its number.
pub fn create(mask: EventMask, depth: usize) -> Result<u32, Error> {
    add(mask, || Queue::new(depth))
}

/// Adds a queue of the application's own for events in `mask`; its number.
pub fn add_own(mask: EventMask, messages: NonNull<c_void>) -> Result<u32, Error> {
    // SAFETY: it is a `k_msgq` of messages that C lends until `destroy`, and no more is asked of it.
    add(mask, || Some(unsafe { Queue::own(messages) }))
}

/// Adds a queue for events in `mask`; its number.
fn add(mask: EventMask, queue: impl FnOnce() -> Option<Queue<Message>>) -> Result<u32, Error> {
    let mut queues = QUEUES.lock();
    let (place, free) = queues
        .iter_mut()
        .enumerate()
        .find(|(_, place)| place.queue.is_none())
        .ok_or(Error::Busy)?;
    free.queue = Some(queue().ok_or(Error::Busy)?);
    set_mask(place.saturating_add(1), mask);
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    Ok(u32::from(free.generation) << 16 | place)
}

/// Finds a queue by its number.
fn find(queues: &mut [Place; MAX_QUEUES], number: u32) -> Option<(usize, &mut Place)> {
    let place = usize::try_from(number & 0xFFFF).ok()?;
    let found = queues.get_mut(place)?;
    let is = u32::from(found.generation) == number >> 16 && found.queue.is_some();
    is.then_some((place, found))
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let mut queues = QUEUES.lock();
    let (place, found) = find(&mut queues, number).ok_or(Error::BadArgument)?;
    let queue = found.queue.take();
    // Never 0, so that no number of a queue is.
    found.generation = found.generation.checked_add(1).unwrap_or(1);
    set_mask(place.saturating_add(1), EventMask::empty());
    drop(queues);
    if let Some(queue) = queue {
        while let Some(mut message) = queue.take(0) {
            release(&mut message);
        }
        queue.end();
    }
    // Whoever was held back by it goes on.
    instance::room();
    Ok(())
}

/// Puts an event on the queue of a sink. `client` is whom it is of, in which service.
pub fn deliver(
    sink: usize,
    event: u32,
    client: Option<(u32, ClientId)>,
    data: Option<&Data<'_>>,
) -> Delivery {
    let client = client.map(|(epoch, id)| Client::new(epoch, id));
    let (number, client_index) = client_or_none(client);
    let message = Message {
        event,
        client_index,
        client: number,
        data: data.map_or(ptr::null(), |data| data.bytes.as_ptr()),
        len: data.map_or(0, |data| data.bytes.len()),
        first: data.is_some_and(|data| data.first),
        last: data.is_some_and(|data| data.last),
        // Marks what is to be released: nothing points here.
        hold: ptr::from_ref(&QUEUES).cast_mut().cast(),
    };
    // Kept for the while, so that the queue is not ended meanwhile. Nothing waits in there.
    let queues = QUEUES.lock();
    let place = sink.checked_sub(1).and_then(|place| queues.get(place));
    let Some(queue) = place.and_then(|place| place.queue) else {
        return Delivery::Done;
    };
    let mut is_put = queue.put(&message);
    if !is_put {
        TURNED_AWAY.store(true, Ordering::SeqCst);
        // Whoever made room meanwhile has not seen that.
        is_put = queue.put(&message);
    }
    match (is_put, data) {
        (false, _) => Delivery::Full,
        (true, Some(_)) => Delivery::Held,
        (true, None) => Delivery::Done,
    }
}

/// Takes the next event, waiting for it for `timeout_ms`, or below 0 as long as it takes.
pub fn get(number: u32, timeout_ms: i32) -> Result<Message, Error> {
    let mut queues = QUEUES.lock();
    let (_, found) = find(&mut queues, number).ok_or(Error::BadArgument)?;
    let queue = found.queue.ok_or(Error::BadArgument)?;
    drop(queues);
    let message = queue.take(timeout_ms).ok_or(Error::Nothing)?;
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
        instance::release_of(message.client);
    }
    // The application may have taken it from a k_msgq of its own, of which nothing is heard here.
    room();
}

//! Event queues: `k_msgq`s, of the library or of the application. An event with data points into the
//! receive buffer of its client, which is not received into until the release; so nothing is copied.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use wss::ClientId;
use wss::service::{Delivery, EventMask, Lock as _};

use crate::abi::{MAX_QUEUES, Message};
use crate::callbacks::Data;
use crate::convert::{Client, Error, client_or_none};
use crate::events::set_mask;
use crate::instance;
use crate::platform::Monitor;

// `zephyr/queue.c`.
unsafe extern "C" {
    /// A queue of the library's for `depth` events, or NULL.
    safe fn wss_port_queue_new(depth: usize) -> *mut c_void;
    /// Gives it back, or ends the use of the application's own.
    fn wss_port_queue_end(queue: *mut c_void);
    /// Puts an event on it, if there is room.
    fn wss_port_queue_put(queue: *mut c_void, message: *const Message) -> bool;
    /// Takes an event from it, waiting for it for `ms`, or below 0 as long as it takes.
    fn wss_port_queue_get(queue: *mut c_void, message: *mut Message, ms: i32) -> bool;
}

struct Place {
    queue: *mut c_void,
    /// How often the place was used before, which makes numbers of queues.
    generation: u16,
}

// SAFETY: the pointer is only handed to `queue.c`, where queues may be used on any thread.
unsafe impl Send for Place {}

static QUEUES: Monitor<[Place; MAX_QUEUES]> = Monitor::new(
    [const {
        Place {
            queue: ptr::null_mut(),
            generation: 1,
        }
    }; MAX_QUEUES],
);

/// An event was turned away; the service is to be told when there is room.
static TURNED_AWAY: AtomicBool = AtomicBool::new(false);

/// Makes a queue for events in `mask`; its number.
pub fn create(mask: EventMask, depth: usize) -> Result<u32, Error> {
    add(mask, || wss_port_queue_new(depth))
}

/// Adds a queue for events in `mask`; its number.
pub fn add(mask: EventMask, queue: impl FnOnce() -> *mut c_void) -> Result<u32, Error> {
    let mut queues = QUEUES.lock();
    let (place, free) = queues
        .iter_mut()
        .enumerate()
        .find(|(_, place)| place.queue.is_null())
        .ok_or(Error::Busy)?;
    let queue = queue();
    if queue.is_null() {
        return Err(Error::Busy);
    }
    free.queue = queue;
    set_mask(place.saturating_add(1), mask);
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    Ok(u32::from(free.generation) << 16 | place)
}

/// Finds a queue by its number.
fn find(queues: &mut [Place; MAX_QUEUES], number: u32) -> Option<(usize, &mut Place)> {
    let place = usize::try_from(number & 0xFFFF).ok()?;
    let found = queues.get_mut(place)?;
    let is = u32::from(found.generation) == number >> 16 && !found.queue.is_null();
    is.then_some((place, found))
}

/// Ends a queue.
pub fn destroy(number: u32) -> Result<(), Error> {
    let mut queues = QUEUES.lock();
    let (place, found) = find(&mut queues, number).ok_or(Error::BadArgument)?;
    let queue = core::mem::replace(&mut found.queue, ptr::null_mut());
    // Never 0, so that no number of a queue is.
    found.generation = found.generation.checked_add(1).unwrap_or(1);
    set_mask(place.saturating_add(1), EventMask::empty());
    drop(queues);
    while let Ok(mut message) = take(queue, 0) {
        release(&mut message);
    }
    // SAFETY: it came from `create` or `add`, and nobody finds it any more.
    unsafe { wss_port_queue_end(queue) };
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
    let Some(queue) = place
        .map(|place| place.queue)
        .filter(|queue| !queue.is_null())
    else {
        return Delivery::Done;
    };
    // SAFETY: the queue is in use, and the message is copied.
    let put = || unsafe { wss_port_queue_put(queue, &raw const message) };
    let mut is_put = put();
    if !is_put {
        TURNED_AWAY.store(true, Ordering::SeqCst);
        // Whoever made room meanwhile has not seen that.
        is_put = put();
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
    let queue = found.queue;
    drop(queues);
    let message = take(queue, timeout_ms)?;
    // There is room now, whether or not the event is released soon.
    room();
    Ok(message)
}

fn take(queue: *mut c_void, timeout_ms: i32) -> Result<Message, Error> {
    let mut message = core::mem::MaybeUninit::uninit();
    // SAFETY: the queue is one of `queue.c`'s, which lasts, and there is room for a message.
    let taken = unsafe { wss_port_queue_get(queue, message.as_mut_ptr(), timeout_ms) };
    // SAFETY: it was put there.
    let message = taken.then(|| unsafe { message.assume_init() });
    message.ok_or(Error::Nothing)
}

fn room() {
    if TURNED_AWAY.swap(false, Ordering::SeqCst) {
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

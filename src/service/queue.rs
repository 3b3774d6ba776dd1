// SPDX-License-Identifier: Apache-2.0
//! Event queues, from which threads of the application read events.
//!
//! A queue loses nothing. While it is full, the service keeps the event, and stops reading from its client, until a
//! reader makes room. An event with bytes *holds* its message: the bytes stay in the client's receive buffer, or count
//! against it, until the reader releases them.
//!
//! [`Queue`] implements the rules. [`QueueStorage`] stores the entries; an implementation of [`Queue`] contains the
//! state and its lock: [`QueueSink`] for servers in Rust.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::event::{ClientId, Event, EventMask, Message};
use super::port::{Lock, Port};
use super::time::Instant;
use super::{Application, Delivery, Service};
use crate::protocol::{CloseCode, Request};

/// A reader without a timeout checks again after this time, in milliseconds, because operating systems limit timeouts.
const LONG_MS: u32 = 3_600_000;

/// Stores the entries of a queue, in order. Called with the queue's lock held.
pub trait QueueStorage {
    /// An event, in the form that readers need.
    type Entry;

    /// Appends the result of `make`, or returns false if there is no room, and keeps nothing.
    fn put(&mut self, make: impl Fn() -> Self::Entry) -> bool;

    /// Takes the oldest entry.
    fn take(&mut self) -> Option<Self::Entry>;
}

/// The state of a queue, behind its lock.
pub struct QueueState<S> {
    /// `None` if there is no queue, or its readers have abandoned it.
    storage: Option<S>,
    /// No more events follow: a reader that finds none does not wait.
    ended: bool,
    /// The number of readers that wait for an event.
    waiting: u32,
}

impl<S> QueueState<S> {
    /// The state without a queue.
    pub const EMPTY: Self = Self {
        storage: None,
        ended: false,
        waiting: 0,
    };

    /// Creates a queue with this storage.
    pub const fn new(storage: S) -> Self {
        Self {
            storage: Some(storage),
            ..Self::EMPTY
        }
    }

    /// Makes the queue accept events again.
    pub const fn resume(&mut self) {
        self.ended = false;
    }

    /// Returns the storage, if there is a queue.
    pub const fn storage(&mut self) -> Option<&mut S> {
        self.storage.as_mut()
    }
}

/// The reason why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// There was none in time.
    Timeout,
    /// The server has stopped, and every event was taken.
    Ended,
}

impl core::fmt::Display for RecvError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no event came in time",
            Self::Ended => "the server has ended",
        })
    }
}

impl core::error::Error for RecvError {}

/// An event queue between the service and the threads that read it.
///
/// An implementation contains the state and its lock, which several queues may share. No method holds the lock while it
/// calls `release`, `room`, or the service.
pub trait Queue {
    /// The storage of the entries.
    type Storage: QueueStorage;
    /// The value behind the lock.
    type Shared;
    /// The type of the lock.
    type Lock: Lock<Self::Shared>;

    /// Returns the lock.
    fn lock(&self) -> &Self::Lock;

    /// Returns the state. `None` if this queue no longer exists; another one may have taken its place.
    fn state<'a>(&self, shared: &'a mut Self::Shared) -> Option<&'a mut QueueState<Self::Storage>>;

    /// Returns the flag that is set while the service must be notified of room, because an event was rejected.
    fn turned_away(&self) -> &AtomicBool;

    /// Unsubscribes the queue, because its readers abandon it: the service delivers nothing to it any more. Called with
    /// the lock held.
    fn unsubscribe(&self);

    /// Puts an event on the queue. `make` creates the entry; `holds` means that it holds a message.
    fn deliver(&self, holds: bool, make: impl Fn() -> Entry<Self>) -> Delivery {
        let mut shared = self.lock().lock();
        let Some(state) = self.state(&mut shared) else {
            return Delivery::Done;
        };
        let Some(storage) = &mut state.storage else {
            return Delivery::Done;
        };
        let mut is_put = storage.put(&make);
        if !is_put {
            self.turned_away().store(true, Ordering::SeqCst);
            // A reader that has taken an entry without the lock may not have seen the flag.
            is_put = storage.put(&make);
        }
        let wakes = is_put && state.waiting > 0;
        drop(shared);
        if wakes {
            self.lock().notify_all();
        }
        match (is_put, holds) {
            (false, _) => Delivery::Full,
            (true, true) => Delivery::Held,
            (true, false) => Delivery::Done,
        }
    }

    /// Takes the oldest event, or waits for one for up to `timeout_ms`; `None` means no timeout. Calls `room` if the
    /// service must be notified of room.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if there was none in time; [`RecvError::Ended`] if the queue no longer exists, or has
    /// ended and is empty.
    fn recv(
        &self,
        timeout_ms: Option<u32>,
        now: impl Fn() -> Instant,
        room: impl FnOnce(),
    ) -> Result<Entry<Self>, RecvError> {
        let mut shared = self.lock().lock();
        let mut left = timeout_ms;
        let mut since = None;
        let entry = loop {
            let state = self.state(&mut shared).ok_or(RecvError::Ended)?;
            let storage = state.storage.as_mut().ok_or(RecvError::Ended)?;
            if let Some(entry) = storage.take() {
                break entry;
            }
            if let Some(left) = &mut left {
                let now = now();
                let since = since.replace(now).unwrap_or(now);
                *left = left.saturating_sub(since.until(now));
            }
            if state.ended {
                return Err(RecvError::Ended);
            }
            if left == Some(0) {
                return Err(RecvError::Timeout);
            }
            state.waiting = state.waiting.saturating_add(1);
            let timeout = left.unwrap_or(LONG_MS).min(LONG_MS);
            shared = self.lock().wait(shared, timeout);
            if let Some(state) = self.state(&mut shared) {
                state.waiting = state.waiting.saturating_sub(1);
            }
        };
        drop(shared);
        if self.has_made_room() {
            room();
        }
        Ok(entry)
    }

    /// Returns whether the service must be notified of room, after an entry was taken.
    fn has_made_room(&self) -> bool {
        let turned_away = self.turned_away().load(Ordering::SeqCst);
        if turned_away {
            // Clear it before the service tries again.
            self.turned_away().store(false, Ordering::SeqCst);
        }
        turned_away
    }

    /// Ends the queue: readers take the remaining events, and do not wait for more. An event that a handler delivers
    /// late, because it did not return in time, is still put on the queue.
    fn end(&self) {
        if let Some(state) = self.state(&mut self.lock().lock()) {
            state.ended = true;
        }
        self.lock().notify_all();
    }

    /// Abandons the queue, because its readers are gone. Calls `release` with each remaining entry, and `room`, because
    /// the queue rejects nothing any more. Returns false if the queue no longer existed.
    fn abandon(&self, release: impl FnMut(Entry<Self>), room: impl FnOnce()) -> bool {
        let mut shared = self.lock().lock();
        let state = self.state(&mut shared);
        let Some(mut storage) = state.and_then(|state| state.storage.take()) else {
            return false;
        };
        self.unsubscribe();
        drop(shared);
        self.lock().notify_all();
        core::iter::from_fn(|| storage.take()).for_each(release);
        room();
        true
    }
}

/// The entries of a queue.
pub type Entry<Q> = <<Q as Queue>::Storage as QueueStorage>::Entry;

/// An event that is kept, with its bytes as `B`.
#[derive(Clone, Copy, Debug)]
pub struct KeptEvent<B> {
    /// The client; `None` for events of the service as a whole.
    pub client: Option<ClientId>,
    /// The bytes of the event.
    pub bytes: B,
    event: EventMask,
    first: bool,
    last: bool,
}

/// The events that hold a message.
const HOLDING: EventMask = EventMask::TEXT
    .union(EventMask::BINARY)
    .union(EventMask::PING)
    .union(EventMask::PONG)
    .union(EventMask::CLOSE_FRAME);

impl<B> KeptEvent<B> {
    /// Creates an entry for an event, with its bytes in the form that the caller keeps.
    pub fn new(client: Option<ClientId>, event: &Event<'_>, bytes: B) -> Self {
        let message = event.message();
        Self {
            client,
            bytes,
            event: event.mask(),
            first: message.is_none_or(|message| message.first),
            last: message.is_none_or(|message| message.last),
        }
    }

    /// Returns the client whose message this holds.
    pub fn holds_for(&self) -> Option<ClientId> {
        self.client.filter(|_| HOLDING.intersects(self.event))
    }

    /// Releases the message that this holds. Call it once.
    pub fn release<P: Port, A: Application<P>>(&self, service: &Service<P, A>) {
        if let Some(client) = self.holds_for() {
            service.release(client);
        }
    }

    /// Returns the event with its bytes; for `Connected`, those of the request.
    pub fn event<'a>(&self, bytes: &'a [u8]) -> Event<'a> {
        let &Self { first, last, .. } = self;
        let message = Message { bytes, first, last };
        match self.event {
            EventMask::TEXT => Event::Text(message),
            EventMask::BINARY => Event::Binary(message),
            EventMask::PING => Event::Ping(bytes),
            EventMask::PONG => Event::Pong(bytes),
            EventMask::CLOSE_FRAME => Event::CloseFrame {
                code: bytes
                    .first_chunk()
                    .and_then(|code| CloseCode::new(u16::from_be_bytes(*code))),
                body: bytes,
            },
            EventMask::CONNECTED => Event::Connected(Request::from_bytes(bytes)),
            EventMask::CONNECTING => Event::Connecting,
            EventMask::CLOSING => Event::Closing,
            EventMask::CLOSED => Event::Closed,
            EventMask::INVALID_FRAME => Event::InvalidFrame,
            EventMask::TIMEOUT => Event::Timeout,
            EventMask::TLS_FAILED => Event::TlsFailed,
            EventMask::LISTEN_FAILED => Event::ListenFailed,
            EventMask::LINK_DOWN => Event::LinkDown,
            EventMask::LINK_UP => Event::LinkUp,
            EventMask::WRITABLE => Event::Writable,
            _ => Event::Error,
        }
    }
}

/// A queue that is a sink of a server in Rust.
pub struct QueueSink<P: Port, S: QueueStorage> {
    state: P::Lock<QueueState<S>>,
    turned_away: AtomicBool,
    /// The events that it gets.
    mask: AtomicU32,
}

impl<P: Port, S: QueueStorage> Queue for QueueSink<P, S> {
    type Storage = S;
    type Shared = QueueState<S>;
    type Lock = P::Lock<QueueState<S>>;

    fn lock(&self) -> &Self::Lock {
        &self.state
    }

    fn state<'a>(&self, shared: &'a mut QueueState<S>) -> Option<&'a mut QueueState<S>> {
        Some(shared)
    }

    fn turned_away(&self) -> &AtomicBool {
        &self.turned_away
    }

    fn unsubscribe(&self) {
        self.mask.store(0, Ordering::Relaxed);
    }
}

impl<P: Port, B, S: QueueStorage<Entry = KeptEvent<B>>> QueueSink<P, S> {
    /// Creates a queue for the events in `mask`, with its state behind a lock.
    pub const fn new(mask: EventMask, state: P::Lock<QueueState<S>>) -> Self {
        Self {
            state,
            turned_away: AtomicBool::new(false),
            mask: AtomicU32::new(mask.bits()),
        }
    }

    /// Starts again with an empty queue for the events in `mask`. Call it while the service delivers nothing.
    pub fn begin(&self, mask: EventMask, storage: S) {
        *self.state.lock() = QueueState::new(storage);
        self.turned_away.store(false, Ordering::SeqCst);
        self.mask.store(mask.bits(), Ordering::Relaxed);
    }

    /// Clears the queue. Call it while the service delivers nothing to it, and it holds no messages.
    pub fn clear(&self) {
        self.mask.store(0, Ordering::Relaxed);
        *self.state.lock() = QueueState::EMPTY;
    }

    /// Returns the events that it gets; none once it is abandoned.
    pub fn mask(&self) -> EventMask {
        EventMask::from_bits_truncate(self.mask.load(Ordering::Relaxed))
    }

    /// Puts an event on the queue, with its bytes as returned by `keep`.
    pub fn deliver_event(
        &self,
        client: Option<ClientId>,
        event: &Event<'_>,
        keep: impl Fn() -> B,
    ) -> Delivery {
        let holds = event.message().is_some();
        self.deliver(holds, || KeptEvent::new(client, event, keep()))
    }

    /// Takes the next event, see [`recv`](Queue::recv).
    ///
    /// # Errors
    /// See [`RecvError`].
    pub fn recv_event<A: Application<P>>(
        &self,
        service: &Service<P, A>,
        timeout_ms: Option<u32>,
    ) -> Result<KeptEvent<B>, RecvError> {
        self.recv(timeout_ms, || service.port().now(), || service.room())
    }

    /// Abandons the queue, see [`abandon`](Queue::abandon).
    pub fn abandon_events<A: Application<P>>(&self, service: &Service<P, A>) {
        self.abandon(|event| event.release(service), || service.room());
    }
}

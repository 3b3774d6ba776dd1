//! Events on a queue, for an application that takes them on its own threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::server::Clients;
use crate::protocol::{CloseCode, Request};
use crate::service::{ClientId, Delivery, Event, EventMask, Message};

/// A queue of events. Taking them from several threads is fine.
///
/// When it is full nothing is lost: clients are not received from until there is room. Dropping it ends
/// that: its events are for nobody then.
pub struct EventQueue {
    shared: Arc<Shared>,
    clients: Arc<Clients>,
}

/// The server's end of the queue.
pub(super) struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    mask: EventMask,
    depth: usize,
    /// Nobody takes events any more.
    abandoned: AtomicBool,
}

struct State {
    events: VecDeque<Entry>,
    /// An event was turned away; the service is to be told when there is room.
    turned_away: bool,
    closed: bool,
}

/// An event with its bytes. They are copied, since safe Rust cannot lend bytes of a buffer in which
/// the next messages are still being unmasked; the hold on the client is real.
struct Entry {
    client: Option<ClientId>,
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Kind {
    Plain(Event<'static>),
    Connected,
    Text { first: bool, last: bool },
    Binary { first: bool, last: bool },
    Ping,
    Pong,
    CloseFrame(Option<CloseCode>),
}

impl Entry {
    /// The client that is held up by this.
    fn held_for(&self) -> Option<ClientId> {
        match self.kind {
            Kind::Plain(_) | Kind::Connected => None,
            _ => self.client,
        }
    }
}

impl Shared {
    pub fn new(mask: EventMask, depth: usize) -> Self {
        Self {
            state: Mutex::new(State {
                events: VecDeque::with_capacity(depth.min(1024)),
                turned_away: false,
                closed: false,
            }),
            filled: Condvar::new(),
            mask,
            depth: depth.max(1),
            abandoned: AtomicBool::new(false),
        }
    }

    /// What the service puts here.
    pub fn mask(&self) -> EventMask {
        if self.abandoned.load(Ordering::SeqCst) {
            EventMask::empty()
        } else {
            self.mask
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn deliver(&self, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
        let mut state = self.lock();
        if self.abandoned.load(Ordering::SeqCst) {
            return Delivery::Done;
        }
        if state.events.len() >= self.depth {
            state.turned_away = true;
            return Delivery::Full;
        }
        let (kind, bytes): (Kind, &[u8]) = match *event {
            Event::Connected(request) => (Kind::Connected, request.to_bytes()),
            Event::Text(Message { bytes, first, last }) => (Kind::Text { first, last }, bytes),
            Event::Binary(Message { bytes, first, last }) => (Kind::Binary { first, last }, bytes),
            Event::Ping(bytes) => (Kind::Ping, bytes),
            Event::Pong(bytes) => (Kind::Pong, bytes),
            Event::CloseFrame { code, body } => (Kind::CloseFrame(code), body),
            Event::Error => (Kind::Plain(Event::Error), &[]),
            Event::Connecting => (Kind::Plain(Event::Connecting), &[]),
            Event::Closing => (Kind::Plain(Event::Closing), &[]),
            Event::Closed => (Kind::Plain(Event::Closed), &[]),
            Event::InvalidFrame => (Kind::Plain(Event::InvalidFrame), &[]),
            Event::Timeout => (Kind::Plain(Event::Timeout), &[]),
            Event::TlsFailed => (Kind::Plain(Event::TlsFailed), &[]),
            Event::ListenFailed => (Kind::Plain(Event::ListenFailed), &[]),
            Event::LinkDown => (Kind::Plain(Event::LinkDown), &[]),
            Event::LinkUp => (Kind::Plain(Event::LinkUp), &[]),
            Event::Writable => (Kind::Plain(Event::Writable), &[]),
        };
        let entry = Entry {
            client,
            kind,
            bytes: bytes.to_vec(),
        };
        let held = entry.held_for().is_some();
        state.events.push_back(entry);
        drop(state);
        self.filled.notify_one();
        if held { Delivery::Held } else { Delivery::Done }
    }

    /// The server has ended: what is on the queue can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}

impl EventQueue {
    pub(super) fn new(shared: Arc<Shared>, clients: Arc<Clients>) -> Self {
        Self { shared, clients }
    }

    /// Takes the next event, waiting for it; `None` once the server has ended and all is taken.
    pub fn recv(&self) -> Option<QueuedEvent<'_>> {
        self.take(None)
    }

    /// Takes the next event, waiting for up to `timeout`.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<QueuedEvent<'_>> {
        // Beyond the end of time: for ever.
        self.take(Instant::now().checked_add(timeout))
    }

    fn take(&self, until: Option<Instant>) -> Option<QueuedEvent<'_>> {
        let mut state = self.shared.lock();
        let entry = loop {
            if let Some(entry) = state.events.pop_front() {
                break entry;
            }
            if state.closed {
                return None;
            }
            let filled = &self.shared.filled;
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => {
                    let waited = filled.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        let turned_away = std::mem::take(&mut state.turned_away);
        drop(state);
        if turned_away {
            self.clients.room();
        }
        Some(QueuedEvent {
            entry,
            clients: &self.clients,
        })
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        self.shared.abandoned.store(true, Ordering::SeqCst);
        let left = std::mem::take(&mut state.events);
        drop(state);
        for client in left.iter().filter_map(Entry::held_for) {
            self.clients.release(client);
        }
        // Nothing is turned away any more.
        self.clients.room();
    }
}

/// An event taken from a queue. While it is kept, a message in it is held: its client is not received
/// from, and is cut off at the hold time-out.
pub struct QueuedEvent<'a> {
    entry: Entry,
    clients: &'a Clients,
}

impl QueuedEvent<'_> {
    /// The client, or `None` for events of the service as a whole.
    #[must_use]
    pub fn client(&self) -> Option<ClientId> {
        self.entry.client
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        let bytes = self.entry.bytes.as_slice();
        match self.entry.kind {
            Kind::Plain(event) => event,
            Kind::Connected => Event::Connected(Request::from_bytes(bytes)),
            Kind::Text { first, last } => Event::Text(Message { bytes, first, last }),
            Kind::Binary { first, last } => Event::Binary(Message { bytes, first, last }),
            Kind::Ping => Event::Ping(bytes),
            Kind::Pong => Event::Pong(bytes),
            Kind::CloseFrame(code) => Event::CloseFrame { code, body: bytes },
        }
    }
}

impl Drop for QueuedEvent<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.entry.held_for() {
            self.clients.release(client);
        }
    }
}

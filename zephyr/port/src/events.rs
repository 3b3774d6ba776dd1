//! Events on a message queue, for an application that takes them on its own threads.

use core::iter;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use wss::protocol::Request;
use wss::service::{Delivery, Message};
use wss::{ClientId, CloseCode, Event, EventMask};

use crate::kconfig;
use crate::place::Shared;
use crate::queue::Queue;
use crate::server::Clients;

/// Room for the largest message.
pub type MessageBuffer = [u8; kconfig::RX_BUFFER_SIZE as usize];

/// An event on the queue. Its bytes are in the receive buffer of the client, who holds them there
/// until the event is taken.
#[derive(Clone, Copy)]
struct Entry {
    client: Option<ClientId>,
    /// Which event; none: the server has ended.
    event: EventMask,
    first: bool,
    last: bool,
    bytes: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read where they are known to stay: see `EventQueue::copy`.
unsafe impl Send for Entry {}

/// The events with bytes.
const HELD: EventMask = EventMask::TEXT
    .union(EventMask::BINARY)
    .union(EventMask::PING)
    .union(EventMask::PONG)
    .union(EventMask::CLOSE_FRAME);

impl Entry {
    const END: Self = Self {
        client: None,
        event: EventMask::empty(),
        first: true,
        last: true,
        bytes: ptr::null(),
        len: 0,
    };

    fn new(client: Option<ClientId>, event: &Event<'_>) -> Self {
        let (bytes, first, last) = match *event {
            Event::Text(Message { bytes, first, last })
            | Event::Binary(Message { bytes, first, last }) => (bytes, first, last),
            Event::Ping(bytes) | Event::Pong(bytes) => (bytes, true, true),
            Event::CloseFrame { body, .. } => (body, true, true),
            _ => (&[][..], true, true),
        };
        Self {
            client,
            event: event.mask(),
            first,
            last,
            bytes: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    fn is_held(&self) -> bool {
        HELD.intersects(self.event)
    }

    /// The event, with its bytes.
    fn event<'a>(&self, bytes: &'a [u8]) -> Event<'a> {
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
            // The request is where the client's next bytes go, and is not kept.
            EventMask::CONNECTED => Event::Connected(Request::from_bytes(&[])),
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

/// The server's end of the queue.
pub struct Events {
    queue: Queue<Entry>,
    wanted: EventMask,
    /// An event was turned away; the service is to be told when there is room.
    turned_away: AtomicBool,
    /// The server has ended, or nobody takes events any more.
    ended: AtomicBool,
    /// Nobody takes events any more.
    abandoned: AtomicBool,
}

impl Events {
    /// `None` if there is no queue left, or none for so many events.
    pub fn new(wanted: EventMask, depth: usize) -> Option<Self> {
        // Fewer than there are generations of clients: see `EventQueue::copy`.
        let depth = depth.clamp(1, usize::from(u16::MAX) / 2);
        Some(Self {
            queue: Queue::new(depth)?,
            wanted,
            turned_away: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        })
    }

    /// What the service puts here: always the ends of clients, which say whose bytes are there.
    pub fn mask(&self) -> EventMask {
        if self.ended.load(Ordering::SeqCst) {
            EventMask::empty()
        } else {
            self.wanted | EventMask::CLOSED
        }
    }

    pub fn deliver(&self, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
        if self.ended.load(Ordering::SeqCst) {
            return Delivery::Done;
        }
        let entry = Entry::new(client, event);
        let mut is_put = self.queue.put(&entry);
        if !is_put {
            self.turned_away.store(true, Ordering::SeqCst);
            // Whoever made room meanwhile has not seen that.
            is_put = self.queue.put(&entry);
        }
        if is_put && self.abandoned.load(Ordering::SeqCst) && self.left().count() > 0 {
            // It was put here too late for whoever dropped the queue.
            return Delivery::Done;
        }
        match (is_put, entry.is_held()) {
            (false, _) => Delivery::Full,
            (true, true) => Delivery::Held,
            (true, false) => Delivery::Done,
        }
    }

    /// Takes what is left when nobody else takes events any more: the clients of what has bytes.
    fn left(&self) -> impl Iterator<Item = ClientId> {
        let entries = iter::from_fn(|| self.queue.take(0)).filter(Entry::is_held);
        entries.filter_map(|entry| entry.client)
    }

    /// No more events come: whoever waits for one is told so.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        // Without room nobody waits, and it is seen once all has been taken.
        let _ = self.queue.put(&Entry::END);
    }
}

/// The last of the server, and of the application's end, has gone.
impl Drop for Events {
    fn drop(&mut self) {
        self.queue.end();
    }
}

/// A queue of events. Taking them on several threads is fine.
///
/// When it is full nothing is lost: clients are not received from until there is room. Dropping it
/// ends that: events are for nobody then.
pub struct EventQueue {
    clients: Shared<Clients>,
    /// Which of its queues.
    index: usize,
}

impl EventQueue {
    pub(crate) const fn new(clients: Shared<Clients>, index: usize) -> Self {
        Self { clients, index }
    }

    /// The server's end.
    fn events(&self) -> Option<&Events> {
        self.clients.application().queues().nth(self.index)
    }

    /// Takes the next event, waiting for it; `None` once the server has ended and all is taken.
    ///
    /// A message is copied to `buffer`, and its client received from again. What the client asked for
    /// is not told here: the request of [`Event::Connected`] is empty.
    pub fn recv<'a>(&self, buffer: &'a mut MessageBuffer) -> Option<(Option<ClientId>, Event<'a>)> {
        self.take(buffer, None)
    }

    /// Takes the next event, waiting for up to `timeout_ms`.
    pub fn recv_timeout<'a>(
        &self,
        buffer: &'a mut MessageBuffer,
        timeout_ms: u32,
    ) -> Option<(Option<ClientId>, Event<'a>)> {
        let now = crate::uptime_ms();
        self.take(buffer, Some(now.saturating_add(u64::from(timeout_ms))))
    }

    /// What to send with, and to ask about clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    fn take<'a>(
        &self,
        buffer: &'a mut MessageBuffer,
        until: Option<u64>,
    ) -> Option<(Option<ClientId>, Event<'a>)> {
        let events = self.events()?;
        loop {
            let entry = self.next_entry(events, until)?;
            // There is room now.
            if events.turned_away.swap(false, Ordering::SeqCst) {
                self.clients.room();
            }
            // The ends of clients are on the queue in any case.
            if !events.wanted.contains(entry.event) {
                continue;
            }
            // Without its bytes it is of a client that was cut off.
            if let Some(len) = self.copy(&entry, buffer) {
                let bytes: &'a [u8] = buffer;
                let event = entry.event(bytes.get(..len).unwrap_or_default());
                return Some((entry.client, event));
            }
        }
    }

    fn next_entry(&self, events: &Events, until: Option<u64>) -> Option<Entry> {
        let mut entry = events.queue.take(0);
        if entry.is_none() && !events.ended.load(Ordering::SeqCst) {
            let left = until.map_or(-1, |until| {
                let left = until.saturating_sub(crate::uptime_ms());
                i32::try_from(left).unwrap_or(i32::MAX)
            });
            entry = events.queue.take(left);
        }
        let entry = entry?;
        if entry.event.is_empty() {
            // For the next who waits.
            let _ = events.queue.put(&entry);
            return None;
        }
        Some(entry)
    }

    /// Copies what the event brings, and lets its client go on; how many bytes. `None` if the client
    /// has gone, and its bytes with it.
    fn copy(&self, entry: &Entry, buffer: &mut MessageBuffer) -> Option<usize> {
        let Some(client) = entry.client.filter(|_| entry.is_held()) else {
            return Some(0);
        };
        let len = entry.len.min(buffer.len());
        let copied = self.clients.while_held(client, || {
            // SAFETY: the bytes stay for as long as this client holds them, which it does: it was held
            // up for this event, and is let go on below. It is no later client of the slot either: the
            // end of each is on the queue behind this event, and fewer fit there than there are
            // generations. The buffer is the caller's own.
            unsafe { ptr::copy_nonoverlapping(entry.bytes, buffer.as_mut_ptr(), len) };
            len
        });
        self.clients.release(client);
        copied
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        if let Some(events) = self.events() {
            events.abandoned.store(true, Ordering::SeqCst);
            events.end();
            for client in events.left() {
                self.clients.release(client);
            }
            // Nothing is turned away any more.
            self.clients.room();
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Events, and the ids of clients.

use core::fmt;
use core::ops::Deref;

use crate::protocol::{CloseCode, Request, from_utf8};

/// The maximum number of sinks, where events are delivered: a callback, and queues.
pub const MAX_SINKS: usize = 4;

/// Identifies a client while its connection lives.
///
/// The generation distinguishes it from earlier clients with the same slot, so that an old id refers to no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    slot: u16,
    generation: u32,
}

impl ClientId {
    /// Creates the id of the client that has, or had, this slot with this generation. For applications that store ids
    /// in their own format.
    #[must_use]
    pub fn new(slot: usize, generation: u32) -> Self {
        Self {
            slot: u16::try_from(slot).unwrap_or(u16::MAX),
            generation,
        }
    }

    /// Returns the slot: the client index of the C interface, from 0.
    #[must_use]
    pub fn slot(self) -> usize {
        usize::from(self.slot)
    }

    /// Returns the generation, which counts the clients of the slot.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.slot)
    }
}

/// A message, or with streaming a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its bytes. Pieces of a text end on character boundaries.
    pub bytes: &'a [u8],
    /// Whether this is the beginning of the message.
    pub first: bool,
    /// Whether this is the end of the message.
    pub last: bool,
}

impl<'a> Message<'a> {
    /// Returns the text of a text message, which is valid UTF-8. Empty for binary data that is not.
    #[must_use]
    pub fn text(&self) -> &'a str {
        from_utf8(self.bytes).unwrap_or_default()
    }

    /// Returns whether it is a whole message.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.first && self.last
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// An event. The order for each client is `Connecting`, `Connected`, …, `Closing`, `Closed`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An error without an event of its own: no memory, descriptor, or socket for a connection.
    Error,
    /// A connection was accepted.
    Connecting,
    /// The 101 response was sent. Contains the client's request.
    Connected(Request<'a>),
    /// Binary data.
    Binary(Message<'a>),
    /// Text in UTF-8.
    Text(Message<'a>),
    /// A ping, which the service has answered.
    Ping(&'a [u8]),
    /// A pong that does not answer the service's own keep-alive.
    Pong(&'a [u8]),
    /// A close frame: the client starts the closing handshake, or answers ours.
    CloseFrame {
        /// Its code, if it has one.
        code: Option<CloseCode>,
        /// Its body as received: the code in two bytes, then the reason.
        body: &'a [u8],
    },
    /// The connection is ending. Emitted once before every `Closed`.
    Closing,
    /// The connection has ended. Emitted once for each `Connecting`.
    Closed,
    /// The client violated RFC 6455; `Closing` follows.
    InvalidFrame,
    /// The client was silent too long, or did not finish its opening handshake; `Closing` follows.
    Timeout,
    /// TLS failed.
    TlsFailed,
    /// The listening socket could not be opened.
    ListenFailed,
    /// The network interface went down.
    LinkDown,
    /// The network interface came up.
    LinkUp,
    /// A send that was refused because there was no room can be tried again.
    Writable,
}

bitflags::bitflags! {
    /// A set of events. Each has the bit of its number in the C interface.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventMask: u32 {
        /// [`Event::Error`].
        const ERROR = 1 << 0;
        /// [`Event::Connecting`].
        const CONNECTING = 1 << 1;
        /// [`Event::Connected`].
        const CONNECTED = 1 << 2;
        /// [`Event::Binary`].
        const BINARY = 1 << 3;
        /// [`Event::Text`].
        const TEXT = 1 << 4;
        /// [`Event::Ping`].
        const PING = 1 << 5;
        /// [`Event::Pong`].
        const PONG = 1 << 6;
        /// [`Event::CloseFrame`].
        const CLOSE_FRAME = 1 << 7;
        /// [`Event::Closing`].
        const CLOSING = 1 << 8;
        /// [`Event::Closed`].
        const CLOSED = 1 << 9;
        /// [`Event::InvalidFrame`].
        const INVALID_FRAME = 1 << 10;
        /// [`Event::Timeout`].
        const TIMEOUT = 1 << 11;
        /// [`Event::TlsFailed`].
        const TLS_FAILED = 1 << 12;
        /// [`Event::ListenFailed`].
        const LISTEN_FAILED = 1 << 13;
        /// [`Event::LinkDown`].
        const LINK_DOWN = 1 << 14;
        /// [`Event::LinkUp`].
        const LINK_UP = 1 << 15;
        /// [`Event::Writable`], an extension.
        const WRITABLE = 1 << 16;
    }
}

impl EventMask {
    /// The events of the service as a whole, in the order of delivery.
    pub(super) const SERVICE: [Self; 4] = [
        Self::LISTEN_FAILED,
        Self::LINK_DOWN,
        Self::LINK_UP,
        Self::ERROR,
    ];

    /// Returns the event of this one bit of [`SERVICE`](Self::SERVICE).
    pub(super) const fn service_event(self) -> Event<'static> {
        match self {
            Self::LISTEN_FAILED => Event::ListenFailed,
            Self::LINK_DOWN => Event::LinkDown,
            Self::LINK_UP => Event::LinkUp,
            _ => Event::Error,
        }
    }
}

/// The events that each sink wants.
pub(super) type Masks = [EventMask; MAX_SINKS];

/// A state change of a client; the event has no bytes. Pending ones are delivered in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Connecting,
    Connected,
    Writable,
    TlsFailed,
    InvalidFrame,
    Timeout,
    Closing,
    Closed,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Connecting,
        Self::Connected,
        Self::Writable,
        Self::TlsFailed,
        Self::InvalidFrame,
        Self::Timeout,
        Self::Closing,
        Self::Closed,
    ];

    const fn mask(self) -> EventMask {
        match self {
            Self::Connecting => EventMask::CONNECTING,
            Self::Connected => EventMask::CONNECTED,
            Self::Writable => EventMask::WRITABLE,
            Self::TlsFailed => EventMask::TLS_FAILED,
            Self::InvalidFrame => EventMask::INVALID_FRAME,
            Self::Timeout => EventMask::TIMEOUT,
            Self::Closing => EventMask::CLOSING,
            Self::Closed => EventMask::CLOSED,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The state events that each sink has not received yet: a bit each, in the order of [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending([u8; MAX_SINKS]);

impl Pending {
    /// No pending events.
    pub const NONE: Self = Self([0; MAX_SINKS]);

    /// Returns whether there are no pending events. One comparison of a word.
    pub fn is_empty(self) -> bool {
        u32::from_ne_bytes(self.0) == 0
    }

    /// Adds an event for every sink that wants it.
    pub fn add(&mut self, state: State, masks: &Masks) {
        for (pending, mask) in self.0.iter_mut().zip(masks) {
            if mask.intersects(state.mask()) {
                *pending |= state.bit();
            }
        }
    }

    /// Returns whether this event is pending for a sink.
    pub fn has(self, state: State) -> bool {
        self.0.iter().any(|pending| pending & state.bit() != 0)
    }

    /// Returns the next event for a sink.
    pub fn next(self, sink: usize) -> Option<State> {
        let pending = self.0.get(sink)?;
        State::ALL.get(pending.trailing_zeros() as usize).copied()
    }

    /// Removes an event that was delivered to a sink.
    pub fn remove(&mut self, sink: usize, state: State) {
        if let Some(pending) = self.0.get_mut(sink) {
            *pending &= !state.bit();
        }
    }

    /// Drops the events of these sinks (a bit each).
    pub fn forget(&mut self, sinks: u8) {
        for (sink, pending) in self.0.iter_mut().enumerate() {
            if sinks & 1 << sink != 0 {
                *pending = 0;
            }
        }
    }
}

impl<'a> Event<'a> {
    /// Returns the client's data, for events that have data. Queues hold it.
    #[must_use]
    pub const fn message(&self) -> Option<Message<'a>> {
        let bytes = match *self {
            Self::Text(message) | Self::Binary(message) => return Some(message),
            Self::Ping(bytes) | Self::Pong(bytes) | Self::CloseFrame { body: bytes, .. } => bytes,
            _ => return None,
        };
        let (first, last) = (true, true);
        Some(Message { bytes, first, last })
    }

    /// Returns the bit of this event.
    #[must_use]
    pub const fn mask(&self) -> EventMask {
        // The numbers of the C interface, in the order of the variants, so that no table is needed.
        let number = match self {
            Self::Error => 0,
            Self::Connecting => 1,
            Self::Connected(_) => 2,
            Self::Binary(_) => 3,
            Self::Text(_) => 4,
            Self::Ping(_) => 5,
            Self::Pong(_) => 6,
            Self::CloseFrame { .. } => 7,
            Self::Closing => 8,
            Self::Closed => 9,
            Self::InvalidFrame => 10,
            Self::Timeout => 11,
            Self::TlsFailed => 12,
            Self::ListenFailed => 13,
            Self::LinkDown => 14,
            Self::LinkUp => 15,
            Self::Writable => 16,
        };
        EventMask::from_bits_retain(1 << number)
    }
}

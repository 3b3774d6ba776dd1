// SPDX-License-Identifier: Apache-2.0
//! The inputs of the service's target.

use arbitrary::Arbitrary;
use wss::EventMask;
use wss::service::{Config, MAX_SINKS, Opening};

/// What happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Plan {
    pub setup: Setup,
    /// The actions of the callback for one event after the other, repeated from the first one.
    pub reactions: Vec<Reaction>,
    pub acts: Vec<Act>,
}

/// The service and its application.
#[derive(Arbitrary, Clone, Debug)]
pub struct Setup {
    slots: u8,
    rx: u8,
    blocks: u8,
    block_size: u8,
    /// The number of connected clients at the beginning.
    clients: u8,
    /// The events that the queues want; the callback wants all.
    queues: [u8; MAX_SINKS - 1],
    pub sinks: [SinkMode; MAX_SINKS],
    pub streaming: bool,
    pings: bool,
    limits: [u8; 5],
    pub verdict: u8,
    /// The service runs only when an act requests it, instead of after each act.
    pub stepwise: bool,
    /// In the end all parties do what the service waits for, instead of only letting time pass.
    pub fair: bool,
}

impl Setup {
    pub fn slots(&self) -> usize {
        1 + usize::from(self.slots % 3)
    }

    pub fn rx(&self) -> usize {
        [300, 4, 20, 125, 1400][usize::from(self.rx) % 5]
    }

    pub fn clients(&self) -> usize {
        usize::from(self.clients) % (self.slots() + 1)
    }

    /// The addresses of the first clients.
    pub fn origin(&self) -> Origin {
        // Zero in older inputs with few clients.
        Origin(self.clients >> 2 & !1)
    }

    /// Whether there are pages.
    pub fn pages(&self) -> bool {
        // Missing in older inputs with few blocks.
        self.blocks & 0x40 != 0
    }

    /// The number and the size of the blocks.
    pub fn blocks(&self) -> (usize, usize) {
        let size = [self.rx() + 10, 16, 150][usize::from(self.block_size) % 3];
        (usize::from(self.blocks % 4), size)
    }

    pub fn config(&self) -> Config {
        let [request, address, handshakes, control, fragments] = self.limits;
        let limit = |number: u8, values: [u16; 2]| match number % 8 {
            at @ 1..=2 => values[usize::from(at) - 1],
            _ => 0,
        };
        Config {
            streaming: self.streaming,
            ping_interval_ms: if self.pings { 15_000 } else { 0 },
            handshake_limit: if request % 8 == 1 { 100 } else { 4096 },
            clients_per_address: limit(address, [1, 2]),
            handshakes_per_second: limit(handshakes, [1, 5]),
            control_frames_per_second: limit(control, [1, 5]),
            fragments_per_message: limit(fragments, [1, 3]),
            ..Config::default()
        }
    }

    pub fn masks(&self) -> [EventMask; MAX_SINKS] {
        let data = EventMask::TEXT | EventMask::BINARY | EventMask::PING | EventMask::PONG;
        let mut masks = [EventMask::all(); MAX_SINKS];
        for (mask, queue) in masks.iter_mut().skip(1).zip(self.queues) {
            *mask = match queue % 8 {
                1 => EventMask::all(),
                2 => data | EventMask::CLOSE_FRAME,
                3 => !data,
                4 => EventMask::TEXT,
                5 => EventMask::CONNECTED | EventMask::CLOSED,
                _ => EventMask::empty(),
            };
        }
        masks
    }
}

/// The input of a client.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum ClientFrame {
    Text,
    Binary,
    FirstText,
    FirstBinary,
    Middle,
    Last,
    Ping,
    Pong,
    Close,
    /// With a reserved bit.
    Wrong,
}

/// The target of an action.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum To {
    Slot(u8),
    /// A client that may no longer exist.
    Client(u8),
    All,
}

/// A data frame that the application sends.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Send {
    pub to: To,
    pub shape: Shape,
    pub len: u16,
    /// It may wait for the next one.
    pub more: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Shape {
    Text,
    Binary,
    FirstText,
    FirstBinary,
    Middle,
    Last,
    /// Bytes that are not text.
    NotUtf8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Close {
    pub to: To,
    pub code: u16,
    pub reason: u8,
}

/// The state of the opening handshake of an adopted connection.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Begun {
    Request,
    Upgraded,
}

impl From<Begun> for Opening {
    fn from(begun: Begun) -> Self {
        match begun {
            Begun::Request => Self::Request,
            Begun::Upgraded => Self::Upgraded,
        }
    }
}

/// The reaction of a sink to an event.
#[derive(Arbitrary, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkMode {
    #[default]
    Takes,
    Holds,
    IsFull,
}

/// The actions of the callback for an event, before it returns.
#[derive(Arbitrary, Clone, Debug)]
pub enum Reaction {
    Nothing,
    /// Sends a message back.
    Echo,
    /// Sends a part of it back.
    EchoPart {
        from: u8,
        len: u8,
    },
    Send(Send),
    Release(u8),
    /// Meanwhile this many acts happen.
    Meanwhile(u8),
    Rare(RareReaction),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum RareReaction {
    Ping(To, u8),
    Close(Close),
    Flush(To),
    Stop,
}

/// The actions of a client, the network, the application, or the clock. Clients and threads are chosen from the
/// existing ones. Frequent actions are variants of the outer enumeration.
#[derive(Arbitrary, Clone, Debug)]
pub enum Act {
    Frame {
        who: u8,
        kind: ClientFrame,
        len: u16,
    },
    Client(u8, ClientAct),
    /// Of this thread of the application.
    Thread(u8, ThreadAct),
    /// Changes the reactions of a sink.
    Sink(u8, SinkMode),
    Step(Step),
    Pass(u16),
    Rare(RareAct),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum ClientAct {
    Request,
    Raw(Vec<u8>),
    /// Keeps back its output from now on, except for this many bytes.
    Cork,
    Uncork(u16),
    /// It answers pings and close frames.
    Answer,
    /// The server receives this many bytes at a time.
    Segment(u8),
    /// It takes this many more bytes, or any number.
    Window(Option<u8>),
    Eof,
    Reset,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum ThreadAct {
    Send(Send),
    Ping(To, u8),
    Close(Close),
    Flush(To),
    Release(u8),
    /// It answers the request of the client in this slot.
    Decide(u8, u8),
}

/// The service runs, step by step.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One item of the work queue.
    Work,
    /// One turn of the serving thread.
    Serve,
    Rest,
    /// The waiting thread wakes up.
    Wake,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum RareAct {
    Connect {
        from: Origin,
        cannot_shut: bool,
    },
    /// The service adopts a connection of which `count` bytes were received before.
    Adopt {
        opening: Begun,
        count: u16,
    },
    /// Changes the application's answers to opening requests.
    Verdict(u8),
    /// A connection arrives that cannot be accepted.
    CannotAccept,
    /// The next one cannot be watched.
    CannotWatch,
    Announce(u8),
    Stop {
        wait: bool,
    },
    /// Of a client with TLS.
    Tls(u8, TlsAct),
}

/// The address of a connection, in bits, and its use of TLS.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Origin(u8);

impl Origin {
    /// One of two addresses.
    pub fn address(self) -> u32 {
        u32::from(self.0 & 1)
    }

    pub fn uses_tls(self) -> bool {
        self.0 & 2 != 0
    }

    /// A step of the handshake is one record.
    pub fn one_by_one(self) -> bool {
        self.0 & 4 != 0
    }

    /// The maximum plaintext in a record.
    pub fn record(self) -> usize {
        1 + usize::from(self.0 >> 3) * 7
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum TlsAct {
    /// The stream ends without close_notify.
    Truncate,
    /// A record that is not allowed.
    Blunder,
    /// TLS itself must answer, or fails because of it during the handshake.
    UpdateKey,
}

//! What an input of the service's target says.

use arbitrary::Arbitrary;
use wss::EventMask;
use wss::service::{Config, MAX_SINKS, Opening};

/// What happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Plan {
    pub setup: Setup,
    /// What the callback does with one event after the other, again from the first after the last.
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
    /// Which events the queues want; the callback wants all.
    queues: [u8; MAX_SINKS - 1],
    pub streaming: bool,
    pings: bool,
    limits: [u8; 5],
    pub verdict: u8,
    /// The service runs only when an act says so, instead of after each.
    pub stepwise: bool,
    /// In the end everybody does what the service waits for, instead of just letting time pass.
    pub fair: bool,
}

impl Setup {
    pub fn slots(&self) -> usize {
        1 + usize::from(self.slots % 3)
    }

    pub fn rx(&self) -> usize {
        [300, 4, 20, 125, 1400][usize::from(self.rx) % 5]
    }

    /// How many blocks, and of what size.
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

/// What a client sends.
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

/// Whom something is for.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum To {
    Slot(u8),
    /// A client that there was once, perhaps.
    Client(u8),
    All,
}

/// A data frame that the application sends.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Send {
    pub to: To,
    pub shape: Shape,
    pub len: u16,
    /// It need not leave at once.
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
    /// Bytes that are no text.
    NotUtf8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Close {
    pub to: To,
    pub code: u16,
    pub reason: u8,
}

/// How far the opening of a connection is that somebody else has accepted.
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

/// What a sink does with what it is given.
#[derive(Arbitrary, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkMode {
    #[default]
    Takes,
    Holds,
    IsFull,
}

/// What the callback does with an event, before it returns.
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
    Ping(To, u8),
    Close(Close),
    Release(u8),
    /// So many acts happen meanwhile.
    Meanwhile(u8),
    Stop,
}

/// What a client, the network, the application or the clock does. Clients and threads are picked
/// from those that there are.
#[derive(Arbitrary, Clone, Debug)]
pub enum Act {
    /// From one of two addresses.
    Connect {
        address: bool,
        cannot_shut: bool,
    },
    /// Somebody else has accepted a connection, and so many of its bytes.
    Adopt {
        opening: Begun,
        count: u16,
    },
    /// What the application says to opening requests from now on.
    Verdict(u8),
    /// It answers a request later.
    Decide(u8, u8, u8),
    /// A connection comes that cannot be had.
    CannotAccept,
    /// The next one cannot be watched.
    CannotWatch,
    Request(u8),
    Frame {
        who: u8,
        kind: ClientFrame,
        len: u16,
    },
    Raw(u8, Vec<u8>),
    /// What the client sends from now on waits, until it goes by so many bytes.
    Cork(u8),
    Uncork(u8, u16),
    /// The client answers pings and close frames.
    Answer(u8),
    /// The server receives so many bytes at a time.
    Segment(u8, u8),
    /// The client takes so many bytes more.
    Window(u8, u16),
    Eof(u8),
    Reset(u8),
    Pass(u16),
    /// One item of the work queue.
    Work,
    /// One turn of the serving thread.
    Serve,
    Rest,
    /// The thread that waits wakes.
    Wake,
    Send(u8, Send),
    Ping(u8, To, u8),
    Close(u8, Close),
    Flush(To),
    Sink(u8, SinkMode),
    Release(u8),
    Announce(u8),
    Stop {
        wait: bool,
    },
}

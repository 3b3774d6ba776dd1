//! A scripted port: plays one client's end of a connection from bytes in
//! flash, and keeps what is sent to it for the test to look at.

use crate::{Outcome, Test};
use core::cell::RefCell;
use cortex_m::interrupt::{self, Mutex};

/// As many as the service is to be measured with.
pub const CLIENTS: usize = 2;
/// Room for a handshake response and one full message in a frame.
const KEPT: usize = 2048;

/// What a client sends, in the pieces in which it arrives:
/// `script!(HELLO = [b"GET / HT", b"TP/1.1\r\n"]);`
///
/// The bytes go into a section of their own, which `run` leaves out of the
/// service's flash.
#[macro_export]
macro_rules! script {
    ($name:ident = [$($bytes:expr),* $(,)?]) => {
        static $name: &[&[u8]] = &[$({
            #[unsafe(link_section = ".script")]
            static CHUNK: [u8; $bytes.len()] = *$bytes;
            &CHUNK
        }),*];
    };
}

pub struct Port {
    /// The piece that arrived last, as far as it has not been read.
    arrived: Option<&'static [u8]>,
    coming: Option<&'static [&'static [u8]]>,
    /// The most bytes that one read gives.
    pub read_limit: usize,
    /// How many more bytes the client takes; 0 is a client that does not read.
    pub room: usize,
    kept: [u8; KEPT],
    len: usize,
}

impl Port {
    /// Nothing but zeroes, so that it lies in `.bss` and takes no flash (an
    /// empty slice would not do, its address is not zero); `play` makes it usable.
    const fn new() -> Self {
        Port {
            arrived: None,
            coming: None,
            read_limit: 0,
            room: 0,
            kept: [0; KEPT],
            len: 0,
        }
    }

    /// Starts a new script and forgets everything of the last one.
    pub fn play(&mut self, script: &'static [&'static [u8]]) {
        self.arrived = None;
        self.coming = Some(script);
        self.read_limit = usize::MAX;
        self.room = KEPT;
        self.len = 0;
    }

    /// A read that does not block: bytes of one piece at most. 0 is nothing
    /// now, for an empty piece as well as after the script's end.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut arrived = self.arrived.unwrap_or_default();
        if arrived.is_empty() {
            let Some((piece, coming)) = self.coming.unwrap_or_default().split_first() else {
                return 0;
            };
            arrived = piece;
            self.coming = Some(coming);
        }
        let len = arrived.len().min(buffer.len()).min(self.read_limit);
        let (now, rest) = arrived.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.arrived = Some(rest);
        len
    }

    /// A write that does not block: the number of bytes taken.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let free = &mut self.kept[self.len..];
        let len = bytes.len().min(self.room).min(free.len());
        free[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
        self.room -= len;
        len
    }

    /// Whether the whole script has been read.
    pub fn finished(&self) -> bool {
        self.arrived.is_none_or(<[u8]>::is_empty) && self.coming.is_none_or(<[_]>::is_empty)
    }

    /// All that the client has been sent.
    pub fn sent(&self) -> &[u8] {
        &self.kept[..self.len]
    }
}

/// Static, and in the baseline image too, so as not to count as the service's.
static PORTS: Mutex<RefCell<[Port; CLIENTS]>> =
    Mutex::new(RefCell::new([const { Port::new() }; CLIENTS]));

/// Lends the ports to a test, with no script and nothing kept.
pub fn with_ports(test: impl FnOnce(&mut [Port; CLIENTS]) -> Outcome) -> Outcome {
    interrupt::free(|cs| {
        // Not `borrow_mut`, whose panic would bring formatting into the baseline.
        let mut ports = PORTS
            .borrow(cs)
            .try_borrow_mut()
            .map_err(|_| "ports in use")?;
        ports.iter_mut().for_each(|port| port.play(&[]));
        test(&mut ports)
    })
}

/// A port that were wrong could make the service's tests pass for nothing.
pub const TESTS: &[Test] = &[
    Test {
        name: "port_plays_its_script_in_pieces",
        run: plays_in_pieces,
    },
    Test {
        name: "port_keeps_what_it_has_room_for",
        run: keeps_what_fits,
    },
];

script!(PIECES = [b"GET", b"", b" /"]);

fn plays_in_pieces() -> Outcome {
    with_ports(|[port, silent]| {
        port.play(PIECES);
        let mut buffer = [0; 2];
        for expected in [&b"GE"[..], b"T", b"", b" /", b""] {
            let len = port.read(&mut buffer);
            if &buffer[..len] != expected {
                return Err("read something else");
            }
        }
        if !port.finished() {
            return Err("script not finished");
        }
        if silent.read(&mut buffer) != 0 {
            return Err("the other port is not silent");
        }
        Ok(())
    })
}

fn keeps_what_fits() -> Outcome {
    with_ports(|[port, other]| {
        port.room = 3;
        if port.write(b"ab") != 2 || port.write(b"cd") != 1 || port.write(b"d") != 0 {
            return Err("took other numbers of bytes");
        }
        port.room = 1;
        if port.write(b"d") != 1 || port.sent() != b"abcd" {
            return Err("kept something else");
        }
        if !other.sent().is_empty() {
            return Err("the other port got something");
        }
        Ok(())
    })
}

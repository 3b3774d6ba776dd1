// SPDX-License-Identifier: Apache-2.0
//! Scripted clients: what each sends comes from flash, and what it is sent is
//! compared with flash, byte by byte.

use crate::{Alone, Outcome, check, tests, text};
use core::cell::RefCell;
use core::iter::zip;

/// One more than the service has room for.
pub const CLIENTS: usize = 3;

pub type Script = &'static [&'static [u8]];

/// `script!(HELLO = [b"GET / HT", b"TP/1.1\r\n"]);`
///
/// The bytes go into a section of their own, which `run` leaves out of the
/// service's flash.
#[macro_export]
macro_rules! script {
    ($name:ident = [$($bytes:expr),* $(,)?]) => {
        #[unsafe(link_section = ".script")]
        static $name: [&[u8]; [$(stringify!($bytes)),*].len()] = [$({
            #[unsafe(link_section = ".script")]
            static PIECE: [u8; $bytes.len()] = *$bytes;
            &PIECE
        }),*];
    };
}

/// The bytes of a script that are still to come.
struct Rest {
    piece: Option<&'static [u8]>,
    pieces: Option<Script>,
}

impl Rest {
    const fn is_empty(&self) -> bool {
        matches!(self.piece, None | Some([])) && matches!(self.pieces, None | Some([]))
    }
}

impl Iterator for Rest {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            if let Some((byte, rest)) = self.piece.unwrap_or_default().split_first() {
                self.piece = Some(rest);
                return Some(*byte);
            }
            let (piece, rest) = self.pieces.unwrap_or_default().split_first()?;
            (self.piece, self.pieces) = (Some(*piece), Some(rest));
        }
    }
}

pub struct Client {
    sends: Rest,
    expects: Rest,
    /// The most bytes that one read gives.
    pub read_limit: usize,
    /// How many more bytes the client takes.
    pub room: usize,
    /// It was sent something that it did not expect.
    wrong: bool,
    /// It sends nothing behind its script. A client ends when the server does.
    pub ended: bool,
    /// The server has closed the connection.
    pub closed: bool,
}

impl Client {
    /// Nothing but zeroes, so that it lies in `.bss` and takes no flash (an
    /// empty slice would not do, its address is not zero).
    const fn new() -> Self {
        const NOTHING: Rest = Rest {
            piece: None,
            pieces: None,
        };
        Self {
            sends: NOTHING,
            expects: NOTHING,
            read_limit: 0,
            room: 0,
            wrong: false,
            ended: false,
            closed: false,
        }
    }

    /// A new connection with nothing to send and nothing to expect.
    pub fn reset(&mut self) {
        *self = Self::new();
        (self.read_limit, self.room) = (usize::MAX, usize::MAX);
    }

    /// Goes on with a script, and with what is expected from now on.
    pub fn play(&mut self, sends: Script, expects: Script) {
        self.sends.pieces = Some(sends);
        self.expects.pieces = Some(expects);
    }

    pub fn is_readable(&self) -> bool {
        self.ended || !self.sends.is_empty()
    }

    /// A read that does not block: `None` is nothing now, 0 is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        for (place, byte) in zip(buffer.iter_mut().take(self.read_limit), &mut self.sends) {
            *place = byte;
            len += 1;
        }
        (len > 0 || self.ended).then_some(len)
    }

    /// A write that does not block: the number of bytes taken.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.room);
        self.room -= len;
        for byte in bytes.iter().take(len) {
            self.wrong |= self.expects.next() != Some(*byte);
        }
        len
    }

    /// Whether the whole script was read, and exactly what was expected was sent.
    pub fn is_satisfied(&self) -> bool {
        !self.wrong && self.sends.is_empty() && self.expects.is_empty()
    }
}

/// Static, and in the baseline image too, so as not to count as the service's.
static ALL: Alone<[RefCell<Client>; CLIENTS]> =
    Alone([const { RefCell::new(Client::new()) }; CLIENTS]);

/// Does something as a client, or to it.
pub fn with<T>(client: usize, act: impl FnOnce(&mut Client) -> T) -> T {
    // Not `borrow_mut`, whose panic would bring formatting into the baseline.
    match ALL.0.get(client).map(RefCell::try_borrow_mut) {
        Some(Ok(mut client)) => act(&mut client),
        _ => crate::give_up(text!("no such client, or it is in use\n")),
    }
}

// A client that were wrong could make the service's tests pass for nothing.
tests![
    TESTS = client_sends_its_script,
    client_compares_what_it_is_sent,
];

script!(PIECES = [b"GET", b"", b" /"]);

fn client_sends_its_script() -> Outcome {
    with(0, |client| {
        client.reset();
        client.play(&PIECES, &[]);
        check!(!client.is_satisfied());
        client.read_limit = 2;
        let mut buffer = [0; 4];
        for expected in [b"GE", b"T ", &b"/"[..]] {
            check!(client.read(&mut buffer) == Some(expected.len()));
            check!(buffer.starts_with(expected));
        }
        check!(client.read(&mut buffer).is_none() && client.is_satisfied());
        check!(!client.is_readable() && !client.closed);
        client.ended = true;
        check!(client.read(&mut buffer) == Some(0));
        Ok(())
    })
}

fn client_compares_what_it_is_sent() -> Outcome {
    with(1, |client| {
        client.reset();
        client.play(&[], &PIECES);
        client.room = 2;
        check!(client.write(b"GET") == 2 && client.write(b"T") == 0);
        client.room = 10;
        check!(client.write(b"T /") == 3 && client.is_satisfied());
        client.write(b"x");
        check!(!client.is_satisfied());
        client.reset();
        client.play(&[], &PIECES);
        client.write(b"GOT /");
        check!(!client.is_satisfied());
        Ok(())
    })
}

// SPDX-License-Identifier: Apache-2.0
//! Scripted clients: their input comes from flash, and the output for them is compared with flash, byte by byte.

use crate::{Alone, Outcome, check, tests, text};
use core::cell::RefCell;
use core::iter::zip;

/// One more than the service has room for.
pub const CLIENTS: usize = 3;

pub type Script = &'static [&'static [u8]];

/// `script!(HELLO = [b"GET / HT", b"TP/1.1\r\n"]);`
///
/// The bytes go into a separate section, which `run` does not count as the service's flash.
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

/// The rest of a script.
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
    /// The maximum number of bytes of one read.
    pub read_limit: usize,
    /// The number of bytes that the client still takes.
    pub room: usize,
    /// It got something unexpected.
    wrong: bool,
    /// It sends nothing after its script, and ends when the server does.
    pub ended: bool,
    /// The server has closed the connection.
    pub closed: bool,
}

impl Client {
    /// All zeros, so that it is in `.bss` and takes no flash (an empty slice would not do, because its address is not
    /// zero).
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

    /// A new connection with nothing to send or to expect.
    pub fn reset(&mut self) {
        *self = Self::new();
        (self.read_limit, self.room) = (usize::MAX, usize::MAX);
    }

    /// Continues with a script, and with the expected output from now on.
    pub fn play(&mut self, sends: Script, expects: Script) {
        self.sends.pieces = Some(sends);
        self.expects.pieces = Some(expects);
    }

    pub fn is_readable(&self) -> bool {
        self.ended || !self.sends.is_empty()
    }

    /// A non-blocking read: `None` means nothing now, 0 the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        for (place, byte) in zip(buffer.iter_mut().take(self.read_limit), &mut self.sends) {
            *place = byte;
            len += 1;
        }
        (len > 0 || self.ended).then_some(len)
    }

    /// A non-blocking write: returns the number of bytes taken.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.room);
        self.room -= len;
        for byte in bytes.iter().take(len) {
            self.wrong |= self.expects.next() != Some(*byte);
        }
        len
    }

    /// Whether the whole script was read, and exactly the expected output was sent.
    pub fn is_satisfied(&self) -> bool {
        !self.wrong && self.sends.is_empty() && self.expects.is_empty()
    }
}

/// Static, and also in the baseline image, to not count as the service's.
static ALL: Alone<[RefCell<Client>; CLIENTS]> =
    Alone([const { RefCell::new(Client::new()) }; CLIENTS]);

/// Calls a function with a client.
pub fn with<T>(client: usize, act: impl FnOnce(&mut Client) -> T) -> T {
    // Not `borrow_mut`, whose panic would add formatting to the baseline.
    match ALL.0.get(client).map(RefCell::try_borrow_mut) {
        Some(Ok(mut client)) => act(&mut client),
        _ => crate::give_up(text!("no such client, or it is in use\n")),
    }
}

// A wrong client could make the service's tests pass for no reason.
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

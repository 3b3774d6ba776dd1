// SPDX-License-Identifier: Apache-2.0
//! A toy version of TLS for scripted sockets: a handshake, records, alerts. It hides nothing, but both ends detect
//! lost, duplicated, torn, and forged records.

use std::collections::VecDeque;

use wss::service::SocketError;

use crate::port::Wire;

/// The maximum plaintext in a record of the server.
pub const RECORD: usize = 48;

const ALERT: u8 = 0x15;
const HANDSHAKE: u8 = 0x16;
const DATA: u8 = 0x17;

const CLOSE_NOTIFY: &[u8] = b"close_notify";
const BAD_RECORD: &[u8] = b"bad_record";
const KEY_UPDATE: &[u8] = b"key_update";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Client,
    Server,
}

/// The records of a handshake.
const SCRIPT: [(By, &[u8]); 8] = [
    (By::Client, b"client_hello, with names and numbers"),
    (By::Server, b"server_hello"),
    (By::Server, b"certificate: the server is who it says, "),
    (By::Server, b"says who issued this"),
    (By::Client, b"client_key"),
    (By::Client, b"client_finished"),
    (By::Server, b"server_finished"),
    (By::Server, b"ticket"),
];

/// One direction of a connection.
#[derive(Default)]
struct Records {
    /// The number of records so far.
    count: u8,
    /// The received part of the next record.
    partial: Vec<u8>,
}

impl Records {
    /// A record: its kind, its length, and as many bytes, the last of which is a checksum.
    fn seal(&mut self, kind: u8, plaintext: &[u8]) -> Vec<u8> {
        let sum = self.sum(kind, plaintext);
        let mut record = vec![
            kind,
            u8::try_from(plaintext.len() + 1).expect("a short record"),
        ];
        record.extend(plaintext);
        record.push(sum);
        self.hide(&mut record[2..]);
        self.count = self.count.wrapping_add(1);
        record
    }

    /// Returns the kind and the plaintext of the received record, if it is valid.
    fn open(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut record = std::mem::take(&mut self.partial);
        let kind = record.remove(0);
        record.remove(0);
        self.hide(&mut record);
        let sum = record.pop()?;
        let is_right = sum == self.sum(kind, &record);
        self.count = self.count.wrapping_add(1);
        is_right.then_some((kind, record))
    }

    /// Returns how many bytes of a record are missing; `None` if this is not a record.
    fn missing(&self) -> Option<usize> {
        match self.partial[..] {
            [] => Some(2),
            [kind, ..] if !(ALERT..=DATA).contains(&kind) => None,
            [_] => Some(1),
            [_, len, ..] => Some(usize::from(len) + 2 - self.partial.len()),
        }
    }

    fn sum(&self, kind: u8, plaintext: &[u8]) -> u8 {
        let bytes = plaintext.iter();
        bytes.fold(kind ^ self.count, |sum, byte| sum.rotate_left(1) ^ byte)
    }

    fn hide(&self, bytes: &mut [u8]) {
        let key = (0_u8..=255)
            .cycle()
            .map(|at| at.wrapping_mul(29) ^ self.count ^ 0x5A);
        bytes
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// This record of the script comes next.
    Handshake(usize),
    Open,
    /// The client has sent HTTP instead.
    Http,
    Failed,
}

/// TLS of a connection, on both ends.
pub struct Tls {
    stage: Stage,
    received: Records,
    sent: Records,
    /// Decrypted plaintext that was not received yet.
    plaintext: VecDeque<u8>,
    /// Ciphertext that the network has not taken.
    unsent: VecDeque<u8>,
    /// The client's close_notify has arrived.
    has_ended: bool,
    /// Our close_notify is sent or unsent.
    has_shut: bool,
    /// A step of the handshake is running.
    pub is_stepping: bool,
    /// Each call of [`handshake`](Self::handshake) handles one record, and makes none that the network has no
    /// buffers for.
    pub one_by_one: bool,
    pub error: &'static str,
    pub client: TlsClient,
}

/// The client's end. It sends everything as soon as it can.
pub struct TlsClient {
    stage: Stage,
    received: Records,
    sent: Records,
    /// The application's data after the handshake, and whether it ends then.
    waiting: Vec<u8>,
    ends: bool,
    /// The maximum plaintext in a record.
    pub record: usize,
    /// Its output is kept here until the test releases it.
    pub kept: Option<VecDeque<u8>>,
    /// The server's close_notify has arrived.
    pub has_ended: bool,
    /// The server's alert has arrived.
    pub is_alerted: bool,
    /// The number of key updates that the server has answered.
    pub key_updates: usize,
}

impl Tls {
    /// Whose client has said its first record.
    pub fn begin(wire: &mut Wire, keeps: bool) {
        let mut client = TlsClient {
            stage: Stage::Handshake(0),
            received: Records::default(),
            sent: Records::default(),
            waiting: Vec::new(),
            ends: false,
            record: 200,
            kept: keeps.then(VecDeque::new),
            has_ended: false,
            is_alerted: false,
            key_updates: 0,
        };
        client.go_on(wire);
        wire.tls = Some(Box::new(Self {
            stage: Stage::Handshake(0),
            received: Records::default(),
            sent: Records::default(),
            plaintext: VecDeque::new(),
            unsent: VecDeque::new(),
            has_ended: false,
            has_shut: false,
            is_stepping: false,
            one_by_one: false,
            error: "",
            client,
        }));
    }

    pub fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Returns whether the connection does not use TLS, because the client has sent HTTP.
    pub fn is_http(&self) -> bool {
        self.stage == Stage::Http
    }

    /// Returns whether input is no longer in records.
    pub fn is_plain(&self) -> bool {
        matches!(self.stage, Stage::Http | Stage::Failed)
    }

    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn has_buffered(&self) -> bool {
        !self.plaintext.is_empty()
    }

    pub fn handshake(&mut self, wire: &mut Wire, has_buffers: bool) -> Result<(), SocketError> {
        loop {
            self.flush(wire, has_buffers)?;
            let Stage::Handshake(at) = self.stage else {
                return Ok(());
            };
            if self.has_unsent() {
                return Err(SocketError::WouldBlock);
            }
            let (by, text) = SCRIPT[at];
            if by == By::Server {
                if self.one_by_one && wire.window > 0 && !has_buffers {
                    return Err(SocketError::NoBuffers);
                }
                self.unsent.extend(self.sent.seal(HANDSHAKE, text));
            } else {
                let first = wire.to_server.front();
                if at == 0
                    && self.received.partial.is_empty()
                    && first.is_some_and(u8::is_ascii_uppercase)
                {
                    self.stage = Stage::Http;
                    self.error = "HTTP instead";
                    return Err(SocketError::PlainHttp);
                }
                if self.next_record(wire)? != (HANDSHAKE, text.to_vec()) {
                    return Err(self.fail());
                }
            }
            self.stage = if at + 1 < SCRIPT.len() {
                Stage::Handshake(at + 1)
            } else {
                Stage::Open
            };
            if self.one_by_one {
                return Ok(());
            }
        }
    }

    pub fn receive(&mut self, wire: &mut Wire, space: &mut [u8]) -> Result<usize, SocketError> {
        while self.plaintext.is_empty() {
            if self.has_ended {
                return Ok(0);
            }
            let (kind, plaintext) = self.next_record(wire)?;
            match kind {
                DATA => self.plaintext.extend(plaintext),
                ALERT if plaintext == CLOSE_NOTIFY => self.has_ended = true,
                HANDSHAKE if plaintext == KEY_UPDATE => self.answer(HANDSHAKE, KEY_UPDATE),
                _ => return Err(self.fail()),
            }
        }
        let count = space.len().min(self.plaintext.len()).min(wire.most());
        for (place, byte) in space.iter_mut().zip(self.plaintext.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    pub fn send(
        &mut self,
        wire: &mut Wire,
        bytes: &[u8],
        has_buffers: bool,
    ) -> Result<usize, SocketError> {
        self.flush(wire, has_buffers)?;
        if self.has_unsent() {
            return if bytes.is_empty() {
                Ok(0)
            } else {
                Err(SocketError::WouldBlock)
            };
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.stage == Stage::Failed {
            // It failed: the client cannot read it.
            return Ok(bytes.len());
        }
        assert!(
            self.is_open(),
            "nothing is sent before the handshake is done"
        );
        assert!(!self.has_shut, "nothing is sent behind close_notify");
        if wire.window > 0 && !has_buffers {
            return Err(SocketError::NoBuffers);
        }
        let mut count = 0;
        for chunk in bytes.chunks(RECORD) {
            if self.has_unsent() {
                break;
            }
            self.unsent.extend(self.sent.seal(DATA, chunk));
            count += chunk.len();
            let _ = self.flush(wire, has_buffers);
        }
        Ok(count)
    }

    pub fn shut(&mut self, wire: &mut Wire, has_buffers: bool) -> Result<(), SocketError> {
        if self.is_open() && !self.has_shut {
            self.has_shut = true;
            self.unsent.extend(self.sent.seal(ALERT, CLOSE_NOTIFY));
        }
        let _ = self.flush(wire, has_buffers);
        if self.has_unsent() {
            return Err(SocketError::WouldBlock);
        }
        Ok(())
    }

    /// The client violated TLS.
    fn fail(&mut self) -> SocketError {
        self.stage = Stage::Failed;
        self.error = "a bad record";
        self.answer(ALERT, BAD_RECORD);
        SocketError::Tls
    }

    /// TLS itself has something to say, unless that it ends was the last.
    fn answer(&mut self, kind: u8, text: &[u8]) {
        if !self.has_shut {
            self.unsent.extend(self.sent.seal(kind, text));
        }
    }

    fn next_record(&mut self, wire: &mut Wire) -> Result<(u8, Vec<u8>), SocketError> {
        loop {
            match self.received.missing() {
                None => return Err(self.fail()),
                Some(0) => break,
                Some(_) if wire.reset => return Err(SocketError::Failed),
                Some(_) if wire.to_server.is_empty() && wire.eof => {
                    self.error = "the stream ended";
                    return Err(SocketError::Truncated);
                }
                Some(_) if wire.to_server.is_empty() => return Err(SocketError::WouldBlock),
                Some(missing) => {
                    let count = missing.min(wire.to_server.len());
                    let bytes = wire.to_server.drain(..count);
                    self.received.partial.extend(bytes);
                }
            }
        }
        self.received.open().ok_or_else(|| self.fail())
    }

    /// Sends unsent bytes, as far as the window allows.
    fn flush(&mut self, wire: &mut Wire, has_buffers: bool) -> Result<(), SocketError> {
        if wire.reset {
            return Err(SocketError::Failed);
        }
        let count = self.unsent.len().min(wire.window);
        if count == 0 {
            return Ok(());
        }
        if !has_buffers {
            return Err(SocketError::NoBuffers);
        }
        wire.window -= count;
        wire.writes += 1;
        let bytes: Vec<u8> = self.unsent.drain(..count).collect();
        self.client.hear(&bytes, wire);
        Ok(())
    }
}

impl TlsClient {
    /// Returns whether the handshake is finished.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Sends the next steps of the handshake, and data that waited for the last one.
    fn go_on(&mut self, wire: &mut Wire) {
        while let Stage::Handshake(at) = self.stage {
            match SCRIPT.get(at) {
                Some((By::Client, text)) => self.put(wire, HANDSHAKE, text),
                Some((By::Server, _)) => return,
                None => {
                    self.stage = Stage::Open;
                    let waiting = std::mem::take(&mut self.waiting);
                    self.say(wire, &waiting);
                    if self.ends {
                        self.end(wire);
                    }
                    return;
                }
            }
            self.stage = Stage::Handshake(at + 1);
        }
    }

    fn put(&mut self, wire: &mut Wire, kind: u8, plaintext: &[u8]) {
        let record = self.sent.seal(kind, plaintext);
        match &mut self.kept {
            Some(kept) => kept.extend(record),
            None if wire.eof => {}
            None => wire.to_server.extend(record),
        }
    }

    /// Sends plaintext, or keeps it until the handshake is finished.
    pub fn say(&mut self, wire: &mut Wire, bytes: &[u8]) {
        if !self.is_open() {
            return self.waiting.extend(bytes);
        }
        for chunk in bytes.chunks(self.record) {
            self.put(wire, DATA, chunk);
        }
    }

    /// Sends close_notify and shuts down this side, once the handshake is finished.
    pub fn end(&mut self, wire: &mut Wire) {
        self.ends = true;
        if self.is_open() && !wire.eof {
            self.put(wire, ALERT, CLOSE_NOTIFY);
            wire.eof = self.kept.is_none();
        }
    }

    /// Asks for an answer of TLS itself.
    pub fn update_key(&mut self, wire: &mut Wire) {
        self.put(wire, HANDSHAKE, KEY_UPDATE);
    }

    /// Sends a record that is not allowed.
    pub fn blunder(&mut self, wire: &mut Wire) {
        self.put(wire, ALERT, b"nonsense");
    }

    /// Passes up to this many kept bytes to the server. Returns how many it got.
    pub fn let_go(&mut self, wire: &mut Wire, count: usize) -> usize {
        let kept = self
            .kept
            .as_mut()
            .expect("a client that keeps what it sends");
        let count = count.min(kept.len());
        wire.to_server.extend(kept.drain(..count));
        if kept.is_empty() && self.ends && self.is_open() {
            wire.eof = true;
        }
        count
    }

    fn hear(&mut self, bytes: &[u8], wire: &mut Wire) {
        for byte in bytes {
            self.received.partial.push(*byte);
            let missing = self.received.missing();
            if missing.expect("the server's records are of TLS") > 0 {
                continue;
            }
            let record = self.received.open();
            let (kind, text) = record.expect("no record is lost, doubled or torn");
            assert!(
                !self.has_ended && !self.is_alerted,
                "nothing follows an alert"
            );
            match (kind, self.stage) {
                (HANDSHAKE, Stage::Handshake(at)) => {
                    assert_eq!(Some(&(By::Server, &text[..])), SCRIPT.get(at));
                    self.stage = Stage::Handshake(at + 1);
                    self.go_on(wire);
                }
                (HANDSHAKE, _) if text == KEY_UPDATE => self.key_updates += 1,
                (DATA, Stage::Open) => wire.from_server.extend(text),
                (ALERT, _) if text == CLOSE_NOTIFY => self.has_ended = true,
                (ALERT, _) if text == BAD_RECORD => self.is_alerted = true,
                _ => panic!("a record of kind {kind:#x} that may not come"),
            }
        }
    }
}

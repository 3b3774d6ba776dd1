//! Encoding: messages to server frames, which are gathered in a buffer and go out when it is full.
//!
//! - wss: [`Outgoing::plan`] gives the header, as in the service; header and payload are copied. Text
//!   is checked to be UTF-8, as where an application (in C, say) gives bytes. Where that is known, as
//!   for a `str` or an echo, it takes as long as binary data;
//! - tungstenite: [`WebSocket::write`] as a server, whose payloads are shared, not copied, when the
//!   message is made, and of a type that is UTF-8. Its buffer goes to a stream that does nothing;
//! - memcpy: the payload is copied into the buffer.

use std::hint::black_box;
use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};
use wss::protocol::{Opcode, Outgoing};

use crate::frames::Content;
use crate::measure::compare_in_memory;

/// tungstenite's default.
const BUFFER: usize = 128 * 1024;

/// Measures and prints the table.
pub fn run(quick: bool) {
    compare_in_memory("Encoding", quick, |content, payload| {
        [
            Box::new(wss(content, payload)),
            Box::new(tungstenite(content, payload)),
            Box::new(memcpy(payload)),
        ]
    });
}

fn wss(content: Content, payload: &[u8]) -> impl FnMut(u64) {
    let opcode = match content {
        Content::Binary => Opcode::Binary,
        Content::Ascii | Content::Text => Opcode::Text,
    };
    let mut buffer = Buffer::new();
    let mut outgoing = Outgoing::default();
    move |messages| {
        for _ in 0..messages {
            let planned = outgoing.plan(true, opcode, black_box(payload), false);
            let planned = planned.expect("the payload is valid");
            buffer.append(&[planned.header.as_bytes(), payload]);
            outgoing.commit(&planned);
        }
    }
}

fn tungstenite(content: Content, payload: &[u8]) -> impl FnMut(u64) {
    let message = match content {
        Content::Binary => Message::binary(payload.to_vec()),
        Content::Ascii | Content::Text => {
            let text = String::from_utf8(payload.to_vec()).expect("the payload is text");
            Message::text(text)
        }
    };
    let config = WebSocketConfig::default().write_buffer_size(BUFFER);
    let mut socket = WebSocket::from_raw_socket(Sink, Role::Server, Some(config));
    move |messages| {
        for _ in 0..messages {
            let message = black_box(&message).clone();
            socket.write(message).expect("the sink takes everything");
        }
    }
}

fn memcpy(payload: &[u8]) -> impl FnMut(u64) {
    let mut buffer = Buffer::new();
    move |messages| {
        for _ in 0..messages {
            buffer.append(&[black_box(payload)]);
        }
    }
}

/// Gathers what is to go out.
struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER],
            len: 0,
        }
    }

    fn append(&mut self, parts: &[&[u8]]) {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if self.len + total > self.bytes.len() {
            let _ = Sink.write(&self.bytes[..self.len]);
            self.len = 0;
        }
        for part in parts {
            self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
    }
}

/// Takes everything.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing is read.
impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

//! Decoding: masked client frames to messages, unmasked and, if text, checked to be UTF-8.
//!
//! All candidates read the same frames from the same endless stream in memory, which gives as much
//! as there is room for, as a busy socket would: many small frames at once, and frames that are cut
//! in two. They have buffers of the same size. Messages are dropped as soon as they are there.
//!
//! - wss: [`Incoming`], as the service uses it;
//! - tungstenite: [`WebSocket::read`] as a server after the handshake;
//! - memcpy: the bytes of the stream are copied into the buffer, and that is all. Both others do
//!   that too, so that it is the floor.

use std::hint::black_box;
use std::io::{self, Read, Write};

use tungstenite::WebSocket;
use tungstenite::protocol::{Role, WebSocketConfig};
use wss::protocol::{HANDSHAKE_LIMIT, Incoming, Step};

use crate::frames::Content;
use crate::measure::compare_in_memory;

/// tungstenite's default.
const BUFFER: usize = 128 * 1024;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Measures and prints the table.
pub fn run(quick: bool) {
    compare_in_memory("Decoding", quick, |content, payload| {
        let stream = Stream::new(content, payload);
        [
            Box::new(wss(stream.clone())),
            Box::new(tungstenite(stream.clone())),
            Box::new(memcpy(stream)),
        ]
    });
}

fn wss(mut stream: Stream) -> impl FnMut(u64) {
    let mut incoming = Incoming::new(vec![0; BUFFER], HANDSHAKE_LIMIT, false);
    incoming.space()[..REQUEST.len()].copy_from_slice(REQUEST);
    incoming.received(REQUEST.len());
    assert_eq!(incoming.step(), Step::Request);
    incoming.upgrade();
    move |messages| {
        let mut got = 0;
        while got < messages {
            match incoming.step() {
                Step::Data(data) => {
                    black_box(incoming.bytes(data.range));
                    got += 1;
                }
                Step::NeedBytes => {
                    let count = stream.give(incoming.space());
                    incoming.received(count);
                }
                step => panic!("{step:?}"),
            }
        }
    }
}

fn tungstenite(stream: Stream) -> impl FnMut(u64) {
    let config = WebSocketConfig::default().read_buffer_size(BUFFER);
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    move |messages| {
        for _ in 0..messages {
            black_box(socket.read().expect("the frames are valid"));
        }
    }
}

fn memcpy(mut stream: Stream) -> impl FnMut(u64) {
    let mut buffer = vec![0; BUFFER];
    let mut ahead = 0;
    move |messages| {
        let bytes = messages as usize * stream.frame_len;
        while ahead < bytes {
            ahead += stream.give(&mut buffer);
            black_box(&mut buffer);
        }
        ahead -= bytes;
    }
}

/// Frames without end.
#[derive(Clone)]
struct Stream {
    bytes: Vec<u8>,
    at: usize,
    frame_len: usize,
}

impl Stream {
    fn new(content: Content, payload: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let mut frame_len = 0;
        // Not a multiple of the buffer, so that every frame is cut somewhere sometime.
        while bytes.len() < BUFFER * 5 / 4 {
            let mask = (bytes.len() as u32).wrapping_mul(0x9e37_79b9) | 1;
            let frame = content.client_frame(payload, mask.to_be_bytes());
            frame_len = frame.len();
            bytes.extend(frame);
        }
        Self {
            bytes,
            at: 0,
            frame_len,
        }
    }

    /// Copies the next bytes into `space`, how many.
    fn give(&mut self, space: &mut [u8]) -> usize {
        let mut given = 0;
        while given < space.len() {
            let rest = &self.bytes[self.at..];
            let count = rest.len().min(space.len() - given);
            space[given..given + count].copy_from_slice(&rest[..count]);
            given += count;
            self.at = (self.at + count) % self.bytes.len();
        }
        given
    }
}

impl Read for Stream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Ok(self.give(space))
    }
}

/// Nothing is written.
impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

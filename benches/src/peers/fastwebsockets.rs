// SPDX-License-Identifier: Apache-2.0
//! `fastwebsockets`: its [`FragmentCollector`] on tokio.
//!
//! Its decoder is not public by itself. Its buffer starts with 8 KiB and grows with the messages. It cannot send
//! several frames in one write, because nothing reports whether more frames have arrived.

use std::hint::black_box;
use std::net::SocketAddr;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};
use tokio::net::TcpStream;

use crate::frames::Content;
use crate::memory::{Stream, now};
use crate::servers::{self, Threads};

/// Reads messages as a server after the handshake.
pub fn decode(stream: Stream) -> impl FnMut(u64) {
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    move |messages| {
        for _ in 0..messages {
            black_box(now(socket.read_frame()).expect("the frames are valid"));
        }
    }
}

/// Writes frames into a buffer, each at its beginning: it has no function that appends.
pub fn encode(content: Content, payload: &Bytes) -> impl FnMut(u64) + use<> {
    let payload = payload.clone();
    let mut buffer = Vec::new();
    move |messages| {
        for _ in 0..messages {
            let payload = Payload::Borrowed(black_box(&payload));
            let mut frame = if content.is_text() {
                Frame::text(payload)
            } else {
                Frame::binary(payload)
            };
            black_box(frame.write(&mut buffer));
        }
    }
}

/// Starts a server that sends each message back, as its examples do.
pub fn echo(threads: Threads) -> SocketAddr {
    servers::with_tokio(threads, send_back)
}

async fn send_back(mut stream: TcpStream) {
    servers::accept(&mut stream).await;
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    while let Ok(frame) = socket.read_frame().await {
        match frame.opcode {
            OpCode::Text | OpCode::Binary => {
                socket.write_frame(frame).await.expect("the echo is sent");
            }
            OpCode::Close => return,
            _ => {}
        }
    }
}

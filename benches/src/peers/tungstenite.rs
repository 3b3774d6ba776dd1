// SPDX-License-Identifier: Apache-2.0
//! `tungstenite`: its blocking [`WebSocket`], with a thread for each client.
//!
//! Its codec is not public by itself. It checks text with `core`.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::frames::Content;
use crate::memory::{BUFFER, Stream, output_size};
use crate::{servers, tls};

/// Reads messages as a server after the handshake.
pub fn decode(stream: Stream) -> impl FnMut(u64) {
    let config = WebSocketConfig::default().read_buffer_size(BUFFER);
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    move |messages| {
        for _ in 0..messages {
            black_box(socket.read().expect("the frames are valid"));
        }
    }
}

/// Writes messages with shared payloads into its buffer, which goes to a stream that drops it.
pub fn encode(content: Content, payload: &Bytes) -> impl FnMut(u64) + use<> {
    let message = message(content, payload);
    let config = WebSocketConfig::default().write_buffer_size(output_size(payload));
    let stream = Stream::new(content, payload);
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    move |messages| {
        for _ in 0..messages {
            let message = black_box(&message).clone();
            socket.write(message).expect("the stream takes everything");
        }
    }
}

fn message(content: Content, payload: &Bytes) -> Message {
    if content.is_text() {
        let text = Utf8Bytes::try_from(payload.clone()).expect("the payload is text");
        Message::text(text)
    } else {
        Message::binary(payload.clone())
    }
}

/// Starts a server that sends each message back, as its examples do.
pub fn echo() -> SocketAddr {
    servers::with_threads(send_back)
}

/// The same over TLS.
pub fn echo_with_tls() -> SocketAddr {
    servers::with_threads(|stream| {
        static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(tls::server);
        let tls = ServerConnection::new(Arc::clone(&CONFIG)).expect("it is configured");
        send_back(StreamOwned::new(tls, stream));
    })
}

/// Sends messages back until the client closes the connection.
fn send_back(stream: impl Read + Write) {
    let mut socket = tungstenite::accept(stream).expect("the handshake succeeds");
    while let Ok(message) = socket.read() {
        if message.is_binary() || message.is_text() {
            socket.send(message).expect("the echo is sent");
        }
    }
}

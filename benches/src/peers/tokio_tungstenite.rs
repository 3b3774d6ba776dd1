// SPDX-License-Identifier: Apache-2.0
//! `tokio-tungstenite`: its [`WebSocketStream`](tokio_tungstenite::WebSocketStream) on tokio.
//!
//! Its codec is tungstenite's.

use std::net::SocketAddr;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tungstenite::{Error, Message};

use crate::servers::{self, Threads};

/// Starts a server that sends each message back with `send`, which flushes.
pub fn echo(threads: Threads) -> SocketAddr {
    servers::with_tokio(threads, send_back)
}

/// Starts a server that sends back all messages that have arrived before it flushes.
pub fn echo_in_batches(threads: Threads) -> SocketAddr {
    servers::with_tokio(threads, send_back_in_batches)
}

async fn send_back(stream: TcpStream) {
    let socket = tokio_tungstenite::accept_async(stream).await;
    let mut socket = socket.expect("the handshake succeeds");
    while let Some(Ok(message)) = socket.next().await {
        if is_data(&message) {
            socket.send(message).await.expect("the echo is sent");
        }
    }
}

async fn send_back_in_batches(stream: TcpStream) {
    let socket = tokio_tungstenite::accept_async(stream).await;
    let mut socket = socket.expect("the handshake succeeds");
    let mut next: Option<Result<Message, Error>> = socket.next().await;
    while let Some(Ok(message)) = next {
        if is_data(&message) {
            socket.feed(message).await.expect("the echo is fed");
        }
        next = match socket.next().now_or_never() {
            Some(next) => next,
            None => {
                socket.flush().await.expect("the echoes are sent");
                socket.next().await
            }
        };
    }
}

fn is_data(message: &Message) -> bool {
    message.is_binary() || message.is_text()
}

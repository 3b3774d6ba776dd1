// SPDX-License-Identifier: Apache-2.0
//! The common part of the peers' echo servers: sockets, threads, and the opening handshake.
//!
//! The sockets have `TCP_NODELAY`, which wss sets, too. Servers end with the process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tungstenite::handshake::derive_accept_key;

/// The threads of a server.
#[derive(Clone, Copy, Default)]
pub enum Threads {
    /// One.
    #[default]
    One,
    /// One for each processor.
    Processors,
}

/// Starts a server that runs `serve` on a thread for each client.
pub fn with_threads(serve: fn(TcpStream)) -> SocketAddr {
    let (listener, addr) = listen();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a client is accepted");
            stream.set_nodelay(true).expect("TCP_NODELAY is set");
            thread::spawn(move || serve(stream));
        }
    });
    addr
}

/// Starts a server that runs `serve` as a task for each client.
pub fn with_tokio<F>(threads: Threads, serve: fn(tokio::net::TcpStream) -> F) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, addr) = listen();
    let mut builder = match threads {
        Threads::One => Builder::new_current_thread(),
        Threads::Processors => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_io().build().expect("the runtime starts");
    thread::spawn(move || {
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("it is non-blocking");
            let listener = tokio::net::TcpListener::from_std(listener);
            let listener = listener.expect("the runtime has I/O");
            loop {
                let (stream, _) = listener.accept().await.expect("a client is accepted");
                stream.set_nodelay(true).expect("TCP_NODELAY is set");
                // It may keep the thread as long as there is work, as in fastwebsockets' examples.
                tokio::spawn(tokio::task::unconstrained(serve(stream)));
            }
        })
    });
    addr
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let addr = listener.local_addr().expect("it has an address");
    (listener, addr)
}

/// Performs the opening handshake for a peer without one, with a client that sends nothing else yet.
pub async fn accept(stream: &mut tokio::net::TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read_buf(&mut request).await;
        assert_ne!(count.expect("the request arrives"), 0);
    }
    let request = String::from_utf8(request).expect("the request is text");
    let key = request
        .split_once("Sec-WebSocket-Key: ")
        .expect("it has a key");
    let key = key.1.split_once("\r\n").expect("the key is a line").0;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    let sent = stream.write_all(response.as_bytes()).await;
    sent.expect("the response is sent");
}

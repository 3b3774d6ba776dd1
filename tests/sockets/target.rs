// SPDX-License-Identifier: Apache-2.0
//! The echo server under test: one in this process, or the one at `WSS_ADDR`, for example `samples/echo_c` on a host or
//! on Zephyr; then with `--test-threads=1`, because it may have few slots.

use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use wss::host::{self, Options};
use wss::{
    Answer, Answered, ClientId, Clients, Handler, Message, MessageKind, Request, SendError, Verdict,
};

use super::client::{Client, PATIENCE, REQUEST, Response};
use super::server::{assert_unharmed, limited, watch_for_panics};

/// The server under test.
pub struct Server {
    pub addr: SocketAddr,
    /// `None` for one elsewhere.
    pub own: Option<host::Server>,
}

/// Echoes, and supports `chat.v1`.
struct Echo(Clients);

impl Handler for Echo {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        _: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        let accept = Verdict::accept().any_origin();
        answer.give(
            match request.subprotocols().find(|name| *name == "chat.v1") {
                Some(name) => accept.subprotocol(name),
                None => accept,
            },
        )
    }

    fn on_message(&mut self, (): &mut (), id: ClientId, kind: MessageKind, message: &Message<'_>) {
        let sent = self.0.send_piece(id, kind, message);
        // The client may have disconnected.
        assert!(
            matches!(sent, Ok(()) | Err(SendError::NotConnected)),
            "{sent:?}"
        );
    }
}

impl Server {
    pub fn start(options: &Options) -> Self {
        if let Ok(addr) = std::env::var("WSS_ADDR") {
            let addr = addr.parse().expect("WSS_ADDR is an address with a port");
            return Self { addr, own: None };
        }
        watch_for_panics();
        let own = host::Server::start(options, Echo).unwrap();
        Self {
            addr: own.local_addr(),
            own: Some(own),
        }
    }

    /// Opens a connection, sends `request`, and returns the response. Waits for a slot that an earlier client still
    /// has.
    fn request_on(&self, connect: fn(SocketAddr) -> Client, request: &[u8]) -> (Client, Response) {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut client = connect(self.addr);
            if client.stream.write_all(request).is_ok() {
                match client.try_response() {
                    Some(response) if response.status != 503 => return (client, response),
                    _ => assert!(Instant::now() < until, "no slot gets free"),
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn request(&self, request: &[u8]) -> (Client, Response) {
        self.request_on(Client::connect, request)
    }

    pub fn open_on(&self, connect: fn(SocketAddr) -> Client) -> Client {
        let (client, response) = self.request_on(connect, REQUEST.as_bytes());
        assert_eq!(response.status, 101);
        client
    }

    pub fn open(&self) -> Client {
        self.open_on(Client::connect)
    }

    /// Checks that nothing is left of earlier clients, and the next one is served.
    pub fn assert_unharmed(&self) {
        match &self.own {
            Some(server) => assert_unharmed(server),
            None => self.open().echo("still there?"),
        }
    }

    /// These bytes on an open connection must fail it with the code.
    pub fn assert_fails(&self, bytes: &[u8], code: u16) {
        let mut client = self.open();
        client.echo("before");
        client.write(bytes);
        client.expect_close(code, "");
        client.expect_end();
    }
}

/// Servers with whole messages, and with pieces.
pub fn each_server(test: impl Fn(&Server)) {
    for streaming in [false, true] {
        let server = Server::start(&limited(|limits| limits.streaming = streaming));
        test(&server);
        server.assert_unharmed();
        if server.own.is_none() {
            break;
        }
    }
}

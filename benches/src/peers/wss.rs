// SPDX-License-Identifier: Apache-2.0
//! This project: [`Incoming`] and [`Outgoing`] as the service uses them, and its host server.

use std::hint::black_box;
use std::net::SocketAddr;

use bytes::Bytes;
use wss::host::{Options, Server, Tls};
use wss::protocol::{FrameHeader, HANDSHAKE_LIMIT, Incoming, Opcode, Outgoing, Step};
use wss::{ClientId, Clients, Handler, Message, MessageKind};

use crate::frames::Content;
use crate::load::ECHO_BUFFER;
use crate::memory::{BUFFER, Output, Stream};
use crate::servers::Threads;
use crate::tls;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Decodes messages in place in the receive buffer.
pub fn decode(mut stream: Stream) -> impl FnMut(u64) {
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

/// Appends header and payload to a buffer. Checks text, unless it is known to be valid UTF-8.
pub fn encode(content: Content, payload: &Bytes, is_utf8: bool) -> impl FnMut(u64) + use<> {
    let opcode = if content.is_text() {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    let payload = payload.clone();
    let mut output = Output::new(&payload);
    let mut outgoing = Outgoing::default();
    move |messages| {
        for _ in 0..messages {
            let planned = outgoing.plan(true, opcode, black_box(&payload), is_utf8);
            let planned = planned.expect("the payload is valid");
            let frame = output.with_room(&payload);
            let header = FrameHeader::new(true, opcode, payload.len());
            match header.as_bytes() {
                // Faster than a copy of any length.
                [a, b] => frame.extend_from_slice(&[*a, *b]),
                [a, b, c, d] => frame.extend_from_slice(&[*a, *b, *c, *d]),
                header => frame.extend_from_slice(header),
            }
            frame.extend_from_slice(&payload);
            outgoing.commit(&planned);
        }
    }
}

/// Starts a server with a handler that sends each message back. It ends with the process.
pub fn echo(threads: Threads, has_tls: bool) -> SocketAddr {
    let (cert, key) = tls::certificate();
    let tls = Tls::bytes(cert, key).build();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        port: 0,
        loops: match threads {
            Threads::One => 1,
            Threads::Processors => processors as u16,
        },
        rx_buffer: ECHO_BUFFER,
        tls: has_tls.then(|| tls.expect("they belong together")),
        ..Options::default()
    };
    let server = Server::start(&options, Echo).expect("the server starts");
    let addr = server.local_addr();
    std::mem::forget(server);
    addr
}

/// Sends each message back.
struct Echo(Clients);

impl Handler for Echo {
    type Session = ();

    fn on_message(
        &mut self,
        (): &mut (),
        client: ClientId,
        kind: MessageKind,
        message: &Message<'_>,
    ) {
        let sent = self.0.send(client, kind, message.bytes);
        sent.expect("the echo is sent");
    }
}

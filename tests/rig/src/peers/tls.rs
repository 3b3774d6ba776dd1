// SPDX-License-Identifier: Apache-2.0
//! Peers of a server with TLS.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use super::beside_a_good_client;
use super::flood::on_threads;
use crate::Scenario;
use crate::client::{Client, PATIENCE, REQUEST, TEXT, frame};
use crate::numbers::Numbers;
use crate::target::Target;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    ("tls_cut_at_every_byte", cut_at_every_byte),
    ("tls_silent_handshakes", silent_handshakes),
    ("tls_slow_drip", slow_drip),
    ("tls_handshakes", handshakes),
    ("tls_more_clients_than_slots", more_clients_than_slots),
    ("tls_garbage", garbage),
    ("tls_plain_requests", plain_requests),
];

/// A client's side of TLS, without its connection, that sends `bytes` after its handshake.
fn session(target: &Target, bytes: &[u8]) -> ClientConnection {
    let config = target.tls.as_ref().expect("it has TLS");
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    tls.writer().write_all(bytes).unwrap();
    tls
}

/// The first bytes of a client.
fn client_hello(target: &Target) -> Vec<u8> {
    let mut hello = Vec::new();
    session(target, b"").write_tls(&mut hello).unwrap();
    hello
}

/// Ends after each byte of a session: with a reset, regularly, or without reading.
fn cut_at_every_byte(target: &Target) {
    let bytes = [REQUEST.as_bytes(), &frame(true, TEXT, &[b'x'; 300])].concat();
    let bytes = &bytes;
    beside_a_good_client(target, || {
        on_threads(4, |first| {
            for cut in (first..).step_by(4) {
                let (client, came_to) = loop {
                    let mut client = Client::connect(target.addr);
                    match drive(&mut client, &mut session(target, bytes), cut) {
                        // The slots of those before may not be free yet.
                        End::TurnedAway => thread::sleep(Duration::from_millis(2)),
                        end => break (client, end),
                    }
                };
                match cut % 3 {
                    0 => client.reset(),
                    1 => _ = client.stream.shutdown(Shutdown::Write),
                    _ => drop(client),
                }
                if came_to == End::Whole {
                    return;
                }
            }
        });
    });
}

/// The progress of a client.
#[derive(PartialEq, Eq)]
enum End {
    /// All was sent.
    Whole,
    /// As many bytes as should be.
    Cut,
    /// The server ended the connection.
    TurnedAway,
}

/// Sends pending TLS data, up to this many bytes.
fn drive(client: &mut Client, tls: &mut ClientConnection, mut left: usize) -> End {
    loop {
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).unwrap();
        }
        let sent = bytes.len().min(left);
        if client.stream.write_all(&bytes[..sent]).is_err() {
            return End::TurnedAway;
        }
        left -= sent;
        if sent < bytes.len() {
            return End::Cut;
        }
        if !tls.is_handshaking() {
            return End::Whole;
        }
        if !matches!(tls.read_tls(&mut client.stream), Ok(1..)) {
            return End::TurnedAway;
        }
        tls.process_new_packets().expect("the server speaks TLS");
    }
}

/// Silent connections, or ones with part of the first record, hold no slot for longer than the deadline.
fn silent_handshakes(target: &Target) {
    let hello = client_hello(target);
    let mut silent = Vec::new();
    beside_a_good_client(target, || {
        for number in 0..target.slots * 3 {
            let mut client = Client::connect(target.addr);
            let _ = client.stream.write_all(&hello[..number * 11 % hello.len()]);
            silent.push(client);
        }
    });
    target.settle_slots();
}

/// A handshake that never ends is aborted.
fn slow_drip(target: &Target) {
    let hello = client_hello(target);
    let hello = &hello;
    beside_a_good_client(target, || {
        on_threads(target.slots - 1, |_| {
            let mut client = Client::connect(target.addr);
            let until = Instant::now() + PATIENCE * 2;
            for byte in hello {
                assert!(Instant::now() < until, "it was never aborted");
                if client.stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(40));
            }
            let _ = client.stream.read(&mut [0]);
        });
    });
}

/// Handshakes without end.
fn handshakes(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(4, |number| {
            for round in 0..60 {
                let mut client = Client::connect(target.addr);
                drive(&mut client, &mut session(target, b""), usize::MAX);
                if (number + round) % 2 == 0 {
                    client.reset();
                }
            }
        });
    });
}

/// A client without a slot gets no response, because that would need a handshake; one with a slot is served.
fn more_clients_than_slots(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(target.slots + 4, |_| {
            for _ in 0..10 {
                let mut client = Client::connect(target.addr);
                let mut tls = session(target, REQUEST.as_bytes());
                if drive(&mut client, &mut tls, usize::MAX) == End::Whole {
                    client.tls = Some(Box::new(tls));
                    assert_eq!(client.response().status, 101);
                    client.echo("in");
                }
            }
        });
    });
}

/// Bytes that are not TLS, some after a valid beginning.
fn garbage(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(4, |number| {
            let mut numbers = Numbers::new(number as u64);
            for _ in 0..25 {
                let mut client = Client::connect(target.addr);
                let mut bytes = vec![0x16, 3, 1, numbers.below(2) as u8, numbers.below(256) as u8];
                bytes.truncate(numbers.below(6));
                bytes.extend((0..400).map(|_| numbers.below(256) as u8));
                let _ = client.stream.write_all(&bytes);
                let _ = client.stream.read(&mut [0; 100]);
            }
        });
    });
}

/// Requests without TLS are answered, and end.
fn plain_requests(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(4, |_| {
            for _ in 0..100 {
                let mut client = Client::connect(target.addr);
                if client.stream.write_all(REQUEST.as_bytes()).is_err() {
                    continue;
                }
                // A rejected client may see a reset instead.
                if let Some(response) = client.try_response() {
                    assert_eq!(response.status, 400);
                    client.expect_end();
                }
            }
        });
    });
}

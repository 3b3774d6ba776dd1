// SPDX-License-Identifier: Apache-2.0
//! Peers that do too much.

use std::io::Write as _;
use std::net::Shutdown;
use std::thread;

use super::beside_a_good_client;
use crate::client::{BINARY, CONTINUATION, Client, PING, PONG, REQUEST, TEXT, frame, request_with};
use crate::numbers::Numbers;
use crate::target::Target;

/// Thousands of connections that open and close.
pub fn connects(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(8, |number| {
            for round in 0..300 {
                let client = Client::connect(target.addr);
                if (number + round) % 2 == 0 {
                    client.reset();
                }
            }
        });
    });
}

/// A client without a slot gets 503, and a client with one is served.
pub fn more_clients_than_slots(target: &Target) {
    beside_a_good_client(target, || {
        on_threads(target.slots * 2 + 8, |_| {
            for _ in 0..25 {
                let mut client = Client::connect(target.addr);
                if client.stream.write_all(REQUEST.as_bytes()).is_err() {
                    continue;
                }
                // A rejected client may see a reset instead.
                match client.try_response().map(|response| response.status) {
                    Some(101) => client.echo("in"),
                    Some(503) | None => {}
                    Some(other) => panic!("{other}"),
                }
            }
        });
    });
}

/// Requests that are refused, each with its status.
pub fn refused_handshakes(target: &Target) {
    let long = request_with(&format!("Cookie: {}\r\n", "x".repeat(9000)));
    let plain = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let answered = status_of(target, plain);
    // A server with pages answers with a page, or with 404.
    assert!(matches!(answered, 426 | 200 | 404), "{answered}");
    let requests = [
        ("POST / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405),
        (plain.replace("1.1", "1.0"), answered),
        (plain.to_owned(), answered),
        (REQUEST.replace("13\r\n", "8\r\n"), 426),
        (REQUEST.replace("dGhl", "dGh"), 400),
        (REQUEST.replace("Host: localhost\r\n", ""), 400),
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        (long, 431),
    ];
    let requests = &requests;
    beside_a_good_client(target, || {
        on_threads((target.slots - 1).min(4), |number| {
            let mut seen = 0;
            for (request, status) in requests.iter().cycle().skip(number).take(400) {
                let mut client = Client::connect(target.addr);
                // It may be answered, and reset, before all of it is sent.
                let _ = client.stream.write_all(request.as_bytes());
                match client.try_response().map(|response| response.status) {
                    Some(503) | None => {}
                    Some(answered) => {
                        assert_eq!(answered, *status, "{}", &request[..request.len().min(300)]);
                        seen += 1;
                    }
                }
            }
            assert!(seen > 0, "none got a slot");
        });
    });
}

/// Returns the status of a request once there is a slot for it.
fn status_of(target: &Target, request: &str) -> u16 {
    loop {
        let mut client = Client::connect(target.addr);
        client.write(request.as_bytes());
        match client.try_response().map(|response| response.status) {
            Some(503) | None => {}
            Some(status) => return status,
        }
    }
}

/// Every ping is answered, in order.
pub fn pings(target: &Target) {
    control_frames(target, PING);
}

/// Unsolicited pongs are harmless.
pub fn pongs(target: &Target) {
    control_frames(target, PONG);
}

fn control_frames(target: &Target, opcode: u8) {
    const FRAMES: u32 = 10_000;
    beside_a_good_client(target, || {
        on_threads((target.slots - 1).min(4), |_| {
            let mut client = Client::open(target.addr);
            let mut bytes = Vec::new();
            for number in 0..FRAMES {
                bytes.extend(frame(true, opcode, &number.to_be_bytes()));
            }
            write_beside(&mut client, &bytes, |client| {
                for number in (0..FRAMES).filter(|_| opcode == PING) {
                    client.expect(PONG, &number.to_be_bytes());
                }
            });
            client.echo("after the flood");
        });
    });
}

/// A message of many empty fragments is one message.
pub fn empty_fragments(target: &Target) {
    fragments(target, b"", 50_000);
}

/// A message with one byte per fragment is one message.
pub fn tiny_fragments(target: &Target) {
    fragments(target, b"x", 1000);
}

fn fragments(target: &Target, part: &[u8], count: usize) {
    beside_a_good_client(target, || {
        on_threads((target.slots - 1).min(4), |_| {
            let mut client = Client::open(target.addr);
            let mut bytes = frame(false, TEXT, b"");
            for _ in 0..count {
                bytes.extend(frame(false, CONTINUATION, part));
            }
            bytes.extend(frame(true, CONTINUATION, b""));
            client.write(&bytes);
            client.expect(TEXT, &part.repeat(count));
        });
    });
}

/// Messages of one byte, from every slot at once, come back in order.
pub fn tiny_messages(target: &Target) {
    const MESSAGES: usize = 20_000;
    beside_a_good_client(target, || {
        on_threads((target.slots - 1).min(8), |_| {
            let mut client = Client::open(target.addr);
            let mut bytes = Vec::new();
            for number in 0..MESSAGES {
                bytes.extend(frame(true, BINARY, &[number as u8]));
            }
            write_beside(&mut client, &bytes, |client| {
                for number in 0..MESSAGES {
                    client.expect(BINARY, &[number as u8]);
                }
            });
        });
    });
}

/// Random bytes.
pub fn garbage(target: &Target) {
    beside_a_good_client(target, || {
        on_threads((target.slots - 1).min(4), |number| {
            let mut numbers = Numbers::new(number as u64);
            for round in 0..200 {
                let mut client = Client::connect(target.addr);
                if round % 2 == 0 {
                    let _ = client.stream.write_all(REQUEST.as_bytes());
                }
                let bytes: Vec<u8> = (0..numbers.below(3000))
                    .map(|_| numbers.below(256) as u8)
                    .collect();
                let _ = client.stream.write_all(&bytes);
                let _ = client.stream.shutdown(Shutdown::Write);
                while client.discard() {}
            }
        });
    });
}

/// Writes on another thread while `read` reads, because a server that cannot write does not read.
fn write_beside(client: &mut Client, bytes: &[u8], read: impl FnOnce(&mut Client)) {
    let mut stream = client.stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stream.write_all(bytes).unwrap());
        read(client);
    });
}

pub fn on_threads(count: usize, each: impl Fn(usize) + Sync) {
    let each = &each;
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || each(number));
        }
    });
}

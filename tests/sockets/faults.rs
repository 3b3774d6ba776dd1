// SPDX-License-Identifier: Apache-2.0
//! Peers that misbehave, without any effect on others.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use wss::Event;
use wss::host::Options;

use super::client::{BINARY, CLOSE, Client, PING, REQUEST, TEXT, close_body, frame, request_with};
use super::server::{assert_unharmed, echo_server, limited, logging_server, options};

/// Pseudo-random numbers, the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// The bytes of a session from its request to its close.
fn session() -> Vec<u8> {
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame(true, TEXT, "grüß dich".as_bytes()));
    bytes.extend(frame(false, BINARY, &[1; 300]));
    bytes.extend(frame(true, PING, b"between"));
    bytes.extend(frame(true, 0, &[2; 300]));
    bytes.extend(frame(true, BINARY, &[3; 1400]));
    bytes.extend(frame(true, CLOSE, &close_body(1000, "bye")));
    bytes
}

#[test]
fn thousand_sessions_cut_at_random_points_leave_nothing_behind() {
    let (server, _log) = echo_server(&Options {
        max_clients: 16,
        ..options()
    });
    let addr = server.local_addr();
    thread::scope(|scope| {
        for seed in 1..=4 {
            scope.spawn(move || {
                let mut numbers = Numbers(seed << 32 | 0x7f4a_7c15);
                let session = session();
                for _ in 0..250 {
                    let mut client = Client::connect(addr);
                    let cut = numbers.below(session.len() + 1);
                    let mut sent = 0;
                    while sent < cut {
                        let count = (1 + numbers.below(400)).min(cut - sent);
                        if client
                            .stream
                            .write_all(&session[sent..sent + count])
                            .is_err()
                        {
                            break;
                        }
                        sent += count;
                    }
                    match numbers.below(3) {
                        0 => client.reset(),
                        1 => drop(client),
                        _ => {
                            let _ = client.stream.shutdown(std::net::Shutdown::Write);
                            while client
                                .stream
                                .set_read_timeout(Some(Duration::from_secs(9)))
                                .is_ok()
                                && client.discard()
                            {}
                        }
                    }
                }
            });
        }
    });
    assert_unharmed(&server);
}

#[test]
fn random_bytes_after_the_upgrade_leave_nothing_behind() {
    let (server, _log) = echo_server(&options());
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    for _ in 0..200 {
        let mut client = Client::open(server.local_addr());
        let garbage: Vec<u8> = (0..1 + numbers.below(500))
            .map(|_| numbers.below(256) as u8)
            .collect();
        client.write(&garbage);
        client.end_of_stream();
        while client.discard() {}
    }
    assert_unharmed(&server);
}

#[test]
fn more_clients_than_slots_are_served_or_turned_away() {
    let (server, _log) = echo_server(&options());
    let addr = server.local_addr();
    let mut first = Client::open(addr);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut client = Client::connect(addr);
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
        }
        for _ in 0..50 {
            let asked = Instant::now();
            first.echo("still in");
            assert!(asked.elapsed() < Duration::from_secs(2));
        }
    });
    drop(first);
    assert_unharmed(&server);
    assert!(server.clients().stats().refused_full > 0);
}

#[test]
fn every_one_of_several_clients_too_many_gets_to_read_503() {
    let (server, _log) = echo_server(&Options {
        max_clients: 1,
        ..options()
    });
    let mut first = Client::open(server.local_addr());
    // A request of a usual browser's length, in the socket before anything is answered.
    let request = request_with(&format!("Cookie: {}\r\n", "x".repeat(1500)));
    let mut others: Vec<_> = (0..10)
        .map(|_| {
            let mut other = Client::connect(server.local_addr());
            let _ = other.stream.write_all(request.as_bytes());
            other
        })
        .collect();
    let answers: Vec<_> = others
        .iter_mut()
        .map(|other| other.try_response().map(|response| response.status))
        .collect();
    assert_eq!(answers, vec![Some(503); 10]);
    first.echo("still in");
}

#[test]
fn reader_that_stops_delays_nobody() {
    let (server, log) = echo_server(&limited(|limits| limits.send_timeout_ms = 1500));
    let addr = server.local_addr();
    // Two that send and never read.
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Client::connect_narrow(addr).upgraded();
                let message = frame(true, BINARY, &[9; 1400]);
                while client.stream.write_all(&message).is_ok() {}
            })
        })
        .collect();
    let mut neighbour = Client::open(addr);
    let mut slowest = Duration::ZERO;
    while stuck.iter().any(|thread| !thread.is_finished()) {
        let asked = Instant::now();
        neighbour.echo("quick?");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for thread in stuck {
        thread.join().unwrap();
    }
    log.wait_for("closed", 2);
    assert_eq!(server.clients().stats().aborted, 2);
    drop(neighbour);
    assert_unharmed(&server);
}

#[test]
fn unsent_output_of_slow_readers_takes_nothing_from_the_others() {
    let (server, log) = logging_server(&options(), |clients, client, event| {
        let (Some(id), Event::Text(message)) = (client, event) else {
            return;
        };
        match message.text() {
            "flood" => while clients.send_binary(id, &[0; 1400]).is_ok() {},
            text => {
                // Not the message itself, so it is not sent in place.
                let answer = format!("you said {text}");
                clients.send_text(id, &answer).unwrap();
            }
        }
    });
    let addr = server.local_addr();
    let mut slow: Vec<_> = (0..3)
        .map(|_| Client::connect_narrow(addr).upgraded())
        .collect();
    for client in &mut slow {
        client.send(TEXT, b"flood");
    }
    log.wait_for("text flood", 3);
    let mut neighbour = Client::open(addr);
    neighbour.send(TEXT, b"hello");
    neighbour.expect(TEXT, b"you said hello");
}

#[test]
fn flood_of_pings_delays_nobody_and_is_answered() {
    let (server, _log) = echo_server(&options());
    let addr = server.local_addr();
    let mut neighbour = Client::open(addr);
    let flood = thread::spawn(move || {
        let client = Client::open(addr);
        let mut stream = client.stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            let pings: Vec<u8> = (0..100).flat_map(|_| frame(true, PING, b"")).collect();
            for _ in 0..300 {
                stream.write_all(&pings).unwrap();
            }
        });
        let mut client = client;
        for _ in 0..30_000 {
            assert_eq!(client.frame().opcode, super::client::PONG);
        }
        writer.join().unwrap();
    });
    while !flood.is_finished() {
        let asked = Instant::now();
        neighbour.echo("quick?");
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    flood.join().unwrap();
    drop(neighbour);
    assert_unharmed(&server);
}

#[test]
fn what_follows_an_urgent_byte_is_delivered_at_once() {
    let (server, _log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    for round in 0..20 {
        let text = format!("behind {round}");
        client.send(TEXT, b"before");
        let urgent = SockRef::from(&client.stream).send_out_of_band(b"!");
        assert_eq!(urgent.unwrap(), 1);
        client.send(TEXT, text.as_bytes());
        client.expect(TEXT, b"before");
        client.expect(TEXT, text.as_bytes());
    }
    drop(client);
    assert_unharmed(&server);
}

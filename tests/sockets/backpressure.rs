// SPDX-License-Identifier: Apache-2.0
//! Queues: while the application holds messages, the server stops reading from the client, and nothing is lost.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wss::host::{EventQueue, Options, QueuedEvent, Server};
use wss::{Event, EventMask};

use super::client::{BINARY, Client, PATIENCE, TEXT, frame};
use super::server::{assert_unharmed, echo_server, limited, options};

pub fn next(queue: &EventQueue) -> QueuedEvent<'_> {
    queue.recv_timeout(PATIENCE).expect("an event")
}

pub fn next_text(queue: &EventQueue) -> QueuedEvent<'_> {
    loop {
        let event = next(queue);
        match event.event() {
            Event::Text(_) => return event,
            Event::Connecting | Event::Connected(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub fn text(event: &QueuedEvent<'_>) -> String {
    match event.event() {
        Event::Text(message) => message.text().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn held_client_is_not_read_until_release_and_then_goes_on() {
    const MESSAGES: usize = 20_000;
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 64).unwrap();
    let client = Client::open(server.local_addr());
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = &client.stream;
            for number in 0..MESSAGES {
                let payload = format!("{number:01000}");
                stream
                    .write_all(&frame(true, TEXT, payload.as_bytes()))
                    .unwrap();
                written.store(number + 1, Ordering::SeqCst);
            }
        });
        let first = next_text(&queue);
        assert_eq!(text(&first).parse(), Ok(0));
        // The peer blocks once the buffers of both sides are full.
        let mut before = usize::MAX;
        while written.load(Ordering::SeqCst) != before {
            before = written.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(300));
        }
        assert!(before < MESSAGES, "all 20 MB went to a server that holds");
        drop(first);
        for number in 1..MESSAGES {
            assert_eq!(text(&next_text(&queue)).parse(), Ok(number));
        }
    });
}

#[test]
fn messages_released_at_any_moment_are_all_received() {
    const MESSAGES: usize = 3000;
    // Messages that leave no room in the buffer, so that a release comes when there is none.
    let options = Options {
        rx_buffer: 200,
        ..options()
    };
    let (server, queue) = Server::with_queue(&options, EventMask::all(), 64).unwrap();
    let addr = server.local_addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut client = Client::open(addr);
                let mut bytes = Vec::new();
                for number in 0..MESSAGES {
                    let payload = format!("{number:0width$}", width = 5 + number % 196);
                    bytes.extend(frame(true, TEXT, payload.as_bytes()));
                }
                client.write(&bytes);
                client.end_of_stream();
                client.expect_end();
            });
        }
        let mut received = HashMap::new();
        let mut closed = 0;
        while closed < 4 {
            let event = next(&queue);
            let next = received.entry(event.client()).or_insert(0);
            match event.event() {
                Event::Text(message) => {
                    assert_eq!(message.text().parse(), Ok(*next));
                    *next += 1;
                }
                Event::Closed => {
                    assert_eq!(*next, MESSAGES, "the connection ended in between");
                    closed += 1;
                }
                _ => {}
            }
        }
    });
}

#[test]
fn messages_of_one_segment_arrive_without_a_release_in_between() {
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 64).unwrap();
    let mut client = Client::open(server.local_addr());
    let ten: Vec<u8> = (0..10_u8)
        .flat_map(|number| frame(true, TEXT, &[b'0' + number]))
        .collect();
    client.write(&ten);
    let held: Vec<_> = (0..10).map(|_| next_text(&queue)).collect();
    let texts: Vec<_> = held.iter().map(text).collect();
    assert_eq!(texts.concat(), "0123456789");
    // Releasing out of order works as well.
    for event in held.into_iter().rev() {
        drop(event);
    }
    client.send(TEXT, b"next");
    assert_eq!(text(&next_text(&queue)), "next");
}

#[test]
fn full_queue_loses_nothing() {
    const MESSAGES: usize = 200;
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 2).unwrap();
    let addr = server.local_addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut client = Client::open(addr);
                for number in 0..MESSAGES {
                    client.send(TEXT, number.to_string().as_bytes());
                }
                client.end_of_stream();
                client.expect_end();
            });
        }
        let mut of_client: HashMap<_, Vec<String>> = HashMap::new();
        let mut closed = 0;
        while closed < 4 {
            let event = next(&queue);
            let name = match event.event() {
                Event::Connected(request) => format!("connected {}", request.path()),
                Event::Text(message) => message.text().to_owned(),
                event => format!("{event:?}"),
            };
            closed += usize::from(name == "Closed");
            of_client
                .entry(event.client().unwrap())
                .or_default()
                .push(name);
        }
        let mut whole = vec!["Connecting".to_owned(), "connected /chat".to_owned()];
        whole.extend((0..MESSAGES).map(|number| number.to_string()));
        whole.extend(["Closing".to_owned(), "Closed".to_owned()]);
        assert_eq!(of_client.len(), 4);
        for told in of_client.values() {
            assert_eq!(*told, whole);
        }
    });
}

#[test]
fn holding_too_long_ends_with_1011() {
    let (server, queue) = Server::with_queue(
        &limited(|limits| limits.hold_timeout_ms = 300),
        EventMask::all(),
        64,
    )
    .unwrap();
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"hold me");
    let held = next_text(&queue);
    client.expect_close(1011, "");
    client.expect_end();
    drop(client);
    drop(held);
    loop {
        if let Event::Closed = next(&queue).event() {
            break;
        }
    }
}

#[test]
fn application_that_takes_no_events_loses_its_clients_only() {
    let limits = limited(|limits| {
        limits.hold_timeout_ms = 300;
        limits.close_timeout_ms = 300;
    });
    let (server, queue) = Server::with_queue(&limits, EventMask::TEXT, 1).unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| Client::open(server.local_addr())).collect();
    for client in &mut clients {
        client.send(TEXT, b"one");
        client.send(TEXT, b"two");
    }
    for client in &mut clients {
        client.expect_close(1011, "");
        client.expect_end();
    }
    drop(clients);
    while queue.recv_timeout(Duration::from_millis(200)).is_ok() {}
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"three");
    assert_eq!(text(&next_text(&queue)), "three");
}

#[test]
fn large_message_comes_back_whole_to_a_slow_reader() {
    let (server, _log) = echo_server(&Options {
        rx_buffer: 1_000_000,
        ..options()
    });
    let mut client = Client::connect_narrow(server.local_addr()).upgraded();
    let payload: Vec<u8> = (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    client.send(BINARY, &payload);
    // A neighbour is served while nothing is read.
    let mut neighbour = Client::open(server.local_addr());
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        neighbour.echo("and me?");
    }
    client.expect(BINARY, &payload);
    client.echo("after it");
}

#[test]
fn pipelined_messages_of_eight_clients_come_back_in_order() {
    const MESSAGES: u32 = 10_000;
    let (server, _log) = echo_server(&Options {
        max_clients: 8,
        ..options()
    });
    let addr = server.local_addr();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let mut client = Client::open(addr);
                let mut stream = client.stream.try_clone().unwrap();
                let writer = thread::spawn(move || {
                    let mut bytes = Vec::new();
                    for number in 0..MESSAGES {
                        bytes.extend(frame(true, BINARY, &number.to_be_bytes()));
                        if bytes.len() > 3000 {
                            stream.write_all(&bytes).unwrap();
                            bytes.clear();
                        }
                    }
                    stream.write_all(&bytes).unwrap();
                });
                for number in 0..MESSAGES {
                    client.expect(BINARY, &number.to_be_bytes());
                }
                writer.join().unwrap();
            });
        }
    });
    assert_unharmed(&server);
}

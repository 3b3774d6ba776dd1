// SPDX-License-Identifier: Apache-2.0
//! Servers with queues.

use core::time::Duration;

use wss::{ClientId, Clients, CloseCode, Event, EventMask, EventReader as _, RecvError};
use wss_zephyr::{EventQueue, MessageBuffer, Options, StartError, kconfig, uptime_ms};

use crate::app::{App, Role};
use crate::client::{BINARY, CLOSE, Client, PING, PONG, TEXT};
use crate::{PATIENCE_MS, Running, connected, pause, started, wait_until};

const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS as u64);
const BUFFER: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];

/// Returns the next event, which must belong to this client, or to the first one.
#[track_caller]
fn take<'a>(queue: &EventQueue, buffer: &'a mut MessageBuffer) -> (ClientId, Event<'a>) {
    let taken = queue.recv_timeout(buffer, PATIENCE);
    let (client, event) = taken.expect("there is an event");
    (client.expect("it is of a client"), event)
}

/// Returns the next event, without bytes.
#[track_caller]
fn expect(queue: &EventQueue, wanted: EventMask) {
    let mut buffer = BUFFER;
    let (_, event) = take(queue, &mut buffer);
    assert_eq!(event.mask(), wanted);
}

/// Returns the next event, a text.
#[track_caller]
fn expect_text(queue: &EventQueue, wanted: &str) {
    let mut buffer = BUFFER;
    match take(queue, &mut buffer) {
        (_, Event::Text(message)) => {
            assert!(message.is_whole());
            assert_eq!(message.text(), wanted);
        }
        (_, event) => panic!("{event:?} instead of {wanted}"),
    }
}

/// Checks that there is no event, and will be none.
#[track_caller]
fn expect_end(queue: &EventQueue) {
    let began = uptime_ms();
    let end = queue.recv_timeout(&mut { BUFFER }, PATIENCE).err();
    assert_eq!(end, Some(RecvError::Ended));
    assert!(
        uptime_ms() - began < u64::from(PATIENCE_MS),
        "waited in vain"
    );
    // This does not wait either.
    assert!(queue.recv(&mut { BUFFER }).is_none());
}

#[track_caller]
fn with_queue(mask: EventMask, depth: usize) -> (Running, EventQueue) {
    let options = Options::new();
    started(|server| server.start_with_queue(&options, mask, depth)).expect("it starts")
}

#[unsafe(no_mangle)]
extern "C" fn a_queue_has_the_events() {
    let (server, queue) = with_queue(EventMask::all(), 8);
    let mut buffer = BUFFER;
    let none = queue.recv_timeout(&mut buffer, Duration::from_millis(20));
    assert_eq!(none.err(), Some(RecvError::Timeout));

    let client = Client::connect(c"/");
    let (id, event) = take(&queue, &mut buffer);
    assert!(matches!(event, Event::Connecting));
    assert_eq!(Some(id), queue.clients().client(0));
    expect(&queue, EventMask::CONNECTED);
    client.sends(TEXT, "Grüße".as_bytes());
    expect_text(&queue, "Grüße");
    client.sends(BINARY, b"\x00\xff");
    let (_, event) = take(&queue, &mut buffer);
    assert!(
        matches!(event, Event::Binary(message) if message.bytes == b"\x00\xff"),
        "{event:?}"
    );
    client.sends(PING, b"there?");
    client.gets(PONG, b"there?");
    let (_, event) = take(&queue, &mut buffer);
    assert!(matches!(event, Event::Ping(b"there?")), "{event:?}");

    // On the thread that takes the events.
    assert_eq!(queue.clients().send_text(id, "hello"), Ok(()));
    client.gets(TEXT, b"hello");
    assert_eq!(server.clients().send_binary(id, b"\x01"), Ok(()));
    client.gets(BINARY, b"\x01");
    assert_eq!(server.clients().ping(id, b"?"), Ok(()));
    client.gets(PING, b"?");
    client.sends(PONG, b"?");
    let (_, event) = take(&queue, &mut buffer);
    assert!(matches!(event, Event::Pong(b"?")), "{event:?}");
    assert_eq!(
        server.clients().close(id, CloseCode::GOING_AWAY, "bye"),
        Ok(())
    );
    expect(&queue, EventMask::CLOSING);
    client.gets(CLOSE, b"\x03\xe9bye");
    client.sends(CLOSE, b"\x03\xe9");
    // Held like a message until it is taken.
    let (_, event) = take(&queue, &mut buffer);
    let code = match event {
        Event::CloseFrame { code, .. } => code,
        event => panic!("{event:?} instead of a close frame"),
    };
    assert_eq!(code, Some(CloseCode::GOING_AWAY));
    client.ends();
    expect(&queue, EventMask::CLOSED);

    assert!(server.stop());
    expect_end(&queue);
}

/// Returns the number of messages that the server has received.
fn received(clients: &Clients) -> u32 {
    clients.stats().traffic.messages_received
}

#[unsafe(no_mangle)]
extern "C" fn a_message_on_a_queue_is_held() {
    let (server, queue) = with_queue(EventMask::TEXT, 8);
    let clients = server.clients();
    let client = Client::connect(c"/");
    let other = Client::connect(c"/");
    connected(&clients, 0);
    connected(&clients, 1);

    client.sends(TEXT, b"one");
    wait_until("it is received", || received(&clients) == 1);
    // While it is held, the server does not read from this client, but from another one.
    client.sends(TEXT, b"two");
    pause(50);
    assert_eq!(received(&clients), 1);
    other.sends(TEXT, b"other");
    wait_until("that of the other is received", || received(&clients) == 2);
    pause(50);
    assert_eq!(received(&clients), 2);

    expect_text(&queue, "one");
    wait_until("the next is received", || received(&clients) == 3);
    expect_text(&queue, "other");
    expect_text(&queue, "two");
    client.closes();
    other.closes();
    assert!(server.stop());
    assert_eq!(clients.stats().aborted, 0);
    expect_end(&queue);
}

#[unsafe(no_mangle)]
extern "C" fn a_full_queue_loses_nothing() {
    let (server, queue) = with_queue(EventMask::TEXT, 1);
    let all = [Client::connect(c"/"), Client::connect(c"/")];
    let texts = ["one", "two", "three"];
    for text in texts {
        for client in &all {
            client.sends(TEXT, text.as_bytes());
        }
    }
    // There is room for that of one client.
    pause(50);
    let mut came = [0, 0];
    for _ in 0..all.len() * texts.len() {
        let mut buffer = BUFFER;
        match take(&queue, &mut buffer) {
            (id, Event::Text(message)) => {
                assert_eq!(message.text(), texts[came[id.slot()]], "of {id}");
                came[id.slot()] += 1;
            }
            (id, event) => panic!("{id}: {event:?} instead of a text"),
        }
    }

    // Its events are not taken, nor those that had no room.
    for client in &all {
        client.sends(TEXT, b"four");
    }
    pause(50);
    drop(queue);
    for client in &all {
        client.sends(TEXT, b"five");
    }
    wait_until("all is received", || received(&server.clients()) == 10);
    for client in all {
        client.closes();
    }
}

#[unsafe(no_mangle)]
extern "C" fn a_handler_and_a_queue_share_the_events() {
    let wanted = [
        (EventMask::TEXT | EventMask::BINARY, 8),
        (EventMask::CLOSED, 8),
    ];
    let options = Options::new();
    let (server, [messages, ends]) = started(|server| {
        let make = |clients| App::new(clients, Role::Text);
        let builder = server.builder(&options).handler(make);
        builder.start(wanted)
    })
    .expect("it starts");

    let client = Client::connect(c"/");
    client.sends(TEXT, b"both");
    client.gets(TEXT, b"both");
    client.sends(BINARY, b"only one");
    expect_text(&messages, "both");
    expect(&messages, EventMask::BINARY);
    client.closes();
    expect(&ends, EventMask::CLOSED);

    assert!(server.stop());
    expect_end(&messages);
    expect_end(&ends);
}

#[unsafe(no_mangle)]
extern "C" fn there_are_as_many_queues_as_kconfig_says() {
    const QUEUES: usize = kconfig::QUEUES as usize;
    const DEPTH: usize = kconfig::QUEUE_DEPTH as usize;
    let wanted = (EventMask::CONNECTING | EventMask::CONNECTED, DEPTH);
    let options = Options::new();

    let start = started(|server| server.start_with_queue(&options, EventMask::all(), DEPTH + 1));
    assert_eq!(start.err(), Some(StartError::NoQueue));
    let start = started(|server| server.builder(&options).start([wanted; QUEUES + 1]));
    assert_eq!(start.err(), Some(StartError::NoQueue));
    // Its queues are free again.
    let start = started(|server| server.builder(&options).start([wanted; QUEUES]));
    let (server, queues) = start.expect("it starts");
    let start = started(|server| server.start_with_queue(&crate::at_port(0), EventMask::all(), 1));
    assert_eq!(start.err(), Some(StartError::NoQueue));

    let client = Client::connect(c"/");
    for queue in &queues {
        expect(queue, EventMask::CONNECTING);
        expect(queue, EventMask::CONNECTED);
    }
    client.closes();
    drop(queues);
    assert!(server.stop());
}

#[unsafe(no_mangle)]
extern "C" fn the_end_that_a_handler_begins_wakes_the_reader_of_a_queue() {
    let (server, queue) = with_queue(EventMask::TEXT, 8);
    let client = Client::connect(c"/");
    connected(&server.clients(), 0);
    server.clients().stop();
    client.closed_with(b"\x03\xe9");
    expect_end(&queue);
}

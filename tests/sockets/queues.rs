// SPDX-License-Identifier: Apache-2.0
//! Several event sinks, each with its own mask.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wss::host::{EventQueue, Server};
use wss::service::RecvError;
use wss::{ClientId, Clients, Event, EventMask, SendError};

use super::backpressure::{next, next_text, text};
use super::client::{BINARY, Client, TEXT};
use super::closure::closure;
use super::server::{eventually, options};

/// Nothing comes within a time in which it would have.
fn assert_silent(queue: &EventQueue) {
    let event = queue.recv_timeout(Duration::from_millis(200));
    let event = event.map(|event| event.event().mask());
    assert_eq!(event, Err(RecvError::Timeout));
}

/// Returns the names of the next events.
fn masks(queue: &EventQueue, count: usize) -> Vec<EventMask> {
    (0..count).map(|_| next(queue).event().mask()).collect()
}

#[test]
fn the_handler_and_each_queue_get_the_events_of_their_masks() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let handler = move |clients: &Clients, id: Option<ClientId>, event: &Event<'_>| {
        log.lock().unwrap().push(event.mask());
        if let (Some(id), Event::Text(message)) = (id, event) {
            clients.send_text(id, message.text()).unwrap();
        }
    };
    let options = options();
    let states = EventMask::CONNECTED | EventMask::CLOSED;
    let (server, [of_states, of_data, of_binary]) = Server::builder(&options)
        .events(EventMask::TEXT | EventMask::CLOSING, closure(handler))
        .start([
            (states, 4),
            (EventMask::TEXT | EventMask::BINARY, 4),
            (EventMask::BINARY, 4),
        ])
        .unwrap();
    let mut client = Client::open(server.local_addr());
    client.echo("hello");
    client.send(BINARY, b"bytes");
    assert_eq!(masks(&of_data, 2), [EventMask::TEXT, EventMask::BINARY]);
    assert_eq!(masks(&of_binary, 1), [EventMask::BINARY]);
    drop(client);
    assert_eq!(
        masks(&of_states, 2),
        [EventMask::CONNECTED, EventMask::CLOSED]
    );
    for queue in [&of_states, &of_data, &of_binary] {
        assert_silent(queue);
    }
    assert_eq!(*told.lock().unwrap(), [EventMask::TEXT, EventMask::CLOSING]);
    assert!(server.stop());
    assert!(of_states.recv().is_none() && of_data.recv().is_none());
}

#[test]
fn a_message_seen_by_several_is_released_by_the_last() {
    for last_first in [false, true] {
        let options = options();
        let both = (EventMask::TEXT, 8);
        let (server, [one, other]) = Server::builder(&options).start([both, both]).unwrap();
        let mut client = Client::open(server.local_addr());
        client.send(TEXT, b"first");
        let (first, second) = (next_text(&one), next_text(&other));
        assert_eq!(
            (text(&first).as_str(), text(&second).as_str()),
            ("first", "first")
        );
        client.send(TEXT, b"second");
        assert_silent(&one);
        let (sooner, later) = if last_first {
            (second, first)
        } else {
            (first, second)
        };
        drop(sooner);
        assert_silent(&one);
        assert_silent(&other);
        drop(later);
        assert_eq!(text(&next_text(&one)), "second");
        assert_eq!(text(&next_text(&other)), "second");
    }
}

#[test]
fn a_queue_that_is_full_keeps_no_event_from_another_nor_loses_one() {
    const MESSAGES: usize = 100;
    let options = options();
    let (server, [slow, quick]) = Server::builder(&options)
        .start([(EventMask::TEXT, 1), (EventMask::all(), 8)])
        .unwrap();
    let mut client = Client::open(server.local_addr());
    for number in 0..MESSAGES {
        client.send(TEXT, number.to_string().as_bytes());
    }
    for number in 0..MESSAGES {
        assert_eq!(text(&next_text(&quick)), number.to_string());
        assert_eq!(text(&next_text(&slow)), number.to_string());
    }
    drop(client);
    let gone = [EventMask::CLOSING, EventMask::CLOSED];
    assert_eq!(masks(&quick, 2), gone);
    assert_silent(&slow);
    drop((slow, quick));
    assert_unharmed_without_echo(&server);
}

#[test]
fn a_queue_that_nobody_has_any_more_holds_up_no_client() {
    let options = options();
    let (server, [kept, dropped]) = Server::builder(&options)
        .start([(EventMask::TEXT, 4), (EventMask::all(), 1)])
        .unwrap();
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"held");
    // The queue is full of what came before, which is not taken.
    assert_silent(&kept);
    drop(dropped);
    assert_eq!(text(&next_text(&kept)), "held");
    for number in 0..20 {
        client.send(TEXT, number.to_string().as_bytes());
        assert_eq!(text(&next_text(&kept)), number.to_string());
    }
    drop((client, kept));
    assert_unharmed_without_echo(&server);
}

#[test]
fn what_lies_on_a_queue_is_released_with_it() {
    let options = options();
    let (server, [kept, dropped]) = Server::builder(&options)
        .start([(EventMask::TEXT, 4), (EventMask::TEXT, 4)])
        .unwrap();
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"held");
    drop(next_text(&kept));
    client.send(TEXT, b"goes on");
    assert_silent(&kept);
    drop(dropped);
    assert_eq!(text(&next_text(&kept)), "goes on");
}

#[test]
fn there_are_as_many_sinks_as_the_service_has() {
    let options = options();
    let queue = (EventMask::TEXT, 1);
    let handler = |_: &Clients, _: Option<ClientId>, _: &Event<'_>| {};
    assert!(Server::builder(&options).start([queue; 4]).is_ok());
    let with_handler = || Server::builder(&options).events(EventMask::all(), closure(handler));
    assert!(with_handler().start([queue; 3]).is_ok());
    let invalid = std::io::ErrorKind::InvalidInput;
    let error = with_handler().start([queue; 4]).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), invalid);
    let error = Server::builder(&options)
        .start([queue; 5])
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), invalid);
}

#[test]
fn room_to_write_again_is_told_to_queues() {
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 8).unwrap();
    let mut client = Client::connect_narrow(server.local_addr()).upgraded();
    client.send(TEXT, b"go");
    drop(next_text(&queue));
    // Batched, so that no thread waits: until the client, which takes nothing, has no more room.
    let id = server.clients().client(0).unwrap();
    let refused = loop {
        match server.clients().send(
            wss::service::Target::All,
            wss::MessageKind::Binary,
            &[0; 1400],
        ) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::WouldBlock);
    assert_silent(&queue);
    while queue.recv_timeout(Duration::ZERO).map_or(true, |event| {
        assert!(matches!(event.event(), Event::Writable) && event.client() == Some(id));
        false
    }) {
        client.expect(BINARY, &[0; 1400]);
    }
}

/// As `assert_unharmed`, for a server whose handler echoes nothing.
fn assert_unharmed_without_echo(server: &Server) {
    let clients = server.clients();
    eventually("every slot comes back", || {
        let stats = clients.stats();
        stats.accepted == stats.closed
    });
    drop(Client::open(server.local_addr()));
}

#[test]
fn an_event_can_be_waited_for_for_the_longest_time_that_there_is() {
    let (server, queue) = Server::with_queue(&options(), EventMask::CONNECTED, 4).unwrap();
    let _client = Client::open(server.local_addr());
    let event = queue.recv_timeout(Duration::MAX).unwrap();
    assert_eq!(event.event().mask(), EventMask::CONNECTED);
}

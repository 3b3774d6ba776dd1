// SPDX-License-Identifier: Apache-2.0
//! Every connection passes through the same states.

use std::cell::Cell;

use wss::protocol::CloseCode;
use wss::service::{ClientState, Config, Delivery, Lock as _, Opening};
use wss::{AnswerError, ClientId, Event, EventMask, SendError, Status, Verdict};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, Svc, echo, frame, ignore, server_frame};

#[test]
pub fn a_session_is_told_in_order() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connect();
    assert_eq!(h.service.state(0), ClientState::Closed);
    h.settle();
    assert_eq!(h.service.state(0), ClientState::Connecting);
    client.send(REQUEST.as_bytes());
    h.settle();
    assert_eq!(h.service.state(0), ClientState::Connected);
    client.send(&frame(0x81, b"hi"));
    client.send(&frame(0x89, b"?"));
    client.send(&frame(0x8A, b"!"));
    client.send(&frame(0x88, b"\x0f\xa0bye"));
    h.settle();
    assert_eq!(h.service.state(0), ClientState::Closing);
    client.eof();
    h.settle();
    let expected = [
        "0 connecting",
        "0 connected /chat",
        "0 text hi",
        "0 ping ?",
        "0 pong !",
        "0 close frame 4000",
        "0 closing",
        "0 closed",
    ];
    assert_eq!(h.events(), expected);
    let output = [
        ACCEPTED.as_bytes(),
        &server_frame(0x81, b"hi"),
        &server_frame(0x8A, b"?"),
        &server_frame(0x88, b"\x0f\xa0"),
    ];
    assert_eq!(client.take(), output.concat());
    assert!(client.is_closed());
    h.assert_all_closed();
}

/// A complete session, for the tests that cut it.
pub fn session() -> Vec<u8> {
    [
        REQUEST.as_bytes(),
        &frame(0x81, b"one"),
        &frame(0x01, b"t\xc3"),
        &frame(0x89, b"in between"),
        &frame(0x80, b"\xa4wo"),
        &frame(0x82, &[7; 300]),
        &frame(0x8A, b""),
        &frame(0x88, b"\x03\xe8"),
    ]
    .concat()
}

#[test]
pub fn any_split_gives_the_same_events_and_output() {
    let bytes = session();
    let run = |parts: &[&[u8]]| {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = h.connect();
        for part in parts {
            client.send(part);
            h.settle();
        }
        client.eof();
        h.settle();
        h.assert_all_closed();
        (h.events(), client.take())
    };
    let whole = run(&[&bytes]);
    assert_eq!(whole.0.len(), 10);
    for cut in 1..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(run(&[head, tail]), whole, "split at {cut}");
    }
    assert_eq!(run(&bytes.chunks(1).collect::<Vec<_>>()), whole);
}

#[test]
pub fn an_end_at_any_byte_is_told_once() {
    let bytes = session();
    for cut in 0..bytes.len() {
        for reset in [false, true] {
            let mut h = Harness::new(1, Config::default(), echo);
            let client = h.connect();
            client.send(&bytes[..cut]);
            h.settle();
            if reset {
                client.reset();
            } else {
                client.eof();
            }
            h.settle();
            let events = h.events();
            let count = |what: &str| events.iter().filter(|event| event.ends_with(what)).count();
            let counts = (count("connecting"), count("closing"), count("closed"));
            assert_eq!(counts, (1, 1, 1), "cut at {cut}: {events:?}");
            assert_eq!(&events[events.len() - 2..], ["0 closing", "0 closed"]);
            h.assert_all_closed();
        }
    }
}

#[test]
pub fn the_first_frame_may_come_with_the_request() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connect();
    client.send(&[REQUEST.as_bytes(), &frame(0x81, b"early")].concat());
    h.settle();
    let output = [ACCEPTED.as_bytes(), &server_frame(0x81, b"early")].concat();
    assert_eq!(client.take(), output);
}

#[test]
pub fn a_client_too_many_gets_503_and_nobody_notices() {
    let mut h = Harness::new(2, Config::default(), echo);
    let clients = [h.connected(), h.connected()];
    h.events();
    let late = h.connect();
    h.settle();
    assert_eq!(late.take(), b"", "no answer before the request");
    late.send(REQUEST.as_bytes());
    h.settle();
    let answer = String::from_utf8(late.take()).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    assert!(!late.is_closed(), "it has time to read the answer");
    late.eof();
    h.settle();
    assert!(late.is_closed());
    assert_eq!(h.events(), [""; 0]);
    // A silent one is answered and closed when the next one arrives, or after a time.
    let (first, second) = (h.connect(), h.connect());
    h.settle();
    assert!(first.is_closed() && !second.is_closed());
    assert!(first.take().starts_with(b"HTTP/1.1 503"));
    h.pass(1_100);
    assert!(second.is_closed());
    assert!(second.take().starts_with(b"HTTP/1.1 503"));
    assert_eq!(h.service.stats().refused_full, 3);
    // A client that disconnects makes room.
    clients[0].eof();
    h.settle();
    h.events();
    let client = h.connected();
    assert_eq!(h.events(), ["0 connecting", "0 connected /chat"]);
    client.send(&frame(0x81, b"a"));
    h.settle();
    assert_eq!(client.take(), server_frame(0x81, b"a"));
}

#[test]
pub fn an_id_reaches_only_the_client_it_was_given_for() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let first = h.connected();
    let id = h.service.client(0).unwrap();
    assert_eq!(h.service.send_text(id, "a"), Ok(()));
    first.eof();
    h.settle();
    let second = h.connected();
    let gone = Err(SendError::NotConnected);
    assert_eq!(h.service.send_text(id, "b"), gone);
    assert_eq!(h.service.ping(id, b""), gone);
    assert_eq!(h.service.close(id, CloseCode::NORMAL, ""), gone);
    h.service.release(id);
    h.settle();
    assert_eq!(second.take(), b"");
    assert_ne!(h.service.client(0), Some(id));
    assert_eq!(h.service.state(7), ClientState::Closed);
}

#[test]
pub fn an_id_reaches_nobody_after_65_537_reconnects_of_its_slot() {
    let held = |_: &Svc, _: usize, _: Option<ClientId>, event: &Event<'_>| match event {
        Event::Text(_) => Delivery::Held,
        _ => Delivery::Done,
    };
    let mut h = Harness::new(1, Config::default(), held);
    let reconnect = |h: &mut Harness, received: &[u8]| {
        let client = Client::elsewhere();
        let adopted = h
            .service
            .adopt(&client.socket(), received, Opening::Upgraded);
        h.settle();
        h.events();
        (client, adopted.unwrap())
    };
    let (first, old) = reconnect(&mut h, b"");
    first.eof();
    h.settle();
    for _ in 1..65_537 {
        let (client, id) = reconnect(&mut h, b"");
        assert_ne!(id, old);
        client.eof();
        h.settle();
    }
    let (client, id) = reconnect(&mut h, &frame(0x81, b"held"));
    assert_eq!(id.slot(), old.slot());
    assert_ne!(id, old);
    let gone = Err(SendError::NotConnected);
    assert_eq!(h.service.send_text(old, "x"), gone);
    assert_eq!(h.service.ping(old, b""), gone);
    assert_eq!(h.service.close(old, CloseCode::NORMAL, ""), gone);
    assert_eq!(
        h.service.answer(old, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
    assert_eq!(h.service.while_held(old, || ()), None);
    h.service.release(old);
    assert_eq!(h.service.while_held(id, || ()), Some(()), "still held");
    h.settle();
    assert!(client.take().is_empty());
    assert_eq!(h.service.client(0), Some(id));
}

#[test]
pub fn a_client_is_known_and_closing_while_that_is_told() {
    let mut h = Harness::new(1, Config::default(), |service, _, client, event| {
        let state = service.state(0);
        match event {
            Event::Closing => assert_eq!(state, ClientState::Closing),
            Event::Closed => assert_eq!(state, ClientState::Closed),
            _ => {}
        }
        assert_eq!(service.client(0), client);
        Delivery::Done
    });
    let client = h.connected();
    client.eof();
    h.settle();
    assert!(h.events().ends_with(&["0 closed".into()]));
    assert_eq!(h.service.client(0), None);
}

#[test]
pub fn a_slot_is_used_again_only_after_closed_was_delivered() {
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Closed => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.eof();
    h.settle();
    assert!(client.is_closed());
    let late = h.connect();
    late.send(REQUEST.as_bytes());
    h.settle();
    assert!(late.take().starts_with(b"HTTP/1.1 503"));
    assert!(h.events().ends_with(&["0 closing".into()]));
}

#[test]
pub fn a_refused_request_closes() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service
        .application()
        .verdict
        .set(Verdict::refuse(Status::NOT_FOUND));
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    assert!(client.take().starts_with(b"HTTP/1.1 404 Not Found\r\n"));
    assert!(client.0.lock().shut && !client.is_closed());
    client.send(b"what follows is dropped");
    h.settle();
    client.eof();
    h.settle();
    assert_eq!(h.events(), ["0 connecting", "0 closing", "0 closed"]);
    assert_eq!(h.service.stats().refused_requests, 1);
    h.assert_all_closed();
}

#[test]
pub fn a_subprotocol_has_to_be_one_that_is_offered() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service
        .application()
        .verdict
        .set(Verdict::accept().subprotocol("chat"));
    let offer = REQUEST.replace("Host", "Sec-WebSocket-Protocol: soap, chat\r\nHost");
    let client = h.connect();
    client.send(offer.as_bytes());
    h.settle();
    let answer = String::from_utf8(client.take()).unwrap();
    assert!(
        answer.ends_with("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
        "{answer}"
    );
    client.eof();
    h.settle();
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    assert!(client.take().starts_with(b"HTTP/1.1 500 "));
}

#[test]
pub fn a_protocol_error_is_told_and_answered() {
    for (bytes, code, counter) in [
        (frame(0xC1, b""), 1002u16, 0),
        (frame(0x81, b"\xff"), 1007, 1),
        (frame(0x82, &[0; 301]), 1009, 2),
    ] {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = h.connected();
        client.send(&[frame(0x81, b"before"), bytes, frame(0x81, b"after")].concat());
        h.settle();
        client.eof();
        h.settle();
        let expected = [
            "0 connecting",
            "0 connected /chat",
            "0 text before",
            "0 invalidframe",
            "0 closing",
            "0 closed",
        ];
        assert_eq!(h.events(), expected);
        let close = server_frame(0x88, &code.to_be_bytes());
        assert_eq!(
            client.take(),
            [server_frame(0x81, b"before"), close].concat()
        );
        let stats = h.service.stats();
        let counters = [
            stats.protocol_errors,
            stats.invalid_payloads,
            stats.messages_too_big,
        ];
        assert_eq!(counters.iter().sum::<u32>(), 1);
        assert_eq!(counters[counter], 1);
    }
}

#[test]
pub fn the_application_closes_with_code_and_reason() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    let code = CloseCode::new(4001).unwrap();
    assert_eq!(
        h.service
            .close(h.service.client(0).unwrap(), code, "enough"),
        Ok(())
    );
    assert_eq!(h.service.state(0), ClientState::Closing);
    // Nothing can be sent after a close frame, not even another one.
    let target = wss::service::Target::Slot(0);
    assert_eq!(
        h.service.send_text(target, "x"),
        Err(SendError::NotConnected)
    );
    assert_eq!(
        h.service.close(target, code, ""),
        Err(SendError::NotConnected)
    );
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b"\x0f\xa1enough"));
    // Data in transit is dropped; the answer is an event.
    client.send(
        &[
            frame(0x81, b"late"),
            frame(0x89, b"late"),
            frame(0x88, b"\x0f\xa1"),
        ]
        .concat(),
    );
    h.settle();
    assert!(client.0.lock().shut);
    client.eof();
    h.settle();
    assert_eq!(client.take(), b"");
    let expected = [
        "0 connecting",
        "0 connected /chat",
        "0 closing",
        "0 close frame 4001",
        "0 closed",
    ];
    assert_eq!(h.events(), expected);
    h.assert_all_closed();
}

#[test]
pub fn an_empty_close_and_a_second_one_are_answered_once() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.send(&[frame(0x88, b""), frame(0x88, b"")].concat());
    h.settle();
    client.eof();
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b""));
    assert!(h.events().ends_with(&[
        "0 close frame 0".into(),
        "0 closing".into(),
        "0 closed".into()
    ]));
}

#[test]
pub fn where_sockets_cannot_be_shut_they_are_closed_once_nothing_is_unread() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.0.lock().no_shutdown = true;
    client.send(&[frame(0x88, b""), vec![0; 2000]].concat());
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b""));
    assert!(client.is_closed() && client.0.lock().to_server.is_empty());
    h.assert_all_closed();
}

#[test]
pub fn a_close_from_inside_the_callback_ends_the_batch() {
    let mut h = Harness::new(1, Config::default(), |service, _, client, event| {
        if let (Some(client), Event::Text(_)) = (client, event) {
            assert_eq!(service.send_text(client, "last"), Ok(()));
            assert_eq!(service.close(client, CloseCode::GOING_AWAY, ""), Ok(()));
        }
        Delivery::Done
    });
    let client = h.connected();
    client.send(&[frame(0x81, b"a"), frame(0x81, b"b")].concat());
    h.settle();
    let output = [server_frame(0x81, b"last"), server_frame(0x88, &[3, 233])].concat();
    assert_eq!(client.take(), output);
    client.send(&frame(0x88, &[3, 233]));
    client.eof();
    h.settle();
    let expected = ["0 text a", "0 closing", "0 close frame 1001", "0 closed"];
    assert_eq!(h.events()[2..], expected);
}

#[test]
pub fn wrong_calls_change_nothing() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    let service = &h.service;
    assert_eq!(service.ping(id, &[0; 126]), Err(SendError::PingTooLong));
    for code in [CloseCode::NO_STATUS_RECEIVED, CloseCode::TLS_HANDSHAKE] {
        assert_eq!(service.close(id, code, ""), Err(SendError::Close));
    }
    let reason = "x".repeat(124);
    assert_eq!(
        service.close(id, CloseCode::NORMAL, &reason),
        Err(SendError::Close)
    );
    for opcode in [wss::protocol::Opcode::Ping, wss::protocol::Opcode::Close] {
        let sent = service.send_frame(id, true, opcode, b"");
        assert!(matches!(sent, Err(SendError::Frame(_))));
    }
    let text = service.send_frame(id, true, wss::protocol::Opcode::Text, b"\xff");
    assert!(matches!(text, Err(SendError::Frame(_))));
    let free = wss::service::Target::Slot(1);
    assert_eq!(service.send_text(free, ""), Err(SendError::NotConnected));
    // To all clients, with and without any.
    let empty = Harness::new(1, Config::default(), ignore);
    for service in [service, &empty.service] {
        for fin in [false, true] {
            let all = wss::service::Target::All;
            let text = service.send_frame(all, fin, wss::protocol::Opcode::Text, b"\xff");
            assert!(matches!(text, Err(SendError::Frame(_))));
        }
    }
    h.settle();
    assert_eq!(client.take(), b"");
    assert_eq!(h.service.stats().traffic.messages_sent, 0);
}

#[test]
pub fn accepting_that_fails_is_told_and_tried_again() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service.port().state.lock().backlog.push_back(None);
    let client = h.connect();
    h.settle();
    assert_eq!(h.events(), ["service error"]);
    h.pass(200);
    assert_eq!(h.events(), ["0 connecting"]);
    client.eof();
    h.settle();
    assert_eq!(h.service.stats().accept_errors, 1);
}

#[test]
pub fn events_of_the_service_coalesce_until_they_are_delivered() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service.announce(EventMask::LINK_DOWN);
    h.service.announce(EventMask::LINK_DOWN);
    h.service.announce(EventMask::LINK_UP);
    h.settle();
    assert_eq!(h.events(), ["service linkdown", "service linkup"]);
    h.settle();
    assert_eq!(h.events(), [""; 0]);
}

#[test]
pub fn what_is_announced_while_the_same_is_delivered_is_told_again() {
    let again = Cell::new(true);
    let mut h = Harness::new(1, Config::default(), move |service, _, _, event| {
        if matches!(event, Event::LinkUp) && again.take() {
            // It goes down and comes up before the application has handled the first event.
            service.announce(EventMask::LINK_DOWN);
            service.announce(EventMask::LINK_UP);
        }
        Delivery::Done
    });
    h.service.announce(EventMask::LINK_UP);
    h.settle();
    let up = "service linkup";
    assert_eq!(h.events(), [up, "service linkdown", up]);
}

#[test]
pub fn the_last_that_is_told_of_the_link_is_how_it_is() {
    let mut h = Harness::new(1, Config::default(), ignore);
    for _ in 0..3 {
        h.service.announce(EventMask::LINK_UP);
        h.service.announce(EventMask::LINK_DOWN);
    }
    h.settle();
    assert_eq!(h.events(), ["service linkdown"]);
    h.service.announce(EventMask::LINK_UP);
    // Both at once: in this order.
    h.service
        .announce(EventMask::LINK_DOWN | EventMask::LINK_UP);
    h.settle();
    assert_eq!(h.events(), ["service linkdown", "service linkup"]);
}

#[test]
pub fn a_connection_that_cannot_be_watched_is_an_error_and_counted() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service.port().state.lock().unwatchable = 1;
    let client = h.connect();
    h.settle();
    assert!(client.is_closed());
    assert_eq!(h.events(), ["service error"]);
    assert_eq!(h.service.stats().accept_errors, 1);
    h.connected();
}

#[test]
pub fn connections_that_cannot_be_accepted_are_one_error_until_one_can_be() {
    let mut h = Harness::new(2, Config::default(), ignore);
    for round in 1..=3 {
        // It is tried again every 100 ms.
        for _ in 0..20 {
            h.service.port().state.lock().backlog.push_back(None);
        }
        h.pass(2_500);
        assert_eq!(h.events(), ["service error"], "once a change");
        assert_eq!(h.service.stats().accept_errors, round);
        let client = h.connected();
        client.eof();
        h.settle();
        h.events();
    }
}

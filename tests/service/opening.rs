// SPDX-License-Identifier: Apache-2.0
//! Opening requests that the application answers later.

use wss::protocol::Status;
use wss::service::{AnswerError, ClientState, Config, Interest, Lock as _};
use wss::{ClientId, Verdict};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, echo, frame, server_frame};

const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A service with one client, whose answer is deferred.
fn waiting(config: Config) -> (Harness, Client, ClientId) {
    let h = Harness::new(1, config, echo);
    h.service.application().verdict.set(Verdict::Later);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    let mut h = h;
    h.settle();
    assert_eq!(h.events(), ["0 connecting"]);
    assert!(
        client.take().is_empty(),
        "nothing is said before the answer"
    );
    assert_eq!(h.service.state(0), ClientState::Connecting);
    let id = h.service.client(0).unwrap();
    (h, client, id)
}

#[test]
pub fn an_answer_may_come_later() {
    let (mut h, client, id) = waiting(Config::default());
    h.pass(5_000);
    assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
    assert_eq!(h.service.state(0), ClientState::Connected);
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
    // The request is still available.
    assert_eq!(h.events(), ["0 connected /chat"]);
    client.send(&frame(0x81, b"hi"));
    h.settle();
    assert_eq!(client.take(), server_frame(0x81, b"hi"));
    client.eof();
    h.settle();
    h.assert_all_closed();
}

#[test]
pub fn a_later_answer_may_refuse() {
    let (mut h, client, id) = waiting(Config::default());
    let refused = h.service.answer(id, Verdict::refuse(Status::FORBIDDEN));
    assert_eq!(refused, Ok(()));
    h.settle();
    assert_eq!(client.take(), REFUSED.as_bytes());
    client.eof();
    h.settle();
    assert_eq!(h.events(), ["0 closing", "0 closed"]);
    assert_eq!(h.service.stats().refused_forbidden, 1);
    h.assert_all_closed();
}

#[test]
pub fn a_later_answer_chooses_among_the_subprotocols_offered() {
    let mut h = Harness::new(1, Config::default(), echo);
    h.service.application().verdict.set(Verdict::Later);
    let client = h.connect();
    let offer = "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";
    client.send(
        REQUEST
            .replace("\r\n\r\n", &format!("\r\n{offer}"))
            .as_bytes(),
    );
    h.settle();
    let id = h.service.client(0).unwrap();
    let other = h.service.answer(id, Verdict::accept().subprotocol("mqtt"));
    assert_eq!(other, Err(AnswerError::Subprotocol));
    h.settle();
    assert!(client.take().is_empty(), "it still waits");
    let offered = h
        .service
        .answer(id, Verdict::accept().subprotocol("superchat"));
    assert_eq!(offered, Ok(()));
    let said = String::from_utf8(client.take()).unwrap();
    assert!(said.starts_with("HTTP/1.1 101 "), "{said}");
    assert!(
        said.ends_with("\r\nSec-WebSocket-Protocol: superchat\r\n\r\n"),
        "{said}"
    );
}

#[test]
pub fn a_request_is_answered_once() {
    let (mut h, client, id) = waiting(Config::default());
    assert_eq!(
        h.service.answer(id, Verdict::Later),
        Ok(()),
        "it still waits"
    );
    assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
    for again in [
        Verdict::accept(),
        Verdict::refuse(Status::FORBIDDEN),
        Verdict::Later,
    ] {
        assert_eq!(h.service.answer(id, again), Err(AnswerError::NotWaiting));
    }
    h.settle();
    assert_eq!(
        h.service.answer(id, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
    assert_eq!(client.take(), ACCEPTED.as_bytes());
    assert_eq!(h.service.stats().connected, 1);
}

#[test]
pub fn only_what_was_put_off_is_answered_later() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connect();
    h.settle();
    let id = h.service.client(0).unwrap();
    assert_eq!(
        h.service.answer(id, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
    client.send(REQUEST.as_bytes());
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
    assert_eq!(
        h.service.answer(id, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
}

#[test]
pub fn the_handshake_deadline_goes_on_while_the_application_decides() {
    let config = Config::default();
    let (mut h, client, id) = waiting(config);
    h.pass(u64::from(config.handshake_timeout_ms) - 10);
    assert_eq!(h.events(), [""; 0]);
    h.pass(200);
    assert_eq!(h.events(), ["0 timeout", "0 closing", "0 closed"]);
    assert!(client.is_closed());
    assert_eq!(
        h.service.answer(id, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
    h.assert_all_closed();
}

#[test]
pub fn a_client_that_leaves_while_the_application_decides_is_noticed() {
    for reset in [false, true] {
        let (mut h, client, id) = waiting(Config::default());
        if reset {
            client.reset();
        } else {
            client.eof();
        }
        h.settle();
        assert_eq!(h.events(), ["0 closing", "0 closed"]);
        assert_eq!(
            h.service.answer(id, Verdict::accept()),
            Err(AnswerError::NotWaiting)
        );
        h.assert_all_closed();
        // Nor does the answer reach the next client of the slot.
        let next = h.connect();
        next.send(REQUEST.as_bytes());
        h.settle();
        assert_eq!(
            h.service.answer(id, Verdict::accept()),
            Err(AnswerError::NotWaiting)
        );
        let id = h.service.client(0).unwrap();
        assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
        h.settle();
        assert_eq!(next.take(), ACCEPTED.as_bytes());
    }
}

#[test]
pub fn what_comes_before_the_answer_is_kept_behind_the_request() {
    let (mut h, client, id) = waiting(Config::default());
    client.send(&frame(0x81, b"early"));
    h.settle();
    client.send(&frame(0x81, b"and more"));
    h.settle();
    assert_eq!(h.events(), [""; 0]);
    assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
    h.settle();
    let expected = ["0 connected /chat", "0 text early", "0 text and more"];
    assert_eq!(h.events(), expected);
    let output = [
        ACCEPTED.as_bytes(),
        &server_frame(0x81, b"early"),
        &server_frame(0x81, b"and more"),
    ];
    assert_eq!(client.take(), output.concat());
}

#[test]
pub fn a_client_that_sends_more_than_there_is_room_for_waits_for_the_answer() {
    let (mut h, client, id) = waiting(Config::default());
    for _ in 0..10 {
        client.send(&frame(0x82, &[7; 100]));
        h.settle();
    }
    assert!(
        !client.0.lock().to_server.is_empty(),
        "not all was received"
    );
    assert_eq!(h.service.port().watched(0), Interest::empty());
    assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
    h.settle();
    let events = h.events();
    assert_eq!(events.len(), 11);
    assert_eq!(events[0], "0 connected /chat");
    assert!(events[1..].iter().all(|event| event == "0 binary 100"));
}

#[test]
pub fn stopping_ends_clients_that_wait_for_an_answer() {
    let (mut h, client, id) = waiting(Config::default());
    h.service.stop();
    h.settle();
    assert_eq!(h.events(), ["0 closing", "0 closed"]);
    assert!(client.is_closed());
    assert_eq!(
        h.service.answer(id, Verdict::accept()),
        Err(AnswerError::NotWaiting)
    );
    h.assert_all_closed();
}

#[test]
pub fn a_client_that_does_not_take_the_later_answer_is_given_the_rest_of_it() {
    let (mut h, client, id) = waiting(Config::default());
    client.set_window(10);
    assert_eq!(h.service.answer(id, Verdict::accept()), Ok(()));
    h.settle();
    assert_eq!(client.take(), &ACCEPTED.as_bytes()[..10]);
    client.set_window(usize::MAX);
    h.settle();
    assert_eq!(client.take(), &ACCEPTED.as_bytes()[10..]);
}

#[test]
pub fn a_client_to_whom_nothing_can_be_said_is_not_connected() {
    for window in [0, 10] {
        let mut h = Harness::with_blocks(1, 0, Config::default(), echo);
        let client = h.connect();
        client.set_window(window);
        client.send(REQUEST.as_bytes());
        client.send(&frame(0x81, b"early"));
        h.settle();
        assert_eq!(h.events(), ["0 connecting", "0 closing", "0 closed"]);
        let stats = h.service.stats();
        assert_eq!((stats.connected, stats.aborted), (0, 1));
        h.assert_all_closed();
    }
}

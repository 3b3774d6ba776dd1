// SPDX-License-Identifier: Apache-2.0
//! TLS before the opening handshake, with a toy version (`records.rs`).

use std::cell::Cell;
use std::rc::Rc;

use wss::protocol::{CloseCode, Opcode, Status};
use wss::service::{AdoptError, ClientState, Config, Interest, Lock as _, Opening, Work};
use wss::{MessageKind, SendError};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, RX, echo, frame, ignore, server_frame};
use crate::lifecycle::session;
use crate::logging::{keep_lines, lines};

/// The bytes that a client gets in [`session`].
fn answers() -> Vec<u8> {
    [
        ACCEPTED.as_bytes(),
        &server_frame(0x81, b"one"),
        &server_frame(0x8A, b"in between"),
        &server_frame(0x81, "täwo".as_bytes()),
        &server_frame(0x82, &[7; 300]),
        &server_frame(0x88, b"\x03\xe8"),
    ]
    .concat()
}

/// The variants of TLS between a client and its server.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// A step is one record.
    one_by_one: bool,
    /// The maximum plaintext in a record of the client.
    record: usize,
}

const WAYS: [Way; 2] = [
    Way {
        one_by_one: false,
        record: 200,
    },
    Way {
        one_by_one: true,
        record: 11,
    },
];

/// A client that waits to be accepted, and keeps its output.
fn holding_back(h: &Harness, way: Way) -> Client {
    let client = Client::holding_back();
    client.0.lock().with_tls(|tls, _| {
        tls.one_by_one = way.one_by_one;
        tls.client.record = way.record;
    });
    h.come(&client);
    client
}

/// Sends this many bytes, one by one as the client has them. Returns how many it had.
fn let_go(h: &mut Harness, client: &Client, count: usize) -> usize {
    let mut gone = 0;
    loop {
        h.settle();
        let now = client.let_go(count - gone);
        gone += now;
        if now == 0 {
            return gone;
        }
    }
}

/// Returns how many bytes a client sends until its handshake is finished.
fn handshake_len() -> usize {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[0]);
    let_go(&mut h, &client, usize::MAX)
}

/// Returns how many bytes a client sends in [`session`].
fn session_len(way: Way) -> usize {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = holding_back(&h, way);
    client.send(&session());
    let_go(&mut h, &client, usize::MAX)
}

/// A connected client.
fn connected(h: &mut Harness) -> Client {
    Harness::use_tls(true);
    let client = h.connected();
    h.events();
    client
}

fn is_open(client: &Client) -> bool {
    client.tls(|tls, _| tls.is_open())
}

fn is_alerted(client: &Client) -> bool {
    client.tls(|tls, _| tls.is_alerted)
}

/// Returns whether it got the server's close_notify.
fn has_ended(client: &Client) -> bool {
    client.tls(|tls, _| tls.has_ended)
}

const CONNECTING: &str = "0 connecting";
const CLOSING: &str = "0 closing";
const CLOSED: &str = "0 closed";
const TLS_FAILED: &str = "0 tlsfailed";
const TIMEOUT: &str = "0 timeout";

#[test]
fn any_split_of_the_ciphertext_gives_the_same_events_and_output() {
    for way in WAYS {
        let run = |cut: Option<usize>| {
            let mut h = Harness::new(1, Config::default(), echo);
            let client = holding_back(&h, way);
            client.send(&session());
            client.eof();
            let mut len = 0;
            if let Some(cut) = cut {
                len += let_go(&mut h, &client, cut);
                assert_eq!(len, cut);
            }
            len += let_go(&mut h, &client, usize::MAX);
            assert_eq!(client.take(), answers());
            assert!(has_ended(&client) && client.is_closed());
            h.assert_all_closed();
            (h.events(), len)
        };
        let (events, len) = run(None);
        assert_eq!(events.len(), 10);
        for cut in 0..len {
            assert_eq!(
                run(Some(cut)),
                (events.clone(), len),
                "{way:?}, cut at {cut}"
            );
        }
    }
}

#[test]
fn ciphertext_that_comes_a_byte_at_a_time_gives_the_same_events_and_output() {
    for way in WAYS {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = holding_back(&h, way);
        client.send(&session());
        client.eof();
        while let_go(&mut h, &client, 1) > 0 {}
        assert_eq!(client.take(), answers());
        assert_eq!(h.events().len(), 10);
        h.assert_all_closed();
    }
}

#[test]
fn connecting_is_told_before_the_handshake_and_connected_after_the_request() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[0]);
    h.settle();
    assert_eq!(h.events(), [CONNECTING]);
    assert_eq!(h.service.state(0), ClientState::Connecting);
    let_go(&mut h, &client, usize::MAX);
    assert!(is_open(&client));
    assert_eq!(h.service.state(0), ClientState::Connecting);
    assert_eq!(h.events(), [""; 0]);
    client.send(REQUEST.as_bytes());
    let_go(&mut h, &client, usize::MAX);
    assert_eq!(h.events(), ["0 connected /chat"]);
    assert_eq!(client.take(), ACCEPTED.as_bytes());
}

#[test]
fn a_handshake_that_stops_at_any_byte_ends_at_the_deadline() {
    let len = handshake_len();
    for way in WAYS {
        for cut in 0..=len {
            let mut h = Harness::new(1, Config::default(), ignore);
            let client = holding_back(&h, way);
            assert_eq!(let_go(&mut h, &client, cut), cut);
            h.pass(9_900);
            assert_eq!(h.events(), [CONNECTING], "cut at {cut}");
            h.pass(300);
            assert_eq!(h.events(), [TIMEOUT, CLOSING, CLOSED], "cut at {cut}");
            assert!(client.is_closed());
            let stats = h.service.stats();
            assert_eq!((stats.timeouts, stats.tls_failures), (1, 0));
            h.assert_all_closed();
            assert_eq!(h.queued(), []);
            // The slot is free for the next one.
            Harness::use_tls(true);
            h.connected();
        }
    }
}

#[test]
fn a_handshake_that_drips_ends_at_the_deadline() {
    for one_by_one in [false, true] {
        let mut h = Harness::new(1, Config::default(), ignore);
        let way = Way {
            one_by_one,
            record: 1,
        };
        let client = holding_back(&h, way);
        for _ in 0..60 {
            assert_eq!(client.let_go(1), 1, "it has more to say");
            h.pass(200);
        }
        assert_eq!(h.events(), [CONNECTING, TIMEOUT, CLOSING, CLOSED]);
        assert!(client.is_closed());
        h.assert_all_closed();
    }
}

#[test]
fn a_client_that_takes_nothing_of_the_handshake_ends_at_the_deadline() {
    for way in WAYS {
        for window in 0.. {
            let mut h = Harness::new(1, Config::default(), ignore);
            let client = holding_back(&h, way);
            client.set_window(window);
            let_go(&mut h, &client, usize::MAX);
            let is_blocked = client.0.lock().with_tls(|tls, _| tls.has_unsent());
            let expected = if is_blocked {
                Interest::WRITE
            } else {
                Interest::READ
            };
            assert_eq!(h.service.port().watched(0), expected);
            h.pass(9_900);
            assert_eq!(h.events(), [CONNECTING], "after {window} bytes");
            h.pass(300);
            assert_eq!(
                h.events(),
                [TIMEOUT, CLOSING, CLOSED],
                "after {window} bytes"
            );
            h.assert_all_closed();
            if client.0.lock().window > 0 {
                assert!(window > 80, "the server says something");
                break;
            }
        }
    }
}

#[test]
fn no_step_is_done_before_the_ciphertext_of_the_last_one_has_gone() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[1]);
    let steps = Rc::new(Cell::new(0));
    let counted = Rc::clone(&steps);
    Harness::during_steps(Some(Rc::new(move || counted.set(counted.get() + 1))));
    client.set_window(0);
    h.settle();
    assert_eq!(steps.take(), 1, "it has to say something first");
    client.let_go(usize::MAX);
    h.settle();
    assert_eq!(
        steps.take(),
        2,
        "what the client says, and the first answer"
    );
    for _ in 0..10 {
        client.set_window(1);
        h.settle();
    }
    assert_eq!(steps.take(), 0);
    Harness::during_steps(None);
}

#[test]
fn a_forged_handshake_fails_with_one_line_in_the_log() {
    keep_lines();
    let len = handshake_len();
    let mut waited = 0;
    for way in WAYS {
        for at in 0..len {
            let mut h = Harness::new(1, Config::default(), ignore);
            let client = holding_back(&h, way);
            assert_eq!(let_go(&mut h, &client, at), at);
            client.tls(|tls, _| *tls.kept.as_mut().unwrap().front_mut().unwrap() ^= 8);
            // As much again, in case that was a length.
            client.tls(|tls, wire| tls.blunder(wire));
            let_go(&mut h, &client, usize::MAX);
            lines();
            h.pass(0);
            let events = h.events();
            if events == [CONNECTING] {
                // More bytes are announced than come.
                waited += 1;
                continue;
            }
            assert_eq!(events, [CONNECTING, TLS_FAILED, CLOSING], "byte {at}");
            assert!(is_alerted(&client) && !client.is_closed());
            assert_eq!(h.service.stats().tls_failures, 1);
            client.eof();
            client.0.lock().eof = true;
            h.settle();
            assert_eq!(h.events(), [CLOSED]);
            h.assert_all_closed();
        }
    }
    assert!(waited <= 6, "only lengths");
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[0]);
    client.tls(|tls, wire| tls.blunder(wire));
    let_go(&mut h, &client, usize::MAX);
    assert_eq!(lines(), ["client 0: TLS with ? failed: a bad record"]);
}

#[test]
fn a_failure_whose_alert_is_not_taken_ends_at_the_close_timeout() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[0]);
    client.set_window(0);
    client.0.lock().to_server.extend(b"\x00nonsense");
    h.settle();
    assert_eq!(h.events(), [CONNECTING, TLS_FAILED, CLOSING]);
    assert_eq!(h.service.port().watched(0), Interest::WRITE);
    h.pass(Config::default().close_timeout_ms.into());
    h.pass(200);
    assert_eq!(h.events(), [CLOSED]);
    h.assert_all_closed();
}

/// Cuts a session after this many bytes, and checks the result.
fn cut_off(way: Way, cut: usize, act: impl Fn(&Client)) {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = holding_back(&h, way);
    client.send(&session());
    assert_eq!(let_go(&mut h, &client, cut), cut);
    let was_open = h.service.state(0) == ClientState::Connected;
    let had_tls = client.0.lock().with_tls(|tls, _| tls.is_open());
    act(&client);
    h.settle();
    let events = h.events();
    let count = |what: &str| events.iter().filter(|event| *event == what).count();
    let once = (count(CONNECTING), count(CLOSING), count(CLOSED));
    assert_eq!(once, (1, 1, 1), "cut at {cut}: {events:?}");
    assert_eq!(
        count(TLS_FAILED),
        usize::from(!had_tls),
        "cut at {cut}: {events:?}"
    );
    if !had_tls {
        assert_eq!(events, [CONNECTING, TLS_FAILED, CLOSING, CLOSED]);
    }
    let stats = h.service.stats();
    assert_eq!(stats.tls_failures, u32::from(!had_tls));
    let is_truncated = was_open && !client.0.lock().reset;
    assert_eq!(stats.aborted, u32::from(is_truncated), "cut at {cut}");
    h.assert_all_closed();
}

#[test]
fn a_reset_at_any_byte_is_told_once() {
    for way in WAYS {
        for cut in 0..=session_len(way) {
            cut_off(way, cut, Client::reset);
        }
    }
}

#[test]
fn an_end_without_close_notify_at_any_byte_is_told_once_and_counted() {
    for way in WAYS {
        for cut in 0..=session_len(way) {
            cut_off(way, cut, |client| client.0.lock().eof = true);
        }
    }
}

#[test]
fn an_end_with_close_notify_is_not_aborted() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = connected(&mut h);
    client.eof();
    h.settle();
    assert_eq!(h.events(), [CLOSING, CLOSED]);
    assert_eq!(h.service.stats().aborted, 0);
}

/// Replays a session whose client first takes this many bytes at a time, and then everything.
fn take_slowly(way: Way, blocks: usize, windows: impl IntoIterator<Item = usize>) {
    let mut h = Harness::with_blocks(1, blocks, Config::default(), echo);
    let client = holding_back(&h, way);
    client.send(REQUEST.as_bytes());
    if blocks == 0 {
        // The response cannot be kept.
        let_go(&mut h, &client, usize::MAX);
    }
    client.send(&session()[REQUEST.len()..]);
    for window in windows {
        client.set_window(window);
        let_go(&mut h, &client, usize::MAX);
        if has_ended(&client) {
            break;
        }
    }
    client.set_window(usize::MAX);
    let_go(&mut h, &client, usize::MAX);
    assert_eq!(client.take(), answers());
    assert!(has_ended(&client), "close_notify follows the close frame");
    assert!(client.0.lock().shut);
    client.eof();
    let_go(&mut h, &client, usize::MAX);
    let events = h.events();
    assert_eq!(events.len(), 10, "{events:?}");
    let stats = h.service.stats();
    assert_eq!((stats.blocks_used, stats.aborted), (0, 0));
    h.assert_all_closed();
}

#[test]
fn a_client_that_takes_a_few_bytes_at_a_time_gets_all_of_them() {
    for way in WAYS {
        for blocks in [0, 1, 2] {
            for window in (1..70).chain([100, 129, 301]) {
                take_slowly(way, blocks, [window].repeat(2_000));
            }
        }
    }
}

#[test]
fn a_window_that_closes_at_any_byte_loses_and_doubles_nothing() {
    for way in WAYS {
        for blocks in [0, 2] {
            for window in 0..900 {
                take_slowly(way, blocks, [window]);
            }
        }
    }
}

#[test]
fn ciphertext_with_nothing_else_unsent_goes_when_there_is_room() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = connected(&mut h);
    let id = h.service.client(0).unwrap();
    for window in 0..6 {
        client.set_window(window);
        assert_eq!(h.service.send_text(id, "text"), Ok(()), "it is encrypted");
        h.settle();
        assert_eq!(h.service.port().watched(0), Interest::WRITE);
        assert_eq!(h.service.stats().blocks_used, 0);
        assert_eq!(h.queued(), [Work::Client(0); 0]);
        // Its input waits meanwhile.
        client.send(&frame(0x81, b"later"));
        h.settle();
        assert_eq!(h.events(), [""; 0]);
        client.set_window(usize::MAX);
        h.settle();
        assert_eq!(h.service.port().watched(0), Interest::READ);
        let expected = [server_frame(0x81, b"text"), server_frame(0x81, b"later")];
        assert_eq!(client.take(), expected.concat());
        assert_eq!(h.events(), ["0 text later"]);
    }
}

#[test]
fn a_client_that_does_not_take_ciphertext_is_cut_off() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = connected(&mut h);
    client.set_window(3);
    let id = h.service.client(0).unwrap();
    assert_eq!(h.service.send_text(id, "text"), Ok(()));
    h.pass(9_900);
    assert_eq!(h.events(), [""; 0]);
    h.pass(300);
    assert_eq!(h.events(), [CLOSING, CLOSED]);
    assert_eq!(h.service.stats().aborted, 1);
    h.assert_all_closed();
}

#[test]
fn who_was_refused_hears_when_the_ciphertext_has_gone() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = connected(&mut h);
    client.set_window(0);
    let id = h.service.client(0).unwrap();
    let at_once = |h: &Harness, text: &[u8]| {
        let frame = (true, Opcode::Text);
        h.service.send_frame_within(id, frame, text, false, 0)
    };
    assert_eq!(at_once(&h, b"first"), Ok(()));
    assert_eq!(at_once(&h, b"second"), Err(SendError::WouldBlock));
    h.settle();
    client.set_window(5);
    h.settle();
    assert_eq!(h.events(), [""; 0], "it has not all gone");
    client.set_window(usize::MAX);
    h.settle();
    assert_eq!(h.events(), ["0 writable"]);
    assert_eq!(client.take(), server_frame(0x81, b"first"));
}

#[test]
fn plaintext_that_is_buffered_is_delivered_at_once() {
    for streaming in [false, true] {
        let config = Config {
            streaming,
            ..Config::default()
        };
        let mut h = Harness::with_sizes(2, 4, (1, 20), config, echo);
        let (client, neighbour) = (connected(&mut h), connected(&mut h));
        // A record is received in far more pieces than a client is run in a row.
        client.0.lock().segment = 3;
        client.send(&frame(0x81, b"text").repeat(20));
        h.settle();
        assert!(client.0.lock().to_server.is_empty());
        assert_eq!(client.take(), server_frame(0x81, b"text").repeat(20));
        assert_eq!(h.events().len(), 20);
        neighbour.send(&frame(0x81, b"me"));
        h.settle();
        assert_eq!(h.events(), ["1 text me"]);
    }
}

#[test]
fn plaintext_that_is_buffered_while_something_is_held_is_delivered_after_the_release() {
    let hold =
        |_: &crate::harness::Svc, _: usize, _: Option<wss::ClientId>, event: &wss::Event<'_>| {
            match event {
                wss::Event::Text(_) => wss::service::Delivery::Held,
                _ => wss::service::Delivery::Done,
            }
        };
    let mut h = Harness::new(1, Config::default(), hold);
    let client = connected(&mut h);
    client.0.lock().segment = 10;
    client.send(&frame(0x81, b"text").repeat(10));
    h.settle();
    let id = h.service.client(0).unwrap();
    for _ in 0..10 {
        assert_eq!(h.events(), ["0 text text"]);
        h.service.release(id);
        h.settle();
    }
    assert_eq!(h.events(), [""; 0]);
}

#[test]
fn the_answer_of_tls_itself_goes_without_anything_else() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = connected(&mut h);
    for window in [usize::MAX, 0, 1, 7] {
        client.set_window(window);
        client.tls(|tls, wire| tls.update_key(wire));
        h.settle();
        client.send(&frame(0x81, b"a"));
        if window != usize::MAX {
            assert_eq!(h.service.port().watched(0), Interest::WRITE);
            client.set_window(usize::MAX);
        }
        h.settle();
        let answered = client.tls(|tls, _| std::mem::take(&mut tls.key_updates));
        assert_eq!(answered, 1, "a window of {window}");
        assert_eq!(client.take(), server_frame(0x81, b"a"));
        assert_eq!(h.service.port().watched(0), Interest::READ);
    }
}

#[test]
fn a_bad_record_while_open_ends_with_an_alert_and_no_close_frame() {
    keep_lines();
    for window in [usize::MAX, 0, 4] {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = connected(&mut h);
        lines();
        client.set_window(window);
        client.tls(|tls, wire| tls.blunder(wire));
        client.send(&frame(0x81, b"nothing follows"));
        h.settle();
        assert_eq!(h.events(), [TLS_FAILED, CLOSING]);
        assert_eq!(lines(), ["client 0: TLS with ? failed: a bad record"]);
        client.set_window(usize::MAX);
        h.settle();
        assert!(is_alerted(&client) && client.0.lock().shut);
        assert_eq!(client.take(), b"");
        client.eof();
        h.settle();
        assert_eq!(h.events(), [CLOSED]);
        let stats = h.service.stats();
        assert_eq!((stats.tls_failures, stats.aborted), (1, 0));
        h.assert_all_closed();
    }
}

#[test]
fn a_bad_record_while_the_connection_ends_is_no_event() {
    for their_close in [false, true] {
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = connected(&mut h);
        if their_close {
            client.send(&frame(0x88, b""));
        } else {
            let id = h.service.client(0).unwrap();
            assert_eq!(h.service.close(id, CloseCode::NORMAL, ""), Ok(()));
        }
        h.settle();
        assert_eq!(h.events().last().unwrap(), CLOSING);
        client.tls(|tls, wire| tls.blunder(wire));
        h.settle();
        client.eof();
        h.settle();
        assert_eq!(h.events(), [CLOSED]);
        assert_eq!(h.service.stats().tls_failures, 0);
        h.assert_all_closed();
    }
}

#[test]
fn a_client_that_begins_with_http_reads_why_it_is_refused() {
    keep_lines();
    let refusal = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
        Content-Length: 44\r\n\r\nThis port needs TLS: use https:// or wss://\n";
    for window in (0..=refusal.len()).chain([usize::MAX]) {
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = Client::holding_back();
        h.come(&client);
        client.set_window(window);
        client.0.lock().to_server.extend(REQUEST.as_bytes());
        lines();
        h.settle();
        assert_eq!(h.events(), [CONNECTING, TLS_FAILED, CLOSING]);
        assert_eq!(lines(), ["client 0: TLS with ? failed: HTTP instead"]);
        client.set_window(usize::MAX);
        h.settle();
        assert_eq!(client.take(), refusal);
        assert!(client.0.lock().shut && !client.is_closed());
        client.eof();
        h.settle();
        assert_eq!(h.events(), [CLOSED]);
        let stats = h.service.stats();
        assert_eq!(
            (stats.tls_failures, stats.aborted, stats.blocks_used),
            (1, 0, 0)
        );
        h.assert_all_closed();
    }
}

#[test]
fn a_client_too_many_is_closed_without_an_answer() {
    let config = Config {
        clients_per_address: 1,
        ..Config::default()
    };
    let mut h = Harness::new(2, config, ignore);
    Harness::use_tls(true);
    h.connected();
    let same = h.connect();
    h.settle();
    assert!(same.is_closed() && same.take().is_empty());
    let other = h.connect_from(1);
    h.settle();
    assert!(is_open(&other));
    let late = h.connect_from(2);
    late.send(REQUEST.as_bytes());
    h.settle();
    assert!(late.is_closed() && late.take().is_empty() && !is_open(&late));
    let stats = h.service.stats();
    assert_eq!((stats.refused_address, stats.refused_full), (1, 1));
    // Without TLS it gets its answer.
    let plain = Client::plain();
    plain.0.lock().peer = 3;
    plain.send(REQUEST.as_bytes());
    h.come(&plain);
    h.settle();
    assert!(plain.take().starts_with(b"HTTP/1.1 503"));
}

#[test]
fn a_refused_request_is_answered_over_tls() {
    let mut h = Harness::new(1, Config::default(), ignore);
    Harness::use_tls(true);
    let refuse = wss::Verdict::refuse(Status::NOT_FOUND);
    h.service.application().verdict.set(refuse);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    assert!(client.take().starts_with(b"HTTP/1.1 404 Not Found\r\n"));
    assert!(has_ended(&client) && client.0.lock().shut);
    client.eof();
    h.settle();
    assert_eq!(h.events(), [CONNECTING, CLOSING, CLOSED]);
    assert_eq!(h.service.stats().tls_failures, 0);
}

#[test]
fn stopping_ends_a_handshake_at_any_byte() {
    for way in WAYS {
        for cut in 0..=handshake_len() {
            let mut h = Harness::new(1, Config::default(), ignore);
            let client = holding_back(&h, way);
            assert_eq!(let_go(&mut h, &client, cut), cut);
            h.service.stop();
            h.settle();
            assert!(h.has_stopped() && client.is_closed());
            assert_eq!(h.events(), [CONNECTING, CLOSING, CLOSED]);
            h.assert_all_closed();
        }
    }
}

/// Runs a function in the middle of the step with this number of a handshake. Returns the service after the handshake.
fn in_step(
    number: usize,
    slots: usize,
    begin: impl Fn(&mut Harness),
    act: impl Fn(&Harness) + 'static,
) -> Rc<Harness> {
    let mut h = Harness::new(slots, Config::default(), echo);
    begin(&mut h);
    let h = Rc::new(h);
    let (inside, step) = (Rc::downgrade(&h), Cell::new(0));
    Harness::during_steps(Some(Rc::new(move || {
        if step.replace(step.get() + 1) == number {
            act(&inside.upgrade().unwrap());
        }
    })));
    let client = holding_back(&h, WAYS[1]);
    client.send(&session());
    client.eof();
    loop {
        h.rest();
        if client.let_go(usize::MAX) == 0 {
            break;
        }
    }
    Harness::during_steps(None);
    h
}

#[test]
fn stopping_in_the_middle_of_a_step_ends_the_handshake() {
    for step in 0..8 {
        let h = in_step(
            step,
            1,
            |_| {},
            |h| {
                h.as_thread(1, |service| service.stop());
                h.rest();
                assert!(!h.has_stopped(), "the step is not done");
            },
        );
        assert!(h.has_stopped());
        assert_eq!(h.events(), [CONNECTING, CLOSING, CLOSED]);
        assert_eq!(h.service.stats().tls_failures, 0);
        h.assert_all_closed();
    }
}

#[test]
fn what_a_step_comes_to_is_nothing_to_a_connection_that_is_gone() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = Client::holding_back();
    h.come(&client);
    h.settle();
    let h = Rc::new(h);
    let inside = Rc::downgrade(&h);
    Harness::during_steps(Some(Rc::new(move || {
        inside.upgrade().unwrap().service.stop();
        inside.upgrade().unwrap().rest();
    })));
    client.0.lock().to_server.extend(REQUEST.as_bytes());
    h.rest();
    Harness::during_steps(None);
    assert_eq!(client.take(), b"");
    assert_eq!(h.events(), [CONNECTING, CLOSING, CLOSED]);
    assert_eq!(h.service.stats().tls_failures, 0);
}

#[test]
fn the_end_of_the_stop_timeout_in_the_middle_of_a_step_waits_for_it() {
    let h = in_step(
        1,
        1,
        |_| {},
        |h| {
            h.as_thread(1, |service| service.stop_now());
            h.rest();
            for _ in 0..3 {
                Harness::set_now(Harness::now() + 100);
                h.rest();
            }
        },
    );
    assert!(h.has_stopped());
    assert_eq!(h.events(), [CONNECTING, CLOSING, CLOSED]);
    h.assert_all_closed();
}

#[test]
fn others_go_on_in_the_middle_of_a_step() {
    for step in 0..8 {
        let neighbour = Rc::new(std::cell::OnceCell::new());
        let inside = Rc::clone(&neighbour);
        let h = in_step(
            step,
            2,
            |h| {
                let client = connected(h);
                assert!(neighbour.set(client).is_ok());
            },
            move |h| {
                let client: &Client = inside.get().unwrap();
                let stats = h.as_thread(1, wss::service::Service::stats);
                assert_eq!((stats.accepted, stats.connected), (2, 1));
                let reached = h.as_thread(1, |service| {
                    service.broadcast(None, MessageKind::Text, b"to all")
                });
                assert_eq!(reached, Ok(1));
                client.send(&frame(0x81, b"quick"));
                h.rest();
                let expected = [server_frame(0x81, b"to all"), server_frame(0x81, b"quick")];
                assert_eq!(client.take(), expected.concat());
                // Its deadlines, too; that of the handshake comes after the step.
                for _ in 0..151 {
                    Harness::set_now(Harness::now() + 100);
                    h.rest();
                }
                assert_eq!(client.take(), server_frame(0x89, b"wss\x01"));
                assert_eq!(h.service.stats().timeouts, 0);
            },
        );
        assert_eq!(h.events()[..2], ["1 connecting", "0 text quick"]);
        h.as_thread(1, |service| service.stop_now());
        h.rest();
    }
}

#[test]
fn a_deadline_that_comes_in_the_middle_of_a_step_is_that_of_the_handshake_after_it() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = holding_back(&h, WAYS[1]);
    h.settle();
    let h = Rc::new(h);
    let inside = Rc::downgrade(&h);
    Harness::during_steps(Some(Rc::new(move || {
        let h = inside.upgrade().unwrap();
        for _ in 0..110 {
            Harness::set_now(Harness::now() + 100);
            h.rest();
        }
        assert_eq!(h.events(), [""; 0], "the step is not done");
    })));
    h.events();
    client.let_go(usize::MAX);
    h.rest();
    Harness::during_steps(None);
    for _ in 0..2 {
        Harness::set_now(Harness::now() + 100);
        h.rest();
    }
    assert_eq!(h.events(), [TIMEOUT, CLOSING, CLOSED]);
    h.assert_all_closed();
}

#[test]
fn a_reset_in_the_middle_of_a_step_fails_the_handshake() {
    for step in 0..8 {
        let h = in_step(
            step,
            1,
            |_| {},
            |h| {
                let port = h.service.port().state.lock();
                let socket = port.socket(0).unwrap();
                drop(port);
                socket.0.lock().reset = true;
            },
        );
        assert_eq!(
            h.events(),
            [CONNECTING, TLS_FAILED, CLOSING, CLOSED],
            "step {step}"
        );
        h.assert_all_closed();
    }
}

#[test]
fn a_handshake_goes_on_when_the_network_has_buffers_again() {
    for way in WAYS {
        for cut in 0..=handshake_len() {
            let mut h = Harness::new(1, Config::default(), echo);
            let client = holding_back(&h, way);
            client.send(&session());
            assert_eq!(let_go(&mut h, &client, cut), cut);
            Harness::set_buffers(false);
            let_go(&mut h, &client, usize::MAX);
            h.pass(1_000);
            Harness::set_buffers(true);
            h.pass(300);
            let_go(&mut h, &client, usize::MAX);
            assert_eq!(client.take(), answers(), "{way:?}, {cut}");
            assert!(has_ended(&client));
            client.eof();
            let_go(&mut h, &client, usize::MAX);
            let stats = h.service.stats();
            assert_eq!(
                (stats.tls_failures, stats.aborted, stats.timeouts),
                (0, 0, 0)
            );
            h.assert_all_closed();
        }
    }
}

#[test]
fn no_buffers_pause_all_output_until_there_are_some() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = connected(&mut h);
    for window in [0, 5, usize::MAX] {
        client.set_window(window);
        client.send(&frame(0x81, b"one"));
        h.settle();
        Harness::set_buffers(false);
        client.set_window(usize::MAX);
        client.send(&frame(0x81, b"two"));
        h.settle();
        // The client is not the reason.
        h.pass(11_000);
        Harness::set_buffers(true);
        h.pass(300);
        let expected = [server_frame(0x81, b"one"), server_frame(0x81, b"two")];
        assert_eq!(client.take(), expected.concat());
        assert_eq!(h.events(), ["0 text one", "0 text two"]);
    }
}

#[test]
fn a_thread_waits_for_ciphertext_to_go_no_longer_than_it_may() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = connected(&mut h);
    let id = h.service.client(0).unwrap();
    client.set_window(0);
    let within = |h: &Harness, text: &[u8], ms| {
        h.as_thread(1, |service| {
            service.send_frame_within(id, (true, Opcode::Text), text, false, ms)
        })
    };
    assert_eq!(within(&h, b"first", 500), Ok(()));
    let start = Harness::now();
    assert_eq!(within(&h, b"second", 500), Err(SendError::WouldBlock));
    assert_eq!(Harness::now() - start, 500);
    // There is room before its time is over.
    let h = Rc::new(h);
    let (others, wire) = (Rc::clone(&h), std::sync::Arc::clone(&client.0));
    Harness::while_waiting(Some(Rc::new(move |_| {
        Harness::set_now(Harness::now() + 100);
        wire.lock().window = 30;
        others.rest();
    })));
    assert_eq!(within(&h, b"third", 500), Ok(()));
    Harness::while_waiting(None);
    assert_eq!(Harness::now() - start, 600);
    h.rest();
    let expected = [server_frame(0x81, b"first"), server_frame(0x81, b"third")];
    assert_eq!(client.take(), expected.concat());
}

#[test]
fn a_long_frame_of_a_thread_goes_as_ciphertext_does() {
    for step in [1, 10, 47, 48, 49, 51, 52, 300] {
        let mut h = Harness::with_blocks(1, 1, Config::default(), ignore);
        let client = connected(&mut h);
        let id = h.service.client(0).unwrap();
        client.set_window(step);
        let h = Rc::new(h);
        let (others, wire) = (Rc::clone(&h), std::sync::Arc::clone(&client.0));
        Harness::while_waiting(Some(Rc::new(move |_| {
            wire.lock().window += step;
            others.rest();
        })));
        let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 10 * RX]));
        Harness::while_waiting(None);
        assert_eq!(sent, Ok(()));
        client.set_window(usize::MAX);
        h.rest();
        assert_eq!(
            client.take(),
            server_frame(0x82, &[5; 10 * RX]),
            "{step} at a time"
        );
        assert_eq!(h.service.port().watched(0), Interest::READ);
    }
}

#[test]
fn a_long_frame_that_is_not_taken_in_time_is_cut_off() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = connected(&mut h);
    client.set_window(0);
    let id = h.service.client(0).unwrap();
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 10 * RX]));
    // It is not known whether ciphertext that was kept goes out.
    assert_eq!(sent, Err(SendError::Aborted));
    h.settle();
    assert_eq!(h.events(), [CLOSING, CLOSED]);
    assert_eq!(h.service.stats().aborted, 1);
    h.assert_all_closed();
}

#[test]
fn a_close_comes_behind_ciphertext_and_close_notify_behind_it() {
    for window in 0..60 {
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = connected(&mut h);
        let id = h.service.client(0).unwrap();
        client.set_window(window);
        assert_eq!(h.service.send_text(id, "last"), Ok(()));
        assert_eq!(h.service.close(id, CloseCode::NORMAL, "bye"), Ok(()));
        client.send(&frame(0x88, b"\x03\xe8"));
        h.settle();
        client.set_window(usize::MAX);
        h.settle();
        let expected = [
            server_frame(0x81, b"last"),
            server_frame(0x88, b"\x03\xe8bye"),
        ];
        assert_eq!(client.take(), expected.concat(), "{window}");
        assert!(has_ended(&client) && client.0.lock().shut);
        client.eof();
        h.settle();
        assert_eq!(h.events().last().unwrap(), CLOSED);
        h.assert_all_closed();
    }
}

#[test]
fn where_sockets_cannot_be_shut_close_notify_goes_before_they_are_closed() {
    for window in [usize::MAX, 0, 7, 20] {
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = connected(&mut h);
        client.0.lock().no_shutdown = true;
        client.set_window(window);
        client.send(&frame(0x88, b""));
        h.settle();
        client.set_window(usize::MAX);
        h.settle();
        assert_eq!(client.take(), server_frame(0x88, b""));
        assert!(has_ended(&client) && client.is_closed());
        h.assert_all_closed();
    }
}

#[test]
fn the_network_has_no_buffers_for_close_notify() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = connected(&mut h);
    client.set_window(server_frame(0x88, b"").len() + 3);
    client.send(&frame(0x88, b""));
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b""));
    Harness::set_buffers(false);
    client.set_window(usize::MAX);
    h.pass(500);
    assert!(!has_ended(&client));
    Harness::set_buffers(true);
    h.pass(300);
    assert!(has_ended(&client) && client.0.lock().shut);
}

#[test]
fn a_plain_connection_is_adopted_beside_those_with_tls() {
    let mut h = Harness::new(2, Config::default(), echo);
    let secured = connected(&mut h);
    let plain = Client::plain();
    let (received, rest) = REQUEST.as_bytes().split_at(30);
    let adopted = h.service.adopt(&plain.socket(), received, Opening::Request);
    assert_eq!(adopted.unwrap().slot(), 1);
    plain.send(rest);
    plain.send(&frame(0x81, b"plain"));
    secured.send(&frame(0x81, b"secured"));
    h.settle();
    let answer = [ACCEPTED.as_bytes(), &server_frame(0x81, b"plain")].concat();
    assert_eq!(plain.take(), answer);
    assert_eq!(secured.take(), server_frame(0x81, b"secured"));
    let late = Client::plain();
    let refused = h.service.adopt(&late.socket(), b"", Opening::Upgraded);
    assert_eq!(refused, Err(AdoptError::Full));
}

#[test]
fn a_connection_that_has_still_to_be_secured_can_be_adopted() {
    let mut h = Harness::new(1, Config::default(), echo);
    Harness::use_tls(true);
    let client = Client::elsewhere();
    assert!(
        h.service
            .adopt(&client.socket(), b"", Opening::Request)
            .is_ok()
    );
    client.send(&session());
    client.eof();
    h.settle();
    assert_eq!(client.take(), answers());
    h.assert_all_closed();
}

#[test]
fn a_handshake_waits_until_connecting_is_taken() {
    let full = Rc::new(Cell::new(true));
    let is_full = Rc::clone(&full);
    let mut h = Harness::new(1, Config::default(), move |_, _, _, event| match event {
        wss::Event::Connecting if is_full.get() => wss::service::Delivery::Full,
        _ => wss::service::Delivery::Done,
    });
    Harness::use_tls(true);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.pass(5_000);
    assert!(!is_open(&client));
    full.set(false);
    h.service.room();
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
}

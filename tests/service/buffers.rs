// SPDX-License-Identifier: Apache-2.0
//! The network runs out of buffers. No client causes that, and nothing reports when buffers are free again.

use std::rc::Rc;

use wss::protocol::CloseCode;
use wss::service::{Config, Delivery, Interest, Lock as _, Target};
use wss::{Event, SendError};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, RX, echo, frame, ignore, server_frame};

/// Returns how often the server has tried to send to one of the clients.
fn sends(clients: &[Client]) -> usize {
    clients.iter().map(Client::sends).sum()
}

fn harness(blocks: usize, config: Config) -> Harness {
    Harness::set_buffers(true);
    Harness::with_blocks(3, blocks, config, echo)
}

#[test]
pub fn one_send_without_buffers_pauses_all_output() {
    for blocks in [0, 1] {
        Harness::set_buffers(true);
        let mut h = Harness::with_blocks(3, blocks, Config::default(), ignore);
        let clients = [h.connected(), h.connected(), h.connected()];
        h.events();
        sends(&clients);
        Harness::set_buffers(false);
        let refused = h.service.send_text(Target::All, "to all");
        assert_eq!(refused, Err(SendError::WouldBlock));
        let refused = h.service.ping(Target::All, b"");
        assert_eq!(refused, Err(SendError::WouldBlock));
        assert_eq!(sends(&clients), 1, "only the first one is tried");
        // Receiving continues.
        clients[1].send(&frame(0x81, b"meanwhile"));
        h.settle();
        clients[1].send(&frame(0x81, b"again"));
        h.settle();
        assert_eq!(h.events(), ["1 text meanwhile", "1 text again"]);
        assert_eq!(sends(&clients), 0);
        Harness::set_buffers(true);
        h.pass(200);
        let mut events = h.events();
        events.sort();
        assert_eq!(events, ["0 writable", "1 writable", "2 writable"]);
        assert_eq!(h.service.send_text(Target::All, "to all"), Ok(()));
        for client in &clients {
            assert_eq!(client.take(), server_frame(0x81, b"to all"));
        }
    }
}

#[test]
pub fn output_is_tried_again_once_a_pause_and_by_another_client_each_time() {
    let mut h = harness(3, Config::default());
    let clients = [h.connected(), h.connected(), h.connected()];
    Harness::set_buffers(false);
    for client in &clients {
        client.send(&frame(0x81, b"?"));
    }
    h.settle();
    sends(&clients);
    let mut tried = [0; 3];
    for _ in 0..30 {
        h.pass(100);
        for (tried, client) in tried.iter_mut().zip(&clients) {
            *tried += client.sends();
        }
    }
    let all: usize = tried.iter().sum();
    assert!((10..=31).contains(&all), "{tried:?}");
    assert!(tried.iter().all(|tried| *tried > 0), "{tried:?}");
    Harness::set_buffers(true);
    h.pass(200);
    for client in &clients {
        assert_eq!(client.take(), server_frame(0x81, b"?"));
    }
}

/// A reply waits in a block, in which there is room for more, or else where its message is.
#[test]
pub fn a_callback_may_reply_as_ever_and_replies_keep_their_order() {
    for (blocks, len) in [(0, 3), (0, RX), (1, 3), (1, 100), (1, RX), (3, RX)] {
        let mut h = harness(blocks, Config::default());
        let client = h.connected();
        let other = h.connected();
        Harness::set_buffers(false);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for number in 0..5 {
            sent.extend(frame(0x82, &vec![number; len]));
            expected.extend(server_frame(0x82, &vec![number; len]));
        }
        client.send(&sent);
        other.send(&sent);
        h.pass(1_000);
        assert_eq!((client.take(), other.take()), (vec![], vec![]));
        Harness::set_buffers(true);
        h.pass(1_000);
        assert_eq!(client.take(), expected, "{blocks} blocks, {len} bytes");
        assert_eq!(other.take(), expected, "{blocks} blocks, {len} bytes");
    }
}

/// During a pause, a broadcast also skips the client that sent the message, which can continue.
#[test]
pub fn a_broadcast_of_what_was_received_leaves_its_sender_out_too() {
    Harness::set_buffers(true);
    let mut h = Harness::with_blocks(3, 0, Config::default(), |service, _, _, event| {
        if let Event::Text(message) = event {
            let _ = service.send_text(Target::All, message.text());
        }
        Delivery::Done
    });
    let clients = [h.connected(), h.connected(), h.connected()];
    h.events();
    Harness::set_buffers(false);
    for _ in 0..5 {
        clients[2].send(&frame(0x81, b"to all"));
        h.settle();
    }
    assert_eq!(h.events(), ["2 text to all"; 5]);
    Harness::set_buffers(true);
    h.pass(200);
    clients[2].send(&frame(0x81, b"to all"));
    h.settle();
    for client in &clients {
        assert_eq!(client.take(), server_frame(0x81, b"to all"));
    }
}

#[test]
pub fn with_room_in_a_block_receiving_goes_on_behind_a_reply() {
    let mut h = harness(1, Config::default());
    let client = h.connected();
    h.events();
    Harness::set_buffers(false);
    for _ in 0..5 {
        client.send(&frame(0x81, b"?"));
        h.settle();
    }
    assert_eq!(h.events().len(), 5);
    assert_eq!(h.service.port().watched(0), Interest::READ);
    Harness::set_buffers(true);
    h.pass(200);
    assert_eq!(client.take(), server_frame(0x81, b"?").repeat(5));
}

#[test]
pub fn a_frame_that_has_begun_is_completed() {
    for blocks in [0, 2] {
        let mut h = harness(blocks, Config::default());
        let client = h.connected();
        client.set_window(10);
        client.send(&frame(0x82, &[1; RX]));
        h.settle();
        Harness::set_buffers(false);
        client.set_window(usize::MAX);
        h.pass(1_000);
        assert_eq!(
            h.service.send_text(Target::All, "no"),
            Err(SendError::WouldBlock)
        );
        Harness::set_buffers(true);
        h.pass(200);
        assert_eq!(client.take(), server_frame(0x82, &[1; RX]));
    }
}

#[test]
pub fn only_clients_that_do_not_take_output_are_cut_off() {
    let mut h = harness(1, Config::default());
    let (slow, other) = (h.connected(), h.connected());
    slow.set_window(0);
    slow.send(&frame(0x82, &[1; RX]));
    h.settle();
    Harness::set_buffers(false);
    other.send(&frame(0x82, &[2; RX]));
    // Sent to while nothing can be: that does not put it off.
    for _ in 0..12 {
        let _ = h.service.send_text(Target::All, "no");
        h.pass(1_000);
    }
    assert!(slow.is_closed());
    h.pass(60_000);
    assert!(!other.is_closed());
    Harness::set_buffers(true);
    h.pass(200);
    assert!(other.take().starts_with(&server_frame(0x82, &[2; RX])));
}

#[test]
pub fn an_application_thread_waits_for_buffers() {
    Harness::set_buffers(true);
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    Harness::set_buffers(false);
    let h = Rc::new(h);
    let others = Rc::clone(&h);
    let began = Harness::now();
    Harness::while_waiting(Some(Rc::new(move |_| {
        Harness::set_now(Harness::now() + 10);
        Harness::set_buffers(Harness::now() > began + 1_000);
        others.rest();
    })));
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 3_000]));
    assert_eq!(sent, Ok(()));
    assert_eq!(client.take(), server_frame(0x82, &[5; 3_000]));
    // No longer than it may.
    Harness::set_buffers(false);
    Harness::while_waiting(Some(Rc::new(|_| {
        Harness::set_now(Harness::now() + 10);
    })));
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 3_000]));
    Harness::while_waiting(None);
    assert_eq!(sent, Err(SendError::WouldBlock));
    assert!(client.take().is_empty());
    Harness::set_buffers(true);
}

#[test]
pub fn a_thread_that_is_in_the_middle_of_its_frame_completes_it() {
    Harness::set_buffers(true);
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    client.set_window(1_000);
    let wire = std::sync::Arc::clone(&client.0);
    let h = Rc::new(h);
    let others = Rc::clone(&h);
    let began = Harness::now();
    Harness::while_waiting(Some(Rc::new(move |_| {
        Harness::set_now(Harness::now() + 10);
        wire.lock().window = 1_000;
        Harness::set_buffers(Harness::now() > began + 1_000);
        others.rest();
    })));
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 3_000]));
    Harness::while_waiting(None);
    assert_eq!(sent, Ok(()));
    assert_eq!(client.take(), server_frame(0x82, &[5; 3_000]));
    Harness::set_buffers(true);
}

#[test]
pub fn the_end_of_a_client_waits_for_its_replies() {
    for blocks in [0, 1] {
        let mut h = harness(blocks, Config::default());
        let client = h.connected();
        Harness::set_buffers(false);
        client.send(&frame(0x81, b"the last"));
        client.eof();
        // It becomes idle, although the end could be received repeatedly.
        h.pass(1_000);
        Harness::set_buffers(true);
        h.pass(200);
        assert_eq!(client.take(), server_frame(0x81, b"the last"));
        assert!(client.is_closed());
        h.assert_all_closed();
    }
}

#[test]
pub fn a_close_frame_is_sent_once_there_are_buffers() {
    for reason in ["", "because"] {
        let mut h = harness(1, Config::default());
        let (first, second) = (h.connected(), h.connected());
        let id = h.service.client(0).unwrap();
        Harness::set_buffers(false);
        assert_eq!(h.service.close(id, CloseCode::NORMAL, reason), Ok(()));
        second.send(&frame(0x88, &[3, 233]));
        h.pass(1_000);
        Harness::set_buffers(true);
        h.pass(200);
        let body = [&[3, 232], reason.as_bytes()].concat();
        assert_eq!(first.take(), server_frame(0x88, &body));
        assert_eq!(second.take(), server_frame(0x88, &[3, 233]));
    }
}

#[test]
pub fn a_client_that_connects_is_answered_once_there_are_buffers() {
    for blocks in [0, 1] {
        let mut h = harness(blocks, Config::default());
        Harness::set_buffers(false);
        let client = h.connect();
        client.send(REQUEST.as_bytes());
        client.send(&frame(0x81, b"early"));
        h.pass(1_000);
        // Nor is the application asked before.
        assert_eq!(h.events(), ["0 connecting"]);
        Harness::set_buffers(true);
        h.pass(200);
        let expected = [ACCEPTED.as_bytes(), &server_frame(0x81, b"early")].concat();
        assert_eq!(client.take(), expected);
    }
}

#[test]
pub fn clients_are_not_timed_out_for_pings_that_could_not_be_sent() {
    let config = Config {
        client_timeout_ms: 4_000,
        ping_interval_ms: 2_000,
        ..Config::default()
    };
    let mut h = harness(1, config);
    let clients = [h.connected(), h.connected()];
    Harness::set_buffers(false);
    h.pass(60_000);
    assert!(clients.iter().all(|client| !client.is_closed()));
    Harness::set_buffers(true);
    // Like any silent client.
    h.pass(8_500);
    assert!(clients.iter().all(Client::is_closed));
}

#[test]
pub fn a_refusal_inside_a_callback_is_followed_by_writable() {
    Harness::set_buffers(true);
    let mut h = Harness::with_blocks(2, 0, Config::default(), |service, _, client, event| {
        if let (Some(client), Event::Text(_) | Event::Writable) = (client, event) {
            let _ = service.send_text(client, "not what was said");
        }
        Delivery::Done
    });
    let client = h.connected();
    Harness::set_buffers(false);
    client.send(&frame(0x81, b"?"));
    h.pass(1_000);
    Harness::set_buffers(true);
    h.pass(200);
    assert_eq!(
        client.take(),
        b"",
        "a callback needs a block to send anything else"
    );
    let _ = h.service.send_text(Target::All, "to all");
    assert_eq!(client.take(), server_frame(0x81, b"to all"));
}

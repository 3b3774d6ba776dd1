// SPDX-License-Identifier: Apache-2.0
//! Data that the application attaches to clients, and the clients that a broadcast reaches.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use wss::protocol::{FrameError, Opcode};
use wss::service::{Config, Lock as _, MAX_VECTORED};
use wss::{MessageKind, SendError};

use crate::harness::{Harness, RX, ignore, server_frame};

#[test]
pub fn a_broadcast_reaches_the_clients_of_its_groups() {
    let mut h = Harness::new(3, Config::default(), ignore);
    let clients = [h.connected(), h.connected(), h.connected()];
    let id = |slot| h.service.client(slot).unwrap();
    assert_eq!(h.service.groups(id(0)), Some(0));
    assert!(h.service.set_groups(id(0), 0b01));
    assert!(h.service.set_groups(id(1), 0b11));
    let send = |groups, text: &str| {
        let sent = h.as_thread(1, |service| {
            service.broadcast(groups, MessageKind::Text, text.as_bytes())
        });
        let got: Vec<_> = clients
            .iter()
            .map(|client| !client.take().is_empty())
            .collect();
        (sent, got)
    };
    assert_eq!(send(None, "all"), (Ok(3), vec![true, true, true]));
    assert_eq!(send(Some(0b01), "one"), (Ok(2), vec![true, true, false]));
    assert_eq!(send(Some(0b10), "two"), (Ok(1), vec![false, true, false]));
    assert_eq!(send(Some(0b100), "none"), (Ok(0), vec![false; 3]));
    assert_eq!(send(Some(0), "none"), (Ok(0), vec![false; 3]));
}

#[test]
pub fn a_broadcast_leaves_out_who_has_no_room_and_refuses_what_is_no_text() {
    let mut h = Harness::with_blocks(2, 0, Config::default(), ignore);
    let (slow, fast) = (h.connected(), h.connected());
    slow.set_window(0);
    let send = |payload: &[u8]| {
        h.as_thread(1, |service| {
            service.broadcast(None, MessageKind::Text, payload)
        })
    };
    assert_eq!(send(b"kept"), Ok(2));
    assert_eq!(send(b"not kept"), Ok(1));
    let expected = [server_frame(0x81, b"kept"), server_frame(0x81, b"not kept")];
    assert_eq!(fast.take(), expected.concat());
    assert_eq!(send(b"\xff"), Err(SendError::Frame(FrameError::NotUtf8)));
    assert_eq!(fast.take(), b"");
}

#[test]
pub fn a_broadcast_that_cannot_be_kept_reaches_no_client() {
    let mut h = Harness::with_blocks(2, 2, Config::default(), ignore);
    let clients = [h.connected(), h.connected()];
    let send = |len| {
        h.as_thread(1, |service| {
            service.broadcast(None, MessageKind::Binary, &vec![1; len])
        })
    };
    assert_eq!(send(RX), Ok(2));
    assert_eq!(send(RX + 20), Err(SendError::TooLong));
    for client in &clients {
        assert_eq!(client.take(), server_frame(0x82, &[1; RX]));
    }
}

#[test]
pub fn what_is_attached_to_a_client_ends_with_it() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let old = h.service.client(0).unwrap();
    assert_eq!(h.service.user_data(old), Some(0));
    assert!(h.service.set_user_data(old, 7) && h.service.set_groups(old, 7));
    assert_eq!(h.service.user_data(old), Some(7));
    let name = h.service.with_peer_name(old, |name| name.to_string());
    assert_eq!(name.as_deref(), Some("?"));
    client.reset();
    h.settle();
    assert_eq!(h.service.user_data(old), None);
    assert_eq!(h.service.with_peer_name(old, |_| ()), None);
    let _next = h.connected();
    let new = h.service.client(0).unwrap();
    assert_ne!(new, old);
    assert_eq!(h.service.user_data(new), Some(0));
    assert_eq!(h.service.groups(new), Some(0));
    assert!(!h.service.set_user_data(old, 8) && !h.service.set_groups(old, 8));
    assert_eq!(h.service.user_data(new), Some(0));
}

#[test]
pub fn all_clients_are_gone_through_in_the_order_of_their_slots() {
    let mut h = Harness::new(3, Config::default(), ignore);
    assert_eq!(h.service.next_client(None), None);
    let clients = [h.connected(), h.connected(), h.connected()];
    clients[1].reset();
    h.settle();
    let first = h.service.next_client(None).unwrap();
    let second = h.service.next_client(Some(first)).unwrap();
    assert_eq!((first.slot(), second.slot()), (0, 2));
    assert_eq!(h.service.next_client(Some(second)), None);
}

#[test]
pub fn a_send_waits_for_as_long_as_it_may() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    client.set_window(0);
    let id = h.service.client(0).unwrap();
    let waited = Rc::new(Cell::new(0));
    let send = |payload: &[u8], timeout_ms| {
        let before = Harness::now();
        let sent = h.as_thread(1, |service| {
            service.send_frame_within(id, (true, Opcode::Binary), payload, false, timeout_ms)
        });
        waited.set(Harness::now() - before);
        sent
    };
    // Kept in the receive buffer.
    assert_eq!(send(b"first", 0), Ok(()));
    assert_eq!(waited.get(), 0);
    assert_eq!(send(b"second", 0), Err(SendError::WouldBlock));
    assert_eq!(waited.get(), 0);
    assert_eq!(send(b"second", 250), Err(SendError::WouldBlock));
    assert_eq!(waited.get(), 250);
    client.set_window(1000);
    h.settle();
    assert_eq!(client.take(), server_frame(0x82, b"first"));
}

/// A frame is never truncated because its caller's time is over: the client takes it within the send timeout.
#[test]
pub fn a_frame_that_has_begun_is_finished_after_its_timeout() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    client.set_window(10);
    let id = h.service.client(0).unwrap();
    let payload = [7; 4 * RX];
    let h = Rc::new(h);
    let (others, wire) = (Rc::clone(&h), Arc::clone(&client.0));
    Harness::while_waiting(Some(Rc::new(move |_| {
        // Much slower than the timeout.
        Harness::set_now(Harness::now() + 100);
        wire.lock().window = 100;
        others.rest();
    })));
    let sent = h.as_thread(1, |service| {
        service.send_frame_within(id, (true, Opcode::Binary), &payload, false, 50)
    });
    Harness::while_waiting(None);
    assert_eq!(sent, Ok(()));
    assert_eq!(client.take(), server_frame(0x82, &payload));
}

#[test]
pub fn a_message_in_parts_is_one_frame() {
    let mut h = Harness::with_blocks(1, 1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    let send = |kind, parts: &[&[u8]]| {
        h.as_thread(1, |service| {
            service.send_vectored_within(id, kind, parts, 0)
        })
    };
    assert_eq!(send(MessageKind::Binary, &[b"a", b"", b"bc"]), Ok(()));
    assert_eq!(client.take(), server_frame(0x82, b"abc"));
    assert_eq!(send(MessageKind::Text, &[]), Ok(()));
    assert_eq!(client.take(), server_frame(0x81, b""));
    // A character may be split between parts, but not be unfinished at the end.
    assert_eq!(send(MessageKind::Text, &[b"\xe2\x82", b"\xac"]), Ok(()));
    assert_eq!(client.take(), server_frame(0x81, "€".as_bytes()));
    for wrong in [&[b"\xe2" as &[u8], b"\x82"] as &[&[u8]], &[b"\xe2", b"x"]] {
        let sent = send(MessageKind::Text, wrong);
        assert_eq!(sent, Err(SendError::Frame(FrameError::NotUtf8)));
    }
    let too_many = [b"x" as &[u8]; MAX_VECTORED + 1];
    assert_eq!(send(MessageKind::Text, &too_many[1..]), Ok(()));
    assert_eq!(send(MessageKind::Text, &too_many), Err(SendError::TooLong));
    assert_eq!(client.take(), server_frame(0x81, &[b'x'; MAX_VECTORED]));
}

/// The rest is kept, or sent by the caller, whichever part it begins in.
#[test]
pub fn a_message_in_parts_leaves_in_any_number_of_writes() {
    let parts: [&[u8]; 4] = [&[1; 200], &[2; 200], &[], &[3; 500]];
    let expected = server_frame(0x82, &parts.concat());
    for window in [0, 1, 3, 4, 200, 204, 205, 404, expected.len() - 1] {
        let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
        let client = h.connected();
        client.set_window(window);
        let id = h.service.client(0).unwrap();
        let h = Rc::new(h);
        let (others, wire) = (Rc::clone(&h), Arc::clone(&client.0));
        Harness::while_waiting(Some(Rc::new(move |_| {
            wire.lock().window = 97;
            others.rest();
        })));
        let sent = h.as_thread(1, |service| {
            service.send_vectored_within(id, MessageKind::Binary, &parts, 1000)
        });
        Harness::while_waiting(None);
        assert_eq!(sent, Ok(()), "{window}");
        client.set_window(1000);
        h.rest();
        assert_eq!(client.take(), expected, "{window}");
    }
}

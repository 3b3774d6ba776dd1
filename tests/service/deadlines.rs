// SPDX-License-Identifier: Apache-2.0
//! Deadlines, on the test's clock.

use std::cell::OnceCell;
use std::rc::{Rc, Weak};

use wss::service::{Config, Delivery};
use wss::{Event, EventMask, SendError};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, RX, echo, frame, ignore, server_frame};

/// The payload of a keep-alive ping, without the counter that follows.
fn keep_alive(count: u8) -> Vec<u8> {
    server_frame(0x89, &[b'w', b's', b's', count])
}

#[test]
pub fn the_whole_handshake_has_one_deadline_however_it_drips() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connect();
    let start = Harness::now();
    for byte in REQUEST.as_bytes().chunks(1).take(120) {
        client.send(byte);
        h.pass(100);
    }
    assert!(client.is_closed());
    let expected = ["0 connecting", "0 timeout", "0 closing", "0 closed"];
    assert_eq!(h.events(), expected);
    assert!(Harness::now() - start >= 10_000);
    assert_eq!(h.service.stats().timeouts, 1);
    h.assert_all_closed();
}

#[test]
pub fn a_client_that_only_listens_is_pinged_and_stays() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    h.events();
    for count in 1..=5 {
        h.pass(14_900);
        assert_eq!(client.take(), b"");
        h.pass(200);
        assert_eq!(client.take(), keep_alive(count));
        client.send(&frame(0x8A, &[b'w', b's', b's', count]));
        h.settle();
    }
    assert_eq!(h.events(), [""; 0], "the pongs to these are no events");
    // A pong that answers nothing of ours is.
    client.send(&frame(0x8A, b"wss\x05"));
    h.settle();
    assert_eq!(h.events(), ["0 pong wss\u{5}"]);
}

#[test]
pub fn a_ping_interval_that_is_not_less_than_the_time_out_is_half_of_it() {
    for ping_interval_ms in [15_000, 2_000] {
        let config = Config {
            ping_interval_ms,
            client_timeout_ms: 2_000,
            ..Config::default()
        };
        let mut h = Harness::new(1, config, ignore);
        let client = h.connected();
        h.pass(900);
        assert_eq!(client.take(), b"");
        h.pass(200);
        assert_eq!(client.take(), keep_alive(1));
    }
}

#[test]
pub fn a_late_pong_to_a_keep_alive_ping_raises_no_event_either() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    h.events();
    h.pass(15_000);
    assert_eq!(client.take(), keep_alive(1));
    // It sends something, so it stays, but it answers nothing.
    client.send(&frame(0x82, b""));
    h.settle();
    h.pass(15_000);
    assert_eq!(client.take(), keep_alive(2));
    h.events();
    client.send(&frame(0x8A, b"wss\x01"));
    client.send(&frame(0x8A, b"wss\x02"));
    h.settle();
    assert_eq!(h.events(), [""; 0]);
    // Once each.
    client.send(&frame(0x8A, b"wss\x01"));
    client.send(&frame(0x8A, b"wss\x02"));
    client.send(&frame(0x8A, b"wss\x03"));
    h.settle();
    assert_eq!(h.events().len(), 3);
}

#[test]
pub fn the_last_keep_alive_ping_is_known_however_many_were_not_answered() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    for _ in 0..256 {
        // It sends something, so it stays, but it answers nothing.
        client.send(&frame(0x82, b""));
        h.settle();
        // In steps, because a jump would be a suspension.
        h.pass(15_100);
    }
    assert_eq!(client.take().len(), 256 * keep_alive(0).len());
    h.events();
    client.send(&frame(0x8A, b"wss\x00"));
    h.settle();
    assert_eq!(h.events(), [""; 0]);
}

#[test]
pub fn keep_alive_needs_no_block() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    client.set_window(2);
    h.pass(15_200);
    client.set_window(100);
    h.settle();
    assert_eq!(client.take(), keep_alive(1));
}

#[test]
pub fn a_peer_that_never_stops_sending_does_not_keep_a_closing_connection() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    client.send(&frame(0xFF, b""));
    let start = Harness::now();
    while !client.is_closed() {
        assert!(Harness::now() < start + 6_000);
        client.send(&[0; 2000]);
        h.pass(100);
    }
    h.assert_all_closed();
}

#[test]
pub fn a_silent_client_is_closed_with_1000() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    h.pass(29_900);
    assert_eq!(client.take(), keep_alive(1));
    h.pass(200);
    let close = server_frame(0x88, &[3, 232]);
    assert!(client.take().ends_with(&close));
    // A dead peer answers nothing, so it gets no closing handshake (interface.md, event 11).
    assert_eq!(h.events()[2..], ["0 timeout", "0 closing", "0 closed"]);
    assert!(client.is_closed());
    h.assert_all_closed();
}

#[test]
pub fn pings_can_be_switched_off() {
    let config = Config {
        ping_interval_ms: 0,
        client_timeout_ms: 1_000,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, ignore);
    let client = h.connected();
    h.pass(900);
    assert_eq!(client.take(), b"");
    client.send(&frame(0x8A, b""));
    h.pass(900);
    assert_eq!(client.take(), b"");
    h.pass(300);
    assert_eq!(client.take(), server_frame(0x88, &[3, 232]));
}

#[test]
pub fn there_is_no_timer_without_clients() {
    let mut h = Harness::new(2, Config::default(), ignore);
    h.settle();
    assert_eq!(h.timer(), None);
    let client = h.connected();
    let timer = h.timer().unwrap();
    assert_eq!(timer % 100, 0, "rounded up to 100 ms");
    client.eof();
    h.settle();
    h.pass(20_000);
    assert_eq!(h.timer(), None);
}

#[test]
pub fn a_client_that_takes_no_output_is_cut_off() {
    let mut h = Harness::new(2, Config::default(), echo);
    let (slow, neighbour) = (h.connected(), h.connected());
    h.events();
    slow.set_window(3);
    slow.send(&frame(0x82, &[1; 200]));
    h.settle();
    assert_eq!(slow.take().len(), 3);
    // Its next messages wait; a neighbour's do not.
    slow.send(&frame(0x82, &[2; 10]));
    neighbour.send(&frame(0x81, b"quick"));
    h.pass(9_900);
    assert_eq!(neighbour.take(), server_frame(0x81, b"quick"));
    assert!(!slow.is_closed());
    h.pass(300);
    assert!(slow.is_closed());
    let events = h.events();
    assert_eq!(events[events.len() - 2..], ["0 closing", "0 closed"]);
    assert_eq!(h.service.stats().aborted, 1);
}

#[test]
pub fn a_client_is_not_silent_while_it_is_not_received_from() {
    let config = Config {
        client_timeout_ms: 4_000,
        ping_interval_ms: 2_000,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, echo);
    let client = h.connected();
    for _ in 0..5 {
        client.set_window(0);
        client.send(&frame(0x82, &[1; 100]));
        h.pass(9_000);
        client.set_window(usize::MAX);
        h.pass(1_000);
        assert_eq!(client.take(), server_frame(0x82, &[1; 100]));
    }
    assert!(!client.is_closed());
}

#[test]
pub fn a_sender_waits_for_room_no_longer_than_the_send_timeout() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    client.set_window(0);
    let start = Harness::now();
    let id = h.service.client(0).unwrap();
    // More than can be kept anywhere.
    let long = vec![b'x'; 2 * RX];
    let send = |h: &Harness| h.as_thread(1, |service| service.send_binary(id, &long));
    assert_eq!(send(&h), Err(SendError::WouldBlock), "nothing of it goes");
    assert_eq!(Harness::now() - start, 10_000);
    client.set_window(4);
    h.settle();
    assert_eq!(send(&h), Err(SendError::Aborted), "some of it goes");
    h.settle();
    assert!(client.is_closed());
    h.assert_all_closed();
}

#[test]
pub fn a_message_held_too_long_ends_with_1011() {
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Text(_) => Delivery::Held,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"held"));
    h.pass(29_900);
    assert_eq!(client.take(), b"", "its silence does not count meanwhile");
    h.pass(200);
    assert_eq!(client.take(), server_frame(0x88, &[3, 243]));
    h.pass(5_200);
    assert!(client.is_closed());
    assert_eq!(h.events()[3..], ["0 closing", "0 closed"]);
    // The slot is freed although nothing was ever released.
    h.pass(30_200);
    h.assert_all_closed();
    h.connected();
}

#[test]
pub fn callbacks_that_take_long_together_do_not_hold_a_message_too_long() {
    let this = Rc::new(OnceCell::<Weak<Harness>>::new());
    let others = Rc::clone(&this);
    let mut h = Harness::new(1, Config::default(), move |_, _, _, event| {
        if let Event::Text(_) = event {
            Harness::set_now(Harness::now() + 4_000);
            // The serving thread continues meanwhile.
            others.get().and_then(Weak::upgrade).unwrap().serve();
        }
        Delivery::Done
    });
    let client = h.connected();
    let h = Rc::new(h);
    this.set(Rc::downgrade(&h)).unwrap();
    client.send(&frame(0x81, b"a").repeat(10));
    h.rest();
    assert_eq!(h.events()[2..], ["0 text a"; 10]);
    assert_eq!(client.take(), b"");
}

#[test]
pub fn a_client_is_not_silent_whose_bytes_wait_to_be_received() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let (client, silent) = (h.connected(), h.connected());
    h.events();
    // The machine slept, or the work queue was busy, until its time was over.
    Harness::set_now(Harness::now() + 31_000);
    client.send(&frame(0x81, b"a"));
    h.settle();
    let events = h.events();
    assert!(events.contains(&"0 text a".to_owned()), "{events:?}");
    assert_eq!(client.take(), b"");
    // The other one was never asked, and stays (Z11).
    assert_eq!(silent.take(), b"");
    // From then on, the silence of both counts.
    h.pass(15_100);
    assert_eq!(client.take(), keep_alive(1));
    assert_eq!(silent.take(), keep_alive(1));
    h.pass(15_000);
    assert_eq!(client.take(), server_frame(0x88, &[3, 232]));
    assert_eq!(silent.take(), server_frame(0x88, &[3, 232]));
}

#[test]
pub fn a_client_that_does_not_take_the_answer_to_its_close_is_cut_off_and_counted() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    client.set_window(0);
    client.send(&frame(0x88, &[3, 232]));
    h.pass(5_200);
    h.assert_all_closed();
    assert_eq!(h.service.stats().aborted, 1);
}

#[test]
pub fn a_request_is_not_late_that_waits_to_be_received() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let (client, silent) = (h.connect(), h.connect());
    h.settle();
    h.events();
    // The machine slept, or the work queue was busy, until its time was over.
    Harness::set_now(Harness::now() + 11_000);
    client.send(REQUEST.as_bytes());
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
    assert!(silent.is_closed());
}

#[test]
pub fn a_client_is_not_silent_whose_bytes_come_while_a_callback_takes_long() {
    for slow in [EventMask::CONNECTING, EventMask::CONNECTED] {
        let this = Rc::new(OnceCell::<(Weak<Harness>, Client)>::new());
        let others = Rc::clone(&this);
        let mut h = Harness::new(2, Config::default(), move |_, _, _, event| {
            if let Some((h, client)) = others.get().filter(|_| event.mask() == slow) {
                if slow == EventMask::CONNECTING {
                    client.send(REQUEST.as_bytes());
                }
                client.send(&frame(0x81, b"a"));
                // The serving thread continues meanwhile.
                let h = h.upgrade().unwrap();
                h.serve();
                Harness::set_now(Harness::now() + 31_000);
                h.serve();
            }
            Delivery::Done
        });
        // To check the deadlines.
        let _other = h.connected();
        h.events();
        let client = h.connect();
        if slow == EventMask::CONNECTED {
            client.send(REQUEST.as_bytes());
        }
        let h = Rc::new(h);
        assert!(this.set((Rc::downgrade(&h), client)).is_ok());
        h.rest();
        let events: Vec<_> = h
            .events()
            .into_iter()
            .filter(|e| e.starts_with('1'))
            .collect();
        assert_eq!(events, ["1 connecting", "1 connected /chat", "1 text a"]);
        assert_eq!(this.get().unwrap().1.take(), ACCEPTED.as_bytes());
    }
}

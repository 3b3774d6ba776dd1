// SPDX-License-Identifier: Apache-2.0
//! Stopping the service.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use wss::service::{Config, Delivery, Lock as _, MAX_SINKS, Target};
use wss::{Event, EventMask, SendError};

use crate::harness::{Harness, REQUEST, echo, frame, ignore, server_frame};

#[test]
pub fn stopping_closes_every_client_with_1001() {
    let mut h = Harness::new(3, Config::default(), echo);
    let (first, second, third) = (h.connected(), h.connected(), h.connect());
    h.settle();
    h.events();
    h.service.stop();
    h.settle();
    let close = server_frame(0x88, &[3, 233]);
    for client in [&first, &second] {
        assert_eq!(client.take(), close);
        client.send(&frame(0x88, &[3, 233]));
        client.eof();
    }
    assert!(third.is_closed(), "a handshake is aborted");
    assert!(!h.service.port().state.lock().listening);
    h.settle();
    h.assert_all_closed();
    assert!(h.service.wait_stopped());
    assert!(
        h.service.send_text(Target::All, "x").is_ok(),
        "to no client"
    );
}

#[test]
pub fn clients_that_do_not_answer_are_cut_off() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let (dead, stuck) = (h.connected(), h.connected());
    stuck.set_window(0);
    h.service.stop();
    h.pass(4_900);
    assert!(!dead.is_closed());
    h.pass(400);
    assert!(dead.is_closed() && stuck.is_closed());
    h.assert_all_closed();
    assert!(h.service.wait_stopped());
}

#[test]
pub fn the_ids_of_a_service_that_begins_with_the_next_generation_are_new() {
    for first in [0, 7, u32::MAX] {
        Harness::set_first_generation(first);
        let mut h = Harness::new(2, Config::default(), ignore);
        let mut ids = Vec::new();
        let mut clients = vec![h.connected(), h.connected()];
        ids.extend([0, 1].map(|slot| h.service.client(slot).unwrap()));
        assert_eq!(ids[0].generation(), first);
        for _ in 0..3 {
            clients.pop().unwrap().eof();
            h.settle();
            clients.push(h.connected());
            ids.push(h.service.client(1).unwrap());
        }
        h.service.stop();
        // Reported at once, even while clients remain.
        let next = h.service.next_generation();
        h.pass(6_000);
        h.assert_all_closed();
        Harness::set_first_generation(next);
        let mut h = Harness::new(2, Config::default(), ignore);
        for _ in 0..2 {
            let client = h.connected();
            assert!(!ids.contains(&h.service.client(0).unwrap()), "{ids:?}");
            client.eof();
            h.settle();
        }
    }
    Harness::set_first_generation(0);
}

/// The service stops, and at the end aborts the remaining clients.
#[track_caller]
fn stops_in_time(h: &mut Harness) {
    h.service.stop();
    h.pass(5_400);
    h.assert_all_closed();
    assert!(h.service.wait_stopped());
}

#[test]
pub fn an_application_that_takes_no_events_does_not_keep_it_from_stopping() {
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Text(_) => Delivery::Held,
        Event::Closing | Event::Closed => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"held for ever"));
    h.settle();
    stops_in_time(&mut h);
    assert!(client.is_closed());
}

#[test]
pub fn a_sink_that_takes_events_is_told_the_end_although_another_takes_none() {
    let mut h = Harness::new(1, Config::default(), |_, sink, _, _| match sink {
        1 => Delivery::Full,
        _ => Delivery::Done,
    });
    let mut masks = [EventMask::empty(); MAX_SINKS];
    masks[0] = EventMask::CLOSING | EventMask::CLOSED;
    masks[1] = EventMask::TEXT | EventMask::CLOSED;
    h.service.application().masks.set(masks);
    let client = h.connected();
    client.send(&frame(0x81, b"for the other one"));
    h.settle();
    stops_in_time(&mut h);
    assert_eq!(h.events(), ["0 closing", "0 closed"]);
}

#[test]
pub fn stopping_from_inside_a_callback() {
    let mut h = Harness::new(2, Config::default(), |service, _, _, event| {
        if let Event::Text(_) = event {
            service.stop();
        }
        Delivery::Done
    });
    let clients = [h.connected(), h.connected()];
    clients[0].send(&frame(0x81, b"stop"));
    h.settle();
    for client in &clients {
        assert_eq!(client.take(), server_frame(0x88, &[3, 233]));
        client.eof();
    }
    h.settle();
    assert!(h.service.wait_stopped());
    h.assert_all_closed();
}

#[test]
pub fn nobody_connects_while_it_stops() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let first = h.connected();
    h.service.stop();
    h.settle();
    let late = h.connect();
    h.settle();
    assert_eq!(late.take(), b"");
    first.eof();
    h.settle();
    assert!(h.service.wait_stopped());
}

#[test]
pub fn a_sink_that_has_no_room_for_the_last_event_does_not_keep_it_from_stopping() {
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Closed => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connected();
    stops_in_time(&mut h);
    assert!(client.is_closed());
}

#[test]
pub fn clients_that_are_cut_off_at_the_end_are_counted() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let _silent = h.connected();
    h.service.stop();
    // The serving thread was busy, so that their time to answer ends later.
    Harness::set_now(Harness::now() + 20);
    h.pass(5_400);
    h.assert_all_closed();
    assert_eq!(h.service.stats().aborted, 1);
}

#[test]
pub fn a_service_that_has_stopped_is_opened_again() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let first = h.connected();
    let id = h.service.client(0).unwrap();
    first.send(&frame(0x81, b"hello"));
    h.settle();
    assert!(!h.service.open(&Config::default(), 0), "it serves");
    h.service.stop();
    h.settle();
    assert!(!h.service.open(&Config::default(), 0), "it has a client");
    h.pass(6_000);
    h.assert_all_closed();
    assert!(h.service.wait_stopped());
    assert_eq!(h.service.client(0), None);

    // With other limits, and new statistics.
    let config = Config {
        close_timeout_ms: 700,
        ..Config::default()
    };
    h.reopen(&config);
    assert_eq!(h.service.stats(), wss::service::Stats::default());
    let second = h.connected();
    assert_ne!(h.service.client(0), Some(id));
    assert_eq!(h.service.send_text(id, "old"), Err(SendError::NotConnected));
    assert_eq!(h.service.stats().accepted, 1);
    h.service.stop();
    h.pass(600);
    assert!(!h.service.wait_stopped() && !second.is_closed());
    h.pass(400);
    assert!(h.service.wait_stopped() && second.is_closed());
}

#[test]
pub fn a_service_is_not_opened_again_while_a_callback_of_before_runs() {
    let harness: Rc<OnceCell<Rc<Harness>>> = Rc::default();
    let opened = Rc::new(Cell::new(None));
    let h = Rc::new(Harness::new(1, Config::default(), {
        let (harness, opened) = (Rc::clone(&harness), Rc::clone(&opened));
        move |service, _, _, event| {
            if let (Event::Text(_), Some(h)) = (event, harness.get()) {
                // The serving thread continues while this callback does not return.
                service.stop_now();
                for _ in 0..10 {
                    Harness::set_now(Harness::now() + 100);
                    h.rest();
                }
                assert!(h.has_stopped());
                opened.set(Some(service.open(&Config::default(), 0)));
            }
            Delivery::Done
        }
    }));
    assert!(harness.set(Rc::clone(&h)).is_ok());
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.rest();
    client.send(&frame(0x81, b"stop"));
    h.rest();
    assert_eq!(opened.get(), Some(false));
    h.assert_all_closed();
    assert!(h.service.open(&Config::default(), 0));
}

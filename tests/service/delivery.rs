// SPDX-License-Identifier: Apache-2.0
//! Queues: holding messages, releasing them, and running out of room.

use std::cell::Cell;
use std::rc::Rc;

use wss::service::{Config, Delivery, Interest, Lock as _, MAX_SINKS};
use wss::{ClientId, Event, EventMask};

use crate::harness::{Harness, RX, Svc, frame, server_frame};

/// Holds every message, like a queue.
fn hold(_: &Svc, _: usize, _: Option<ClientId>, event: &Event<'_>) -> Delivery {
    match event {
        Event::Text(_) | Event::Binary(_) | Event::Ping(_) | Event::CloseFrame { .. } => {
            Delivery::Held
        }
        _ => Delivery::Done,
    }
}

#[test]
pub fn messages_already_received_are_delivered_without_a_release_between_them() {
    let mut h = Harness::new(1, Config::default(), hold);
    let client = h.connected();
    let frames: Vec<_> = (0..10).map(|i| frame(0x81, &[b'0' + i])).collect();
    client.send(&frames.concat());
    h.settle();
    assert_eq!(h.events().len(), 2 + 10);
    // Nothing more is received until all are released.
    client.send(&frame(0x81, b"later"));
    let id = h.service.client(0).unwrap();
    for _ in 0..9 {
        h.service.release(id);
        h.settle();
        assert_eq!(h.service.port().watched(0), Interest::empty());
        assert_eq!(h.events(), [""; 0]);
    }
    h.service.release(id);
    h.settle();
    assert_eq!(h.events(), ["0 text later"]);
}

#[test]
pub fn a_fragment_is_closed_up_only_when_the_ping_in_its_way_is_released() {
    let mut h = Harness::new(1, Config::default(), hold);
    let client = h.connected();
    let parts = [frame(0x01, b"ab"), frame(0x89, b"ping"), frame(0x80, b"cd")];
    client.send(&parts.concat());
    h.settle();
    assert_eq!(h.events()[2..], ["0 ping ping"]);
    h.service.release(h.service.client(0).unwrap());
    h.settle();
    assert_eq!(h.events(), ["0 text abcd"]);
}

#[test]
pub fn what_comes_before_the_end_is_delivered_before_the_end() {
    let mut h = Harness::new(1, Config::default(), hold);
    let client = h.connected();
    client.send(&[frame(0x81, b"a"), frame(0x81, b"b"), frame(0x88, b"")].concat());
    client.eof();
    h.settle();
    let id = h.service.client(0).unwrap();
    assert_eq!(
        h.events()[2..],
        ["0 text a", "0 text b", "0 close frame 0", "0 closing"]
    );
    for _ in 0..3 {
        h.service.release(id);
    }
    h.settle();
    assert_eq!(h.events(), ["0 closed"]);
    h.assert_all_closed();
}

#[test]
pub fn a_message_that_is_never_taken_holds_no_slot() {
    let no_texts = |_: &Svc, _: usize, _: Option<ClientId>, event: &Event<'_>| match event {
        Event::Text(_) => Delivery::Full,
        _ => Delivery::Done,
    };
    let config = Config::default();
    let mut h = Harness::new(2, config, no_texts);
    let ways: [fn(&crate::harness::Client); 2] = [|client| client.eof(), |_| {}];
    for end in ways {
        let client = h.connected();
        client.send(&frame(0x81, b"no one wants it"));
        h.settle();
        end(&client);
        h.pass(u64::from(config.hold_timeout_ms + config.close_timeout_ms));
        h.pass(u64::from(config.hold_timeout_ms) + 200);
        let events = h.events();
        assert_eq!(events[events.len() - 2..], ["0 closing", "0 closed"]);
        h.assert_all_closed();
    }
}

/// Has room for this many events.
fn with_room(
    room: Rc<Cell<usize>>,
) -> impl Fn(&Svc, usize, Option<ClientId>, &Event<'_>) -> Delivery {
    move |_, _, _, _| match room.get() {
        0 => Delivery::Full,
        left => {
            room.set(left - 1);
            Delivery::Done
        }
    }
}

#[test]
pub fn a_full_queue_loses_nothing_and_keeps_the_order() {
    let room = Rc::new(Cell::new(0));
    let mut h = Harness::new(2, Config::default(), with_room(Rc::clone(&room)));
    let client = h.connect();
    client.send(crate::harness::REQUEST.as_bytes());
    client.send(&[frame(0x81, b"a"), frame(0x89, b"p"), frame(0xFF, b"")].concat());
    client.eof();
    h.service.announce(EventMask::LINK_UP);
    h.settle();
    let mut events = Vec::new();
    for _ in 0..20 {
        assert_eq!(h.events(), [""; 0]);
        room.set(1);
        h.service.room();
        h.settle();
        let told = h.events();
        assert!(told.len() <= 1);
        events.extend(told);
        room.set(0);
    }
    events.retain(|event| event != "service linkup");
    let expected = [
        "0 connecting",
        "0 connected /chat",
        "0 text a",
        "0 ping p",
        "0 invalidframe",
        "0 closing",
        "0 closed",
    ];
    assert_eq!(events, expected);
    h.assert_all_closed();
}

#[test]
pub fn a_full_queue_stops_reading_but_not_the_neighbours() {
    let full = Rc::new(Cell::new(false));
    let is_full = Rc::clone(&full);
    let mut h = Harness::new(2, Config::default(), move |_, _, client, _| {
        let stuck = is_full.get() && client.is_some_and(|client| client.slot() == 0);
        if stuck {
            Delivery::Full
        } else {
            Delivery::Done
        }
    });
    let (first, second) = (h.connected(), h.connected());
    h.events();
    full.set(true);
    for _ in 0..50 {
        first.send(&frame(0x82, &[0; RX]));
        second.send(&frame(0x81, b"x"));
    }
    h.settle();
    assert_eq!(h.events().len(), 50);
    assert!(first.0.lock().to_server.len() > 48 * RX);
    full.set(false);
    h.service.room();
    h.settle();
    assert_eq!(h.events().len(), 50);
}

#[test]
pub fn several_sinks_get_what_they_want_and_the_last_releases() {
    let mut h = Harness::new(1, Config::default(), hold);
    let mut masks = [EventMask::empty(); MAX_SINKS];
    masks[0] = EventMask::TEXT | EventMask::BINARY;
    masks[2] = EventMask::TEXT | EventMask::CLOSED;
    h.service.application().masks.set(masks);
    let client = h.connected();
    client.send(&[frame(0x81, b"a"), frame(0x82, b"b")].concat());
    h.settle();
    assert_eq!(h.events(), ["0 text a", "@2 0 text a", "0 binary 1"]);
    client.send(&frame(0x81, b"c"));
    let id = h.service.client(0).unwrap();
    for _ in 0..3 {
        assert_eq!(h.events(), [""; 0]);
        h.service.release(id);
        h.settle();
    }
    assert_eq!(h.events(), ["0 text c", "@2 0 text c"]);
    client.eof();
    h.service.release(id);
    h.service.release(id);
    h.settle();
    assert_eq!(h.events(), ["@2 0 closed"]);
}

#[test]
pub fn a_release_inside_the_delivery_counts() {
    let mut h = Harness::new(
        1,
        Config::default(),
        |service, _, client, event| match event {
            Event::Text(_) => {
                service.release(client.unwrap());
                Delivery::Held
            }
            _ => Delivery::Done,
        },
    );
    let client = h.connected();
    client.send(&frame(0x81, b"a"));
    h.settle();
    client.send(&frame(0x81, b"b"));
    h.settle();
    assert_eq!(h.events()[2..], ["0 text a", "0 text b"]);
}

#[test]
pub fn room_that_comes_just_after_a_sink_had_none_is_noticed() {
    let full = Cell::new(true);
    let mut h = Harness::new(
        1,
        Config::default(),
        move |service, _, _, event| match event {
            Event::Text(_) if full.take() => {
                // Another thread takes an event before the service knows that there was no room.
                service.room();
                Delivery::Full
            }
            _ => Delivery::Done,
        },
    );
    let client = h.connected();
    client.send(&frame(0x81, b"a"));
    h.settle();
    assert_eq!(h.events()[2..], ["0 text a"]);
}

#[test]
pub fn a_queue_that_stays_full_ends_with_1011_whatever_others_take() {
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Text(_) => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"no one wants it"));
    for _ in 0..30 {
        h.pass(1_000);
        // Another queue has room.
        h.service.room();
    }
    h.pass(200);
    assert_eq!(client.take(), server_frame(0x88, &[3, 243]));
}

#[test]
pub fn a_message_that_had_to_wait_may_be_held_as_long_as_any() {
    let full = Rc::new(Cell::new(true));
    let is_full = Rc::clone(&full);
    let mut h = Harness::new(1, Config::default(), move |_, _, _, event| match event {
        Event::Text(_) if is_full.get() => Delivery::Full,
        Event::Text(_) => Delivery::Held,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"a"));
    h.pass(20_000);
    full.set(false);
    h.service.room();
    h.pass(20_000);
    assert_eq!(client.take(), b"");
    h.pass(10_200);
    assert_eq!(client.take(), server_frame(0x88, &[3, 243]));
}

#[test]
pub fn a_client_is_not_silent_while_a_queue_is_full() {
    let config = Config {
        hold_timeout_ms: 100_000,
        ..Config::default()
    };
    let full = Rc::new(Cell::new(true));
    let is_full = Rc::clone(&full);
    let mut h = Harness::new(1, config, move |_, _, _, event| match event {
        Event::Text(_) if is_full.get() => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"a"));
    h.pass(40_000);
    full.set(false);
    h.service.room();
    h.pass(14_900);
    assert_eq!(h.events()[2..], ["0 text a"]);
    assert_eq!(client.take(), b"");
}

#[test]
pub fn any_number_of_messages_can_be_held() {
    const COUNT: usize = 66_000;
    let rx = COUNT * frame(0x82, b"").len();
    let mut h = Harness::with_sizes(1, rx, (0, 0), Config::default(), hold);
    let client = h.connected();
    client.send(&frame(0x82, b"").repeat(COUNT));
    h.settle();
    assert_eq!(h.events().len(), 2 + COUNT);
    client.send(&frame(0x81, b"later"));
    let id = h.service.client(0).unwrap();
    for _ in 1..COUNT {
        h.service.release(id);
    }
    h.settle();
    assert_eq!(h.events(), [""; 0]);
    h.service.release(id);
    h.settle();
    assert_eq!(h.events(), ["0 text later"]);
}

// SPDX-License-Identifier: Apache-2.0
//! The clock: 32 bits that wrap, and a service that was suspended.

use wss::service::{Config, Delivery, MAX_LIMIT_MS, SendError};
use wss::{Event, Target};

use crate::harness::{Client, Harness, REQUEST, echo, frame, ignore, server_frame};

/// Where 32-bit clocks go wrong.
const EDGES: [u64; 2] = [1 << 31, 1 << 32];
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn keep_alive(count: u8) -> Vec<u8> {
    server_frame(0x89, &[b'w', b's', b's', count])
}

fn timed_out(client: &Client) -> bool {
    client.take().ends_with(&server_frame(0x88, &[3, 232]))
}

#[test]
pub fn every_deadline_holds_across_the_wrap() {
    for edge in EDGES {
        Harness::set_now(edge - 5_000);
        let mut h = Harness::new(4, Config::default(), echo);
        let (silent, slow) = (h.connected(), h.connected());
        let drips = h.connect();
        drips.send(&REQUEST.as_bytes()[..20]);
        slow.set_window(0);
        slow.send(&frame(0x82, &[1; 200]));
        h.pass(9_900);
        assert!(!drips.is_closed() && !slow.is_closed());
        h.pass(300);
        assert!(drips.is_closed(), "the handshake timeout");
        assert!(slow.is_closed(), "the send timeout");
        h.pass(4_900);
        assert_eq!(silent.take(), keep_alive(1));
        h.pass(14_700);
        assert!(!silent.is_closed());
        h.pass(500);
        assert!(timed_out(&silent));
        h.assert_all_closed();
    }
}

#[test]
pub fn an_answered_ping_keeps_a_client_across_the_wrap() {
    for edge in EDGES {
        Harness::set_now(edge - 50_000);
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = h.connected();
        for count in 1..=8 {
            h.pass(15_100);
            assert_eq!(client.take(), keep_alive(count));
            client.send(&frame(0x8A, &[b'w', b's', b's', count]));
            h.settle();
        }
        assert!(!client.is_closed());
    }
}

#[test]
pub fn a_client_that_was_idle_for_weeks_is_served_as_any_other() {
    for days in [1, 12, 25, 49, 50, 99] {
        Harness::set_now(0);
        let config = Config {
            client_timeout_ms: 0,
            ping_interval_ms: 0,
            control_frames_per_second: 2,
            ..Config::default()
        };
        let mut h = Harness::new(2, config, echo);
        let client = h.connected();
        client.send(&[frame(0x89, b"1"), frame(0x89, b"2")].concat());
        h.settle();
        assert_eq!(h.timer(), None, "nothing is ever due");
        client.take();
        Harness::set_now(days * DAY_MS);
        client.send(&[frame(0x89, b"3"), frame(0x81, b"still here")].concat());
        h.settle();
        let expected = [server_frame(0x8A, b"3"), server_frame(0x81, b"still here")];
        assert_eq!(client.take(), expected.concat(), "after {days} days");
        // Deadlines that exist now start again.
        client.set_window(0);
        client.send(&frame(0x81, b"more"));
        h.pass(9_800);
        assert!(!client.is_closed(), "after {days} days");
        h.pass(300);
        assert!(client.is_closed(), "after {days} days");
    }
}

#[test]
pub fn a_client_that_answers_no_ping_for_weeks_is_pinged_on_where_no_timeout_is_set() {
    Harness::set_now((1 << 31) - 40 * 60 * 1000);
    let config = Config {
        client_timeout_ms: 0,
        ping_interval_ms: 10 * 60 * 1000,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, ignore);
    let client = h.connected();
    for count in 1..=10 {
        h.pass(10 * 60 * 1000 + 100);
        assert_eq!(client.take(), keep_alive(count));
    }
    assert!(!client.is_closed());
}

#[test]
pub fn a_client_timeout_of_0_disables_it() {
    let config = Config {
        client_timeout_ms: 0,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, ignore);
    let client = h.connected();
    h.pass(14_900);
    assert_eq!(client.take(), b"");
    // Pings continue: they keep the network's paths open.
    h.pass(200);
    assert_eq!(client.take(), keep_alive(1));
    h.pass(200_000);
    assert!(!client.is_closed());
    client.send(&frame(0x81, b"a"));
    h.settle();
    assert_eq!(h.events().last().unwrap(), "0 text a");
}

#[test]
pub fn limits_beyond_the_clock_are_refused_by_name() {
    assert_eq!(Config::default().check(), Ok(()));
    let config = Config {
        hold_timeout_ms: MAX_LIMIT_MS + 1,
        send_timeout_ms: MAX_LIMIT_MS,
        ..Config::default()
    };
    let error = config.check().unwrap_err();
    assert_eq!((error.limit, error.ms), ("hold_timeout_ms", (1 << 30) + 1));
    assert!(error.to_string().contains("hold_timeout_ms=1073741825"));
}

/// Suspends the process for `ms` milliseconds: nothing runs, and then everything is late.
fn suspend(h: &mut Harness, ms: u64) {
    Harness::set_now(Harness::now() + ms);
    h.settle();
}

#[test]
pub fn clients_that_answer_every_ping_survive_a_suspension_at_any_moment() {
    for before in [0, 1_000, 14_900, 15_200, 20_000, 29_800] {
        for stop in [5_000, 15_000, 30_000, 31_000, 600_000, DAY_MS] {
            Harness::set_now(0);
            let mut h = Harness::new(2, Config::default(), ignore);
            let clients = [h.connected(), h.connected()];
            // The first one answers within a second, the other one's answer comes after the suspension.
            let mut at = 0;
            while at < before {
                let step = (before - at).min(100);
                h.pass(step);
                at += step;
                answer(&mut h, &clients[0]);
            }
            suspend(&mut h, stop);
            for client in &clients {
                assert!(
                    !client.is_closed(),
                    "{before} ms, then {stop} ms of nothing"
                );
            }
            // With a whole ping interval to answer, they stay.
            for _ in 0..100 {
                h.pass(100);
                answer(&mut h, &clients[0]);
            }
            answer(&mut h, &clients[1]);
            h.pass(100);
            for client in &clients {
                assert!(
                    !client.is_closed(),
                    "{before} ms, then {stop} ms of nothing"
                );
            }
        }
    }
}

fn answer(h: &mut Harness, client: &Client) {
    let sent = client.take();
    for ping in sent.chunks(6).filter(|frame| frame[0] == 0x89) {
        client.send(&frame(0x8A, &ping[2..]));
    }
    h.settle();
}

#[test]
pub fn a_client_that_is_really_gone_is_found_out_after_a_suspension() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    h.pass(16_000);
    suspend(&mut h, 60_000);
    assert!(!client.is_closed());
    h.pass(31_000);
    assert!(timed_out(&client));
    assert_eq!(h.service.stats().timeouts, 1);
}

#[test]
pub fn silence_alone_does_not_count_either_while_the_service_stands_still() {
    let config = Config {
        client_timeout_ms: 2_000,
        ping_interval_ms: 0,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, ignore);
    let client = h.connected();
    h.pass(1_000);
    suspend(&mut h, 10_000);
    assert!(!client.is_closed());
    h.pass(1_900);
    assert!(!client.is_closed());
    h.pass(300);
    assert!(timed_out(&client));
}

#[test]
pub fn the_send_timeout_does_not_run_while_the_service_stands_still() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.set_window(0);
    client.send(&frame(0x81, b"a"));
    h.pass(1_000);
    suspend(&mut h, 60_000);
    assert!(!client.is_closed());
    client.set_window(100);
    h.settle();
    assert_eq!(client.take(), server_frame(0x81, b"a"));
}

#[test]
pub fn a_callback_that_takes_longer_than_the_client_timeout_closes_no_client() {
    let mut h = Harness::new(2, Config::default(), |_, _, _, event| {
        if let Event::Text(_) = event {
            Harness::set_now(Harness::now() + 61_000);
        }
        Delivery::Done
    });
    let (busy, other) = (h.connected(), h.connected());
    h.pass(100);
    busy.send(&frame(0x81, b"compute"));
    // The pong of the other one comes while the callback computes.
    h.settle();
    other.send(&frame(0x8A, b"?"));
    h.settle();
    h.pass(10_000);
    assert!(!busy.is_closed() && !other.is_closed());
    assert_eq!(h.service.stats().timeouts, 0);
    let all = h.service.send_text(Target::All, "both are there");
    assert_eq!(all, Ok::<(), SendError>(()));
}

#[test]
pub fn a_message_that_is_never_released_is_no_suspension() {
    let mut h = Harness::new(2, Config::default(), |_, _, _, event| match event {
        Event::Binary(_) => Delivery::Held,
        _ => Delivery::Done,
    });
    let (holds, other) = (h.connected(), h.connected());
    holds.send(&frame(0x82, b"kept"));
    h.pass(30_200);
    // The other one was pinged as usual.
    assert_eq!(
        other.take(),
        [keep_alive(1), server_frame(0x88, &[3, 232])].concat()
    );
    h.pass(5_200);
    assert!(holds.is_closed());
    h.pass(200);
    assert_eq!(h.service.client(0), None, "its slot is free");
}

#[test]
pub fn a_request_that_waits_for_the_application_is_not_late() {
    let full = std::rc::Rc::new(std::cell::Cell::new(true));
    let is_full = std::rc::Rc::clone(&full);
    let mut h = Harness::new(1, Config::default(), move |_, _, _, _| {
        if is_full.get() {
            Delivery::Full
        } else {
            Delivery::Done
        }
    });
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.pass(20_000);
    assert!(!client.is_closed(), "it is the application that is late");
    full.set(false);
    h.service.room();
    h.settle();
    assert_eq!(h.events(), ["0 connecting", "0 connected /chat"]);
    // The application's time is limited as well.
    let mut h = Harness::new(1, Config::default(), |_, _, _, event| match event {
        Event::Connecting => Delivery::Full,
        _ => Delivery::Done,
    });
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.pass(30_300);
    assert!(client.is_closed());
    assert_eq!(h.service.stats().timeouts, 0);
}

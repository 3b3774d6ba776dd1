// SPDX-License-Identifier: Apache-2.0
//! The periodic call of the application.

use wss::service::{Config, Delivery};
use wss::{Event, Target};

use crate::harness::{Harness, REQUEST, frame, ignore, server_frame};

fn every(tick_ms: u32) -> Config {
    Config {
        tick_ms,
        ..Config::default()
    }
}

/// Returns the number of ticks since the last check.
fn ticks(h: &Harness) -> usize {
    h.events().iter().filter(|event| *event == "tick").count()
}

#[test]
fn a_tick_comes_with_each_period_to_the_millisecond() {
    for start in [0, (1 << 31) - 200, (1 << 32) - 200] {
        Harness::set_now(start);
        let mut h = Harness::new(1, every(30), ignore);
        h.settle();
        for at in 1..=600 {
            Harness::set_now(start + at);
            h.settle();
            assert_eq!(
                ticks(&h),
                usize::from(at % 30 == 0),
                "{at} ms after {start}"
            );
        }
    }
}

#[test]
fn a_period_of_0_is_none() {
    let mut h = Harness::new(1, every(0), ignore);
    h.pass(60_000);
    assert_eq!((ticks(&h), h.timer()), (0, None));
}

#[test]
fn late_ticks_are_left_out_and_do_not_shift_the_next() {
    Harness::set_now(0);
    let mut h = Harness::new(1, every(100), ignore);
    h.settle();
    Harness::set_now(730);
    h.settle();
    assert_eq!(ticks(&h), 1);
    Harness::set_now(799);
    h.settle();
    assert_eq!(ticks(&h), 0);
    Harness::set_now(800);
    h.settle();
    assert_eq!(ticks(&h), 1);
}

#[test]
fn a_tick_that_comes_due_while_one_runs_comes_once_after_it() {
    Harness::set_now(0);
    let mut h = Harness::new(1, every(10), ignore);
    h.settle();
    h.on_tick(|service| {
        // Like a callback that computes for ten periods.
        if Harness::now() < 100 {
            Harness::set_now(105);
        }
        assert_eq!(service.stats().accepted, 0);
    });
    Harness::set_now(10);
    h.settle();
    assert_eq!(
        ticks(&h),
        2,
        "the one that ran, and one for all that it missed"
    );
    h.pass(5);
    assert_eq!(ticks(&h), 1);
}

#[test]
fn a_tick_sends_to_clients_and_the_deadlines_hold_beside_it() {
    Harness::set_now(0);
    let mut h = Harness::new(2, every(30), ignore);
    let client = h.connected();
    let drips = h.connect();
    drips.send(&REQUEST.as_bytes()[..20]);
    h.on_tick(|service| {
        service.send_text(Target::All, "t").unwrap();
    });
    h.pass(9_900);
    assert_eq!(client.take(), server_frame(0x81, b"t").repeat(330));
    assert!(!drips.is_closed());
    h.pass(300);
    assert!(drips.is_closed(), "the handshake timeout");
    client.take();
    h.pass(4_800);
    let ping = server_frame(0x89, &[b'w', b's', b's', 1]);
    let sent = client.take();
    assert!(sent.windows(ping.len()).any(|bytes| bytes == ping));
    h.pass(15_000);
    assert!(client.is_closed(), "the client timeout");
}

#[test]
fn there_is_no_tick_once_the_service_is_told_to_stop() {
    Harness::set_now(0);
    let mut h = Harness::new(1, every(50), |service, _, _, event| {
        if let Event::Text(_) = event {
            service.stop();
        }
        Delivery::Done
    });
    let client = h.connected();
    h.pass(100);
    assert_eq!(ticks(&h), 2);
    client.send(&frame(0x81, b"stop"));
    h.pass(4_900);
    assert_eq!(ticks(&h), 0);
    h.pass(1_000);
    assert!(h.has_stopped());
    // It starts again with the next start.
    h.reopen(&every(70));
    h.settle();
    h.pass(140);
    assert_eq!(ticks(&h), 2);
}

#[test]
fn a_tick_that_was_due_as_the_service_stopped_is_not_called() {
    Harness::set_now(0);
    let mut h = Harness::new(1, every(50), ignore);
    h.settle();
    Harness::set_now(50);
    h.serve();
    assert!(!h.queued().is_empty());
    h.service.stop();
    h.settle();
    assert_eq!(ticks(&h), 0);
    h.reopen(&every(50));
    h.settle();
    assert_eq!(ticks(&h), 0);
}

// SPDX-License-Identifier: Apache-2.0
//! The log lines about clients that connect and disconnect.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};
use wss::service::Config;

use crate::harness::{Harness, REQUEST, ignore};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects the lines of each test, which has its own thread.
struct Kept;

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

pub fn lines() -> Vec<String> {
    LINES.take()
}

pub fn keep_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Kept).expect("no other logger");
        log::set_max_level(LevelFilter::Info);
    });
    lines();
}

fn come_and_go(h: &mut Harness) {
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    client.eof();
    h.settle();
}

#[test]
fn who_connects_and_who_leaves_is_logged() {
    keep_lines();
    let mut h = Harness::new(1, Config::default(), ignore);
    come_and_go(&mut h);
    assert_eq!(lines(), ["client 0: connected from ?", "client 0: closed"]);
}

#[test]
fn a_flood_of_clients_is_not_a_flood_of_lines() {
    keep_lines();
    let mut h = Harness::new(1, Config::default(), ignore);
    for _ in 0..100 {
        come_and_go(&mut h);
    }
    assert_eq!(lines().len(), 10);
    h.pass(1_000);
    come_and_go(&mut h);
    let told = lines();
    assert_eq!(told[0], "190 lines about clients were skipped");
    assert_eq!(told.len(), 3, "{told:?}");
    // Up to this number in a second, including the line about skipped ones.
    for _ in 0..20 {
        h.pass(100);
        come_and_go(&mut h);
    }
    let told = lines();
    assert!((18..=30).contains(&told.len()), "{told:?}");
}

#[test]
fn who_was_never_connected_is_not_logged() {
    keep_lines();
    let mut h = Harness::new(1, Config::default(), ignore);
    for request in ["", "GET / HTTP/1.1\r\n\r\n"] {
        let client = h.connect();
        client.send(request.as_bytes());
        client.eof();
        h.settle();
    }
    assert_eq!(lines(), [""; 0]);
}

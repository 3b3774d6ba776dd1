// SPDX-License-Identifier: Apache-2.0
//! The lines of the log that are for people: who connects, and who leaves.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};
use wss::service::Config;

use crate::harness::{Harness, REQUEST, ignore};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the lines of each test, which has a thread of its own.
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

fn lines() -> Vec<String> {
    LINES.take()
}

fn keep_lines() {
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
    let told = lines();
    assert_eq!(told.len(), 11, "{told:?}");
    assert!(told[10].starts_with("more than 10 lines"), "{told:?}");
    h.pass(1_000);
    come_and_go(&mut h);
    assert_eq!(lines().len(), 2);
}

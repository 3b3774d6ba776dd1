// SPDX-License-Identifier: Apache-2.0
//! The service on a scripted port: sockets, clock and work queue are the test's.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    // The same sockets are shared by real threads, and by one that plays them all.
    clippy::arc_with_non_send_sync
)]

mod adopting;
mod buffers;
mod clients;
mod clock;
mod deadlines;
mod delivery;
// The fuzz targets use the rest of it.
#[allow(dead_code)]
#[path = "../support/harness.rs"]
mod harness;
mod lifecycle;
mod limits;
mod logging;
mod opening;
mod output;
mod over_tls;
mod pages;
#[path = "../support/port.rs"]
mod port;
mod queue;
mod random;
#[allow(dead_code)]
#[path = "../support/received.rs"]
mod received;
#[allow(dead_code)]
#[path = "../support/records.rs"]
mod records;
mod stopping;
mod threads;
mod ticks;
mod tls;

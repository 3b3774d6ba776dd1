// SPDX-License-Identifier: Apache-2.0
//! The service on a scripted port: the test controls sockets, clock, and work queue.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    // Real threads, or one thread that plays them all, share the same sockets.
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

// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets do with an input, and what they hold against it. See `README.md`.

#![allow(
    // The same sockets are shared by real threads, and by one that plays them all.
    clippy::arc_with_non_send_sync
)]

pub mod frames;
pub mod handshake;
pub mod oracle;
pub mod service;
pub mod session;
mod splits;

// What the tests of the service share.
#[allow(dead_code)]
#[path = "../../tests/support/harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../../tests/support/port.rs"]
mod port;
#[allow(dead_code)]
#[path = "../../tests/support/received.rs"]
mod received;
#[allow(dead_code)]
#[path = "../../tests/support/records.rs"]
mod records;

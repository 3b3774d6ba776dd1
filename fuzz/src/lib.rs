// SPDX-License-Identifier: Apache-2.0
//! The fuzz targets, and their oracles. See `README.md`.

#![allow(
    // Real threads, or one thread that plays them all, share the same sockets.
    clippy::arc_with_non_send_sync
)]

pub mod frames;
pub mod handshake;
pub mod oracle;
pub mod service;
pub mod session;
mod splits;

// Shared with the tests of the service.
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

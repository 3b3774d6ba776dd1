// SPDX-License-Identifier: Apache-2.0
//! The host server over real sockets: the behaviour for a client on the wire, and for an application.
//!
//! Every module is a subject. Every test is named after the rule that it proves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod adopting;
mod backpressure;
mod browser_requests;
#[allow(dead_code, reason = "the fault rig needs the rest")]
mod client;
#[path = "../support/closure.rs"]
mod closure;
mod defects;
mod events;
mod faults;
mod handler;
mod handshake;
mod limits;
mod loops;
#[path = "../../examples/page.rs"]
mod page;
mod pages;
mod queues;
mod requests;
mod sending;
mod server;
mod servers;
mod shutdown;
mod target;
#[cfg(feature = "tls")]
mod tls;

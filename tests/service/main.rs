//! The service on a scripted port: sockets, clock and work queue are the test's.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod deadlines;
mod delivery;
mod harness;
mod lifecycle;
mod output;
mod port;
mod random;
mod stopping;
mod threads;

// SPDX-License-Identifier: Apache-2.0
//! A strict, small WebSocket server (RFC 6455).
//!
//! An application is a [`Handler`] with [`Clients`] to send with, the same on a host (`host::Server`) and on
//! Zephyr (the crate `wss_zephyr`).
//!
//! The crate has three layers. Each uses only the ones above it in this list:
//!
//! - [`protocol`]: RFC 6455 as a pure state machine: bytes in, bytes and events out. No socket, no
//!   clock, no allocation, no `unsafe`.
//! - [`service`]: client slots, events, keep-alive, back-pressure and limits, generic over a
//!   [`service::Port`]. No operating system.
//! - `host` (feature `host`): the port to `std`: sockets, threads, and event queues.
//!
//! With `default-features = false` only the first two are built, for `no_std` targets.
#![cfg_attr(not(feature = "host"), no_std)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation))]
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod clients;
#[doc(hidden)]
pub mod handler;
#[cfg(feature = "host")]
pub mod host;
pub mod protocol;
mod reader;
pub mod service;

pub use clients::{Clients, PeerName};
pub use handler::{ErrorEvent, Handler};
pub use protocol::{CloseCode, MessageKind, Opcode, Page, PageError, Request, Status};
pub use reader::EventReader;
pub use service::{
    AdoptError, Answer, AnswerError, Answered, ClientId, ClientState, Event, EventMask, Message,
    Opening, RecvError, SendError, Stats, Target, Verdict,
};

/// Tests the examples of the README and the guides with those of the documentation; see `tests/doc_blocks`.
#[cfg(all(doctest, feature = "host"))]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/authentication.md")]
    struct Authentication;
    #[doc = include_str!("../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../docs/pages.md")]
    struct Pages;
    #[doc = include_str!("../docs/queues.md")]
    struct Queues;
    #[doc = include_str!("../docs/rust.md")]
    struct Rust;
    #[cfg(feature = "tls")]
    #[doc = include_str!("../docs/tls.md")]
    struct Tls;
}

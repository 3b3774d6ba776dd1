// SPDX-License-Identifier: Apache-2.0
//! RFC 6455 as a pure state machine: bytes in, bytes and events out.
//!
//! A connection has two halves. [`Incoming`] owns the receive buffer: it parses, unmasks, and delivers the opening
//! handshake and the frames in place there, and any split of the byte stream gives the same steps. [`Outgoing`] checks
//! the application's frames, and creates their headers. Neither uses a socket, a clock, or the other half. Actions
//! between the halves (a pong, the echo of a close) are [`Step`]s, which their owner handles.

// In tests, an overflow panics anyway.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod authority;
mod buffer;
mod close;
mod cookie;
mod credentials;
mod date;
mod extensions;
mod frame;
mod frames;
mod handshake;
mod incoming;
mod mask;
mod message;
mod origin;
mod outgoing;
mod page;
mod query;
mod request;
#[cfg(any(feature = "compact", not(feature = "packages"), test))]
mod sha1_base64;
mod step;
mod storage;
mod utf8;
mod violation;

pub use buffer::OVERHEAD;
pub use close::{CloseCode, MAX_REASON};
pub use credentials::constant_time_eq;
pub use date::Date;
pub use frame::{FrameHeader, MAX_CONTROL_PAYLOAD, MAX_SERVER_HEADER, Opcode};
pub use handshake::{AcceptKey, HEAD_END, Refusal, Status};
pub(crate) use handshake::{is_challenge, is_response_field};
pub use incoming::Incoming;
pub use mask::{mask_at, unmask};
pub use message::MessageKind;
pub use origin::{OriginError, OriginMatch, check_origin, origin_allowed};
pub use outgoing::{FrameError, Outgoing, Planned};
pub use page::{Page, PageError, PageHead};
pub use query::QueryError;
pub use request::{HANDSHAKE_LIMIT, Request, check_field_names};
pub use step::{Data, Step};
pub use storage::Storage;
pub(crate) use utf8::from_utf8;
pub use utf8::{NotUtf8, Utf8};
pub use violation::Violation;

// SPDX-License-Identifier: Apache-2.0
//! The steps that received bytes lead to.

use core::ops::Range;

use super::close::CloseCode;
use super::handshake::Status;
#[cfg(doc)]
use super::incoming::Incoming;
use super::message::MessageKind;
use super::violation::Violation;

/// A message, or a piece of one with streaming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Its type.
    pub kind: MessageKind,
    /// Whether this is the beginning of the message.
    pub first: bool,
    /// Whether this is the end of the message.
    pub last: bool,
    /// The range of its bytes in the receive buffer.
    pub range: Range<usize>,
}

/// The next result of parsing the received bytes.
///
/// The bytes of a range are available by [`Incoming::bytes`] until the next call of [`Incoming::step`], or as long as
/// they are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Further bytes must be received first.
    NeedBytes,
    /// Held bytes must be released first, because a fragment has to be closed up over them.
    NeedRelease,
    /// The opening request is complete and valid. [`Incoming::request`] returns it, and [`Incoming::upgrade`] continues
    /// with the frames; until then this is the only step.
    Request,
    /// The opening request must be refused with this status.
    Refuse(Status),
    /// A message or a piece of one.
    Data(Data),
    /// A ping with its payload. Answer it with a pong that has the same payload.
    Ping(Range<usize>),
    /// A pong with its payload.
    Pong(Range<usize>),
    /// A close frame. Nothing follows it.
    Close {
        /// Its code, if it has one.
        code: Option<CloseCode>,
        /// The range of its body: the code as two bytes, then the reason, which is UTF-8.
        body: Range<usize>,
    },
    /// The client violated the protocol. Nothing follows it.
    Fail(Violation),
}

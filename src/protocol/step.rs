// SPDX-License-Identifier: Apache-2.0
//! What the bytes received come to.

use core::ops::Range;

use super::close::CloseCode;
use super::handshake::Status;
#[cfg(doc)]
use super::incoming::Incoming;
use super::message::MessageKind;
use super::violation::Violation;

/// A message, or a piece of one where they are streamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// What it consists of.
    pub kind: MessageKind,
    /// Whether it begins a message.
    pub first: bool,
    /// Whether it ends a message.
    pub last: bool,
    /// Where its bytes are in the receive buffer.
    pub range: Range<usize>,
}

/// What the bytes received come to next.
///
/// The bytes of a range are at [`Incoming::bytes`] until the next call of [`Incoming::step`], or as
/// long as they are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more until further bytes are received.
    NeedBytes,
    /// Nothing more until what is held has been released: a fragment has to be closed up over it.
    NeedRelease,
    /// The opening request is complete and valid: [`Incoming::request`] shows it, and
    /// [`Incoming::upgrade`] goes on to the frames; until then this is the only step.
    Request,
    /// The opening request has to be refused with this status.
    Refuse(Status),
    /// A message or a piece of one.
    Data(Data),
    /// A ping with its payload, to be answered by a pong with the same.
    Ping(Range<usize>),
    /// A pong with its payload.
    Pong(Range<usize>),
    /// A close frame. Nothing follows it.
    Close {
        /// Its code, if it has one.
        code: Option<CloseCode>,
        /// Where its body is: the code in two bytes, then the reason, which is UTF-8.
        body: Range<usize>,
    },
    /// The client broke the protocol. Nothing follows it.
    Fail(Violation),
}

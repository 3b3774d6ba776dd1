// SPDX-License-Identifier: Apache-2.0
//! Errors of calls, and their values in the C interfaces: `SYS_WSS_RESULT`, and a negative errno.

use core::ffi::c_int;

use wss::{AdoptError, AnswerError, SendError};

use crate::abi::SysResult;
use crate::platform;

/// The error of a call, which then had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The server does not run.
    NotRunning,
    /// There is no such client, or it is not in the required state.
    NoSuchClient,
    /// A pointer is NULL, or a length is larger than memory can be.
    BadPointer,
    /// An argument is out of its range.
    BadArgument,
    /// The frame type is not the type of a message.
    BadFrameType,
    /// The close code must not be sent.
    BadCloseCode,
    /// The reason is not UTF-8.
    BadReason,
    /// The request has no such text.
    NoText,
    /// The text is not UTF-8, or contains a NUL.
    BadText,
    /// The buffer is too small for the text.
    NoRoom,
    /// There was no event in time.
    NoEvent,
    /// No more events follow.
    Ended,
    /// This build does not support it.
    NotSupported,
    /// The server runs, or every place is in use.
    Busy,
    /// Another socket listens on the port.
    InUse,
    /// The server could not be started: see the log.
    Failed,
    /// The service could not send.
    Send(SendError),
    /// An opening request could not be answered.
    Answer(AnswerError),
    /// A connection could not be adopted.
    Adopt(AdoptError),
}

impl From<AnswerError> for Error {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<AdoptError> for Error {
    fn from(error: AdoptError) -> Self {
        Self::Adopt(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

/// The numbers of `errno.h` that `wss.h` returns, in the order of the table `wss_errnos` on Zephyr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Errno {
    /// `EAGAIN`
    Again,
    /// `EMSGSIZE`
    MessageSize,
    /// `ENOTCONN`
    NotConnected,
    /// `ECONNABORTED`
    ConnectionAborted,
    /// `EBADMSG`
    BadMessage,
    /// `EINVAL`
    Invalid,
    /// `ENOENT`
    NoEntry,
    /// `EBUSY`
    Busy,
    /// `EIO`
    Io,
    /// `EPIPE`
    Pipe,
    /// `EADDRINUSE`
    AddressInUse,
    /// `ENOTSUP`
    NotSupported,
}

impl Error {
    /// Returns the code of the original interface.
    pub const fn to_sys(self) -> SysResult {
        match self {
            Self::BadFrameType
            | Self::BadCloseCode
            | Self::BadReason
            | Self::Send(SendError::Frame(_) | SendError::PingTooLong | SendError::Close) => {
                SysResult::InvalidFrame
            }
            _ => SysResult::Failure,
        }
    }

    const fn errno(self) -> Errno {
        match self {
            Self::NotRunning
            | Self::NoSuchClient
            | Self::Send(SendError::NotConnected)
            | Self::Answer(AnswerError::NotWaiting)
            | Self::Adopt(AdoptError::Stopping) => Errno::NotConnected,
            Self::BadPointer
            | Self::BadArgument
            | Self::BadFrameType
            | Self::Answer(AnswerError::Subprotocol | AnswerError::Field) => Errno::Invalid,
            Self::BadCloseCode
            | Self::BadReason
            | Self::BadText
            | Self::Send(SendError::Frame(_) | SendError::Close) => Errno::BadMessage,
            Self::NoText => Errno::NoEntry,
            Self::NoRoom
            | Self::Send(SendError::TooLong | SendError::PingTooLong)
            | Self::Adopt(AdoptError::TooLong) => Errno::MessageSize,
            Self::Busy | Self::Adopt(AdoptError::Full | AdoptError::AddressFull) => Errno::Busy,
            Self::InUse => Errno::AddressInUse,
            Self::NotSupported => Errno::NotSupported,
            Self::NoEvent | Self::Send(SendError::WouldBlock) => Errno::Again,
            Self::Ended => Errno::Pipe,
            Self::Send(SendError::Aborted) => Errno::ConnectionAborted,
            // AdoptError::Failed, and errors that a later version of the service adds.
            Self::Failed | Self::Adopt(_) | Self::Send(_) | Self::Answer(_) => Errno::Io,
        }
    }

    /// Returns the negative errno of `wss.h`.
    pub fn to_errno(self) -> c_int {
        platform::errno(self.errno()).saturating_neg()
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Violations of the protocol by clients.

use super::close::CloseCode;

/// A violation of RFC 6455, or of a limit that an implementation sets (section 10.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A reserved bit is set although no extension was negotiated (section 5.2).
    ReservedBits,
    /// An opcode that is reserved (section 5.2).
    ReservedOpcode,
    /// A control frame without FIN (section 5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A frame that is not masked (section 5.1).
    Unmasked,
    /// A length that is not in its shortest encoding (section 5.2).
    LengthNotMinimal,
    /// A length with its top bit set (section 5.2).
    LengthTopBit,
    /// A continuation without a message to continue (section 5.4).
    NothingToContinue,
    /// A new message before the previous one was finished (section 5.4).
    InsideFragmented,
    /// A close frame with one byte, or with a code that must not be sent (section 7.4).
    CloseCode,
    /// A close reason that is not UTF-8 (section 5.5.1).
    CloseReason,
    /// A text message that is not UTF-8 (section 8.1).
    NotUtf8,
    /// A message larger than the receive size (section 10.4).
    TooBig,
    /// A message with more fragments than the limit ([`Incoming::limit_fragments`](super::Incoming::limit_fragments);
    /// section 10.4).
    TooManyFragments,
    /// More control frames in a second than the limit (section 10.4). The service detects this, because there is no
    /// clock here.
    TooManyControlFrames,
}

impl Violation {
    /// Returns the close code for the violation (section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::NotUtf8 | Self::CloseReason => CloseCode::INVALID_PAYLOAD,
            Self::TooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments | Self::TooManyControlFrames => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

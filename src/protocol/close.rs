// SPDX-License-Identifier: Apache-2.0
//! Close codes (RFC 6455 section 7.4) and the body of a close frame (section 5.5.1).

use super::frame::MAX_CONTROL_PAYLOAD;

/// The longest reason that a close frame can hold, in bytes.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// Why a connection is closed: a status code of RFC 6455 section 7.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shutting down, a page left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// Data of a type that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// No code was in the close frame. Never on the wire.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// The connection ended without a close frame. Never on the wire.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// Data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A message that breaks the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message too big to be processed.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// A client missed an extension. Sent by clients only.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// An unexpected condition in the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts (IANA's registry of close codes).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server cannot serve the client now.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a server behind this one gave an invalid response.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// The TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Returns the code with the number `code`, if a close frame may hold it: 1000 to 1003, 1007 to 1014
    /// (the registered ones) and 3000 to 4999 (libraries and applications; section 7.4.2).
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Returns the number of the code.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns whether a close frame may hold this code, which it may not for the three that only stand for
    /// what happened on this side (1005, 1006, 1015).
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        Self::new(self.0).is_some()
    }
}

impl core::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is wrong with the body of a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadClose {
    /// One byte only, or a code that may not be on the wire.
    Code,
    /// A reason that is not UTF-8.
    Reason,
}

/// Reads the body of a close frame: the code, if there is one. The reason is what follows two bytes.
pub(super) fn parse_body(body: &[u8]) -> Result<Option<CloseCode>, BadClose> {
    match body {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(BadClose::Code)?;
            core::str::from_utf8(reason).map_err(|_| BadClose::Reason)?;
            Ok(Some(code))
        }
        _ => Err(BadClose::Code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_codes_of_section_7_4_may_be_sent() {
        for code in 0..=u16::MAX {
            let allowed = matches!(code, 1000..=1003)
                || (1007..=1014).contains(&code)
                || (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), allowed, "{code}");
        }
        assert!(!CloseCode::NO_STATUS_RECEIVED.may_be_sent());
        assert!(!CloseCode::ABNORMAL_CLOSURE.may_be_sent());
        assert!(!CloseCode::TLS_HANDSHAKE.may_be_sent());
    }

    #[test]
    fn an_empty_close_is_valid_and_a_single_byte_is_not() {
        assert_eq!(parse_body(b""), Ok(None));
        assert_eq!(parse_body(b"\x03"), Err(BadClose::Code));
        assert_eq!(parse_body(b"\x03\xe8"), Ok(Some(CloseCode::NORMAL)));
        assert_eq!(parse_body(b"\x03\xed"), Err(BadClose::Code));
        assert_eq!(parse_body(b"\x03\xe8\xff"), Err(BadClose::Reason));
    }
}

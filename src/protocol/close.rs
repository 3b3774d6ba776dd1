// SPDX-License-Identifier: Apache-2.0
//! Close codes (RFC 6455 section 7.4) and the body of a close frame (section 5.5.1).

use super::frame::MAX_CONTROL_PAYLOAD;

/// The maximum length of the reason in a close frame, in bytes.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// The reason for closing a connection: a status code of RFC 6455 section 7.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint is going away: a server is shutting down, or a browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// Data of a type that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The close frame had no code. Never sent.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// The connection ended without a close frame. Never sent.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// Data that is not valid for its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A message that violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message that is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The client requires an extension. Sent by clients only.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// An unexpected condition in the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts (IANA's registry of close codes).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server cannot serve the client now.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a server behind this one gave an invalid response.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// The TLS handshake failed. Never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Returns the code with the number `code`, if a close frame may contain it: 1000 to 1003, 1007 to 1014
    /// (registered), and 3000 to 4999 (for libraries and applications; section 7.4.2).
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

    /// Returns whether a close frame may contain this code. It must not contain 1005, 1006, and 1015, which only
    /// describe what happened locally.
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

/// The error of a close frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadClose {
    /// Only one byte, or a code that must not be sent.
    Code,
    /// A reason that is not UTF-8.
    Reason,
}

/// Parses the body of a close frame. Returns the code, if there is one. The reason follows the first two bytes.
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

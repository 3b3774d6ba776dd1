// SPDX-License-Identifier: Apache-2.0
//! The server's answer to an opening handshake (RFC 6455 section 4.2.2).

use super::authority::{is_base64, is_token};

/// Appended to the client's key before hashing (RFC 6455 section 1.3).
pub(super) const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An HTTP status that refuses an opening handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// The request is not a valid opening handshake.
    pub const BAD_REQUEST: Self = Self(400);
    /// The client must authenticate, see the challenge (RFC 9110 section 11.6.1).
    pub const UNAUTHORIZED: Self = Self(401);
    /// The origin, or the client, may not connect.
    pub const FORBIDDEN: Self = Self(403);
    /// There is no WebSocket with this path.
    pub const NOT_FOUND: Self = Self(404);
    /// The method is not GET.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// The target is longer than the server's limit.
    pub const URI_TOO_LONG: Self = Self(414);
    /// The request does not ask for an upgrade to a WebSocket of version 13.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// The client has reached the limit of connections or of failed logins (RFC 6585 section 4).
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// The header fields are longer than the server's limit.
    pub const HEADERS_TOO_LARGE: Self = Self(431);
    /// The application failed to decide.
    pub const INTERNAL_ERROR: Self = Self(500);
    /// Every client slot is in use.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// The request has a major version of HTTP other than 1.
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// Returns the status with the number `status`, if it is an error: 400 to 599.
    #[must_use]
    pub const fn new(status: u16) -> Option<Self> {
        match status {
            400..=599 => Some(Self(status)),
            _ => None,
        }
    }

    /// Returns the number of the status.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    #[inline(never)] // for size
    fn digits(self) -> [u8; 3] {
        let (mut digits, mut rest) = ([0; 3], self.0);
        for place in digits.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *place = b'0' | digit;
            rest /= 10;
        }
        digits
    }

    fn reason(self) -> &'static str {
        let known = REASONS.iter().find(|(status, _)| *status == self.0);
        known.map_or(" Refused", |(_, reason)| reason)
    }

    /// Returns the fields that a response with this status must have (RFC 9110 section 15, RFC 6585 section 4).
    fn fields(self) -> &'static [u8] {
        match self.0 {
            405 => ALLOW_AND_CLOSE,
            426 => {
                b"\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"
            }
            429 | 503 => b"\r\nRetry-After: 60\r\nConnection: close\r\n",
            _ => CLOSE,
        }
    }
}

const ALLOW_AND_CLOSE: &[u8] = b"\r\nAllow: GET\r\nConnection: close\r\n";
/// A part of the one above, like the next one, so that both take no memory.
const CLOSE: &[u8] = ALLOW_AND_CLOSE.split_at(b"\r\nAllow: GET".len()).1;
const LENGTH_AND_CHALLENGE: &[u8] = b"\r\nContent-Length: 0\r\nWWW-Authenticate: ";
const LENGTH: &[u8] = LENGTH_AND_CHALLENGE
    .split_at(b"\r\nContent-Length: 0".len())
    .0;

/// The reason phrases of statuses, which programs ignore (RFC 9112 section 4), after a space. With `compact`, all
/// statuses share one.
const REASONS: &[(u16, &str)] = if cfg!(any(feature = "compact", not(feature = "packages"))) {
    &[]
} else {
    &[
        (400, " Bad Request"),
        (401, " Unauthorized"),
        (403, " Forbidden"),
        (404, " Not Found"),
        (405, " Method Not Allowed"),
        (414, " URI Too Long"),
        (426, " Upgrade Required"),
        (429, " Too Many Requests"),
        (431, " Request Header Fields Too Large"),
        (500, " Internal Server Error"),
        (503, " Service Unavailable"),
        (505, " HTTP Version Not Supported"),
    ]
};

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}{}", self.0, self.reason())
    }
}

/// The end of a response without further fields.
pub const HEAD_END: &[u8] = b"\r\n";

/// The default challenge of a response with status 401, which must have one.
const CHALLENGE: &str = "Basic realm=\"wss\"";

/// A whole response that refuses the handshake, in parts that are sent in order.
pub struct Refusal<'a> {
    digits: [u8; 3],
    status: Status,
    challenge: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    /// Creates the response with this status. The challenge is for 401 only.
    #[must_use]
    pub fn new(status: Status, challenge: Option<&'a str>) -> Self {
        Self {
            digits: status.digits(),
            status,
            challenge,
        }
    }

    /// Returns its status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns the response, which ends with `end`: [`HEAD_END`], or further fields and [`HEAD_END`].
    #[must_use]
    #[inline(never)] // for size
    pub fn parts<'p>(&'p self, end: &'p [u8]) -> [&'p [u8]; 7] {
        let (length, challenge) = match self.status {
            Status::UNAUTHORIZED => (LENGTH_AND_CHALLENGE, self.challenge.unwrap_or(CHALLENGE)),
            _ => (LENGTH, ""),
        };
        [
            b"HTTP/1.1 ",
            &self.digits,
            self.status.reason().as_bytes(),
            length,
            challenge.as_bytes(),
            self.status.fields(),
            end,
        ]
    }
}

/// The value of `Sec-WebSocket-Accept`, which proves that the server has read the client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// Derives the value from the client's `Sec-WebSocket-Key`, as in the request.
    #[must_use]
    // A separate function, to free its stack before the response is sent.
    #[inline(never)]
    pub fn new(client_key: &str) -> Self {
        Self(base64_of_sha1(&[client_key.as_bytes(), GUID.as_bytes()]))
    }

    /// Returns the 28 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the whole 101 response, in parts that are sent in order. It ends with `end`: [`HEAD_END`], or further
    /// fields and [`HEAD_END`].
    #[must_use]
    pub fn response<'a>(&'a self, subprotocol: Option<&'a str>, end: &'a [u8]) -> [&'a [u8]; 6] {
        let (field, value): (&[u8], &[u8]) = match subprotocol {
            Some(name) => (b"\r\nSec-WebSocket-Protocol: ", name.as_bytes()),
            None => (b"", b""),
        };
        [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: ",
            &self.0,
            field,
            value,
            b"\r\n",
            end,
        ]
    }
}

#[cfg(any(feature = "compact", not(feature = "packages")))]
fn base64_of_sha1(parts: &[&[u8]]) -> [u8; 28] {
    use super::sha1_base64::{base64, sha1};

    base64(&sha1(parts))
}

#[cfg(all(feature = "packages", not(feature = "compact")))]
fn base64_of_sha1(parts: &[&[u8]]) -> [u8; 28] {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha1::{Digest as _, Sha1};

    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    let mut text = [0; 28];
    // 20 bytes are always 28 characters.
    let _ = STANDARD.encode_slice(hash.finalize(), &mut text);
    text
}

/// Returns whether `key` is the Base64 of 16 bytes, as a `Sec-WebSocket-Key` must be (section 4.2.1). Does not decode
/// it, because a decoder is large.
pub(super) fn is_client_key(key: &str) -> bool {
    match key.as_bytes() {
        // 21 digits of six bits, and one for the last two of 128 bits.
        [digits @ .., b'A' | b'Q' | b'g' | b'w', b'=', b'='] => {
            digits.len() == 21 && is_base64(digits)
        }
        _ => false,
    }
}

/// Fields of responses that the service writes itself, besides all `Sec-WebSocket-` fields.
const OWN_FIELDS: [&str; 8] = [
    "allow",
    "connection",
    "content-length",
    "date",
    "retry-after",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// Returns whether an application may add this field to a response: the name must be a token, and the value must not
/// have control characters except tabs (RFC 9110 section 5).
pub(crate) fn is_response_field(name: &str, value: &str) -> bool {
    let name = name.as_bytes();
    let is_own = |own: &&str| own.as_bytes().eq_ignore_ascii_case(name);
    let prefix = name.get(..14).unwrap_or_default();
    !name.is_empty()
        && name.iter().all(|byte| is_token(*byte))
        && !OWN_FIELDS.iter().any(is_own)
        && !prefix.eq_ignore_ascii_case(b"sec-websocket-")
        && is_field_value(value)
}

/// Returns whether this can be a challenge (RFC 9110 section 11.6.1) that does not break the response.
pub(crate) fn is_challenge(text: &str) -> bool {
    !text.is_empty() && is_field_value(text)
}

fn is_field_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | 0x20..=0x7E | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    #[test]
    fn the_accept_key_of_the_example_in_section_1_3() {
        let accept = AcceptKey::new("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept.as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let response = String::from_utf8(accept.response(Some("chat"), HEAD_END).concat()).unwrap();
        assert!(response.ends_with(
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\n"
        ));
    }

    #[test]
    fn the_response_of_an_upgrade_is_complete() {
        let accept = AcceptKey::new("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(
            String::from_utf8(accept.response(None, HEAD_END).concat()).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    #[test]
    fn a_client_key_decodes_to_16_bytes() {
        assert!(is_client_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for wrong in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZTE=",
            "dGhlIHNhbXBsZSBub25jZTEy",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25j!Q==",
            "dGhlIHNhbXBsZSBub25jZ===",
        ] {
            assert!(!is_client_key(wrong), "{wrong}");
        }
    }

    #[test]
    fn client_keys_are_told_as_a_decoder_would() {
        for last in 0..=127u8 {
            for byte in 0..=127u8 {
                let mut key = *b"dGhlIHNhbXBsZSBub25jZQ==";
                (key[7], key[21]) = (byte, last);
                let decoded = BASE64.decode(key).is_ok_and(|decoded| decoded.len() == 16);
                let key = core::str::from_utf8(&key).unwrap();
                assert_eq!(is_client_key(key), decoded, "{key}");
            }
        }
    }

    #[test]
    fn a_refusal_is_a_complete_response() {
        let response = |status| {
            let refusal = Refusal::new(status, None);
            String::from_utf8(refusal.parts(HEAD_END).concat()).unwrap()
        };
        assert_eq!(
            response(Status::METHOD_NOT_ALLOWED),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nAllow: GET\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(
            response(Status::UPGRADE_REQUIRED),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: websocket\r\n\
             Connection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        assert_eq!(
            response(Status::UNAUTHORIZED),
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
             WWW-Authenticate: Basic realm=\"wss\"\r\nConnection: close\r\n\r\n"
        );
        for status in [Status::TOO_MANY_REQUESTS, Status::SERVICE_UNAVAILABLE] {
            assert!(
                response(status).contains("\r\nRetry-After: 60\r\n"),
                "{status}"
            );
        }
        let bearer = Refusal::new(Status::UNAUTHORIZED, Some("Bearer"));
        let parts = bearer.parts(b"X: y\r\n\r\n").concat();
        let text = "WWW-Authenticate: Bearer\r\nConnection: close\r\nX: y\r\n\r\n";
        assert!(parts.ends_with(text.as_bytes()));
        assert!(response(Status::new(451).unwrap()).starts_with("HTTP/1.1 451 Refused\r\n"));
        assert_eq!(Status::new(200), None);
    }

    #[test]
    fn a_field_of_an_application_leaves_the_response_whole() {
        for (name, value) in [
            ("Set-Cookie", "id=1; HttpOnly"),
            ("X", ""),
            ("x-y", "a\tb \u{e4}"),
        ] {
            assert!(is_response_field(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a:", "a"),
            ("a\r\nb", "a"),
            ("\u{e4}", "a"),
            ("a", "b\r\nc: d"),
            ("a", "b\n"),
            ("a", "b\0"),
            ("a", "b\x7f"),
            ("Connection", "keep-alive"),
            ("CONTENT-LENGTH", "5"),
            ("transfer-encoding", "chunked"),
            ("Sec-WebSocket-Protocol", "chat"),
            ("sec-websocket-x", "a"),
            ("WWW-Authenticate", "Basic"),
        ] {
            assert!(!is_response_field(name, value), "{name}: {value}");
        }
        assert!(is_challenge("Basic realm=\"device\", Bearer"));
        assert!(!is_challenge("") && !is_challenge("Basic\r\nX: y"));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Frame headers (RFC 6455 section 5.2).

use super::violation::Violation;

/// The maximum payload of a control frame, in bytes (section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The maximum header that a server sends, without a mask, in bytes.
pub const MAX_SERVER_HEADER: usize = 10;
/// The header of a control frame from a client, in bytes.
pub(super) const CONTROL_HEADER: usize = 6;

/// The opcode of a frame (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// Continues a fragmented message.
    Continuation = 0x0,
    /// Text in UTF-8, or the first fragment of it.
    Text = 0x1,
    /// Binary data, or the first fragment of it.
    Binary = 0x2,
    /// Starts or answers the closing handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or is an unsolicited heartbeat.
    Pong = 0xA,
}

impl Opcode {
    /// Returns the opcode with this number, or `None` for the reserved ones.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Returns whether it is a control frame: at most 125 bytes, never fragmented.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The header of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientHeader {
    pub opcode: Opcode,
    pub fin: bool,
    pub payload_len: u64,
    pub mask: [u8; 4],
    /// The length of the header itself, in bytes.
    pub len: usize,
}

impl ClientHeader {
    /// Parses the header at the front of `bytes`; `None` while it is incomplete. Violations in the first two bytes are
    /// detected as soon as these have arrived.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::new(first & 0x0F).ok_or(Violation::ReservedOpcode)?;
        let fin = first & 0x80 != 0;
        let short_len = second & 0x7F;
        if opcode.is_control() {
            if !fin {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(short_len) > MAX_CONTROL_PAYLOAD {
                return Err(Violation::ControlTooLong);
            }
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let (payload_len, rest, len) = match (short_len, rest) {
            (126, [a, b, rest @ ..]) => {
                let long = u64::from(u16::from_be_bytes([*a, *b]));
                if long < 126 {
                    return Err(Violation::LengthNotMinimal);
                }
                (long, rest, 8)
            }
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                let long = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                if long > i64::MAX.unsigned_abs() {
                    return Err(Violation::LengthTopBit);
                }
                if long <= u64::from(u16::MAX) {
                    return Err(Violation::LengthNotMinimal);
                }
                (long, rest, 14)
            }
            (126 | 127, _) => return Ok(None),
            (short, rest) => (u64::from(short), rest, 6),
        };
        let [a, b, c, d, ..] = rest else {
            return Ok(None);
        };
        Ok(Some(Self {
            opcode,
            fin,
            payload_len,
            mask: [*a, *b, *c, *d],
            len,
        }))
    }
}

/// The header of a frame from a server: without a mask, with the shortest encoding of the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// To copy it as three words.
#[repr(align(4))]
pub struct FrameHeader {
    bytes: [u8; MAX_SERVER_HEADER],
    len: u8,
}

impl FrameHeader {
    /// No header, for bytes that are sent as they are.
    pub const NONE: Self = Self {
        bytes: [0; MAX_SERVER_HEADER],
        len: 0,
    };

    /// Creates the header of a frame with a payload of `payload_len` bytes.
    #[must_use]
    #[inline]
    pub fn new(fin: bool, opcode: Opcode, payload_len: usize) -> Self {
        let first = if fin { 0x80 } else { 0 } | opcode as u8;
        if payload_len < 126 {
            Self::short(first, payload_len)
        } else {
            Self::long(first, payload_len)
        }
    }

    const fn short(first: u8, payload_len: usize) -> Self {
        let [len, ..] = payload_len.to_le_bytes();
        Self {
            bytes: [first, len, 0, 0, 0, 0, 0, 0, 0, 0],
            len: 2,
        }
    }

    #[inline(never)]
    fn long(first: u8, payload_len: usize) -> Self {
        let [a, b, c, d, e, f, g, h] = (payload_len as u64).to_be_bytes();
        let (bytes, len) = if payload_len <= usize::from(u16::MAX) {
            ([first, 126, g, h, 0, 0, 0, 0, 0, 0], 4)
        } else {
            ([first, 127, a, b, c, d, e, f, g, h], 10)
        };
        Self { bytes, len }
    }

    /// Creates the header of a control frame with a payload of `payload_len` bytes, at most 125.
    #[must_use]
    pub fn control(opcode: Opcode, payload_len: usize) -> Self {
        debug_assert!(opcode.is_control() && payload_len <= MAX_CONTROL_PAYLOAD);
        Self::short(0x80 | opcode as u8, payload_len)
    }

    /// Creates a whole ping with a payload of four bytes, which is not longer than a header.
    #[must_use]
    pub const fn ping([a, b, c, d]: [u8; 4]) -> Self {
        let first = 0x80 | Opcode::Ping as u8;
        Self {
            bytes: [first, 4, a, b, c, d, 0, 0, 0, 0],
            len: 6,
        }
    }

    /// Returns the bytes of the header.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_use_the_shortest_length() {
        let header = |len| {
            FrameHeader::new(true, Opcode::Binary, len)
                .as_bytes()
                .to_vec()
        };
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(FrameHeader::new(false, Opcode::Text, 1).as_bytes(), [1, 1]);
        assert_eq!(FrameHeader::ping(*b"abcd").as_bytes(), b"\x89\x04abcd");
    }

    #[test]
    fn a_header_is_incomplete_until_its_last_byte() {
        for header in [
            &[0x81, 0x85, 1, 2, 3, 4][..],
            &[0x82, 0xfe, 0, 126, 1, 2, 3, 4],
            &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        ] {
            for len in 0..header.len() {
                assert_eq!(ClientHeader::parse(&header[..len]), Ok(None));
            }
            let parsed = ClientHeader::parse(header).unwrap().unwrap();
            assert_eq!(parsed.len, header.len());
            assert_eq!(parsed.mask, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_wrong_header_is_refused_as_early_as_it_shows() {
        let wrong = [
            (&[0xC1, 0x80][..], Violation::ReservedBits),
            (&[0xA1, 0x80], Violation::ReservedBits),
            (&[0x91, 0x80], Violation::ReservedBits),
            (&[0x83, 0x80], Violation::ReservedOpcode),
            (&[0x8B, 0x80], Violation::ReservedOpcode),
            (&[0x09, 0x80], Violation::FragmentedControl),
            (&[0x89, 0xFE], Violation::ControlTooLong),
            (&[0x81, 0x05], Violation::Unmasked),
            (&[0x82, 0xFE, 0, 125], Violation::LengthNotMinimal),
            (
                &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                Violation::LengthNotMinimal,
            ),
            (
                &[0x82, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0],
                Violation::LengthTopBit,
            ),
        ];
        for (bytes, violation) in wrong {
            assert_eq!(ClientHeader::parse(bytes), Err(violation), "{bytes:x?}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The bytes of the scripts, assembled by the compiler.

/// A request that is accepted.
pub const REQUEST: &[u8; 144] = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The response to it.
pub const ACCEPTED: &[u8; 129] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A frame from the client: its first byte, then its payload.
macro_rules! masked {
    ($first:expr, $payload:expr) => {{
        const PAYLOAD: &[u8] = $payload;
        const LEN: usize = $crate::service::bytes::header_len(PAYLOAD) + 4 + PAYLOAD.len();
        const FRAME: &[u8; LEN] = &$crate::service::bytes::masked_frame($first, PAYLOAD);
        FRAME
    }};
}

/// A frame from the server, likewise.
macro_rules! plain {
    ($first:expr, $payload:expr) => {{
        const PAYLOAD: &[u8] = $payload;
        const LEN: usize = $crate::service::bytes::header_len(PAYLOAD) + PAYLOAD.len();
        const FRAME: &[u8; LEN] = &$crate::service::bytes::plain_frame($first, PAYLOAD);
        FRAME
    }};
}

/// The bytes `$from..` of the payload of all large messages.
macro_rules! pattern {
    ($from:expr, $len:expr) => {{
        const BYTES: &[u8; $len] = &$crate::service::bytes::pattern_from($from);
        BYTES
    }};
}

pub(super) use {masked, pattern, plain};

pub const fn header_len(payload: &[u8]) -> usize {
    if payload.len() < 126 { 2 } else { 4 }
}

pub const fn plain_frame<const LEN: usize>(first: u8, payload: &[u8]) -> [u8; LEN] {
    let mut frame = [0; LEN];
    let [high, low] = (payload.len() as u16).to_be_bytes();
    frame[0] = first;
    if payload.len() < 126 {
        frame[1] = low;
    } else {
        (frame[1], frame[2], frame[3]) = (126, high, low);
    }
    let (start, mut i) = (LEN - payload.len(), 0);
    while i < payload.len() {
        frame[start + i] = payload[i];
        i += 1;
    }
    frame
}

pub const fn masked_frame<const LEN: usize>(first: u8, payload: &[u8]) -> [u8; LEN] {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = plain_frame::<LEN>(first, payload);
    frame[1] |= 0x80;
    let (start, mut i) = (LEN - payload.len(), 0);
    while i < 4 {
        frame[start - 4 + i] = MASK[i];
        i += 1;
    }
    i = 0;
    while i < payload.len() {
        frame[start + i] ^= MASK[i % 4];
        i += 1;
    }
    frame
}

pub const fn pattern_from<const LEN: usize>(from: usize) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let mut i = 0;
    while i < LEN {
        bytes[i] = ((from + i) * 7 % 251) as u8;
        i += 1;
    }
    bytes
}

/// A request of `LEN` bytes: the accepted one with a field that fills it up.
pub const fn long_request<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [b'a'; LEN];
    let mut i = 0;
    // The last four bytes end the line, and the head.
    while i < REQUEST.len() - 2 {
        bytes[i] = REQUEST[i];
        i += 1;
    }
    (bytes[i], bytes[i + 1]) = (b'X', b':');
    i = 0;
    while i < 4 {
        bytes[LEN - 4 + i] = REQUEST[REQUEST.len() - 4 + i];
        i += 1;
    }
    bytes
}

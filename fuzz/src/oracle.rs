// SPDX-License-Identifier: Apache-2.0
//! An independent, naive parser for RFC 6455: a client's whole input is in one growing buffer.

/// An element of a client's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
    /// The connection must be failed with this code.
    Fail(u16),
}

/// The result of a stream of frames.
#[derive(Debug, Default)]
pub struct Decoded {
    pub items: Vec<Item>,
    /// The valid bytes of an unfinished message.
    pub unfinished: Vec<u8>,
}

/// Limits of a server on what RFC 6455 allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum message size in bytes; over it, 1009.
    pub message: Option<usize>,
    /// The maximum number of frames of a message; over it, 1008.
    pub fragments: Option<usize>,
}

/// Parses frames until a close frame, a violation, or an incomplete frame.
///
/// RFC 6455 does not define when an error must be detected. Here, as in the server: at the first byte that shows it.
/// But a header is compared with the previous frames, and its length is checked, once the header is complete; and a
/// control frame must be complete.
pub fn decode(bytes: &[u8], limits: Limits) -> Decoded {
    let mut decoded = Decoded::default();
    if let Err(code) = read_frames(bytes, limits, &mut decoded) {
        decoded.items.push(Item::Fail(code));
    }
    decoded
}

fn read_frames(mut rest: &[u8], limits: Limits, decoded: &mut Decoded) -> Result<(), u16> {
    // The kind of the message being received, and how many frames it has.
    let mut message: Option<(u8, usize)> = None;
    while let [first, second, after @ ..] = rest {
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let is_control = opcode >= 8;
        if first & 0x70 != 0 || !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
            return Err(1002);
        }
        if is_control && (!fin || second & 0x7F > 125) || second & 0x80 == 0 {
            return Err(1002);
        }
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, after)) = after.split_at_checked(extended) else {
            return Ok(());
        };
        let len = match length {
            [] => u64::from(second & 0x7F),
            _ => length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        if extended == 2 && len < 126 || extended == 8 && (len < 65_536 || len >> 63 != 0) {
            return Err(1002);
        }
        let Some((mask, after)) = after.split_at_checked(4) else {
            return Ok(());
        };
        let arrived = after.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        let is_whole = arrived as u64 == len;
        let unmasked = after[..arrived].iter().zip(mask.iter().cycle());
        let payload: Vec<u8> = unmasked.map(|(byte, mask)| byte ^ mask).collect();
        if is_control {
            if !is_whole {
                return Ok(());
            }
            match opcode {
                9 => decoded.items.push(Item::Ping(payload)),
                10 => decoded.items.push(Item::Pong(payload)),
                _ => {
                    check_close(&payload)?;
                    decoded.items.push(Item::Close(payload));
                    return Ok(());
                }
            }
        } else {
            let (kind, before) = match (opcode, message) {
                (0, None) | (1 | 2, Some(_)) => return Err(1002),
                (0, Some(so_far)) => so_far,
                (kind, _) => (kind, 0),
            };
            message = Some((kind, before + 1));
            if limits.fragments.is_some_and(|most| before >= most) {
                return Err(1008);
            }
            let so_far = &mut decoded.unfinished;
            if limits
                .message
                .is_some_and(|max| len > (max - so_far.len()) as u64)
            {
                return Err(1009);
            }
            so_far.extend(payload);
            if kind == 1 {
                check_text(so_far, is_whole && fin)?;
            }
            if !is_whole {
                return Ok(());
            }
            if fin {
                let bytes = std::mem::take(so_far);
                message = None;
                decoded.items.push(match kind {
                    1 => Item::Text(bytes),
                    _ => Item::Binary(bytes),
                });
            }
        }
        rest = &after[arrived..];
    }
    Ok(())
}

/// Checks the text so far, and removes the invalid part.
fn check_text(text: &mut Vec<u8>, is_complete: bool) -> Result<(), u16> {
    match std::str::from_utf8(text) {
        Err(error) if is_complete || error.error_len().is_some() => {
            let right = error.valid_up_to();
            text.truncate(right);
            Err(1007)
        }
        _ => Ok(()),
    }
}

fn check_close(body: &[u8]) -> Result<(), u16> {
    let [high, low, reason @ ..] = body else {
        return if body.is_empty() { Ok(()) } else { Err(1002) };
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(1002);
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(()),
        Err(_) => Err(1007),
    }
}

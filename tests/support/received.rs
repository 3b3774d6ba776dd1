// SPDX-License-Identifier: Apache-2.0
//! The output that a client received, checked as strictly as RFC 6455 allows, independent of the server's code.

/// The output of a server.
#[derive(Debug, Default)]
pub struct Received {
    /// The status of its response to the opening request.
    pub status: Option<u16>,
    /// The whole frames that follow: first byte and payload.
    pub frames: Vec<(u8, Vec<u8>)>,
    /// The number of bytes of an incomplete frame, or of the response, at the end.
    pub torn: usize,
}

impl Received {
    /// Whether the server will send nothing more.
    pub fn is_closed(&self) -> bool {
        self.frames.last().is_some_and(|(first, _)| *first == 0x88)
    }
}

/// Parses the output of a server. Panics at anything that a server must not send.
pub fn received(bytes: &[u8]) -> Received {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Received {
            torn: bytes.len(),
            ..Received::default()
        };
    };
    let (response, rest) = bytes.split_at(head + 4);
    let response = std::str::from_utf8(response).expect("a response is text");
    let status = response
        .strip_prefix("HTTP/1.1 ")
        .and_then(|line| line.get(..3));
    let status: u16 = status
        .and_then(|digits| digits.parse().ok())
        .expect("a status");
    let has = |field| response.contains(field);
    if status == 101 {
        assert!(has("\r\nUpgrade: websocket\r\n") && has("\r\nConnection: Upgrade\r\n"));
        assert!(has("\r\nSec-WebSocket-Accept: "));
    } else if status == 200 {
        // A page that was sent completely, or partly, or not at all as for HEAD.
        let length = response.split("\r\nContent-Length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let length: usize = length.expect("a length");
        assert!(has("\r\nETag: \"") && has("\r\nConnection: close\r\n"));
        assert!(rest.len() <= length, "nothing follows a page");
        let torn = if rest.len() == length { 0 } else { rest.len() };
        return Received {
            status: Some(status),
            torn,
            ..Received::default()
        };
    } else if status == 304 {
        assert!(has("\r\nETag: \"") && rest.is_empty());
    } else {
        assert!(has("\r\nContent-Length: 0\r\n"));
        assert!(rest.is_empty(), "nothing follows a refusal");
    }
    Received {
        status: Some(status),
        ..received_frames(rest)
    }
}

/// Parses the output of a server after its response.
pub fn received_frames(mut rest: &[u8]) -> Received {
    let mut received = Received::default();
    // The kind of the message that is not finished, and its bytes so far.
    let mut message: Option<(u8, Vec<u8>)> = None;
    while let Some((first, payload, after)) = frame(rest) {
        assert!(!received.is_closed(), "nothing follows a close frame");
        let fin = first & 0x80 != 0;
        match first & 0x7F {
            0x08 => {
                assert!(fin && payload.len() <= 125);
                assert!(is_close_body(payload), "a close frame with {payload:?}");
            }
            0x09 | 0x0A => assert!(fin && payload.len() <= 125),
            opcode @ 0x00..=0x02 => {
                match (opcode, &mut message) {
                    (0, None) => panic!("a continuation of nothing"),
                    (0, Some((_, so_far))) => so_far.extend(payload),
                    (_, None) => message = Some((opcode, payload.to_vec())),
                    (_, Some(_)) => panic!("a message inside a fragmented one"),
                }
                if let Some((kind, bytes)) = message.take_if(|_| fin) {
                    assert!(kind != 1 || std::str::from_utf8(&bytes).is_ok(), "no UTF-8");
                }
            }
            _ => panic!("a frame that begins with {first:#x}"),
        }
        received.frames.push((first, payload.to_vec()));
        rest = after;
    }
    assert!(
        rest.is_empty() || !received.is_closed(),
        "nothing follows a close frame"
    );
    received.torn = rest.len();
    received
}

/// Returns the first frame, if it is complete: its first byte, its payload, and the rest.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&len, rest) = rest.split_first()?;
    let (len, rest) = match len {
        0..=125 => (usize::from(len), rest),
        126 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            let len = u16::from_be_bytes(*len);
            assert!(len > 125, "the shortest encoding of {len}");
            (usize::from(len), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk::<8>()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 0xFFFF, "the shortest encoding of {len}");
            (usize::try_from(len).expect("a length that fits"), rest)
        }
        _ => panic!("a server masks nothing"),
    };
    let (payload, rest) = rest.split_at_checked(len)?;
    Some((first, payload, rest))
}

fn is_close_body(body: &[u8]) -> bool {
    match body {
        [] => true,
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            may_be_sent && std::str::from_utf8(reason).is_ok()
        }
        _ => false,
    }
}

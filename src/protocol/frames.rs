// SPDX-License-Identifier: Apache-2.0
//! Parses frames as they arrive (RFC 6455 section 5): assembles, unmasks, and checks messages in place in the receive
//! buffer.

use core::ops::Range;

use super::buffer::ReceiveBuffer;
use super::close::{self, BadClose};
use super::frame::{ClientHeader, Opcode};
use super::mask::{mask_at, unmask, unmask_text};
use super::message::MessageKind;
use super::step::{Data, Step};
use super::storage::Storage;
use super::utf8::{Utf8, from_utf8};
use super::violation::Violation;

/// The type and the checks of the current message.
#[derive(Debug, Default)]
pub(super) struct Frames {
    message: Option<Assembly>,
    payload: Option<Payload>,
}

/// The current message.
#[derive(Debug)]
struct Assembly {
    kind: MessageKind,
    first: bool,
    /// The number of its frames after the first, saturating.
    continuations: u16,
    utf8: Utf8,
}

/// The data frame whose payload is being received.
#[derive(Clone, Copy, Debug)]
// Saves four bytes per client on a device.
#[repr(Rust, packed(4))]
struct Payload {
    remaining: u64,
    mask: [u8; 4],
    fin: bool,
}

/// Settings beyond RFC 6455.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Messages larger than the buffer are delivered in pieces.
    pub streaming: bool,
    /// The maximum number of fragments of a message; 0: no limit.
    pub max_fragments: u16,
}

impl Frames {
    /// Returns the next step of the unparsed bytes.
    pub fn next<B: Storage>(
        &mut self,
        buffer: &mut ReceiveBuffer<B>,
        limits: Limits,
    ) -> Result<Step, Violation> {
        loop {
            let step = match &self.payload {
                Some(_) => self.payload(buffer)?,
                None => self.header(buffer, limits)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// Returns whether the current frame fits where it is, and is too long to move to the front to make room for the
    /// next ones. Hosts have such large buffers, devices do not.
    pub fn fits<B: Storage>(&self, buffer: &ReceiveBuffer<B>) -> bool {
        const LONG: usize = 4096;
        let unparsed = buffer.len.saturating_sub(buffer.pos);
        if !cfg!(feature = "simd") || unparsed.max(buffer.assembled()) < LONG {
            return false;
        }
        let rest = match &self.payload {
            Some(payload) => payload.remaining,
            None => match ClientHeader::parse(buffer.unparsed()) {
                Ok(Some(header)) => header.payload_len.saturating_add(header.len as u64),
                _ => return false,
            },
        };
        let room = buffer.capacity().saturating_sub(buffer.pos);
        buffer.len < buffer.capacity() && rest <= room as u64
    }

    /// Parses the header at `pos`, and the whole frame if it is a control frame.
    fn header<B: Storage>(
        &mut self,
        buffer: &mut ReceiveBuffer<B>,
        limits: Limits,
    ) -> Result<Option<Step>, Violation> {
        if buffer.pos >= buffer.len {
            return Ok(Some(Step::NeedBytes));
        }
        let Some(header) = ClientHeader::parse(buffer.unparsed())? else {
            return Ok(Some(Step::NeedBytes));
        };
        let body = buffer.pos.saturating_add(header.len);
        if header.opcode.is_control() {
            return control(buffer, &header, body);
        }
        match (header.opcode, &mut self.message) {
            (Opcode::Continuation, None) => return Err(Violation::NothingToContinue),
            (Opcode::Continuation, Some(message)) => {
                message.continuations = message.continuations.saturating_add(1);
                if limits.max_fragments > 0 && message.continuations >= limits.max_fragments {
                    return Err(Violation::TooManyFragments);
                }
            }
            (_, Some(_)) => return Err(Violation::InsideFragmented),
            (opcode, None) => {
                let kind = match opcode {
                    Opcode::Text => MessageKind::Text,
                    _ => MessageKind::Binary,
                };
                if let Some(range) = whole_message(buffer, &header, body) {
                    return take_whole(buffer, &header, kind, range).map(Some);
                }
                self.message = Some(Assembly {
                    kind,
                    first: true,
                    continuations: 0,
                    utf8: Utf8::default(),
                });
                buffer.begin_message(body);
            }
        }
        let room = buffer.max_message().saturating_sub(buffer.assembled());
        if !limits.streaming && header.payload_len > room as u64 {
            return Err(Violation::TooBig);
        }
        buffer.pos = body;
        self.payload = Some(Payload {
            remaining: header.payload_len,
            mask: header.mask,
            fin: header.fin,
        });
        Ok(None)
    }

    /// Handles the received payload of a data frame: closes it up, unmasks and checks it.
    fn payload<B: Storage>(
        &mut self,
        buffer: &mut ReceiveBuffer<B>,
    ) -> Result<Option<Step>, Violation> {
        let (Some(message), Some(payload)) = (&mut self.message, &mut self.payload) else {
            debug_assert!(false, "a payload belongs to a message");
            self.payload = None;
            return Ok(None);
        };
        let room = buffer.max_message().saturating_sub(buffer.assembled());
        if room == 0 && payload.remaining > 0 {
            return Ok(Some(piece(buffer, message)));
        }
        let arrived = buffer.len.saturating_sub(buffer.pos);
        let count = usize::try_from(payload.remaining).unwrap_or(usize::MAX);
        let count = count.min(arrived).min(room);
        if count > 0 {
            if buffer.end != buffer.pos {
                if buffer.end < buffer.floor {
                    return Ok(Some(Step::NeedRelease));
                }
                let arrived = buffer.pos..buffer.pos.saturating_add(count);
                buffer.storage.shift(arrived, buffer.end);
            }
            let range = buffer.end..buffer.end.saturating_add(count);
            let bytes = buffer.storage.bytes_mut(range.clone());
            if message.kind == MessageKind::Binary {
                unmask(bytes, payload.mask);
            } else if !unmask_text(bytes, payload.mask) || message.utf8.unfinished() > 0 {
                message.utf8.push(bytes).map_err(|_| Violation::NotUtf8)?;
            }
            payload.mask = mask_at(payload.mask, count);
            payload.remaining = payload.remaining.saturating_sub(count as u64);
            buffer.end = range.end;
            buffer.pos = buffer.pos.saturating_add(count);
        }
        if payload.remaining > 0 {
            let full = buffer.assembled() >= buffer.max_message();
            return Ok((!full).then_some(Step::NeedBytes));
        }
        let fin = payload.fin;
        self.payload = None;
        if !fin {
            return Ok(None);
        }
        message.utf8.finish().map_err(|_| Violation::NotUtf8)?;
        let data = Data {
            kind: message.kind,
            first: message.first,
            last: true,
            range: buffer.start..buffer.end,
        };
        self.message = None;
        buffer.start = buffer.end;
        Ok(Some(Step::Data(data)))
    }
}

/// Returns the range of a message that has arrived whole in one frame, as most do.
fn whole_message<B: Storage>(
    buffer: &ReceiveBuffer<B>,
    header: &ClientHeader,
    body: usize,
) -> Option<Range<usize>> {
    let payload_len = usize::try_from(header.payload_len).ok()?;
    let end = body.checked_add(payload_len)?;
    let whole = header.fin && payload_len <= buffer.max_message() && end <= buffer.len;
    whole.then_some(body..end)
}

/// Handles such a message, without the work of assembling one.
fn take_whole<B: Storage>(
    buffer: &mut ReceiveBuffer<B>,
    header: &ClientHeader,
    kind: MessageKind,
    range: Range<usize>,
) -> Result<Step, Violation> {
    let bytes = buffer.storage.bytes_mut(range.clone());
    if kind == MessageKind::Binary {
        unmask(bytes, header.mask);
    } else if !unmask_text(bytes, header.mask) && from_utf8(bytes).is_none() {
        return Err(Violation::NotUtf8);
    }
    buffer.begin_message(range.end);
    buffer.pos = range.end;
    Ok(Step::Data(Data {
        kind,
        first: true,
        last: true,
        range,
    }))
}

/// Handles a control frame, once it has arrived whole.
fn control<B: Storage>(
    buffer: &mut ReceiveBuffer<B>,
    header: &ClientHeader,
    body: usize,
) -> Result<Option<Step>, Violation> {
    let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    let range = body..body.saturating_add(payload_len);
    if range.end > buffer.len {
        return Ok(Some(Step::NeedBytes));
    }
    unmask(buffer.storage.bytes_mut(range.clone()), header.mask);
    buffer.pos = range.end;
    Ok(Some(match header.opcode {
        Opcode::Ping => Step::Ping(range),
        Opcode::Pong => Step::Pong(range),
        _ => {
            let body = buffer.storage.bytes(range.clone());
            let code = close::parse_body(body).map_err(|bad| match bad {
                BadClose::Code => Violation::CloseCode,
                BadClose::Reason => Violation::CloseReason,
            })?;
            Step::Close { code, body: range }
        }
    }))
}

/// Delivers the message so far, up to its last whole character, as a piece.
#[inline(never)] // Rare, and large: most messages have a use for its registers.
fn piece<B>(buffer: &mut ReceiveBuffer<B>, message: &mut Assembly) -> Step {
    let whole = buffer.end.saturating_sub(message.utf8.unfinished());
    let data = Data {
        kind: message.kind,
        first: message.first,
        last: false,
        range: buffer.start..whole,
    };
    message.first = false;
    buffer.start = whole;
    Step::Data(data)
}

//! The incoming half of a connection: the opening request and the client's frames, in place in the
//! receive buffer.
//!
//! ```text
//! 0            floor   start          end    pos          len        capacity
//! | held by the app |   | message so far | gap | not yet parsed | free      |
//! ```
//!
//! Bytes are received at `len`, parsed at `pos` and, if they belong to a fragmented message, closed
//! up at `end`. Nothing below `floor` is written or moved: the application holds it.

use core::ops::Range;

use super::close::{self, BadClose, CloseCode};
use super::frame::{CONTROL_HEADER, ClientHeader, MAX_CONTROL_PAYLOAD, Opcode};
use super::handshake::Status;
use super::mask::{mask_at, unmask, unmask_text};
use super::request::{Request, RequestParser};
use super::storage::Storage;
use super::utf8::{Utf8, from_utf8};

/// What the receive buffer needs beside the largest message: a whole control frame, which may come
/// between the fragments of a message that fills the rest. That is more than any header.
pub const OVERHEAD: usize = CONTROL_HEADER + MAX_CONTROL_PAYLOAD;

/// What a message consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl From<MessageKind> for Opcode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

/// A message, or a piece of one where they are streamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// What it consists of.
    pub kind: MessageKind,
    /// Whether it begins a message.
    pub first: bool,
    /// Whether it ends a message.
    pub last: bool,
    /// Where its bytes are in the receive buffer.
    pub range: Range<usize>,
}

/// What the bytes received come to next.
///
/// The bytes of a range are at [`Incoming::bytes`] until the next call of [`Incoming::step`], or as
/// long as they are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more until further bytes are received.
    NeedBytes,
    /// Nothing more until what is held has been released: a fragment has to be closed up over it.
    NeedRelease,
    /// The opening request is complete and valid: [`Incoming::request`] shows it, and
    /// [`Incoming::upgrade`] goes on to the frames; until then this is the only step.
    Request,
    /// The opening request has to be refused with this status.
    Refuse(Status),
    /// A message or a piece of one.
    Data(Data),
    /// A ping with its payload, to be answered by a pong with the same.
    Ping(Range<usize>),
    /// A pong with its payload.
    Pong(Range<usize>),
    /// A close frame. Nothing follows it.
    Close {
        /// Its code, if it has one.
        code: Option<CloseCode>,
        /// Where its body is: the code in two bytes, then the reason, which is UTF-8.
        body: Range<usize>,
    },
    /// The client broke the protocol. Nothing follows it.
    Fail(Violation),
}

/// How a client broke RFC 6455, or went over a limit that an implementation sets (section 10.4).
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
    /// A continuation with nothing to continue (section 5.4).
    NothingToContinue,
    /// A new message before the last one was finished (section 5.4).
    InsideFragmented,
    /// A close frame with one byte, or with a code that may not be sent (section 7.4).
    CloseCode,
    /// A close reason that is not UTF-8 (section 5.5.1).
    CloseReason,
    /// A text message that is not UTF-8 (section 8.1).
    NotUtf8,
    /// A message larger than the receive size (section 10.4).
    TooBig,
    /// A message of more fragments than are allowed ([`Incoming::limit_fragments`]; section 10.4).
    TooManyFragments,
    /// More control frames in a second than are allowed (section 10.4). There is no clock here: it is
    /// for whoever has one to find out.
    TooManyControlFrames,
}

impl Violation {
    /// The code with which the connection is failed (section 7.4.1).
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

/// The incoming half of a connection.
///
/// Its owner receives into [`space`](Self::space), says how much with
/// [`received`](Self::received), and takes the steps from [`step`](Self::step) until it answers
/// [`Step::NeedBytes`].
#[derive(Debug)]
pub struct Incoming<B> {
    storage: B,
    phase: Phase,
    /// See the picture at the top of the module.
    floor: usize,
    start: usize,
    end: usize,
    pos: usize,
    len: usize,
    streaming: bool,
    /// The most fragments of a message; 0: any number.
    max_fragments: u16,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Handshake(RequestParser),
    /// The request is complete; its kept fields are still at the front of the buffer.
    Upgrading(RequestParser),
    /// The request is to be refused with this, which has not been told yet.
    Refused(Status),
    Frames(Frames),
    /// After a close frame, a refusal or a violation: whatever arrives is dropped.
    Ended,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    message: Option<Assembly>,
    payload: Option<Payload>,
}

/// The message being received.
#[derive(Clone, Copy, Debug)]
struct Assembly {
    kind: MessageKind,
    first: bool,
    /// How many frames it has had beside the first, as far as that can be counted.
    continuations: u16,
    utf8: Utf8,
}

/// The data frame whose payload is being received.
#[derive(Clone, Copy, Debug)]
struct Payload {
    remaining: u64,
    mask: [u8; 4],
    fin: bool,
}

impl<B: Storage> Incoming<B> {
    /// A connection before its opening request, which may have up to `handshake_limit` bytes.
    ///
    /// The largest message has [`OVERHEAD`] bytes less than `storage`; with `streaming`, larger ones
    /// are given in pieces of up to that size instead of failing the connection.
    pub fn new(storage: B, handshake_limit: u16, streaming: bool) -> Self {
        Self {
            storage,
            phase: Phase::Handshake(RequestParser::new(handshake_limit)),
            floor: 0,
            start: 0,
            end: 0,
            pos: 0,
            len: 0,
            streaming,
            max_fragments: 0,
        }
    }

    /// Starts again with a new connection in the same storage.
    pub fn restart(&mut self, handshake_limit: u16, streaming: bool) {
        self.streaming = streaming;
        self.phase = Phase::Handshake(RequestParser::new(handshake_limit));
        (self.floor, self.start, self.end, self.pos, self.len) = (0, 0, 0, 0, 0);
    }

    /// Begins with the frames: somebody else has read the opening request and answered it. To be
    /// called before anything is received.
    pub fn skip_request(&mut self) {
        self.phase = Phase::Frames(Frames::default());
    }

    /// Takes bytes that somebody else has received, as if they had been received into the
    /// [`space`](Self::space). A request may be longer than that. False if there is no room for what
    /// is not of the request: nothing can be made of the connection then.
    pub fn preload(&mut self, mut received: &[u8]) -> bool {
        while !received.is_empty() {
            let space = self.space();
            let count = space.len().min(received.len());
            let (taken, rest) = received.split_at(count);
            space
                .iter_mut()
                .zip(taken)
                .for_each(|(place, byte)| *place = *byte);
            if count == 0 {
                return false;
            }
            self.received(count);
            received = rest;
            let in_request = matches!(self.phase, Phase::Handshake(_));
            if in_request && !received.is_empty() {
                // Parsing makes room, since little of a request is kept.
                if let Err(Step::Refuse(status)) = self.next_of_request() {
                    self.phase = Phase::Refused(status);
                    return true;
                }
            }
        }
        true
    }

    /// A message may have up to `most` fragments, empty ones too; 0: any number, as at first. One with
    /// more fails the connection with 1008. It stays so when the storage is used again.
    pub fn limit_fragments(&mut self, most: u16) {
        self.max_fragments = most;
    }

    /// The largest message that is given whole, in bytes.
    pub fn max_message(&self) -> usize {
        self.storage.capacity().saturating_sub(OVERHEAD)
    }

    /// Whether more can be received before [`upgrade`](Self::upgrade), with the request kept.
    pub fn has_room(&self) -> bool {
        self.len < self.storage.capacity()
    }

    /// Where the next bytes are to be received. Never empty unless something is held, or there is no
    /// [room](Self::has_room) behind the request.
    pub fn space(&mut self) -> &mut [u8] {
        let from = match &self.phase {
            Phase::Handshake(parser) => parser.receive_at(),
            // In front of it is the request, which somebody may still read.
            Phase::Upgrading(_) => self.len,
            Phase::Refused(_) => 0,
            Phase::Ended if self.floor == 0 => 0,
            Phase::Frames(_) | Phase::Ended => {
                self.compact();
                self.len
            }
        };
        self.storage.bytes_mut(from..self.storage.capacity())
    }

    /// Whether bytes were received that are not parsed yet.
    pub fn has_unparsed(&self) -> bool {
        self.pos < self.len
    }

    /// `count` bytes were received into the space.
    pub fn received(&mut self, count: usize) {
        match &self.phase {
            Phase::Handshake(parser) => {
                self.pos = parser.receive_at();
                self.len = self.pos.saturating_add(count);
            }
            Phase::Refused(_) | Phase::Ended => {}
            Phase::Upgrading(_) | Phase::Frames(_) => self.len = self.len.saturating_add(count),
        }
        self.len = self.len.min(self.storage.capacity());
    }

    /// What the bytes received so far come to next.
    pub fn step(&mut self) -> Step {
        let step = match &mut self.phase {
            Phase::Handshake(_) => self.next_of_request(),
            Phase::Upgrading(_) => Ok(Step::Request),
            Phase::Refused(status) => Err(Step::Refuse(*status)),
            Phase::Frames(_) => self.next_of_frames().map_err(Step::Fail),
            Phase::Ended => Ok(Step::NeedBytes),
        };
        step.unwrap_or_else(|end| {
            self.phase = Phase::Ended;
            end
        })
    }

    /// What the client asks for: to be read between [`Step::Request`] and
    /// [`upgrade`](Self::upgrade).
    pub fn request(&self) -> Option<Request<'_>> {
        match &self.phase {
            Phase::Upgrading(parser) => Some(parser.request(&self.storage)),
            _ => None,
        }
    }

    /// Goes on from the request to the frames, the first of which may already be there.
    pub fn upgrade(&mut self) {
        if let Phase::Upgrading(_) = self.phase {
            self.phase = Phase::Frames(Frames::default());
            (self.start, self.end) = (self.pos, self.pos);
        }
    }

    /// Nothing more is wanted of this connection: whatever arrives is dropped.
    pub fn end(&mut self) {
        self.phase = Phase::Ended;
    }

    /// The bytes that a step speaks of.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.storage.bytes(range)
    }

    /// The bytes that a step speaks of stay where they are until [`release`](Self::release).
    pub fn hold(&mut self, range: &Range<usize>) {
        self.floor = self.floor.max(range.end);
    }

    /// Nothing is held any more.
    pub fn release(&mut self) {
        self.floor = 0;
    }

    /// How much can be lent. It is nothing in the opening handshake.
    pub fn spare(&mut self) -> usize {
        match self.phase {
            Phase::Handshake(_) | Phase::Upgrading(_) => return 0,
            Phase::Frames(_) => self.compact(),
            // Nothing of it is wanted any more, but for what is held.
            Phase::Refused(_) | Phase::Ended => self.len = self.floor,
        }
        self.storage.capacity().saturating_sub(self.len)
    }

    /// Lends what is [`spare`](Self::spare) for `parts`, which are copied there, until something is
    /// received or parsed. Parts without room are left out.
    pub fn lend(&mut self, parts: &[&[u8]]) -> Range<usize> {
        let mut end = self.len;
        for part in parts {
            let space = end..end.saturating_add(part.len());
            let space = self.storage.bytes_mut(space);
            if space.len() == part.len() {
                space.copy_from_slice(part);
                end = end.saturating_add(part.len());
            }
        }
        self.len..end
    }

    fn next_of_request(&mut self) -> Result<Step, Step> {
        while self.pos < self.len {
            let at = self.pos;
            let [byte] = *self.storage.bytes(at..at.saturating_add(1)) else {
                break;
            };
            self.pos = at.saturating_add(1);
            let Phase::Handshake(parser) = &mut self.phase else {
                break;
            };
            if parser.push(&mut self.storage, byte).map_err(Step::Refuse)? {
                self.phase = Phase::Upgrading(*parser);
                return Ok(Step::Request);
            }
            if parser.receive_at() >= self.storage.capacity() {
                return Err(Step::Refuse(Status::HEADERS_TOO_LARGE));
            }
        }
        Ok(Step::NeedBytes)
    }

    fn next_of_frames(&mut self) -> Result<Step, Violation> {
        let Phase::Frames(mut frames) = self.phase else {
            return Ok(Step::NeedBytes);
        };
        let step = loop {
            let step = match frames.payload {
                Some(payload) => self.payload(&mut frames, payload)?,
                None => self.header(&mut frames)?,
            };
            if let Some(step) = step {
                break step;
            }
        };
        self.phase = match step {
            Step::Close { .. } => Phase::Ended,
            _ => Phase::Frames(frames),
        };
        Ok(step)
    }

    /// Reads the header at `pos`, and the whole frame if it is a control frame.
    fn header(&mut self, frames: &mut Frames) -> Result<Option<Step>, Violation> {
        let Some(header) = ClientHeader::parse(self.storage.bytes(self.pos..self.len))? else {
            return Ok(Some(Step::NeedBytes));
        };
        let body = self.pos.saturating_add(header.len);
        if header.opcode.is_control() {
            return self.control(&header, body);
        }
        match (header.opcode, &mut frames.message) {
            (Opcode::Continuation, None) => return Err(Violation::NothingToContinue),
            (Opcode::Continuation, Some(message)) => {
                message.continuations = message.continuations.saturating_add(1);
                if self.max_fragments > 0 && message.continuations >= self.max_fragments {
                    return Err(Violation::TooManyFragments);
                }
            }
            (_, Some(_)) => return Err(Violation::InsideFragmented),
            (opcode, None) => {
                let kind = match opcode {
                    Opcode::Text => MessageKind::Text,
                    _ => MessageKind::Binary,
                };
                if let Some(range) = self.whole_message(&header, body) {
                    return self.take_whole(&header, kind, range).map(Some);
                }
                frames.message = Some(Assembly {
                    kind,
                    first: true,
                    continuations: 0,
                    utf8: Utf8::default(),
                });
                (self.start, self.end) = (body, body);
            }
        }
        let room = self.max_message().saturating_sub(self.assembled());
        if !self.streaming && header.payload_len > room as u64 {
            return Err(Violation::TooBig);
        }
        self.pos = body;
        frames.payload = Some(Payload {
            remaining: header.payload_len,
            mask: header.mask,
            fin: header.fin,
        });
        Ok(None)
    }

    /// Where a message is that has arrived whole in one frame, as most do.
    fn whole_message(&self, header: &ClientHeader, body: usize) -> Option<Range<usize>> {
        let payload_len = usize::try_from(header.payload_len).ok()?;
        let end = body.checked_add(payload_len)?;
        let whole = header.fin && payload_len <= self.max_message() && end <= self.len;
        whole.then_some(body..end)
    }

    /// Takes such a message, without what it takes to put one together.
    fn take_whole(
        &mut self,
        header: &ClientHeader,
        kind: MessageKind,
        range: Range<usize>,
    ) -> Result<Step, Violation> {
        let bytes = self.storage.bytes_mut(range.clone());
        if kind == MessageKind::Binary {
            unmask(bytes, header.mask);
        } else if !unmask_text(bytes, header.mask) && from_utf8(bytes).is_none() {
            return Err(Violation::NotUtf8);
        }
        (self.start, self.end, self.pos) = (range.end, range.end, range.end);
        Ok(Step::Data(Data {
            kind,
            first: true,
            last: true,
            range,
        }))
    }

    fn control(&mut self, header: &ClientHeader, body: usize) -> Result<Option<Step>, Violation> {
        let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        let range = body..body.saturating_add(payload_len);
        if range.end > self.len {
            return Ok(Some(Step::NeedBytes));
        }
        unmask(self.storage.bytes_mut(range.clone()), header.mask);
        self.pos = range.end;
        Ok(Some(match header.opcode {
            Opcode::Ping => Step::Ping(range),
            Opcode::Pong => Step::Pong(range),
            _ => {
                let code =
                    close::parse_body(self.bytes(range.clone())).map_err(|bad| match bad {
                        BadClose::Code => Violation::CloseCode,
                        BadClose::Reason => Violation::CloseReason,
                    })?;
                Step::Close { code, body: range }
            }
        }))
    }

    /// Takes what has arrived of a data frame's payload: closes it up, unmasks and checks it.
    fn payload(
        &mut self,
        frames: &mut Frames,
        mut payload: Payload,
    ) -> Result<Option<Step>, Violation> {
        let Some(message) = &mut frames.message else {
            frames.payload = None;
            return Ok(None);
        };
        let room = self.max_message().saturating_sub(self.assembled());
        if room == 0 && payload.remaining > 0 {
            return Ok(Some(self.piece(message)));
        }
        let arrived = self.len.saturating_sub(self.pos);
        let count = usize::try_from(payload.remaining).unwrap_or(usize::MAX);
        let count = count.min(arrived).min(room);
        if count > 0 {
            if self.end != self.pos {
                if self.end < self.floor {
                    return Ok(Some(Step::NeedRelease));
                }
                let arrived = self.pos..self.pos.saturating_add(count);
                self.storage.shift(arrived, self.end);
            }
            let range = self.end..self.end.saturating_add(count);
            let bytes = self.storage.bytes_mut(range.clone());
            if message.kind == MessageKind::Binary {
                unmask(bytes, payload.mask);
            } else if !unmask_text(bytes, payload.mask) || message.utf8.unfinished() > 0 {
                message.utf8.push(bytes).map_err(|_| Violation::NotUtf8)?;
            }
            payload.mask = mask_at(payload.mask, count);
            payload.remaining = payload.remaining.saturating_sub(count as u64);
            self.end = range.end;
            self.pos = self.pos.saturating_add(count);
        }
        if payload.remaining > 0 {
            frames.payload = Some(payload);
            let full = self.assembled() >= self.max_message();
            return Ok((!full).then_some(Step::NeedBytes));
        }
        frames.payload = None;
        if !payload.fin {
            return Ok(None);
        }
        message.utf8.finish().map_err(|_| Violation::NotUtf8)?;
        let data = Data {
            kind: message.kind,
            first: message.first,
            last: true,
            range: self.start..self.end,
        };
        frames.message = None;
        self.start = self.end;
        Ok(Some(Step::Data(data)))
    }

    /// Gives the message so far, up to its last whole character, as a piece.
    fn piece(&mut self, message: &mut Assembly) -> Step {
        let whole = self.end.saturating_sub(message.utf8.unfinished());
        let data = Data {
            kind: message.kind,
            first: message.first,
            last: false,
            range: self.start..whole,
        };
        message.first = false;
        self.start = whole;
        Step::Data(data)
    }

    /// Bytes of the message being received.
    fn assembled(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Makes room: the message being received goes to the front, and what is not yet parsed behind
    /// it.
    fn compact(&mut self) {
        if self.floor > 0 {
            return;
        }
        let assembled = self.assembled();
        if self.start > 0 && assembled > 0 {
            self.storage.shift(self.start..self.end, 0);
        }
        let unparsed = self.len.saturating_sub(self.pos);
        if self.pos > assembled && unparsed > 0 {
            self.storage.shift(self.pos..self.len, assembled);
        }
        (self.start, self.end, self.pos) = (0, assembled, assembled);
        self.len = assembled.saturating_add(unparsed);
    }
}

#[cfg(test)]
mod tests;

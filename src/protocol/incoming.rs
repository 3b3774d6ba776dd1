// SPDX-License-Identifier: Apache-2.0
//! The incoming half of a connection: the opening request and the client's frames, in place in the
//! receive buffer.

use core::ops::Range;

use super::buffer::ReceiveBuffer;
use super::frames::{Frames, Limits};
use super::handshake::Status;
use super::request::{Request, RequestParser};
use super::step::Step;
use super::storage::Storage;

/// The incoming half of a connection.
///
/// Its owner receives into [`space`](Self::space), reports the number of bytes by [`received`](Self::received), and
/// takes steps from [`step`](Self::step) until it returns [`Step::NeedBytes`].
#[derive(Debug)]
pub struct Incoming<B> {
    buffer: ReceiveBuffer<B>,
    limits: Limits,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Handshake(RequestParser),
    /// The request is complete; its kept fields are still at the front of the buffer.
    Upgrading(RequestParser),
    /// The request must be refused with this status, which was not returned yet.
    Refused(Status),
    Frames(Frames),
    /// After a close frame, a refusal, or a violation: input is dropped.
    Ended,
}

impl<B: Storage> Incoming<B> {
    /// Creates a connection before its opening request, which may have up to `handshake_limit` bytes.
    ///
    /// The largest message is [`OVERHEAD`](super::OVERHEAD) bytes smaller than `storage`. With `streaming`, larger ones
    /// are delivered in pieces of up to that size; otherwise they fail the connection.
    pub fn new(storage: B, handshake_limit: u16, streaming: bool) -> Self {
        Self {
            buffer: ReceiveBuffer::new(storage),
            limits: Limits {
                streaming,
                max_fragments: 0,
            },
            phase: Phase::Handshake(RequestParser::new(handshake_limit)),
        }
    }

    /// Starts a new connection in the same storage.
    pub fn restart(&mut self, handshake_limit: u16, streaming: bool) {
        self.limits.streaming = streaming;
        self.phase = Phase::Handshake(RequestParser::new(handshake_limit));
        self.buffer.clear();
    }

    /// Starts with the frames, for a connection whose opening request was answered elsewhere. Call it before anything
    /// is received.
    pub fn skip_request(&mut self) {
        self.phase = Phase::Frames(Frames::default());
    }

    /// Processes bytes that were received elsewhere, as if they had been received into the [`space`](Self::space). A
    /// request may be longer than that. Returns false if the bytes behind the request do not fit: then the connection
    /// cannot be used. See [`step_keeping`](Self::step_keeping) for `names` and `pages`.
    pub fn preload(&mut self, mut received: &[u8], names: &str, pages: bool) -> bool {
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
                // Parsing makes room, because little of a request is kept.
                if let Err(Step::Refuse(status)) = self.next_of_request(names, pages) {
                    self.phase = Phase::Refused(status);
                    return true;
                }
            }
        }
        true
    }

    /// Limits messages to `most` fragments, including empty ones; 0, the default: no limit. One with more fails the
    /// connection with 1008. The limit persists when the storage is used again.
    pub fn limit_fragments(&mut self, most: u16) {
        self.limits.max_fragments = most;
    }

    /// Returns the largest message that is delivered whole, in bytes.
    pub fn max_message(&self) -> usize {
        self.buffer.max_message()
    }

    /// Returns whether more can be received before [`upgrade`](Self::upgrade), while the request is kept.
    pub fn has_room(&self) -> bool {
        self.buffer.len < self.buffer.capacity()
    }

    /// Returns the space for the next bytes. Empty only if something is held, or there is no [room](Self::has_room)
    /// behind the request.
    pub fn space(&mut self) -> &mut [u8] {
        let from = match &self.phase {
            Phase::Handshake(parser) => parser.receive_at(),
            // The request is in front of it, and may still be read.
            Phase::Upgrading(_) => self.buffer.len,
            Phase::Refused(_) => 0,
            Phase::Ended if self.buffer.floor == 0 => 0,
            Phase::Frames(frames) if frames.fits(&self.buffer) => self.buffer.len,
            Phase::Frames(_) | Phase::Ended => {
                self.buffer.compact();
                self.buffer.len
            }
        };
        self.buffer.tail_mut(from)
    }

    /// Returns whether there are unparsed bytes.
    pub fn has_unparsed(&self) -> bool {
        self.buffer.pos < self.buffer.len
    }

    /// Processes `count` bytes that were received into the space.
    pub fn received(&mut self, count: usize) {
        let buffer = &mut self.buffer;
        match &self.phase {
            Phase::Handshake(parser) => {
                buffer.pos = parser.receive_at();
                buffer.len = buffer.pos.saturating_add(count);
            }
            Phase::Refused(_) | Phase::Ended => {}
            Phase::Upgrading(_) | Phase::Frames(_) => {
                buffer.len = buffer.len.saturating_add(count);
            }
        }
        debug_assert!(buffer.len <= buffer.capacity());
        buffer.len = buffer.len.min(buffer.capacity());
    }

    /// Returns the next step of the received bytes.
    pub fn step(&mut self) -> Step {
        self.step_keeping("", false)
    }

    /// Returns the next step, as [`step`](Self::step). Header fields with these names, separated by spaces, are kept
    /// for [`Request::field`]. With `pages`, a request may ask for a page: GET or HEAD without an upgrade. Both must
    /// not change during a request.
    pub fn step_keeping(&mut self, names: &str, pages: bool) -> Step {
        let step = match &mut self.phase {
            Phase::Frames(frames) => match frames.next(&mut self.buffer, self.limits) {
                Ok(step) => step,
                Err(violation) => Step::Fail(violation),
            },
            Phase::Handshake(_) => {
                let next = self.next_of_request(names, pages);
                next.unwrap_or_else(|refusal| refusal)
            }
            Phase::Upgrading(_) => Step::Request,
            Phase::Refused(status) => Step::Refuse(*status),
            Phase::Ended => Step::NeedBytes,
        };
        if matches!(step, Step::Close { .. } | Step::Fail(_) | Step::Refuse(_)) {
            self.phase = Phase::Ended;
        }
        step
    }

    /// Returns the client's request, between [`Step::Request`] and [`upgrade`](Self::upgrade).
    pub fn request(&self) -> Option<Request<'_>> {
        match &self.phase {
            Phase::Upgrading(parser) => Some(parser.request(&self.buffer.storage)),
            _ => None,
        }
    }

    /// Returns whether no byte of the opening request was received yet.
    pub fn is_unheard(&self) -> bool {
        matches!(&self.phase, Phase::Handshake(parser) if parser.is_unheard())
    }

    /// Continues with the frames, the first of which may have been received already.
    pub fn upgrade(&mut self) {
        if let Phase::Upgrading(_) = self.phase {
            self.phase = Phase::Frames(Frames::default());
            self.buffer.begin_message(self.buffer.pos);
        }
    }

    /// Drops all input from now on.
    pub fn end(&mut self) {
        self.phase = Phase::Ended;
    }

    /// Returns the bytes that a step refers to.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.storage.bytes(range)
    }

    /// Puts a NUL after the whole text of the last step, before anything else is done. Returns the new range of its
    /// bytes. Needs a storage with a byte in [`FRONT`](Storage::FRONT).
    #[must_use]
    pub fn end_text(&mut self, range: &Range<usize>) -> Range<usize> {
        self.buffer.end_with_nul(range)
    }

    /// Returns the bytes that a step refers to, for writing.
    pub fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.buffer.storage.bytes_mut(range)
    }

    /// Keeps the bytes before `end`, which a step refers to, in place until [`release`](Self::release).
    pub fn hold(&mut self, end: usize) {
        self.buffer.floor = self.buffer.floor.max(end);
    }

    /// Releases the held bytes.
    pub fn release(&mut self) {
        self.buffer.floor = 0;
    }

    /// Returns how many bytes can be lent: none during the opening handshake.
    pub fn spare(&mut self) -> usize {
        match self.phase {
            Phase::Handshake(_) | Phase::Upgrading(_) => return 0,
            Phase::Frames(_) => self.buffer.compact(),
            // Only held bytes are still needed.
            Phase::Refused(_) | Phase::Ended => self.buffer.len = self.buffer.floor,
        }
        self.buffer.capacity().saturating_sub(self.buffer.len)
    }

    /// Lends [`spare`](Self::spare) bytes for `parts`, which are copied there, until something is received or parsed.
    /// Skips parts without room.
    pub fn lend(&mut self, parts: &[&[u8]]) -> Range<usize> {
        self.buffer.put_behind(parts)
    }

    #[inline(never)] // for size
    fn next_of_request(&mut self, names: &str, pages: bool) -> Result<Step, Step> {
        let buffer = &mut self.buffer;
        while buffer.pos < buffer.len {
            let at = buffer.pos;
            let [byte] = *buffer.storage.bytes(at..at.saturating_add(1)) else {
                break;
            };
            buffer.pos = at.saturating_add(1);
            let Phase::Handshake(parser) = &mut self.phase else {
                break;
            };
            if parser
                .push(&mut buffer.storage, names, pages, byte)
                .map_err(Step::Refuse)?
            {
                self.phase = Phase::Upgrading(*parser);
                return Ok(Step::Request);
            }
            if parser.receive_at() >= buffer.capacity() {
                return Err(Step::Refuse(parser.too_long()));
            }
        }
        Ok(Step::NeedBytes)
    }
}

#[cfg(test)]
mod tests;

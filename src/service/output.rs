// SPDX-License-Identifier: Apache-2.0
//! A client's output: bytes that were accepted for sending, and not sent yet.
//!
//! Only one sender writes at a time. Unsent output leaves in this order: the block (batched frames, or the rest of
//! one), the bytes in the receive buffer (a message that is sent back in place, or the rest of a frame), the close
//! frame.

use core::ops::Range;

use super::inbound::Inbound;
use super::port::{Port, Socket, SocketError};
use super::time::Instant;
use crate::protocol::{CloseCode, FrameHeader, Incoming, Opcode, Storage};

/// The maximum number of parts of a write: a block and a handshake response.
pub(super) const PARTS: usize = 8;

bitflags::bitflags! {
    /// Unusual states of an output, in one word: empty while the client takes everything at once.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Flags: u8 {
        /// The socket took less than it was given, and is watched for writing.
        const BLOCKED = 1;
        /// An application thread is in the middle of a frame; only it may write.
        const CALLER = 2;
        /// The connection accepts no more output.
        const BROKEN = 4;
        /// A frame was refused for lack of room; WRITABLE is emitted when there is room.
        const REFUSED = 8;
        /// It was refused because no block was free.
        const WANTS_BLOCK = 16;
        /// Unsent output is in the receive buffer.
        const OWN = 32;
        /// A close frame is unsent.
        const CLOSE = 64;
        /// The network had no buffers: unsent output is tried again when the pause of all output ends. Without
        /// `BLOCKED`, this is only the block, and more frames may be put there.
        const STARVED = 128;
    }
}

/// The output of one client.
pub(super) struct Output<P: Port> {
    flags: Flags,
    /// The number of threads that wait for their turn.
    pub waiters: u16,
    /// The time since when it is blocked.
    pub since: Instant,
    block: Option<Block<P::Storage>>,
    /// Only with `OWN`.
    own: Own,
    /// The number of header bytes that were sent.
    header_sent: u8,
    /// Only with `CLOSE`.
    close: CloseFrame,
}

/// A block of the pool. The bytes `head..tail` are unsent.
struct Block<B> {
    storage: B,
    head: usize,
    tail: usize,
}

/// The rest of a frame whose payload is sent from the receive buffer. Meanwhile nothing is received or parsed.
struct Own {
    payload: Range<usize>,
    header: FrameHeader,
}

#[derive(Clone, Copy)]
struct CloseFrame {
    /// 0: no code.
    code: u16,
    sent: u8,
}

impl CloseFrame {
    fn bytes(self) -> [u8; 4] {
        let [first, second] = self.code.to_be_bytes();
        let len = if self.code > 0 { 2 } else { 0 };
        [0x80 | Opcode::Close as u8, len, first, second]
    }

    /// Returns the unsent part of `bytes`.
    fn unsent(self, bytes: &[u8; 4]) -> &[u8] {
        let len = if self.code > 0 { 4 } else { 2 };
        bytes.get(usize::from(self.sent)..len).unwrap_or_default()
    }
}

/// Removes up to `count` bytes from the range `start..end`, and from the count.
fn take(start: &mut usize, end: usize, count: &mut usize) {
    let taken = end.saturating_sub(*start).min(*count);
    *start = start.wrapping_add(taken);
    *count = count.wrapping_sub(taken);
}

impl<P: Port> Output<P> {
    pub const fn new() -> Self {
        Self {
            flags: Flags::empty(),
            waiters: 0,
            since: Instant(0),
            block: None,
            own: Own {
                payload: 0..0,
                header: FrameHeader::NONE,
            },
            header_sent: 0,
            close: CloseFrame { code: 0, sent: 0 },
        }
    }

    /// Prepares for a new connection. The previous one left nothing.
    pub fn reset(&mut self) {
        debug_assert!(self.block.is_none());
        self.flags = Flags::empty();
        self.waiters = 0;
    }

    /// Returns whether there is no unusual state: a frame can be sent, and none was refused.
    pub const fn is_plain(&self) -> bool {
        self.flags.is_empty()
    }

    /// Returns whether a new frame can be sent or kept now.
    pub const fn is_clear(&self) -> bool {
        let in_the_way = Flags::BLOCKED
            .union(Flags::CALLER)
            .union(Flags::OWN)
            .union(Flags::CLOSE);
        !self.flags.intersects(in_the_way)
    }

    /// Returns whether there is unsent output.
    pub fn pending(&self) -> bool {
        self.flags.intersects(Flags::OWN.union(Flags::CLOSE))
            || self.block_len() > 0
            || P::TLS && self.is_blocked()
    }

    /// Returns whether the socket took less than it was given, and has not taken more since.
    pub const fn is_blocked(&self) -> bool {
        self.flags.contains(Flags::BLOCKED)
    }

    /// Returns whether unsent output waits for buffers of the network.
    pub const fn is_starved(&self) -> bool {
        P::LACKS_BUFFERS && self.flags.contains(Flags::STARVED)
    }

    /// Records that the network has no buffers for unsent output, or had none for another client.
    #[cold]
    pub fn starve(&mut self, port: &P) {
        if !self.is_blocked() {
            self.since = port.now();
            let elsewhere = self.flags.intersects(Flags::OWN.union(Flags::CLOSE));
            self.flags
                .set(Flags::BLOCKED, elsewhere && !self.has_caller());
        }
        self.flags.insert(Flags::STARVED);
    }

    /// Records that there may be buffers again. Returns whether this affects the client, or threads that send to it.
    pub fn end_starvation(&mut self) -> bool {
        let matters = Flags::STARVED.union(Flags::REFUSED);
        let waited = self.flags.intersects(matters) || self.waiters > 0;
        self.flags.remove(Flags::STARVED);
        waited
    }

    /// Waits for room only, because the client sends no more.
    pub fn wait_for_room(&mut self, port: &P) {
        if self.is_starved() {
            self.block(port);
        }
    }

    /// Returns whether the connection accepts no more output.
    pub const fn is_broken(&self) -> bool {
        self.flags.contains(Flags::BROKEN)
    }

    /// Returns whether an application thread is in the middle of a frame.
    pub const fn has_caller(&self) -> bool {
        self.flags.contains(Flags::CALLER)
    }

    pub fn set_caller(&mut self, has_caller: bool) {
        self.flags.set(Flags::CALLER, has_caller);
    }

    /// Returns whether a frame was refused since the last [`clear_refused`](Self::clear_refused).
    pub const fn was_refused(&self) -> bool {
        self.flags.contains(Flags::REFUSED)
    }

    /// Returns whether a frame was refused because no block was free.
    pub const fn wants_block(&self) -> bool {
        self.flags.contains(Flags::WANTS_BLOCK)
    }

    pub fn set_refused(&mut self) {
        self.flags.insert(Flags::REFUSED);
    }

    pub fn set_wants_block(&mut self) {
        self.flags.insert(Flags::WANTS_BLOCK);
    }

    pub fn clear_refused(&mut self) {
        self.flags.remove(Flags::REFUSED.union(Flags::WANTS_BLOCK));
    }

    pub const fn has_block(&self) -> bool {
        self.block.is_some()
    }

    /// Returns whether unsent output is in the receive buffer.
    pub const fn holds_own(&self) -> bool {
        self.flags.contains(Flags::OWN)
    }

    pub fn give_block(&mut self, storage: P::Storage) {
        debug_assert!(self.block.is_none());
        self.block = Some(Block {
            storage,
            head: 0,
            tail: 0,
        });
    }

    /// Returns the block, if it is empty.
    pub fn take_empty_block(&mut self) -> Option<P::Storage> {
        if self.block_len() > 0 {
            return None;
        }
        self.block.take().map(|block| block.storage)
    }

    /// Drops all unsent output, and returns the block. Nothing can be sent any more.
    pub fn discard(&mut self) -> Option<P::Storage> {
        self.break_off();
        self.block.take().map(|block| block.storage)
    }

    /// Marks the connection as broken: it accepts no more output.
    pub fn break_off(&mut self) {
        self.flags
            .remove(Flags::OWN.union(Flags::CLOSE).union(Flags::BLOCKED));
        self.flags.remove(Flags::STARVED);
        self.flags.insert(Flags::BROKEN);
        if let Some(block) = &mut self.block {
            block.head = block.tail;
        }
    }

    /// Appends `parts`, of `total` bytes, to the block, if there is one with room for all of them.
    pub fn append(&mut self, parts: &[&[u8]], total: usize) -> bool {
        let Some(block) = &mut self.block else {
            return false;
        };
        debug_assert_eq!(total, total_len(parts));
        let unsent = block.tail.saturating_sub(block.head);
        if unsent.saturating_add(total) > block.storage.capacity() {
            return false;
        }
        if block.head > 0 {
            block.storage.shift(block.head..block.tail, 0);
            (block.head, block.tail) = (0, unsent);
        }
        let end = block.tail.saturating_add(total);
        let mut space = block.storage.bytes_mut(block.tail..end);
        for part in parts {
            if let Some((place, rest)) =
                core::mem::take(&mut space).split_at_mut_checked(part.len())
            {
                place.copy_from_slice(part);
                space = rest;
            }
        }
        block.tail = end;
        true
    }

    /// Keeps a frame of which `sent` bytes were sent. Its payload stays in the receive buffer.
    pub fn keep_own(&mut self, header: FrameHeader, payload: Range<usize>, mut sent: usize) {
        debug_assert!(!self.holds_own());
        self.own = Own { payload, header };
        self.header_sent = 0;
        self.own_sent(&mut sent);
        self.flags.insert(Flags::OWN);
        if self.is_starved() {
            // Nothing can be appended to it.
            self.flags.insert(Flags::BLOCKED);
        }
    }

    /// Removes sent bytes from the output in the receive buffer, and from the count. Returns whether all of it was
    /// sent.
    fn own_sent(&mut self, count: &mut usize) -> bool {
        let header = self.own.header.as_bytes().len();
        let mut header_sent = usize::from(self.header_sent);
        take(&mut header_sent, header, count);
        // At most 10.
        self.header_sent = u8::try_from(header_sent).unwrap_or(u8::MAX);
        let payload = &mut self.own.payload;
        take(&mut payload.start, payload.end, count);
        header_sent == header && payload.start >= payload.end
    }

    /// Keeps bytes that are in the receive buffer.
    pub fn keep_lent(&mut self, bytes: Range<usize>) {
        self.keep_own(FrameHeader::NONE, bytes, 0);
    }

    /// Keeps the body of a page with this number and length, behind the block. The connection ends with it: no close
    /// frame follows.
    pub fn keep_page(&mut self, number: u16, len: usize) {
        if !self.is_broken() {
            self.keep_own(FrameHeader::NONE, 0..len, 0);
            self.close.code = number;
        }
    }

    /// Returns the number of the page, if part of its body is unsent.
    pub fn page(&self) -> Option<usize> {
        self.holds_own().then(|| usize::from(self.close.code))
    }

    /// Sends as [`flush`](Self::flush), for a response with this page.
    pub fn flush_page(&mut self, socket: &P::Socket, body: &[u8], port: &P) {
        let rest = body.get(self.own.payload.clone()).unwrap_or_default();
        let all = [self.unsent_block(), rest];
        let wanted = total_len(&all);
        if wanted == 0 && !(P::TLS && socket.has_unsent() && !self.is_broken()) {
            return self.unblock();
        }
        let sent = socket.send(&all);
        let mut count = self.sent(socket, sent, wanted, port);
        if sent.is_ok_and(|sent| sent > 0) {
            self.since = port.now();
        }
        if self.holds_own() {
            let all_sent = self.own_sent(&mut count);
            self.flags.set(Flags::OWN, !all_sent);
        }
    }

    /// Moves the unsent bytes of the block to the receive buffer, if they fit. The block is empty then.
    pub fn spill(&mut self, inbound: &mut Inbound<P::Storage>) {
        let len = self.block_len();
        if len == 0 || self.has_caller() || self.holds_own() || self.is_starved() {
            return;
        }
        if inbound.spare() < len {
            return;
        }
        let Some(block) = &mut self.block else {
            return;
        };
        let unsent = block.storage.bytes(block.head..block.tail);
        let lent = inbound.incoming.lend(&[unsent]);
        (block.head, block.tail) = (0, 0);
        self.keep_lent(lent);
    }

    /// Puts a close frame behind all other output.
    pub fn close(&mut self, code: Option<CloseCode>) {
        if !self.is_broken() {
            let code = code.map_or(0, CloseCode::get);
            self.close = CloseFrame { code, sent: 0 };
            self.flags.insert(Flags::CLOSE);
        }
    }

    /// Records that the socket took less than it was given, or keeps some of it.
    pub fn block(&mut self, port: &P) {
        if !self.is_blocked() {
            self.flags.insert(Flags::BLOCKED);
            self.since = port.now();
        }
    }

    /// Records that the socket can take more.
    pub fn unblock(&mut self) {
        self.flags.remove(Flags::BLOCKED);
    }

    /// Writes the block and then `parts` in one call. Returns the number of bytes of `parts` that were sent. Called
    /// only while the output is clear, or by the caller in the middle of a frame.
    pub fn write(&mut self, socket: &P::Socket, parts: &[&[u8]], port: &P) -> usize {
        let block = self.unsent_block();
        let wanted = block.len().saturating_add(total_len(parts));
        let sent = if block.is_empty() {
            socket.send(parts)
        } else {
            let mut all = [block; PARTS];
            if let Some(behind) = all.get_mut(1..=parts.len()) {
                behind.copy_from_slice(parts);
            }
            debug_assert!(parts.len() < PARTS);
            socket.send(all.get(..=parts.len()).unwrap_or_default())
        };
        self.sent(socket, sent, wanted, port)
    }

    /// Sends unsent output, as far as the socket takes it. Output in the receive buffer is sent only if `incoming` is
    /// given.
    pub fn flush(&mut self, socket: &P::Socket, incoming: Option<&Incoming<P::Storage>>, port: &P) {
        if self.has_caller() {
            return;
        }
        if !self.flags.intersects(Flags::OWN.union(Flags::CLOSE)) {
            // The usual case.
            let block = self.unsent_block();
            if block.is_empty() && !(P::TLS && socket.has_unsent() && !self.is_broken()) {
                return self.unblock();
            }
            let (sent, wanted) = (socket.send(&[block]), block.len());
            self.sent(socket, sent, wanted, port);
            return;
        }
        let (mut header, mut payload, mut close) = (&[][..], &[][..], &[][..]);
        let close_frame = self.close.bytes();
        if self.holds_own() {
            let Some(incoming) = incoming else {
                return self.block(port);
            };
            let sent = usize::from(self.header_sent);
            header = self.own.header.as_bytes().get(sent..).unwrap_or_default();
            payload = incoming.bytes(self.own.payload.clone());
        }
        if self.flags.contains(Flags::CLOSE) {
            close = self.close.unsent(&close_frame);
        }
        let all = [self.unsent_block(), header, payload, close];
        let wanted = total_len(&all);
        let sent = socket.send(&all);
        let mut count = self.sent(socket, sent, wanted, port);
        if self.holds_own() {
            let all_sent = self.own_sent(&mut count);
            self.flags.set(Flags::OWN, !all_sent);
        }
        if self.flags.contains(Flags::CLOSE) {
            let sent = u8::try_from(count).unwrap_or(u8::MAX);
            self.close.sent = self.close.sent.saturating_add(sent);
            if self.close.unsent(&close_frame).is_empty() {
                self.flags.remove(Flags::CLOSE);
            }
        }
    }

    /// Removes sent bytes from the block. Returns how many bytes beyond it were sent: of the output written after it,
    /// which is not a close frame while a caller is in the middle of its own frame.
    fn sent(
        &mut self,
        socket: &P::Socket,
        sent: Result<usize, SocketError>,
        wanted: usize,
        port: &P,
    ) -> usize {
        let keeps = P::TLS && socket.has_unsent();
        let mut count = match sent {
            Ok(count) => count,
            Err(SocketError::WouldBlock) => 0,
            Err(SocketError::NoBuffers) if !P::LACKS_BUFFERS => 0,
            Err(SocketError::NoBuffers) => {
                // The client is not the reason for the wait.
                self.unblock();
                self.starve(port);
                if keeps && !self.has_caller() {
                    self.block(port);
                }
                return 0;
            }
            Err(_) => {
                self.break_off();
                return 0;
            }
        };
        debug_assert!(count <= wanted);
        if count < wanted || keeps {
            self.block(port);
        } else {
            self.unblock();
        }
        if let Some(block) = &mut self.block {
            take(&mut block.head, block.tail, &mut count);
        }
        count
    }

    fn unsent_block(&self) -> &[u8] {
        self.block
            .as_ref()
            .map_or(&[], |block| block.storage.bytes(block.head..block.tail))
    }

    fn block_len(&self) -> usize {
        self.block
            .as_ref()
            .map_or(0, |block| block.tail.saturating_sub(block.head))
    }
}

/// Returns the total length of `parts`.
pub(super) fn total_len(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

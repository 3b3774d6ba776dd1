//! A client's output: what has been accepted for sending and has not gone out yet.
//!
//! At most one of the senders writes at a time, and what is unsent goes out in this order: the block
//! (frames batched, or the rest of one), what lies in the receive buffer (a message sent back from
//! where it was received, or the rest of a frame for a client that waits), the close frame.

use core::ops::Range;

use super::port::{Instant, Port, Socket, SocketError};
use super::slot::Inbound;
use crate::protocol::{CloseCode, FrameHeader, Incoming, Opcode, Storage};

/// The most parts that are written at once: a block and a handshake response.
const PARTS: usize = 8;

/// The output of one client.
pub(super) struct Output<P: Port> {
    block: Option<Block<P::Storage>>,
    own: Option<Own>,
    close: Option<CloseFrame>,
    /// An application thread is in the middle of a frame; only it may write.
    pub caller: bool,
    /// The socket took less than it was given, and is watched until it takes more.
    pub blocked: bool,
    /// Since when it is blocked.
    pub since: Instant,
    /// The connection takes nothing any more.
    pub broken: bool,
    /// A frame was refused for want of room; the application is to be told when there is room.
    pub refused: bool,
    /// It was for want of a block.
    pub wants_block: bool,
    /// Threads that wait for their turn.
    pub waiters: u16,
}

/// A block of the pool with the bytes `head..tail` unsent.
struct Block<B> {
    storage: B,
    head: usize,
    tail: usize,
}

/// The rest of a frame whose payload is sent from the receive buffer. Nothing is received or parsed
/// until it has gone.
struct Own {
    header: FrameHeader,
    header_sent: usize,
    payload: Range<usize>,
}

struct CloseFrame {
    bytes: [u8; 4],
    unsent: Range<usize>,
}

impl CloseFrame {
    fn new(code: Option<CloseCode>) -> Self {
        let [first, second] = match code {
            Some(code) => code.get().to_be_bytes(),
            None => [0, 0],
        };
        let len: u8 = if code.is_some() { 2 } else { 0 };
        Self {
            bytes: [0x80 | Opcode::Close as u8, len, first, second],
            unsent: 0..2 + usize::from(len),
        }
    }
}

/// Takes up to `count` bytes off a range, and off the count.
fn take(range: &mut Range<usize>, count: &mut usize) {
    let taken = range.len().min(*count);
    range.start = range.start.saturating_add(taken);
    *count = count.saturating_sub(taken);
}

impl<P: Port> Output<P> {
    pub fn new() -> Self {
        Self {
            block: None,
            own: None,
            close: None,
            caller: false,
            blocked: false,
            since: Instant(0),
            broken: false,
            refused: false,
            wants_block: false,
            waiters: 0,
        }
    }

    /// Whether there is anything unsent.
    pub fn pending(&self) -> bool {
        self.own.is_some() || self.close.is_some() || self.block_len() > 0
    }

    /// Whether a new frame can go out, or be kept, now.
    pub fn is_clear(&self) -> bool {
        !self.blocked && !self.caller && self.own.is_none() && self.close.is_none()
    }

    pub fn has_block(&self) -> bool {
        self.block.is_some()
    }

    /// Whether unsent output lies in the receive buffer.
    pub fn holds_own(&self) -> bool {
        self.own.is_some()
    }

    pub fn give_block(&mut self, storage: P::Storage) {
        self.block = Some(Block {
            storage,
            head: 0,
            tail: 0,
        });
    }

    /// The block, if nothing in it is unsent.
    pub fn take_empty_block(&mut self) -> Option<P::Storage> {
        if self.block_len() > 0 {
            return None;
        }
        self.block.take().map(|block| block.storage)
    }

    /// Drops everything unsent and gives back the block. Nothing can be sent any more.
    pub fn discard(&mut self) -> Option<P::Storage> {
        self.own = None;
        self.close = None;
        self.blocked = false;
        self.broken = true;
        self.block.take().map(|block| block.storage)
    }

    /// Keeps `parts` behind what is in the block, if there is one and it has room for all of them.
    pub fn append(&mut self, parts: &[&[u8]]) -> bool {
        let Some(block) = &mut self.block else {
            return false;
        };
        let total = total_len(parts);
        if block.tail.saturating_sub(block.head).saturating_add(total) > block.storage.capacity() {
            return false;
        }
        if block.tail.saturating_add(total) > block.storage.capacity() || block.head == block.tail {
            block.storage.shift(block.head..block.tail, 0);
            (block.head, block.tail) = (0, block.tail.saturating_sub(block.head));
        }
        for part in parts {
            let end = block.tail.saturating_add(part.len());
            let space = block.storage.bytes_mut(block.tail..end);
            if space.len() == part.len() {
                space.copy_from_slice(part);
                block.tail = end;
            }
        }
        true
    }

    /// Keeps a frame of which `sent` bytes have gone, its payload staying in the receive buffer.
    pub fn keep_own(&mut self, header: FrameHeader, payload: Range<usize>, sent: usize) {
        let header_sent = sent.min(header.as_bytes().len());
        let start = payload
            .start
            .saturating_add(sent.saturating_sub(header_sent));
        self.own = Some(Own {
            header,
            header_sent,
            payload: start.min(payload.end)..payload.end,
        });
    }

    /// Keeps bytes that lie in the receive buffer.
    pub fn keep_lent(&mut self, bytes: Range<usize>) {
        let header = FrameHeader::new(true, Opcode::Binary, 0);
        let header_sent = header.as_bytes().len();
        self.keep_own(header, bytes, header_sent);
    }

    /// Moves what is unsent in the block to the receive buffer, if it has room for all of it. The
    /// block is empty then.
    pub fn spill(&mut self, inbound: &mut Inbound<P>) {
        let len = self.block_len();
        let Some(block) = &mut self.block else {
            return;
        };
        if len == 0 || self.caller || self.own.is_some() || inbound.spare() < len {
            return;
        }
        let unsent = block.storage.bytes(block.head..block.tail);
        let lent = inbound.incoming.lend(&[unsent]);
        (block.head, block.tail) = (0, 0);
        self.keep_lent(lent);
    }

    /// Puts a close frame behind everything else.
    pub fn close(&mut self, code: Option<CloseCode>) {
        if !self.broken {
            self.close = Some(CloseFrame::new(code));
        }
    }

    /// The socket took less than it was given.
    pub fn block(&mut self, now: Instant) {
        if !self.blocked {
            self.blocked = true;
            self.since = now;
        }
    }

    /// Writes the block and then `parts` at once; how many bytes of `parts` went. To be called only
    /// while the output is clear, or by the caller in the middle of a frame.
    pub fn write(&mut self, socket: &P::Socket, parts: &[&[u8]], now: Instant) -> usize {
        let mut all = heapless::Vec::<&[u8], PARTS>::new();
        if let Some(block) = &self.block {
            let _ = all.push(block.storage.bytes(block.head..block.tail));
        }
        let _ = all.extend_from_slice(parts);
        let wanted = total_len(&all);
        let sent = socket.send(&all);
        drop(all);
        self.sent(sent, wanted, now)
    }

    /// Writes what is unsent, as far as the socket takes it. What lies in the receive buffer can
    /// only be sent with it.
    pub fn flush(
        &mut self,
        socket: &P::Socket,
        incoming: Option<&Incoming<P::Storage>>,
        now: Instant,
    ) {
        if self.caller {
            return;
        }
        if !self.pending() {
            self.blocked = false;
            return;
        }
        if self.own.is_some() && incoming.is_none() {
            return self.block(now);
        }
        let mut all = heapless::Vec::<&[u8], PARTS>::new();
        if let Some(block) = &self.block {
            let _ = all.push(block.storage.bytes(block.head..block.tail));
        }
        if let (Some(own), Some(incoming)) = (&self.own, incoming) {
            let header = own.header.as_bytes().get(own.header_sent..);
            let _ = all.push(header.unwrap_or_default());
            let _ = all.push(incoming.bytes(own.payload.clone()));
        }
        if let Some(close) = &self.close {
            let _ = all.push(close.bytes.get(close.unsent.clone()).unwrap_or_default());
        }
        let wanted = total_len(&all);
        let sent = socket.send(&all);
        drop(all);
        let mut count = self.sent(sent, wanted, now);
        if let Some(own) = &mut self.own {
            let mut header = own.header_sent..own.header.as_bytes().len();
            take(&mut header, &mut count);
            own.header_sent = header.start;
            take(&mut own.payload, &mut count);
            if header.is_empty() && own.payload.is_empty() {
                self.own = None;
            }
        }
        if let Some(close) = &mut self.close {
            take(&mut close.unsent, &mut count);
            if close.unsent.is_empty() {
                self.close = None;
            }
        }
    }

    /// Takes what was sent off the block. Gives how many bytes went beyond that: what was written
    /// behind it, which is not a close frame while a caller is in the middle of its own.
    fn sent(&mut self, sent: Result<usize, SocketError>, wanted: usize, now: Instant) -> usize {
        let mut count = match sent {
            Ok(count) => count,
            Err(SocketError::WouldBlock) => 0,
            Err(SocketError::Failed) => {
                self.broken = true;
                self.own = None;
                self.close = None;
                if let Some(block) = &mut self.block {
                    block.head = block.tail;
                }
                self.blocked = false;
                return 0;
            }
        };
        if count < wanted {
            self.block(now);
        } else {
            self.blocked = false;
        }
        if let Some(block) = &mut self.block {
            let mut unsent = block.head..block.tail;
            take(&mut unsent, &mut count);
            block.head = unsent.start;
        }
        count
    }

    fn block_len(&self) -> usize {
        self.block
            .as_ref()
            .map_or(0, |block| block.tail.saturating_sub(block.head))
    }
}

/// How many bytes `parts` have together.
pub(super) fn total_len(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

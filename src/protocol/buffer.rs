// SPDX-License-Identifier: Apache-2.0
//! The receive buffer, and its layout.
//!
//! ```text
//! 0            floor   start          end    pos          len        capacity
//! | held by the app |   | message so far | gap | not yet parsed | free      |
//! ```
//!
//! Bytes are received at `len` and parsed at `pos`. Those of a fragmented message are closed up at `end`. Nothing below
//! `floor` is written or moved: the application holds it.

use core::ops::Range;

use super::frame::{CONTROL_HEADER, MAX_CONTROL_PAYLOAD};
use super::storage::Storage;

/// The receive buffer's overhead beside the largest message: a whole control frame, which may come between the
/// fragments of a message that fills the rest. That is more than any header.
pub const OVERHEAD: usize = CONTROL_HEADER + MAX_CONTROL_PAYLOAD;

/// The receive buffer. See the picture at the top of the module.
#[derive(Debug)]
pub(super) struct ReceiveBuffer<B> {
    pub storage: B,
    pub floor: usize,
    pub start: usize,
    pub end: usize,
    pub pos: usize,
    pub len: usize,
}

impl<B: Storage> ReceiveBuffer<B> {
    pub const fn new(storage: B) -> Self {
        Self {
            storage,
            floor: 0,
            start: 0,
            end: 0,
            pos: 0,
            len: 0,
        }
    }

    /// Discards everything.
    pub fn clear(&mut self) {
        (self.floor, self.start, self.end, self.pos, self.len) = (0, 0, 0, 0, 0);
    }

    pub fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// Returns the largest message that fits, in bytes.
    pub fn max_message(&self) -> usize {
        self.storage.max_message()
    }

    /// Returns the bytes from `at` to the end.
    pub fn tail_mut(&mut self, at: usize) -> &mut [u8] {
        let capacity = self.capacity();
        self.storage.bytes_mut(at..capacity)
    }

    /// Returns the unparsed bytes.
    pub fn unparsed(&self) -> &[u8] {
        self.storage.bytes(self.pos..self.len)
    }

    /// Returns the number of received bytes of the current message.
    pub fn assembled(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Begins the next message at `at`.
    pub fn begin_message(&mut self, at: usize) {
        (self.start, self.end) = (at, at);
    }

    /// Copies `parts` behind the received bytes. Skips parts without room.
    pub fn put_behind(&mut self, parts: &[&[u8]]) -> Range<usize> {
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

    /// Makes room: moves the current message to the front, and the unparsed bytes behind it.
    pub fn compact(&mut self) {
        if self.floor > 0 || self.pos <= B::FRONT {
            return;
        }
        let assembled = self.assembled();
        if self.start > B::FRONT && assembled > 0 {
            self.storage.shift(self.start..self.end, B::FRONT);
        }
        let end = assembled.saturating_add(B::FRONT);
        let unparsed = self.len.saturating_sub(self.pos);
        if self.pos > end && unparsed > 0 {
            self.storage.shift(self.pos..self.len, end);
        }
        (self.start, self.end, self.pos) = (B::FRONT, end, end);
        self.len = end.saturating_add(unparsed);
    }

    /// Puts a NUL after the message in `range`, which was parsed last. Returns the new range. If nothing was received
    /// behind the message, the NUL counts as received and parsed. Otherwise the message moves one byte to the front,
    /// over a header or [`FRONT`](Storage::FRONT), which are not needed any more.
    pub fn end_with_nul(&mut self, range: &Range<usize>) -> Range<usize> {
        let Range { mut start, mut end } = *range;
        let is_last = end == self.len && end < self.capacity();
        if is_last {
            end = end.saturating_add(1);
            (self.pos, self.len) = (end, end);
        } else {
            debug_assert!(start > 0, "there is a byte in front");
            start = start.saturating_sub(1);
        }
        let bytes = self.storage.bytes_mut(start..end);
        if !is_last && !bytes.is_empty() {
            bytes.copy_within(1.., 0);
        }
        if let Some(nul) = bytes.last_mut() {
            *nul = 0;
        }
        start..end.saturating_sub(1)
    }
}

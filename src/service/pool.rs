// SPDX-License-Identifier: Apache-2.0
//! The blocks for unsent output.

use super::port::Port;
use crate::protocol::Storage;

/// The blocks of a service, behind a lock.
pub struct Pool<P: Port> {
    blocks: P::Blocks,
    used: u32,
    most_used: u32,
    /// A block was requested while none was free.
    starved: bool,
}

impl<P: Port> Pool<P> {
    /// Creates a pool of these blocks, which are set here or by [`Service::equip`](super::Service::equip).
    pub const fn new(blocks: P::Blocks) -> Self {
        Self {
            blocks,
            used: 0,
            most_used: 0,
            starved: false,
        }
    }

    /// Replaces the blocks. Returns the size of each.
    pub(super) fn equip(&mut self, mut blocks: P::Blocks) -> usize {
        let sizes = blocks.as_mut().iter().flatten().map(Storage::capacity);
        let size = sizes.min().unwrap_or(0);
        self.blocks = blocks;
        size
    }

    /// Resets the maximum number of blocks in use.
    pub(super) fn restart(&mut self) {
        self.most_used = self.used;
    }

    /// Returns the number of blocks in use now, and the maximum so far.
    pub(super) fn used(&self) -> (u32, u32) {
        (self.used, self.most_used)
    }

    /// Returns whether a block is free. If not, records that one was requested.
    pub(super) fn has_block(&mut self) -> bool {
        let is_free = self.blocks.as_mut().iter().any(Option::is_some);
        self.starved |= !is_free;
        is_free
    }

    pub(super) fn take(&mut self) -> Option<P::Storage> {
        let block = self.blocks.as_mut().iter_mut().find_map(Option::take);
        match block {
            Some(_) => {
                self.used = self.used.saturating_add(1);
                self.most_used = self.most_used.max(self.used);
            }
            None => self.starved = true,
        }
        block
    }

    /// Takes a block back. Returns true if one was requested while none was free, since the last call.
    pub(super) fn give(&mut self, block: P::Storage) -> bool {
        if let Some(place) = self
            .blocks
            .as_mut()
            .iter_mut()
            .find(|place| place.is_none())
        {
            *place = Some(block);
            self.used = self.used.saturating_sub(1);
        }
        core::mem::take(&mut self.starved)
    }
}

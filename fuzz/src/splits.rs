// SPDX-License-Identifier: Apache-2.0
//! Random cuts of a stream of bytes, the same for the same seed.

/// A small generator (xorshift), so that the fuzzer does not control its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 8 | 0x5D)
    }

    /// Returns a number below `below`, which is not 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below
    }

    /// Returns how many of `left` bytes come next: often very few, sometimes many.
    pub fn cut(&mut self, left: usize) -> usize {
        let most = [1, 2, 4, 15, 130, 2000][self.below(6)];
        left.min(1 + self.below(most))
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Where a stream of bytes is cut: by chance, but the same for the same seed.

/// A small generator (xorshift): no fuzzer has to get at its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 8 | 0x5D)
    }

    /// A number below `below`, which is not 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below
    }

    /// How many of `left` bytes come next: often very few, sometimes many.
    pub fn cut(&mut self, left: usize) -> usize {
        let most = [1, 2, 4, 15, 130, 2000][self.below(6)];
        left.min(1 + self.below(most))
    }
}

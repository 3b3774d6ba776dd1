// SPDX-License-Identifier: Apache-2.0
//! Pseudo-random numbers, the same each time.

/// Xorshift.
pub struct Numbers(u64);

impl Numbers {
    /// Creates the numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed << 32 | 0x7f4a_7c15)
    }

    /// Returns the next one below `bound`.
    pub const fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

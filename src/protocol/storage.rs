// SPDX-License-Identifier: Apache-2.0
//! The memory of a connection, which its owner provides.

use core::ops::Range;

use super::buffer::OVERHEAD;

/// A fixed run of bytes, accessed by range.
///
/// Borrows only the bytes of the requested range, so that an owner whose storage is shared with an application (which
/// holds a message while others are parsed) can lend disjoint parts. A range outside of the storage gives an empty
/// slice; the state machines never request one.
pub trait Storage {
    /// The number of bytes that stay free before a message that is moved to the front: 1 if texts are [ended by
    /// NUL](super::Incoming::end_text), which moves them into it.
    const FRONT: usize = 0;

    /// Returns the size in bytes.
    fn capacity(&self) -> usize;
    /// Returns the bytes in `range`.
    fn bytes(&self, range: Range<usize>) -> &[u8];
    /// Returns the bytes in `range`, for writing.
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8];

    /// Returns the largest message that is delivered whole, in bytes: at most the capacity less [`OVERHEAD`] and
    /// [`FRONT`](Self::FRONT). A larger capacity is for the opening request.
    fn max_message(&self) -> usize {
        self.capacity()
            .saturating_sub(OVERHEAD.saturating_add(Self::FRONT))
    }

    /// Moves the bytes of `source` towards the front, to `to`. The two may overlap.
    fn shift(&mut self, source: Range<usize>, to: usize) {
        let Some(from) = source.start.checked_sub(to) else {
            return;
        };
        let bytes = self.bytes_mut(to..source.end);
        if from <= bytes.len() {
            bytes.copy_within(from.., 0);
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Storage for T {
    fn capacity(&self) -> usize {
        self.as_ref().len()
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.as_ref().get(range).unwrap_or_default()
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.as_mut().get_mut(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_moves_overlapping_bytes_to_the_front() {
        let mut bytes = *b"abcdef";
        bytes.shift(2..6, 0);
        assert_eq!(&bytes, b"cdefef");
        bytes.shift(3..3, 1);
        assert_eq!(&bytes, b"cdefef");
    }

    #[test]
    fn a_range_outside_the_storage_is_empty() {
        let mut bytes = [1u8; 4];
        assert!(bytes.bytes(2..9).is_empty());
        assert!(bytes.bytes_mut(5..6).is_empty());
    }
}

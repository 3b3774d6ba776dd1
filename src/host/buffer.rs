// SPDX-License-Identifier: Apache-2.0
//! Receive buffers and blocks on the heap.

use std::ops::Range;

use crate::protocol::Storage;

/// Bytes on the heap. A receive buffer may be larger than its largest message, because it must have room for the
/// longest opening request.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    max_message: usize,
}

impl Buffer {
    pub(super) fn new(len: usize, max_message: usize) -> Self {
        Self {
            bytes: vec![0; len].into_boxed_slice(),
            max_message,
        }
    }
}

impl Storage for Buffer {
    const FRONT: usize = 1;

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn max_message(&self) -> usize {
        self.max_message
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.bytes.get_mut(range).unwrap_or_default()
    }
}

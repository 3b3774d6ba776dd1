// SPDX-License-Identifier: Apache-2.0
//! Unmasking with the processor's widest vectors, which are detected at run time.

use core::iter::zip;

use pulp::{Arch, Simd, WithSimd};

use super::mask_at;

/// Dispatching shorter payloads costs more than it saves.
const MIN_LEN: usize = 64;
/// Aligning shorter payloads costs more than it saves.
const MIN_ALIGNED_LEN: usize = 4096;
/// The number of bytes that the compiler processes in one step: a few vectors, and a cache line.
const BLOCK: usize = 64;

pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    unmask_watching(bytes, mask, false);
}

pub fn unmask_text(bytes: &mut [u8], mask: [u8; 4]) -> bool {
    unmask_watching(bytes, mask, true)
}

/// Unmasks `bytes`. With `watch`, returns true only if they are all ASCII.
fn unmask_watching(bytes: &mut [u8], mask: [u8; 4], watch: bool) -> bool {
    if bytes.len() < MIN_LEN {
        return is_ascii(unmask_words(bytes, key(mask)));
    }
    // Vectors that cross cache lines are slower.
    let head_len = if bytes.len() < MIN_ALIGNED_LEN {
        0
    } else {
        bytes.as_ptr().align_offset(BLOCK)
    };
    let Some((head, bytes)) = bytes.split_at_mut_checked(head_len) else {
        return is_ascii(unmask_words(bytes, key(mask)));
    };
    let watch = is_ascii(unmask_words(head, key(mask))) && watch;
    let key = key(mask_at(mask, head_len));
    Arch::new().dispatch(Blocks { bytes, key, watch })
}

struct Blocks<'a> {
    bytes: &'a mut [u8],
    key: u64,
    watch: bool,
}

impl WithSimd for Blocks<'_> {
    /// Whether all bytes were watched, and are ASCII.
    type Output = bool;

    // Compiled for each instruction set, together with everything that is inlined.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { bytes, key, watch } = self;
        let mut blocks = bytes.chunks_exact_mut(BLOCK);
        let mut seen = [0; BLOCK / 8];
        // Watching takes time, so text that does not begin with ASCII is not watched.
        if let Some(first) = blocks.next() {
            unmask_block(first, key, &mut seen);
        }
        let watch = watch && is_ascii(any(seen));
        if watch {
            for block in &mut blocks {
                unmask_block(block, key, &mut seen);
            }
        } else {
            for block in &mut blocks {
                unmask_block(block, key, &mut [0; BLOCK / 8]);
            }
        }
        let rest = unmask_words(blocks.into_remainder(), key);
        watch && is_ascii(any(seen) | rest)
    }
}

/// Unmasks a block, and combines its words with those `seen` before.
#[inline(always)]
fn unmask_block(block: &mut [u8], key: u64, seen: &mut [u64; BLOCK / 8]) {
    for (word, seen) in zip(block.chunks_exact_mut(8), seen) {
        *seen |= unmask_word(word, key);
    }
}

/// Returns the bits that are set in any of the words.
#[inline(always)]
fn any(words: [u64; BLOCK / 8]) -> u64 {
    words.into_iter().fold(0, |any, word| any | word)
}

/// Unmasks eight bytes at a time, and returns the bits that are set in any of the words.
#[inline(always)]
fn unmask_words(bytes: &mut [u8], key: u64) -> u64 {
    let mut seen = 0;
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        seen |= unmask_word(word, key);
    }
    for (byte, key) in zip(words.into_remainder(), key.to_ne_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen
}

/// Unmasks eight bytes, and returns them.
#[inline(always)]
fn unmask_word(bytes: &mut [u8], key: u64) -> u64 {
    let Ok(bytes) = <&mut [u8; 8]>::try_from(bytes) else {
        return 0;
    };
    let word = u64::from_ne_bytes(*bytes) ^ key;
    *bytes = word.to_ne_bytes();
    word
}

/// Returns the mask of eight bytes.
fn key(mask: [u8; 4]) -> u64 {
    let narrow = u32::from_ne_bytes(mask);
    u64::from(narrow) << 32 | u64::from(narrow)
}

/// Returns whether eight bytes are all ASCII.
const fn is_ascii(word: u64) -> bool {
    word & 0x8080_8080_8080_8080 == 0
}

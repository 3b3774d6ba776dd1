// SPDX-License-Identifier: Apache-2.0
//! Masking of payloads (RFC 6455 section 5.3).

#[cfg(feature = "simd")]
mod wide;

/// Applies `mask` to `bytes` in place. Masking and unmasking are the same operation.
///
/// For the next bytes of the same frame, pass [`mask_at`] their offset.
pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    #[cfg(feature = "simd")]
    wide::unmask(bytes, mask);
    #[cfg(not(feature = "simd"))]
    unmask_words(bytes, mask);
}

/// Unmasks text. Returns true only if all of it is ASCII, and so needs no validation.
///
/// A false result proves nothing: it does not check where checking costs more than it saves.
pub(super) fn unmask_text(bytes: &mut [u8], mask: [u8; 4]) -> bool {
    #[cfg(feature = "simd")]
    return wide::unmask_text(bytes, mask);
    #[cfg(not(feature = "simd"))]
    {
        unmask_words(bytes, mask);
        false
    }
}

/// Returns the mask of a frame as it applies to the bytes from `offset` on.
#[must_use]
pub fn mask_at(mask: [u8; 4], offset: usize) -> [u8; 4] {
    let [offset, ..] = offset.to_le_bytes();
    let bits = u32::from(offset % 4).wrapping_mul(8);
    u32::from_le_bytes(mask).rotate_right(bits).to_le_bytes()
}

/// Unmasks four bytes at a time.
#[cfg(any(test, not(feature = "simd")))]
fn unmask_words(bytes: &mut [u8], mask: [u8; 4]) {
    let key = u32::from_ne_bytes(mask);
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        if let Ok(word) = <&mut [u8; 4]>::try_from(word) {
            *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
    }
    for (byte, key) in core::iter::zip(words.into_remainder(), mask) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::iter::zip;
    use proptest::prelude::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn formula(bytes: &[u8]) -> Vec<u8> {
        zip(0.., bytes)
            .map(|(i, byte)| byte ^ MASK[i % 4])
            .collect()
    }

    #[test]
    fn the_example_of_section_5_7() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask(&mut bytes, MASK);
        assert_eq!(&bytes, b"Hello");
    }

    #[test]
    fn every_short_length_agrees_with_the_formula_of_section_5_3() {
        let plain: Vec<u8> = (0..200).collect();
        for len in 0..plain.len() {
            let mut bytes = plain[..len].to_vec();
            unmask(&mut bytes, MASK);
            assert_eq!(bytes, formula(&plain[..len]));
            unmask_words(&mut bytes, MASK);
            assert_eq!(bytes, plain[..len]);
        }
    }

    proptest! {
        #[test]
        fn any_length_and_alignment_agrees_with_the_formula_in_two_parts_too(
            plain in proptest::collection::vec(any::<u8>(), 0..9000),
            offset in 0..64usize,
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = [&vec![0; offset], &plain[..]].concat();
            unmask(&mut bytes[offset..], MASK);
            prop_assert!(bytes[offset..] == formula(&plain));
            let cut = cut.index(plain.len() + 1);
            let (first, second) = bytes[offset..].split_at_mut(cut);
            unmask(first, MASK);
            unmask_text(second, mask_at(MASK, cut));
            prop_assert!(bytes[offset..] == plain);
        }

        #[test]
        fn text_that_is_not_ascii_is_never_said_to_be(
            len in 1..9000usize,
            wrong in any::<prop::sample::Index>(),
        ) {
            let mut plain = vec![b'a'; len];
            let mut bytes = formula(&plain);
            // Vectors detect it.
            prop_assert_eq!(unmask_text(&mut bytes, MASK), cfg!(feature = "simd"));
            plain[wrong.index(len)] = 0x80;
            prop_assert!(!unmask_text(&mut formula(&plain), MASK));
        }
    }
}

//! Masking of payloads (RFC 6455 section 5.3).

use core::iter::zip;

/// Applies `mask` to `bytes` in place. Masking and unmasking are the same operation.
///
/// Works eight bytes at a time. To go on with the next bytes of the same frame, rotate the mask left
/// by `bytes.len() % 4`.
pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let narrow = u32::from_ne_bytes(mask);
    let wide = u64::from(narrow) << 32 | u64::from(narrow);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(word) = <&mut [u8; 8]>::try_from(word) {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in zip(words.into_remainder(), mask.into_iter().chain(mask)) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_agrees_with_the_formula_of_section_5_3() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40u8 {
            let plain: Vec<u8> = (0..len).collect();
            let mut masked = plain.clone();
            unmask(&mut masked, mask);
            let expected: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ mask[i % 4])
                .collect();
            assert_eq!(masked, expected);
        }
    }

    #[test]
    fn the_example_of_section_5_7() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(&bytes, b"Hello");
    }
}

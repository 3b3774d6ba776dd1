// SPDX-License-Identifier: Apache-2.0
//! SHA-1 and Base64 for the one response that needs them, in a tenth of the flash of the packages `sha1` and `base64`,
//! which are optimized for speed. The feature `packages` selects the packages instead.

/// Returns the SHA-1 of `parts`, one after the other (RFC 3174): less than 512 MB.
pub(super) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for byte in parts.iter().copied().flatten() {
        hash.push(*byte);
    }
    hash.finish()
}

struct Sha1 {
    state: [u32; 5],
    /// The block so far. The bytes of a word are shifted in from below.
    words: [u32; 16],
    len: u32,
}

impl Sha1 {
    const fn new() -> Self {
        Self {
            state: [
                0x6745_2301,
                0xEFCD_AB89,
                0x98BA_DCFE,
                0x1032_5476,
                0xC3D2_E1F0,
            ],
            words: [0; 16],
            len: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        let at = self.len % 64;
        if let Some(word) = self.words.get_mut(at as usize / 4) {
            *word = *word << 8 | u32::from(byte);
        }
        self.len = self.len.wrapping_add(1);
        if at == 63 {
            self.block();
        }
    }

    fn finish(&mut self) -> [u8; 20] {
        let bits = u64::from(self.len << 3);
        self.push(0x80);
        while self.len % 64 != 56 {
            self.push(0);
        }
        for byte in bits.to_be_bytes() {
            self.push(byte);
        }
        let mut digest = [0; 20];
        for (place, word) in digest.chunks_mut(4).zip(self.state) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    fn block(&mut self) {
        let [mut a, mut b, mut c, mut d, mut e] = self.state;
        for round in 0..80 {
            let (mixed, constant) = match round / 20 {
                0 => (b & c | !b & d, 0x5A82_7999),
                1 => (b ^ c ^ d, 0x6ED9_EBA1),
                2 => (b & c | b & d | c & d, 0x8F1B_BCDC_u32),
                _ => (b ^ c ^ d, 0xCA62_C1D6),
            };
            let [word, ..] = self.words;
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(word)
                .wrapping_add(constant);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
            self.schedule();
        }
        for (word, more) in self.state.iter_mut().zip([a, b, c, d, e]) {
            *word = word.wrapping_add(more);
        }
    }

    /// Shifts the words by one, and appends the next one.
    fn schedule(&mut self) {
        let [w0, _, w2, _, _, _, _, _, w8, _, _, _, _, w13, ..] = self.words;
        self.words.copy_within(1.., 0);
        let [.., last] = &mut self.words;
        *last = (w0 ^ w2 ^ w8 ^ w13).rotate_left(1);
    }
}

/// Returns the Base64 of a SHA-1 (RFC 4648 section 4).
pub(super) fn base64(digest: &[u8; 20]) -> [u8; 28] {
    let mut text = [b'='; 28];
    // Six bits each. The last digit has only two bits, padded with zeros.
    for (at, place) in (0..).step_by(6).zip(text.iter_mut().take(27)) {
        let byte = |index| u32::from(digest.get(index).copied().unwrap_or_default());
        let bits = byte(at / 8) << 8 | byte((at / 8).saturating_add(1));
        *place = digit(bits >> 10_usize.saturating_sub(at % 8) & 63);
    }
    text
}

/// Returns the digit for six bits.
const fn digit(bits: u32) -> u8 {
    let bits = bits.to_le_bytes()[0];
    match bits {
        0..=25 => b'A'.wrapping_add(bits),
        26..=51 => b'a'.wrapping_add(bits.wrapping_sub(26)),
        52..=61 => b'0'.wrapping_add(bits.wrapping_sub(52)),
        62 => b'+',
        _ => b'/',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use sha1::Digest as _;

    proptest! {
        #[test]
        fn the_digest_is_that_of_the_package_sha1(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            let digest = sha1(&[head, tail]);
            let expected: [u8; 20] = sha1::Sha1::digest(&bytes).into();
            prop_assert_eq!(digest, expected);
        }

        #[test]
        fn the_text_is_that_of_the_package_base64(digest in any::<[u8; 20]>()) {
            let text = base64(&digest).to_vec();
            prop_assert_eq!(STANDARD.encode(digest).into_bytes(), text);
        }
    }
}

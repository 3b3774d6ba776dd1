// SPDX-License-Identifier: Apache-2.0
//! Hand-made frames, so that no candidate produces the input of the others.

/// The content of messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Pseudo-random bytes, in binary messages.
    Binary,
    /// ASCII text.
    Ascii,
    /// Text with as many two-byte characters as fit.
    TwoBytes,
    /// The same with three bytes.
    ThreeBytes,
    /// The same with four bytes.
    FourBytes,
    /// Text in several scripts: characters of one to four bytes.
    Mixed,
}

impl Content {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Binary,
        Self::Ascii,
        Self::TwoBytes,
        Self::ThreeBytes,
        Self::FourBytes,
        Self::Mixed,
    ];

    /// Its name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ascii => "ASCII",
            Self::TwoBytes => "2-byte",
            Self::ThreeBytes => "3-byte",
            Self::FourBytes => "4-byte",
            Self::Mixed => "mixed",
        }
    }

    /// Whether it is text.
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Binary)
    }

    /// A payload of `len` bytes.
    pub fn payload(self, len: usize) -> Vec<u8> {
        let pattern = match self {
            Self::Binary => {
                let bytes = (0u32..).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
                return bytes.take(len).collect();
            }
            Self::Ascii => "The quick brown fox jumps over the lazy dog. ",
            Self::TwoBytes => "Съешьжеещёэтихмягкихфранцузскихбулок",
            Self::ThreeBytes => "いろはにほへとちりぬるを世界",
            Self::FourBytes => "😀🚀🌍🎉🦀",
            Self::Mixed => "Zażółć gęślą jaźń; Καλημέρα κόσμε; 世界 😀. ",
        };
        let mut text = String::new();
        for character in pattern.chars().cycle() {
            if text.len() + character.len_utf8() > len {
                break;
            }
            text.push(character);
        }
        text.extend(std::iter::repeat_n('.', len - text.len()));
        text.into_bytes()
    }

    /// The first byte of an unfragmented frame.
    const fn first_byte(self) -> u8 {
        match self {
            Self::Binary => 0x82,
            _ => 0x81,
        }
    }

    /// The frame in which a client sends `payload`.
    pub fn client_frame(self, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = self.header(payload.len(), 0x80);
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        frame
    }

    /// The frame in which a server sends `payload`.
    pub fn server_frame(self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.header(payload.len(), 0);
        frame.extend(payload);
        frame
    }

    fn header(self, len: usize, masked: u8) -> Vec<u8> {
        let mut header = vec![self.first_byte()];
        match len {
            0..126 => header.push(masked | len as u8),
            126..=0xffff => {
                header.push(masked | 126);
                header.extend((len as u16).to_be_bytes());
            }
            _ => {
                header.push(masked | 127);
                header.extend((len as u64).to_be_bytes());
            }
        }
        header
    }
}

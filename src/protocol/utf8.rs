// SPDX-License-Identifier: Apache-2.0
//! Checks UTF-8 as it arrives (RFC 6455 section 8.1).

/// Returns `bytes` as text, if they are valid UTF-8.
pub(crate) fn from_utf8(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simd")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simd"))]
    core::str::from_utf8(bytes).ok()
}

/// Checks a text that arrives in parts, failing at the first wrong byte.
///
/// Parts may end inside a character. Its bytes are kept, at most three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8 {
    carry: [u8; 4],
    carried: u8,
}

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl Utf8 {
    /// Processes the next part of the text.
    ///
    /// # Errors
    /// [`NotUtf8`] if the bytes so far cannot be the beginning of any text.
    pub fn push(&mut self, mut part: &[u8]) -> Result<(), NotUtf8> {
        while let (true, [first, rest @ ..]) = (self.carried > 0, part) {
            self.push_byte(*first)?;
            part = rest;
        }
        let (whole, last) = split_last_character(part);
        from_utf8(whole).ok_or(NotUtf8)?;
        last.iter().try_for_each(|byte| self.push_byte(*byte))
    }

    /// Returns how many bytes of an unfinished character are at the end so far, at most 3.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        usize::from(self.carried)
    }

    /// Returns whether the text could end here.
    ///
    /// # Errors
    /// [`NotUtf8`] if it ends inside a character.
    pub fn finish(&self) -> Result<(), NotUtf8> {
        if self.carried == 0 {
            Ok(())
        } else {
            Err(NotUtf8)
        }
    }

    /// Adds a byte to the unfinished character.
    fn push_byte(&mut self, byte: u8) -> Result<(), NotUtf8> {
        if let Some(place) = self.carry.get_mut(usize::from(self.carried)) {
            *place = byte;
            self.carried = self.carried.saturating_add(1);
        }
        let character = self.carry.get(..usize::from(self.carried));
        match core::str::from_utf8(character.unwrap_or_default()) {
            Ok(_) => self.carried = 0,
            Err(error) if error.error_len().is_some() => return Err(NotUtf8),
            Err(_) => {}
        }
        Ok(())
    }
}

/// Splits before the last character if it may be unfinished: one of the last three bytes is the first one of a
/// character with several bytes.
fn split_last_character(part: &[u8]) -> (&[u8], &[u8]) {
    let mut from_the_end = part.iter().rev().take(3);
    let last_len = match from_the_end.position(|byte| *byte >= 0xC0) {
        Some(behind) => behind.saturating_add(1),
        None => 0,
    };
    part.split_at_checked(part.len().saturating_sub(last_len))
        .unwrap_or((part, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(parts: &[&[u8]]) -> Result<(), NotUtf8> {
        let mut utf8 = Utf8::default();
        for part in parts {
            utf8.push(part)?;
        }
        utf8.finish()
    }

    #[test]
    fn the_first_wrong_byte_fails_although_the_character_is_unfinished() {
        for wrong in [
            &[0xf4, 0x90][..],
            &[0xed, 0xa0],
            &[0xe0, 0x80],
            &[0xc0],
            &[0xf8],
            &[0x80],
        ] {
            assert_eq!(Utf8::default().push(wrong), Err(NotUtf8), "{wrong:x?}");
            let mut bytewise = Utf8::default();
            let all = wrong.iter().try_for_each(|byte| bytewise.push(&[*byte]));
            assert_eq!(all, Err(NotUtf8), "{wrong:x?}");
        }
    }

    #[test]
    fn a_text_may_not_end_inside_a_character() {
        assert_eq!(check(&[b"\xf0\x9f\x98"]), Err(NotUtf8));
        assert_eq!(check(&[b"\xf0\x9f", b"\x98", b"\x80"]), Ok(()));
    }

    /// Returns core's result for a text that continues after `bytes`, and for one that ends there.
    fn expected(bytes: &[u8]) -> (bool, bool) {
        match core::str::from_utf8(bytes) {
            Ok(_) => (true, true),
            Err(error) => (error.error_len().is_none(), false),
        }
    }

    /// Characters of every length, sometimes with a changed byte.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let text = proptest::collection::vec(any::<char>(), 0..100)
            .prop_map(|text| text.into_iter().collect::<String>().into_bytes());
        let ascii = "[ -~]{0,200}".prop_map(String::into_bytes);
        let change = proptest::option::of((any::<prop::sample::Index>(), any::<u8>()));
        (prop_oneof![3 => text, 1 => ascii], change).prop_map(|(mut bytes, change)| {
            if let (Some((at, byte)), false) = (change, bytes.is_empty()) {
                *at.get_mut(&mut bytes) = byte;
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_split_gives_cores_verdict_as_soon_as_it_is_certain(
            bytes in prop_oneof![
                4 => nearly_text(),
                1 => proptest::collection::vec(any::<u8>(), 0..12),
            ],
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let (mut utf8, mut start) = (Utf8::default(), 0);
            for end in ends {
                let so_far = utf8.push(&bytes[start..end]).is_ok();
                let (goes_on, ends) = expected(&bytes[..end]);
                prop_assert_eq!(so_far, goes_on);
                if !so_far {
                    break;
                }
                prop_assert_eq!(utf8.finish().is_ok(), ends);
                start = end;
            }
            prop_assert_eq!(from_utf8(&bytes).is_some(), expected(&bytes).1);
        }
    }
}

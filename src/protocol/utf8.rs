//! UTF-8 checked as it arrives (RFC 6455 section 8.1).

/// Checks a text that arrives in parts, failing at the first wrong byte.
///
/// Parts may end inside a character; what is left of it is kept, at most three bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8 {
    carry: [u8; 4],
    carried: u8,
}

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl Utf8 {
    /// Takes the next part of the text.
    ///
    /// # Errors
    /// [`NotUtf8`] if no text can begin with what has arrived so far.
    pub fn push(&mut self, part: &[u8]) -> Result<(), NotUtf8> {
        let part = self.complete_carry(part)?;
        match core::str::from_utf8(part) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                // An unfinished character, which `from_utf8` says is well-formed so far.
                for byte in part.get(error.valid_up_to()..).unwrap_or_default() {
                    self.carry(*byte);
                }
                Ok(())
            }
        }
    }

    /// How many bytes of an unfinished character the text ends with so far, at most 3.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        usize::from(self.carried)
    }

    /// Whether the text could end here.
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

    /// Finishes the character carried over with the first bytes of `part`, and gives the rest.
    fn complete_carry<'a>(&mut self, mut part: &'a [u8]) -> Result<&'a [u8], NotUtf8> {
        while self.carried > 0 {
            let Some((first, rest)) = part.split_first() else {
                break;
            };
            self.carry(*first);
            part = rest;
            let character = self
                .carry
                .get(..usize::from(self.carried))
                .unwrap_or_default();
            match core::str::from_utf8(character) {
                Ok(_) => self.carried = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {}
            }
        }
        Ok(part)
    }

    fn carry(&mut self, byte: u8) {
        if let Some(place) = self.carry.get_mut(usize::from(self.carried)) {
            *place = byte;
            self.carried = self.carried.saturating_add(1);
        }
    }
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

    proptest! {
        #[test]
        fn any_split_gives_the_verdict_of_the_whole(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..12),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(check(&[head, tail]).is_ok(), core::str::from_utf8(&bytes).is_ok());
        }
    }
}

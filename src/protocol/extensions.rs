// SPDX-License-Identifier: Apache-2.0
//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1). No extension is accepted, but a malformed field
//! fails the handshake.

/// The state after a part of the field. White space may come between any two parts, and elements of the list may be
/// empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extensions(u8);

/// An extension may follow.
const LIST: u8 = 0;
/// In the name of an extension, or in the value of a parameter.
const VALUE: u8 = 1;
/// After a name or a value, and white space.
const AFTER_VALUE: u8 = 2;
/// In the name of a parameter.
const NAME: u8 = 3;
/// After the name of a parameter, and white space. The field, and its elements, may end in the states up to here.
const AFTER_NAME: u8 = 4;
/// A parameter must follow.
const PARAMETER: u8 = 5;
/// The value of a parameter must follow.
const EQUALS: u8 = 6;
/// After an opening quote.
const QUOTE: u8 = 7;
/// In quotes, after characters of a token.
const QUOTED: u8 = 8;
/// In quotes, after a backslash.
const ESCAPE: u8 = 9;
/// The field is malformed.
const WRONG: u8 = 15;

/// The special characters outside of quotes, besides those of tokens.
const SPECIAL: &[u8; 7] = b" \t,;=\"\\";

/// The next state for each state and special character, and for a character of a token.
const NEXT: [u32; 10] = {
    const X: u8 = WRONG;
    [
        row([LIST, LIST, LIST, X, X, X, X, VALUE]),
        row([AFTER_VALUE, AFTER_VALUE, LIST, PARAMETER, X, X, X, VALUE]),
        row([AFTER_VALUE, AFTER_VALUE, LIST, PARAMETER, X, X, X, X]),
        row([AFTER_NAME, AFTER_NAME, LIST, PARAMETER, EQUALS, X, X, NAME]),
        row([AFTER_NAME, AFTER_NAME, LIST, PARAMETER, EQUALS, X, X, X]),
        row([PARAMETER, PARAMETER, X, X, X, X, X, NAME]),
        row([EQUALS, EQUALS, X, X, X, QUOTE, X, VALUE]),
        // A quoted value must be a token, too.
        row([X, X, X, X, X, X, ESCAPE, QUOTED]),
        row([X, X, X, X, X, AFTER_VALUE, ESCAPE, QUOTED]),
        row([X, X, X, X, X, X, X, QUOTED]),
    ]
};

/// Packs four bits for each state.
const fn row(next: [u8; 8]) -> u32 {
    let [a, b, c, d, e, f, g, h] = next;
    u32::from_le_bytes([a | b << 4, c | d << 4, e | f << 4, g | h << 4])
}

impl Extensions {
    /// The state before the first byte.
    pub const BEGIN: Self = Self(LIST);

    /// Processes a byte, which may be a character of a token. Returns `None` if the field is malformed.
    pub fn push(self, byte: u8, is_token: bool) -> Option<Self> {
        let column = match SPECIAL.iter().position(|special| *special == byte) {
            Some(column) => column,
            None if is_token => 7,
            None => return None,
        };
        let [next, ..] = (NEXT.get(usize::from(self.0))? >> (column << 2) & 15).to_le_bytes();
        (next != WRONG).then_some(Self(next))
    }

    /// Returns whether the field may be complete.
    pub const fn may_end(self) -> bool {
        self.0 <= AFTER_NAME
    }
}

#[cfg(test)]
mod tests {
    use super::super::authority::is_token;
    use super::*;

    fn is_valid(field: &str) -> bool {
        let mut bytes = field.bytes();
        let end = bytes.try_fold(Extensions::BEGIN, |at, byte| at.push(byte, is_token(byte)));
        end.is_some_and(Extensions::may_end)
    }

    #[test]
    fn a_field_lists_extensions_with_parameters() {
        for right in [
            "",
            " ",
            ",",
            " , ,",
            "a",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10, x-webkit-deflate-frame",
            "a;b=c;d;e=\"f\",,g",
            "a ; b = c ; d\t,\tg ",
            "a; b=\"\\c\\d\"",
        ] {
            assert!(is_valid(right), "{right}");
        }
        for wrong in [
            ";",
            "a;",
            "a;;b",
            "a;,b",
            "a; ;b",
            "a b",
            "a=b",
            "=",
            "a;b=",
            "a;b=,c",
            "a;b=;c",
            "a;b c",
            "a;b=c d",
            "a;=c",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=\"c d\"",
            "a;b=\"c\"d",
            "a;b=\"c\"\"d\"",
            "a;b=\"\\",
            "a;b=\"\\\"",
            "a;b=\"\\\"\"",
            "a;b=c\"d\"",
            "\"a\"",
            "a;\"b\"",
            "a/b",
            "a;b=(c)",
            "a;b==c",
            "\u{e9}",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}

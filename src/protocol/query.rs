// SPDX-License-Identifier: Apache-2.0
//! Query parameters, in the encoding of HTML forms (`application/x-www-form-urlencoded`).

use super::credentials::is_same;
use super::request::Request;
use super::utf8::from_utf8;

/// The reason why a query parameter cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// The value is longer than the buffer.
    NoRoom,
    /// The value is not UTF-8.
    NotUtf8,
}

impl core::fmt::Display for QueryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "the parameter is longer than the buffer",
            Self::NotUtf8 => "the parameter is not UTF-8",
        })
    }
}

impl core::error::Error for QueryError {}

impl<'a> Request<'a> {
    /// Decodes a query parameter into `buffer`: in `?room=a%20b&x`, `room` is `a b`, `x` is empty, and others are
    /// `None`. If several parameters have this name, reads the first one.
    ///
    /// Parameters are separated by `&`. Names and values are decoded: `%20` (RFC 3986 section 2.1) and `+` are a space.
    /// A value may contain any character, also NUL.
    ///
    /// # Errors
    /// See [`QueryError`]. A buffer with the length of the query is always enough.
    pub fn query_param<'b>(
        &self,
        name: &str,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b str>, QueryError> {
        let Some(value) = self.raw_query_param(name) else {
            return Ok(None);
        };
        let mut len = 0_usize;
        for byte in decoded(value) {
            *buffer.get_mut(len).ok_or(QueryError::NoRoom)? = byte;
            len = len.saturating_add(1);
        }
        let value = buffer.get(..len).unwrap_or_default();
        from_utf8(value).map(Some).ok_or(QueryError::NotUtf8)
    }

    /// Returns whether the first parameter with this name equals this secret. The comparison takes the same time
    /// wherever they differ. Always false for an empty secret.
    #[must_use]
    pub fn is_query_param(&self, name: &str, secret: &str) -> bool {
        let given = self.raw_query_param(name);
        !secret.is_empty() && given.is_some_and(|value| is_same(decoded(value), secret.as_bytes()))
    }

    /// Returns the value of the first parameter with this name, without decoding it.
    fn raw_query_param(&self, name: &str) -> Option<&'a [u8]> {
        let query = self.query().unwrap_or_default().as_bytes();
        query.split(|byte| *byte == b'&').find_map(|parameter| {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=');
            let found = parts.next().unwrap_or_default();
            // An empty query, and the gap between two separators, contain no parameter.
            let is_it = !parameter.is_empty() && decoded(found).eq(name.bytes());
            is_it.then(|| parts.next().unwrap_or_default())
        })
    }
}

/// Returns the decoded bytes of a name or a value. Its escapes were checked already.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut bytes = text.iter();
    core::iter::from_fn(move || {
        Some(match bytes.next()? {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                let value = digit()? << 4 | digit()?;
                value.to_le_bytes()[0]
            }
            byte => *byte,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::with_target;
    use super::*;

    /// Returns the result of a buffer with `room` bytes.
    fn read(target: &str, name: &str, room: usize) -> Result<Option<String>, QueryError> {
        with_target(target, |request| {
            let mut buffer = vec![0; room];
            let value = request.query_param(name, &mut buffer);
            value.map(|value| value.map(str::to_owned))
        })
    }

    #[test]
    fn a_parameter_is_found_by_its_name_and_decoded() {
        let target = "/?room=a%20b+c&x&y=&room=2&a%26b=%c3%A4%25&=z&&w=1=2%3d3?/";
        for (name, value) in [
            ("room", Some("a b c")),
            ("x", Some("")),
            ("y", Some("")),
            ("a&b", Some("\u{e4}%")),
            ("", Some("z")),
            ("w", Some("1=2=3?/")),
            ("Room", None),
            ("roo", None),
            ("room=a", None),
            ("z", None),
        ] {
            assert_eq!(read(target, name, 40), Ok(value.map(Into::into)), "{name}");
        }
        for target in ["/", "/?", "/?&", "/room=1"] {
            assert_eq!(read(target, "", 0), Ok(None), "{target}");
            assert_eq!(read(target, "room", 0), Ok(None), "{target}");
        }
    }

    #[test]
    fn a_parameter_is_the_secret_only_if_all_of_it_is() {
        let is = |target: &str, secret: &str| {
            with_target(target, |request| request.is_query_param("token", secret))
        };
        assert!(is("/?token=a%20b", "a b") && is("/?x&token=a+b&token=c", "a b"));
        for target in [
            "/",
            "/?token",
            "/?token=",
            "/?token=a",
            "/?token=a%20b%20",
            "/?Token=a+b",
            "/?token=&token=a+b",
        ] {
            assert!(!is(target, "a b"), "{target}");
            assert!(!is(target, ""), "{target}");
        }
    }

    #[test]
    fn a_value_has_to_fit_and_to_be_utf_8() {
        assert_eq!(read("/?a=%41%42", "a", 2), Ok(Some("AB".into())));
        assert_eq!(read("/?a=%41%42", "a", 1), Err(QueryError::NoRoom));
        assert_eq!(read("/?a=", "a", 0), Ok(Some(String::new())));
        assert_eq!(read("/?a=%ff", "a", 9), Err(QueryError::NotUtf8));
        assert_eq!(read("/?a=%c3", "a", 9), Err(QueryError::NotUtf8));
        assert_eq!(read("/?a=%00b", "a", 9), Ok(Some("\0b".into())));
        // The first one counts, even if only the second one fits.
        assert_eq!(read("/?a=12&a=1", "a", 1), Err(QueryError::NoRoom));
    }
}

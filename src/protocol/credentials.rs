// SPDX-License-Identifier: Apache-2.0
//! Credentials of the field `Authorization` (RFC 9110 section 11.6.2).

use core::hint::black_box;

use super::request::Request;
use super::utf8::from_utf8;

/// Returns whether two byte strings are equal, in a time that depends only on the length of `given`: a peer that sends
/// guesses learns nothing about `secret` from the response time.
#[must_use]
pub fn constant_time_eq(given: &[u8], secret: &[u8]) -> bool {
    is_same(given.iter().copied(), secret)
}

/// Compares as [`constant_time_eq`], for bytes that are generated one by one.
#[inline(never)]
pub(super) fn is_same(given: impl Iterator<Item = u8>, secret: &[u8]) -> bool {
    let mut difference = 0_u8;
    let mut len = 0_usize;
    for byte in given {
        // Compare every byte, however long the secret is.
        let expected = secret.get(len).copied().unwrap_or(!byte);
        // The optimizer must not stop at the first difference.
        difference = black_box(difference | (byte ^ expected));
        len = len.saturating_add(1);
    }
    black_box(difference) == 0 && len == secret.len()
}

impl<'a> Request<'a> {
    /// Returns the user and the password of Basic authentication (RFC 7617), if the application has requested the field
    /// `Authorization`. They are decoded into `buffer`; the length of the field's value is always enough. `None` if
    /// there are no such credentials, or if they are malformed, not UTF-8, or too long for the buffer.
    ///
    /// To compare them with a secret, call [`is_basic`](Self::is_basic) or [`constant_time_eq`].
    pub fn basic<'b>(&self, buffer: &'b mut [u8]) -> Option<(&'b str, &'b str)> {
        let mut len = 0_usize;
        for byte in Base64::new(self.basic_credentials()?)? {
            *buffer.get_mut(len)? = byte;
            len = len.saturating_add(1);
        }
        let pair = buffer.get(..len)?;
        // A user has no colon, but a password may.
        let colon = pair.iter().position(|byte| *byte == b':')?;
        let password = pair.get(colon.checked_add(1)?..)?;
        Some((from_utf8(pair.get(..colon)?)?, from_utf8(password)?))
    }

    /// Returns whether the request has Basic authentication with this user and this password. The comparison takes the
    /// same time wherever they differ. Always false if the user contains a colon.
    #[must_use]
    pub fn is_basic(&self, user: &str, password: &str) -> bool {
        let Some(decoded) = self.basic_credentials().and_then(Base64::new) else {
            return false;
        };
        let user_len = user.len();
        let is_valid = !user.as_bytes().contains(&b':');
        // One after the other, to need no buffer for both.
        let mut given = decoded;
        let is_user = is_same(given.by_ref().take(user_len), user.as_bytes());
        let is_colon = given.next() == Some(b':');
        let is_password = is_same(given, password.as_bytes());
        is_valid & is_user & is_colon & is_password
    }

    /// Returns the Bearer token (RFC 6750 section 2.1), if the application has requested the field `Authorization`. To
    /// compare it with a secret, call [`is_bearer`](Self::is_bearer) or [`constant_time_eq`].
    #[must_use]
    pub fn bearer(&self) -> Option<&'a str> {
        self.credentials("bearer")
    }

    /// Returns whether the request has this Bearer token. The comparison takes the same time wherever they differ.
    /// Always false for an empty token.
    #[must_use]
    pub fn is_bearer(&self, token: &str) -> bool {
        let given = self.bearer().unwrap_or_default();
        !token.is_empty() & constant_time_eq(given.as_bytes(), token.as_bytes())
    }

    fn basic_credentials(&self) -> Option<&'a str> {
        self.credentials("basic")
    }

    /// Returns the credentials of a scheme: one `token68` (RFC 9110 section 11.2). Several fields are ambiguous, and
    /// count as none.
    fn credentials(&self, scheme: &str) -> Option<&'a str> {
        let mut fields = self.fields("authorization");
        let value = from_utf8(fields.next()?)?;
        let (found, rest) = value.split_at_checked(scheme.len())?;
        let token = rest.trim_start_matches(' ');
        let is_whole = fields.next().is_none()
            && found.eq_ignore_ascii_case(scheme)
            && token.len() < rest.len();
        (is_whole && is_token68(token)).then_some(token)
    }
}

fn is_token68(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !digits.is_empty() && digits.bytes().all(is_digit)
}

/// Decodes Base64 (RFC 4648 section 4).
#[derive(Clone)]
struct Base64<'a> {
    digits: core::slice::Iter<'a, u8>,
    bits: u32,
    count: u32,
}

impl<'a> Base64<'a> {
    /// Returns `None` if it is not valid: other characters, a wrong length, or non-zero bits after the last byte.
    fn new(text: &'a str) -> Option<Self> {
        let digits = text.trim_end_matches('=').as_bytes();
        let padding = text.len().checked_sub(digits.len())?;
        let last = digits.last().copied().and_then(value).unwrap_or(0);
        let is_valid = match digits.len() % 4 {
            0 => padding == 0,
            2 => padding == 2 && last & 0b1111 == 0,
            3 => padding == 1 && last & 0b11 == 0,
            _ => false,
        };
        let is_valid = is_valid && digits.iter().all(|digit| value(*digit).is_some());
        is_valid.then(|| Self {
            digits: digits.iter(),
            bits: 0,
            count: 0,
        })
    }
}

impl Iterator for Base64<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.count < 8 {
            self.bits = self.bits << 6 | value(*self.digits.next()?)?;
            self.count = self.count.saturating_add(6);
        }
        self.count = self.count.saturating_sub(8);
        Some((self.bits >> self.count).to_le_bytes()[0])
    }
}

/// Returns the value of a digit.
fn value(digit: u8) -> Option<u32> {
    let (first, value) = match digit {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'+' => (b'+', 62),
        b'/' => (b'/', 63),
        _ => return None,
    };
    Some(u32::from(digit.saturating_sub(first)).saturating_add(value))
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::with_fields;
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn with_authorization<T>(value: &str, test: impl FnOnce(&Request<'_>) -> T) -> T {
        with_fields("authorization", format!("Authorization: {value}\r\n"), test)
    }

    fn basic(value: &str) -> Option<(String, String)> {
        with_authorization(value, |request| {
            let mut buffer = [0; 60];
            let (user, password) = request.basic(&mut buffer)?;
            assert!(request.is_basic(user, password));
            Some((user.to_owned(), password.to_owned()))
        })
    }

    #[test]
    fn user_and_password_are_those_of_rfc_7617() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // Sections 2 and 2.1.
        assert_eq!(
            basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            pair("Aladdin", "open sesame")
        );
        assert_eq!(basic("BASIC   dGVzdDoxMjPCow=="), pair("test", "123\u{a3}"));
        assert_eq!(basic("Basic Og=="), pair("", ""));
        assert_eq!(
            basic(&format!("Basic {}", STANDARD.encode("a:b:c"))),
            pair("a", "b:c")
        );
        let no_colon = format!("Basic {}", STANDARD.encode("ab"));
        let not_utf8 = format!("Basic {}", STANDARD.encode(b"a:\xff"));
        let too_long = format!("Basic {}", STANDARD.encode([b':'; 61]));
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "BasicOg==",
            "Basi Og==",
            "Bearer Og==",
            "Basic Og=",
            "Basic Og",
            "Basic Og===",
            "Basic Oh==",
            "Basic O",
            "Basic O===",
            "Basic Og== x",
            "Basic Og==, Basic Og==",
            "Basic O*==",
            "Basic -_==",
            "Basic realm=\"x\"",
            no_colon.as_str(),
            not_utf8.as_str(),
            too_long.as_str(),
        ] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn credentials_are_the_expected_ones_only_if_all_of_them_are() {
        let is_basic = |user: &str, password: &str| {
            with_authorization("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", |request| {
                request.is_basic(user, password)
            })
        };
        assert!(is_basic("Aladdin", "open sesame"));
        for (user, password) in [
            ("aladdin", "open sesame"),
            ("Aladdin", "open sesam"),
            ("Aladdin", "open sesame!"),
            ("Aladdi", "n:open sesame"),
            ("Aladdin:open", " sesame"),
            ("Aladdin:open sesame", ""),
            ("", "Aladdin:open sesame"),
            ("", ""),
            ("Aladdin", ""),
        ] {
            assert!(!is_basic(user, password), "{user} {password}");
        }
        let no_field = with_fields("authorization", "", |request| request.is_basic("", ""));
        assert!(!no_field);
        // A user has no colon, so this is another user.
        let split = with_authorization("Basic YTpiOmM=", |request| {
            (request.is_basic("a:b", "c"), request.is_basic("a", "b:c"))
        });
        assert_eq!(split, (false, true));
    }

    #[test]
    fn a_token_is_that_of_rfc_6750() {
        let bearer = |value: &str| {
            with_authorization(value, |request| {
                let token = request.bearer().map(str::to_owned);
                if let Some(token) = &token {
                    assert!(request.is_bearer(token) && !request.is_bearer(&format!("{token}=")));
                    assert!(!request.is_bearer(token.get(1..).unwrap()));
                }
                assert!(!request.is_bearer(""));
                token
            })
        };
        assert_eq!(
            bearer("Bearer mF_9.B5f-4.1JqM").as_deref(),
            Some("mF_9.B5f-4.1JqM")
        );
        assert_eq!(bearer("bearer  a+/~==").as_deref(), Some("a+/~=="));
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,",
            "Bearer =",
            "Bearer a=b",
            "Basic YTpi",
        ] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
        let two = with_fields(
            "authorization",
            "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
            |request| (request.bearer().is_some(), request.is_bearer("a")),
        );
        assert_eq!(two, (false, false));
    }

    proptest! {
        #[test]
        fn base64_is_that_of_the_package(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = STANDARD.encode(&bytes);
            let decoded: Option<Vec<u8>> = Base64::new(&text).map(Iterator::collect);
            prop_assert_eq!(decoded, Some(bytes));
        }

        #[test]
        fn what_is_no_base64_is_told_as_by_the_package(text in "[A-Ca-c0-2+/=*]{0,9}") {
            let decoded: Option<Vec<u8>> = Base64::new(&text).map(Iterator::collect);
            prop_assert_eq!(decoded, STANDARD.decode(&text).ok(), "{}", text);
        }

        #[test]
        fn constant_time_eq_is_equality(one in "[ab]{0,3}", other in "[ab]{0,3}") {
            prop_assert_eq!(constant_time_eq(one.as_bytes(), other.as_bytes()), one == other);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Cookies (RFC 6265 section 4.2).

use super::request::Request;
use super::utf8::from_utf8;

impl<'a> Request<'a> {
    /// Returns the value of a cookie, if the application has requested the field `Cookie`. Names are case-sensitive. If
    /// several have this name, returns the first one, which has the longest path (RFC 6265 section 5.4). Quotes around
    /// a value are part of it. Also `None` for a value that is not UTF-8.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.fields("cookie")
            .flat_map(|field| field.split(|byte| *byte == b';'))
            .find_map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=');
                let found = parts.next()?.trim_ascii();
                // Without a name it is not a cookie.
                let value = parts.next()?.trim_ascii();
                (found == name.as_bytes()).then_some(value)
            })
            .and_then(from_utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::with_fields;

    fn cookie(fields: &str, name: &str) -> Option<String> {
        with_fields("Cookie", fields, |request| {
            request.cookie(name).map(str::to_owned)
        })
    }

    #[test]
    fn a_cookie_is_found_by_its_name() {
        let fields =
            "Cookie: id=a1; theme=\"dark\"; empty=; x=1=2;id=b2; flag\r\ncookie:other=3\r\n";
        for (name, value) in [
            ("id", Some("a1")),
            ("theme", Some("\"dark\"")),
            ("empty", Some("")),
            ("x", Some("1=2")),
            ("other", Some("3")),
            ("ID", None),
            ("i", None),
            ("flag", None),
            ("a1", None),
            ("", None),
        ] {
            assert_eq!(cookie(fields, name).as_deref(), value, "{name}");
        }
        assert_eq!(cookie("", "id"), None);
        assert_eq!(cookie("X: id=1\r\n", "id"), None);
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_their_own_cookie() {
        let found = with_fields("Cookie", "Cookie: a=\u{ff}; b=\u{e4}\r\n", |request| {
            (request.cookie("a").is_some(), request.cookie("b").is_some())
        });
        // The test's request is UTF-8.
        assert_eq!(found, (true, true));
        let latin = b"Cookie: a=\xff; b=1\r\n";
        let found = with_fields("Cookie", latin, |request| {
            let values = (
                request.cookie("a"),
                request.cookie("b"),
                request.field("Cookie"),
            );
            assert_eq!(values, (None, Some("1"), None));
            request.fields("cookie").next().map(<[u8]>::to_vec)
        });
        assert_eq!(found.as_deref(), Some(&b"a=\xff; b=1"[..]));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Pages: the responses to GET and HEAD requests without an upgrade (RFC 9110).

use super::authority::is_token;
use super::request::Request;

/// The request field with the versions of a page that the client has.
pub(super) const IF_NONE_MATCH: &str = "If-None-Match";

/// A page that a server sends to browsers.
///
/// ```
/// use wss::Page;
///
/// static PAGES: [Page<'static>; 2] = [
///     Page::new("/", "text/html; charset=utf-8", b"<!DOCTYPE html><title>A device</title>"),
///     Page::new("/logo.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
/// ];
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// The path, percent-encoded as in a request: `/`, `/logo.svg`.
    pub path: &'a str,
    /// The value of `Content-Type`: `text/html; charset=utf-8`.
    pub content_type: &'a str,
    /// The encoding of the body, such as `gzip`, if there is one. Every browser supports that.
    pub encoding: Option<&'a str>,
    /// The entity tag of this version of the page, without quotes. `None`: a checksum of the body, computed for each
    /// request.
    pub etag: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Page<'a> {
    /// Creates a page with this path, such as `/`, and content type, such as `text/html`.
    #[must_use]
    pub const fn new(path: &'a str, content_type: &'a str, body: &'a [u8]) -> Self {
        Self {
            path,
            content_type,
            encoding: None,
            etag: None,
            body,
        }
    }

    /// Marks the body as compressed by gzip. Every client gets it like this, which RFC 9110 section 12.5.3 allows.
    #[must_use]
    pub const fn gzip(mut self) -> Self {
        self.encoding = Some("gzip");
        self
    }

    /// Sets the entity tag of this version of the page, without quotes: for a body of megabytes, whose checksum takes
    /// milliseconds to compute.
    #[must_use]
    pub const fn etag(mut self, etag: &'a str) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Checks that the page can be served.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn check(&self) -> Result<(), PageError> {
        let visible = |byte: u8| matches!(byte, 0x21..=0x7E);
        let is_type = |byte: u8| visible(byte) || byte == b' ';
        let is_path = |byte: u8| visible(byte) && !matches!(byte, b'?' | b'#');
        let is_tag = |byte: u8| visible(byte) && byte != b'"';
        let all = |text: &str, is: &dyn Fn(u8) -> bool| !text.is_empty() && text.bytes().all(is);
        if !self.path.starts_with('/') || !all(self.path, &is_path) {
            Err(PageError::Path)
        } else if !all(self.content_type, &is_type) {
            Err(PageError::ContentType)
        } else if self.encoding.is_some_and(|name| !all(name, &is_token)) {
            Err(PageError::Encoding)
        } else if self.etag.is_some_and(|etag| !all(etag, &is_tag)) {
            Err(PageError::Etag)
        } else {
            Ok(())
        }
    }

    /// Returns the checksum of the body (FNV-1a), and of its length, as eight hexadecimal digits.
    fn checksum(&self) -> [u8; 8] {
        let length = self.body.len() as u64;
        let bytes = self.body.iter().copied().chain(length.to_le_bytes());
        let mut hash = bytes.fold(0x811C_9DC5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let mut digits = [0; 8];
        for place in &mut digits {
            hash = hash.rotate_left(4);
            *place = match (hash & 0xF) as u8 {
                digit @ 0..=9 => b'0' | digit,
                digit => digit.wrapping_add(b'a' - 10),
            };
        }
        digits
    }
}

impl core::fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            path, content_type, ..
        } = self;
        write!(f, "Page({path} {content_type} {} bytes)", self.body.len())
    }
}

/// The reason why a [`Page`] cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageError {
    /// The path does not begin with a slash, or has a query, a fragment, spaces, or control characters.
    Path,
    /// The content type is empty, or has control characters.
    ContentType,
    /// The encoding is not a token.
    Encoding,
    /// The entity tag is empty, or has quotes, spaces, or control characters.
    Etag,
}

impl core::fmt::Display for PageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Path => "the path of a page must begin with / and be percent-encoded",
            Self::ContentType => "the content type of a page is not valid",
            Self::Encoding => "the encoding of a page is not valid, use gzip",
            Self::Etag => "the entity tag of a page is not valid",
        })
    }
}

impl core::error::Error for PageError {}

/// The head of a response with a page, in parts that are sent in order. The end of the head follows.
pub struct PageHead<'a> {
    page: Page<'a>,
    /// The entity tag of a page without its own.
    checksum: [u8; 8],
    /// The length of the body in decimal digits, right-aligned.
    length: [u8; 20],
    is_modified: bool,
    has_body: bool,
}

impl<'a> PageHead<'a> {
    /// Creates the response to this request: 200, or 304 if the client already has this version.
    #[must_use]
    pub fn new(page: Page<'a>, request: &Request<'_>) -> Self {
        let checksum = match page.etag {
            Some(_) => [0; 8],
            None => page.checksum(),
        };
        let tag = page.etag.map_or(&checksum[..], str::as_bytes);
        let is_modified = !request
            .fields(IF_NONE_MATCH)
            .any(|tags| lists_tag(tags, tag));
        let mut length = [b' '; 20];
        let mut rest = page.body.len();
        for place in length.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *place = b'0' | digit;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self {
            page,
            checksum,
            length,
            is_modified,
            has_body: is_modified && !request.is_head(),
        }
    }

    /// Returns whether the body of the page follows.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        self.has_body
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if self.is_modified { 200 } else { 304 }
    }

    /// Returns the status line and the fields that depend on the page, up to the entity tag.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 6] {
        if !self.is_modified {
            return [b"HTTP/1.1 304 Not Modified", &[], &[], &[], &[], &[]];
        }
        let (field, encoding) = match self.page.encoding {
            Some(encoding) => (&b"\r\nContent-Encoding: "[..], encoding.as_bytes()),
            None => (&[][..], &[][..]),
        };
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: ",
            self.page.content_type.as_bytes(),
            b"\r\nContent-Length: ",
            self.length.trim_ascii_start(),
            field,
            encoding,
        ]
    }

    /// Returns the entity tag, and the fields that all pages share: the client must revalidate its copy each time (RFC
    /// 9111 section 5.2.2.4), and must not guess the content type.
    #[must_use]
    pub fn validators(&self) -> [&[u8]; 3] {
        let tag = self.page.etag.map_or(&self.checksum[..], str::as_bytes);
        [
            b"\r\nETag: \"",
            tag,
            b"\"\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\
              Connection: close\r\n",
        ]
    }
}

/// Returns whether `tags`, the value of `If-None-Match`, is `*` or contains this entity tag. The comparison is weak
/// (RFC 9110 section 13.1.2).
fn lists_tag(tags: &[u8], wanted: &[u8]) -> bool {
    let mut rest = tags.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        // A tag may contain commas.
        let Some(quoted) = rest.strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = quoted.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let (tag, behind) = quoted.split_at(end);
        if tag == wanted {
            return true;
        }
        let Some(b'"') = behind.first() else {
            return false;
        };
        let mut next = behind.get(1..).unwrap_or_default();
        while let [b',' | b' ' | b'\t', more @ ..] = next {
            next = more;
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::request::tests::with_page_request;

    const PAGE: Page<'static> = Page::new("/", "text/html", b"<p>hello");

    /// Returns the head of the response to a request with these lines.
    fn head(page: Page<'_>, method: &str, lines: &str) -> (String, bool) {
        with_page_request(method, lines, |request| {
            let head = PageHead::new(page, request);
            let text = [head.parts().concat(), head.validators().concat()].concat();
            (String::from_utf8(text).unwrap(), head.has_body())
        })
    }

    #[test]
    fn a_page_has_its_type_length_and_entity_tag() {
        let (text, has_body) = head(PAGE, "GET", "");
        assert!(has_body);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\
             ETag: \"bbc025fb\"\r\nCache-Control: no-cache\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
        );
        let (text, _) = head(PAGE.gzip().etag("v1"), "GET", "");
        assert!(
            text.contains("\r\nContent-Length: 8\r\nContent-Encoding: gzip\r\nETag: \"v1\"\r\n")
        );
        let (text, _) = head(Page::new("/", "a/b", b""), "GET", "");
        assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
        let (text, _) = head(Page::new("/", "a/b", &[0; 1234]), "GET", "");
        assert!(text.contains("\r\nContent-Length: 1234\r\n"), "{text}");
    }

    #[test]
    fn head_has_the_header_of_get_and_no_body() {
        let get = head(PAGE, "GET", "");
        assert_eq!(head(PAGE, "HEAD", ""), (get.0, false));
    }

    #[test]
    fn the_entity_tag_changes_with_the_content() {
        let tag = |body: &[u8]| Page::new("/", "a/b", body).checksum();
        assert_ne!(tag(b"a"), tag(b"b"));
        assert_ne!(tag(b"a"), tag(b"a\0"));
        assert_ne!(tag(b""), tag(b"\0"));
        assert_eq!(tag(b"abc"), tag(b"abc"));
    }

    #[test]
    fn a_client_with_this_version_gets_304() {
        let page = PAGE.etag("a,b");
        for listed in [
            "*",
            "\"a,b\"",
            "W/\"a,b\"",
            "\"x\", \"a,b\"",
            "W/\"x\",W/\"a,b\" , \"y\"",
        ] {
            let (text, has_body) = head(page, "GET", &format!("If-None-Match: {listed}\r\n"));
            assert!(!has_body, "{listed}");
            assert!(
                text.starts_with("HTTP/1.1 304 Not Modified\r\nETag: \"a,b\"\r\n"),
                "{text}"
            );
            assert!(!text.contains("\nContent-"), "{text}");
        }
        for other in [
            "",
            "a,b",
            "\"a",
            "\"b\"",
            "\"x,\"a,b\"",
            "x, \"a,b\"",
            "\"*\"",
            "W/",
            "*, \"x\"",
        ] {
            let (text, has_body) = head(page, "GET", &format!("If-None-Match: {other}\r\n"));
            assert!(has_body && text.starts_with("HTTP/1.1 200 "), "{other}");
        }
        let two = "If-None-Match: \"x\"\r\nif-none-match: \"a,b\"\r\n";
        assert!(head(page, "HEAD", two).0.starts_with("HTTP/1.1 304 "));
    }

    #[test]
    fn a_page_has_to_leave_the_response_whole() {
        assert_eq!(PAGE.gzip().etag("v1").check(), Ok(()));
        assert_eq!(
            Page::new("/a%20b", "text/html; charset=utf-8", b"").check(),
            Ok(())
        );
        for path in ["", "a", "/a b", "/a?b", "/a#b", "/\u{e4}", "/\r\n"] {
            assert_eq!(
                Page::new(path, "a/b", b"").check(),
                Err(PageError::Path),
                "{path}"
            );
        }
        for kind in ["", "a\r\nb: c", "a\u{e4}"] {
            let page = Page::new("/", kind, b"");
            assert_eq!(page.check(), Err(PageError::ContentType), "{kind}");
        }
        let mut page = PAGE;
        page.encoding = Some("gzip\r\n");
        assert_eq!(page.check(), Err(PageError::Encoding));
        for etag in ["", "\"a\"", "a b", "\n"] {
            assert_eq!(PAGE.etag(etag).check(), Err(PageError::Etag), "{etag}");
        }
    }
}

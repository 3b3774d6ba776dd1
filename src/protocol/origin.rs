// SPDX-License-Identifier: Apache-2.0
//! Web pages that may connect (RFC 6455 section 10.2, RFC 6454).

use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

/// In a list of origins, it allows every origin, and clients without one.
const ANY: &str = "*";

/// The reason why a configured origin can match no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// There is no scheme: `device.local` instead of `http://device.local`.
    NoScheme,
    /// A page's scheme is `http` or `https`, not `ws` or `wss`.
    WebSocketScheme,
    /// Something follows the host and the port: a path, a query, or a fragment.
    Path,
    /// The host is not one that a browser sends: it is empty, has a user or a wildcard, or is neither ASCII nor an
    /// address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
}

impl core::fmt::Display for OriginError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "an origin begins with a scheme, such as http://",
            Self::WebSocketScheme => {
                "the origin of a page begins with http:// or https://, not ws:// or wss://"
            }
            Self::Path => "an origin ends with the host or the port, without a path",
            Self::Host => {
                "an origin has a host name in ASCII or an address, without user or wildcard"
            }
            Self::Port => "the port of an origin is a number from 1 to 65535",
        })
    }
}

impl core::error::Error for OriginError {}

/// Checks an origin in a configuration: `https://example.com`, `http://192.0.2.1:8080`, `null` (RFC 6454 section 7), or
/// `*` for every client. A slash at the end and the default port of the scheme (`http://device.local:80/`) are ignored.
///
/// # Errors
/// See [`OriginError`]: no request has such an origin.
pub fn check_origin(origin: &str) -> Result<(), OriginError> {
    if origin == ANY || origin.eq_ignore_ascii_case("null") {
        return Ok(());
    }
    let (scheme, authority) = split_scheme(origin).ok_or(OriginError::NoScheme)?;
    if ["ws", "wss"]
        .iter()
        .any(|other| scheme.eq_ignore_ascii_case(other))
    {
        return Err(OriginError::WebSocketScheme);
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(OriginError::Path);
    }
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, port)) => (is_written_as_sent(address), port),
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (name, port) = authority.split_at_checked(end).unwrap_or((authority, ""));
            (is_host_name(name), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        // Without a sign and leading zeros.
        Some(digits) => !digits.starts_with(['+', '0']) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    match (host, is_port) {
        (false, _) => Err(OriginError::Host),
        (true, false) => Err(OriginError::Port),
        (true, true) => Ok(()),
    }
}

fn split_scheme(origin: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins = scheme.bytes().next()?.is_ascii_alphabetic();
    (begins && scheme.bytes().all(is_of_scheme)).then_some((scheme, authority))
}

/// Returns whether browsers send such a host name. To them, a name that ends with a number is an IPv4 address.
fn is_host_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.contains(['x', 'X']));
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_of_name)
        && (!is_number || name.parse::<Ipv4Addr>().is_ok())
}

/// Returns whether browsers write an IPv6 address like this: in its shortest form (RFC 5952).
fn is_written_as_sent(text: &str) -> bool {
    /// The rest of the text to compare with.
    struct Expected<'a>(&'a str);

    impl core::fmt::Write for Expected<'_> {
        fn write_str(&mut self, part: &str) -> core::fmt::Result {
            let (front, rest) = self
                .0
                .split_at_checked(part.len())
                .ok_or(core::fmt::Error)?;
            self.0 = rest;
            front
                .eq_ignore_ascii_case(part)
                .then_some(())
                .ok_or(core::fmt::Error)
        }
    }

    let mut expected = Expected(text);
    text.parse::<Ipv6Addr>().is_ok_and(|address| {
        // They write an embedded IPv4 address as two groups.
        let mapped = address.to_ipv4_mapped();
        let written = match mapped.map(|address| address.octets()) {
            Some([a, b, c, d]) => {
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                write!(expected, "::ffff:{high:x}:{low:x}")
            }
            None => write!(expected, "{address}"),
        };
        written.is_ok() && expected.0.is_empty()
    })
}

/// The result of comparing a request with a list of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginMatch {
    /// The list contains the origin, or `*`.
    Listed,
    /// The list is empty.
    NoList,
    /// The list contains only other origins. This includes a request without an origin, which does not come from a
    /// browser.
    Other,
}

impl OriginMatch {
    /// Searches a list for the origin of a request. Scheme and host are case-insensitive. The list should pass
    /// [`check_origin`].
    pub fn of<'a>(origin: Option<&str>, list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::NoList;
        for entry in list {
            let is_listed = entry == ANY
                || origin.is_some_and(|origin| normal(entry).eq_ignore_ascii_case(normal(origin)));
            if is_listed {
                return Self::Listed;
            }
            found = Self::Other;
        }
        found
    }
}

/// Returns whether a request with this `Origin` may connect if only `allowed` origins may.
///
/// An empty list, and `*` in it, allow every request. See [`OriginMatch::of`].
pub fn origin_allowed<'a>(
    origin: Option<&str>,
    allowed: impl IntoIterator<Item = &'a str>,
) -> bool {
    OriginMatch::of(origin, allowed) != OriginMatch::Other
}

/// Returns the origin without a slash and the default port at the end. As bytes, because searching in a `str` takes
/// more code.
fn normal(origin: &str) -> &[u8] {
    let origin = origin.as_bytes();
    let origin = origin.strip_suffix(b"/").unwrap_or(origin);
    without_port(origin, is_https(origin))
}

fn is_https(origin: &[u8]) -> bool {
    let scheme = origin.get(..6);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https:"))
}

/// Returns the text before the port, if that is the scheme's default or empty.
fn without_port(authority: &[u8], is_https: bool) -> &[u8] {
    let port: &[u8] = if is_https { b":443" } else { b":80" };
    let rest = authority.strip_suffix(port);
    rest.or_else(|| authority.strip_suffix(b":"))
        .unwrap_or(authority)
}

/// Returns whether a page with this origin belongs to the server with this host and port.
pub(super) fn is_same(origin: &str, host: &str) -> bool {
    let origin = normal(origin);
    let is_https = is_https(origin);
    let scheme: &[u8] = if is_https { b"https://" } else { b"http://" };
    let Some((found, page)) = origin.split_at_checked(scheme.len()) else {
        return false;
    };
    let host = without_port(host.as_bytes(), is_https);
    found.eq_ignore_ascii_case(scheme) && page.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_compare_without_case_and_whole() {
        let allowed = ["https://example.com", "http://[::1]:8080"];
        let verdict = |origin| origin_allowed(origin, allowed);
        assert!(verdict(Some("HTTPS://Example.com")));
        assert!(!verdict(Some("https://example.com.evil.org")));
        assert!(!verdict(Some("http://example.com")));
        assert!(!verdict(Some("https://example.com:8443")));
        assert!(!verdict(Some("null")));
        assert!(!verdict(None));
        assert!(origin_allowed(None, []));
        for origin in [None, Some("null"), Some("https://example.org")] {
            assert!(origin_allowed(origin, ["https://example.com", "*"]));
        }
    }

    #[test]
    fn a_slash_and_the_port_of_the_scheme_do_not_matter_in_a_list() {
        for entry in ["http://h", "http://h/", "http://h:80", "HTTP://H:80/"] {
            assert_eq!(check_origin(entry), Ok(()), "{entry}");
            assert_eq!(
                OriginMatch::of(Some("http://h"), [entry]),
                OriginMatch::Listed
            );
            assert_eq!(
                OriginMatch::of(Some("http://h:8080"), [entry]),
                OriginMatch::Other
            );
            assert_eq!(
                OriginMatch::of(Some("https://h"), [entry]),
                OriginMatch::Other
            );
        }
        assert!(origin_allowed(Some("https://h"), ["https://h:443"]));
        assert!(!origin_allowed(Some("http://h"), ["http://h:443"]));
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_rejected() {
        for right in [
            "*",
            "null",
            "http://device.local",
            "https://example.com:8443",
            "http://192.0.2.1:8000",
            "http://[::1]:8080",
            "http://[2001:db8::1]",
            "http://[::ffff:c000:201]",
            "http://xn--bcher-kva.example",
            "http://a.b-c_d.",
            "http://h:80/",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert_eq!(check_origin(right), Ok(()), "{right}");
        }
        for (wrong, error) in [
            ("", OriginError::NoScheme),
            ("device.local", OriginError::NoScheme),
            ("device.local:8000", OriginError::NoScheme),
            ("//device.local", OriginError::NoScheme),
            ("://device.local", OriginError::NoScheme),
            ("http:device.local", OriginError::NoScheme),
            ("1http://h", OriginError::NoScheme),
            ("ht tp://h", OriginError::NoScheme),
            ("ws://device.local", OriginError::WebSocketScheme),
            ("WSS://device.local", OriginError::WebSocketScheme),
            ("http://h/page", OriginError::Path),
            ("http://h//", OriginError::Path),
            ("http://h?a", OriginError::Path),
            ("http://h#a", OriginError::Path),
            ("http://", OriginError::Host),
            ("http://:80", OriginError::Host),
            ("http://u@h", OriginError::Host),
            ("http://*.example.com", OriginError::Host),
            ("http://b\u{fc}cher.example", OriginError::Host),
            ("http://a%20b", OriginError::Host),
            ("http://a b", OriginError::Host),
            ("http://192.0.2", OriginError::Host),
            ("http://192.0.2.01", OriginError::Host),
            ("http://192.0.2.256", OriginError::Host),
            ("http://0x7f", OriginError::Host),
            ("http://::1", OriginError::Host),
            ("http://[::1", OriginError::Host),
            ("http://[0:0:0:0:0:0:0:1]", OriginError::Host),
            ("http://[2001:0db8::1]", OriginError::Host),
            ("http://[::ffff:192.0.2.1]", OriginError::Host),
            ("http://h:", OriginError::Port),
            ("http://h:0", OriginError::Port),
            ("http://h:080", OriginError::Port),
            ("http://h:+80", OriginError::Port),
            ("http://h:65536", OriginError::Port),
            ("http://h:8000:1", OriginError::Port),
            ("http://[::1]8000", OriginError::Port),
        ] {
            assert_eq!(check_origin(wrong), Err(error), "{wrong}");
        }
    }

    #[test]
    fn a_page_of_the_server_has_its_host_and_port() {
        for (origin, host) in [
            ("http://device.local", "device.local"),
            ("http://device.local", "DEVICE.local:80"),
            ("http://device.local", "device.local:"),
            ("http://device.local:80", "device.local"),
            ("https://device.local", "device.local"),
            ("https://device.local", "device.local:443"),
            ("http://device.local:8000", "device.local:8000"),
            ("HTTP://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(is_same(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://evil.example", "device.local"),
            ("http://device.local.evil.example", "device.local"),
            ("http://evil-device.local", "device.local"),
            ("http://device.local:8080", "device.local:8000"),
            ("http://device.local", "device.local:8000"),
            ("http://device.local", "device.local:443"),
            ("https://device.local", "device.local:80"),
            ("null", "device.local"),
            ("null", ""),
            ("", ""),
            ("http://", "a"),
            ("ftp://device.local", "device.local"),
            ("https:/xdevice.local", "device.local"),
        ] {
            assert!(!is_same(origin, host), "{origin} {host}");
        }
    }
}

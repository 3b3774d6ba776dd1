// SPDX-License-Identifier: Apache-2.0
//! The client's opening handshake (RFC 6455 section 4.2.1), parsed as it arrives.

use super::handshake::{Status, is_client_key};
use super::storage::Storage;

/// The longest opening request that is read unless configured otherwise, in bytes.
pub const HANDSHAKE_LIMIT: u16 = 4096;

/// The tag and the length in front of a kept field.
const KEPT_HEADER: usize = 3;
/// Room for the longest word that has a meaning: `sec-websocket-protocol`, `transfer-encoding`, …
const WORD: usize = 24;

bitflags::bitflags! {
    /// What the request has said so far.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Seen: u16 {
        const GET = 1 << 0;
        const HTTP_1_1 = 1 << 1;
        const HOST = 1 << 2;
        const UPGRADE_WEBSOCKET = 1 << 3;
        const CONNECTION_UPGRADE = 1 << 4;
        const KEY = 1 << 5;
        const VERSION = 1 << 6;
        const VERSION_13 = 1 << 7;
        const ORIGIN = 1 << 8;
        const QUERY = 1 << 9;
    }
}

/// A field of the request that is kept.
///
/// Kept fields stand one after the other at the front of the receive buffer, each as its tag, its
/// length in two bytes and its value. That is no longer than what was received of the request, so the
/// request is parsed and kept in the buffer it is received into. A NUL, of which a request has none,
/// ends each value, and stands for what separates the path from the query, and subprotocols from each
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kept {
    Target,
    Host,
    Key,
    Origin,
    Subprotocols,
}

/// Header fields with a meaning for the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The method, in front of all fields.
    Method,
    Keep(Kept),
    Upgrade,
    Connection,
    Version,
    ContentLength,
    /// A body after an opening handshake would be taken for frames.
    TransferEncoding,
    Other,
}

/// The header fields with a meaning, each with what notes that it was there if it may be there only
/// once.
const FIELDS: [(&[u8], Field, Seen); 9] = [
    (b"host", Field::Keep(Kept::Host), Seen::HOST),
    (b"sec-websocket-key", Field::Keep(Kept::Key), Seen::KEY),
    (b"origin", Field::Keep(Kept::Origin), Seen::ORIGIN),
    (b"sec-websocket-version", Field::Version, Seen::VERSION),
    (
        b"sec-websocket-protocol",
        Field::Keep(Kept::Subprotocols),
        Seen::empty(),
    ),
    (b"upgrade", Field::Upgrade, Seen::empty()),
    (b"connection", Field::Connection, Seen::empty()),
    (b"content-length", Field::ContentLength, Seen::empty()),
    (b"transfer-encoding", Field::TransferEncoding, Seen::empty()),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the request line, where empty lines are passed over (RFC 9112 section 2.2).
    Start,
    StartLf,
    Method,
    Target,
    HttpVersion,
    LineLf,
    LineStart,
    Name,
    Value,
    EndLf,
}

/// The parser of an opening request: one byte at a time, whatever the splits.
///
/// Needs room for what it keeps (target, host, key, origin, subprotocols); everything else is read
/// and forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestParser {
    state: State,
    field: Field,
    /// White space came after the last byte of the value's element.
    spaced: bool,
    seen: Seen,
    word: [u8; WORD],
    /// Length of the word; more than `WORD` for one too long to have a meaning.
    word_len: u8,
    /// Bytes at the front of the storage that hold kept fields.
    kept: u16,
    /// Where the field being kept began.
    kept_from: u16,
    received: u16,
    limit: u16,
}

impl RequestParser {
    /// A parser that refuses requests over `limit` bytes.
    pub fn new(limit: u16) -> Self {
        Self {
            state: State::Start,
            field: Field::Method,
            spaced: false,
            seen: Seen::empty(),
            word: [0; WORD],
            word_len: 0,
            kept: 0,
            kept_from: 0,
            received: 0,
            limit,
        }
    }

    /// Where in the storage the next bytes of the request are to be received: behind what is kept,
    /// and so far behind it that the tag and length of a field never overwrite a byte not yet read.
    pub fn receive_at(&self) -> usize {
        self.kept().saturating_add(KEPT_HEADER)
    }

    fn kept(&self) -> usize {
        usize::from(self.kept)
    }

    /// Takes the next byte of the request; the storage's bytes up to it may be overwritten.
    ///
    /// True once the request is complete and can be upgraded; the byte was the last one of it.
    ///
    /// # Errors
    /// The status with which the request has to be refused.
    pub fn push(&mut self, storage: &mut impl Storage, byte: u8) -> Result<bool, Status> {
        if self.received >= self.limit {
            return Err(Status::HEADERS_TOO_LARGE);
        }
        self.received = self.received.saturating_add(1);
        let bad = Err(Status::BAD_REQUEST);
        self.state = match (self.state, byte) {
            (State::Start, b'\r') => State::StartLf,
            (State::StartLf, b'\n') => State::Start,
            (State::Start | State::Method, byte) if is_token(byte) => {
                self.word_push(byte);
                State::Method
            }
            (State::Method, b' ') => {
                self.element_end();
                self.keep_begin(storage, Kept::Target);
                State::Target
            }
            (State::Target, b' ') => {
                self.keep_end(storage);
                if !is_target(self.find(storage, Kept::Target)) {
                    return bad;
                }
                State::HttpVersion
            }
            (State::Target, 0x21..=0x7E) if byte != b'#' => {
                if byte == b'?' && !self.seen.contains(Seen::QUERY) {
                    // Only the first one separates: a query may have more (RFC 3986 section 3.4).
                    self.seen.insert(Seen::QUERY);
                    self.keep(storage, 0);
                } else {
                    self.keep(storage, byte);
                }
                State::Target
            }
            (State::HttpVersion, b'\r') => {
                self.http_version()?;
                State::LineLf
            }
            (State::HttpVersion, 0x21..=0x7E) => {
                self.word_push(byte);
                State::HttpVersion
            }
            (State::LineLf, b'\n') => State::LineStart,
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart | State::Name, byte) if is_token(byte) => {
                self.word_push(byte.to_ascii_lowercase());
                State::Name
            }
            (State::Name, b':') => {
                self.field_begin(storage)?;
                State::Value
            }
            (State::Value, b'\r') => {
                self.field_end(storage)?;
                State::LineLf
            }
            (State::Value, b'\t' | 0x20..=0x7E | 0x80..) => {
                self.field_byte(storage, byte)?;
                State::Value
            }
            (State::EndLf, b'\n') => {
                self.complete(storage)?;
                return Ok(true);
            }
            _ => return bad,
        };
        Ok(false)
    }

    /// What the request asks for; to be read once it is complete.
    pub fn request<'a>(&self, storage: &'a impl Storage) -> Request<'a> {
        Request {
            kept: storage.bytes(0..self.kept()),
        }
    }

    fn http_version(&mut self) -> Result<(), Status> {
        let version = self.word_take().strip_prefix(b"HTTP/");
        let Some([major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) = version else {
            return Err(Status::BAD_REQUEST);
        };
        if *major == b'1' && *minor > b'0' {
            self.seen.insert(Seen::HTTP_1_1);
        }
        Ok(())
    }

    fn field_begin(&mut self, storage: &mut impl Storage) -> Result<(), Status> {
        let word = self.word_take();
        let known = FIELDS.iter().find(|(name, ..)| word == *name);
        let (field, once) = known.map_or((Field::Other, Seen::empty()), |(_, field, once)| {
            (*field, *once)
        });
        if field == Field::TransferEncoding || self.seen.intersects(once) {
            return Err(Status::BAD_REQUEST);
        }
        self.seen.insert(once);
        self.field = field;
        if let Field::Keep(kept) = field {
            self.keep_begin(storage, kept);
        }
        Ok(())
    }

    fn field_byte(&mut self, storage: &mut impl Storage, byte: u8) -> Result<(), Status> {
        match (self.field, byte) {
            (Field::Other, _) => return Ok(()),
            (Field::Keep(Kept::Subprotocols), b',') => {
                self.keep(storage, 0);
                self.word_len = 0;
                self.spaced = false;
                return Ok(());
            }
            (Field::Upgrade | Field::Connection, b',') => {
                self.element_end();
                return Ok(());
            }
            (_, b' ' | b'\t') => {
                // Around an element it means nothing.
                self.spaced = self.word_len > 0;
                return Ok(());
            }
            _ => {}
        }
        let is_spaced = core::mem::take(&mut self.spaced);
        let is_valid = match self.field {
            Field::Keep(Kept::Subprotocols) => !is_spaced && is_token(byte),
            Field::Keep(Kept::Host) => !is_spaced && is_of_host(byte),
            Field::Keep(_) => !is_spaced && is_visible(byte),
            Field::ContentLength => !is_spaced && byte == b'0',
            _ => true,
        };
        if !is_valid {
            return Err(Status::BAD_REQUEST);
        }
        if is_spaced {
            // Inside an element it spoils it: nothing has such a name.
            self.value_byte(storage, b' ');
        }
        self.value_byte(storage, byte);
        Ok(())
    }

    /// Adds to the value, which is kept or compared.
    fn value_byte(&mut self, storage: &mut impl Storage, byte: u8) {
        if let Field::Keep(_) = self.field {
            self.keep(storage, byte);
        }
        self.word_push(byte.to_ascii_lowercase());
    }

    fn field_end(&mut self, storage: &mut impl Storage) -> Result<(), Status> {
        let is_empty = self.word_len == 0;
        match self.field {
            Field::Keep(Kept::Host) | Field::ContentLength if is_empty => {
                return Err(Status::BAD_REQUEST);
            }
            Field::Keep(_) => self.keep_end(storage),
            _ => {}
        }
        self.element_end();
        Ok(())
    }

    /// The method, or one element of a field's value, is complete: it may be the one that counts.
    fn element_end(&mut self) {
        let (wanted, seen): (&[u8], _) = match self.field {
            Field::Method => (b"GET", Seen::GET),
            Field::Upgrade => (b"websocket", Seen::UPGRADE_WEBSOCKET),
            Field::Connection => (b"upgrade", Seen::CONNECTION_UPGRADE),
            Field::Version => (b"13", Seen::VERSION_13),
            _ => (b"", Seen::empty()),
        };
        self.spaced = false;
        if self.word_take() == wanted {
            self.seen.insert(seen);
        }
    }

    /// The head of the request is complete: may it be upgraded?
    fn complete(&self, storage: &impl Storage) -> Result<(), Status> {
        let seen = |what| self.seen.contains(what);
        if !seen(Seen::HTTP_1_1 | Seen::HOST) {
            Err(Status::BAD_REQUEST)
        } else if !seen(Seen::GET) {
            Err(Status::METHOD_NOT_ALLOWED)
        } else if !seen(Seen::UPGRADE_WEBSOCKET | Seen::CONNECTION_UPGRADE)
            || seen(Seen::VERSION) && !seen(Seen::VERSION_13)
        {
            Err(Status::UPGRADE_REQUIRED)
        } else if !seen(Seen::VERSION) || !is_client_key(self.request(storage).key()) {
            Err(Status::BAD_REQUEST)
        } else {
            Ok(())
        }
    }

    #[inline(never)] // for size
    fn word_push(&mut self, byte: u8) {
        if let Some(place) = self.word.get_mut(usize::from(self.word_len)) {
            *place = byte;
        }
        // Stays above `WORD` for a word of any length, and never comes round to a short one.
        self.word_len = self.word_len.saturating_add(1);
    }

    /// Ends the word, which is empty if it was too long to have a meaning.
    #[inline(never)] // for size
    fn word_take(&mut self) -> &[u8] {
        let len = usize::from(self.word_len);
        self.word_len = 0;
        self.word.get(..len).unwrap_or_default()
    }

    fn keep_begin(&mut self, storage: &mut impl Storage, kept: Kept) {
        self.kept_from = self.kept;
        for byte in [kept as u8, 0, 0] {
            self.keep(storage, byte);
        }
    }

    #[inline(never)] // for size
    fn keep(&mut self, storage: &mut impl Storage, byte: u8) {
        let at = self.kept();
        if let [place] = storage.bytes_mut(at..at.saturating_add(1)) {
            *place = byte;
            self.kept = self.kept.saturating_add(1);
        }
    }

    /// Ends the field, and writes its length.
    fn keep_end(&mut self, storage: &mut impl Storage) {
        let from = usize::from(self.kept_from);
        if let [_, high, low, value @ ..] = storage.bytes_mut(from..self.kept()) {
            let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
            [*high, *low] = len.to_be_bytes();
        }
        self.keep(storage, 0);
    }

    fn find<'a>(&self, storage: &'a impl Storage, kept: Kept) -> &'a str {
        self.request(storage).first(kept).unwrap_or_default()
    }
}

/// What a client asks for in its opening handshake.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    kept: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request as it is kept, to be kept elsewhere. A NUL follows each text in it.
    #[must_use]
    pub const fn to_bytes(&self) -> &'a [u8] {
        self.kept
    }

    /// A request from what [`to_bytes`](Self::to_bytes) gave.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { kept: bytes }
    }

    /// The path, percent-encoded as it came: `/chat`. Empty only if the request is not known.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match split(self.target(), 0).0 {
            // `ws://host?query` leaves the path out (RFC 9112 section 3.2.1).
            "" if !self.kept.is_empty() => "/",
            path => path,
        }
    }

    /// The query without its question mark, if the target has one.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        split(self.target(), 0).1
    }

    /// The `Host` field.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.first(Kept::Host).unwrap_or_default()
    }

    /// The `Origin` field, which browsers send.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.first(Kept::Origin)
    }

    /// The `Sec-WebSocket-Key` field: 24 characters.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.first(Kept::Key).unwrap_or_default()
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut fields = self.all(Kept::Subprotocols);
        let mut rest = "";
        core::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    rest = fields.next()?;
                }
                let (name, others) = split(rest, 0);
                rest = others.unwrap_or_default();
                if !name.is_empty() {
                    return Some(name);
                }
            }
        })
    }

    /// The target from its path on: browsers send just that, proxies a whole URL.
    fn target(&self) -> &'a str {
        let target = self.first(Kept::Target).unwrap_or_default();
        match authority(target) {
            Some((_, rest)) => {
                let path = rest.bytes().position(|byte| matches!(byte, b'/' | 0));
                path.and_then(|at| rest.get(at..)).unwrap_or_default()
            }
            None => target,
        }
    }

    fn first(&self, kept: Kept) -> Option<&'a str> {
        self.all(kept).next()
    }

    fn all(&self, wanted: Kept) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.kept;
        core::iter::from_fn(move || {
            let [tag, high, low, fields @ ..] = rest else {
                return None;
            };
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (value, next) = fields.split_at_checked(len)?;
            rest = next.get(1..)?;
            Some((*tag, value))
        })
        .filter(move |(tag, _)| *tag == wanted as u8)
        .filter_map(|(_, value)| core::str::from_utf8(value).ok())
    }
}

const SCHEMES: &[&str] = &["http", "https", "ws", "wss"];

/// A target may be a path or a whole URL (RFC 6455 section 4.2.1).
fn is_target(target: &str) -> bool {
    target.starts_with('/')
        || authority(target).is_some_and(|(scheme, rest)| {
            // In front of the port, the path or the query there is a host.
            !matches!(rest.as_bytes().first(), None | Some(b':' | b'/' | 0))
                && SCHEMES.iter().any(|name| name.eq_ignore_ascii_case(scheme))
        })
}

/// The scheme of a whole URL, and what follows `://`.
fn authority(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = split(target, b':');
    Some((scheme, rest?.strip_prefix("//")?)).filter(|_| !target.starts_with('/'))
}

/// What is in front of the first `separator`, and what is behind it if there is one. The searches of
/// `str` are made for more, and take a kilobyte of flash.
fn split(text: &str, separator: u8) -> (&str, Option<&str>) {
    let at = text.bytes().position(|byte| byte == separator);
    let parts = at.and_then(|at| Some((text.get(..at)?, text.get(at.checked_add(1)?..)?)));
    parts.map_or((text, None), |(front, back)| (front, Some(back)))
}

/// A character that stands for itself, and is no space.
const fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E)
}

/// A character of a host or a port, or a delimiter that is no other part of a URI (RFC 3986
/// section 3.2).
const fn is_of_host(byte: u8) -> bool {
    is_visible(byte)
        && !matches!(
            byte,
            b'"' | b'#'
                | b'/'
                | b'<'
                | b'>'
                | b'?'
                | b'@'
                | b'\\'
                | b'^'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
        )
}

/// A character of a token (RFC 9110 section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const FIELDS: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Version: 13\r\n";

    struct Parsed {
        storage: Vec<u8>,
        parser: RequestParser,
        outcome: Result<usize, Status>,
    }

    impl Parsed {
        fn request(&self) -> Request<'_> {
            self.outcome.unwrap();
            self.parser.request(&self.storage)
        }
    }

    /// Parses in place, as the receive buffer is used: every byte arrives where it is free.
    fn parse(request: &str) -> Parsed {
        let mut storage = vec![0; 700];
        let mut parser = RequestParser::new(4096);
        let mut outcome = Err(Status::INTERNAL_ERROR);
        for (at, byte) in request.bytes().enumerate() {
            match parser.push(&mut storage, byte) {
                Ok(false) => {}
                Ok(true) => {
                    outcome = Ok(at + 1);
                    break;
                }
                Err(status) => {
                    outcome = Err(status);
                    break;
                }
            }
        }
        Parsed {
            storage,
            parser,
            outcome,
        }
    }

    fn refusal(request: &str) -> Status {
        parse(request).outcome.unwrap_err()
    }

    #[test]
    fn a_browsers_request_is_read() {
        let text = "GET /chat?room=1&x=%20 HTTP/1.1\r\nHost: localhost:8000\r\n\
                    User-Agent: Mozilla/5.0 (with, a long value)\r\n\
                    connection: keep-alive,\tUPGRADE \r\nUpgrade: h2c, WebSocket\r\n\
                    Origin:  http://localhost \r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Protocol: chat.v2, chat\r\nSec-WebSocket-Protocol:soap\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nrest";
        let parsed = parse(text);
        assert_eq!(parsed.outcome, Ok(text.len() - 4));
        let request = parsed.request();
        assert_eq!(request.path(), "/chat");
        assert_eq!(request.query(), Some("room=1&x=%20"));
        assert_eq!(request.host(), "localhost:8000");
        assert_eq!(request.origin(), Some("http://localhost"));
        assert_eq!(request.key(), "dGhlIHNhbXBsZSBub25jZQ==");
        let offered: Vec<_> = request.subprotocols().collect();
        assert_eq!(offered, ["chat.v2", "chat", "soap"]);
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        let path = |target: &str| {
            let parsed = parse(&format!("GET {target} HTTP/1.1\r\n{FIELDS}{KEY}\r\n"));
            let request = parsed.request();
            (
                request.path().to_owned(),
                request.query().map(str::to_owned),
            )
        };
        assert_eq!(path("/"), ("/".into(), None));
        assert_eq!(path("http://h/a?b"), ("/a".into(), Some("b".into())));
        assert_eq!(path("ws://h:1"), ("/".into(), None));
        assert_eq!(path("ws://h?b"), ("/".into(), Some("b".into())));
        assert_eq!(path("/a://b?"), ("/a://b".into(), Some(String::new())));
    }

    #[test]
    fn a_request_without_upgrade_is_told_to_upgrade() {
        for fields in [
            "Host: h\r\n",
            "Host: h\r\nUpgrade: websocket\r\n",
            "Host: h\r\nUpgrade: web socket\r\nConnection: upgrade\r\n",
            "Host: h\r\nUpgrade: websocket2\r\nConnection: upgrade\r\n",
            "Host: h\r\nUpgrade: websocket\r\nConnection: keep-alive, upgrade-insecure-requests\r\n",
        ] {
            let request = format!("GET / HTTP/1.1\r\n{fields}{KEY}\r\n");
            assert_eq!(refusal(&request), Status::UPGRADE_REQUIRED, "{fields}");
        }
    }

    #[test]
    fn white_space_around_a_token_has_any_length() {
        let space = " \t".repeat(100);
        let text = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade:{space}websocket{space}\r\n\
             Connection: keep-alive{space},{space}Upgrade{space}\r\n\
             Sec-WebSocket-Version:{space}13{space}\r\nContent-Length:{space}00{space}\r\n{KEY}\r\n"
        );
        assert_eq!(parse(&text).outcome, Ok(text.len()));
        let inside = text.replacen("websocket", &format!("web{space}socket"), 1);
        assert_eq!(refusal(&inside), Status::UPGRADE_REQUIRED);
    }

    #[test]
    fn a_version_other_than_13_is_told_which() {
        let with = |version: &str| {
            refusal(&format!(
                "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 {version}{KEY}\r\n"
            ))
        };
        assert_eq!(
            with("Sec-WebSocket-Version: 8\r\n"),
            Status::UPGRADE_REQUIRED
        );
        assert_eq!(
            with("Sec-WebSocket-Version: 1 3\r\n"),
            Status::UPGRADE_REQUIRED
        );
        assert_eq!(with(""), Status::BAD_REQUEST);
    }

    #[test]
    fn only_get_may_upgrade() {
        for method in [
            "POST",
            "HEAD",
            "get",
            "GETT",
            "AVERYLONGMETHODTHATNOBODYWOULDEVERUSE",
        ] {
            let request = format!("{method} / HTTP/1.1\r\n{FIELDS}{KEY}\r\n");
            assert_eq!(refusal(&request), Status::METHOD_NOT_ALLOWED, "{method}");
        }
    }

    #[test]
    fn only_http_1_1_and_later_1_x_may_upgrade() {
        let with = |version: &str| parse(&format!("GET / {version}\r\n{FIELDS}{KEY}\r\n")).outcome;
        assert!(with("HTTP/1.1").is_ok());
        assert!(with("HTTP/1.2").is_ok());
        for wrong in [
            "HTTP/1.0",
            "HTTP/0.9",
            "HTTP/2.0",
            "HTTP/1.10",
            "http/1.1",
            "HTTP/1.",
            "",
        ] {
            assert_eq!(with(wrong), Err(Status::BAD_REQUEST), "{wrong}");
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        let get = format!("GET / HTTP/1.1\r\n{FIELDS}");
        for wrong in [
            "\n".to_owned(),
            "GET  / HTTP/1.1\r\n".to_owned(),
            "GET chat HTTP/1.1\r\n".to_owned(),
            "GET * HTTP/1.1\r\n".to_owned(),
            "GET ftp://h/ HTTP/1.1\r\n".to_owned(),
            "GET ws:///a HTTP/1.1\r\n".to_owned(),
            "GET ws://?a HTTP/1.1\r\n".to_owned(),
            "GET ws://:80/ HTTP/1.1\r\n".to_owned(),
            "GET /#a HTTP/1.1\r\n".to_owned(),
            "GET /\u{e9} HTTP/1.1\r\n".to_owned(),
            "GET / HTTP/1.1\n".to_owned(),
            "GET / HTTP/1.1 \r\n".to_owned(),
            format!("{get}X: a\rb"),
            format!("{get}X : a\r\n"),
            format!("{get} folded\r\n"),
            format!("{get}X: a\0b\r\n"),
            format!("{get}: a\r\n"),
            format!("{get}Host: again\r\n"),
            format!("{get}Sec-WebSocket-Version: 13\r\n"),
            format!("{get}{KEY}{KEY}"),
            format!("{get}\r\n"),
            format!("{get}Sec-WebSocket-Key: short\r\n\r\n"),
            format!("{get}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEyMw==\r\n\r\n"),
            format!("{get}Content-Length: 10\r\n"),
            format!("{get}Content-Length:\r\n"),
            format!("{get}Content-Length: 0 0\r\n"),
            format!("{get}Transfer-Encoding: chunked\r\n"),
            format!("{get}Sec-WebSocket-Protocol: a/b\r\n"),
            format!("{get}Sec-WebSocket-Protocol: chat, a \t b\r\n"),
            format!("{get}Origin: a b\r\n"),
            format!("GET / HTTP/1.1\r\nHost: \r\n{KEY}\r\n"),
            "GET / HTTP/1.1\r\nHost: h/a".to_owned(),
            "GET / HTTP/1.1\r\nHost: u@h".to_owned(),
            "GET / HTTP/1.1\r\nHost: h\\a".to_owned(),
            format!("GET / HTTP/1.1\r\nUpgrade: websocket\r\n{KEY}\r\n"),
        ] {
            assert_eq!(refusal(&wrong), Status::BAD_REQUEST, "{wrong:?}");
        }
    }

    #[test]
    fn empty_lines_before_the_request_are_passed_over() {
        let request = format!("\r\n\r\nGET / HTTP/1.1\r\n{FIELDS}Content-Length: 0\r\n{KEY}\r\n");
        assert!(parse(&request).outcome.is_ok());
    }

    #[test]
    fn a_request_over_the_limit_is_refused_at_its_first_byte_too_many() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(66_000));
        for limit in [4096, u16::MAX] {
            let mut storage = vec![0; 256];
            let mut parser = RequestParser::new(limit);
            for (at, byte) in long.bytes().enumerate() {
                let outcome = parser.push(&mut storage, byte);
                let expected = if at < usize::from(limit) {
                    Ok(false)
                } else {
                    Err(Status::HEADERS_TOO_LARGE)
                };
                assert_eq!(outcome, expected, "byte {at}");
                if at == usize::from(limit) {
                    break;
                }
            }
        }
    }
}

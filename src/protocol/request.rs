// SPDX-License-Identifier: Apache-2.0
//! The client's opening handshake (RFC 6455 section 4.2.1), parsed as it arrives.

use super::authority::{has_valid_escapes, is_authority, is_token};
use super::extensions::Extensions;
use super::handshake::{Status, is_client_key};
use super::origin::is_same;
use super::page::IF_NONE_MATCH;
use super::storage::Storage;

/// The default maximum size of an opening request, in bytes.
pub const HANDSHAKE_LIMIT: u16 = 4096;

/// The distance between the kept parts and the next bytes of the request. The byte that ends the authority of a target
/// is kept as four: the end of the host, the tag of the target, `/`, and the end of that.
const GAP: usize = 3;
/// Room for the longest word with a meaning: `sec-websocket-extensions`, `transfer-encoding`, …
const WORD: usize = 24;

bitflags::bitflags! {
    /// Facts about the request so far.
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
        /// A body follows, which would be mistaken for frames.
        const BODY = 1 << 10;
        /// The method is HEAD, which only pages support.
        const HEAD = 1 << 11;
    }
}

/// A part of the request that is kept.
///
/// Kept parts are at the front of the receive buffer, one after the other, each as a tag and texts. A NUL ends each
/// text. A request contains neither a NUL nor a tag, so no lengths are needed. Kept parts are never longer than the
/// received bytes of the request, so that it is parsed and kept in the buffer that it is received into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kept {
    /// The path, and the query if there is one.
    Target = 1,
    /// The authority of the target, then that of the `Host` field.
    Host,
    Key,
    Origin,
    /// Each subprotocol. An empty text means none.
    Subprotocols,
    /// The name in lower case, and the value, of a field that the application has requested.
    Named,
}

/// The tag of a request for a page. If it has a text, only the header of the page is requested.
const PAGE: u8 = Kept::Named as u8 + 1;

/// All tags are at most this. Bytes of a text are greater: the least is a tab.
const LAST_TAG: u8 = PAGE;

/// Header fields with a meaning for the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The method, before all fields.
    Method,
    Keep(Kept),
    Upgrade,
    Connection,
    Version,
    Extensions,
    ContentLength,
    TransferEncoding,
    Other,
}

/// The header fields with a meaning, each with the flag for its presence if it may appear only once.
const FIELDS: [(&[u8], Field, Seen); 10] = [
    (b"host", Field::Keep(Kept::Host), Seen::HOST),
    (b"sec-websocket-key", Field::Keep(Kept::Key), Seen::KEY),
    (b"origin", Field::Keep(Kept::Origin), Seen::ORIGIN),
    (b"sec-websocket-version", Field::Version, Seen::VERSION),
    (
        b"sec-websocket-protocol",
        Field::Keep(Kept::Subprotocols),
        Seen::empty(),
    ),
    (
        b"sec-websocket-extensions",
        Field::Extensions,
        Seen::empty(),
    ),
    (b"upgrade", Field::Upgrade, Seen::empty()),
    (b"connection", Field::Connection, Seen::empty()),
    (b"content-length", Field::ContentLength, Seen::empty()),
    (b"transfer-encoding", Field::TransferEncoding, Seen::empty()),
];

/// Checks the names of header fields that an application requests, separated by spaces.
///
/// # Errors
/// The first name that is not a token (RFC 9110 section 5.1), or is a field of the handshake itself, for which
/// [`Request`] has methods.
pub fn check_field_names(names: &str) -> Result<(), &str> {
    let is_wrong = |name: &&str| {
        let of_handshake = FIELDS
            .iter()
            .any(|(known, ..)| name.as_bytes().eq_ignore_ascii_case(known));
        of_handshake || !name.bytes().all(is_token)
    };
    let mut names = names.split(' ').filter(|name| !name.is_empty());
    names.find(is_wrong).map_or(Ok(()), Err)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the request line, where empty lines are skipped (RFC 9112 section 2.2).
    Start,
    StartLf,
    Method,
    Target,
    /// In the authority of a target that is a whole URL.
    Authority,
    HttpVersion,
    LineLf,
    LineStart,
    Name,
    Value,
    EndLf,
}

/// The parser of an opening request: one byte at a time, independent of splits.
///
/// It needs room for the parts that it keeps (target, host, key, origin, subprotocols, and the fields that the
/// application requests). Everything else is read and dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestParser {
    state: State,
    field: Field,
    /// White space followed the last byte of the value's element.
    spaced: bool,
    extensions: Extensions,
    seen: Seen,
    word: [u8; WORD],
    /// The length of the word; more than `WORD` if it is too long to have a meaning.
    word_len: u8,
    /// The number of bytes at the front of the storage with kept fields.
    kept: u16,
    /// The offset of the field that is being kept.
    kept_from: u16,
    received: u16,
    limit: u16,
}

impl RequestParser {
    /// Creates a parser that refuses requests of more than `limit` bytes.
    pub fn new(limit: u16) -> Self {
        Self {
            state: State::Start,
            field: Field::Method,
            spaced: false,
            extensions: Extensions::BEGIN,
            seen: Seen::empty(),
            word: [0; WORD],
            word_len: 0,
            kept: 0,
            kept_from: 0,
            received: 0,
            limit,
        }
    }

    /// Returns whether nothing was received yet.
    pub const fn is_unheard(&self) -> bool {
        self.received == 0
    }

    /// Returns the offset in the storage for the next bytes of the request: behind the kept parts, at a distance so
    /// that a kept field never overwrites a byte that was not read yet.
    pub fn receive_at(&self) -> usize {
        self.kept().saturating_add(GAP)
    }

    /// Returns how many bytes at the front of the storage are kept.
    fn kept(&self) -> usize {
        usize::from(self.kept)
    }

    /// Returns the status for a request that is too long, which depends on whether the target or the fields are.
    pub const fn too_long(&self) -> Status {
        match self.state {
            State::Target | State::Authority => Status::URI_TOO_LONG,
            _ => Status::HEADERS_TOO_LARGE,
        }
    }

    /// Processes the next byte of the request. The storage's bytes up to it may be overwritten. `names` are the header
    /// fields that the application requests, separated by spaces. With `pages`, a request need not ask for an upgrade,
    /// and `If-None-Match` is kept, too.
    ///
    /// Returns true for the last byte of the request, which can then be answered.
    ///
    /// # Errors
    /// The status with which the request must be refused.
    pub fn push(
        &mut self,
        storage: &mut impl Storage,
        names: &str,
        pages: bool,
        byte: u8,
    ) -> Result<bool, Status> {
        if self.received >= self.limit {
            return Err(self.too_long());
        }
        self.received = self.received.saturating_add(1);
        match (self.state, byte) {
            (State::HttpVersion, b'\r') => {
                self.http_version()?;
                self.state = State::LineLf;
            }
            (State::EndLf, b'\n') => {
                if pages && self.keep_page(storage) {
                    return Ok(true);
                }
                return self.complete(storage).map(|()| true);
            }
            _ => {
                let next = self.next(storage, names, pages, byte);
                self.state = next.ok_or(Status::BAD_REQUEST)?;
            }
        }
        Ok(false)
    }

    /// Returns the state after the next byte; `None` if the request is malformed.
    fn next(
        &mut self,
        storage: &mut impl Storage,
        names: &str,
        pages: bool,
        byte: u8,
    ) -> Option<State> {
        let is_token = is_token(byte);
        Some(match (self.state, byte) {
            (State::Start, b'\r') => State::StartLf,
            (State::StartLf, b'\n') => State::Start,
            (State::Start | State::Method, _) if is_token => {
                self.word_push(byte);
                State::Method
            }
            (State::Method, b' ') => {
                if pages && self.word() == b"HEAD" {
                    self.seen.insert(Seen::HEAD);
                }
                self.element_end();
                self.keep_begin(storage, Kept::Target);
                State::Target
            }
            (State::Authority, b' ' | b'/' | b'?') => {
                self.authority_end(storage)?;
                match byte {
                    b'/' => State::Target,
                    _ => self.target_byte(storage, byte)?,
                }
            }
            (State::Authority, 0x21..=0x7E) => {
                self.keep(storage, byte);
                State::Authority
            }
            (State::Target, byte) => self.target_byte(storage, byte)?,
            (State::HttpVersion, 0x21..=0x7E) => {
                self.word_push(byte);
                State::HttpVersion
            }
            (State::LineLf, b'\n') => State::LineStart,
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart | State::Name, _) if is_token => {
                let byte = byte.to_ascii_lowercase();
                if pages || !names.is_empty() {
                    // Field names can be longer than the word.
                    if self.state == State::LineStart {
                        self.keep_begin(storage, Kept::Named);
                    }
                    self.keep(storage, byte);
                }
                self.word_push(byte);
                State::Name
            }
            (State::Name, b':') => {
                self.field_begin(storage, names, pages)?;
                State::Value
            }
            (State::Value, b'\r') => {
                self.field_end(storage, names, pages)?;
                State::LineLf
            }
            (State::Value, b'\t' | 0x20..=0x7E | 0x80..) => {
                self.field_byte(storage, pages || !names.is_empty(), byte, is_token)?;
                State::Value
            }
            _ => return None,
        })
    }

    /// Returns the request, once it is complete.
    pub fn request<'a>(&self, storage: &'a impl Storage) -> Request<'a> {
        Request {
            kept: storage.bytes(0..self.kept()),
        }
    }

    fn target_byte(&mut self, storage: &mut impl Storage, byte: u8) -> Option<State> {
        match byte {
            b' ' => {
                self.target_end(storage)?;
                return Some(State::HttpVersion);
            }
            b'/' if SCHEMES.contains(&self.word()) => {
                self.word_len = u8::MAX; // other schemes are part of the path or the query
                // The authority is kept as the host, before the `Host` field, which it replaces (RFC 9112 section
                // 3.2.2).
                self.kept = self.kept_from;
                self.keep_begin(storage, Kept::Host);
                return Some(State::Authority);
            }
            b'?' if !self.seen.contains(Seen::QUERY) => {
                // Only the first one separates: a query may contain others (RFC 3986 section 3.4).
                self.seen.insert(Seen::QUERY);
                self.word_len = u8::MAX; // no scheme follows
                self.keep(storage, 0);
            }
            0x21..=0x7E if byte != b'#' => {
                // It may begin with a scheme.
                self.word_push(byte.to_ascii_lowercase());
                self.keep(storage, byte);
            }
            _ => return None,
        }
        Some(State::Target)
    }

    fn authority_end(&mut self, storage: &mut impl Storage) -> Option<()> {
        if !is_authority(self.value(storage)) {
            return None;
        }
        self.keep(storage, 0);
        self.keep_begin(storage, Kept::Target);
        // `ws://host?query` has no path (RFC 9112 section 3.2.1).
        self.keep(storage, b'/');
        Some(())
    }

    fn target_end(&mut self, storage: &mut impl Storage) -> Option<()> {
        let target = self.value(storage);
        // With another method, which is refused anyway, it may have another form (RFC 9112 section 3.2).
        let is_valid = target.first() == Some(&b'/') || !self.seen.contains(Seen::GET);
        if !is_valid || !has_valid_escapes(target) {
            return None;
        }
        self.keep(storage, 0);
        self.word_len = 0;
        Some(())
    }

    /// Returns the kept bytes of the current part.
    #[inline(never)] // for size
    fn value<'a>(&self, storage: &'a impl Storage) -> &'a [u8] {
        storage.bytes(usize::from(self.kept_from).saturating_add(1)..self.kept())
    }

    fn http_version(&mut self) -> Result<(), Status> {
        match self.word_take().strip_prefix(b"HTTP/") {
            Some([b'1', b'.', b'0']) => {}
            Some([b'1', b'.', b'1'..=b'9']) => self.seen.insert(Seen::HTTP_1_1),
            Some([b'2'..=b'9', b'.', b'0'..=b'9']) => return Err(Status::VERSION_NOT_SUPPORTED),
            _ => return Err(Status::BAD_REQUEST),
        }
        Ok(())
    }

    fn field_begin(&mut self, storage: &mut impl Storage, names: &str, pages: bool) -> Option<()> {
        let word = self.word_take();
        let known = FIELDS.iter().find(|(name, ..)| word == *name);
        let (field, once) = known.map_or((Field::Other, Seen::empty()), |(_, field, once)| {
            (*field, *once)
        });
        if self.seen.intersects(once) {
            return None;
        }
        self.seen.insert(once);
        self.field = field;
        if pages || !names.is_empty() {
            let name = self.value(storage);
            let is_kept = lists(names, name) || pages && lists(IF_NONE_MATCH, name);
            if field == Field::Other && is_kept {
                self.field = Field::Keep(Kept::Named);
                self.keep(storage, 0);
                return Some(());
            }
            self.kept = self.kept_from;
        }
        match field {
            Field::Keep(kept) => self.keep_begin(storage, kept),
            Field::Extensions => self.extensions = Extensions::BEGIN,
            Field::TransferEncoding => self.seen.insert(Seen::BODY),
            _ => {}
        }
        Some(())
    }

    fn field_byte(
        &mut self,
        storage: &mut impl Storage,
        keeps_named: bool,
        byte: u8,
        is_token: bool,
    ) -> Option<()> {
        let is_space = matches!(byte, b' ' | b'\t');
        match (self.field, byte) {
            (Field::Other | Field::TransferEncoding, _) => return Some(()),
            (Field::Extensions, _) => {
                self.extensions = self.extensions.push(byte, is_token)?;
                return Some(());
            }
            (Field::Keep(Kept::Named), _) if keeps_named => {
                // White space inside the value is part of it. At the end it is removed later.
                if !is_space || self.word_len > 0 {
                    self.word_len = 1;
                    self.keep(storage, byte);
                }
                return Some(());
            }
            (Field::Keep(Kept::Subprotocols), b',') => {
                self.keep(storage, 0);
                self.word_len = 0;
                self.spaced = false;
                return Some(());
            }
            (Field::Upgrade | Field::Connection, b',') => {
                self.element_end();
                return Some(());
            }
            _ if is_space => {
                // Ignore white space around an element.
                self.spaced = self.word_len > 0;
                return Some(());
            }
            _ => {}
        }
        let is_spaced = core::mem::take(&mut self.spaced);
        let is_valid = match self.field {
            Field::Keep(Kept::Subprotocols) => !is_spaced && is_token,
            Field::Keep(_) => !is_spaced && is_visible(byte),
            Field::ContentLength | Field::Version => !is_spaced && byte.is_ascii_digit(),
            _ => true,
        };
        if !is_valid {
            return None;
        }
        if self.field == Field::ContentLength && byte != b'0' {
            self.seen.insert(Seen::BODY);
        }
        if is_spaced {
            // White space inside an element makes it unknown.
            self.value_byte(storage, b' ');
        }
        self.value_byte(storage, byte);
        Some(())
    }

    /// Adds a byte to the value, which is kept or compared.
    fn value_byte(&mut self, storage: &mut impl Storage, byte: u8) {
        if let Field::Keep(_) = self.field {
            self.keep(storage, byte);
        }
        self.word_push(byte.to_ascii_lowercase());
    }

    fn field_end(&mut self, storage: &mut impl Storage, names: &str, pages: bool) -> Option<()> {
        let is_valid = match self.field {
            Field::Keep(Kept::Host) => is_authority(self.value(storage)),
            Field::Extensions => self.extensions.may_end(),
            Field::ContentLength => self.word_len > 0,
            // Up to three digits without leading zeros (RFC 6455 section 4.3).
            Field::Version => {
                let [first, ..] = self.word;
                matches!(self.word_len, 1..=3) && (first != b'0' || self.word_len == 1)
            }
            _ => true,
        };
        if !is_valid {
            return None;
        }
        match self.field {
            Field::Keep(Kept::Named) if pages || !names.is_empty() => {
                // The NUL of the name ends this loop.
                while let [b' ' | b'\t'] = storage.bytes(self.kept().saturating_sub(1)..self.kept())
                {
                    self.kept = self.kept.saturating_sub(1);
                }
                self.keep(storage, 0);
            }
            Field::Keep(_) => self.keep(storage, 0),
            _ => {}
        }
        self.element_end();
        Some(())
    }

    /// Ends the method, or an element of a field's value, which may be the relevant one.
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

    /// Returns whether the request, whose head is complete, is for a page, and keeps that.
    fn keep_page(&mut self, storage: &mut impl Storage) -> bool {
        let seen = self.seen;
        let is_page = seen.intersects(Seen::GET.union(Seen::HEAD))
            && !seen.contains(Seen::UPGRADE_WEBSOCKET)
            && (seen.contains(Seen::HOST) || !seen.contains(Seen::HTTP_1_1));
        if is_page {
            // There is room, because as many bytes are free before the next received byte.
            self.keep(storage, PAGE);
            if seen.contains(Seen::HEAD) {
                self.keep(storage, b'H');
            }
            self.keep(storage, 0);
        }
        is_page
    }

    /// Checks whether the request, whose head is complete, may be upgraded.
    fn complete(&self, storage: &impl Storage) -> Result<(), Status> {
        let seen = |what| self.seen.contains(what);
        if seen(Seen::HTTP_1_1) && !seen(Seen::HOST) {
            Err(Status::BAD_REQUEST)
        } else if !seen(Seen::GET) {
            Err(Status::METHOD_NOT_ALLOWED)
        } else if !seen(Seen::HTTP_1_1 | Seen::UPGRADE_WEBSOCKET | Seen::CONNECTION_UPGRADE)
            || seen(Seen::VERSION) && !seen(Seen::VERSION_13)
        {
            // An upgrade in a request of HTTP/1.0 is ignored (RFC 9110 section 7.8).
            Err(Status::UPGRADE_REQUIRED)
        } else if seen(Seen::BODY)
            || !seen(Seen::VERSION)
            || !is_client_key(self.request(storage).key())
        {
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
        // Saturates, so that a long word never looks like a short one.
        self.word_len = self.word_len.saturating_add(1);
    }

    /// Returns the word; empty if it is too long to have a meaning.
    #[inline(never)] // for size
    fn word(&self) -> &[u8] {
        self.word
            .get(..usize::from(self.word_len))
            .unwrap_or_default()
    }

    /// Ends the word.
    #[inline(never)] // for size
    fn word_take(&mut self) -> &[u8] {
        let len = core::mem::take(&mut self.word_len);
        self.word.get(..usize::from(len)).unwrap_or_default()
    }

    fn keep_begin(&mut self, storage: &mut impl Storage, kept: Kept) {
        self.kept_from = self.kept;
        self.keep(storage, kept as u8);
    }

    #[inline(never)] // for size
    fn keep(&mut self, storage: &mut impl Storage, byte: u8) {
        let at = self.kept();
        if let [place] = storage.bytes_mut(at..at.saturating_add(1)) {
            *place = byte;
            self.kept = self.kept.saturating_add(1);
        }
    }
}

/// The opening request of a client.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    kept: &'a [u8],
}

impl<'a> Request<'a> {
    /// Returns the request in its kept form, for storing it. A NUL follows each text.
    #[must_use]
    pub const fn to_bytes(&self) -> &'a [u8] {
        self.kept
    }

    /// Creates a request from the result of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { kept: bytes }
    }

    /// Returns the path, percent-encoded as received: `/chat`. Empty only if the request is not known.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.first(Kept::Target).unwrap_or_default()
    }

    /// Returns the query without its question mark, percent-encoded as received, if the target has one.
    /// [`query_param`](Self::query_param) decodes a parameter of it.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.all(Kept::Target).nth(1).and_then(text)
    }

    /// Returns the host of the request, and its port if there is one: that of the target if the target is a whole URL,
    /// otherwise that of the `Host` field (RFC 9112 section 3.3).
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.first(Kept::Host).unwrap_or_default()
    }

    /// Returns the `Origin` field, which browsers send.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.first(Kept::Origin)
    }

    /// Returns whether this request does not come from a page of another site: it has no `Origin`, so it does not come
    /// from a browser, or the `Origin` has the host and port of [`host`](Self::host). A missing port is the default of
    /// the origin's scheme.
    #[must_use]
    pub fn is_same_origin(&self) -> bool {
        self.origin()
            .is_none_or(|origin| is_same(origin, self.host()))
    }

    /// Returns whether this is a GET or HEAD request for a page, and not for a WebSocket. Only if the server has pages.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.tagged(PAGE).next().is_some()
    }

    /// Returns whether only the header of a page is requested.
    pub(crate) fn is_head(&self) -> bool {
        self.tagged(PAGE).any(|method| !method.is_empty())
    }

    /// Returns the `Sec-WebSocket-Key` field: 24 characters. Empty if this [is for a page](Self::is_page).
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.first(Kept::Key).unwrap_or_default()
    }

    /// Returns the subprotocols that the client offers, in order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = self.all(Kept::Subprotocols).filter_map(text);
        names.filter(|name| !name.is_empty())
    }

    /// Returns the value of a header field that the application has requested, without white space around it. The name
    /// is case-insensitive. If several fields have this name, returns the first one.
    ///
    /// `None` if there is no such field, if the application has not requested it, or if the value is not UTF-8:
    /// non-ASCII bytes have no defined meaning in a field (RFC 9110 section 5.5). [`fields`](Self::fields) returns them
    /// unchanged.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields(name).next().and_then(text)
    }

    /// Returns the values of all header fields with this name, in order, as [`field`](Self::field) returns the first
    /// one: visible ASCII, spaces, tabs, and any bytes from 0x80 on.
    pub fn fields<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let mut named = self.all(Kept::Named);
        core::iter::from_fn(move || Some((named.next()?, named.next()?)))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    #[inline(never)] // for size
    fn first(&self, kept: Kept) -> Option<&'a str> {
        self.all(kept).next().and_then(text)
    }

    /// Returns the texts with this tag.
    fn all(&self, wanted: Kept) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.tagged(wanted as u8)
    }

    fn tagged(&self, wanted: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.kept;
        let mut tag = 0;
        core::iter::from_fn(move || {
            loop {
                if let [new @ 1..=LAST_TAG, texts @ ..] = rest {
                    (tag, rest) = (*new, texts);
                }
                let at = rest.iter().position(|byte| *byte == 0)?;
                let (text, next) = rest.split_at_checked(at)?;
                rest = next.get(1..)?;
                if tag == wanted {
                    return Some(text);
                }
            }
        })
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// Returns whether this name, in lower case, is one of those in the list.
fn lists(names: &str, name: &[u8]) -> bool {
    let mut names = names.as_bytes().split(|byte| *byte == b' ');
    names.any(|listed| listed.eq_ignore_ascii_case(name))
}

/// The part before the second slash of a target that is a whole URL (RFC 6455 section 4.2.1).
const SCHEMES: [&[u8]; 4] = [b"ws:/", b"wss:/", b"http:/", b"https:/"];

/// Returns whether this is a visible ASCII character.
const fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E)
}

#[cfg(test)]
pub(super) mod tests {
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

    /// Parses in place, like the receive buffer: every byte arrives where there is room.
    fn parse(request: &str) -> Parsed {
        parse_for("", request)
    }

    /// Does the same, and keeps these fields.
    fn parse_for(names: &str, request: impl AsRef<[u8]>) -> Parsed {
        parse_with(names, false, request)
    }

    /// Does the same, with or without pages.
    fn parse_with(names: &str, pages: bool, request: impl AsRef<[u8]>) -> Parsed {
        let mut storage = vec![0; 700];
        let mut parser = RequestParser::new(4096);
        let mut outcome = Err(Status::INTERNAL_ERROR);
        for (at, byte) in request.as_ref().iter().enumerate() {
            match parser.push(&mut storage, names, pages, *byte) {
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

    /// Passes a request with this target to `test`.
    pub fn with_target<T>(target: &str, test: impl FnOnce(&Request<'_>) -> T) -> T {
        let parsed = parse(&format!("GET {target} HTTP/1.1\r\n{FIELDS}{KEY}\r\n"));
        test(&parsed.request())
    }

    /// Passes a request with these lines to `test`. The fields with these names are kept.
    pub fn with_fields<T>(
        names: &str,
        lines: impl AsRef<[u8]>,
        test: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let head = format!("GET / HTTP/1.1\r\n{FIELDS}{KEY}");
        let parsed = parse_for(names, [head.as_bytes(), lines.as_ref(), b"\r\n"].concat());
        test(&parsed.request())
    }

    /// Passes a request for a page, with these lines, to `test`.
    pub fn with_page_request<T>(
        method: &str,
        lines: &str,
        test: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let text = format!("{method} /page?a HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let parsed = parse_with("Authorization", true, text);
        test(&parsed.request())
    }

    #[test]
    fn a_request_without_an_upgrade_is_for_a_page() {
        with_page_request("GET", "Authorization: Basic x\r\n", |request| {
            assert!(request.is_page() && !request.is_head());
            assert_eq!((request.path(), request.query()), ("/page", Some("a")));
            assert_eq!(request.host(), "h");
            assert_eq!(request.field("authorization"), Some("Basic x"));
            assert_eq!(request.key(), "");
            let kept = Request::from_bytes(request.to_bytes());
            assert!(kept.is_page());
        });
        with_page_request("HEAD", "", |request| {
            assert!(request.is_page() && request.is_head());
            assert_eq!(request.path(), "/page");
        });
        // Another protocol may be ignored (RFC 9110 section 7.8), and so are fields for WebSockets.
        let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nSec-WebSocket-Key: x\r\n";
        with_page_request("GET", h2c, |request| assert!(request.is_page()));
        let body = "Content-Length: 5\r\n";
        with_page_request("GET", body, |request| assert!(request.is_page()));
        // HTTP/1.0 needs no host.
        let old = parse_with("", true, "GET / HTTP/1.0\r\n\r\n");
        assert!(old.request().is_page());
    }

    #[test]
    fn where_there_are_pages_other_requests_are_answered_as_before() {
        let answer = |request: &str| parse_with("", true, request).outcome.err();
        let get = format!("GET / HTTP/1.1\r\n{FIELDS}");
        let parsed = parse_with("", true, format!("{get}{KEY}\r\n"));
        assert!(!parsed.request().is_page());
        let head = format!("HEAD / HTTP/1.1\r\n{FIELDS}{KEY}\r\n");
        for (request, status) in [
            (
                "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
                Status::METHOD_NOT_ALLOWED,
            ),
            (
                "get / HTTP/1.1\r\nHost: h\r\n\r\n",
                Status::METHOD_NOT_ALLOWED,
            ),
            (
                "HEADS / HTTP/1.1\r\nHost: h\r\n\r\n",
                Status::METHOD_NOT_ALLOWED,
            ),
            (&head, Status::METHOD_NOT_ALLOWED),
            ("GET / HTTP/1.1\r\n\r\n", Status::BAD_REQUEST),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
                Status::UPGRADE_REQUIRED,
            ),
            (
                &get.replace("HTTP/1.1", "HTTP/1.0"),
                Status::UPGRADE_REQUIRED,
            ),
            (&get.replace("13", "12"), Status::UPGRADE_REQUIRED),
        ] {
            let request = if request.ends_with("\r\n\r\n") {
                request.to_owned()
            } else {
                format!("{request}\r\n")
            };
            assert_eq!(answer(&request), Some(status), "{request}");
        }
        // Without pages, requests for them are refused.
        assert_eq!(
            refusal("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            Status::UPGRADE_REQUIRED
        );
        assert_eq!(
            refusal("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"),
            Status::METHOD_NOT_ALLOWED
        );
    }

    #[test]
    fn a_request_for_a_page_fits_wherever_its_fields_do() {
        // With any room, the request is either refused as too long, or kept whole.
        let text = "HEAD /page HTTP/1.1\r\nHost: device\r\n\r\n";
        let mut kept = 0;
        for size in 1..40 {
            let mut incoming = crate::protocol::Incoming::new(vec![0; size], 4096, false);
            if !incoming.preload(text.as_bytes(), "", true) {
                continue;
            }
            if incoming.step_keeping("", true) == crate::protocol::Step::Request {
                let request = incoming.request().unwrap();
                assert!(request.is_head(), "{size}");
                assert_eq!(
                    (request.path(), request.host()),
                    ("/page", "device"),
                    "{size}"
                );
                kept += 1;
            }
        }
        assert!(kept > 10);
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
        assert_eq!(path("ws://h/ws://b"), ("/ws://b".into(), None));
        assert_eq!(path("/a://b?"), ("/a://b".into(), Some(String::new())));
    }

    #[test]
    fn a_target_that_is_a_whole_url_replaces_the_host() {
        let host = |target: &str| with_target(target, |request| request.host().to_owned());
        assert_eq!(host("/"), "h");
        for (target, expected) in [
            ("ws://device.example/chat", "device.example"),
            ("HTTPS://u:1?a=ws://b/", "u:1"),
            ("wss://[::1]:8000", "[::1]:8000"),
            ("http://a:/?", "a:"),
            ("ws://a/ws://b/", "a"),
            ("ws://a?ws://b/", "a"),
            ("ws://a/?ws://b/", "a"),
            ("/?ws://b/", "h"),
        ] {
            assert_eq!(host(target), expected, "{target}");
        }
        for wrong in [
            "ws://u@h/",
            "ws://h:x/",
            "ws://a:b:c/",
            "ws://[::1/",
            "ws://h%/",
            "ws://[::1]a",
            "ws:/h/",
            "ws:h",
            "w://h/",
            "xws://h/",
            "ws:?//h/",
            "?ws://h/",
            "/%zz",
            "/%",
            "/a?%4",
            "/%4?1",
            "ws://h/%",
            "ws://h?%g1",
            "h:80",
            "*",
        ] {
            let request = format!("GET {wrong} HTTP/1.1\r\n{FIELDS}{KEY}\r\n");
            assert_eq!(refusal(&request), Status::BAD_REQUEST, "{wrong}");
        }
        // The field is present nevertheless, and valid.
        let without = FIELDS.replace("Host: h\r\n", "");
        for host in [
            "",
            "Host:\r\n",
            "Host: a:b:c\r\n",
            "Host: [::1\r\n",
            "Host: a b\r\n",
        ] {
            let request = format!("GET ws://h/ HTTP/1.1\r\n{host}{without}{KEY}\r\n");
            assert_eq!(refusal(&request), Status::BAD_REQUEST, "{host}");
        }
    }

    #[test]
    fn another_method_may_have_a_target_of_its_own_form() {
        for target in ["*", "h:80", "/"] {
            let request =
                format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(refusal(&request), Status::METHOD_NOT_ALLOWED, "{target}");
        }
        assert_eq!(refusal("OPTIONS * HTTP/1.1\r\n\r\n"), Status::BAD_REQUEST);
    }

    #[test]
    fn extensions_have_to_be_well_formed() {
        for (field, expected) in [
            ("permessage-deflate; client_max_window_bits, x", None),
            ("", None),
            ("a;;b", Some(Status::BAD_REQUEST)),
            ("a b", Some(Status::BAD_REQUEST)),
            ("a;", Some(Status::BAD_REQUEST)),
        ] {
            let line = format!(
                "Sec-WebSocket-Extensions: x; y=\"1\"\r\nSec-WebSocket-Extensions: {field}\r\n"
            );
            let parsed = parse(&format!("GET / HTTP/1.1\r\n{FIELDS}{line}{KEY}\r\n"));
            assert_eq!(parsed.outcome.err(), expected, "{field}");
        }
    }

    #[test]
    fn a_request_that_is_too_long_is_told_why() {
        let too_long = |request: &str| {
            let mut storage = vec![0; 700];
            let mut parser = RequestParser::new(100);
            let outcome = request
                .bytes()
                .find_map(|byte| parser.push(&mut storage, "", false, byte).err());
            outcome.unwrap()
        };
        let long = "a".repeat(100);
        for target in [
            format!("/{long}"),
            format!("/?{long}"),
            format!("ws://{long}"),
            long.clone(),
        ] {
            assert_eq!(
                too_long(&format!("GET {target} HTTP")),
                Status::URI_TOO_LONG
            );
        }
        assert_eq!(
            too_long(&format!("GET / HTTP/1.1\r\nX: {long}")),
            Status::HEADERS_TOO_LARGE
        );
        assert_eq!(
            too_long(&format!("GET / HTTP/1.1\r\n{long}")),
            Status::HEADERS_TOO_LARGE
        );
    }

    #[test]
    fn fields_that_the_application_asks_for_are_kept() {
        let lines = "Cookie: a=1; b\r\nX-Other: no\r\ncookie:\t c=\"2 3\" \t\r\n\
                     A-Name-That-Is-Longer-Than-Any-With-A-Meaning:yes\r\nAuthorization: Basic\t \tx\r\nEmpty:\r\n";
        let names =
            "  COOKIE authorization a-name-that-is-longer-than-any-with-a-meaning empty Absent";
        with_fields(names, lines, |request| {
            assert_eq!(request.field("Cookie"), Some("a=1; b"));
            let cookies: Vec<_> = request.fields("cookie").collect();
            assert_eq!(cookies, [&b"a=1; b"[..], b"c=\"2 3\""]);
            assert_eq!(request.field("AUTHORIZATION"), Some("Basic\t \tx"));
            let name = "A-Name-That-Is-Longer-Than-Any-With-A-Meaning";
            assert_eq!(request.field(name), Some("yes"));
            assert_eq!(request.field("empty"), Some(""));
            for absent in ["X-Other", "Absent", "", "a=1; b", "Host", "cook"] {
                assert_eq!(request.field(absent), None, "{absent}");
            }
            assert_eq!((request.host(), request.path()), ("h", "/"));
        });
        let absent = with_fields("", lines, |request| request.field("Cookie").is_none());
        assert!(absent);
    }

    #[test]
    fn a_field_of_the_handshake_cannot_be_asked_for() {
        assert_eq!(check_field_names(""), Ok(()));
        assert_eq!(check_field_names(" Cookie  x-1 "), Ok(()));
        for wrong in [
            "Host",
            "ORIGIN",
            "sec-websocket-key",
            "Connection",
            "a,b",
            "a:",
            "\u{e4}",
            "a\tb",
        ] {
            assert_eq!(check_field_names(&format!("Cookie {wrong} x")), Err(wrong));
        }
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
            with("Sec-WebSocket-Version: 255\r\n"),
            Status::UPGRADE_REQUIRED
        );
        for wrong in ["", "1 3", "13, 8", "013", "1300", "x", "-13"] {
            let field = format!("Sec-WebSocket-Version: {wrong}\r\n");
            assert_eq!(with(&field), Status::BAD_REQUEST, "{wrong}");
        }
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
        assert_eq!(with("HTTP/1.0"), Err(Status::UPGRADE_REQUIRED));
        for other in ["HTTP/2.0", "HTTP/3.1", "HTTP/9.9"] {
            assert_eq!(with(other), Err(Status::VERSION_NOT_SUPPORTED), "{other}");
        }
        for wrong in [
            "HTTP/1.10",
            "http/1.1",
            "HTTP/1.",
            "HTTP/a.1",
            // HTTP/0.9 has no request line of this form.
            "HTTP/0.9",
            "HTTP/1.1\t",
            "",
        ] {
            assert_eq!(with(wrong), Err(Status::BAD_REQUEST), "{wrong}");
        }
        // HTTP/1.0 does not require a Host field.
        assert_eq!(refusal("GET / HTTP/1.0\r\n\r\n"), Status::UPGRADE_REQUIRED);
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
            format!("{get}Content-Length: 10\r\n{KEY}\r\n"),
            format!("{get}Content-Length: 0\r\nContent-Length: 1\r\n{KEY}\r\n"),
            format!("{get}Content-Length: 1a\r\n"),
            format!("{get}Content-Length:\r\n"),
            format!("{get}Content-Length: 0 0\r\n"),
            format!("{get}Transfer-Encoding: chunked\r\n{KEY}\r\n"),
            format!("{get}Sec-WebSocket-Protocol: a/b\r\n"),
            format!("{get}Sec-WebSocket-Protocol: chat, a \t b\r\n"),
            format!("{get}Origin: a b\r\n"),
            format!("GET / HTTP/1.1\r\nHost: \r\n{KEY}\r\n"),
            "GET / HTTP/1.1\r\nHost: h/a\r\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: u@h\r\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: h\\a\r\n".to_owned(),
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
    fn white_space_in_front_of_the_first_field_is_refused() {
        for space in [" ", "\t", "  X: y\r\n"] {
            let request = format!("GET / HTTP/1.1\r\n{space}{FIELDS}{KEY}\r\n");
            assert_eq!(refusal(&request), Status::BAD_REQUEST, "{space:?}");
        }
    }

    #[test]
    fn empty_elements_of_lists_are_ignored() {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: , ,websocket,\r\nConnection:,\t,Upgrade , ,\r\n\
             Sec-WebSocket-Protocol: , chat,, ,soap ,\r\nSec-WebSocket-Extensions: ,, x,,\r\n\
             Sec-WebSocket-Version: 13\r\n{KEY}\r\n"
        );
        let parsed = parse(&text);
        let offered: Vec<_> = parsed.request().subprotocols().collect();
        assert_eq!(offered, ["chat", "soap"]);
    }

    #[test]
    fn a_request_over_the_limit_is_refused_at_its_first_byte_too_many() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(66_000));
        for limit in [4096, u16::MAX] {
            let mut storage = vec![0; 256];
            let mut parser = RequestParser::new(limit);
            for (at, byte) in long.bytes().enumerate() {
                let outcome = parser.push(&mut storage, "", false, byte);
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

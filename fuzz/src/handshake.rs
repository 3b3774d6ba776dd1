// SPDX-License-Identifier: Apache-2.0
//! The opening request, with the protocol only.
//!
//! An input is: a size, a limit and the fields to keep, a seed of four bytes, and the client's bytes. They are replayed
//! in large and in random pieces. The result must be the same, and must agree with a naive parser of the whole request.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use wss::Request;
use wss::protocol::{
    AcceptKey, HEAD_END, Incoming, OVERHEAD, OriginMatch, QueryError, Refusal, Status, Step,
};

use crate::received::received;
use crate::splits::Chance;

const SIZES: [usize; 6] = [4, 16, 64, 300, 1400, 5000];
const LIMITS: [u16; 6] = [4096, 100, 200, 1000, 10_000, u16::MAX];
/// The names of fields that an application requests.
const NAMES: [&str; 4] = [
    "",
    "Authorization Cookie",
    "x",
    " cookie  A-Name-That-Is-Longer-Than-Any-With-A-Meaning X ",
];

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Incomplete,
    Refused(u16),
    /// Contains the number of bytes.
    Accepted(Asked, usize),
}

/// The request of a client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    path: String,
    query: Option<String>,
    host: String,
    origin: Option<String>,
    key: String,
    subprotocols: Vec<String>,
    /// The requested fields, with their values.
    fields: Vec<(String, Vec<u8>)>,
}

pub fn check(input: &[u8]) {
    let [size, limit, a, b, c, d, stream @ ..] = input else {
        return;
    };
    let size = SIZES[usize::from(*size) % SIZES.len()];
    let names = NAMES[usize::from(*limit) / LIMITS.len() % NAMES.len()];
    let limit = LIMITS[usize::from(*limit) % LIMITS.len()];
    let settings = (size, limit, names);
    let whole = replay(settings, stream, None);
    let chance = Chance::new(u32::from_le_bytes([*a, *b, *c, *d]));
    let cut = replay(settings, stream, Some(chance));
    assert_eq!(cut, whole, "cut by chance");
    check_against_oracle(settings, stream, &whole.0);
    if let Outcome::Refused(status) = whole.0 {
        let status = Status::new(status).expect("a status that refuses");
        received(&Refusal::new(status, None).parts(HEAD_END).concat());
    }
}

/// Replays the bytes. Returns the result of the request, and then of the frames after it.
fn replay(
    (size, limit, names): (usize, u16, &str),
    stream: &[u8],
    mut chance: Option<Chance>,
) -> (Outcome, Vec<String>) {
    let mut incoming = Incoming::new(vec![0xEE; size + OVERHEAD], limit, false);
    let mut outcome = Outcome::Incomplete;
    let mut frames = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let space = incoming.space();
        let mut count = space.len().min(stream.len() - at);
        assert_ne!(count, 0, "there is always space");
        if let Some(chance) = &mut chance {
            count = chance.cut(count);
        }
        space[..count].copy_from_slice(&stream[at..at + count]);
        incoming.received(count);
        at += count;
        loop {
            match incoming.step_keeping(names, false) {
                Step::NeedBytes => break,
                Step::Refuse(status) => outcome = Outcome::Refused(status.get()),
                Step::Request => {
                    let asked = asked(&incoming.request().expect("the request is complete"), names);
                    incoming.upgrade();
                    // The rest of the received bytes are frames.
                    let unparsed = incoming.space().len();
                    let left = (size + OVERHEAD) - unparsed;
                    outcome = Outcome::Accepted(asked, at - left);
                }
                step => frames.push(format!("{:?}", with_bytes(&incoming, step))),
            }
        }
    }
    (outcome, frames)
}

/// A step with its bytes instead of their range.
fn with_bytes(incoming: &Incoming<Vec<u8>>, step: Step) -> (&'static str, Vec<u8>) {
    match step {
        Step::Data(data) => ("data", incoming.bytes(data.range).to_vec()),
        Step::Ping(range) => ("ping", incoming.bytes(range).to_vec()),
        Step::Pong(range) => ("pong", incoming.bytes(range).to_vec()),
        Step::Close { body, .. } => ("close", incoming.bytes(body).to_vec()),
        Step::Fail(_) => ("fail", Vec::new()),
        step => panic!("{step:?} after the request"),
    }
}

fn asked(request: &Request<'_>, names: &str) -> Asked {
    let mut texts = vec![request.path(), request.host(), request.key()];
    texts.extend(request.query());
    texts.extend(request.origin());
    texts.extend(request.subprotocols());
    for text in texts {
        let kept = request.to_bytes();
        let at = text.as_ptr().addr().wrapping_sub(kept.as_ptr().addr());
        let behind = kept.get(at..).and_then(|kept| kept.get(text.len()..));
        assert_eq!(
            behind.and_then(<[u8]>::first),
            Some(&0),
            "a NUL follows each text"
        );
    }
    assert_eq!(AcceptKey::new(request.key()).as_str().len(), 28);
    let kept = Request::from_bytes(request.to_bytes());
    assert_eq!((kept.path(), kept.host()), (request.path(), request.host()));
    Asked {
        path: request.path().into(),
        query: request.query().map(Into::into),
        host: request.host().into(),
        origin: request.origin().map(Into::into),
        key: request.key().into(),
        subprotocols: request.subprotocols().map(Into::into).collect(),
        fields: fields(request, names),
    }
}

/// The requested fields of a request.
fn fields(request: &Request<'_>, names: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in names.split_whitespace().map(str::to_lowercase) {
        let values: Vec<_> = request.fields(&name).collect();
        let first = values
            .first()
            .and_then(|value| std::str::from_utf8(value).ok());
        assert_eq!(request.field(&name.to_uppercase()), first);
        found.extend(
            values
                .into_iter()
                .map(|value| (name.clone(), value.to_vec())),
        );
    }
    assert_eq!(request.field("not-asked-for"), None);
    check_readers(request);
    found
}

/// The functions of a request must agree with naive parsers of its texts.
fn check_readers(request: &Request<'_>) {
    let mut buffer = vec![0; request.to_bytes().len()];
    let query = request.query().unwrap_or_default();
    let parameters: Vec<_> = query.split('&').filter(|part| !part.is_empty()).collect();
    for part in &parameters {
        let name = String::from_utf8(decode_query(part.split('=').next().unwrap_or_default()));
        let Ok(name) = name else { continue };
        let first = parameters.iter().find_map(|part| {
            let (found, value) = part.split_once('=').unwrap_or((part, ""));
            (decode_query(found) == name.as_bytes()).then(|| String::from_utf8(decode_query(value)))
        });
        let read = request.query_param(&name, &mut buffer);
        match first {
            Some(Ok(value)) => assert_eq!(read, Ok(Some(value.as_str())), "{name} of {query}"),
            Some(Err(_)) => assert_eq!(read, Err(QueryError::NotUtf8), "{name} of {query}"),
            None => assert_eq!(read, Ok(None)),
        }
    }
    let cookies: Vec<&[u8]> = request.fields("cookie").collect();
    let pairs = cookies
        .iter()
        .flat_map(|field| field.split(|byte| *byte == b';'));
    let pairs: Vec<_> = pairs
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
        })
        .collect();
    for (name, _) in &pairs {
        let Ok(text) = std::str::from_utf8(name) else {
            continue;
        };
        let first = pairs.iter().find(|(found, _)| found == name);
        let value = first.and_then(|(_, value)| std::str::from_utf8(value).ok());
        assert_eq!(request.cookie(text), value);
    }
    let fields: Vec<_> = request.fields("authorization").collect();
    let only = match fields[..] {
        [field] => std::str::from_utf8(field).ok(),
        _ => None,
    };
    let credentials = |scheme: &str| {
        let (found, rest) = only?.split_once(' ')?;
        let token = rest.trim_start_matches(' ');
        let digits = token.trim_end_matches('=');
        let is_digit = |char: char| char.is_ascii_alphanumeric() || "-._~+/".contains(char);
        let is_valid = !digits.is_empty() && digits.chars().all(is_digit);
        (found.eq_ignore_ascii_case(scheme) && is_valid).then_some(token)
    };
    let bearer = credentials("Bearer");
    assert_eq!(request.bearer(), bearer);
    assert!(bearer.is_none_or(|token| request.is_bearer(token)));
    assert!(!request.is_bearer("another"), "no input has it");
    let pair = credentials("Basic")
        .and_then(decode_base64)
        .and_then(|pair| {
            let at = pair.iter().position(|byte| *byte == b':')?;
            let user = String::from_utf8(pair[..at].to_vec()).ok()?;
            Some((user, String::from_utf8(pair[at + 1..].to_vec()).ok()?))
        });
    let read = request.basic(&mut buffer);
    assert_eq!(
        read,
        pair.as_ref()
            .map(|(user, password)| (user.as_str(), password.as_str()))
    );
    if let Some((user, password)) = &pair {
        assert!(request.is_basic(user, password));
        assert!(!request.is_basic(user, &format!("{password}x")));
        assert!(!request.is_basic(&format!("{user}x"), password));
    }
    if let Some(origin) = request.origin() {
        // Whatever it is, only one element of a list has it.
        assert_eq!(OriginMatch::of(Some(origin), [origin]), OriginMatch::Listed);
        let is_of_host = origin
            .split_once("://")
            .is_some_and(|(_, page)| page.eq_ignore_ascii_case(request.host()));
        let is_page = origin.len() > 7 && origin[..4].eq_ignore_ascii_case("http");
        assert!(!is_of_host || !is_page || request.is_same_origin() || !origin.contains("://"));
        if request.is_same_origin() {
            let (_, page) = origin.split_once("://").expect("a scheme");
            let host = |text: &str| {
                let text = text.trim_end_matches('/').to_lowercase();
                let at = text.rfind(':').filter(|at| !text[*at..].contains(']'));
                text[..at.unwrap_or(text.len())].to_owned()
            };
            assert_eq!(host(page), host(request.host()));
        }
    }
}

/// Decodes a part of a query.
fn decode_query(text: &str) -> Vec<u8> {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("escapes were checked"));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// Decodes Base64 with padding, where every unused bit must be 0.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    let mut bits = String::new();
    for digit in digits.chars() {
        bits.push_str(&format!("{:06b}", DIGITS.find(digit)?));
    }
    let (whole, rest) = bits.split_at(bits.len() / 8 * 8);
    let is_valid = text.len().is_multiple_of(4) && rest.len() < 6 && !rest.contains('1');
    let is_padded = text.len() - digits.len() == (4 - digits.len() % 4) % 4;
    let bytes = whole.as_bytes().chunks(8);
    let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).ok()?, 2).ok();
    (is_valid && is_padded).then(|| bytes.filter_map(byte).collect())
}

fn check_against_oracle(
    (size, limit, names): (usize, u16, &str),
    stream: &[u8],
    outcome: &Outcome,
) {
    let expected = read_request(stream, names);
    match (outcome, &expected) {
        (Outcome::Accepted(asked, len), Some((expected, expected_len))) => {
            assert_eq!(asked, expected, "the oracle on the right");
            assert_eq!(len, expected_len, "frames begin behind the request");
            assert!(*len <= usize::from(limit));
        }
        (Outcome::Accepted(asked, _), None) => panic!("{asked:?} is no valid request"),
        // Over the limit, or more to keep than there is room for.
        (Outcome::Refused(414 | 431), _) => {
            let len = expected.map_or(stream.len(), |(_, len)| len);
            assert!(len > usize::from(limit) || len + 3 >= size + OVERHEAD);
        }
        (_, Some(asked)) => panic!("{outcome:?} for {asked:?}"),
        (_, None) => {}
    }
}

/// Parses a whole opening request. Returns it with its length; `None` unless it is complete and valid.
fn read_request(stream: &[u8], names: &str) -> Option<(Asked, usize)> {
    let mut start = 0;
    while stream[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let end = stream[start..]
        .windows(4)
        .position(|end| end == b"\r\n\r\n")?;
    let head = &stream[start..start + end];
    // Values of unused fields may have any non-ASCII bytes.
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let is_text = |char: char| matches!(char, '\t' | ' '..='~' | '\u{80}'..);
    let mut lines = head.split("\r\n");
    let [method, target, version] = *lines.next()?.split(' ').collect::<Vec<_>>() else {
        return None;
    };
    let minor = version.strip_prefix("HTTP/1.")?;
    if method != "GET" || minor.len() != 1 || !matches!(minor.as_bytes()[0], b'1'..=b'9') {
        return None;
    }
    if !target
        .chars()
        .all(|char| matches!(char, '!'..='~') && char != '#')
    {
        return None;
    }
    if !has_valid_escapes(target) {
        return None;
    }
    let mut asked = read_target(target)?;
    let mut fields: HashMap<String, Vec<&str>> = HashMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || !name.chars().all(is_token) || !value.chars().all(is_text) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        fields.entry(name.to_lowercase()).or_default().push(value);
    }
    let once = |name: &str| match fields.get(name).map(Vec::as_slice) {
        None => Some(None),
        Some([value]) => Some(Some(*value)),
        Some(_) => None,
    };
    let list = |name: &str| {
        let values = fields.get(name).map(Vec::as_slice).unwrap_or_default();
        let elements = values.iter().flat_map(|value| value.split(','));
        elements.map(|element| element.trim_matches([' ', '\t']).to_owned())
    };
    let lists = |name, wanted| list(name).any(|element| element.eq_ignore_ascii_case(wanted));
    if !lists("upgrade", "websocket") || !lists("connection", "upgrade") {
        return None;
    }
    // Zero, in any number of digits.
    let lengths = fields.get("content-length").into_iter().flatten();
    let has_body = lengths
        .into_iter()
        .any(|length| length.is_empty() || length.contains(|char| char != '0'));
    if fields.contains_key("transfer-encoding") || has_body {
        return None;
    }
    let is_word = |value: &&str| value.chars().all(|char| matches!(char, '!'..='~'));
    let host = once("host")?.filter(|host| is_authority(host))?;
    // The host in a target that is a whole URL has priority.
    if asked.host.is_empty() {
        asked.host = host.into();
    }
    asked.key = once("sec-websocket-key")?.filter(is_word)?.into();
    let origin = once("origin")?;
    asked.origin = match origin {
        Some(origin) => Some(Some(origin).filter(is_word)?.into()),
        None => None,
    };
    let is_13 = once("sec-websocket-version")? == Some("13");
    if !is_13 || !is_key(&asked.key) {
        return None;
    }
    let extensions = fields.get("sec-websocket-extensions").into_iter().flatten();
    if !extensions.into_iter().all(|field| is_extensions(field)) {
        return None;
    }
    for name in names.split_whitespace().map(str::to_lowercase) {
        for value in fields.get(&name).into_iter().flatten() {
            let value = value.chars().map(|char| char as u8).collect();
            asked.fields.push((name.clone(), value));
        }
    }
    asked.subprotocols = list("sec-websocket-protocol")
        .filter(|name| !name.is_empty())
        .collect();
    let mut names = asked.subprotocols.iter().flat_map(|name| name.chars());
    if !names.all(is_token) {
        return None;
    }
    Some((asked, start + end + 4))
}

fn read_target(target: &str) -> Option<Asked> {
    let mut host = String::new();
    let from_path = if target.starts_with('/') {
        target
    } else {
        // Not a colon of the query: the scheme has no question mark.
        let (scheme, rest) = target.split_once("://")?;
        let scheme = scheme.to_lowercase();
        let (authority, from_path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !["http", "https", "ws", "wss"].contains(&scheme.as_str()) || !is_authority(authority) {
            return None;
        }
        host = authority.into();
        from_path
    };
    let (path, query) = match from_path.split_once('?') {
        Some((path, query)) => (path, Some(query.into())),
        None => (from_path, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    Some(Asked {
        path: path.into(),
        query,
        host,
        ..Asked::default()
    })
}

/// A non-empty host, and perhaps a port.
fn is_authority(text: &str) -> bool {
    // A literal has colons of its own.
    let colon = text.rfind(':').filter(|at| !text[*at..].contains(']'));
    let (host, port) = text.split_at(colon.unwrap_or(text.len()));
    let is_port = port.chars().skip(1).all(|char| char.is_ascii_digit());
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(char);
    is_port
        && match literal {
            Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(is_of_name) && has_valid_escapes(host),
        }
}

fn has_valid_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|escape| {
        escape.len() >= 2 && escape.chars().take(2).all(|char| char.is_ascii_hexdigit())
    })
}

/// Parses `Sec-WebSocket-Extensions` by recursive descent.
fn is_extensions(field: &str) -> bool {
    let mut rest = field.trim_matches([' ', '\t']);
    loop {
        if let Some(others) = take_extension(rest) {
            rest = others;
        }
        match take(rest, ',') {
            Some(others) => rest = others,
            None => return rest.is_empty(),
        }
    }
}

/// Returns the rest after an extension with its parameters; `None` if there is none.
fn take_extension(text: &str) -> Option<&str> {
    let mut rest = take_token(text)?;
    while let Some(parameter) = take(rest, ';') {
        rest = take_token(parameter)?;
        if let Some(value) = take(rest, '=') {
            rest = take_token(value).or_else(|| take_quoted(value))?;
        }
    }
    Some(rest)
}

fn take(text: &str, char: char) -> Option<&str> {
    Some(text.strip_prefix(char)?.trim_start_matches([' ', '\t']))
}

fn take_token(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(is_token);
    (rest.len() < text.len()).then(|| rest.trim_start_matches([' ', '\t']))
}

fn take_quoted(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    let mut is_empty = true;
    while !rest.starts_with('"') {
        rest = rest.strip_prefix('\\').unwrap_or(rest);
        rest = rest.strip_prefix(is_token)?;
        is_empty = false;
    }
    take(rest, '"').filter(|_| !is_empty)
}

/// 16 bytes in base64.
fn is_key(key: &str) -> bool {
    let digits = key.strip_suffix("==").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.len() == 22 && digits.bytes().all(is_digit) && digits.ends_with(['A', 'Q', 'g', 'w'])
}

fn is_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}

// SPDX-License-Identifier: Apache-2.0
//! Opening requests for C: during the hook, and later, while the client has its slot.

use core::ffi::CStr;

use wss::protocol::AcceptKey;
use wss::service::Lock as _;
use wss::{Answer, ClientId, Request, Verdict};

use crate::abi::{HTTP_VERSION_1_1, Handshake, KEY_SIZE};
use crate::client::Client;
use crate::error::Error;
use crate::platform::{
    KEEPS_REQUESTS, Monitor, PerClient, RequestBytes, SERVERS, keep_request, monitor,
};
use crate::server::PerServer;

/// A request whose hook is running: the target of a `struct wss_request *`.
pub struct Asked<'r, 'a> {
    /// The client.
    pub client: Client,
    /// Its request.
    pub request: &'r Request<'r>,
    /// `None` once it is used.
    answer: Option<Answer<'a>>,
}

impl<'r, 'a> Asked<'r, 'a> {
    /// Creates a request that is to be answered.
    pub const fn new(client: Client, request: &'r Request<'r>, answer: Answer<'a>) -> Self {
        Self {
            client,
            request,
            answer: Some(answer),
        }
    }

    /// Answers the request, unless it was answered.
    pub fn give(&mut self, verdict: Verdict<'_>) {
        if let Some(answer) = self.answer.take() {
            requests(self.client.place).keep_unless_refused(self.client.id, self.request, &verdict);
            let _ = answer.give(verdict);
        }
    }
}

/// The requests of each server. Never on a stack: Kconfig may make them larger than any stack.
static REQUESTS: PerServer<Requests> = PerServer([const { Requests::new() }; SERVERS]);

/// Returns the accepted requests of the clients of the server at `place`.
pub fn requests(place: usize) -> &'static Requests {
    REQUESTS.at(place)
}

/// The accepted requests of the clients of a server.
pub struct Requests(Monitor<PerClient>);

pub struct Accepted {
    /// The generation of the client that it belongs to.
    generation: u32,
    /// In the form of [`Request::to_bytes`]; empty: not kept.
    request: RequestBytes,
    /// The index of the chosen subprotocol among those offered.
    subprotocol: Option<usize>,
}

impl Accepted {
    /// No request. All zeros, so that it takes no flash.
    pub const NONE: Self = Self {
        generation: 0,
        request: RequestBytes::new(),
        subprotocol: None,
    };

    /// Forgets the request.
    #[cfg(feature = "zephyr")]
    pub fn clear(&mut self) {
        self.request.clear();
    }
}

/// A text of a request: `enum wss_client_text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Path,
    Query,
    Host,
    Origin,
    Subprotocol,
}

impl Text {
    /// Returns the text with this number in C.
    pub const fn from_c(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Path,
            1 => Self::Query,
            2 => Self::Host,
            3 => Self::Origin,
            4 => Self::Subprotocol,
            _ => return None,
        })
    }
}

impl Requests {
    /// Creates the requests of a server without clients.
    const fn new() -> Self {
        Self(monitor(PerClient::new()))
    }

    /// Forgets all requests.
    pub fn forget(&self) {
        if KEEPS_REQUESTS {
            self.0.lock().clear();
        }
    }

    /// Keeps an accepted request, in place of the previous client's.
    pub fn keep(&self, client: ClientId, request: &Request<'_>, subprotocol: Option<&str>) {
        if !KEEPS_REQUESTS {
            return;
        }
        let chosen = |name| request.subprotocols().position(|offered| offered == name);
        let mut kept = self.0.lock();
        if let Some(accepted) = kept.place(client.slot()) {
            keep_request(&mut accepted.request, request.to_bytes());
            accepted.generation = client.generation();
            accepted.subprotocol = subprotocol.and_then(chosen);
        }
    }

    /// Keeps a request unless it is refused. A request that is answered later must be readable until then.
    pub fn keep_unless_refused(
        &self,
        client: ClientId,
        request: &Request<'_>,
        verdict: &Verdict<'_>,
    ) {
        match verdict {
            Verdict::Accept { subprotocol, .. } => self.keep(client, request, *subprotocol),
            Verdict::Later => self.keep(client, request, None),
            Verdict::Refuse { .. } => {}
        }
    }

    fn with<T>(
        &self,
        client: ClientId,
        read: impl FnOnce(Request<'_>, Option<&str>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kept = self.0.lock();
        let accepted = kept.get(client.slot());
        let accepted = accepted
            .filter(|accepted| accepted.generation == client.generation())
            .filter(|accepted| !accepted.request.is_empty())
            .ok_or(Error::NoSuchClient)?;
        let request = Request::from_bytes(&accepted.request);
        let subprotocol = accepted
            .subprotocol
            .and_then(|index| request.subprotocols().nth(index));
        read(request, subprotocol)
    }

    /// Copies a text, NUL-terminated and truncated to the buffer.
    pub fn copy<'a>(
        &self,
        client: ClientId,
        which: Text,
        room: impl FnOnce() -> Result<&'a mut [u8], Error>,
    ) -> Result<(), Error> {
        self.with(client, |request, subprotocol| {
            let text = match which {
                Text::Path => Some(request.path()),
                Text::Query => request.query(),
                Text::Host => Some(request.host()),
                Text::Origin => request.origin(),
                Text::Subprotocol => subprotocol,
            };
            let text = text.ok_or(Error::NoText)?;
            let fits = copy_text(text, room()?);
            fits.then_some(()).ok_or(Error::NoRoom)
        })
    }

    /// Returns the fields of the handshake.
    pub fn handshake(&self, client: ClientId) -> Result<Handshake, Error> {
        self.with(client, |request, _| {
            let mut handshake = Handshake {
                http_version: HTTP_VERSION_1_1,
                ws_version: 13,
                upgrade_web_socket: true,
                origin: request.origin().is_some(),
                connection_upgrade: true,
                is_key: true,
                client_key: [0; KEY_SIZE + 1],
                server_key: [0; KEY_SIZE + 1],
            };
            copy_text(request.key(), &mut handshake.client_key);
            copy_text(
                AcceptKey::new(request.key()).as_str(),
                &mut handshake.server_key,
            );
            Ok(handshake)
        })
    }
}

/// Returns one of the request's texts as a C string, if it is kept with a NUL. `None` for other texts.
pub fn c_text<'a>(request: &Request<'a>, text: &str) -> Option<&'a CStr> {
    let kept = request.to_bytes();
    let from = text.as_ptr().addr().checked_sub(kept.as_ptr().addr());
    let kept = from.and_then(|from| kept.get(from..))?;
    let found = CStr::from_bytes_until_nul(kept).ok();
    found.filter(|found| found.to_bytes() == text.as_bytes())
}

/// Copies a text with its NUL. Returns whether all of it fits.
pub fn copy_text(text: &str, room: &mut [u8]) -> bool {
    let Some((end, room)) = room.split_last_mut() else {
        return false;
    };
    *end = 0;
    let fits = text.len() <= room.len();
    for (place, byte) in room.iter_mut().zip(text.bytes().chain([0])) {
        *place = byte;
    }
    fits
}

#[cfg(test)]
mod tests {
    use wss::protocol::{Incoming, Step};

    use super::*;

    #[test]
    fn texts_are_ended_within_their_room() {
        let mut room = [9; 5];
        assert!(copy_text("abc", &mut room));
        assert_eq!(room, *b"abc\0\0");
        assert!(copy_text("abcd", &mut room));
        assert_eq!(room, *b"abcd\0");
        assert!(!copy_text("abcdef", &mut room));
        assert_eq!(room, *b"abcd\0");
        assert!(!copy_text("", &mut []));
    }

    /// Calls `test` with the kept form of a request for this target.
    fn with_request(target: &str, test: impl FnOnce(&Request<'_>)) {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat\r\nOrigin: http://localhost\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut incoming = Incoming::new(vec![0; 1000], 1000, false);
        assert!(incoming.preload(request.as_bytes(), "", false));
        assert_eq!(incoming.step(), Step::Request);
        test(&incoming.request().unwrap());
    }

    #[test]
    fn every_text_of_a_request_is_one_in_c() {
        with_request("/chat?room=1", |request| {
            let texts = [request.path(), request.query().unwrap(), request.host()];
            let texts = texts.into_iter().chain([request.key()]);
            for text in texts.chain(request.subprotocols()).chain(request.origin()) {
                let found = c_text(request, text).map(CStr::to_bytes);
                assert_eq!(found, Some(text.as_bytes()), "{text}");
            }
            assert_eq!(c_text(request, "chat"), None);
        });
    }

    #[test]
    fn a_path_that_is_left_out_is_one_too() {
        with_request("ws://h?b", |request| {
            assert_eq!(c_text(request, request.path()), Some(c"/"));
            assert_eq!(c_text(request, request.query().unwrap()), Some(c"b"));
        });
    }
}

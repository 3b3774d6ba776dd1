// SPDX-License-Identifier: Apache-2.0
//! What clients asked for in their opening requests, kept for as long as they have their slots.

use wss::protocol::AcceptKey;
use wss::{ClientId, Request};

use crate::abi::{HTTP_VERSION_1_1, Handshake, KEY_SIZE};
use wss::service::Lock as _;

use crate::convert::Error;
use crate::instance::PerServer;
use crate::platform::{
    KEEPS_REQUESTS, Monitor, PerClient, RequestBytes, SERVERS, keep_request, monitor,
};

/// Those of each service. They are never anywhere else: Kconfig may make them larger than any stack.
static REQUESTS: PerServer<Requests> = PerServer([const { Requests::new() }; SERVERS]);

/// The accepted requests of the clients of the service at `place`.
pub fn requests(place: usize) -> &'static Requests {
    REQUESTS.at(place)
}

/// The accepted requests of the clients of a service.
pub struct Requests(Monitor<PerClient>);

pub struct Accepted {
    /// Of its client, in whose place this is.
    generation: u32,
    /// As [`Request::to_bytes`] has it; empty: none is kept.
    request: RequestBytes,
    /// Which of those offered.
    subprotocol: Option<usize>,
}

impl Accepted {
    /// None. All of it is zero, so that it takes no flash.
    pub const NONE: Self = Self {
        generation: 0,
        request: RequestBytes::new(),
        subprotocol: None,
    };

    /// Keeps this no longer.
    #[cfg(feature = "zephyr")]
    pub fn clear(&mut self) {
        self.request.clear();
    }
}

/// A text of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Path,
    Query,
    Host,
    Origin,
    Subprotocol,
}

impl Field {
    /// The field with the number that C has for it.
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
    /// For a service without clients.
    const fn new() -> Self {
        Self(monitor(PerClient::new()))
    }

    /// Keeps none any more.
    pub fn forget(&self) {
        if KEEPS_REQUESTS {
            self.0.lock().clear();
        }
    }

    /// Keeps a request that is accepted, instead of the one of the client before.
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

    fn with<T>(
        &self,
        client: ClientId,
        tell: impl FnOnce(Request<'_>, Option<&str>) -> Result<T, Error>,
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
        tell(request, subprotocol)
    }

    /// Copies a text, with a NUL behind it, as far as there is room.
    pub fn copy<'a>(
        &self,
        client: ClientId,
        field: Field,
        room: impl FnOnce() -> &'a mut [u8],
    ) -> Result<(), Error> {
        self.with(client, |request, subprotocol| {
            let text = match field {
                Field::Path => Some(request.path()),
                Field::Query => request.query(),
                Field::Host => Some(request.host()),
                Field::Origin => request.origin(),
                Field::Subprotocol => subprotocol,
            };
            let text = text.ok_or(Error::Nothing)?;
            let fits = copy_text(text, room());
            fits.then_some(()).ok_or(Error::NoRoom)
        })
    }

    /// What the handshake said.
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

/// Whether all of the text, and the NUL behind it, fits.
fn copy_text(text: &str, room: &mut [u8]) -> bool {
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
}

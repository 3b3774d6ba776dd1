//! What clients asked for in their opening requests, kept for as long as they have their slots.

use wss::Request;
use wss::protocol::AcceptKey;

use crate::abi::{HTTP_VERSION_1_1, Handshake, KEY_SIZE};
use crate::callbacks::Shown;
use crate::convert::{Client, Error};
use crate::platform::{Mutex, lock};
use std::ffi::CString;

/// The accepted requests of the clients of a service, by slot.
pub struct Requests(Mutex<Vec<Option<Accepted>>>);

struct Accepted {
    client: Client,
    /// As [`Request::to_bytes`] has it.
    request: Box<[u8]>,
    subprotocol: Option<Box<str>>,
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
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Keeps a request that is accepted, instead of the one of the client before.
    pub fn keep(&self, client: Client, request: &Request<'_>, subprotocol: Option<&str>) {
        let slot = usize::from(client.slot);
        let accepted = Accepted {
            client,
            request: request.to_bytes().into(),
            subprotocol: subprotocol.map(Into::into),
        };
        let mut kept = lock(&self.0);
        if kept.len() <= slot {
            kept.resize_with(slot.saturating_add(1), || None);
        }
        if let Some(place) = kept.get_mut(slot) {
            *place = Some(accepted);
        }
    }

    fn with<T>(
        &self,
        client: Client,
        tell: impl FnOnce(Request<'_>, Option<&str>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kept = lock(&self.0);
        let accepted = kept.get(usize::from(client.slot)).and_then(Option::as_ref);
        let accepted = accepted
            .filter(|accepted| accepted.client == client)
            .ok_or(Error::NoSuchClient)?;
        let request = Request::from_bytes(&accepted.request);
        tell(request, accepted.subprotocol.as_deref())
    }

    /// Copies a text, with a NUL behind it, as far as there is room.
    pub fn copy(&self, client: Client, field: Field, room: &mut [u8]) -> Result<(), Error> {
        self.with(client, |request, subprotocol| {
            let text = match field {
                Field::Path => Some(request.path()),
                Field::Query => request.query(),
                Field::Host => Some(request.host()),
                Field::Origin => request.origin(),
                Field::Subprotocol => subprotocol,
            };
            let text = text.ok_or(Error::Nothing)?;
            let fits = copy_text(text, room);
            fits.then_some(()).ok_or(Error::NoRoom)
        })
    }

    /// What the handshake said.
    pub fn handshake(&self, client: Client) -> Result<Handshake, Error> {
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

/// The request as C texts. It holds no NUL: the parser refuses them.
pub fn show(request: &Request<'_>) -> Shown {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    Shown {
        path: text(request.path()),
        query: request.query().map(text),
        host: text(request.host()),
        origin: request.origin().map(text),
        subprotocols: request.subprotocols().map(text).collect(),
    }
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

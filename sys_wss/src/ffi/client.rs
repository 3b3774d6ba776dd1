// SPDX-License-Identifier: Apache-2.0
//! `wss.h`: clients.

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::ptr;

use wss::{ClientId, PeerName};

use super::{number, outcome, put, text_room};
use crate::abi::{Handshake, NO_CLIENT, Server, State};
use crate::client::{self, Client, client_or_none};
use crate::error::Error;
use crate::platform::{Service, guard};
use crate::request::{Text, copy_text, requests};
use crate::server::{self, from_c, service_of};

/// Queries the service of a client.
fn ask<T>(client: u64, ask: impl FnOnce(&Service, ClientId) -> Option<T>) -> Result<T, Error> {
    let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
    ask(&*service_of(client)?, client.id).ok_or(Error::NoSuchClient)
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_state(client: u64) -> State {
    guard(State::Closed, || {
        let state = ask(client, |service, id| {
            let state = service.state(id.slot());
            // Another client may use the slot now.
            (service.client(id.slot()) == Some(id)).then_some(client::state(state))
        });
        state.unwrap_or(State::Closed)
    })
}

/// Returns a client of a server.
fn find(
    server: *const Server,
    find: impl FnOnce(&Service) -> Option<ClientId>,
) -> Result<u64, Error> {
    let service = server::service(from_c(server)?)?;
    let found = find(&service).ok_or(Error::NoSuchClient)?;
    Ok(service.application().client(found).to_c())
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_at(server: *const Server, index: i32) -> u64 {
    guard(NO_CLIENT, || {
        let slot = usize::try_from(index);
        let at = |service: &Service| service.client(slot.ok()?);
        find(server, at).unwrap_or(NO_CLIENT)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_next_client(server: *const Server, client: u64) -> u64 {
    guard(NO_CLIENT, || {
        let after = Client::from_c(client).map(|client| client.id);
        find(server, |service| service.next_client(after)).unwrap_or(NO_CLIENT)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_index(client: u64) -> i32 {
    client_or_none(Client::from_c(client)).1
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_client_server(client: u64) -> *const Server {
    Client::from_c(client).map_or(ptr::null(), |client| server::to_c(client.place))
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_set_user_data(client: u64, user_data: *mut c_void) -> c_int {
    outcome(|| {
        let user_data = user_data.expose_provenance();
        ask(client, |service, id| {
            service.set_user_data(id, user_data).then_some(())
        })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_user_data(client: u64) -> *mut c_void {
    guard(ptr::null_mut(), || {
        let user_data = Client::from_c(client).and_then(server::user_data);
        user_data.unwrap_or(ptr::null_mut())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_set_groups(client: u64, groups: u32) -> c_int {
    outcome(|| {
        ask(client, |service, id| {
            service.set_groups(id, groups).then_some(())
        })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn wss_groups(client: u64) -> u32 {
    guard(0, || {
        ask(client, |service, id| service.groups(id)).unwrap_or(0)
    })
}

/// Returns the address and the port in `192.0.2.1:80` or `[2001:db8::1]:80`.
fn address_and_port(name: &str) -> Option<(&str, u16)> {
    let (address, port) = name.rsplit_once(':')?;
    let address = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    Some((address, port.parse().ok()?))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_client_address(
    client: u64,
    address: *mut c_char,
    size: usize,
) -> c_int {
    number(|| {
        // SAFETY: C passes NULL, or `size` bytes.
        let room = unsafe { text_room(address, size) }?;
        let name = ask(client, |service, id| {
            service.with_peer_name(id, |peer| PeerName::of(peer))
        })?;
        let known = address_and_port(name.as_str());
        let (address, port) = known.ok_or(Error::NoSuchClient)?;
        let fits = room.is_empty() || copy_text(address, room);
        fits.then_some(port.into()).ok_or(Error::NoRoom)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_client_text(
    client: u64,
    which: c_uint,
    text: *mut c_char,
    size: usize,
) -> c_int {
    outcome(|| {
        let which = Text::from_c(which).ok_or(Error::BadArgument)?;
        if size > 0 && text.is_null() {
            return Err(Error::BadPointer);
        }
        let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
        // The buffer is not touched before there is something to copy.
        requests(client.place).copy(client.id, which, || {
            // SAFETY: C passes `size` bytes.
            unsafe { text_room(text, size) }
        })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wss_client_handshake(client: u64, handshake: *mut Handshake) -> c_int {
    outcome(|| {
        let client = Client::from_c(client).ok_or(Error::NoSuchClient)?;
        let said = requests(client.place).handshake(client.id)?;
        // SAFETY: C passes NULL, or a place for it.
        unsafe { put(handshake, said) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_and_a_port() {
        assert_eq!(address_and_port("192.0.2.1:80"), Some(("192.0.2.1", 80)));
        assert_eq!(
            address_and_port("[2001:db8::1]:65535"),
            Some(("2001:db8::1", 65535))
        );
        assert_eq!(address_and_port("?"), None);
        assert_eq!(address_and_port("192.0.2.1:65536"), None);
    }
}

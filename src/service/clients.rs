// SPDX-License-Identifier: Apache-2.0
//! The state of clients, and the data that the application attaches to them.

use core::fmt::Display;

use super::event::{ClientId, State};
use super::port::{Port, Socket as _};
use super::slot::{Guard, Inner, Owner, Phase};
use super::{Application, ClientState, Service};

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Returns the state of the client in `slot`.
    pub fn state(&self, slot: usize) -> ClientState {
        let Some(slot) = self.slot(slot) else {
            return ClientState::Closed;
        };
        let inner = slot.lock();
        match inner.phase {
            Phase::Handshake => ClientState::Connecting,
            Phase::Open => ClientState::Connected,
            Phase::CloseSent | Phase::Lingering => ClientState::Closing,
            // The connection has ended, but CLOSING has not reached every sink.
            Phase::Dead if inner.pending.has(State::Closing) => ClientState::Closing,
            Phase::Dead => ClientState::Closed,
        }
    }

    /// Returns the client that uses `slot` now, until every sink got CLOSED.
    pub fn client(&self, slot: usize) -> Option<ClientId> {
        let inner = self.slot(slot)?.lock();
        (inner.owner != Owner::Free).then(|| inner.id(slot))
    }

    /// Returns the next client after `after`, or the first one, to iterate over all clients. Clients that connect
    /// meanwhile may be skipped.
    pub fn next_client(&self, after: Option<ClientId>) -> Option<ClientId> {
        let first = after.map_or(0, |client| client.slot().saturating_add(1));
        (first..self.max_clients()).find_map(|slot| self.client(slot))
    }

    /// Returns the slot of a client, if it still exists.
    fn slot_of(&self, client: ClientId) -> Option<Guard<'_, P>> {
        let inner = self.slot(client.slot())?.lock();
        let is_it = inner.generation == client.generation() && inner.owner != Owner::Free;
        is_it.then_some(inner)
    }

    fn of_client<T>(&self, client: ClientId, ask: impl FnOnce(&mut Inner<P>) -> T) -> Option<T> {
        self.slot_of(client).map(|mut inner| ask(&mut inner))
    }

    /// Returns the groups of the client, a bit each; a new client is in none. `None` if there is no such client.
    pub fn groups(&self, client: ClientId) -> Option<u32> {
        self.of_client(client, |inner| inner.groups)
    }

    /// Sets the groups of the client, a bit each, for [`broadcast`](Self::broadcast). Returns false if there is no such
    /// client.
    pub fn set_groups(&self, client: ClientId, groups: u32) -> bool {
        self.of_client(client, |inner| inner.groups = groups)
            .is_some()
    }

    /// Returns the value attached to the client; 0 at first. `None` if there is no such client.
    pub fn user_data(&self, client: ClientId) -> Option<usize> {
        self.of_client(client, |inner| inner.user_data)
    }

    /// Attaches a value to the client. Returns false if there is no such client.
    pub fn set_user_data(&self, client: ClientId, user_data: usize) -> bool {
        self.of_client(client, |inner| inner.user_data = user_data)
            .is_some()
    }

    /// Calls `read` with the address and port of the client, as text. `read` must not call the service. `None` if the
    /// connection has ended.
    pub fn with_peer_name<T>(
        &self,
        client: ClientId,
        read: impl FnOnce(&dyn Display) -> T,
    ) -> Option<T> {
        let inner = self.slot_of(client)?;
        let socket = inner.socket.as_ref()?;
        Some(read(&socket.name()))
    }
}

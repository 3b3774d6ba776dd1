// SPDX-License-Identifier: Apache-2.0
//! What is known of clients, and what the application attaches to them.

use core::fmt::Display;

use super::event::{ClientId, State};
use super::port::{Port, Socket as _};
use super::slot::{Guard, Inner, Owner, Phase};
use super::{Application, ClientState, Service};

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Returns how far the connection of the client in `slot` is.
    pub fn state(&self, slot: usize) -> ClientState {
        let Some(slot) = self.slot(slot) else {
            return ClientState::Closed;
        };
        let inner = slot.lock();
        match inner.phase {
            Phase::Handshake => ClientState::Connecting,
            Phase::Open => ClientState::Connected,
            Phase::CloseSent | Phase::Lingering => ClientState::Closing,
            // The connection is gone, but CLOSING has not reached every sink.
            Phase::Dead if inner.pending.has(State::Closing) => ClientState::Closing,
            Phase::Dead => ClientState::Closed,
        }
    }

    /// Returns the client that has `slot` now. It has it until every sink got its CLOSED.
    pub fn client(&self, slot: usize) -> Option<ClientId> {
        let inner = self.slot(slot)?.lock();
        (inner.owner != Owner::Free).then(|| inner.id(slot))
    }

    /// Returns the next client after `after`, or the first one: to go through all of them. Those that connect meanwhile
    /// may be left out.
    pub fn next_client(&self, after: Option<ClientId>) -> Option<ClientId> {
        let first = after.map_or(0, |client| client.slot().saturating_add(1));
        (first..self.max_clients()).find_map(|slot| self.client(slot))
    }

    /// Returns the slot of a client, if it is still there.
    fn slot_of(&self, client: ClientId) -> Option<Guard<'_, P>> {
        let inner = self.slot(client.slot())?.lock();
        let is_it = inner.generation == client.generation() && inner.owner != Owner::Free;
        is_it.then_some(inner)
    }

    fn of_client<T>(&self, client: ClientId, ask: impl FnOnce(&mut Inner<P>) -> T) -> Option<T> {
        self.slot_of(client).map(|mut inner| ask(&mut inner))
    }

    /// Returns the groups that the client is in, a bit each; none at first. `None` if it has gone.
    pub fn groups(&self, client: ClientId) -> Option<u32> {
        self.of_client(client, |inner| inner.groups)
    }

    /// Has the client be in these groups, a bit each, and in no others: see
    /// [`broadcast`](Self::broadcast). Returns false if it has gone.
    pub fn set_groups(&self, client: ClientId, groups: u32) -> bool {
        self.of_client(client, |inner| inner.groups = groups)
            .is_some()
    }

    /// Returns what the application has attached to the client; 0 at first. `None` if it has gone.
    pub fn user_data(&self, client: ClientId) -> Option<usize> {
        self.of_client(client, |inner| inner.user_data)
    }

    /// Attaches a value to the client. Returns false if it has gone.
    pub fn set_user_data(&self, client: ClientId, user_data: usize) -> bool {
        self.of_client(client, |inner| inner.user_data = user_data)
            .is_some()
    }

    /// Gives `read` the address and port of the client's peer, as text. `read` must not call the service. `None` if
    /// the connection has gone.
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

// SPDX-License-Identifier: Apache-2.0
//! Gives slots to connections: those that the listener accepts, and those that are adopted.

use super::config::Limits;
use super::event::ClientId;
use super::port::{Lock as _, Port, Socket, SocketError, Work};
use super::slot::{Owner, Slot};
use super::stats::Counter;
use super::stop::Life;
use super::{Application, Service};

/// The state of the opening handshake of an adopted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The service reads the client's request, or the rest of it, and answers.
    Request,
    /// The request was answered with 101: frames follow.
    Upgraded,
}

/// The error of a connection that was not adopted, and still belongs to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdoptError {
    /// Every slot is in use.
    Full,
    /// The client's address has reached its limit
    /// ([`Config::clients_per_address`](super::Config::clients_per_address)).
    AddressFull,
    /// The service is stopping.
    Stopping,
    /// The received bytes do not fit into the receive buffer.
    TooLong,
    /// The socket cannot be watched: it is invalid, or there is no memory.
    Failed,
}

impl core::fmt::Display for AdoptError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "every slot is taken",
            Self::AddressFull => "its address has too many clients",
            Self::Stopping => "the service stops",
            Self::TooLong => "the received bytes do not fit the buffer",
            Self::Failed => "the socket cannot be watched",
        })
    }
}

impl core::error::Error for AdoptError {}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Adopts a connection that was accepted elsewhere, on any thread, so that one port can serve pages and WebSockets.
    /// `received` has the bytes that were received and not handled: (the beginning of) the opening request, or for
    /// [`Opening::Upgraded`] the bytes after it. The client gets the same events as any other: `Connecting`,
    /// `Connected`, …. If the service has not read the request, the one in `Connected` is empty, and
    /// [`Application::accept`] is not called.
    ///
    /// The socket must have the options that the port sets on its own sockets, and must not be used or watched
    /// elsewhere from now on. [`Config::handshakes_per_second`](super::Config) does not apply to adopted connections.
    /// Threads that adopt at the same moment may each admit one client of an address too many.
    ///
    /// # Errors
    /// See [`AdoptError`]. The caller then still owns the socket.
    pub fn adopt(
        &self,
        socket: &P::Socket,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        if self.limits_addresses() && self.address_is_full(socket.peer()) {
            return Err(AdoptError::AddressFull);
        }
        let lowest = self.set_aside()?;
        let admitted = self.admit(lowest, socket, received, opening);
        if admitted.is_err() {
            self.put_back();
        }
        admitted
    }

    fn limits_addresses(&self) -> bool {
        P::LIMITS.contains(Limits::CLIENTS_PER_ADDRESS) && self.settings.clients_per_address() > 0
    }

    /// Returns whether this peer has as many slots as it may. A slot counts until every sink got CLOSED for its client.
    fn address_is_full(&self, peer: <P::Socket as Socket>::Peer) -> bool {
        let is_of_peer = |slot: &&Slot<P>| {
            let inner = slot.lock();
            inner.owner != Owner::Free && inner.peer == Some(peer)
        };
        let limit = usize::from(self.settings.clients_per_address());
        let slots = self.slots.as_ref().iter();
        slots.filter(is_of_peer).take(limit).count() == limit
    }

    /// Reserves a free slot, which is only counted yet. Returns the lowest one that may be free.
    fn set_aside(&self) -> Result<usize, AdoptError> {
        let mut shared = self.shared.lock();
        if shared.life != Life::Serving {
            // Once the service has stopped, every slot stays free.
            return Err(AdoptError::Stopping);
        }
        if shared.used == self.max_clients() {
            return Err(AdoptError::Full);
        }
        shared.used = shared.used.saturating_add(1);
        Ok(shared.lowest)
    }

    /// Cancels the reservation of a slot.
    fn put_back(&self) {
        let mut shared = self.shared.lock();
        shared.used = shared.used.saturating_sub(1);
        if shared.life != Life::Serving {
            self.port.wake();
        }
    }

    /// Gives a connection the lowest free slot. One must be reserved.
    fn admit(
        &self,
        lowest: usize,
        socket: &P::Socket,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        let mut passed_over = false;
        loop {
            // A lower one may have become free meanwhile.
            for index in (lowest..self.max_clients()).chain(0..lowest) {
                match self.admit_at(index, socket, received, opening) {
                    Ok(Some(client)) => {
                        self.note_admitted(lowest, index, opening);
                        if opening == Opening::Upgraded {
                            self.log_connected(client, socket);
                        }
                        self.port.submit(Work::Client(index));
                        return Ok(client);
                    }
                    Ok(None) => {}
                    Err(AdoptError::Full) => passed_over = true,
                    Err(error) => return Err(error),
                }
            }
            if passed_over {
                return Err(AdoptError::Full);
            }
            // There are at least as many free slots as reservations. Another thread took one ahead of this search, and
            // one became free behind it: search again.
        }
    }

    /// Gives a connection this slot. Fails if it is in use, and with `Full` if its previous connection is not closed
    /// yet.
    fn admit_at(
        &self,
        index: usize,
        socket: &P::Socket,
        received: &[u8],
        opening: Opening,
    ) -> Result<Option<ClientId>, AdoptError> {
        let Some(slot) = self.slot(index) else {
            return Ok(None);
        };
        let mut inner = slot.lock();
        if inner.owner != Owner::Free {
            return Ok(None);
        }
        // With the slot's lock: a thread that closes all clients either sees this one, or is seen here.
        if self.shared.lock().life != Life::Serving {
            return Err(AdoptError::Stopping);
        }
        let (names, pages) = (self.application.request_fields(), self.has_pages());
        if !inner.prepare(&self.settings, received, opening, names, pages) {
            return Err(AdoptError::TooLong);
        }
        self.port
            .attach(index, socket)
            .map_err(|error| match error {
                SocketError::WouldBlock => AdoptError::Full,
                _ => AdoptError::Failed,
            })?;
        let masks = self.application.masks();
        let now = self.port.now();
        inner.occupy(socket.clone(), now, &masks);
        inner.peer = self.limits_addresses().then(|| socket.peer());
        if opening == Opening::Upgraded {
            inner.open(now, &masks);
        }
        Ok(Some(inner.id(index)))
    }

    /// Counts a connection that got a slot.
    fn note_admitted(&self, lowest: usize, index: usize, opening: Opening) {
        let mut shared = self.shared.lock();
        if shared.lowest == lowest {
            shared.lowest = index.saturating_add(1);
        }
        shared.counters.add(Counter::Accepted);
        if opening == Opening::Upgraded {
            shared.counters.add(Counter::Connected);
        }
        let clients = u32::try_from(shared.used).unwrap_or(u32::MAX);
        shared.most_clients = shared.most_clients.max(clients);
    }
}

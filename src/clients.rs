// SPDX-License-Identifier: Apache-2.0
//! Sending to clients and querying them, from a handler and from any thread.

#[cfg(feature = "host")]
use std::sync::Arc;

use core::fmt::{self, Display, Write as _};
use core::time::Duration;

use crate::protocol::{CloseCode, MessageKind, Opcode};
use crate::service::{
    AnswerError, Application, ClientId, ClientState, Message, Port, SendError, Service, Stats,
    Target, Verdict,
};

/// The clients of a server: handlers, and any thread, send and query with it. Clones refer to the same server.
///
/// On the server's loop (in a handler) nothing waits: if a client takes no more output, the send returns
/// [`SendError::WouldBlock`], and [`Handler::on_writable`](crate::Handler::on_writable) follows. On other threads a
/// send waits for up to the send timeout. A server that has stopped has no clients.
///
/// Without waiting, a message can have as many bytes as the receive buffer (`Options::rx_buffer`). A longer one is
/// [`SendError::TooLong`], for a broadcast always. So a handler that forwards messages with a prefix needs a buffer
/// that is larger by the length of the prefix.
#[derive(Clone)]
pub struct Clients(Handle);

#[derive(Clone)]
enum Handle {
    Static(&'static dyn ServiceOf),
    #[cfg(feature = "host")]
    Shared(Arc<dyn ServiceOf + Send>),
}

impl Clients {
    /// Creates the clients of a static server. For ports.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_static(server: &'static dyn ServiceOf) -> Self {
        Self(Handle::Static(server))
    }

    /// Creates the clients of a server on the heap. For ports.
    #[cfg(feature = "host")]
    #[doc(hidden)]
    #[must_use]
    pub fn of_shared(server: Arc<dyn ServiceOf + Send>) -> Self {
        Self(Handle::Shared(server))
    }

    fn service(&self) -> Option<&dyn ErasedService> {
        match &self.0 {
            Handle::Static(server) => server.service(),
            #[cfg(feature = "host")]
            Handle::Shared(server) => server.service(),
        }
    }

    fn sends<T>(
        &self,
        send: impl FnOnce(&dyn ErasedService) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        self.service().map_or(Err(SendError::NotConnected), send)
    }

    /// Sends a text message to a client, or with [`Target::All`] to every client that has room for it.
    ///
    /// # Errors
    /// See [`SendError`]. For all clients: the first failure, after trying every client.
    pub fn send_text(&self, to: impl Into<Target>, text: &str) -> Result<(), SendError> {
        self.sends(|service| service.send_text(to.into(), text))
    }

    /// Sends a binary message, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_binary(&self, to: impl Into<Target>, bytes: &[u8]) -> Result<(), SendError> {
        self.send(to, MessageKind::Binary, bytes)
    }

    /// Sends a message of this kind, as [`send_text`](Self::send_text). Text must be UTF-8.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.send_frame(to, true, kind.into(), payload)
    }

    /// Sends a message as [`send`](Self::send), but waits at most `timeout` for its turn and for the first byte to be
    /// sent. With a timeout of zero it does not wait.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_within(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
        timeout: Duration,
    ) -> Result<(), SendError> {
        let timeout_ms = Some(milliseconds(timeout));
        self.sends(|service| {
            service.send_frame(to.into(), (true, kind.into()), payload, timeout_ms)
        })
    }

    /// Sends one frame: a whole message (`fin` with text or binary), or the first, a further, or (with `fin`) the last
    /// fragment of one (RFC 6455 section 5.4). A fragmented message belongs to the thread that started it; messages of
    /// other threads wait until it is finished.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_frame(
        &self,
        to: impl Into<Target>,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.sends(|service| service.send_frame(to.into(), (fin, opcode), payload, None))
    }

    /// Sends a message, or a piece of one as marked in `piece`. So what
    /// [`Handler::on_message`](crate::Handler::on_message) gets can be sent back.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_piece(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        piece: &Message<'_>,
    ) -> Result<(), SendError> {
        let opcode = if piece.first {
            kind.into()
        } else {
            Opcode::Continuation
        };
        self.send_frame(to, piece.last, opcode, piece.bytes)
    }

    /// Sends a message that may wait for the next one, or for [`flush`](Self::flush), so that several small ones leave
    /// in one write. In a handler, messages to the client of the event always do this.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_more(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.sends(|service| service.send_more(to.into(), kind, payload))
    }

    /// Sends everything that [`send_more`](Self::send_more) held back.
    ///
    /// # Errors
    /// [`SendError::NotConnected`].
    pub fn flush(&self, to: impl Into<Target>) -> Result<(), SendError> {
        self.sends(|service| service.flush(to.into()))
    }

    /// Sends a text message to the clients that are in one of these groups (a bit each, see
    /// [`set_groups`](Self::set_groups)), and returns the number of clients that get it. Never waits, and skips clients
    /// without room, without an error. The client whose event is being handled gets it, too, if it is in one of the
    /// groups.
    ///
    /// # Errors
    /// [`SendError::TooLong`] for a message that the server cannot keep for a client. No client gets it.
    pub fn broadcast_text(&self, groups: u32, text: &str) -> Result<usize, SendError> {
        self.broadcast(groups, MessageKind::Text, text.as_bytes())
    }

    /// Sends a message of this kind to groups, as [`broadcast_text`](Self::broadcast_text).
    ///
    /// # Errors
    /// [`SendError::Frame`] for text that is not UTF-8, and as [`broadcast_text`](Self::broadcast_text). No client
    /// gets it.
    pub fn broadcast(
        &self,
        groups: u32,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<usize, SendError> {
        self.sends(|service| service.broadcast(Some(groups), kind, payload))
    }

    /// Sends a message of this kind to every client, as [`broadcast_text`](Self::broadcast_text).
    ///
    /// # Errors
    /// [`SendError::Frame`] for text that is not UTF-8, and as [`broadcast_text`](Self::broadcast_text). No client
    /// gets it.
    pub fn broadcast_to_all(&self, kind: MessageKind, payload: &[u8]) -> Result<usize, SendError> {
        self.sends(|service| service.broadcast(None, kind, payload))
    }

    /// Sets the groups of a client, a bit each. Works in [`on_request`](crate::Handler::on_request), too. Returns false
    /// if there is no such client.
    pub fn set_groups(&self, client: ClientId, groups: u32) -> bool {
        self.service()
            .is_some_and(|service| service.set_groups(client, groups))
    }

    /// Returns the groups of the client, a bit each; a new client is in none. `None` if there is no such client.
    #[must_use]
    pub fn groups(&self, client: ClientId) -> Option<u32> {
        self.service()?.groups(client)
    }

    /// Sends a ping with up to 125 bytes (RFC 6455 section 5.5.2).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(&self, to: impl Into<Target>, payload: &[u8]) -> Result<(), SendError> {
        self.sends(|service| service.ping(to.into(), payload))
    }

    /// Starts the closing handshake, with a code and a reason of up to 123 bytes (RFC 6455 section 7.1.2). What was
    /// sent before leaves first. The reason is left out if there is no room for it.
    ///
    /// # Errors
    /// [`SendError::Close`] and [`SendError::NotConnected`].
    pub fn close(
        &self,
        to: impl Into<Target>,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), SendError> {
        self.sends(|service| service.close(to.into(), code, reason))
    }

    /// Answers an opening request that was deferred by [`Answer::later`](crate::Answer::later). In a handler's
    /// `on_request` for the same client it has no effect.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(&self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError> {
        let service = self.service().ok_or(AnswerError::NotWaiting)?;
        service.answer(client, verdict)
    }

    /// Returns all clients, also those that are connecting or closing: from their connection until every subscriber got
    /// CLOSED. Clients that connect meanwhile may be skipped.
    pub fn iter(&self) -> impl Iterator<Item = ClientId> {
        let mut last = None;
        core::iter::from_fn(move || {
            last = self.service()?.next_client(last);
            last
        })
        .fuse()
    }

    /// Returns the client that uses `slot` now.
    #[must_use]
    pub fn client(&self, slot: usize) -> Option<ClientId> {
        self.service()?.client(slot)
    }

    /// Returns the state of the client in `slot`. For a client that is still connected, this is
    /// `clients.state(client.slot())`.
    #[must_use]
    pub fn state(&self, slot: usize) -> ClientState {
        self.service()
            .map_or(ClientState::Closed, |service| service.state(slot))
    }

    /// Returns the maximum number of clients.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.service().map_or(0, |service| service.max_clients())
    }

    /// Returns the address and port of the client as text, such as `192.0.2.1:40000`. `None` if the connection has
    /// ended.
    #[must_use]
    pub fn peer(&self, client: ClientId) -> Option<PeerName> {
        let mut name = None;
        self.service()?
            .with_peer_name(client, &mut |peer| name = Some(PeerName::of(peer)));
        name
    }

    /// Returns the counters of the server since it was started.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service().map(ErasedService::stats).unwrap_or_default()
    }

    /// Starts to stop the server: it closes every client with 1001, and its queues end. Returns at once.
    pub fn stop(&self) {
        if let Some(service) = self.service() {
            service.stop();
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

/// Rounds up to whole milliseconds, limited to the longest time that can be represented. For ports.
#[doc(hidden)]
#[must_use]
pub const fn milliseconds(duration: Duration) -> u32 {
    const MOST_S: u64 = u32::MAX as u64 / 1000 - 1;
    if duration.as_secs() > MOST_S {
        return u32::MAX;
    }
    #[allow(clippy::cast_possible_truncation)] // it is no more than MOST_S
    let seconds = duration.as_secs() as u32;
    seconds * 1000 + duration.subsec_nanos().div_ceil(1_000_000)
}

/// The address and port of a peer, as text.
#[derive(Clone, Copy)]
pub struct PeerName {
    text: [u8; Self::SIZE],
    len: usize,
}

impl PeerName {
    /// The longest text is an IPv6 address with an interface number and a port.
    const SIZE: usize = 64;
    const EMPTY: Self = Self {
        text: [0; Self::SIZE],
        len: 0,
    };

    /// Keeps the name of a peer. For other interfaces to the service.
    #[doc(hidden)]
    #[must_use]
    pub fn of(peer: &dyn Display) -> Self {
        let mut name = Self::EMPTY;
        // The buffer has room for every address.
        let _ = write!(name, "{peer}");
        name
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.len).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Write for PeerName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.saturating_add(text.len());
        let room = self.text.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Holds a service, from its first start on. For ports.
#[doc(hidden)]
pub trait ServiceOf: Sync {
    /// Returns the service, whether it runs or not.
    fn service(&self) -> Option<&dyn ErasedService>;
}

/// What [`Clients`] needs of a [`Service`], independent of its port and application.
#[doc(hidden)]
#[allow(missing_docs)] // see `Service`
pub trait ErasedService {
    fn send_text(&self, to: Target, text: &str) -> Result<(), SendError>;
    fn send_frame(
        &self,
        to: Target,
        frame: (bool, Opcode),
        payload: &[u8],
        timeout_ms: Option<u32>,
    ) -> Result<(), SendError>;
    fn send_more(&self, to: Target, kind: MessageKind, payload: &[u8]) -> Result<(), SendError>;
    fn flush(&self, to: Target) -> Result<(), SendError>;
    fn broadcast(
        &self,
        groups: Option<u32>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<usize, SendError>;
    fn groups(&self, client: ClientId) -> Option<u32>;
    fn set_groups(&self, client: ClientId, groups: u32) -> bool;
    fn ping(&self, to: Target, payload: &[u8]) -> Result<(), SendError>;
    fn close(&self, to: Target, code: CloseCode, reason: &str) -> Result<(), SendError>;
    fn answer(&self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError>;
    fn next_client(&self, after: Option<ClientId>) -> Option<ClientId>;
    fn client(&self, slot: usize) -> Option<ClientId>;
    fn state(&self, slot: usize) -> ClientState;
    fn max_clients(&self) -> usize;
    fn with_peer_name(&self, client: ClientId, read: &mut dyn FnMut(&dyn Display));
    fn stats(&self) -> Stats;
    fn stop(&self);
}

impl<P: Port, A: Application<P>> ErasedService for Service<P, A> {
    fn send_text(&self, to: Target, text: &str) -> Result<(), SendError> {
        self.send_text(to, text)
    }

    fn send_frame(
        &self,
        to: Target,
        (fin, opcode): (bool, Opcode),
        payload: &[u8],
        timeout_ms: Option<u32>,
    ) -> Result<(), SendError> {
        match timeout_ms {
            Some(timeout_ms) => {
                self.send_frame_within(to, (fin, opcode), payload, false, timeout_ms)
            }
            None => self.send_frame(to, fin, opcode, payload),
        }
    }

    fn send_more(&self, to: Target, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        self.send_more(to, kind, payload)
    }

    fn flush(&self, to: Target) -> Result<(), SendError> {
        self.flush(to)
    }

    fn broadcast(
        &self,
        groups: Option<u32>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<usize, SendError> {
        self.broadcast(groups, kind, payload)
    }

    fn groups(&self, client: ClientId) -> Option<u32> {
        self.groups(client)
    }

    fn set_groups(&self, client: ClientId, groups: u32) -> bool {
        self.set_groups(client, groups)
    }

    fn ping(&self, to: Target, payload: &[u8]) -> Result<(), SendError> {
        self.ping(to, payload)
    }

    fn close(&self, to: Target, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.close(to, code, reason)
    }

    fn answer(&self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError> {
        self.answer(client, verdict)
    }

    fn next_client(&self, after: Option<ClientId>) -> Option<ClientId> {
        self.next_client(after)
    }

    fn client(&self, slot: usize) -> Option<ClientId> {
        self.client(slot)
    }

    fn state(&self, slot: usize) -> ClientState {
        self.state(slot)
    }

    fn max_clients(&self) -> usize {
        self.max_clients()
    }

    fn with_peer_name(&self, client: ClientId, read: &mut dyn FnMut(&dyn Display)) {
        self.with_peer_name(client, |name| read(name));
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn stop(&self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_for_any_thread() {
        const fn is_for_any_thread<T: Clone + Send + Sync + 'static>() {}
        is_for_any_thread::<Clients>();
    }

    #[test]
    fn a_duration_is_at_least_as_long_in_milliseconds() {
        for (duration, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1_001), 2),
            (Duration::new(12, 999_999_999), 13_000),
            (Duration::from_secs(1 << 22), (1 << 22) * 1000),
            (Duration::from_secs(1 << 33), u32::MAX),
            (Duration::MAX, u32::MAX),
        ] {
            assert_eq!(milliseconds(duration), ms, "{duration:?}");
        }
    }

    #[test]
    fn the_name_of_every_peer_has_room() {
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535";
        let mut name = PeerName::EMPTY;
        assert!(write!(name, "{longest}").is_ok());
        assert_eq!(name.as_str(), longest);
        assert!(name.write_str("x").is_err());
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What an application may ask of a server, from any thread.

use wss::protocol::{CloseCode, MessageKind, Opcode};
use wss::service::{ClientState, Opening, Service, Stats, Target};
use wss::{AdoptError, AnswerError, ClientId, SendError, Verdict};

use crate::application::ZephyrApplication;
use crate::port::{Descriptor, ZephyrPort};

/// What a server in Rust consists of.
pub(crate) type ServerService = Service<ZephyrPort, ZephyrApplication>;

/// The clients of a server: what a handler, and any thread, sends with and asks. A copy is the same.
///
/// Before the server was started, and when it has ended, there are no clients.
#[derive(Clone, Copy)]
pub struct Clients<'a>(pub(crate) Option<&'a ServerService>);

impl Clients<'_> {
    fn sends(
        self,
        send: impl FnOnce(&ServerService) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.0.map_or(Err(SendError::NotConnected), send)
    }

    /// Sends a whole message, see [`Service::send`].
    ///
    /// # Errors
    /// See [`SendError`]. To all: the first failure, after trying every client.
    pub fn send(
        self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.sends(|service| service.send(to, kind, payload))
    }

    /// Sends a text message, see [`Service::send`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_text(self, to: impl Into<Target>, text: &str) -> Result<(), SendError> {
        self.sends(|service| service.send_text(to, text))
    }

    /// Sends a binary message, see [`Service::send`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_binary(self, to: impl Into<Target>, bytes: &[u8]) -> Result<(), SendError> {
        self.sends(|service| service.send_binary(to, bytes))
    }

    /// Sends a message that may leave with the next one, see [`Service::send_more`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_more(
        self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.sends(|service| service.send_more(to, kind, payload))
    }

    /// Has everything leave that was sent with [`send_more`](Self::send_more).
    ///
    /// # Errors
    /// [`SendError::NotConnected`].
    pub fn flush(self, to: impl Into<Target>) -> Result<(), SendError> {
        self.sends(|service| service.flush(to))
    }

    /// Sends a frame: a whole message, or a fragment of one; see [`Service::send_frame`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_frame(
        self,
        to: impl Into<Target>,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.sends(|service| service.send_frame(to, fin, opcode, payload))
    }

    /// Sends a ping with up to 125 bytes.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(self, to: impl Into<Target>, payload: &[u8]) -> Result<(), SendError> {
        self.sends(|service| service.ping(to, payload))
    }

    /// Starts the closing handshake, see [`Service::close`].
    ///
    /// # Errors
    /// [`SendError::Close`] and [`SendError::NotConnected`].
    pub fn close(
        self,
        to: impl Into<Target>,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), SendError> {
        self.sends(|service| service.close(to, code, reason))
    }

    /// Answers an opening request for which the handler said [`Verdict::Later`], see [`Service::answer`].
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError> {
        self.0.map_or(Err(AnswerError::NotWaiting), |service| {
            service.answer(client, verdict)
        })
    }

    /// Takes over a connection that the application has accepted, see [`Service::adopt`].
    ///
    /// # Errors
    /// See [`AdoptError`]. The descriptor is still the caller's then.
    ///
    /// # Safety
    /// The descriptor is the caller's, and no thread polls it any more. Once it is adopted, it is the server's.
    pub unsafe fn adopt(
        self,
        fd: i32,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, AdoptError> {
        let service = self.0.ok_or(AdoptError::Stopping)?;
        // SAFETY: the caller knows it.
        let socket = unsafe { Descriptor::adopt(fd) }?;
        service.adopt(&socket, received, opening)
    }

    /// The client that has `slot` now.
    #[must_use]
    pub fn client(self, slot: usize) -> Option<ClientId> {
        self.0?.client(slot)
    }

    /// How far the connection of the client in `slot` is.
    #[must_use]
    pub fn state(self, slot: usize) -> ClientState {
        self.0
            .map_or(ClientState::Closed, |service| service.state(slot))
    }

    /// What the server has done since it was started.
    #[must_use]
    pub fn stats(self) -> Stats {
        self.0.map(Service::stats).unwrap_or_default()
    }
}

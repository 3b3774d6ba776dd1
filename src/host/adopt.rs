// SPDX-License-Identifier: Apache-2.0
//! Taking over connections that another server has accepted.

use std::net::TcpStream;

use super::port::HostPort;
use super::socket::HostSocket;
use crate::service::{AdoptError, Application, ClientId, Opening, Service};

/// A connection that was not adopted.
#[derive(Debug)]
pub struct NotAdopted {
    /// Why it was not adopted.
    pub error: AdoptError,
    /// The connection, which still belongs to the caller, and is blocking.
    pub stream: TcpStream,
}

impl std::fmt::Display for NotAdopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotAdopted {}

impl<A: Application<HostPort>> Service<HostPort, A> {
    /// Takes over a connection from another server, as [`adopt`](Self::adopt) does: an HTTP server hands over requests
    /// for an upgrade, so that both share a port. `received` is what it has read and not handled. Copies of the stream
    /// must not be used any more.
    ///
    /// # Errors
    /// [`NotAdopted`], which contains the stream, to answer with 503 or to try again.
    pub fn adopt_stream(
        &self,
        stream: TcpStream,
        received: &[u8],
        opening: Opening,
    ) -> Result<ClientId, NotAdopted> {
        // The service gets the copy, so that this one can be returned.
        let socket = stream.try_clone().and_then(HostSocket::new);
        let adopted = socket
            .map_err(|_| AdoptError::Failed)
            .and_then(|socket| self.adopt(&socket, received, opening));
        adopted.map_err(|error| {
            let _ = stream.set_nonblocking(false);
            NotAdopted { error, stream }
        })
    }
}

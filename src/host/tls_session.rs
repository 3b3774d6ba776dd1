// SPDX-License-Identifier: Apache-2.0
//! TLS on one connection.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::socket::{retry, send_once};
use crate::service::SocketError;

/// The maximum number of unsent bytes of ciphertext, besides the rest of a record.
const UNSENT: usize = 32 * 1024;
/// The maximum number of reads for one receive, so that no peer keeps a loop from the others.
const READS: usize = 16;

/// The state of TLS on a connection.
pub(super) enum Session {
    /// The client has sent nothing. The connection takes no memory for TLS yet.
    New(Arc<ServerConfig>),
    /// The handshake is in progress, or done.
    Begun(Box<ServerConnection>),
    /// TLS failed. This is reported after the plaintext that was received before.
    Failing(Box<ServerConnection>, rustls::Error),
    /// TLS failed. Further input is dropped.
    Failed(rustls::Error),
    /// The client does not use it.
    Plain,
}

impl Session {
    /// Returns whether the handshake is not finished.
    pub fn is_handshaking(&self) -> bool {
        match self {
            Self::New(_) => true,
            Self::Begun(tls) => tls.is_handshaking(),
            Self::Failing(..) | Self::Failed(_) | Self::Plain => false,
        }
    }

    /// Returns whether there is ciphertext that the network has not accepted.
    pub fn has_unsent(&self) -> bool {
        matches!(self, Self::Begun(tls) if tls.wants_write())
    }

    /// Returns whether something can be received without reading the stream.
    pub fn has_buffered(&mut self) -> bool {
        match self {
            // This reads nothing from the stream.
            Self::Begun(tls) => tls
                .process_new_packets()
                .is_ok_and(|state| state.plaintext_bytes_to_read() > 0),
            // There is at least the failure.
            Self::Failing(..) => true,
            _ => false,
        }
    }

    /// Returns why TLS failed.
    pub fn error(&self) -> String {
        match self {
            Self::Plain => "it sent an HTTP request instead".to_owned(),
            Self::Failing(_, error) | Self::Failed(error) => error.to_string(),
            Self::New(_) | Self::Begun(_) => "the connection ended".to_owned(),
        }
    }

    /// Continues the handshake.
    pub fn handshake(&mut self, stream: &TcpStream) -> Result<(), SocketError> {
        if let Self::New(config) = self {
            let mut first = [0];
            match retry(|| stream.peek(&mut first))? {
                0 => return Err(SocketError::Truncated),
                _ if first[0].is_ascii_uppercase() => {
                    *self = Self::Plain;
                    return Err(SocketError::PlainHttp);
                }
                _ => {}
            }
            match ServerConnection::new(Arc::clone(config)) {
                Ok(mut tls) => {
                    tls.set_buffer_limit(Some(UNSENT));
                    *self = Self::Begun(Box::new(tls));
                }
                Err(error) => {
                    *self = Self::Failed(error);
                    return Err(SocketError::Tls);
                }
            }
        }
        for _ in 0..READS {
            self.flush(stream)?;
            match self {
                Self::Begun(tls) if tls.wants_write() => return Err(SocketError::WouldBlock),
                Self::Begun(tls) if tls.is_handshaking() => {}
                _ => return Ok(()),
            }
            self.read(stream)?;
            if self.has_failed() {
                return Err(SocketError::Tls);
            }
        }
        // Leave the rest of this turn to others. The remaining input is reported again.
        Err(SocketError::WouldBlock)
    }

    /// Receives plaintext, up to the size of `space`.
    pub fn receive(&mut self, stream: &TcpStream, space: &mut [u8]) -> Result<usize, SocketError> {
        let mut filled = 0;
        for _ in 0..READS {
            let tls = match self {
                Self::Begun(tls) | Self::Failing(tls, _) => tls,
                Self::New(_) => return Err(SocketError::Failed),
                Self::Plain => return retry(|| (&*stream).read(space)),
                Self::Failed(_) => {
                    return match retry(|| (&*stream).read(space))? {
                        0 => Ok(0),
                        _ => Err(SocketError::WouldBlock),
                    };
                }
            };
            let room = space.get_mut(filled..).unwrap_or_default();
            match tls.reader().read(room) {
                // The stream ended with close_notify.
                Ok(0) => return Ok(filled),
                Ok(count) => {
                    filled = filled.saturating_add(count);
                    if filled >= space.len() {
                        break;
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => break,
                Err(_) => return Err(SocketError::Truncated),
            }
            // What was received before is delivered first.
            if filled == 0 && self.has_failed() {
                return Err(SocketError::Tls);
            }
            match self.read(stream) {
                Ok(()) => {}
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            // Leave the rest of this turn to others. The remaining input is reported again.
            return Err(SocketError::WouldBlock);
        }
        Ok(filled)
    }

    /// Reads from the stream, and processes what it read.
    fn read(&mut self, stream: &TcpStream) -> Result<(), SocketError> {
        let Self::Begun(tls) = self else {
            return Err(SocketError::Failed);
        };
        // `reader` detects a truncated stream, but not during a handshake.
        let count = retry(|| tls.read_tls(&mut &*stream))?;
        if count == 0 && tls.is_handshaking() {
            return Err(SocketError::Truncated);
        }
        if let Err(error) = tls.process_new_packets() {
            // Send the alert to the client.
            let _ = self.flush(stream);
            if let Self::Begun(tls) = std::mem::replace(self, Self::Plain) {
                *self = Self::Failing(tls, error);
            }
        }
        Ok(())
    }

    /// Returns whether TLS has failed, and marks the failure as reported.
    fn has_failed(&mut self) -> bool {
        match std::mem::replace(self, Self::Plain) {
            Self::Failing(_, error) => {
                *self = Self::Failed(error);
                true
            }
            session => {
                *self = session;
                false
            }
        }
    }

    /// Encrypts and sends, as much as there is room for.
    pub fn send(
        &mut self,
        stream: &TcpStream,
        mut parts: &mut [IoSlice<'_>],
    ) -> Result<usize, SocketError> {
        self.flush(stream)?;
        let mut sent = 0_usize;
        loop {
            match self {
                Self::Begun(_) if parts.is_empty() => return Ok(sent),
                Self::Begun(tls) if tls.wants_write() && sent == 0 => {
                    return Err(SocketError::WouldBlock);
                }
                Self::Begun(tls) if tls.wants_write() => return Ok(sent),
                Self::Begun(tls) => {
                    // The parts share one record, if they fit.
                    let written = tls.writer().write_vectored(parts);
                    let count = written.map_err(|_| SocketError::Failed)?;
                    sent = sent.saturating_add(count);
                    IoSlice::advance_slices(&mut parts, count);
                    self.flush(stream)?;
                }
                Self::New(_) | Self::Failing(..) | Self::Failed(_) => {
                    return Err(SocketError::Failed);
                }
                Self::Plain => return retry(|| send_once(stream, parts)),
            }
        }
    }

    /// Sends close_notify, once. Can be called again until that has left.
    pub fn close(&mut self, stream: &TcpStream) -> Result<(), SocketError> {
        if let Self::Begun(tls) = self {
            tls.send_close_notify();
        }
        self.flush(stream)?;
        if self.has_unsent() {
            return Err(SocketError::WouldBlock);
        }
        Ok(())
    }

    /// Answers the peer's close_notify, if it sent one, before the connection is closed (RFC 8446 section 6.1).
    pub fn end(&mut self, stream: &TcpStream) {
        if let Self::Begun(tls) = self {
            let state = tls.process_new_packets();
            if state.is_ok_and(|state| state.peer_has_closed()) {
                let _ = self.close(stream);
            }
        }
    }

    /// Sends ciphertext, as much as the network accepts.
    fn flush(&mut self, stream: &TcpStream) -> Result<(), SocketError> {
        let Self::Begun(tls) = self else {
            return Ok(());
        };
        while tls.wants_write() {
            match retry(|| tls.write_tls(&mut Quiet(stream))) {
                Ok(0) | Err(SocketError::WouldBlock) => break,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes to a stream without signals.
struct Quiet<'a>(&'a TcpStream);

impl io::Write for Quiet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        send_once(self.0, slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

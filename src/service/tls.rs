// SPDX-License-Identifier: Apache-2.0
//! TLS before the opening handshake: running its steps, and handling their results.
//!
//! [`Socket`](super::port::Socket) implements TLS. Its handshake belongs to [`Phase::Handshake`], and to that deadline.
//! A slot whose work item would receive is handed over to [`Work::Tls`], which owns it for one step, without its lock,
//! so that statistics and broadcasts do not wait.

use super::event::{ClientId, State};
use super::port::{Port, Socket as _, SocketError, Work};
use super::slot::{Inner, Phase};
use super::stats::Counter;
use super::{Application, Service};

/// The response to a client that sends HTTP instead of a TLS handshake.
const TLS_REQUIRED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 44\r\n\r\nThis port needs TLS: use https:// or wss://\n";

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Returns whether the client's TLS handshake is not finished.
    pub(super) fn is_securing(inner: &Inner<P>) -> bool {
        P::TLS && inner.socket.as_ref().is_some_and(P::Socket::is_handshaking)
    }

    /// Returns whether more can be received at once that polling does not report.
    pub(super) fn has_buffered(inner: &Inner<P>) -> bool {
        P::TLS && inner.socket.as_ref().is_some_and(P::Socket::has_buffered)
    }

    /// Runs a step of the TLS handshake of the client in this slot, if it is queued.
    #[inline(never)]
    pub(super) fn run_tls(&self, index: usize) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut inner = slot.lock();
        let Some(inbound) = inner.start() else {
            return;
        };
        let socket = inner.socket.as_ref();
        let socket = socket.filter(|_| inner.phase == Phase::Handshake).cloned();
        let (mut failed, mut goes_on) = (false, true);
        if let Some(socket) = &socket {
            drop(inner);
            let outcome = socket.handshake();
            goes_on = outcome.is_ok();
            inner = slot.lock();
            if inner.phase == Phase::Handshake {
                if P::PAGES {
                    // The client is not silent.
                    inner.hear(self.port.now());
                }
                failed = self.secured(&mut inner, socket, outcome);
            }
        }
        let client = inner.id(index);
        // The client's own work item handles the result of the step.
        goes_on |= inner.phase != Phase::Handshake || !Self::is_securing(&inner);
        let runs = inner.park(inbound) || goes_on && inner.kick();
        self.settle(index, &mut inner);
        drop(inner);
        if failed {
            self.log_tls_failure(client, socket.as_ref());
        }
        if runs {
            self.port.submit(Work::Client(index));
        }
    }

    /// Ends a step of the TLS handshake, and returns whether it failed.
    fn secured(
        &self,
        inner: &mut Inner<P>,
        socket: &P::Socket,
        outcome: Result<(), SocketError>,
    ) -> bool {
        if socket.has_unsent() {
            inner.output.block(&self.port);
        } else {
            inner.output.unblock();
        }
        match outcome {
            Ok(()) | Err(SocketError::WouldBlock) => return false,
            Err(SocketError::NoBuffers) => {
                inner.output.starve(&self.port);
                self.pause_if_starved(inner);
                return false;
            }
            Err(SocketError::PlainHttp) => self.emit_response(inner, &[TLS_REQUIRED], false),
            Err(_) => {}
        }
        // Linger, so that the client can read the alert or the response.
        let is_gone = matches!(outcome, Err(SocketError::Truncated | SocketError::Failed));
        let phase = if is_gone {
            Phase::Dead
        } else {
            Phase::Lingering
        };
        self.fail_tls(inner, phase)
    }

    /// Handles a failure of TLS, during its handshake or later. Returns whether the caller must
    /// [log](Self::log_tls_failure) it, without the lock. Once the connection is ending, there is no event.
    pub(super) fn fail_tls(&self, inner: &mut Inner<P>, phase: Phase) -> bool {
        let masks = self.application.masks();
        let is_event = inner.phase >= Phase::Open;
        if is_event {
            inner.pending.add(State::TlsFailed, &masks);
            self.count(Counter::TlsFailures);
        }
        inner.advance(phase, self.port.now(), &masks);
        is_event
    }

    /// Logs why TLS failed. Called with no lock held.
    pub(super) fn log_tls_failure(&self, client: ClientId, socket: Option<&P::Socket>) {
        if let Some(socket) = socket {
            let (name, error) = (socket.name(), socket.tls_error());
            self.log_client(format_args!("{client}: TLS with {name} failed: {error}"));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Log lines about clients, with a rate limit.

use super::event::ClientId;
use super::port::{Lock as _, Port, Socket as _};
use super::slot::{Inner, Phase};
use super::{Application, Service};

/// The maximum number of log lines about clients per second.
const LOG_LINES: u16 = 10;

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Logs a line about a client, up to a number of lines per second. Called with no lock held, because a logger may
    /// send the line to clients.
    pub(super) fn log_client(&self, line: core::fmt::Arguments<'_>) {
        let now = self.port.now();
        let mut shared = self.shared.lock();
        if !shared.log_lines.take(LOG_LINES, now) {
            shared.lines_left_out = shared.lines_left_out.saturating_add(1);
            return;
        }
        let left_out = core::mem::take(&mut shared.lines_left_out);
        let may = left_out == 0 || shared.log_lines.take(LOG_LINES, now);
        if !may {
            shared.lines_left_out = 1;
        }
        drop(shared);
        if left_out > 0 {
            log::info!("{left_out} lines about clients were skipped");
        }
        if may {
            log::info!("{line}");
        }
    }

    /// Returns the socket of a connected client for [`log_connected`](Self::log_connected), if such lines are logged.
    pub(super) fn socket_to_log(inner: &Inner<P>) -> Option<P::Socket> {
        let is_logged = log::log_enabled!(log::Level::Info) && inner.phase == Phase::Open;
        inner.socket.as_ref().filter(|_| is_logged).cloned()
    }

    /// Logs that a client has connected.
    pub(super) fn log_connected(&self, client: ClientId, socket: &P::Socket) {
        if log::log_enabled!(log::Level::Info) {
            self.log_client(format_args!("{client}: connected from {}", socket.name()));
        }
    }

    /// Logs that a connected client has disconnected.
    pub(super) fn log_closed(&self, client: ClientId) {
        if log::log_enabled!(log::Level::Info) {
            self.log_client(format_args!("{client}: closed"));
        }
    }
}

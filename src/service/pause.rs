// SPDX-License-Identifier: Apache-2.0
//! The pause of all output while the network has no buffers.

use core::sync::atomic::Ordering::Relaxed;

use super::port::{Port, Socket as _};
use super::slot::{Asked, Inner};
use super::time::{Instant, TIMER_GRANULARITY_MS};
use super::{Application, Service};

/// How long all output is paused when the network has no buffers, in milliseconds.
const PAUSE_MS: u32 = TIMER_GRANULARITY_MS;

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Returns whether all output is paused.
    pub(super) fn is_paused(&self) -> bool {
        P::LACKS_BUFFERS && self.paused_until.load(Relaxed) != 0
    }

    /// Pauses all output after the network had no buffers for this client: all clients share one pool.
    pub(super) fn pause_if_starved(&self, inner: &Inner<P>) {
        if P::LACKS_BUFFERS && inner.output.is_starved() && !self.is_paused() {
            // Avoid 0, which means no pause.
            let until = Instant((self.port.now() + PAUSE_MS).0 | 1);
            self.paused_until.store(until.0, Relaxed);
            self.set_timer(Some(until));
        }
    }

    /// Returns whether the pause of all output ends now. Unsent output is then tried again, and WRITABLE is emitted for
    /// refused frames. The first output that finds no buffers begins the next pause.
    pub(super) fn ends_pause(&self, now: Instant) -> bool {
        let until = self.paused_until.load(Relaxed);
        let ends = P::LACKS_BUFFERS && until != 0 && now.has_reached(Instant(until));
        if ends {
            // Before checking the slots: what is deferred from now on belongs to the next pause.
            self.paused_until.store(0, Relaxed);
        }
        ends
    }

    /// Defers the question to the application about the opening request, if its answer could not be sent now.
    pub(super) fn puts_off(&self, inner: &mut Inner<P>) -> bool {
        if !P::LACKS_BUFFERS {
            return false;
        }
        let socket = inner.socket.as_ref();
        let puts_off = self.is_paused() || socket.is_some_and(|socket| !socket.has_buffers());
        if puts_off {
            inner.asked = Asked::PutOff;
            inner.output.starve(&self.port);
            self.pause_if_starved(inner);
        }
        puts_off
    }

    /// Returns whether that question waits for the end of the pause of all output.
    pub(super) fn is_put_off(&self, inner: &Inner<P>) -> bool {
        P::LACKS_BUFFERS && inner.asked == Asked::PutOff && self.is_paused()
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Keep-alive: pings of the service, their answers, and the silence of clients.

use super::config::Settings;
use super::port::Port;
use super::slot::Inner;
use super::time::Instant;
use super::{Application, Service};
use crate::protocol::FrameHeader;

/// The payload of the service's own pings begins with this; a counter follows.
const KEEP_ALIVE: [u8; 3] = *b"wss";

impl<P: Port> Inner<P> {
    /// Returns whether a pong with this payload answers a keep-alive ping. Marks that ping, and earlier ones, as
    /// answered: a client need not answer those (RFC 6455 section 5.5.3).
    pub(super) fn answers_keep_alive(&mut self, pong: &[u8]) -> bool {
        let [a, b, c, count] = *pong else {
            return false;
        };
        if [a, b, c] != KEEP_ALIVE {
            return false;
        }
        let (last, answered) = self.keep_alive;
        let is_open = last.wrapping_sub(count) < last.wrapping_sub(answered);
        if is_open {
            self.keep_alive = (last, count);
        }
        is_open
    }

    /// Records that a keep-alive ping was sent.
    pub(super) fn pinged(&mut self, now: Instant) {
        if !self.is_pinged {
            self.is_pinged = true;
            self.pinged = now;
        }
    }

    /// Returns when a silent client is pinged, or pinged again.
    pub(super) fn ping_deadline(&self, settings: &Settings) -> Option<Instant> {
        let interval = settings.ping_interval();
        (interval > 0).then(|| self.ping_due + interval)
    }

    /// Returns when a silent client times out: only after it was pinged, and had a ping interval to answer. Without
    /// pings, silence is enough.
    pub(super) fn silence_deadline(&self, settings: &Settings) -> Option<Instant> {
        if settings.client_timeout_ms() == 0 {
            return None;
        }
        let silent = self.heard + settings.client_timeout_ms();
        match settings.ping_interval() {
            0 => Some(silent),
            interval if self.is_pinged => Some((self.pinged + interval).later(silent)),
            _ => None,
        }
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Sends a keep-alive ping, unless the client takes no output.
    pub(super) fn keep_alive(&self, inner: &mut Inner<P>, now: Instant) {
        if self.is_paused() {
            return;
        }
        let (last, answered) = inner.keep_alive;
        let count = last.wrapping_add(1);
        let [a, b, c] = KEEP_ALIVE;
        // Short enough to be kept without a block: slow readers may have taken all blocks.
        let ping = FrameHeader::ping([a, b, c, count]);
        if self
            .emit(inner, &ping, [ping.as_bytes(), &[]], Some(0..0), false)
            .is_ok()
        {
            // The count is one byte: more than 255 unanswered pings look alike, so the oldest is dropped.
            let forgotten = u8::from(count == answered);
            inner.keep_alive = (count, answered.wrapping_add(forgotten));
            inner.pinged(now);
            inner.ping_sent();
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Deadlines of slots: when each expires, and what it requires then.

use super::config::{Limits, Settings};
use super::event::{Masks, State};
use super::port::{Lock as _, Port};
use super::slot::{Inner, Owner, Phase};
use super::stats::Counter;
use super::time::{Instant, TIMER_GRANULARITY_MS};
use super::{Application, Service};
use crate::protocol::CloseCode;

/// The action that an expired deadline requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not expired.
    NotYet,
    /// Send a keep-alive ping.
    Ping,
    /// The client did not finish its handshake, or did not answer.
    Silent,
    /// Abort the connection.
    Aborted,
    /// The connection has ended regularly.
    Over,
}

impl<P: Port> Inner<P> {
    /// Records that the client was heard, or that the service did not read from it until now.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.ping_due = now;
        self.is_pinged = false;
    }

    /// Restarts every deadline of the client, and of the application, because the service was suspended.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.since = now;
        self.heard = now;
        self.ping_due = now;
        self.held_since = now;
        self.output.since = now;
        self.pinged = now;
    }

    /// Returns when the slot needs attention although nothing happens.
    pub(super) fn next_deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.phase {
            _ if self.owner == Owner::Free => None,
            Phase::Open => Instant::earlier(
                self.sending_deadline(settings),
                self.waiting_deadline(settings),
            ),
            // The rest of the request may not be received yet.
            Phase::Handshake if self.owner != Owner::Idle => None,
            // The service does not read the request while the application takes no events.
            Phase::Handshake if self.is_held_up() => {
                Some(self.held_since + settings.hold_timeout_ms())
            }
            Phase::Handshake => Some(self.since + settings.handshake_timeout_ms()),
            // A slow client has time as long as there is progress.
            Phase::Lingering if self.sends_page() => {
                let waits = !self.output.is_starved();
                waits.then(|| self.output.since + settings.send_timeout_ms())
            }
            Phase::CloseSent | Phase::Lingering => Some(self.since + settings.close_timeout_ms()),
            Phase::Dead if self.owner == Owner::Idle && self.holds_data() => {
                Some(self.held_since + settings.hold_timeout_ms())
            }
            Phase::Dead => None,
        }
    }

    /// Returns the next deadline, if the timer has to be set to it.
    pub(super) fn uncovered_deadline(&mut self, settings: &Settings) -> Option<Instant> {
        let deadline = self.next_deadline(settings)?;
        if self.is_covered && deadline.has_reached(self.covered) {
            return None;
        }
        self.cover(Some(deadline))
    }

    /// Records that the timer is about to be set to this deadline, and returns it.
    pub(super) fn cover(&mut self, deadline: Option<Instant>) -> Option<Instant> {
        self.is_covered = deadline.is_some();
        self.covered = deadline.unwrap_or_default();
        deadline
    }

    /// Returns, in phase `Open`, when the client must have taken output. A sender in the middle of its frame has its
    /// own deadline.
    fn sending_deadline(&self, settings: &Settings) -> Option<Instant> {
        let waits = self.output.is_blocked() && !self.output.has_caller();
        let waits = waits && !self.output.is_starved();
        waits.then(|| self.output.since + settings.send_timeout_ms())
    }

    /// Returns, in phase `Open`, when the application must have released something, or otherwise when the client is
    /// pinged or times out.
    fn waiting_deadline(&self, settings: &Settings) -> Option<Instant> {
        if self.owner != Owner::Idle {
            // Its input may not be received yet, or an event is being delivered.
            None
        } else if self.is_held_up() {
            Some(self.held_since + settings.hold_timeout_ms())
        } else if self.output.is_blocked() {
            // The service does not read from it, so its silence does not count.
            None
        } else {
            let check = self.is_pinged.then(|| self.checked + settings.suspension());
            let silence = Instant::earlier(self.silence_deadline(settings), check);
            Instant::earlier(self.ping_deadline(settings), silence)
        }
    }

    /// Returns whether an end of the connection now is an abort: the closing handshake is not finished, or output was
    /// not taken. Not if the application holds up the client.
    pub(super) fn is_aborted(&self) -> bool {
        match self.phase {
            Phase::CloseSent => !self.is_held_up(),
            Phase::Lingering => self.output.is_blocked() && !self.is_held_up(),
            _ => false,
        }
    }

    /// Handles a deadline that has expired at `now`. Returns the action that is left to the caller.
    pub(super) fn expire(&mut self, now: Instant, settings: &Settings, masks: &Masks) -> Due {
        let reached = |deadline: Option<Instant>| deadline.is_some_and(|at| now.has_reached(at));
        if !reached(self.next_deadline(settings)) {
            return Due::NotYet;
        }
        match self.phase {
            Phase::Handshake if self.is_held_up() => {
                self.advance(Phase::Dead, now, masks);
                Due::Aborted
            }
            Phase::Handshake => {
                self.pending.add(State::Timeout, masks);
                self.advance(Phase::Dead, now, masks);
                Due::Silent
            }
            Phase::Open if reached(self.sending_deadline(settings)) => {
                self.advance(Phase::Dead, now, masks);
                Due::Aborted
            }
            Phase::Open if self.is_held_up() => {
                let code = Some(CloseCode::INTERNAL_ERROR);
                self.close(code, Phase::Lingering, now, masks);
                Due::Aborted
            }
            Phase::Open if reached(self.silence_deadline(settings)) => {
                self.pending.add(State::Timeout, masks);
                // Sent if it fits. A silent client gets no closing handshake.
                self.close(Some(CloseCode::NORMAL), Phase::CloseSent, now, masks);
                Due::Silent
            }
            Phase::Open => {
                self.checked = now;
                if reached(self.ping_deadline(settings)) {
                    self.ping_due = now;
                    Due::Ping
                } else {
                    Due::NotYet
                }
            }
            Phase::CloseSent | Phase::Lingering => {
                let aborted = self.is_aborted();
                self.advance(Phase::Dead, now, masks);
                if aborted { Due::Aborted } else { Due::Over }
            }
            Phase::Dead => {
                // The time of the application is over: what it holds, or has not taken, is void.
                self.held = 0;
                if let Some(inbound) = &mut self.inbound {
                    inbound.undelivered = 0;
                }
                Due::Over
            }
        }
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Makes the serving thread check all deadlines at `at` or earlier, if there is one.
    pub(super) fn set_timer(&self, at: Option<Instant>) {
        let Some(at) = at else {
            return;
        };
        let mut shared = self.shared.lock();
        if shared.timer.is_none_or(|timer| !at.has_reached(timer)) {
            // A deadline that has passed already does not indicate a suspension.
            let at = at.later(self.port.now());
            // Round up, so that deadlines that are close together expire together.
            let at = at + (TIMER_GRANULARITY_MS - 1);
            let at = Instant(at.0 - at.0 % TIMER_GRANULARITY_MS);
            shared.timer = Some(at);
            self.port.set_timer(at);
        }
    }

    /// Restarts all deadlines after a suspension: a debugger or the operating system stopped the service, or a callback
    /// took long. The service could not receive meanwhile.
    pub(super) fn forgive(&self, now: Instant) {
        log::debug!("the service was suspended: deadlines start again");
        for slot in self.slots.as_ref() {
            slot.lock().forgive(now);
        }
    }

    /// Handles expired deadlines of a client, and with `ends_pause` sends unsent output. Returns the next deadline.
    pub(super) fn expire(&self, index: usize, now: Instant, ends_pause: bool) -> Option<Instant> {
        let slot = self.slot(index)?;
        let mut inner = slot.lock();
        if inner.owner == Owner::Free {
            return None;
        }
        if ends_pause && inner.output.end_starvation() {
            slot.notify_all();
            self.kick(index, &mut inner);
        }
        if P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            let rate = self.settings.control_frames_per_second();
            inner.control_frames.refresh(rate, self.port.now());
        }
        let now = self.port.heard_until(index, now);
        let masks = self.application.masks();
        let due = if P::PAGES && self.has_pages() {
            self.expire_page(index, slot, &mut inner, now)
        } else {
            inner.expire(now, &self.settings, &masks)
        };
        match due {
            Due::Silent => self.count(Counter::Timeouts),
            Due::Aborted => self.count(Counter::Aborted),
            Due::NotYet | Due::Ping | Due::Over => {}
        }
        match due {
            Due::NotYet => {}
            Due::Ping => {
                self.keep_alive(&mut inner, self.port.now());
                self.after_send(index, slot, &mut inner);
            }
            Due::Silent | Due::Aborted | Due::Over => {
                self.flush_output(slot, &mut inner, None);
                if due == Due::Silent {
                    // It would not answer a close frame either.
                    inner.advance(Phase::Dead, now, &masks);
                }
                slot.notify_all();
                self.kick(index, &mut inner);
            }
        }
        let deadline = inner.next_deadline(&self.settings);
        inner.cover(deadline)
    }
}

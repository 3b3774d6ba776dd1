// SPDX-License-Identifier: Apache-2.0
//! Shutting down: every client is closed with 1001, and aborted at the close timeout.

use super::port::{Lock as _, Port};
use super::serve::Serving;
use super::slot::{Owner, Phase};
use super::stats::Counter;
use super::time::Instant;
use super::{Application, Service};
use crate::protocol::CloseCode;

/// How long the work queue has, at the end of a shutdown, to abort clients, in milliseconds.
const FORCED_MS: u32 = 400;

/// The state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It does not serve: not yet, or not any more.
    Stopped,
    Serving,
    /// It is stopping. Clients must be gone by this time.
    Stopping(Instant),
}

/// The progress of a shutdown on the serving thread.
pub(super) struct Stopping {
    /// The shutdown has begun.
    pub begun: bool,
    /// How long after the deadline the remaining clients are aborted again, which grows each time.
    force_after: u32,
}

impl Stopping {
    pub const fn new() -> Self {
        Self {
            begun: false,
            force_after: 0,
        }
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Stops the service: stops listening, closes every client with 1001, and at the close timeout aborts the remaining
    /// ones. Returns at once; [`wait_stopped`](Self::wait_stopped) waits.
    pub fn stop(&self) {
        self.stop_within(self.settings.close_timeout_ms());
    }

    /// Stops the service as [`stop`](Self::stop) does, but aborts the remaining clients without waiting for their
    /// answers.
    pub fn stop_now(&self) {
        self.stop_within(0);
    }

    fn stop_within(&self, ms: u32) {
        let mut shared = self.shared.lock();
        // A stopping service already has its deadline, unless it must not wait any longer.
        if shared.life == Life::Serving || ms == 0 && shared.life != Life::Stopped {
            shared.life = Life::Stopping(self.port.now() + ms);
            self.port.wake();
        }
    }

    /// Returns whether it serves, and is not stopping.
    pub(super) fn is_serving(&self) -> bool {
        self.shared.lock().life == Life::Serving
    }

    /// Waits until the service has stopped, but not much longer than the close timeout. Returns false if work for a
    /// client (a callback) is still not finished then. Does not wait on the service's own threads (in a callback),
    /// which it would wait for.
    pub fn wait_stopped(&self) -> bool {
        let own_thread = self.port.on_service_thread();
        let grace = self.settings.close_timeout_ms().saturating_add(500);
        let until = self.port.now() + if own_thread { 0 } else { grace };
        let mut shared = self.shared.lock();
        while shared.life != Life::Stopped {
            let left = until.from(self.port.now());
            if left == 0 {
                break;
            }
            shared = self.shared.wait(shared, left);
        }
        shared.life == Life::Stopped && (own_thread || shared.used == 0)
    }

    /// Shuts down, on the serving thread: closes clients, and at the end aborts them.
    pub(super) fn progress_stop(&self, serving: &mut Serving<P>, until: Instant) {
        if !serving.stopping.begun {
            serving.stopping.begun = true;
            self.port.close_listener();
            self.clear_lobby(serving);
            self.end_clients(false);
        }
        let now = self.port.now();
        let stopping = &mut serving.stopping;
        let is_free = self.shared.lock().used == 0;
        let gives_up = || stopping.force_after >= FORCED_MS && now.has_reached(until + FORCED_MS);
        if is_free || gives_up() {
            self.port.stopped();
            self.shared.lock().life = Life::Stopped;
            self.shared.notify_all();
            return;
        }
        if now.has_reached(until + stopping.force_after) {
            // Two more rounds in which the work queue delivers and closes what is left: in the first one there may be
            // no room for the last events.
            stopping.force_after = stopping.force_after.saturating_add(FORCED_MS / 2);
            self.end_clients(true);
        }
        self.set_timer(Some(until + serving.stopping.force_after));
    }

    /// Starts to close every client with 1001, or, with `force`, aborts it and drops events that were not taken.
    fn end_clients(&self, force: bool) {
        let masks = self.application.masks();
        let now = self.port.now();
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            if inner.owner == Owner::Free {
                continue;
            }
            match inner.phase {
                _ if force => {
                    if inner.is_aborted() {
                        self.count(Counter::Aborted);
                    }
                    inner.advance(Phase::Dead, now, &masks);
                    inner.held = 0;
                    // A sink that takes no events gets no more; the others get the last events.
                    let stalled = inner.stalled;
                    inner.pending.forget(stalled);
                    if let Some(inbound) = &mut inner.inbound {
                        inbound.undelivered = 0;
                    }
                }
                Phase::Handshake => inner.advance(Phase::Dead, now, &masks),
                _ => {
                    let code = Some(CloseCode::GOING_AWAY);
                    inner.close(code, Phase::CloseSent, now, &masks);
                    self.flush_output(slot, &mut inner, None);
                }
            }
            slot.notify_all();
            self.kick(index, &mut inner);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Control frames of clients, and failing a connection.

use super::config::{Limits, Settings};
use super::event::State;
use super::inbound::Inbound;
use super::port::Port;
use super::run::Run;
use super::send::SendError;
use super::slot::{Inner, Phase};
use super::stats::Counter;
use super::time::Instant;
use super::{Application, Service};
use crate::protocol::{CloseCode, FrameHeader, Opcode, Step, Violation};

impl<P: Port> Inner<P> {
    /// Records that a ping was sent, which may be answered.
    pub(super) fn ping_sent(&mut self) {
        if P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            self.pings = self.pings.saturating_add(1);
        }
    }

    /// Returns whether the client may send this control frame: an answer to a ping, or one within the limit per second.
    pub(super) fn allows_control(
        &mut self,
        step: &Step,
        settings: &Settings,
        now: Instant,
    ) -> bool {
        if !P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            return true;
        }
        if matches!(step, Step::Pong(_)) && self.pings > 0 {
            self.pings = self.pings.saturating_sub(1);
            return true;
        }
        let rate = settings.control_frames_per_second();
        self.control_frames.take(rate, now)
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Handles a step that is not a message: a control frame, or a violation.
    #[inline(never)]
    pub(super) fn take_control(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Inner<P>,
        inbound: &mut Inbound<P::Storage>,
        mut step: Step,
    ) {
        let open = inner.phase == Phase::Open;
        let now = run.now(&self.port);
        if open
            && matches!(step, Step::Ping(_) | Step::Pong(_))
            && !inner.allows_control(&step, &self.settings, now)
        {
            step = Step::Fail(Violation::TooManyControlFrames);
        }
        match &step {
            Step::Ping(_) if open => inbound.unanswered = true,
            Step::Pong(range) if open => {
                if inner.answers_keep_alive(inbound.bytes(range)) {
                    return;
                }
            }
            Step::Close { code, .. } => {
                inner.close(*code, Phase::Lingering, now, &run.wanting.masks);
            }
            Step::Fail(violation) => return self.fail(run, inner, *violation),
            Step::Refuse(status) => return self.refuse(inner, run.index, *status),
            _ => return,
        }
        inbound.deliver(step, &mut run.wanting);
        self.answer_ping(inner, inbound);
    }

    /// Answers the last ping with a pong, unless it was answered. Returns false if output of another thread must leave
    /// first.
    #[inline(never)] // for size
    pub(super) fn answer_ping(
        &self,
        inner: &mut Inner<P>,
        inbound: &mut Inbound<P::Storage>,
    ) -> bool {
        match &inbound.step {
            // Nothing follows a close frame.
            Step::Ping(range) if inbound.unanswered && inner.phase == Phase::Open => {
                let payload = inbound.bytes(range);
                let header = FrameHeader::control(Opcode::Pong, payload.len());
                let parts = [header.as_bytes(), payload];
                let sent = self.emit(inner, &header, parts, Some(range.clone()), true);
                inbound.unanswered = sent == Err(SendError::WouldBlock);
            }
            _ => inbound.unanswered = false,
        }
        !inbound.unanswered
    }

    /// Fails the connection (RFC 6455 section 7.1.7): the client violated the protocol, for which INVALID_FRAME is
    /// emitted, or exceeded a limit.
    pub(super) fn fail(&self, run: &mut Run<'_, P>, inner: &mut Inner<P>, violation: Violation) {
        let code = violation.close_code();
        if inner.phase == Phase::Open {
            if code != CloseCode::POLICY_VIOLATION {
                inner.pending.add(State::InvalidFrame, &run.wanting.masks);
            }
            self.count(Counter::of_failure(code));
        }
        let now = run.now(&self.port);
        inner.close(Some(code), Phase::Lingering, now, &run.wanting.masks);
        log::debug!(
            "{}: {violation:?}, closing with {code}",
            inner.id(run.index)
        );
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The answer to an opening request, which the application gives when it is asked or later.

use super::event::ClientId;
use super::inbound::Inbound;
use super::port::Port;
use super::run::Run;
use super::slot::{Asked, Guard, Inner, Phase};
use super::stats::Counter;
use super::{Application, Service, Verdict};
use crate::protocol::{AcceptKey, HEAD_END, Refusal, Request, Status};

/// Why an answer to an opening request did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// No request of this client waits for an answer: none was put off, it was answered, the client
    /// has gone, or its time was over.
    NotWaiting,
    /// The client does not offer this subprotocol. Its request still waits.
    Subprotocol,
}

impl core::fmt::Display for AnswerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotWaiting => "no request of the client waits for an answer",
            Self::Subprotocol => "the client does not offer the subprotocol",
        })
    }
}

impl core::error::Error for AnswerError {}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Answers an opening request for which [`Application::accept`] said [`Verdict::Later`], from any
    /// thread. The client's handshake timeout goes on meanwhile.
    ///
    /// While `accept` has not returned yet, this waits for it, except on the service's own threads: what
    /// is decided inside `accept` is its return value. [`Verdict::Later`] once more changes nothing.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(&self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError> {
        self.answer_with(client, |_| verdict)
    }

    /// As [`answer`](Self::answer), with a look at the request. `decide` is called at most once, if the
    /// request waits for an answer, and must not call the service.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer_with<'v>(
        &self,
        client: ClientId,
        decide: impl FnOnce(&Request<'_>) -> Verdict<'v>,
    ) -> Result<(), AnswerError> {
        let index = client.slot();
        let slot = self.slot(index).ok_or(AnswerError::NotWaiting)?;
        let mut inner = slot.lock();
        let until = inner.since + self.settings.handshake_timeout_ms();
        let inbound = loop {
            if inner.generation != client.generation() || inner.phase != Phase::Handshake {
                return Err(AnswerError::NotWaiting);
            }
            if inner.awaits_answer() {
                if let Some(inbound) = inner.inbound.take() {
                    break inbound;
                }
            }
            // Its work item is asking, or receives just now. As it parks, it wakes whoever waits.
            let now = self.port.now();
            if matches!(inner.asked, Asked::No | Asked::PutOff)
                || self.port.on_service_thread()
                || now.has_reached(until)
            {
                return Err(AnswerError::NotWaiting);
            }
            inner.output.waiters = inner.output.waiters.saturating_add(1);
            inner = slot.wait(inner, until.from(now));
            if inner.generation != client.generation() {
                return Err(AnswerError::NotWaiting);
            }
            inner.output.waiters = inner.output.waiters.saturating_sub(1);
        };
        let outcome = inbound.incoming.request().map(|request| {
            let verdict = decide(&request);
            let possible = is_possible(&request, verdict);
            if possible {
                self.respond(&mut inner, index, &request, verdict);
            }
            possible.then_some(()).ok_or(AnswerError::Subprotocol)
        });
        inner.inbound = Some(inbound);
        self.kick(index, &mut inner);
        if let Some(socket) = Self::socket_to_log(&inner) {
            drop(inner);
            self.log_connected(client, &socket);
        }
        outcome.unwrap_or(Err(AnswerError::NotWaiting))
    }

    /// Asks the application about the opening request, and answers it unless it does that later.
    // Apart, as in `parse`.
    #[inline(never)]
    pub(super) fn ask<'a>(
        &self,
        run: &mut Run<'a, P>,
        inbound: &Inbound<P::Storage>,
    ) -> Guard<'a, P> {
        let mut inner = run.slot.lock();
        let Some(request) = inbound.incoming.request() else {
            return inner;
        };
        let id = inner.id(run.index);
        inner.asked = Asked::Now;
        drop(inner);
        let verdict = match self.application.accept(id, &request) {
            verdict if is_possible(&request, verdict) => verdict,
            _ => Verdict::Refuse(Status::INTERNAL_ERROR),
        };
        let mut inner = run.slot.lock();
        if inner.phase == Phase::Handshake {
            self.respond(&mut inner, run.index, &request, verdict);
            if let Some(socket) = Self::socket_to_log(&inner) {
                drop(inner);
                self.log_connected(id, &socket);
                inner = run.slot.lock();
            }
        }
        inner
    }

    /// Does what the application says to the request.
    fn respond(
        &self,
        inner: &mut Inner<P>,
        index: usize,
        request: &Request<'_>,
        verdict: Verdict<'_>,
    ) {
        let subprotocol = match verdict {
            Verdict::Later => {
                inner.asked = Asked::Waiting;
                return;
            }
            Verdict::Refuse(status) => return self.refuse(inner, index, status),
            Verdict::AcceptSubprotocol(name) => Some(name),
            Verdict::Accept => None,
        };
        inner.asked = Asked::No;
        let accept = AcceptKey::new(request.key());
        self.emit_response(inner, &accept.response(subprotocol));
        let (now, masks) = (self.port.now(), self.application.masks());
        if inner.output.is_broken() {
            // The response can be neither sent nor kept: nobody has connected.
            return inner.advance(Phase::Dead, now, &masks);
        }
        inner.open(now, &masks);
        self.count(Counter::Connected);
    }

    /// Refuses the opening request.
    pub(super) fn refuse(&self, inner: &mut Inner<P>, index: usize, status: Status) {
        inner.asked = Asked::No;
        self.emit_response(inner, &Refusal::new(status, None).parts(HEAD_END));
        let masks = self.application.masks();
        inner.advance(Phase::Lingering, self.port.now(), &masks);
        self.count(Counter::of_refusal(status));
        log::debug!("{}: request refused: {status}", inner.id(index));
    }
}

/// Only a subprotocol that the client offers may be chosen (RFC 6455 section 4.2.2).
fn is_possible(request: &Request<'_>, verdict: Verdict<'_>) -> bool {
    match verdict {
        Verdict::AcceptSubprotocol(name) => request.subprotocols().any(|offered| offered == name),
        _ => true,
    }
}

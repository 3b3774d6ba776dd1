// SPDX-License-Identifier: Apache-2.0
//! The answer to an opening request, which the application gives at once or later.

use super::config::Limits;
use super::event::ClientId;
use super::inbound::Inbound;
use super::logins::{self, LoginTable as _};
use super::port::{Lock as _, Port, Socket as _};
use super::run::Run;
use super::slot::{Asked, Guard, Inner, Phase, Slot};
use super::stats::Counter;
use super::verdict::{Answer, AnswerError, Verdict};
use super::{Application, Service};
use crate::protocol::{AcceptKey, Date, HEAD_END, OriginMatch, Refusal, Request, Status};

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Answers an opening request for which [`Application::accept`] returned [`Verdict::Later`], from any thread. The
    /// client's handshake timeout continues meanwhile.
    ///
    /// While `accept` has not returned yet, this waits for it, except on the service's own threads: inside `accept`,
    /// use its `answer`. Another [`Verdict::Later`] has no effect.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(&self, client: ClientId, verdict: Verdict<'_>) -> Result<(), AnswerError> {
        self.answer_with(client, |_| verdict)
    }

    /// Answers as [`answer`](Self::answer), and lets `decide` see the request. `decide` is called at most once, if the
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
            // The work item is asking, or is receiving. It wakes waiting threads when it parks.
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
            let checked = verdict.check(&request, A::RESPONSE_FIELDS);
            if checked.is_ok() {
                self.respond(&mut inner, index, &request, verdict);
            }
            checked
        });
        inner.inbound = Some(inbound);
        self.kick(index, &mut inner);
        if let Some(socket) = Self::socket_to_log(&inner) {
            drop(inner);
            self.log_connected(client, &socket);
        }
        outcome.unwrap_or(Err(AnswerError::NotWaiting))
    }

    /// Asks the application about the opening request, and answers it, unless the application defers the answer.
    // A separate function, as in `parse`.
    #[inline(never)]
    pub(super) fn ask<'a>(
        &self,
        run: &mut Run<'a, P>,
        inbound: &Inbound<P::Storage>,
    ) -> Guard<'a, P> {
        let (index, slot) = (run.index, run.slot);
        let mut inner = slot.lock();
        let Some(request) = inbound.incoming.request() else {
            return inner;
        };
        if self.is_login_blocked(&inner) {
            self.count(Counter::RefusedLogins);
            self.refuse(&mut inner, index, Status::TOO_MANY_REQUESTS);
            return inner;
        }
        // Browsers open a page without an origin, and do not let other sites read it.
        let is_page = P::PAGES && request.is_page();
        if !is_page && self.application.match_origin(&request) == OriginMatch::Other {
            self.refuse(&mut inner, index, Status::FORBIDDEN);
            return inner;
        }
        let id = inner.id(index);
        inner.asked = Asked::Now;
        drop(inner);
        let mut give = |verdict: Verdict<'_>| self.give(slot, index, &request, verdict);
        let answer = Answer::new(&mut give);
        self.application.accept(id, &request, answer);
        let mut inner = slot.lock();
        if inner.phase == Phase::Handshake && inner.asked == Asked::Now {
            log::error!("{id}: refused, because the application gave no answer");
            self.refuse(&mut inner, index, Status::INTERNAL_ERROR);
        }
        if let Some(socket) = Self::socket_to_log(&inner) {
            drop(inner);
            self.log_connected(id, &socket);
            inner = slot.lock();
        }
        inner
    }

    /// Handles the application's answer to the request that it is asked about.
    #[inline(never)] // it is part of the service, not of the application
    fn give(&self, slot: &Slot<P>, index: usize, request: &Request<'_>, verdict: Verdict<'_>) {
        let mut inner = slot.lock();
        if inner.phase != Phase::Handshake {
            // Its time is over.
            return;
        }
        match verdict.check(request, A::RESPONSE_FIELDS) {
            Ok(()) => self.respond(&mut inner, index, request, verdict),
            Err(error) => {
                log::error!("{}: refused, because {error}", inner.id(index));
                self.refuse(&mut inner, index, Status::INTERNAL_ERROR);
            }
        }
    }

    /// Acts on the verdict of the application.
    fn respond(
        &self,
        inner: &mut Inner<P>,
        index: usize,
        request: &Request<'_>,
        verdict: Verdict<'_>,
    ) {
        let (subprotocol, fields) = match verdict {
            Verdict::Later => {
                inner.asked = Asked::Waiting;
                return;
            }
            Verdict::Refuse {
                status,
                challenge,
                fields,
            } => {
                if matches!(status, Status::UNAUTHORIZED | Status::FORBIDDEN) {
                    self.note_failed_login(inner);
                }
                let challenge = challenge.filter(|_| A::RESPONSE_FIELDS);
                return self.refuse_with(inner, index, &Refusal::new(status, challenge), fields);
            }
            Verdict::Accept {
                subprotocol,
                fields,
                any_origin,
            } => {
                if P::PAGES && request.is_page() {
                    return self.respond_with_page(inner, index, request, fields);
                }
                // Unless a list of origins allows it, pages of other sites must not use the credentials that a browser
                // has for this server.
                if A::CHECKS_SAME_ORIGIN
                    && !any_origin
                    && self.application.match_origin(request) == OriginMatch::NoList
                    && !request.is_same_origin()
                {
                    // Not with Debug, which takes 5 KB of flash. The text has no control characters.
                    log::info!(
                        "{}: refused, because a list of origins does not have its \"{}\"",
                        inner.id(index),
                        request.origin().unwrap_or_default()
                    );
                    return self.refuse(inner, index, Status::FORBIDDEN);
                }
                (subprotocol, fields)
            }
        };
        inner.asked = Asked::No;
        let accept = AcceptKey::new(request.key());
        let date = self.port.date();
        let parts = accept.response(subprotocol, head_end(date.as_ref()));
        self.emit_head(inner, &parts, fields);
        let (now, masks) = (self.port.now(), self.application.masks());
        if inner.output.is_broken() {
            // The client has not connected: the response can be neither sent nor kept.
            return inner.advance(Phase::Dead, now, &masks);
        }
        inner.open(now, &masks);
        self.count(Counter::Connected);
    }

    /// Refuses the opening request.
    #[inline(never)] // for size
    pub(super) fn refuse(&self, inner: &mut Inner<P>, index: usize, status: Status) {
        if status == Status::METHOD_NOT_ALLOWED && self.has_pages() {
            return self.refuse_method(inner, index);
        }
        self.refuse_with(inner, index, &Refusal::new(status, None), &[]);
    }

    fn refuse_with(
        &self,
        inner: &mut Inner<P>,
        index: usize,
        refusal: &Refusal<'_>,
        fields: &[(&str, &str)],
    ) {
        inner.asked = Asked::No;
        let date = self.port.date();
        self.emit_head(inner, &refusal.parts(head_end(date.as_ref())), fields);
        self.refused(inner, index, refusal.status());
    }

    /// Ends the opening phase: the response that refuses the request was sent or queued.
    #[inline(always)] // The usual case: it is called from one place.
    pub(super) fn refused(&self, inner: &mut Inner<P>, index: usize, status: Status) {
        let masks = self.application.masks();
        inner.advance(Phase::Lingering, self.port.now(), &masks);
        self.count(Counter::of_refusal(status));
        log::debug!("{}: request refused: {status}", inner.id(index));
    }

    /// Sends the head of a response, with further fields before the last part, which ends it.
    fn emit_head(&self, inner: &mut Inner<P>, parts: &[&[u8]], fields: &[(&str, &str)]) {
        if !A::RESPONSE_FIELDS || fields.is_empty() {
            return self.emit_response(inner, parts, false);
        }
        let Some((end, head)) = parts.split_last() else {
            return;
        };
        self.emit_response(inner, head, true);
        self.emit_fields(inner, fields);
        self.emit_response(inner, &[end], false);
    }

    /// Sends the application's header fields. More of the head follows.
    pub(super) fn emit_fields(&self, inner: &mut Inner<P>, fields: &[(&str, &str)]) {
        if !A::RESPONSE_FIELDS {
            return;
        }
        for (name, value) in fields {
            let field = [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"];
            self.emit_response(inner, &field, true);
        }
    }

    fn limits_logins(&self) -> bool {
        P::LIMITS.contains(Limits::LOGIN_FAILURES) && self.settings.login_failures_per_minute() > 0
    }

    /// Returns whether the client's address has reached the limit of failed logins.
    fn is_login_blocked(&self, inner: &Inner<P>) -> bool {
        let socket = inner.socket.as_ref().filter(|_| self.limits_logins());
        socket.is_some_and(|socket| {
            let (network, now) = (socket.network(), self.port.now());
            let limit = self.settings.login_failures_per_minute();
            logins::is_blocked(self.shared.lock().logins.entries(), network, limit, now)
        })
    }

    fn note_failed_login(&self, inner: &Inner<P>) {
        if let Some(socket) = inner.socket.as_ref().filter(|_| self.limits_logins()) {
            let (network, now) = (socket.network(), self.port.now());
            logins::note_failure(self.shared.lock().logins.entries(), network, now);
        }
    }
}

/// Returns the bytes that end a response.
pub(super) fn head_end(date: Option<&Date>) -> &[u8] {
    date.map_or(HEAD_END, Date::head_end)
}

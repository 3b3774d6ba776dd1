// SPDX-License-Identifier: Apache-2.0
//! Pages, and making room among the connections that request them.

use super::deadlines::Due;
use super::opening::head_end;
use super::port::{Lock as _, Port};
use super::slot::{Asked, Guard, Inner, Phase, Slot};
use super::time::{Instant, TIMER_GRANULARITY_MS};
use super::{Application, Service};
use crate::protocol::{Page, PageHead, Refusal, Request, Status};

/// How long a connection may be silent in its opening phase before it can be closed to make room. A client that wants
/// to send a request sends it right after the TCP handshake. With a longer time, silent connections would delay waiting
/// ones, until the backlog is full.
const SILENCE_MS: u32 = 100;
/// The same during a TLS handshake, in which the client waits for the network and computes between two messages.
const TLS_SILENCE_MS: u32 = 500;
/// How long to wait until a connection that makes room has ended for every sink, in milliseconds.
const ROOM_MS: u32 = 1_000;

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Returns whether there are pages.
    #[inline(always)] // A constant, where there can be none.
    pub(super) fn has_pages(&self) -> bool {
        P::PAGES && self.application.page(0).is_some()
    }

    /// Answers a request for a page that the application has accepted.
    #[inline(never)] // Few requests are.
    pub(super) fn respond_with_page(
        &self,
        inner: &mut Inner<P>,
        index: usize,
        request: &Request<'_>,
        fields: &[(&str, &str)],
    ) {
        let Some((number, page)) = self.find_page(request.path()) else {
            return self.refuse(inner, index, Status::NOT_FOUND);
        };
        inner.asked = Asked::Page;
        let head = PageHead::new(page, request);
        let date = self.port.date();
        self.emit_response(inner, &head.parts(), true);
        self.emit_response(inner, &head.validators(), true);
        self.emit_fields(inner, fields);
        self.emit_response(inner, &[head_end(date.as_ref())], true);
        if head.has_body() {
            inner.output.keep_page(number, page.body.len());
        }
        let (now, masks) = (self.port.now(), self.application.masks());
        inner.output.since = now;
        inner.advance(Phase::Lingering, now, &masks);
        log::debug!("{}: {} for {}", inner.id(index), head.status(), page.path);
    }

    /// Refuses a request whose method pages do not support.
    pub(super) fn refuse_method(&self, inner: &mut Inner<P>, index: usize) {
        let refusal = Refusal::new(Status::METHOD_NOT_ALLOWED, None);
        let date = self.port.date();
        let [version, digits, reason, length, challenge, _, end] =
            refusal.parts(head_end(date.as_ref()));
        let allow = b"\r\nAllow: GET, HEAD\r\nConnection: close\r\n";
        let parts = [version, digits, reason, length, challenge, allow, end];
        self.emit_response(inner, &parts, false);
        self.refused(inner, index, refusal.status());
    }

    fn find_page(&self, path: &str) -> Option<(u16, Page<'_>)> {
        let mut pages = (0..u16::MAX).map_while(|number| {
            let page = self.application.page(usize::from(number))?;
            Some((number, page))
        });
        pages.find(|(_, page)| page.path == path)
    }

    /// Sends as much of a page response as the client takes. After all of it, the client has the close timeout to
    /// close.
    pub(super) fn flush_page(&self, inner: &mut Inner<P>) {
        if !inner.output.pending() {
            return;
        }
        let page = inner.output.page();
        let page = page.and_then(|number| self.application.page(number));
        let Some(socket) = &inner.socket else {
            return;
        };
        let body = page.map_or(&[][..], |page| page.body);
        inner.output.flush_page(socket, body, &self.port);
        if !inner.output.pending() {
            inner.since = self.port.now();
        }
    }

    /// Handles expired deadlines of a client of a service with pages.
    pub(super) fn expire_page(
        &self,
        index: usize,
        slot: &Slot<P>,
        inner: &mut Guard<'_, P>,
        now: Instant,
    ) -> Due {
        let masks = self.application.masks();
        let is_due = |inner: &Inner<P>| {
            let deadline = inner.next_deadline(&self.settings);
            deadline.is_some_and(|at| now.has_reached(at))
        };
        if inner.sends_page() && is_due(inner) {
            // There may be some room already, although less than a socket reports.
            self.flush_output(slot, inner, None);
            self.kick(index, inner);
        }
        let inbound = inner.inbound.as_ref();
        if inner.phase == Phase::Handshake
            && !inner.is_held_up()
            && inbound.is_some_and(|inbound| inbound.incoming.is_unheard())
            && is_due(inner)
        {
            // Browsers open connections in advance, and do not use all of them.
            inner.advance(Phase::Dead, now, &masks);
            return Due::Over;
        }
        inner.expire(now, &self.settings, &masks)
    }

    /// Returns whether a slot is free.
    pub(super) fn has_room(&self) -> bool {
        self.shared.lock().used < self.max_clients()
    }

    /// If every slot is in use, closes the connection that [has been idle](Inner::idle_since) for the longest time. One
    /// that is silent in its opening phase may still need its slot, and is closed only if there is no other. Returns
    /// until when there may be room, also because a closing handshake ends; `None` if no connection can be closed.
    ///
    /// Whether a connection is silent is decided only with `known_until`, the time until which all input is known.
    pub(super) fn make_room(&self, known_until: Option<Instant>) -> Option<Instant> {
        let now = self.port.now();
        let mut oldest = None;
        let mut later = None;
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let inner = slot.lock();
            let Some(since) = inner.idle_since() else {
                let ends_at = inner.ends_at(&self.settings).map(|at| at + ROOM_MS);
                if ends_at.is_some_and(|at| !now.has_reached(at)) {
                    // Until then it may become one that makes room.
                    later = Instant::earlier(later, Some(now + SILENCE_MS));
                }
                continue;
            };
            let is_over = inner.phase != Phase::Handshake;
            let silence = if Self::is_securing(&inner) {
                TLS_SILENCE_MS
            } else {
                SILENCE_MS
            };
            let may_at = since + silence;
            let known = known_until.map(|at| self.port.heard_until(index, at));
            let rank = (is_over, since.until(now));
            if !is_over && !known.is_some_and(|at| at.has_reached(may_at)) {
                // Not at once if this was decided just now, and another thread has not looked yet.
                let pause = if known.is_some() {
                    TIMER_GRANULARITY_MS
                } else {
                    0
                };
                later = Instant::earlier(later, Some(may_at.later(now + pause)));
            } else if oldest.is_none_or(|(highest, _)| rank > highest) {
                oldest = Some((rank, index));
            }
        }
        let Some((_, index)) = oldest else {
            return later;
        };
        if let Some(slot) = self.slot(index) {
            let mut inner = slot.lock();
            // It may have been heard meanwhile. Then the next call finds another one.
            if inner.idle_since().is_some() {
                let masks = self.application.masks();
                inner.advance(Phase::Dead, now, &masks);
                self.kick(index, &mut inner);
                log::debug!("{}: closed, to make room", inner.id(index));
            }
        }
        Some(now + ROOM_MS)
    }
}

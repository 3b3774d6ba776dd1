// SPDX-License-Identifier: Apache-2.0
//! Delivery of a client's events to the sinks.

use core::num::NonZeroUsize;

use super::application::Delivery;
use super::event::{Event, State};
use super::inbound::Inbound;
use super::port::{Lock as _, Port};
use super::run::{Run, Task};
use super::slot::{Delivering, Guard, Inner, Marks, Phase};
use super::{Application, Service};
use crate::protocol::Request;

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Delivers the last step to `sink`.
    pub(super) fn deliver_data<'a>(
        &self,
        run: &mut Run<'a, P>,
        mut inner: Guard<'a, P>,
        inbound: &mut Inbound<P::Storage>,
        sink: usize,
    ) -> Guard<'a, P> {
        let bit = 1 << sink;
        let Some((event, payload, range)) = inbound.event() else {
            debug_assert!(false, "only steps with an event are undelivered");
            inbound.undelivered = 0;
            return inner;
        };
        // Count first: another thread may release it before this returns.
        inner.held = inner.held.saturating_add(1);
        let is_text = matches!(event, Event::Text(_));
        let is_ended = A::WRITES_TEXT && is_text && inbound.is_ended;
        let mut marks = Marks::empty();
        marks.set(Marks::TEXT, is_text);
        marks.set(Marks::LAST, !inbound.incoming.has_unparsed());
        inner.delivering = NonZeroUsize::new(payload.as_ptr() as usize).map(|address| Delivering {
            address,
            len: payload.len(),
            start: range.start,
            marks,
        });
        if is_ended && sink > 0 {
            // From now on its reader may write to it.
            inner.delivering = None;
        }
        let id = inner.id(run.index);
        drop(inner);
        let delivery = if is_ended {
            let text = inbound.ended_text(&range);
            self.application.deliver_text(self, sink, id, text)
        } else {
            self.application.deliver(self, sink, Some(id), &event)
        };
        run.now = None;
        // The service did not read from the client meanwhile: that silence does not count.
        run.heard = true;
        let mut inner = run.slot.lock();
        inner.delivering = None;
        if delivery != Delivery::Held {
            inner.held = inner.held.saturating_sub(1);
        }
        match delivery {
            Delivery::Full => run.full |= bit,
            Delivery::Held | Delivery::Done => {
                inbound.undelivered &= !bit;
                self.taken(run, &mut inner, bit);
                if delivery == Delivery::Held {
                    if inner.held == 1 && inner.stalled == 0 {
                        inner.held_since = run.now(&self.port);
                    }
                    // The NUL belongs to the text.
                    let end = range.end.saturating_add(usize::from(is_ended));
                    inbound.incoming.hold(end);
                }
            }
        }
        inner
    }

    /// Delivers a state event to `sink`.
    #[inline(never)] // for size
    pub(super) fn deliver_state<'a>(
        &self,
        run: &mut Run<'a, P>,
        inner: Guard<'a, P>,
        inbound: &Inbound<P::Storage>,
        sink: usize,
        state: State,
    ) -> Guard<'a, P> {
        let event = match state {
            State::Connecting => Event::Connecting,
            State::Connected => {
                // For a client that was adopted after its upgrade, this is empty.
                let request = inbound.incoming.request();
                Event::Connected(request.unwrap_or(Request::from_bytes(&[])))
            }
            State::Writable => Event::Writable,
            State::TlsFailed => Event::TlsFailed,
            State::InvalidFrame => Event::InvalidFrame,
            State::Timeout => Event::Timeout,
            State::Closing => Event::Closing,
            State::Closed => Event::Closed,
        };
        let id = inner.id(run.index);
        drop(inner);
        let delivery = self.application.deliver(self, sink, Some(id), &event);
        run.now = None;
        run.heard = true;
        let mut inner = run.slot.lock();
        if delivery == Delivery::Full {
            run.full |= 1 << sink;
        } else {
            inner.pending.remove(sink, state);
            self.taken(run, &mut inner, 1 << sink);
        }
        inner
    }

    /// Records that a sink (a bit) took an event.
    pub(super) fn taken(&self, run: &mut Run<'_, P>, inner: &mut Inner<P>, sink: u8) {
        if inner.stalled & sink != 0 {
            inner.stalled &= !sink;
            inner.held_since = run.now(&self.port);
            if inner.phase == Phase::Handshake {
                // Its request was not read meanwhile.
                inner.since = inner.held_since;
            }
        }
    }

    /// Notifies the application that a send can be tried again after one was refused.
    pub(super) fn tell_writable(&self, run: &Run<'_, P>, inner: &mut Guard<'_, P>) {
        if !inner.can_send_again(|| self.port.thread()) || self.is_paused() {
            return;
        }
        // A callback for this event sends in this run, which cannot lend the receive buffer.
        if inner.output.wants_block() && !self.pool.lock().has_block() {
            return;
        }
        inner.output.clear_refused();
        if inner.phase == Phase::Open {
            inner.pending.add(State::Writable, &run.wanting.masks);
        }
    }
}

/// Returns the next event for a sink that had room so far: the last step first, then state events.
pub(super) fn next_event<P: Port>(
    run: &Run<'_, P>,
    inner: &Inner<P>,
    inbound: &Inbound<P::Storage>,
) -> Option<Task> {
    (0..run.wanting.masks.len()).find_map(|sink| {
        let bit = 1 << sink;
        if run.full & bit != 0 {
            None
        } else if inbound.undelivered & bit != 0 {
            Some(Task::Data(sink))
        } else {
            let state = inner.pending.next(sink)?;
            Some(Task::State(sink, state))
        }
    })
}

// SPDX-License-Identifier: Apache-2.0
//! The interface of an application to the service.

use core::ptr::NonNull;

use super::Service;
use super::event::{ClientId, Event, EventMask, MAX_SINKS};
use super::port::Port;
use super::verdict::Answer;
use crate::protocol::{OriginMatch, Page, Request};

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The event was handled; its bytes are no longer needed.
    Done,
    /// The event was taken. Its bytes must stay until [`Service::release`].
    Held,
    /// There was no room. The event is delivered again after [`Service::room`].
    Full,
}

/// The application of a service, which receives the events.
pub trait Application<P: Port>: Sized {
    /// Whether [`tick`](Self::tick) does anything. If not, there is no code for it.
    const TICKS: bool = false;

    /// Returns the events that each sink wants. A sink that does not exist wants none. Called on any thread, with a
    /// lock of the service held: must not wait, or call the service.
    fn masks(&self) -> [EventMask; MAX_SINKS];

    /// Whether the application's responses may have header fields and challenges
    /// ([`Verdict::fields`](super::Verdict::fields), [`Verdict::challenge`](super::Verdict::challenge)). If not, there
    /// is no code for them, and such an answer is an error.
    const RESPONSE_FIELDS: bool = false;

    /// Returns the names of the header fields that [`accept`](Self::accept) needs, separated by spaces, in any case:
    /// `"Authorization Cookie"`. They must pass [`check_field_names`](crate::protocol::check_field_names) and must not
    /// change. The client's receive buffer keeps the values, and must have room for them. If this is an empty constant,
    /// there is no code for it.
    #[inline(always)]
    fn request_fields(&self) -> &str {
        ""
    }

    /// Whether the service refuses pages of other origins if there is no list of origins. If not, there is no code for
    /// that: for an application that does it in [`match_origin`](Self::match_origin).
    const CHECKS_SAME_ORIGIN: bool = true;

    /// Compares a request with the list of origins that may connect. Without a list ([`OriginMatch::NoList`]), clients
    /// without an origin and pages of the server itself may connect, see
    /// [`Verdict::any_origin`](super::Verdict::any_origin). Called before [`accept`](Self::accept), and when the
    /// request is answered, perhaps with a lock of the service held: must not wait, or call the service. By default
    /// there is no code for origins.
    #[inline(always)]
    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        let _ = request;
        OriginMatch::Listed
    }

    /// Returns the page with this number, from 0 without gaps, up to 65,534. Pages must not change while the service
    /// runs. Only used if [`Port::PAGES`] is set. Called with a lock of the service held: must not wait, or call the
    /// service.
    #[inline(always)]
    fn page(&self, number: usize) -> Option<Page<'_>> {
        let _ = number;
        None
    }

    /// Decides on an opening request, or on a request for a page ([`Request::is_page`]), whatever its path. A page
    /// request that is accepted gets the page, or 404 if there is none. Called on the work queue. The response is sent
    /// when the answer is given; a request without an answer is refused with 500.
    fn accept(&self, client: ClientId, request: &Request<'_>, answer: Answer<'_>);

    /// Delivers an event to a sink; `client` is `None` for events of the service as a whole. Called on the work queue
    /// with no lock held; may call every method of the service.
    fn deliver(
        &self,
        service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery;

    /// Whether a whole text that only one sink wants goes to [`deliver_text`](Self::deliver_text) instead of
    /// [`deliver`](Self::deliver). If not, there is no code for that. The storage needs a byte in
    /// [`FRONT`](crate::protocol::Storage::FRONT).
    const WRITES_TEXT: bool = false;

    /// Delivers a whole text to the only sink that wants it, as [`deliver`](Self::deliver). `text` is its bytes and a
    /// NUL after them. The application owns them until this returns, or with [`Delivery::Held`] until
    /// [`Service::release`]: there is no reference to them, and it may write to all of them. What it sends of them is
    /// checked for valid UTF-8 again. Only sink 0 may send them back in place, and must not change them after that; the
    /// other sinks are queues, which hold messages.
    fn deliver_text(
        &self,
        service: &Service<P, Self>,
        sink: usize,
        client: ClientId,
        text: NonNull<[u8]>,
    ) -> Delivery {
        let _ = (service, sink, client, text);
        Delivery::Done
    }

    /// Runs every [`Config::tick_ms`](super::Config::tick_ms) milliseconds, on the work queue with no lock held; may
    /// call every method of the service. Never runs twice at a time. A call that would be late by a whole period, and
    /// calls after [`Service::stop`], are skipped. Only used if [`TICKS`](Self::TICKS) is set.
    fn tick(&self, service: &Service<P, Self>) {
        let _ = service;
    }

    /// Handles the end of the service: every event was delivered, except to a callback that did not return in time.
    /// Called on the serving thread by [`Service::serve`].
    fn ended(&self) {}
}

// SPDX-License-Identifier: Apache-2.0
//! The incoming half of a client, which is lent to the work item that runs.

use core::ops::Range;
use core::ptr::NonNull;

use super::event::{Event, EventMask, Masks, Message};
use crate::protocol::{Data, Incoming, MessageKind, OVERHEAD, Step, Storage};

/// The incoming half of a client: the receive buffer, the parser, and the last step.
///
/// It stays where the port has put it. The slot has a reference ([`Port::Inbound`](super::Port::Inbound)), which the
/// work item takes while it runs, for exclusive access to the receive buffer without a lock.
pub struct Inbound<B> {
    pub(super) incoming: Incoming<B>,
    /// The last step.
    pub(super) step: Step,
    /// The sinks (a bit each) that have not received it yet.
    pub(super) undelivered: u8,
    /// The last step is a ping that was not answered, because other output blocked it. Nothing is parsed or received
    /// before it is answered.
    pub(super) unanswered: bool,
    /// The last step is a text that is [ended](Self::end_text).
    pub(super) is_ended: bool,
}

impl<B: Storage> Inbound<B> {
    /// The minimum size of the storage, in bytes: a piece of text must have room for the longest character.
    pub const MIN_STORAGE: usize = OVERHEAD + B::FRONT + 4;

    /// Creates the incoming half over a receive buffer. The largest message is [`OVERHEAD`] and [`Storage::FRONT`]
    /// bytes smaller than `storage`, which has at least [`MIN_STORAGE`](Self::MIN_STORAGE) bytes.
    pub fn new(storage: B) -> Self {
        Self {
            incoming: Incoming::new(storage, 0, false),
            step: Step::NeedBytes,
            undelivered: 0,
            unanswered: false,
            is_ended: false,
        }
    }

    /// Drops the undelivered step.
    pub(super) fn forget(&mut self) {
        self.undelivered = 0;
        self.unanswered = false;
    }

    /// Returns how much of the receive buffer can be lent: nothing while a step refers to its bytes.
    pub(super) fn spare(&mut self) -> usize {
        if self.undelivered != 0 || self.unanswered {
            return 0;
        }
        self.incoming.spare()
    }

    /// Returns the bytes that a step refers to.
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.incoming.bytes(range.clone())
    }

    /// Keeps a step for the sinks that want its event.
    pub(super) fn deliver(&mut self, step: Step, wanting: &mut Wanting) {
        self.undelivered = wanting.sinks(mask(&step));
        self.step = step;
    }

    /// Puts a NUL after the last step if it is a whole text for only one sink, which may write to it.
    #[inline(never)] // for size
    pub(super) fn end_text(&mut self) {
        self.is_ended = false;
        if let Step::Data(Data {
            kind: MessageKind::Text,
            first: true,
            last: true,
            range,
        }) = &mut self.step
        {
            if self.undelivered.is_power_of_two() {
                *range = self.incoming.end_text(range);
                self.is_ended = true;
            }
        }
    }

    /// Returns the bytes of a text that is ended, including the NUL, for its sink.
    pub(super) fn ended_text(&mut self, range: &Range<usize>) -> NonNull<[u8]> {
        let with_nul = range.start..range.end.saturating_add(1);
        NonNull::from(self.incoming.bytes_mut(with_nul))
    }

    /// Returns the event for the last step, its bytes, and their position.
    pub(super) fn event(&self) -> Option<(Event<'_>, &[u8], Range<usize>)> {
        let (event, bytes, range) = match &self.step {
            Step::Data(data) => {
                let Data {
                    kind,
                    first,
                    last,
                    ref range,
                } = *data;
                let bytes = self.bytes(range);
                let message = Message { bytes, first, last };
                let event = match kind {
                    MessageKind::Text => Event::Text(message),
                    MessageKind::Binary => Event::Binary(message),
                };
                (event, bytes, range)
            }
            Step::Ping(range) => {
                let bytes = self.bytes(range);
                (Event::Ping(bytes), bytes, range)
            }
            Step::Pong(range) => {
                let bytes = self.bytes(range);
                (Event::Pong(bytes), bytes, range)
            }
            Step::Close { code, body: range } => {
                let (code, body) = (*code, self.bytes(range));
                (Event::CloseFrame { code, body }, body, range)
            }
            _ => return None,
        };
        Some((event, bytes, range.clone()))
    }
}

/// The sinks that want an event. Caches the last result, because the same event is frequent.
pub(super) struct Wanting {
    pub masks: Masks,
    event: EventMask,
    sinks: u8,
}

impl Wanting {
    pub const fn new(masks: Masks) -> Self {
        Self {
            masks,
            event: EventMask::empty(),
            sinks: 0,
        }
    }

    /// Returns the sinks (a bit each) that want this event.
    fn sinks(&mut self, event: EventMask) -> u8 {
        if event != self.event {
            self.event = event;
            let masks = self.masks.iter().rev();
            self.sinks = masks.fold(0, |sinks, wanted| {
                sinks << 1 | u8::from(wanted.intersects(event))
            });
        }
        self.sinks
    }
}

/// Returns the event for a step.
const fn mask(step: &Step) -> EventMask {
    match step {
        Step::Data(data) => match data.kind {
            MessageKind::Text => EventMask::TEXT,
            MessageKind::Binary => EventMask::BINARY,
        },
        Step::Ping(_) => EventMask::PING,
        Step::Pong(_) => EventMask::PONG,
        Step::Close { .. } => EventMask::CLOSE_FRAME,
        _ => EventMask::empty(),
    }
}

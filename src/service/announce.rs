// SPDX-License-Identifier: Apache-2.0
//! Events of the service as a whole.

use super::event::{EventMask, MAX_SINKS};
use super::port::{Lock as _, Port, Work};
use super::{Application, Delivery, Service};

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Emits an event of the service as a whole. Repeating it before it is delivered has no effect.
    pub fn announce(&self, event: EventMask) {
        let masks = self.application.masks();
        let mut shared = self.shared.lock();
        for (pending, mask) in shared.pending.iter_mut().zip(masks) {
            if event.contains(EventMask::LINK_DOWN) {
                // LINK_DOWN is delivered first, so an earlier, pending "up" is obsolete.
                pending.remove(EventMask::LINK_UP);
            }
            *pending |= event & mask;
        }
        drop(shared);
        self.port.submit(Work::Service);
    }

    /// Delivers the announced events.
    pub(super) fn deliver_announced(&self) {
        for sink in 0..MAX_SINKS {
            for mask in EventMask::SERVICE {
                let mut shared = self.shared.lock();
                let pending = shared.pending.get_mut(sink);
                let Some(pending) = pending.filter(|due| due.intersects(mask)) else {
                    continue;
                };
                // Before the delivery: an event that is announced meanwhile is delivered again.
                pending.remove(mask);
                drop(shared);
                let event = mask.service_event();
                if self.application.deliver(self, sink, None, &event) == Delivery::Full {
                    shared = self.shared.lock();
                    if let Some(pending) = shared.pending.get_mut(sink) {
                        *pending |= mask;
                    }
                    break;
                }
            }
        }
    }
}

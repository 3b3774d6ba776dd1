// SPDX-License-Identifier: Apache-2.0
//! Events that concern the service as a whole.

use super::event::{EventMask, MAX_SINKS};
use super::port::{Lock as _, Port, Work};
use super::{Application, Delivery, Service};

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Emits an event that concerns the service as a whole. Until it is delivered, the same event
    /// again is the same.
    pub fn announce(&self, event: EventMask) {
        let masks = self.application.masks();
        let mut shared = self.shared.lock();
        for (pending, mask) in shared.pending.iter_mut().zip(masks) {
            if event.contains(EventMask::LINK_DOWN) {
                // Which is delivered first: that it was up before is of no interest any more.
                pending.remove(EventMask::LINK_UP);
            }
            *pending |= event & mask;
        }
        drop(shared);
        self.port.submit(Work::Service);
    }

    /// Delivers what was announced.
    pub(super) fn deliver_announced(&self) {
        for sink in 0..MAX_SINKS {
            for mask in EventMask::SERVICE {
                let mut shared = self.shared.lock();
                let pending = shared.pending.get_mut(sink);
                let Some(pending) = pending.filter(|due| due.intersects(mask)) else {
                    continue;
                };
                // Before it is delivered: what is announced meanwhile is delivered again.
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

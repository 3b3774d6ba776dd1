// SPDX-License-Identifier: Apache-2.0
//! Event queues, for an application that reads events on its own threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::application::ServerService;
use super::monitor::Monitor;
use super::port::HostPort;
use crate::clients::{Clients, milliseconds};
use crate::reader::EventReader;
use crate::service::{
    ClientId, Event, EventMask, KeptEvent, QueueSink, QueueState, QueueStorage, RecvError,
};

/// The entries of a queue, on the heap.
pub struct HeapQueue<E> {
    entries: VecDeque<E>,
    depth: usize,
}

impl<E> HeapQueue<E> {
    /// Creates a queue with room for `depth` entries, at least one.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self {
            entries: VecDeque::with_capacity(depth.min(64)),
            depth: depth.max(1),
        }
    }
}

impl<E> QueueStorage for HeapQueue<E> {
    type Entry = E;

    fn put(&mut self, make: impl Fn() -> E) -> bool {
        let has_room = self.entries.len() < self.depth;
        if has_room {
            self.entries.push_back(make());
        }
        has_room
    }

    fn take(&mut self) -> Option<E> {
        self.entries.pop_front()
    }
}

/// An event with its bytes. They are copied, because safe Rust cannot lend bytes of a buffer in which the next messages
/// are being unmasked. The client is still held.
type Kept = KeptEvent<Box<[u8]>>;

/// The server's end of a queue.
pub(super) type Sink = QueueSink<HostPort, HeapQueue<Kept>>;

/// Returns a queue for `depth` of the events in `mask`.
pub(super) fn sink(mask: EventMask, depth: usize) -> Sink {
    let state = QueueState::new(HeapQueue::new(depth));
    Sink::new(mask, Monitor::new(state))
}

/// Returns the bytes of an event; for `Connected`, those of the request.
pub(super) fn keep(event: &Event<'_>) -> Box<[u8]> {
    match event {
        Event::Connected(request) => request.to_bytes().into(),
        _ => event
            .message()
            .map_or(&[][..], |message| message.bytes)
            .into(),
    }
}

/// An event queue. Several threads may read it.
///
/// A full queue loses nothing: the server stops reading from clients until there is room. Dropping the queue ends that,
/// and discards its events.
pub struct EventQueue {
    sink: Arc<Sink>,
    service: Arc<ServerService>,
    clients: Clients,
}

impl EventReader for EventQueue {
    fn read<T>(
        &self,
        timeout: Option<Duration>,
        handle: impl FnOnce(Option<ClientId>, &Event<'_>) -> T,
    ) -> Result<T, RecvError> {
        let queued = self.take(timeout.map(milliseconds))?;
        Ok(handle(queued.client(), &queued.event()))
    }

    fn clients(&self) -> Clients {
        self.clients.clone()
    }
}

impl EventQueue {
    pub(super) const fn new(
        sink: Arc<Sink>,
        service: Arc<ServerService>,
        clients: Clients,
    ) -> Self {
        Self {
            sink,
            service,
            clients,
        }
    }

    /// Takes the next event, waiting for it; `None` once the server has stopped and all events are taken.
    pub fn recv(&self) -> Option<QueuedEvent<'_>> {
        self.take(None).ok()
    }

    /// Takes the next event, waiting for up to `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if there was none in time; [`RecvError::Ended`] once the server has stopped and all
    /// events are taken.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<QueuedEvent<'_>, RecvError> {
        self.take(Some(milliseconds(timeout)))
    }

    fn take(&self, timeout_ms: Option<u32>) -> Result<QueuedEvent<'_>, RecvError> {
        let kept = self.sink.recv_event(&self.service, timeout_ms)?;
        let service = &self.service;
        Ok(QueuedEvent { kept, service })
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        self.sink.abandon_events(&self.service);
    }
}

/// An event taken from a queue. A message is held until this is dropped: the server stops reading from its client, and
/// closes it at the hold timeout.
pub struct QueuedEvent<'a> {
    kept: Kept,
    service: &'a ServerService,
}

impl QueuedEvent<'_> {
    /// Returns the client, or `None` for events of the service as a whole.
    #[must_use]
    pub const fn client(&self) -> Option<ClientId> {
        self.kept.client
    }

    /// Returns the event.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        self.kept.event(&self.kept.bytes)
    }
}

impl Drop for QueuedEvent<'_> {
    fn drop(&mut self) {
        self.kept.release(self.service);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Event queues, for an application that reads events on its own threads.

use core::ptr;
use core::time::Duration;

use wss::clients::milliseconds;
use wss::service::{KeptEvent, QueueSink};
use wss::{ClientId, Clients, Event, EventReader, RecvError};

use crate::application::ServerService;
use crate::kconfig;
use crate::port::ZephyrPort;
use crate::queue::MessageQueue;
use crate::server::Base;

/// A buffer for the largest message.
pub type MessageBuffer = [u8; kconfig::RX_BUFFER_SIZE as usize];

/// The bytes of an event, in the receive buffer of its client: they stay there until the event is taken.
#[derive(Clone, Copy)]
pub struct Received {
    data: *const u8,
    len: usize,
}

// SAFETY: the bytes are read only while they are known to stay: see `EventQueue::copy`.
unsafe impl Send for Received {}

impl Received {
    /// Returns the bytes of an event. The request of `Connected` is not kept, because the client's next bytes overwrite
    /// it.
    pub fn of(event: &Event<'_>) -> Self {
        let bytes = event.message().map_or(&[][..], |message| message.bytes);
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

type Kept = KeptEvent<Received>;

/// The server's end of a queue.
pub type Sink = QueueSink<ZephyrPort, MessageQueue<Kept>>;

/// An event queue of a server. Several threads may read it.
///
/// A full queue loses nothing: the server stops reading from clients until there is room. Dropping the queue ends that,
/// and discards its events. When the server is started again, the queue has ended.
pub struct EventQueue {
    server: &'static Base,
    /// The run of the server that it belongs to.
    run: u32,
    /// Its index among the queues of the server.
    index: usize,
}

impl EventReader for EventQueue {
    fn read<T>(
        &self,
        timeout: Option<Duration>,
        handle: impl FnOnce(Option<ClientId>, &Event<'_>) -> T,
    ) -> Result<T, RecvError> {
        let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
        let (client, event) = match timeout {
            Some(timeout) => self.recv_timeout(&mut buffer, timeout),
            None => self.take(&mut buffer, None),
        }?;
        Ok(handle(client, &event))
    }

    fn clients(&self) -> Clients {
        self.server.clients()
    }
}

impl EventQueue {
    pub(crate) const fn new(server: &'static Base, run: u32, index: usize) -> Self {
        Self { server, run, index }
    }

    /// Returns the sink of this queue, and the service.
    fn ends(&self) -> Option<(&'static Sink, &'static ServerService)> {
        let sink = self.server.application().queue(self.index)?;
        let service = self.server.service()?;
        (self.server.run() == self.run).then_some((sink, service))
    }

    /// Takes the next event, waiting for it; `None` once the server has stopped and all events are taken.
    ///
    /// Copies a message to `buffer`, so that the server continues to read from its client. The request of
    /// [`Event::Connected`] is empty: its path is "".
    pub fn recv<'a>(&self, buffer: &'a mut MessageBuffer) -> Option<(Option<ClientId>, Event<'a>)> {
        self.take(buffer, None).ok()
    }

    /// Takes the next event as [`recv`](Self::recv) does, waiting for up to `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if there was none in time; [`RecvError::Ended`] once the server has stopped and all
    /// events are taken.
    pub fn recv_timeout<'a>(
        &self,
        buffer: &'a mut MessageBuffer,
        timeout: Duration,
    ) -> Result<(Option<ClientId>, Event<'a>), RecvError> {
        let now = crate::uptime_ms();
        let timeout_ms = u64::from(milliseconds(timeout));
        self.take(buffer, Some(now.saturating_add(timeout_ms)))
    }

    fn take<'a>(
        &self,
        buffer: &'a mut MessageBuffer,
        until: Option<u64>,
    ) -> Result<(Option<ClientId>, Event<'a>), RecvError> {
        let (sink, service) = self.ends().ok_or(RecvError::Ended)?;
        loop {
            let left = until.map(|until| {
                let left = until.saturating_sub(crate::uptime_ms());
                u32::try_from(left).unwrap_or(u32::MAX)
            });
            let kept = sink.recv_event(service, left)?;
            // If the bytes are gone, the client was aborted: skip the event.
            if let Some(len) = copy(service, &kept, buffer) {
                let bytes: &'a [u8] = buffer;
                let event = kept.event(bytes.get(..len).unwrap_or_default());
                return Ok((kept.client, event));
            }
        }
    }
}

/// Copies the message that the event holds, and releases it. Returns its length, or `None` if the client has
/// disconnected, and the bytes are gone.
fn copy(service: &ServerService, kept: &Kept, buffer: &mut MessageBuffer) -> Option<usize> {
    let Some(client) = kept.holds_for() else {
        return Some(0);
    };
    let len = kept.bytes.len.min(buffer.len());
    let copied = service.while_held(client, || {
        // SAFETY: `data` points to `len` bytes of the receive buffer. They stay while this client holds them: until
        // `release` of this event, or until the client is gone, whose id no other client has. The buffer belongs to the
        // caller.
        unsafe { ptr::copy_nonoverlapping(kept.bytes.data, buffer.as_mut_ptr(), len) };
        len
    });
    kept.release(service);
    copied
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        if let Some((sink, service)) = self.ends() {
            sink.abandon_events(service);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Reading a queue of events, on a host and on Zephyr alike.

use core::time::Duration;

use crate::clients::Clients;
use crate::service::{ClientId, Event, RecvError};

/// Reads a queue of events, on threads of the application. The queues of both platforms are readers: use this for code
/// that runs on both.
///
/// ```
/// use wss::{Event, EventReader};
///
/// /// Logs who connects, until the server ends.
/// fn log_clients(queue: &impl EventReader) {
///     while let Ok(()) = queue.read(None, |client, event| {
///         if let (Some(client), Event::Connected(_)) = (client, event) {
///             log::info!("{client} is here");
///         }
///     }) {}
/// }
/// ```
pub trait EventReader {
    /// Takes the next event, waiting for up to `timeout` (`None`: for as long as it takes), and returns what `handle`
    /// returns for it. The client is `None` for events of the server as a whole.
    ///
    /// On a host a message is held while `handle` runs: the server stops reading from its client. On Zephyr it is
    /// copied to this thread's stack before (`CONFIG_WSS_RX_BUFFER_SIZE`), and `handle` may take its time; the
    /// request of [`Event::Connected`] is empty there.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if none came in time; [`RecvError::Ended`] once the server has ended and all is taken.
    fn read<T>(
        &self,
        timeout: Option<Duration>,
        handle: impl FnOnce(Option<ClientId>, &Event<'_>) -> T,
    ) -> Result<T, RecvError>;

    /// Returns what to send with, and to ask about clients.
    fn clients(&self) -> Clients;
}

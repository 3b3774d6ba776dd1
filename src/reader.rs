// SPDX-License-Identifier: Apache-2.0
//! Reading an event queue, on a host and on Zephyr alike.

use core::time::Duration;

use crate::clients::Clients;
use crate::service::{ClientId, Event, RecvError};

/// Reads an event queue, on threads of the application. The queues of both platforms implement it: use it for code that
/// runs on both.
///
/// ```
/// use wss::{Event, EventReader};
///
/// /// Logs new clients, until the server stops.
/// fn log_clients(queue: &impl EventReader) {
///     while let Ok(()) = queue.read(None, |client, event| {
///         if let (Some(client), Event::Connected(_)) = (client, event) {
///             log::info!("{client} has connected");
///         }
///     }) {}
/// }
/// ```
pub trait EventReader {
    /// Takes the next event, waiting for up to `timeout` (`None`: without a limit), and returns the result of `handle`.
    /// The client is `None` for events of the server as a whole.
    ///
    /// On a host a message is held while `handle` runs: the server stops reading from its client. On Zephyr it is first
    /// copied to this thread's stack (`CONFIG_WSS_RX_BUFFER_SIZE` bytes), so `handle` may take long; the request of
    /// [`Event::Connected`] is empty there.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if there was none in time; [`RecvError::Ended`] once the server has stopped and all
    /// events are taken.
    fn read<T>(
        &self,
        timeout: Option<Duration>,
        handle: impl FnOnce(Option<ClientId>, &Event<'_>) -> T,
    ) -> Result<T, RecvError>;

    /// Returns the clients of the server, to send and to query.
    fn clients(&self) -> Clients;
}

//! The limits of a service.

use crate::protocol::HANDSHAKE_LIMIT;

/// The limits of a service. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest opening request, in bytes.
    pub handshake_limit: u16,
    /// The longest time from the connection to a complete opening request.
    pub handshake_timeout_ms: u32,
    /// The longest silence of a connected client.
    pub client_timeout_ms: u32,
    /// A client that was silent for this long is sent a ping; 0: never.
    pub ping_interval_ms: u32,
    /// The longest time that output may wait for a client to take it, and a sender for room.
    pub send_timeout_ms: u32,
    /// The longest time for the closing handshake, and for the client to close its side after it.
    pub close_timeout_ms: u32,
    /// The longest time that the application may hold a client's messages without releasing one.
    pub hold_timeout_ms: u32,
    /// Whether messages larger than the receive size are delivered in pieces. Otherwise they fail the
    /// connection with 1009.
    pub streaming: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshake_limit: HANDSHAKE_LIMIT,
            handshake_timeout_ms: 10_000,
            client_timeout_ms: 30_000,
            ping_interval_ms: 15_000,
            send_timeout_ms: 10_000,
            close_timeout_ms: 5_000,
            hold_timeout_ms: 30_000,
            streaming: false,
        }
    }
}

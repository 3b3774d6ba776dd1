// SPDX-License-Identifier: Apache-2.0
//! How the service is to be started.

use wss::service::Config;

use crate::convert::Error;
use crate::platform::{Address, Origins};

/// How the service is to be started: as C says in its `wss_limits`, or the platform by itself.
#[derive(Clone)]
pub struct Options {
    /// Whether to listen at all.
    pub listens: bool,
    /// `None`: every address.
    pub address: Option<Address>,
    /// Who may connect.
    pub origins: Origins,
    pub rx_buffer: usize,
    pub max_clients: u16,
    /// Blocks for unsent output; 0: as many as the platform thinks right.
    pub tx_blocks: u16,
    pub limits: Config,
}

impl Options {
    /// Checks that the service can work with these.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = self.max_clients > 0 && self.rx_buffer >= 4 && self.limits.handshake_limit > 0;
        let Config {
            handshake_timeout_ms,
            client_timeout_ms,
            send_timeout_ms,
            close_timeout_ms,
            hold_timeout_ms,
            ..
        } = self.limits;
        let times = [
            handshake_timeout_ms,
            send_timeout_ms,
            close_timeout_ms,
            hold_timeout_ms,
        ];
        // 0 disables it. A shorter one is less than what deadlines are kept to.
        let timeout = matches!(client_timeout_ms, 0 | 100..=65_535);
        (sizes && timeout && !times.contains(&0) && self.limits.check().is_ok())
            .then_some(())
            .ok_or(Error::BadArgument)
    }
}

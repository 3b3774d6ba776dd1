// SPDX-License-Identifier: Apache-2.0
//! Conversions between numbers of C and values of the service.

use wss::protocol::Opcode;
use wss::service::{ClientState, Stats as ServiceStats};
use wss::{ClientId, CloseCode};

use crate::abi::{self, NO_CLIENT, State};
use crate::error::Error;
use crate::platform::SERVERS;

/// Returns the opcode for a message.
pub fn frame_type(number: u32) -> Result<Opcode, Error> {
    u8::try_from(number)
        .ok()
        .and_then(Opcode::new)
        .filter(|opcode| !opcode.is_control())
        .ok_or(Error::BadFrameType)
}

/// Returns a close code, if it may be sent.
pub fn close_code(number: u32) -> Result<CloseCode, Error> {
    u16::try_from(number)
        .ok()
        .and_then(CloseCode::new)
        .ok_or(Error::BadCloseCode)
}

/// Returns the reason for a close frame.
pub fn reason(bytes: &[u8]) -> Result<&str, Error> {
    core::str::from_utf8(bytes).map_err(|_| Error::BadReason)
}

/// Converts the state to C.
pub const fn state(state: ClientState) -> State {
    match state {
        ClientState::Closed => State::Closed,
        ClientState::Closing => State::Closing,
        ClientState::Connecting => State::Connecting,
        ClientState::Connected => State::Connected,
    }
}

/// A `wss_client`: the place of its server, and its id there, which is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub place: usize,
    pub id: ClientId,
}

/// All servers have fewer slots.
const NO_SLOT: u16 = u16::MAX;

impl Client {
    /// Returns the number in C.
    // From the highest bit: the place, counted from 1 so that no number is `NO_CLIENT`; the slot; the generation.
    pub fn to_c(self) -> u64 {
        let place = u64::try_from(self.place).unwrap_or_default();
        let slot = u16::try_from(self.id.slot()).unwrap_or(NO_SLOT);
        place.saturating_add(1) << 48 | u64::from(slot) << 32 | u64::from(self.id.generation())
    }

    /// Returns the client with this number in C, if the number is valid.
    pub fn from_c(number: u64) -> Option<Self> {
        let [a, b, c, d, generation @ ..] = number.to_be_bytes();
        let place = usize::from(u16::from_be_bytes([a, b])).checked_sub(1)?;
        let slot = u16::from_be_bytes([c, d]);
        let id = ClientId::new(slot.into(), u32::from_be_bytes(generation));
        (place < SERVERS && slot != NO_SLOT).then_some(Self { place, id })
    }

    /// Returns the index in the original interface.
    pub fn index(self) -> i32 {
        i32::try_from(self.id.slot()).unwrap_or(-1)
    }
}

/// Returns the number of a client, and its index; `NO_CLIENT` and -1 if there is none.
pub fn client_or_none(client: Option<Client>) -> (u64, i32) {
    client.map_or((NO_CLIENT, -1), |client| (client.to_c(), client.index()))
}

/// Converts the statistics to C.
pub fn stats(stats: &ServiceStats) -> abi::Stats {
    abi::Stats {
        bytes_received: stats.traffic.bytes_received,
        bytes_sent: stats.traffic.bytes_sent,
        messages_received: stats.traffic.messages_received,
        messages_sent: stats.traffic.messages_sent,
        accepted: stats.accepted,
        connected: stats.connected,
        closed: stats.closed,
        most_clients: stats.most_clients,
        refused_full: stats.refused_full,
        refused_forbidden: stats.refused_forbidden,
        refused_requests: stats.refused_requests,
        accept_errors: stats.accept_errors,
        timeouts: stats.timeouts,
        protocol_errors: stats.protocol_errors,
        invalid_payloads: stats.invalid_payloads,
        messages_too_big: stats.messages_too_big,
        aborted: stats.aborted,
        would_block: stats.would_block,
        most_blocks: stats.most_blocks,
        refused_address: stats.refused_address,
        accept_pauses: stats.accept_pauses,
        policy_violations: stats.policy_violations,
        tls_failures: stats.tls_failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_messages_are_frame_types() {
        for number in 0..=300 {
            assert_eq!(frame_type(number).is_ok(), number <= 2, "{number}");
        }
        assert_eq!(frame_type(u32::MAX), Err(Error::BadFrameType));
    }

    #[test]
    fn codes_beyond_16_bits_are_no_close_codes() {
        assert!(close_code(1000).is_ok());
        assert!(close_code(4999).is_ok());
        for number in [
            0,
            999,
            1004,
            1005,
            1006,
            1015,
            5000,
            0x1_0000 + 1000,
            u32::MAX,
        ] {
            assert_eq!(close_code(number), Err(Error::BadCloseCode), "{number}");
        }
    }

    #[test]
    fn numbers_of_clients_are_their_own_and_never_none() {
        let client = Client {
            place: 2,
            id: ClientId::new(63, 0x1234_5678),
        };
        assert_eq!(client.to_c(), 0x0003_003F_1234_5678);
        assert_eq!(Client::from_c(client.to_c()), Some(client));
        assert_eq!(Client::from_c(NO_CLIENT), None);
        assert_eq!(Client::from_c(u64::MAX), None);
        assert_eq!(Client::from_c(0x0001_FFFF_0000_0000), None);
        let first = Client {
            place: 0,
            id: ClientId::new(0, 0),
        };
        assert_ne!(first.to_c(), NO_CLIENT);
        assert_eq!(Client::from_c(first.to_c()), Some(first));
        // This place does not exist.
        assert_eq!(Client::from_c(0xFFFE_0000_0000_0001), None);
        assert_eq!(Client::from_c(0x0000_0000_0000_0001), None);
    }
}

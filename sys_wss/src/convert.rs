//! Numbers from C become values of the service, and failures become result codes.

use wss::protocol::Opcode;
use wss::service::{ClientState, Stats as ServiceStats};
use wss::{AdoptError, AnswerError, ClientId, CloseCode, SendError};

use crate::abi::{self, ALL_CLIENTS, NO_CLIENT, NO_SERVER, State, SysResult, WssResult};

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The service does not run.
    NotRunning,
    /// No client can have this index or id.
    NoSuchClient,
    /// A pointer is NULL, or a length longer than memory can be.
    BadPointer,
    /// An argument is out of its range.
    BadArgument,
    /// The frame type is no type of a message.
    BadFrameType,
    /// The close code may not be sent.
    BadCloseCode,
    /// The reason is not UTF-8.
    BadReason,
    /// There is nothing to give.
    Nothing,
    /// There is not enough room for the text.
    NoRoom,
    /// Not while the service runs, or every place is taken.
    Busy,
    /// The service could not be started, which the log has been told.
    Failed,
    /// The service could not send.
    Send(SendError),
    /// An opening request could not be answered.
    Answer(AnswerError),
    /// A connection could not be adopted.
    Adopt(AdoptError),
}

impl From<AnswerError> for Error {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<AdoptError> for Error {
    fn from(error: AdoptError) -> Self {
        Self::Adopt(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl Error {
    /// The code of the original interface.
    pub const fn to_sys(self) -> SysResult {
        match self {
            Self::BadFrameType
            | Self::BadCloseCode
            | Self::BadReason
            | Self::Send(SendError::Frame(_) | SendError::PingTooLong | SendError::Close) => {
                SysResult::InvalidFrame
            }
            _ => SysResult::Failure,
        }
    }

    /// The code of the extension.
    pub const fn to_wss(self) -> WssResult {
        match self {
            Self::NotRunning
            | Self::NoSuchClient
            | Self::Send(SendError::NotConnected)
            | Self::Answer(AnswerError::NotWaiting)
            | Self::Adopt(AdoptError::Stopping) => WssResult::NotConnected,
            Self::BadPointer | Self::BadArgument | Self::Answer(AnswerError::Subprotocol) => {
                WssResult::Invalid
            }
            Self::BadFrameType
            | Self::BadCloseCode
            | Self::BadReason
            | Self::Send(SendError::Frame(_) | SendError::PingTooLong | SendError::Close) => {
                WssResult::InvalidFrame
            }
            Self::Nothing => WssResult::None,
            Self::NoRoom | Self::Send(SendError::TooLong) | Self::Adopt(AdoptError::TooLong) => {
                WssResult::TooLong
            }
            Self::Busy | Self::Adopt(AdoptError::Full | AdoptError::AddressFull) => WssResult::Busy,
            Self::Failed | Self::Adopt(AdoptError::Failed) => WssResult::Failed,
            Self::Send(SendError::WouldBlock) => WssResult::WouldBlock,
            Self::Send(SendError::Aborted) => WssResult::Aborted,
        }
    }
}

/// An opcode that a message may have.
pub fn frame_type(number: u32) -> Result<Opcode, Error> {
    u8::try_from(number)
        .ok()
        .and_then(Opcode::new)
        .filter(|opcode| !opcode.is_control())
        .ok_or(Error::BadFrameType)
}

/// A close code that may be sent.
pub fn close_code(number: u32) -> Result<CloseCode, Error> {
    u16::try_from(number)
        .ok()
        .and_then(CloseCode::new)
        .ok_or(Error::BadCloseCode)
}

/// The reason of a close.
pub fn reason(bytes: &[u8]) -> Result<&str, Error> {
    core::str::from_utf8(bytes).map_err(|_| Error::BadReason)
}

/// The state as C has it.
pub const fn state(state: ClientState) -> State {
    match state {
        ClientState::Closed => State::Closed,
        ClientState::Closing => State::Closing,
        ClientState::Connecting => State::Connecting,
        ClientState::Connected => State::Connected,
    }
}

/// A `wss_client`: which service it is of (each has a number of its own), which slot, and how often that
/// had been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub epoch: u32,
    pub generation: u16,
    pub slot: u16,
}

impl Client {
    /// No client.
    pub const NONE: Self = Self {
        epoch: NO_SERVER,
        generation: 0,
        slot: 0,
    };

    /// The client with this id in the service `epoch`.
    pub fn new(epoch: u32, id: ClientId) -> Self {
        Self {
            epoch,
            generation: (id.generation() & 0xFFFF) as u16,
            slot: u16::try_from(id.slot()).unwrap_or(u16::MAX),
        }
    }

    /// The number that C knows it by.
    pub fn to_c(self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.generation) << 16 | u64::from(self.slot)
    }

    /// The client with that number, unless it stands for none or for all.
    pub fn from_c(number: u64) -> Option<Self> {
        let [a, b, c, d, generation @ .., e, f] = number.to_be_bytes();
        let client = Self {
            epoch: u32::from_be_bytes([a, b, c, d]),
            generation: u16::from_be_bytes(generation),
            slot: u16::from_be_bytes([e, f]),
        };
        // No service has as many slots.
        let is = (1..u32::MAX).contains(&client.epoch) && client.slot != u16::MAX;
        is.then_some(client)
    }

    /// The index in the original interface.
    pub fn index(self) -> i32 {
        i32::from(self.slot)
    }
}

/// The number that C has for every client of the service `epoch`.
pub const fn all_clients(epoch: u32) -> u64 {
    match epoch {
        NO_SERVER | u32::MAX => NO_CLIENT,
        _ => (epoch as u64) << 32 | u32::MAX as u64,
    }
}

/// The service of the client, or of all clients, with that number; [`NO_SERVER`] for no client, and for
/// all clients of whichever is the default service.
pub fn epoch_of(number: u64) -> u32 {
    match number {
        ALL_CLIENTS => NO_SERVER,
        _ => u32::try_from(number >> 32).unwrap_or(NO_SERVER),
    }
}

/// The number of a client, if there is one, and its index: none and -1 for what concerns no client.
pub fn client_or_none(client: Option<Client>) -> (u64, i32) {
    client.map_or((NO_CLIENT, -1), |client| (client.to_c(), client.index()))
}

/// The statistics as C has them.
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
    fn numbers_of_clients_are_their_own_and_never_none_or_all() {
        let client = Client {
            epoch: 7,
            generation: 0x1234,
            slot: 63,
        };
        assert_eq!(client.to_c(), 0x0000_0007_1234_003F);
        assert_eq!(Client::from_c(client.to_c()), Some(client));
        assert_eq!(Client::from_c(NO_CLIENT), None);
        assert_eq!(Client::from_c(ALL_CLIENTS), None);
        assert_eq!(Client::from_c(all_clients(7)), None);
    }

    #[test]
    fn numbers_of_all_clients_tell_their_service_and_those_of_the_default_one_are_any() {
        assert_eq!(all_clients(NO_SERVER), NO_CLIENT);
        assert_eq!(all_clients(7), 0x0000_0007_FFFF_FFFF);
        assert_eq!(all_clients(u32::MAX), NO_CLIENT);
        assert_eq!(epoch_of(all_clients(7)), 7);
        assert_eq!(epoch_of(0x0000_0007_1234_003F), 7);
        assert_eq!(epoch_of(NO_CLIENT), NO_SERVER);
        assert_eq!(epoch_of(ALL_CLIENTS), NO_SERVER);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Counters of a service.

use crate::protocol::{CloseCode, Status};

/// Counters of a service, from its start. They wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that got a slot.
    pub accepted: u32,
    /// Clients that were upgraded.
    pub connected: u32,
    /// Connections that ended, of those that got a slot.
    pub closed: u32,
    /// Connections rejected because every slot was in use.
    pub refused_full: u32,
    /// Connections rejected because of the limit of clients per address.
    pub refused_address: u32,
    /// How often connections had to wait because of the limit of handshakes per second.
    pub accept_pauses: u32,
    /// Requests refused with 403 (an origin or client that may not connect).
    pub refused_forbidden: u32,
    /// Requests refused with any other status.
    pub refused_requests: u32,
    /// Requests, of these, that were refused because of failed logins from their address.
    pub refused_logins: u32,
    /// Connections that ended because TLS failed.
    pub tls_failures: u32,
    /// Connections that could not be accepted for lack of memory or descriptors.
    pub accept_errors: u32,
    /// Clients that were silent too long, or did not finish their handshake in time.
    pub timeouts: u32,
    /// Clients failed with 1002.
    pub protocol_errors: u32,
    /// Clients failed with 1007.
    pub invalid_payloads: u32,
    /// Clients failed with 1009.
    pub messages_too_big: u32,
    /// Clients failed with 1008: too many control frames in a second, or too many fragments.
    pub policy_violations: u32,
    /// Clients that were aborted: they took no output, the application did not release a message, the closing handshake
    /// was not finished in time, or TLS ended without close_notify.
    pub aborted: u32,
    /// Frames refused before their first byte because there was no room for them.
    pub would_block: u32,
    /// The most clients at one time.
    pub most_clients: u32,
    /// Blocks of unsent output in use now.
    pub blocks_used: u32,
    /// The most blocks of unsent output in use at one time.
    pub most_blocks: u32,
    /// The sum of the traffic of all connections.
    pub traffic: Traffic,
}

/// The traffic of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages (or pieces) received.
    pub messages_received: u32,
    /// Data frames sent.
    pub messages_sent: u32,
    /// Bytes of payload in the messages received.
    pub bytes_received: u64,
    /// Bytes of payload in the data frames sent.
    pub bytes_sent: u64,
}

impl Traffic {
    pub(super) const NONE: Self = Self {
        messages_received: 0,
        messages_sent: 0,
        bytes_received: 0,
        bytes_sent: 0,
    };

    #[inline(never)] // for size
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            messages_received,
            messages_sent,
            bytes_received,
            bytes_sent,
        } = other;
        self.messages_received = self.messages_received.wrapping_add(*messages_received);
        self.messages_sent = self.messages_sent.wrapping_add(*messages_sent);
        self.bytes_received = self.bytes_received.wrapping_add(*bytes_received);
        self.bytes_sent = self.bytes_sent.wrapping_add(*bytes_sent);
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.messages_received = self.messages_received.wrapping_add(1);
        self.bytes_received = self.bytes_received.wrapping_add(bytes as u64);
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.messages_sent = self.messages_sent.wrapping_add(1);
        self.bytes_sent = self.bytes_sent.wrapping_add(bytes as u64);
    }
}

/// A counter of the service as a whole, with the same name as in [`Stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Accepted,
    Connected,
    Closed,
    RefusedFull,
    RefusedAddress,
    AcceptPauses,
    RefusedForbidden,
    RefusedRequests,
    AcceptErrors,
    Timeouts,
    ProtocolErrors,
    InvalidPayloads,
    MessagesTooBig,
    PolicyViolations,
    Aborted,
    WouldBlock,
    RefusedLogins,
    TlsFailures,
}

impl Counter {
    /// Counts requests that are refused with this status.
    pub const fn of_refusal(status: Status) -> Self {
        match status {
            Status::FORBIDDEN => Self::RefusedForbidden,
            _ => Self::RefusedRequests,
        }
    }

    /// Counts clients that are failed with this code.
    pub const fn of_failure(code: CloseCode) -> Self {
        match code {
            CloseCode::INVALID_PAYLOAD => Self::InvalidPayloads,
            CloseCode::MESSAGE_TOO_BIG => Self::MessagesTooBig,
            CloseCode::POLICY_VIOLATION => Self::PolicyViolations,
            _ => Self::ProtocolErrors,
        }
    }
}

/// The values of all counters.
#[derive(Clone, Copy)]
pub(super) struct Counters([u32; 18]);

impl Counters {
    pub const NONE: Self = Self([0; 18]);

    /// Adds one.
    pub fn add(&mut self, counter: Counter) {
        if let Some(value) = self.0.get_mut(counter as usize) {
            *value = value.wrapping_add(1);
        }
    }

    /// Writes the values to the statistics.
    #[inline(never)] // for size
    pub fn write_to(&self, stats: &mut Stats) {
        let value = |counter: Counter| self.0.get(counter as usize).copied().unwrap_or_default();
        stats.accepted = value(Counter::Accepted);
        stats.connected = value(Counter::Connected);
        stats.closed = value(Counter::Closed);
        stats.refused_full = value(Counter::RefusedFull);
        stats.refused_address = value(Counter::RefusedAddress);
        stats.accept_pauses = value(Counter::AcceptPauses);
        stats.refused_forbidden = value(Counter::RefusedForbidden);
        stats.refused_requests = value(Counter::RefusedRequests);
        stats.accept_errors = value(Counter::AcceptErrors);
        stats.timeouts = value(Counter::Timeouts);
        stats.protocol_errors = value(Counter::ProtocolErrors);
        stats.invalid_payloads = value(Counter::InvalidPayloads);
        stats.messages_too_big = value(Counter::MessagesTooBig);
        stats.policy_violations = value(Counter::PolicyViolations);
        stats.aborted = value(Counter::Aborted);
        stats.would_block = value(Counter::WouldBlock);
        stats.refused_logins = value(Counter::RefusedLogins);
        stats.tls_failures = value(Counter::TlsFailures);
    }
}

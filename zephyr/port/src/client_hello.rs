// SPDX-License-Identifier: Apache-2.0
//! The first message of a TLS handshake, up to its last byte.

/// Tracks the beginning of a client's input: its ClientHello (RFC 8446 section 4.1.2), in one or several records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The number of received bytes of the record header: up to 5.
    header: u8,
    /// The number of missing bytes of the record, once its header is known.
    record: u16,
    /// The number of received bytes of the message header: up to 4.
    message_header: u8,
    /// The number of missing bytes of the message, once its header is known.
    message: u32,
    /// The last byte, which was received and is kept back.
    kept: Option<u8>,
    /// The last byte was passed on, or this is no ClientHello.
    is_over: bool,
}

impl Hello {
    /// The state before the first byte.
    pub const NONE: Self = Self {
        header: 0,
        record: 0,
        message_header: 0,
        message: 0,
        kept: None,
        is_over: false,
    };

    /// Returns whether nothing was received.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        *self == Self::NONE
    }

    /// Processes received bytes. Returns the number of bytes to pass on: all except the last one of the ClientHello.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_over {
                break;
            }
            if self.takes_last(*byte) {
                self.kept = Some(*byte);
                // Mbed TLS requests at most one record.
                return index;
            }
        }
        bytes.len()
    }

    /// Processes a byte. Returns whether it is the last one.
    fn takes_last(&mut self, byte: u8) -> bool {
        if self.header < 5 {
            self.header += 1;
            match self.header {
                // Not a handshake: Mbed TLS will report that.
                1 => self.is_over = byte != 22,
                4 | 5 => self.record = self.record << 8 | u16::from(byte),
                _ => {}
            }
            return false;
        }
        self.record = self.record.saturating_sub(1);
        if self.record == 0 {
            // The rest of the message follows in another record.
            self.header = 0;
        }
        if self.message_header < 4 {
            self.message_header += 1;
            if self.message_header > 1 {
                self.message = self.message << 8 | u32::from(byte);
            }
            // A message without a body is no ClientHello.
            self.is_over = self.message_header == 4 && self.message == 0;
            return false;
        }
        self.message = self.message.saturating_sub(1);
        self.message == 0
    }

    /// Returns whether a byte is kept back, because the ClientHello is complete.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns whether input passes through unchanged.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the byte that was kept back, to pass it on.
    pub fn give_kept(&mut self) -> Option<u8> {
        let kept = self.kept.take();
        self.is_over |= kept.is_some();
        kept
    }
}

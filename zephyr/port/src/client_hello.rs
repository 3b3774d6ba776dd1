// SPDX-License-Identifier: Apache-2.0
//! The first message of a TLS handshake, up to its last byte.

/// The beginning of what a client sends: its ClientHello (RFC 8446 section 4.1.2), in one record or several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Bytes of the header of a record that were received: up to 5.
    header: u8,
    /// Bytes of a record that are still to be received, as far as its header is known.
    record: u16,
    /// Bytes of the header of the message that were received: up to 4.
    message_header: u8,
    /// Bytes of the message that are still to be received, as far as its header is known.
    message: u32,
    /// The last byte, which was received and is kept back.
    kept: Option<u8>,
    /// It was passed on, or is no ClientHello.
    is_over: bool,
}

impl Hello {
    /// Nothing was received.
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

    /// Takes bytes that were received; how many of them to pass on: all but the last one of the ClientHello.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_over {
                break;
            }
            if self.takes_last(*byte) {
                self.kept = Some(*byte);
                // Mbed TLS asks for no more than a record.
                return index;
            }
        }
        bytes.len()
    }

    /// Takes a byte; whether it is the last one.
    fn takes_last(&mut self, byte: u8) -> bool {
        if self.header < 5 {
            self.header += 1;
            match self.header {
                // No handshake: Mbed TLS finds that out.
                1 => self.is_over = byte != 22,
                4 | 5 => self.record = self.record << 8 | u16::from(byte),
                _ => {}
            }
            return false;
        }
        self.record = self.record.saturating_sub(1);
        if self.record == 0 {
            // Another header follows, if there is more of the message.
            self.header = 0;
        }
        if self.message_header < 4 {
            self.message_header += 1;
            if self.message_header > 1 {
                self.message = self.message << 8 | u32::from(byte);
            }
            // What has no body is no ClientHello.
            self.is_over = self.message_header == 4 && self.message == 0;
            return false;
        }
        self.message = self.message.saturating_sub(1);
        self.message == 0
    }

    /// Returns whether a byte is kept back: the ClientHello is complete.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns whether bytes are passed on as they are.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Passes on the byte that was kept back.
    pub fn give_kept(&mut self) -> Option<u8> {
        let kept = self.kept.take();
        self.is_over |= kept.is_some();
        kept
    }
}

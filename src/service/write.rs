// SPDX-License-Identifier: Apache-2.0
//! Writes output to the socket, and keeps what the socket does not take.

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use super::inbound::Inbound;
use super::output::total_len;
use super::port::{Lock as _, Port, Work};
use super::send::SendError;
use super::slot::{Asked, Guard, Inner};
use super::stats::Counter;
use super::{Application, Service, Slot};
use crate::protocol::{CloseCode, FrameHeader, Opcode};

/// The maximum size of a reply that is copied, so that it leaves together with other frames. A longer one, if it
/// repeats the message of its event and nothing was received behind that, is written at once.
const COPIED: usize = 256;

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Sends the frame `parts`, or keeps what the socket does not take: in place if its payload is the message being
    /// delivered (`own`), otherwise in a block. With `batch`, a frame that fits into the block is only put there. The
    /// frame is sent or refused as a whole.
    pub(super) fn emit<const N: usize>(
        &self,
        inner: &mut Inner<P>,
        header: &FrameHeader,
        mut parts: [&[u8]; N],
        own: Option<Range<usize>>,
        batch: bool,
    ) -> Result<(), SendError> {
        if !inner.output.is_clear() {
            return Err(SendError::WouldBlock);
        }
        let total = total_len(&parts);
        let fits = total <= self.block_size.load(Relaxed);
        // A long message that is sent back is not copied, unless more frames are likely to follow it.
        let alone = own.is_some() && total > COPIED && inner.delivers_last();
        let batch = batch && (!alone || self.is_paused());
        if batch && fits && self.reserve(inner) && inner.output.append(&parts, total) {
            return Ok(());
        }
        let spare = inner.inbound.as_mut().map_or(0, |inbound| inbound.spare());
        if own.is_none() && spare < total {
            if !fits {
                return Err(SendError::TooLong);
            }
            if !self.reserve(inner) {
                inner.output.set_wants_block();
                return Err(SendError::WouldBlock);
            }
        }
        let sent = self.write(inner, &parts)?;
        if sent == total {
            return Ok(());
        }
        if own.is_none() && inner.output.is_starved() {
            // Nothing was sent. If it was kept, the service would stop reading from the client.
            return Err(SendError::WouldBlock);
        }
        match own {
            Some(range) => inner.output.keep_own(*header, range, sent),
            // No room for the rest: an older frame is still in the block, so none of this was sent.
            None => {
                advance(&mut parts, sent);
                if !self.keep_rest(inner, &parts) {
                    return Err(SendError::WouldBlock);
                }
            }
        }
        Ok(())
    }

    /// Keeps the rest of a frame: where the client's next bytes would go, which wait for it anyway, or in a block.
    pub(super) fn keep_rest(&self, inner: &mut Inner<P>, rest: &[&[u8]]) -> bool {
        let total = total_len(rest);
        if let Some(inbound) = &mut inner.inbound {
            if inbound.spare() >= total {
                let lent = inbound.incoming.lend(rest);
                inner.output.keep_lent(lent);
                return true;
            }
        }
        total <= self.block_size.load(Relaxed)
            && self.reserve(inner)
            && inner.output.append(rest, total)
    }

    /// Writes the block and `parts`. Returns the number of bytes of `parts` that were sent.
    pub(super) fn write(&self, inner: &mut Inner<P>, parts: &[&[u8]]) -> Result<usize, SendError> {
        let socket = inner.socket.as_ref().ok_or(SendError::NotConnected)?;
        if self.is_paused() {
            inner.output.starve(&self.port);
            return Ok(0);
        }
        let sent = inner.output.write(socket, parts, &self.port);
        if sent == 0 {
            if inner.output.is_broken() {
                return Err(SendError::NotConnected);
            }
            self.pause_if_starved(inner);
        }
        Ok(sent)
    }

    /// Sends all of `parts`, before any frame. What the socket does not take is kept in a block. A new connection takes
    /// a response; if it does not, and there is no block, it is aborted. With `more` to come, they are only put into a
    /// block if there is one with room.
    pub(super) fn emit_response(&self, inner: &mut Inner<P>, parts: &[&[u8]], more: bool) {
        if A::RESPONSE_FIELDS || P::PAGES {
            let total = total_len(parts);
            if inner.output.is_broken()
                || more && self.reserve(inner) && inner.output.append(parts, total)
            {
                return;
            }
        }
        let Ok(sent) = self.write(inner, parts) else {
            return;
        };
        if sent == total_len(parts) {
            return;
        }
        let (mut skip, mut kept) = (sent, self.reserve(inner));
        for part in parts {
            let gone = part.len().min(skip);
            skip = skip.saturating_sub(gone);
            let rest = part.get(gone..).unwrap_or_default();
            kept = kept && inner.output.append(&[rest], rest.len());
        }
        if !kept {
            inner.output.break_off();
            self.count(Counter::Aborted);
        }
    }

    /// Keeps a close frame with a reason, if it fits behind all other output.
    pub(super) fn keep_close(&self, inner: &mut Inner<P>, code: CloseCode, reason: &str) -> bool {
        let code = code.get().to_be_bytes();
        let header = FrameHeader::control(Opcode::Close, code.len().saturating_add(reason.len()));
        !inner.output.holds_own()
            && !inner.output.has_caller()
            && self.keep_rest(inner, &[header.as_bytes(), &code, reason.as_bytes()])
    }

    /// Makes sure that the output has a block, if one is free.
    pub(super) fn reserve(&self, inner: &mut Inner<P>) -> bool {
        if !inner.output.has_block() {
            match self.pool.lock().take() {
                Some(block) => inner.output.give_block(block),
                None => return false,
            }
        }
        true
    }

    /// Returns the output's block to the pool, unless it has unsent bytes.
    pub(super) fn give_back(&self, inner: &mut Inner<P>) {
        if let Some(block) = inner.output.take_empty_block() {
            self.return_block(block);
        }
    }

    /// Drops all unsent output.
    pub(super) fn discard_output(&self, inner: &mut Inner<P>) {
        if let Some(block) = inner.output.discard() {
            self.return_block(block);
        }
    }

    pub(super) fn return_block(&self, block: P::Storage) {
        if self.pool.lock().give(block) {
            // A send was refused because no block was free.
            self.port.submit(Work::Service);
        }
    }

    /// Sends unsent output, as far as the socket takes it. If all is sent, others have their turn.
    pub(super) fn flush_output(
        &self,
        slot: &Slot<P>,
        inner: &mut Guard<'_, P>,
        incoming: Option<&Inbound<P::Storage>>,
    ) {
        let inner: &mut Inner<P> = inner;
        let was_blocked = inner.output.is_blocked();
        if self.is_paused() {
            if inner.output.pending() {
                inner.output.starve(&self.port);
            }
        } else if P::PAGES && inner.asked == Asked::Page {
            self.flush_page(inner);
        } else if let Some(socket) = &inner.socket {
            let parked = inner.inbound.as_deref();
            let incoming = incoming.or(parked).map(|inbound| &inbound.incoming);
            inner.output.flush(socket, incoming, &self.port);
        }
        if was_blocked && !inner.output.is_blocked() {
            // The service did not read from it meanwhile: that silence does not count.
            inner.hear(self.port.now());
        }
        if inner.output.pending() || inner.output.has_caller() {
            self.pause_if_starved(inner);
            return;
        }
        self.give_back(inner);
        if inner.output.waiters > 0 {
            slot.notify_all();
        }
    }
}

/// Removes the `sent` bytes from the front.
#[inline(never)] // for size
pub(super) fn advance(parts: &mut [&[u8]], mut sent: usize) {
    for part in parts {
        let gone = part.len().min(sent);
        *part = part.get(gone..).unwrap_or_default();
        sent = sent.saturating_sub(gone);
    }
}

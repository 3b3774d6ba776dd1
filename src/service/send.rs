// SPDX-License-Identifier: Apache-2.0
//! Sending, pinging, and closing by the application, on any thread.

use core::sync::atomic::Ordering::Relaxed;

use super::event::ClientId;
use super::output::{PARTS, total_len};
use super::port::Port;
use super::slot::{Guard, Inner, Phase};
use super::stats::Counter;
use super::time::{Instant, MAX_LIMIT_MS};
use super::write::advance;
use super::{Application, Service, Slot};
use crate::protocol::{
    CloseCode, FrameError, FrameHeader, MAX_CONTROL_PAYLOAD, MAX_REASON, MessageKind, Opcode,
    Outgoing, Planned, Utf8,
};

/// The clients that a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This client, if it is still connected.
    Client(ClientId),
    /// The client that uses this slot now.
    Slot(usize),
    /// Every connected client.
    All,
}

impl From<ClientId> for Target {
    fn from(client: ClientId) -> Self {
        Self::Client(client)
    }
}

/// The error of a send. Nothing was sent, unless documented otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such client, or it is not connected.
    NotConnected,
    /// The client takes no output now, or another thread's fragmented message is not finished. On an application
    /// thread: not within the send timeout. [`Event::Writable`](super::Event::Writable) follows when it can be tried
    /// again.
    WouldBlock,
    /// The frame is larger than what can be kept without waiting, which is at least a receive buffer. Only a thread of
    /// the application can send it, or a callback as a reply that repeats the message being delivered.
    TooLong,
    /// The connection was aborted in the middle of the frame, because the client did not take the rest within the send
    /// timeout, or disconnected.
    Aborted,
    /// The frame must not be sent.
    Frame(FrameError),
    /// A ping of more than 125 bytes.
    PingTooLong,
    /// The close code must not be sent, or the reason is over 123 bytes or has no code.
    Close,
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "the client is not connected",
            Self::WouldBlock => "the client takes no output now",
            Self::TooLong => "the frame is too long to be sent without waiting",
            Self::Aborted => "the connection was aborted in the middle of the frame",
            Self::Frame(FrameError::ControlOpcode) => "a control frame is not a message",
            Self::Frame(FrameError::NothingToContinue) => "there is no message to continue",
            Self::Frame(FrameError::InsideFragmented) => "a fragmented message is not finished",
            Self::Frame(FrameError::NotUtf8) => "the text is not UTF-8",
            Self::PingTooLong => "a ping has at most 125 bytes",
            Self::Close => "the close code must not be sent, or the reason is too long",
        })
    }
}

impl core::error::Error for SendError {}

impl From<FrameError> for SendError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Represents the send timeout of the service.
const SEND_TIMEOUT: u32 = u32::MAX;

/// The maximum number of parts of a vectored message.
pub const MAX_VECTORED: usize = PARTS - 2;

/// A frame that the application sends, with one part for its header and the others for its payload.
#[derive(Clone, Copy)]
struct Frame<'a, const N: usize> {
    fin: bool,
    opcode: Opcode,
    /// The first part is empty.
    parts: [&'a [u8]; N],
    /// More frames follow, so this one may wait.
    more: bool,
    /// The payload is known to be UTF-8.
    is_utf8: bool,
    /// The frame goes to many clients.
    to_many: bool,
    /// How long it may wait for its turn and for room, in milliseconds.
    timeout_ms: u32,
}

impl<'a> Frame<'a, 2> {
    /// Creates a frame that is sent at once.
    const fn new(fin: bool, opcode: Opcode, payload: &'a [u8]) -> Self {
        Self::of_parts(fin, opcode, [&[], payload])
    }
}

impl<'a, const N: usize> Frame<'a, N> {
    const fn of_parts(fin: bool, opcode: Opcode, parts: [&'a [u8]; N]) -> Self {
        Self {
            fin,
            opcode,
            parts,
            more: false,
            is_utf8: false,
            to_many: false,
            timeout_ms: SEND_TIMEOUT,
        }
    }

    fn len(&self) -> usize {
        total_len(&self.parts)
    }

    #[inline]
    fn header(&self) -> FrameHeader {
        FrameHeader::new(self.fin, self.opcode, self.len())
    }

    /// Returns the frame with its header.
    fn with_header<'b>(&self, header: &'b FrameHeader) -> [&'b [u8]; N]
    where
        'a: 'b,
    {
        let mut parts = self.parts;
        if let Some(first) = parts.first_mut() {
            *first = header.as_bytes();
        }
        parts
    }

    /// Returns the payload, if it consists of one part.
    fn payload(&self) -> &'a [u8] {
        match self.parts.as_slice() {
            [_, payload] => payload,
            _ => &[],
        }
    }

    /// Checks the text of a message to all. A fragment that continues one must be checked for each client.
    fn check_text(&mut self) -> Result<(), FrameError> {
        if self.opcode == Opcode::Text && !self.is_utf8 {
            let payload = self.payload();
            Outgoing::default().plan(self.fin, self.opcode, payload, false)?;
            self.is_utf8 = self.fin;
        }
        Ok(())
    }

    /// Checks the frame against the previous ones.
    fn plan<P: Port, A: Application<P>>(&self, inner: &Inner<P>) -> Result<Planned, FrameError> {
        if self.opcode.is_control() {
            return Ok(Planned::default());
        }
        let payload = self.payload();
        // An application that may write to the text may have changed it.
        let is_utf8 = self.is_utf8 || !A::WRITES_TEXT && inner.is_own_text(payload);
        let outgoing = &inner.outgoing;
        outgoing.plan(self.fin, self.opcode, payload, is_utf8)
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Sends a whole message.
    ///
    /// On the service's own threads (in a callback) this never waits; what the client does not take at once is kept. On
    /// other threads it waits for its turn, and for room for what cannot be kept, up to the send timeout. To all
    /// clients: it never waits, and skips clients without room.
    ///
    /// # Errors
    /// See [`SendError`]. For all clients: the first failure, after trying every client.
    pub fn send(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.send_frame(to, true, kind.into(), payload)
    }

    /// Sends a text message, as [`send`](Self::send).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_text(&self, to: impl Into<Target>, text: &str) -> Result<(), SendError> {
        let mut frame = Frame::new(true, Opcode::Text, text.as_bytes());
        frame.is_utf8 = true;
        self.send_to(to.into(), frame)
    }

    /// Sends a binary message, as [`send`](Self::send).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_binary(&self, to: impl Into<Target>, bytes: &[u8]) -> Result<(), SendError> {
        self.send(to, MessageKind::Binary, bytes)
    }

    /// Sends as [`send`](Self::send), but the message may wait for the next one, or for [`flush`](Self::flush), so that
    /// several small ones leave in one write. In a callback, messages to the client of the event always do this.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_more(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let mut frame = Frame::new(true, kind.into(), payload);
        frame.more = true;
        self.send_to(to.into(), frame)
    }

    /// Sends a whole message that consists of several parts, up to [`MAX_VECTORED`], in one frame. Otherwise as
    /// [`send_frame_within`](Self::send_frame_within).
    ///
    /// # Errors
    /// See [`SendError`]. [`SendError::TooLong`] also for too many parts.
    pub fn send_vectored_within(
        &self,
        to: impl Into<Target>,
        kind: MessageKind,
        parts: &[&[u8]],
        timeout_ms: u32,
    ) -> Result<(), SendError> {
        let mut all = [&[][..]; MAX_VECTORED + 1];
        let places = all.get_mut(1..=parts.len());
        places.ok_or(SendError::TooLong)?.copy_from_slice(parts);
        let mut frame = Frame::of_parts(true, kind.into(), all);
        if kind == MessageKind::Text {
            let mut utf8 = Utf8::default();
            let is_utf8 = parts.iter().try_for_each(|part| utf8.push(part));
            is_utf8
                .and_then(|()| utf8.finish())
                .map_err(|_| FrameError::NotUtf8)?;
            frame.is_utf8 = true;
        }
        frame.timeout_ms = timeout_ms.min(MAX_LIMIT_MS);
        self.send_to(to.into(), frame)
    }

    /// Sends everything that [`send_more`](Self::send_more) held back.
    ///
    /// # Errors
    /// [`SendError::NotConnected`].
    pub fn flush(&self, to: impl Into<Target>) -> Result<(), SendError> {
        self.for_each(to.into(), |index, slot, mut inner| {
            if inner.phase != Phase::Open || inner.output.is_broken() {
                return Err(SendError::NotConnected);
            }
            self.flush_output(slot, &mut inner, None);
            self.after_send(index, slot, &mut inner);
            Ok(())
        })
    }

    /// Sends one frame: a whole message (`fin` with text or binary), or the first, a further, or (with `fin`) the last
    /// fragment of one. A fragmented message belongs to the thread that started it; messages of other threads wait
    /// until it is finished. Otherwise as [`send`](Self::send).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_frame(
        &self,
        to: impl Into<Target>,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<(), SendError> {
        if opcode.is_control() {
            return Err(SendError::Frame(FrameError::ControlOpcode));
        }
        self.send_to(to.into(), Frame::new(fin, opcode, payload))
    }

    /// Sends as [`send_frame`](Self::send_frame), but waits at most `timeout_ms` for its turn and for the first byte to
    /// be sent; with 0 it does not wait. A frame that has been started is finished within the send timeout, or the
    /// connection is aborted. With `more`, it may wait for the next one: see [`send_more`](Self::send_more).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_frame_within(
        &self,
        to: impl Into<Target>,
        (fin, opcode): (bool, Opcode),
        payload: &[u8],
        more: bool,
        timeout_ms: u32,
    ) -> Result<(), SendError> {
        if opcode.is_control() {
            return Err(SendError::Frame(FrameError::ControlOpcode));
        }
        let mut frame = Frame::new(fin, opcode, payload);
        frame.more = more;
        frame.timeout_ms = timeout_ms.min(MAX_LIMIT_MS);
        self.send_to(to.into(), frame)
    }

    /// Sends a whole message to every connected client, or with `groups` to those in one of them (see
    /// [`set_groups`](Self::set_groups)). Returns the number of clients that get it. Never waits, and skips clients
    /// without room.
    ///
    /// # Errors
    /// [`SendError::Frame`] for text that is not UTF-8, and [`SendError::TooLong`] for a message that the server cannot
    /// keep for a client. No client gets it.
    pub fn broadcast(
        &self,
        groups: Option<u32>,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<usize, SendError> {
        let mut frame = Frame::new(true, kind.into(), payload);
        frame.check_text()?;
        let block_size = self.block_size.load(Relaxed);
        let total = frame.len().saturating_add(frame.header().as_bytes().len());
        if block_size > 0 && total > block_size {
            // Otherwise only clients that happen to have room would get it.
            return Err(SendError::TooLong);
        }
        frame.to_many = true;
        frame.timeout_ms = 0;
        let mut reached = 0_usize;
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let inner = slot.lock();
            let client = inner.id(index);
            let is_meant = groups.is_none_or(|groups| inner.groups & groups != 0);
            drop(inner);
            if is_meant && self.send_to(client.into(), frame).is_ok() {
                reached = reached.saturating_add(1);
            }
        }
        Ok(reached)
    }

    /// Sends a ping with up to 125 bytes.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(&self, to: impl Into<Target>, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::PingTooLong);
        }
        self.send_to(to.into(), Frame::new(true, Opcode::Ping, payload))
    }

    /// Starts the closing handshake, with a code and a reason of up to 123 bytes of UTF-8. What was accepted for
    /// sending before leaves first. The reason is left out if there is no room for it.
    ///
    /// # Errors
    /// [`SendError::Close`] and [`SendError::NotConnected`].
    pub fn close(
        &self,
        to: impl Into<Target>,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), SendError> {
        if !code.may_be_sent() || reason.len() > MAX_REASON {
            return Err(SendError::Close);
        }
        self.for_each(to.into(), |index, slot, mut inner| {
            if inner.phase != Phase::Open || inner.output.is_broken() {
                return Err(SendError::NotConnected);
            }
            let masks = self.application.masks();
            let now = self.port.now();
            if reason.is_empty() || !self.keep_close(&mut inner, code, reason) {
                inner.output.close(Some(code));
            }
            inner.advance(Phase::CloseSent, now, &masks);
            self.flush_output(slot, &mut inner, None);
            self.kick(index, &mut inner);
            Ok(())
        })
    }

    /// Calls `each` for every client in `to`, with its slot locked.
    fn for_each<'a>(
        &'a self,
        to: Target,
        mut each: impl FnMut(usize, &'a Slot<P>, Guard<'a, P>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let none = Err(SendError::NotConnected);
        let (mut index, mut outcome) = match to {
            Target::Client(client) => (client.slot(), none),
            Target::Slot(index) => (index, none),
            Target::All => (0, Ok(())),
        };
        let is_all = to == Target::All;
        while let Some(slot) = self.slot(index) {
            let inner = slot.lock();
            let is_meant = match to {
                Target::Client(client) => client.generation() == inner.generation,
                Target::Slot(_) => true,
                Target::All => inner.phase == Phase::Open,
            };
            if is_meant {
                let one = each(index, slot, inner);
                outcome = if is_all { outcome.and(one) } else { one };
            }
            if !is_all {
                break;
            }
            index = index.saturating_add(1);
        }
        outcome
    }

    fn send_to<const N: usize>(
        &self,
        to: Target,
        mut frame: Frame<'_, N>,
    ) -> Result<(), SendError> {
        if to == Target::All {
            frame.to_many = true;
            // Once for all clients, and also if there are none.
            frame.check_text()?;
        }
        let on_service_thread = self.port.on_service_thread();
        let may_wait = !(frame.to_many || on_service_thread || frame.timeout_ms == 0);
        self.for_each(to, |index, slot, inner| {
            let (mut inner, outcome) = if may_wait {
                self.send_waiting(index, slot, inner, frame)
            } else {
                let mut inner = inner;
                let outcome = self.send_at_once(slot, &mut inner, &frame, on_service_thread);
                (inner, outcome)
            };
            match outcome {
                Ok(()) if !frame.opcode.is_control() => {
                    inner.traffic.sent(frame.len());
                    if frame.fin && inner.output.was_refused() {
                        // Sends of other threads may have been refused because this message was not finished.
                        self.kick(index, &mut inner);
                    }
                }
                Ok(()) => inner.ping_sent(),
                Err(SendError::WouldBlock) => {
                    inner.output.set_refused();
                    self.count(Counter::WouldBlock);
                }
                _ => {}
            }
            self.after_send(index, slot, &mut inner);
            outcome
        })
    }

    /// Checks that a frame may be sent, with regard to the connection and to other threads.
    fn check<const N: usize>(
        &self,
        inner: &Inner<P>,
        frame: &Frame<'_, N>,
    ) -> Result<(), SendError> {
        if inner.phase != Phase::Open || inner.output.is_broken() {
            return Err(SendError::NotConnected);
        }
        let fragmented = !frame.opcode.is_control() && inner.outgoing.is_fragmented();
        if fragmented && inner.fragment_thread != self.port.thread() {
            return Err(SendError::WouldBlock);
        }
        Ok(())
    }

    /// Sends the planned frame, or keeps it to be sent.
    fn commit<const N: usize>(
        &self,
        slot: &Slot<P>,
        inner: &mut Inner<P>,
        frame: &Frame<'_, N>,
        planned: &Planned,
    ) {
        if frame.opcode.is_control() {
            return;
        }
        inner.outgoing.commit(planned);
        if inner.outgoing.is_fragmented() {
            inner.fragment_thread = self.port.thread();
        } else if inner.output.waiters > 0 {
            slot.notify_all();
        }
    }

    /// Sends without waiting.
    fn send_at_once<const N: usize>(
        &self,
        slot: &Slot<P>,
        inner: &mut Inner<P>,
        frame: &Frame<'_, N>,
        on_service_thread: bool,
    ) -> Result<(), SendError> {
        self.check(inner, frame)?;
        let planned = match frame.plan::<P, A>(inner) {
            Ok(planned) => planned,
            Err(error) => return Err(SendError::Frame(error)),
        };
        // During a pause only a reply may be kept in place, which stops reading from the client.
        let own = inner
            .own_range(frame.payload())
            .filter(|_| !(frame.to_many && self.is_paused()));
        // Frames for the client whose work item runs leave together when it ends.
        let running = inner.inbound.is_none() && on_service_thread;
        let batch = running || frame.more;
        let header = frame.header();
        self.emit(inner, &header, frame.with_header(&header), own, batch)?;
        self.commit(slot, inner, frame, &planned);
        Ok(())
    }

    /// Sends on a thread that may wait.
    #[inline(never)] // So that sending in a callback needs no room for this.
    fn send_waiting<'a, const N: usize>(
        &self,
        index: usize,
        slot: &'a Slot<P>,
        mut inner: Guard<'a, P>,
        frame: Frame<'_, N>,
    ) -> (Guard<'a, P>, Result<(), SendError>) {
        let generation = inner.generation;
        let timeout_ms = match frame.timeout_ms {
            SEND_TIMEOUT => self.settings.send_timeout_ms(),
            timeout_ms => timeout_ms,
        };
        let mut until = self.port.now() + timeout_ms;
        let header = frame.header();
        let mut parts = frame.with_header(&header);
        let total = total_len(&parts);
        let (planned, sent) = loop {
            match self.check(&inner, &frame) {
                Ok(()) => match frame.plan::<P, A>(&inner) {
                    Ok(planned) if inner.output.is_clear() => {
                        if frame.more
                            && self.reserve(&mut inner)
                            && inner.output.append(&parts, total)
                        {
                            break (planned, total);
                        }
                        match self.write(&mut inner, &parts) {
                            Ok(0) if inner.output.is_starved() => {}
                            Ok(sent) => break (planned, sent),
                            Err(error) => return (inner, Err(error)),
                        }
                    }
                    Ok(_) => {}
                    Err(error) => return (inner, Err(SendError::Frame(error))),
                },
                Err(SendError::WouldBlock) => {}
                Err(error) => return (inner, Err(error)),
            }
            if self.port.now().has_reached(until) {
                return (inner, Err(SendError::WouldBlock));
            }
            inner.output.waiters = inner.output.waiters.saturating_add(1);
            inner = self.wait_for_room(slot, inner, &mut until, timeout_ms);
            if inner.generation != generation {
                return (inner, Err(SendError::NotConnected));
            }
            inner.output.waiters = inner.output.waiters.saturating_sub(1);
        };
        let mut has_begun = sent > 0;
        advance(&mut parts, sent);
        let kept = sent == total || self.keep_rest(&mut inner, &parts);
        if !kept {
            // The rest is sent from here, as the client takes it.
            inner.output.set_caller(true);
            let timeout_ms = self.settings.send_timeout_ms();
            if frame.timeout_ms != SEND_TIMEOUT {
                until = self.port.now() + timeout_ms;
            }
            let outcome = loop {
                self.settle(index, &mut inner);
                inner = self.wait_for_room(slot, inner, &mut until, timeout_ms);
                if inner.generation != generation {
                    return (inner, Err(SendError::Aborted));
                }
                if inner.output.is_broken() || inner.phase == Phase::Dead {
                    break Err(SendError::Aborted);
                }
                if !inner.output.is_blocked() {
                    match self.write(&mut inner, &parts) {
                        Ok(sent) => {
                            has_begun |= sent > 0;
                            advance(&mut parts, sent);
                        }
                        Err(_) => break Err(SendError::Aborted),
                    }
                }
                if total_len(&parts) == 0 {
                    break Ok(());
                }
                if self.port.now().has_reached(until) {
                    if !has_begun {
                        break Err(SendError::WouldBlock);
                    }
                    self.abort(&mut inner);
                    break Err(SendError::Aborted);
                }
            };
            inner.output.set_caller(false);
            if outcome == Err(SendError::Aborted) {
                // The frame is incomplete: nothing may follow it, not even a close frame.
                self.discard_output(&mut inner);
            } else {
                self.flush_output(slot, &mut inner, None);
            }
            self.kick(index, &mut inner);
            if outcome.is_err() {
                return (inner, outcome);
            }
        }
        self.commit(slot, &mut inner, &frame, &planned);
        (inner, Ok(()))
    }

    /// Waits for a change of the slot, up to the deadline. After a suspension, the deadline starts again.
    fn wait_for_room<'a>(
        &self,
        slot: &'a Slot<P>,
        inner: Guard<'a, P>,
        until: &mut Instant,
        timeout_ms: u32,
    ) -> Guard<'a, P> {
        let began = self.port.now();
        let left = until.from(began);
        let inner = slot.wait(inner, left);
        let now = self.port.now();
        if began.until(now) > left.saturating_add(self.settings.suspension()) {
            *until = now + timeout_ms;
        }
        inner
    }

    /// Aborts the connection. The slot's work item must run to emit that.
    pub(super) fn abort(&self, inner: &mut Inner<P>) {
        let masks = self.application.masks();
        inner.advance(Phase::Dead, self.port.now(), &masks);
        self.count(Counter::Aborted);
    }

    /// Ends a send: schedules the client if its output waits for room, or its connection has ended.
    pub(super) fn after_send(&self, index: usize, slot: &Slot<P>, inner: &mut Guard<'_, P>) {
        let inner: &mut Inner<P> = inner;
        if inner.output.is_broken() {
            if inner.output.waiters > 0 {
                slot.notify_all();
            }
            self.kick(index, inner);
        }
        if inner.inbound.is_some() {
            self.give_back(inner);
        } else if inner.is_plain() {
            // A running work item settles the slot when it ends, and may use the block until then.
            return;
        }
        self.settle(index, inner);
    }
}

//! The work item of a client: receive, parse, deliver, answer.

use core::ops::Range;

use super::event::{Event, EventMask, MAX_SINKS, Message};
use super::port::{Instant, Lock as _, Port, Socket as _, SocketError, Work};
use super::send::SendError;
use super::slot::{Delivering, Guard, Inbound, Inner, Owner, Phase, Shut, Slot};
use super::{Application, Delivery, Life, Service};
use crate::protocol::{
    CloseCode, Data, FrameHeader, MessageKind, Opcode, Request, Step, Violation,
};

/// The payload of the service's own pings begins with this; a counter follows.
const KEEP_ALIVE: [u8; 3] = *b"wss";

/// One run of a client's work item.
pub(super) struct Run<'a, P: Port> {
    pub index: usize,
    pub slot: &'a Slot<P>,
    masks: [EventMask; MAX_SINKS],
    /// When it began, or the application had last done with an event, which may have taken long.
    now: Instant,
    received: Received,
    starved: Starved,
    /// Sinks (a bit each) that had no room in this run.
    full: u8,
}

/// What parsing waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starved {
    No,
    /// All that was received is parsed.
    OfBytes,
    /// The rest cannot be parsed before something held is released.
    OfRelease,
}

/// What this run has received.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    NotYet,
    /// As much as there was room for: there may be more.
    Full,
    /// All that there was.
    All,
}

/// What a run has to do next.
enum Task {
    /// Deliver what was received last to this sink.
    Data(usize),
    /// Deliver a state event to this sink.
    State(usize, EventMask),
    Parse,
    Receive,
    /// Nothing more now.
    Park(Because),
    /// Nothing more ever.
    Vacate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Because {
    /// The client has to send, or to take output; or the application has to act.
    Waiting,
    /// Output has to go first, and none has been tried in this run.
    Unsent,
    /// Others have their turn before the rest is received.
    Fairness,
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Does a piece of work. To be called by the port's work queue, one at a time.
    pub fn run(&self, work: Work) {
        match work {
            Work::Client(index) => self.run_client(index),
            Work::Service => self.run_service(),
        }
    }

    fn run_client(&self, index: usize) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut inner = slot.lock();
        let Some(mut inbound) = inner.start() else {
            return;
        };
        let mut run = Run {
            index,
            slot,
            masks: self.application.masks(),
            now: self.port.now(),
            received: Received::NotYet,
            starved: Starved::No,
            full: 0,
        };
        if inner.output.blocked {
            self.flush_output(slot, &mut inner, Some(&inbound));
        }
        loop {
            let task = self.next_task(&mut run, &mut inner, &mut inbound);
            inner = match task {
                Task::Data(sink) => self.deliver_data(&mut run, inner, &mut inbound, sink),
                Task::State(sink, event) => {
                    self.deliver_state(&mut run, inner, &inbound, sink, event)
                }
                Task::Parse => match self.parse(&mut run, inner, &mut inbound) {
                    Some(inner) => inner,
                    None => self.ask(&run, &inbound),
                },
                Task::Receive => self.receive(&mut run, inner, &mut inbound),
                Task::Park(because) => {
                    self.flush_output(slot, &mut inner, Some(&inbound));
                    if because == Because::Unsent && !inner.output.blocked {
                        continue;
                    }
                    // A block is only kept where there is no other room: others need it, too.
                    inner.finish_reading(&mut inbound);
                    inner.output.spill(&mut inbound);
                    self.give_back(&mut inner);
                    if because != Because::Fairness {
                        inner.runs = 0;
                    } else if inner.may_run_again() {
                        inner.owner = Owner::RunningAgain;
                    }
                    let again = inner.park(inbound);
                    self.settle(index, &mut inner);
                    drop(inner);
                    if again {
                        self.port.submit(Work::Client(index));
                    }
                    return;
                }
                Task::Vacate => return self.vacate(inner, inbound, index),
            };
        }
    }

    /// Decides what comes next, in this order: what was received is delivered, then what became of
    /// the client; then, if nothing of that is left and output is not in the way, more is parsed.
    fn next_task(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Guard<'_, P>,
        inbound: &mut Inbound<P>,
    ) -> Task {
        if inner.phase == Phase::Dead {
            self.disconnect(run, inner);
        }
        self.tell_writable(run, inner);
        let undelivered = inbound.undelivered.as_ref().map_or(0, |(_, sinks)| *sinks);
        for (sink, pending) in inner.pending.iter().enumerate() {
            let bit = 1 << sink;
            if run.full & bit != 0 {
                continue;
            }
            if undelivered & bit != 0 {
                return Task::Data(sink);
            }
            let next = EventMask::STATES
                .iter()
                .find(|event| pending.contains(**event));
            if let Some(event) = next {
                return Task::State(sink, *event);
            }
        }
        if run.full != 0 {
            if !inner.is_held_up() {
                inner.held_since = run.now;
            }
            inner.stalled = run.full;
            return Task::Park(Because::Waiting);
        }
        inbound.undelivered = None;
        let phase = inner.phase;
        match phase {
            Phase::Dead if inner.held > 0 => Task::Park(Because::Waiting),
            Phase::Dead => Task::Vacate,
            Phase::Lingering => self.linger(run, inner, inbound),
            Phase::Handshake if inner.awaits_answer() => await_answer(run, inner, inbound),
            _ if inner.output.caller => Task::Park(Because::Waiting),
            _ if inner.output.blocked => Task::Park(Because::Unsent),
            _ if !self.answer_ping(inner, inbound) => Task::Park(Because::Unsent),
            _ if run.starved == Starved::No => Task::Parse,
            _ if run.starved == Starved::OfRelease && inner.held == 0 => Task::Parse,
            _ if inner.output.broken && run.received == Received::All && inner.held == 0 => {
                // Nothing goes out any more, and nothing more comes in.
                inner.advance(Phase::Dead, run.now, &run.masks);
                self.next_task(run, inner, inbound)
            }
            _ => receive_more(run, inner),
        }
    }

    /// Closes the socket of a dead connection.
    fn disconnect(&self, run: &Run<'_, P>, inner: &mut Guard<'_, P>) {
        let Some(socket) = inner.socket.take() else {
            return;
        };
        self.discard_output(inner);
        run.slot.notify_all();
        self.port.close(run.index, socket);
    }

    /// Lets the application know that a send can be tried again after one was refused.
    fn tell_writable(&self, run: &Run<'_, P>, inner: &mut Guard<'_, P>) {
        if !inner.can_send_again(self.port.thread()) {
            return;
        }
        // A callback that is told sends in this run, in which the receive buffer cannot be lent.
        if inner.output.wants_block && !self.pool.lock().has_block() {
            return;
        }
        inner.output.refused = false;
        inner.output.wants_block = false;
        if inner.phase == Phase::Open {
            inner.tell(EventMask::WRITABLE, &run.masks);
        }
    }

    /// Everything is said: sends the rest, shuts our side, and drops what comes until the client
    /// closes its side (RFC 6455 section 7.1.1).
    fn linger(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Guard<'_, P>,
        inbound: &mut Inbound<P>,
    ) -> Task {
        if inner.output.pending() {
            self.flush_output(run.slot, inner, Some(inbound));
        }
        if inner.output.broken {
            inner.advance(Phase::Dead, run.now, &run.masks);
            // Comes back here as dead.
            return self.next_task(run, inner, inbound);
        }
        if inner.output.pending() || inner.output.caller {
            return Task::Park(Because::Waiting);
        }
        if inner.shut == Shut::No {
            let shut = inner.socket.as_ref().map(P::Socket::shutdown_write);
            inner.shut = if matches!(shut, Some(Ok(()))) {
                Shut::Half
            } else {
                Shut::Never
            };
        }
        inbound.incoming.end();
        match receive_more(run, inner) {
            Task::Park(Because::Waiting) if inner.shut == Shut::Never && inner.held == 0 => {
                // Only closing says that we are done. What had arrived is received, since closing
                // with unread bytes would reset the connection and could lose our last words.
                inner.advance(Phase::Dead, run.now, &run.masks);
                self.next_task(run, inner, inbound)
            }
            task => task,
        }
    }

    /// Delivers what was received last to `sink`.
    fn deliver_data<'a>(
        &self,
        run: &mut Run<'a, P>,
        mut inner: Guard<'a, P>,
        inbound: &mut Inbound<P>,
        sink: usize,
    ) -> Guard<'a, P> {
        let Some((step, sinks)) = inbound.undelivered.take() else {
            return inner;
        };
        let Some((event, range)) = received_event(&step, inbound) else {
            return inner;
        };
        let payload = inbound.bytes(&range);
        if !inner.is_held_up() {
            inner.held_since = run.now;
        }
        inner.held = inner.held.saturating_add(1);
        inner.delivering = Some(Delivering {
            address: payload.as_ptr() as usize,
            len: payload.len(),
            start: range.start,
            is_text: matches!(event, Event::Text(_)),
        });
        let id = inner.id(run.index);
        drop(inner);
        let delivery = self.application.deliver(self, sink, Some(id), &event);
        run.now = self.port.now();
        let mut inner = run.slot.lock();
        inner.delivering = None;
        let mut sinks = sinks & !(1 << sink);
        match delivery {
            Delivery::Held => inbound.incoming.hold(&range),
            Delivery::Done => inner.held = inner.held.saturating_sub(1),
            Delivery::Full => {
                inner.held = inner.held.saturating_sub(1);
                run.full |= 1 << sink;
                sinks |= 1 << sink;
            }
        }
        if delivery != Delivery::Full {
            inner.taken(sink, run.now);
        }
        if inner.held == 0 {
            // As in `release`.
            inner.heard = run.now;
        }
        inbound.undelivered = Some((step, sinks));
        inner
    }

    /// Delivers a state event to `sink`.
    fn deliver_state<'a>(
        &self,
        run: &mut Run<'a, P>,
        inner: Guard<'a, P>,
        inbound: &Inbound<P>,
        sink: usize,
        mask: EventMask,
    ) -> Guard<'a, P> {
        let event = match mask {
            EventMask::CONNECTING => Some(Event::Connecting),
            EventMask::CONNECTED => {
                // Somebody else has read that of a client that came to us already upgraded.
                let request = inbound.incoming.request();
                Some(Event::Connected(
                    request.unwrap_or(Request::from_bytes(&[])),
                ))
            }
            EventMask::WRITABLE => Some(Event::Writable),
            EventMask::TLS_FAILED => Some(Event::TlsFailed),
            EventMask::INVALID_FRAME => Some(Event::InvalidFrame),
            EventMask::TIMEOUT => Some(Event::Timeout),
            EventMask::CLOSING => Some(Event::Closing),
            _ => Some(Event::Closed),
        };
        let id = inner.id(run.index);
        drop(inner);
        let delivery = match event {
            Some(event) => self.application.deliver(self, sink, Some(id), &event),
            None => Delivery::Done,
        };
        run.now = self.port.now();
        let mut inner = run.slot.lock();
        if delivery == Delivery::Full {
            run.full |= 1 << sink;
        } else if let Some(pending) = inner.pending.get_mut(sink) {
            pending.remove(mask);
            inner.taken(sink, run.now);
        }
        inner
    }

    /// Parses what has been received, up to the next thing that somebody has to know: `None` if that is
    /// an opening request.
    // Apart, and the application is not asked from in here, so that it takes less of the stack.
    #[inline(never)]
    fn parse<'a>(
        &self,
        run: &mut Run<'a, P>,
        inner: Guard<'a, P>,
        inbound: &mut Inbound<P>,
    ) -> Option<Guard<'a, P>> {
        if inner.held == 0 {
            inbound.incoming.release();
        }
        if inner.phase > Phase::Handshake {
            inbound.incoming.upgrade();
        }
        drop(inner);
        let step = inbound.incoming.step();
        run.starved = match step {
            Step::NeedBytes => Starved::OfBytes,
            Step::NeedRelease => Starved::OfRelease,
            _ => Starved::No,
        };
        if matches!(step, Step::Request) {
            return None;
        }
        let mut inner = run.slot.lock();
        let open = inner.phase == Phase::Open;
        let step = match step {
            Step::Ping(_) | Step::Pong(_)
                if open && !inner.allows_control(&step, &self.config, run.now) =>
            {
                Step::Fail(Violation::TooManyControlFrames)
            }
            step => step,
        };
        let mut delivered = true;
        match &step {
            Step::Data(data) if open => inner.traffic.received(data.range.len()),
            Step::Ping(range) if open => {
                if !self.pong(&mut inner, inbound, range) {
                    inbound.unanswered = Some(range.clone());
                }
            }
            Step::Pong(range) if open => {
                delivered = !match inbound.bytes(range) {
                    [a, b, c, count] if [*a, *b, *c] == KEEP_ALIVE => {
                        inner.keep_alive_answered(*count)
                    }
                    _ => false,
                };
            }
            Step::Close { code, .. } => {
                inner.close(*code, Phase::Lingering, run.now, &run.masks);
            }
            Step::Fail(violation) => {
                self.fail(run, &mut inner, *violation);
                delivered = false;
            }
            Step::Refuse(status) => {
                self.refuse(&mut inner, run.index, *status);
                delivered = false;
            }
            _ => delivered = false,
        }
        if delivered {
            let mask = received_event(&step, inbound).map(|(event, _)| event.mask());
            let mask = mask.unwrap_or_default();
            let wanting = run.masks.iter().enumerate();
            let sinks = wanting
                .filter(|(_, wanted)| wanted.intersects(mask))
                .fold(0, |sinks, (sink, _)| sinks | 1 << sink);
            inbound.undelivered = Some((step, sinks));
        }
        Some(inner)
    }

    /// Answers the ping that could not be answered before: false if it still cannot be.
    fn answer_ping(&self, inner: &mut Inner<P>, inbound: &mut Inbound<P>) -> bool {
        let Some(range) = inbound.unanswered.take() else {
            return true;
        };
        if inner.phase != Phase::Open {
            // Nothing follows a close frame.
            return true;
        }
        let answered = self.pong(inner, inbound, &range);
        if !answered {
            inbound.unanswered = Some(range);
        }
        answered
    }

    /// Sends a pong with the payload of the ping at `range`: false if other output, of another
    /// thread, has to go first.
    fn pong(&self, inner: &mut Inner<P>, inbound: &Inbound<P>, range: &Range<usize>) -> bool {
        let payload = inbound.bytes(range);
        let header = FrameHeader::new(true, Opcode::Pong, payload.len());
        let sent = self.emit(inner, &header, payload, Some(range.clone()), true);
        sent != Err(SendError::WouldBlock)
    }

    /// Receives once.
    fn receive<'a>(
        &self,
        run: &mut Run<'a, P>,
        inner: Guard<'a, P>,
        inbound: &mut Inbound<P>,
    ) -> Guard<'a, P> {
        let Some(socket) = inner.socket.clone() else {
            run.received = Received::All;
            return inner;
        };
        // Released meanwhile, perhaps: there is no space behind what is still held.
        if inner.held == 0 {
            inbound.incoming.release();
        }
        drop(inner);
        let space = inbound.incoming.space();
        let room = space.len();
        let received = socket.receive(space);
        drop(socket);
        run.starved = Starved::No;
        run.received = Received::All;
        let mut inner = run.slot.lock();
        match received {
            Ok(0) => {
                // The client may have shut only its own side, and read the answers to its last words. While
                // it does, the end can wait: it is received again.
                self.flush_output(run.slot, &mut inner, Some(inbound));
                if !inner.output.pending() && !inner.output.caller {
                    inner.advance(Phase::Dead, run.now, &run.masks);
                }
            }
            Err(SocketError::Failed) => inner.advance(Phase::Dead, run.now, &run.masks),
            Ok(count) => {
                inbound.incoming.received(count);
                inner.heard = run.now;
                if count >= room {
                    run.received = Received::Full;
                }
            }
            Err(SocketError::WouldBlock) => {}
        }
        inner
    }

    /// Fails the connection (RFC 6455 section 7.1.7): the client broke the protocol, which is told, or
    /// went over a limit.
    fn fail(&self, run: &Run<'_, P>, inner: &mut Inner<P>, violation: Violation) {
        let code = violation.close_code();
        if inner.phase == Phase::Open {
            if code != CloseCode::POLICY_VIOLATION {
                inner.tell(EventMask::INVALID_FRAME, &run.masks);
            }
            self.count(|stats| stats.failed(code));
        }
        inner.close(Some(code), Phase::Lingering, run.now, &run.masks);
        log::debug!(
            "{}: {violation:?}, closing with {code}",
            inner.id(run.index)
        );
    }

    /// The connection is gone and everybody knows: the slot is free.
    fn vacate(&self, mut inner: Guard<'_, P>, inbound: Inbound<P>, index: usize) {
        inner.vacate(inbound);
        drop(inner);
        let mut shared = self.shared.lock();
        shared.free = shared.free.saturating_add(1);
        shared.lowest = shared.lowest.min(index);
        shared.stats.closed = shared.stats.closed.wrapping_add(1);
        let stopping = shared.life != Life::Serving;
        drop(shared);
        if stopping {
            self.port.wake();
        }
    }

    /// Delivers what concerns the service as a whole, and gives clients a chance that were refused
    /// for want of a block.
    fn run_service(&self) {
        for sink in 0..MAX_SINKS {
            for (mask, event) in EventMask::SERVICE {
                let mut shared = self.shared.lock();
                let pending = shared.pending.get_mut(sink);
                let Some(pending) = pending.filter(|due| due.intersects(mask)) else {
                    continue;
                };
                // Before it is delivered: what is announced meanwhile is told again.
                pending.remove(mask);
                drop(shared);
                if self.application.deliver(self, sink, None, &event) == Delivery::Full {
                    shared = self.shared.lock();
                    if let Some(pending) = shared.pending.get_mut(sink) {
                        *pending |= mask;
                    }
                    break;
                }
            }
        }
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            if inner.can_send_again(self.port.thread()) {
                self.kick(index, &mut inner);
            }
        }
    }

    /// Sends a keep-alive ping, unless the client takes no output.
    pub(super) fn keep_alive(&self, inner: &mut Inner<P>) {
        let (last, answered) = inner.keep_alive;
        let count = last.wrapping_add(1);
        let [a, b, c] = KEEP_ALIVE;
        // Short enough to be kept without a block, which slow readers may have used up.
        let ping = FrameHeader::ping([a, b, c, count]);
        if self.emit(inner, &ping, &[], Some(0..0), false).is_ok() {
            // More than 255 that are not answered cannot be told apart: the oldest one is let go.
            let forgotten = u8::from(count == answered);
            inner.keep_alive = (count, answered.wrapping_add(forgotten));
            inner.ping_sent();
        }
    }
}

/// Receives once a run, so that the clients have their turns; and not while something is held.
fn receive_more<P: Port>(run: &Run<'_, P>, inner: &Inner<P>) -> Task {
    match run.received {
        _ if inner.held > 0 => Task::Park(Because::Waiting),
        Received::NotYet => Task::Receive,
        Received::Full => Task::Park(Because::Fairness),
        Received::All => Task::Park(Because::Waiting),
    }
}

/// Until the application answers the opening request, what else comes is kept behind it: so a client
/// that leaves meanwhile is noticed.
fn await_answer<P: Port>(run: &Run<'_, P>, inner: &Inner<P>, inbound: &Inbound<P>) -> Task {
    if inbound.incoming.has_room() {
        receive_more(run, inner)
    } else {
        Task::Park(Because::Waiting)
    }
}

/// The event that a step is delivered as, and where its bytes are.
fn received_event<'a, P: Port>(
    step: &Step,
    inbound: &'a Inbound<P>,
) -> Option<(Event<'a>, Range<usize>)> {
    let (event, range) = match step {
        Step::Data(data) => {
            let Data {
                kind,
                first,
                last,
                range,
            } = data.clone();
            let bytes = inbound.bytes(&range);
            let message = Message { bytes, first, last };
            let event = match kind {
                MessageKind::Text => Event::Text(message),
                MessageKind::Binary => Event::Binary(message),
            };
            (event, range)
        }
        Step::Ping(range) => (Event::Ping(inbound.bytes(range)), range.clone()),
        Step::Pong(range) => (Event::Pong(inbound.bytes(range)), range.clone()),
        Step::Close { code, body } => {
            let event = Event::CloseFrame {
                code: *code,
                body: inbound.bytes(body),
            };
            (event, body.clone())
        }
        _ => return None,
    };
    Some((event, range))
}

// SPDX-License-Identifier: Apache-2.0
//! The work item of a client: receive, parse, deliver, answer.

use core::sync::atomic::Ordering::Relaxed;

use super::deliver::next_event;
use super::event::State;
use super::inbound::{Inbound, Wanting};
use super::port::{Lock as _, Port, Socket as _, SocketError, Work};
use super::slot::{Asked, Guard, Inner, Owner, Phase, Shut, Slot};
use super::stats::Counter;
use super::time::Instant;
use super::{Application, Life, Service};
use crate::protocol::Step;

/// One run of a client's work item.
pub(super) struct Run<'a, P: Port> {
    pub index: usize,
    pub slot: &'a Slot<P>,
    pub wanting: Wanting,
    /// The time, cached until the application gets the thread, because a callback may take long.
    pub now: Option<Instant>,
    received: Received,
    starved: Starved,
    /// The client was heard, or held up, in this run.
    pub heard: bool,
    /// Sinks (a bit each) without room in this run.
    pub full: u8,
}

/// The reason why parsing stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starved {
    No,
    /// Everything that was received is parsed.
    OfBytes,
    /// The rest can be parsed only after the application releases something.
    OfRelease,
}

/// The result of receiving in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    NotYet,
    /// The space was filled: there may be more.
    Full,
    /// Everything that there was.
    All,
}

/// The next task of a run.
pub(super) enum Task {
    /// Deliver the last step to this sink.
    Data(usize),
    /// Deliver a state event to this sink.
    State(usize, State),
    Parse,
    Receive,
    /// Continue the TLS handshake in another work item.
    Secure,
    /// Nothing more to do now.
    Park(Because),
    /// Nothing more to do: free the slot.
    Vacate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The client must send, or take output; or the application must act.
    Waiting,
    /// Unsent output must leave first, and this run has not tried to send any.
    Unsent,
    /// Other clients have their turn before the rest is received.
    Fairness,
}

impl<P: Port> Run<'_, P> {
    /// Returns the time. Reads the clock once between two events.
    #[inline(never)] // It needs registers that its callers have a use for.
    pub fn now(&mut self, port: &P) -> Instant {
        *self.now.get_or_insert_with(|| port.now())
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Runs a work item. The port's work queue calls this, one at a time for each client.
    pub fn run(&self, work: Work) {
        match work {
            Work::Client(index) => {
                if let Some(slot) = self.slot(index) {
                    self.run_client(index, slot, slot.lock());
                }
            }
            Work::Tls(index) if P::TLS => self.run_tls(index),
            Work::Tls(_) => {}
            Work::Service => self.run_service(),
        }
    }

    /// Runs the work item of a client, if it is queued.
    pub(super) fn run_client<'a>(
        &'a self,
        index: usize,
        slot: &'a Slot<P>,
        mut inner: Guard<'a, P>,
    ) {
        let Some(mut inbound) = inner.start() else {
            return;
        };
        let mut run = Run {
            index,
            slot,
            wanting: Wanting::new(self.application.masks()),
            now: None,
            received: Received::NotYet,
            starved: if inner.phase == Phase::Open && !inbound.incoming.has_unparsed() {
                Starved::OfBytes
            } else {
                Starved::No
            },
            heard: false,
            full: 0,
        };
        if inner.output.is_blocked() {
            self.flush_output(slot, &mut inner, Some(&inbound));
        }
        loop {
            let task = if inner.is_plain() && run.full == 0 && !inbound.unanswered {
                // The usual case.
                common_task(&run, &inner, &inbound)
            } else {
                self.next_task(&mut run, &mut inner, &mut inbound)
            };
            match task {
                Task::Receive => {
                    let fails_tls = self.receive(&mut run, &mut inner, &mut inbound);
                    if P::TLS && fails_tls {
                        let (client, socket) = (inner.id(index), inner.socket.clone());
                        drop(inner);
                        self.log_tls_failure(client, socket.as_ref());
                        inner = slot.lock();
                    }
                }
                Task::Parse => {
                    if self.parse(&mut run, &mut inner, &mut inbound) {
                        drop(inner);
                        inner = self.ask(&mut run, &inbound);
                    }
                }
                Task::Data(sink) => {
                    inner = self.deliver_data(&mut run, inner, &mut inbound, sink);
                }
                Task::State(sink, state) => {
                    inner = self.deliver_state(&mut run, inner, &inbound, sink, state);
                }
                Task::Park(because) => {
                    if inner.output.has_block() || !inner.is_plain() {
                        self.flush_output(slot, &mut inner, Some(&inbound));
                        if because == Because::Unsent && !inner.output.is_blocked() {
                            continue;
                        }
                        // A block is kept only if there is no other room, because other clients need it.
                        inner.finish_reading(&mut inbound);
                        if !inner.sends_page() {
                            inner.output.spill(&mut inbound);
                        }
                        self.give_back(&mut inner);
                    }
                    return self.park(&mut run, inner, inbound, because);
                }
                Task::Secure => {
                    inner.requeue(inbound);
                    drop(inner);
                    return self.port.submit(Work::Tls(index));
                }
                Task::Vacate => return self.vacate(inner, inbound, index),
            }
        }
    }

    /// Parks the slot: it waits for its socket or a deadline, or runs again.
    fn park(
        &self,
        run: &mut Run<'_, P>,
        mut inner: Guard<'_, P>,
        mut inbound: P::Inbound,
        because: Because,
    ) {
        inner.finish_reading(&mut inbound);
        if because != Because::Fairness {
            inner.runs = 0;
        } else if inner.may_run_again() || Self::has_buffered(&inner) {
            inner.owner = Owner::RunningAgain;
        }
        if run.heard {
            inner.hear(run.now(&self.port));
        }
        let again = inner.park(inbound);
        self.settle(run.index, &mut inner);
        drop(inner);
        if again {
            self.port.submit(Work::Client(run.index));
        }
    }

    /// Returns the next task, in this order: deliver what was received, then state events; then, if nothing is left and
    /// output does not block it, parse more.
    fn next_task(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Guard<'_, P>,
        inbound: &mut Inbound<P::Storage>,
    ) -> Task {
        loop {
            if inner.phase == Phase::Dead {
                self.disconnect(run, inner);
            }
            self.tell_writable(run, inner);
            if let Some(task) = next_event(run, inner, inbound) {
                return task;
            }
            if run.full != 0 {
                if !inner.is_held_up() {
                    inner.held_since = run.now(&self.port);
                }
                inner.stalled = run.full;
                return Task::Park(Because::Waiting);
            }
            let phase = inner.phase;
            let task = match phase {
                Phase::Dead if inner.held > 0 => Some(Task::Park(Because::Waiting)),
                Phase::Dead => Some(Task::Vacate),
                Phase::Lingering if !inner.output.has_caller() => self.linger(run, inner, inbound),
                Phase::Handshake if Self::is_securing(inner) && !inner.output.is_blocked() => {
                    Some(Task::Secure)
                }
                Phase::Handshake if inner.awaits_answer() || self.is_put_off(inner) => {
                    Some(await_answer(run, inner, inbound))
                }
                _ if inner.output.has_caller() => Some(Task::Park(Because::Waiting)),
                _ if inner.output.is_blocked() => Some(Task::Park(Because::Unsent)),
                _ if !self.answer_ping(inner, inbound) => Some(Task::Park(Because::Unsent)),
                _ if parses(run, inner) => Some(Task::Parse),
                _ if inner.output.is_broken()
                    && run.received == Received::All
                    && inner.held == 0 =>
                {
                    // Nothing is sent or received any more.
                    None
                }
                _ => Some(receive_more(run, inner)),
            };
            if let Some(task) = task {
                return task;
            }
            // The connection has ended: the state events come next.
            let now = run.now(&self.port);
            inner.advance(Phase::Dead, now, &run.wanting.masks);
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

    /// Sends the rest after the last frame, shuts down our side, and drops input until the client closes its side (RFC
    /// 6455 section 7.1.1). Returns `None` once the connection has ended.
    fn linger(
        &self,
        run: &Run<'_, P>,
        inner: &mut Guard<'_, P>,
        inbound: &mut Inbound<P::Storage>,
    ) -> Option<Task> {
        if inner.output.is_broken() {
            return None;
        }
        if inner.output.pending() {
            inner.output.wait_for_room(&self.port);
            return Some(Task::Park(Because::Unsent));
        }
        if inner.shut == Shut::No {
            let shut = inner.socket.as_ref().map(P::Socket::shutdown_write);
            if P::TLS && shut == Some(Err(SocketError::WouldBlock)) {
                inner.output.block(&self.port);
                return Some(Task::Park(Because::Unsent));
            }
            inner.shut = if matches!(shut, Some(Ok(()))) {
                Shut::Half
            } else {
                Shut::Never
            };
        }
        inbound.incoming.end();
        match receive_more(run, inner) {
            // Only closing ends our side here. Receive first what has arrived: closing with unread bytes would reset
            // the connection, and our last frame could be lost.
            Task::Park(Because::Waiting) if inner.shut == Shut::Never && inner.held == 0 => None,
            task => Some(task),
        }
    }

    /// Parses received bytes, up to the next step that needs more than the parser. Returns true for an opening request.
    fn parse(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Inner<P>,
        inbound: &mut Inbound<P::Storage>,
    ) -> bool {
        if inner.held == 0 {
            inbound.incoming.release();
        }
        if inner.phase < Phase::Handshake {
            inbound.incoming.upgrade();
        }
        // Checked once for a connection, not for each message.
        let pages = P::PAGES && inner.phase == Phase::Handshake && self.has_pages();
        let step = inbound
            .incoming
            .step_keeping(self.application.request_fields(), pages);
        run.starved = match step {
            Step::NeedBytes => Starved::OfBytes,
            Step::NeedRelease => Starved::OfRelease,
            _ => Starved::No,
        };
        if let Step::Data(data) = &step {
            if inner.phase == Phase::Open {
                inner.traffic.received(data.range.len());
                inbound.deliver(step, &mut run.wanting);
                if A::WRITES_TEXT {
                    inbound.end_text();
                }
            }
            return false;
        }
        if matches!(step, Step::Request) {
            return !self.puts_off(inner);
        }
        if run.starved == Starved::No {
            self.take_control(run, inner, inbound, step);
        }
        false
    }

    /// Receives once. Returns whether TLS has failed, which the caller must log.
    fn receive(
        &self,
        run: &mut Run<'_, P>,
        inner: &mut Guard<'_, P>,
        inbound: &mut Inbound<P::Storage>,
    ) -> bool {
        run.received = Received::All;
        // If something is still held, there is no space behind it.
        if inner.held == 0 {
            inbound.incoming.release();
        }
        let Some(socket) = &inner.socket else {
            return false;
        };
        let space = inbound.incoming.space();
        let room = space.len();
        let received = socket.receive(space);
        let has_buffered = P::TLS && socket.has_buffered();
        if P::TLS && socket.has_unsent() {
            // TLS has to answer the input.
            inner.output.block(&self.port);
        }
        match received {
            Ok(0) => {
                // The client may have shut down only its sending side, and may still read answers to its last messages.
                // Meanwhile the end of the stream can wait: it is received again.
                self.flush_output(run.slot, inner, Some(inbound));
                if !inner.output.pending() && !inner.output.has_caller() {
                    let now = run.now(&self.port);
                    inner.advance(Phase::Dead, now, &run.wanting.masks);
                } else {
                    inner.output.wait_for_room(&self.port);
                }
            }
            Ok(count) => {
                inbound.incoming.received(count);
                run.starved = Starved::No;
                run.heard = true;
                if count >= room || has_buffered {
                    run.received = Received::Full;
                }
            }
            Err(SocketError::WouldBlock | SocketError::NoBuffers) => {}
            Err(error) => {
                if P::TLS && error == SocketError::Tls {
                    return self.fail_tls(inner, Phase::Lingering);
                }
                let now = run.now(&self.port);
                if P::TLS && error == SocketError::Truncated && inner.phase == Phase::Open {
                    self.count(Counter::Aborted);
                }
                inner.advance(Phase::Dead, now, &run.wanting.masks);
            }
        }
        false
    }

    /// Frees the slot: the connection has ended, and every sink got CLOSED.
    fn vacate(&self, mut inner: Guard<'_, P>, inbound: P::Inbound, index: usize) {
        let connected = (inner.asked == Asked::Accepted).then(|| inner.id(index));
        inner.vacate(inbound);
        drop(inner);
        let mut shared = self.shared.lock();
        shared.used = shared.used.saturating_sub(1);
        shared.lowest = shared.lowest.min(index);
        shared.counters.add(Counter::Closed);
        let stopping = shared.life != Life::Serving;
        let makes_room = P::PAGES && shared.used.saturating_add(1) == self.max_clients();
        drop(shared);
        if let Some(client) = connected {
            self.log_closed(client);
        }
        if stopping || makes_room {
            self.port.wake();
        }
    }

    /// Delivers the events of the service as a whole, and schedules clients whose frames were refused for lack of a
    /// block.
    fn run_service(&self) {
        self.deliver_announced();
        // Clear the flag first, so that a tick that comes due during the call is not lost.
        if A::TICKS && self.tick_due.swap(false, Relaxed) && self.is_serving() {
            self.application.tick(self);
        }
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            if inner.can_send_again(|| self.port.thread()) {
                self.kick(index, &mut inner);
            }
        }
    }
}

/// Returns the next task of a slot that [is plain](Inner::is_plain).
fn common_task<P: Port>(run: &Run<'_, P>, inner: &Inner<P>, inbound: &Inbound<P::Storage>) -> Task {
    if inbound.undelivered != 0 {
        Task::Data(inbound.undelivered.trailing_zeros() as usize)
    } else if parses(run, inner) {
        Task::Parse
    } else {
        receive_more(run, inner)
    }
}

/// Returns whether there may be something to parse.
fn parses<P: Port>(run: &Run<'_, P>, inner: &Inner<P>) -> bool {
    match run.starved {
        Starved::No => true,
        Starved::OfBytes => false,
        Starved::OfRelease => inner.held == 0,
    }
}

/// Receives once per run, so that all clients have their turns, and not while something is held.
fn receive_more<P: Port>(run: &Run<'_, P>, inner: &Inner<P>) -> Task {
    match run.received {
        _ if inner.held > 0 => Task::Park(Because::Waiting),
        Received::NotYet => Task::Receive,
        Received::Full => Task::Park(Because::Fairness),
        Received::All => Task::Park(Because::Waiting),
    }
}

/// Keeps bytes that follow the opening request until the application answers it. Receiving them detects a client that
/// disconnects meanwhile.
fn await_answer<P: Port>(
    run: &Run<'_, P>,
    inner: &Inner<P>,
    inbound: &Inbound<P::Storage>,
) -> Task {
    if inbound.incoming.has_room() {
        receive_more(run, inner)
    } else {
        Task::Park(Because::Waiting)
    }
}

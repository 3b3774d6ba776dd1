// SPDX-License-Identifier: Apache-2.0
//! A client slot: its owner, the state of its connection, and all transitions. Its deadlines are in `deadlines.rs`.
//!
//! Every transition is a method of [`Inner`], called with the slot's lock held. ARCHITECTURE.md has a table of them.

use core::num::NonZeroUsize;
use core::ops::Range;

use super::admit::Opening;
use super::bucket::Bucket;
use super::config::{Limits, Settings};
use super::event::{ClientId, Masks, Pending, State};
use super::inbound::Inbound;
use super::output::Output;
use super::port::{Interest, Lock, Port, Socket};
use super::stats::Traffic;
use super::time::Instant;
use crate::protocol::{CloseCode, Outgoing, Step};

/// A slot for one client.
pub struct Slot<P: Port> {
    inner: P::Lock<Inner<P>>,
}

pub(super) type Guard<'a, P> = <<P as Port>::Lock<Inner<P>> as Lock<Inner<P>>>::Guard<'a>;

impl<P: Port> Slot<P> {
    /// Creates a slot from the lock of a free one, [`Inner::FREE`].
    pub const fn new(inner: P::Lock<Inner<P>>) -> Self {
        Self { inner }
    }

    /// Returns the lock.
    pub(super) const fn monitor(&self) -> &P::Lock<Inner<P>> {
        &self.inner
    }

    pub(super) fn lock(&self) -> Guard<'_, P> {
        self.inner.lock()
    }

    pub(super) fn wait<'a>(&'a self, guard: Guard<'a, P>, timeout_ms: u32) -> Guard<'a, P> {
        self.inner.wait(guard, timeout_ms)
    }

    pub(super) fn notify_all(&self) {
        self.inner.notify_all();
    }
}

/// The owner of the slot. A thread that takes it from `Idle` or from the work queue has exclusive access to the
/// incoming half until it parks the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// No connection.
    Free,
    /// Waits until the socket is ready (watched), the application releases a message or takes events (held), or a
    /// deadline expires.
    Idle,
    /// Its work item is on the work queue.
    Queued,
    /// Its work item runs.
    Running,
    /// Its work item runs, and must run again: something happened meanwhile.
    RunningAgain,
}

/// The phase of the connection. It only becomes less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The connection has ended; pending events are still to be delivered.
    Dead,
    /// Everything was sent or queued: once our output has left, our side is shut down. Input is dropped until the
    /// client closes, so that it can read our last bytes.
    Lingering,
    /// Our close frame was sent or queued; the client's is awaited.
    CloseSent,
    /// Frames go both ways.
    Open,
    /// Reading the opening request.
    Handshake,
}

/// The state of the question to the application about the opening request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// It was not asked, or it has refused.
    No,
    /// It has accepted, or was not asked: the client is connected.
    Accepted,
    /// It is being asked.
    Now,
    /// It will answer later.
    Waiting,
    /// It was not asked, because all output is paused.
    PutOff,
    /// It has accepted a request for a page.
    Page,
}

/// Whether our side of the connection is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// Not yet.
    No,
    /// It is: the client can see that nothing more follows.
    Half,
    /// This socket can only be closed.
    Never,
}

/// The message that is being delivered to the callback, to recognise it when it is sent back.
#[derive(Clone, Copy)]
pub(super) struct Delivering {
    pub address: NonZeroUsize,
    pub len: usize,
    /// The offset of the message in the receive buffer.
    pub start: usize,
    pub marks: Marks,
}

bitflags::bitflags! {
    /// Properties of a message that is delivered.
    #[derive(Clone, Copy)]
    pub(super) struct Marks: u8 {
        /// It is valid UTF-8.
        const TEXT = 1;
        /// Nothing was received behind it.
        const LAST = 2;
    }
}

/// The state of a client, behind its lock.
pub struct Inner<P: Port> {
    pub(super) owner: Owner,
    pub(super) phase: Phase,
    pub(super) asked: Asked,
    pub(super) shut: Shut,
    pub(super) watched: Interest,
    /// The number of runs in a row, each with more to receive.
    pub(super) runs: u8,
    /// The sinks (a bit each) that had no room for the last event.
    pub(super) stalled: u8,
    /// The numbers of the last keep-alive ping that was sent, and of the last one that was answered.
    pub(super) keep_alive: (u8, u8),
    /// State events that each sink has not received yet.
    pub(super) pending: Pending,
    pub(super) generation: u32,
    /// The incoming half, unless a work item, or the answer of the application, has it.
    pub(super) inbound: Option<P::Inbound>,
    pub(super) socket: Option<P::Socket>,
    pub(super) outgoing: Outgoing,
    /// The thread whose fragmented message is being sent.
    pub(super) fragment_thread: usize,
    pub(super) output: Output<P>,
    pub(super) delivering: Option<Delivering>,
    /// Messages that the application has not released.
    pub(super) held: u32,
    /// The time when the phase began.
    pub(super) since: Instant,
    /// The time when the client was last heard, or the service last did not read from it.
    pub(super) heard: Instant,
    /// The time of the first ping since the client was last heard, if there is one.
    pub(super) pinged: Instant,
    pub(super) is_pinged: bool,
    /// The time when the last ping was due, or the client was heard.
    pub(super) ping_due: Instant,
    /// With an unanswered ping: the time when a timer last came in time, so the service was not suspended.
    pub(super) checked: Instant,
    /// The time since when the application holds up the client.
    pub(super) held_since: Instant,
    /// The timer is set no later than this on behalf of this slot, if it is set.
    pub(super) covered: Instant,
    pub(super) is_covered: bool,
    /// The peer, if clients are counted by address.
    pub(super) peer: Option<<P::Socket as Socket>::Peer>,
    /// Has a token for each control frame.
    pub(super) control_frames: Bucket,
    /// Pings sent that may still be answered.
    pub(super) pings: u16,
    /// The groups of the client, a bit each.
    pub(super) groups: u32,
    /// What the application attached to the client.
    pub(super) user_data: usize,
    /// The traffic of all clients of this slot.
    pub(super) traffic: Traffic,
}

impl<P: Port> Inner<P> {
    /// A free slot without an incoming half. All zeros, so that a static one takes no flash.
    pub const FREE: Self = Self {
        owner: Owner::Free,
        phase: Phase::Dead,
        asked: Asked::No,
        shut: Shut::No,
        watched: Interest::empty(),
        runs: 0,
        stalled: 0,
        keep_alive: (0, 0),
        pending: Pending::NONE,
        generation: 0,
        inbound: None,
        socket: None,
        outgoing: Outgoing::NEW,
        fragment_thread: 0,
        output: Output::new(),
        delivering: None,
        held: 0,
        since: Instant(0),
        heard: Instant(0),
        pinged: Instant(0),
        is_pinged: false,
        ping_due: Instant(0),
        checked: Instant(0),
        held_since: Instant(0),
        covered: Instant(0),
        is_covered: false,
        peer: None,
        control_frames: Bucket::full(),
        pings: 0,
        groups: 0,
        user_data: 0,
        traffic: Traffic::NONE,
    };

    pub(super) fn id(&self, slot: usize) -> ClientId {
        ClientId::new(slot, self.generation)
    }

    // Who works on the slot.

    /// Free: prepares the incoming half for a connection, with bytes that were received already. Returns false if they
    /// are too many.
    pub(super) fn prepare(
        &mut self,
        settings: &Settings,
        received: &[u8],
        opening: Opening,
        names: &str,
        pages: bool,
    ) -> bool {
        self.inbound.as_mut().is_some_and(|inbound| {
            inbound.forget();
            if P::PAGES {
                // The last client may have left a close frame there.
                inbound.step = Step::NeedBytes;
            }
            let incoming = &mut inbound.incoming;
            incoming.restart(settings.handshake_limit(), settings.streaming());
            if P::LIMITS.contains(Limits::FRAGMENTS) {
                incoming.limit_fragments(settings.fragments_per_message());
            }
            if opening == Opening::Upgraded {
                incoming.skip_request();
            }
            incoming.preload(received, names, pages)
        })
    }

    /// Free → Queued: a connection was accepted, for which the slot is prepared.
    pub(super) fn occupy(&mut self, socket: P::Socket, now: Instant, masks: &Masks) {
        debug_assert!(self.owner == Owner::Free && self.pending.is_empty() && self.held == 0);
        self.owner = Owner::Queued;
        self.phase = Phase::Handshake;
        self.asked = Asked::No;
        self.runs = 0;
        self.socket = Some(socket);
        self.outgoing = Outgoing::default();
        self.output.reset();
        self.shut = Shut::No;
        self.stalled = 0;
        self.watched = Interest::empty();
        self.since = now;
        if P::PAGES {
            self.heard = now;
        }
        self.keep_alive = (0, 0);
        if P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            self.control_frames = Bucket::full();
            self.pings = 0;
        }
        self.is_covered = false;
        self.groups = 0;
        self.user_data = 0;
        self.pending.add(State::Connecting, masks);
    }

    /// Requests a run of the work item. Returns true if the caller must put it on the work queue.
    pub(super) fn kick(&mut self) -> bool {
        match self.owner {
            Owner::Idle => {
                self.owner = Owner::Queued;
                true
            }
            Owner::Running => {
                self.owner = Owner::RunningAgain;
                false
            }
            Owner::Free | Owner::Queued | Owner::RunningAgain => false,
        }
    }

    /// Queued → Running: takes the incoming half.
    pub(super) fn start(&mut self) -> Option<P::Inbound> {
        if self.owner != Owner::Queued {
            return None;
        }
        let inbound = self.inbound.take()?;
        self.owner = Owner::Running;
        Some(inbound)
    }

    /// Running, with more to receive: returns whether it may run again before the other clients.
    pub(super) fn may_run_again(&mut self) -> bool {
        self.runs = self.runs.saturating_add(1);
        let may = P::RUNS_IN_A_ROW.is_none_or(|most| self.runs < most);
        if !may {
            self.runs = 0;
        }
        may
    }

    /// Running: frees the part of the receive buffer that is not read any more: the opening request, or bytes after the
    /// last frame.
    pub(super) fn finish_reading(&self, inbound: &mut Inbound<P::Storage>) {
        match self.phase {
            Phase::Handshake => {}
            _ if !self.pending.is_empty() && self.pending.has(State::Connected) => {}
            Phase::Open | Phase::CloseSent => inbound.incoming.upgrade(),
            Phase::Lingering | Phase::Dead => inbound.incoming.end(),
        }
    }

    /// Running → Idle, or Queued if something happened meanwhile. Returns true if the caller must put the work item on
    /// the work queue.
    pub(super) fn park(&mut self, inbound: P::Inbound) -> bool {
        debug_assert!(self.inbound.is_none() && self.owner >= Owner::Running);
        self.inbound = Some(inbound);
        let again = self.owner == Owner::RunningAgain;
        self.owner = if again { Owner::Queued } else { Owner::Idle };
        again
    }

    /// Running → Queued: another work item continues.
    pub(super) fn requeue(&mut self, inbound: P::Inbound) {
        debug_assert!(self.inbound.is_none() && self.owner >= Owner::Running);
        self.inbound = Some(inbound);
        self.owner = Owner::Queued;
    }

    /// Running → Free: the connection has ended, and every sink got CLOSED.
    pub(super) fn vacate(&mut self, inbound: P::Inbound) {
        debug_assert!(self.socket.is_none() && self.pending.is_empty() && self.held == 0);
        self.inbound = Some(inbound);
        self.owner = Owner::Free;
        self.generation = self.generation.wrapping_add(1);
    }

    // How far the connection is.

    /// Returns whether the slot only receives, delivers and sends: the connection is open, no state event is pending,
    /// and nothing blocks its output.
    pub(super) fn is_plain(&self) -> bool {
        self.phase == Phase::Open && self.pending.is_empty() && self.output.is_plain()
    }

    /// Returns whether the application may answer the opening request now.
    pub(super) fn awaits_answer(&self) -> bool {
        self.phase == Phase::Handshake && self.asked == Asked::Waiting
    }

    /// Handshake → Open: the 101 response was sent or queued.
    pub(super) fn open(&mut self, now: Instant, masks: &Masks) {
        debug_assert_eq!(self.phase, Phase::Handshake);
        self.phase = Phase::Open;
        self.asked = Asked::Accepted;
        self.since = now;
        self.hear(now);
        self.pending.add(State::Connected, masks);
    }

    /// Enters a later phase. Every connection leaves `Handshake` or `Open` exactly once; this emits CLOSING.
    #[inline(never)] // for size
    pub(super) fn advance(&mut self, phase: Phase, now: Instant, masks: &Masks) {
        if phase >= self.phase {
            return;
        }
        if self.phase >= Phase::Open {
            self.pending.add(State::Closing, masks);
        }
        self.phase = phase;
        self.since = now;
        if phase == Phase::Dead {
            self.pending.add(State::Closed, masks);
        }
    }

    /// Starts or answers the closing handshake, with a close frame behind all other output.
    #[inline(never)] // for size
    pub(super) fn close(
        &mut self,
        code: Option<CloseCode>,
        phase: Phase,
        now: Instant,
        masks: &Masks,
    ) {
        if self.phase == Phase::Open {
            self.output.close(code);
        }
        self.advance(phase, now, masks);
    }

    // What the client may do.

    // What the slot waits for.

    /// Returns whether the application holds up the client: it holds messages, or takes no events.
    pub(super) fn is_held_up(&self) -> bool {
        self.held > 0 || self.stalled != 0
    }

    /// Returns whether the application still holds data of a client that has disconnected.
    pub(super) fn holds_data(&self) -> bool {
        let inbound = self.inbound.as_ref();
        let untaken = inbound.is_some_and(|inbound| inbound.undelivered != 0);
        self.held > 0 || untaken
    }

    /// Returns what the socket must be watched for while the slot is idle.
    pub(super) fn interest(&self) -> Interest {
        if self.is_plain() && !self.is_held_up() {
            return Interest::READ;
        }
        let mut interest = Interest::empty();
        let blocked = self.output.is_blocked();
        let unsent = blocked || self.output.has_caller();
        // Before its request is answered, a client need not send more, and can send only as much as there is room for.
        let has_room = || {
            let inbound = self.inbound.as_ref();
            inbound.is_some_and(|inbound| inbound.incoming.has_room())
        };
        let reads = self.phase != Phase::Dead
            && !self.is_held_up()
            && !unsent
            && (self.asked <= Asked::Now || self.asked == Asked::Page && P::PAGES || has_room());
        interest.set(Interest::READ, reads);
        // A socket may be writable although the network has no buffers.
        interest.set(Interest::WRITE, blocked && !self.output.is_starved());
        interest
    }

    /// Returns whether a page was not sent completely.
    pub(super) fn sends_page(&self) -> bool {
        P::PAGES && self.asked == Asked::Page && self.output.pending()
    }

    /// Returns since when the connection is idle and does not need its slot: it is silent in its opening phase, its
    /// request was answered, or close frames were sent both ways. `None` if it must not be closed to make room.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.owner != Owner::Idle || self.is_held_up() {
            return None;
        }
        let is_over = match self.asked {
            Asked::No | Asked::Page => true,
            // A client sends nothing behind its close frame. What it sends otherwise would reset a connection that is
            // closed already, and it could lose what was sent to it.
            Asked::Accepted => self.has_closed(),
            Asked::Now | Asked::Waiting | Asked::PutOff => false,
        };
        match self.phase {
            Phase::Handshake if is_over => Some(self.heard),
            // By then our side is shut, and nothing is kept by TLS either.
            Phase::Lingering if is_over && self.shut != Shut::No => Some(self.since),
            _ => None,
        }
    }

    /// Returns whether the last that was received is a close frame.
    fn has_closed(&self) -> bool {
        let inbound = self.inbound.as_ref();
        inbound.is_some_and(|inbound| matches!(inbound.step, Step::Close { .. }))
    }

    /// Returns when the connection of a client that had connected ends, if it is in its closing handshake.
    pub(super) fn ends_at(&self, settings: &Settings) -> Option<Instant> {
        let ends = self.asked == Asked::Accepted
            && matches!(self.phase, Phase::CloseSent | Phase::Lingering);
        ends.then(|| self.since + settings.close_timeout_ms())
    }

    /// Returns whether a frame was refused, and one of `thread` would be accepted now, provided that a block is free.
    pub(super) fn can_send_again(&self, thread: impl FnOnce() -> usize) -> bool {
        self.output.was_refused()
            && self.output.is_clear()
            && (!self.outgoing.is_fragmented() || self.fragment_thread == thread())
    }

    /// Returns whether `payload` is exactly the text being delivered, which is valid UTF-8.
    pub(super) fn is_own_text(&self, payload: &[u8]) -> bool {
        self.delivering.is_some_and(|delivering| {
            let same = (delivering.address.get(), delivering.len)
                == (payload.as_ptr() as usize, payload.len());
            delivering.marks.contains(Marks::TEXT) && same
        })
    }

    /// Returns the position of `payload` in the receive buffer, if it is (part of) the message being delivered.
    pub(super) fn own_range(&self, payload: &[u8]) -> Option<Range<usize>> {
        let delivering = self.delivering.as_ref()?;
        if payload.is_empty() {
            // An empty payload is always part of it.
            return Some(delivering.start..delivering.start);
        }
        let offset = (payload.as_ptr() as usize).checked_sub(delivering.address.get())?;
        let end = offset.checked_add(payload.len())?;
        if end > delivering.len {
            return None;
        }
        let start = delivering.start;
        Some(start.checked_add(offset)?..start.checked_add(end)?)
    }

    /// Returns whether nothing was received behind the message being delivered.
    pub(super) fn delivers_last(&self) -> bool {
        self.delivering
            .is_some_and(|delivering| delivering.marks.contains(Marks::LAST))
    }
}

//! A client slot: who works on it, how far its connection is, and when that has to change.
//!
//! Every transition is a method of [`Inner`], called with the slot's lock held; ARCHITECTURE.md has
//! the table of them.

use core::ops::Range;

use super::admit::Opening;
use super::bucket::Bucket;
use super::config::{Config, Limits};
use super::event::{ClientId, EventMask, MAX_SINKS};
use super::output::Output;
use super::port::{Instant, Interest, Lock, Port, Socket};
use super::stats::Traffic;
use crate::protocol::{CloseCode, Incoming, OVERHEAD, Outgoing, Step};

/// A place for one client, with its receive buffer.
pub struct Slot<P: Port> {
    inner: P::Lock<Inner<P>>,
}

pub(super) type Guard<'a, P> = <<P as Port>::Lock<Inner<P>> as Lock<Inner<P>>>::Guard<'a>;

impl<P: Port> Slot<P> {
    /// A free slot. Its largest message has [`OVERHEAD`] bytes less than `storage`, which must have
    /// at least [`MIN_STORAGE`](Self::MIN_STORAGE).
    pub fn new(storage: P::Storage) -> Self {
        Self {
            inner: P::Lock::new(Inner::new(storage)),
        }
    }

    /// The smallest storage that works: the longest character has to fit in a piece of text.
    pub const MIN_STORAGE: usize = OVERHEAD + 4;

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

/// Who works on the slot. Whoever finds it `Idle` or takes it from the work queue is alone with the
/// incoming half until it parks the slot again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's: no connection.
    Free,
    /// Nothing to do until the socket is ready (polled), or the application releases a message or
    /// takes events (held), or a deadline comes.
    Idle,
    /// Its work item is on the work queue.
    Queued,
    /// Its work item runs.
    Running,
    /// Its work item runs, and has to run again: something happened meanwhile.
    RunningAgain,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Reading the opening request.
    Handshake,
    /// Frames go both ways.
    Open,
    /// Our close frame is sent or queued; the client's is awaited.
    CloseSent,
    /// Everything is said: once our output has gone our side is shut, and what still comes is
    /// dropped until the client closes, so that it gets to see what we sent last.
    Lingering,
    /// The connection is gone; what remains is to tell.
    Dead,
}

/// Whether the application was asked about the opening request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Not yet, or it has answered.
    No,
    /// It is being asked.
    Now,
    /// It answers later.
    Waiting,
}

/// Whether our side of the connection is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// Not yet.
    No,
    /// The client can see that nothing more comes.
    Half,
    /// That cannot be said on this socket without closing it.
    Never,
}

/// The incoming half, in the hands of whoever owns the slot.
pub(super) struct Inbound<P: Port> {
    pub incoming: Incoming<P::Storage>,
    /// What was received last, with the sinks (a bit each) that have not got it yet.
    pub undelivered: Option<(Step, u8)>,
    /// Where the payload of a ping is that has not been answered, since other output was in the way.
    /// Nothing is parsed or received before it is.
    pub unanswered: Option<Range<usize>>,
}

impl<P: Port> Inbound<P> {
    /// How much of the receive buffer can be lent: nothing while a step speaks of its bytes.
    pub fn spare(&mut self) -> usize {
        if self.undelivered.is_some() || self.unanswered.is_some() {
            return 0;
        }
        self.incoming.spare()
    }
}

/// The message that the callback is being given, to know it when it is sent back.
#[derive(Clone, Copy)]
pub(super) struct Delivering {
    pub address: usize,
    pub len: usize,
    pub start: usize,
    /// It was checked to be UTF-8.
    pub is_text: bool,
}

pub(super) struct Inner<P: Port> {
    pub owner: Owner,
    pub phase: Phase,
    pub asked: Asked,
    /// How often it ran in a row, each time with more to receive.
    pub runs: u8,
    pub generation: u16,
    pub inbound: Option<Inbound<P>>,
    pub socket: Option<P::Socket>,
    pub outgoing: Outgoing,
    /// The thread whose fragmented message is being sent.
    pub fragment_thread: usize,
    pub output: Output<P>,
    /// State events that each sink is still to be told.
    pub pending: [EventMask; MAX_SINKS],
    pub delivering: Option<Delivering>,
    /// Messages that the application has not released.
    pub held: u32,
    /// The sinks (a bit each) that had no room when they were last given an event.
    pub stalled: u8,
    pub shut: Shut,
    pub watched: Interest,
    /// When the phase began.
    pub since: Instant,
    /// When the client was last heard of, or last let off being silent.
    pub heard: Instant,
    pub pinged: Instant,
    /// The last keep-alive ping that was sent, and the last one that was answered, by their numbers.
    pub keep_alive: (u8, u8),
    /// Whom it is with, where that is asked.
    pub peer: Option<<P::Socket as Socket>::Peer>,
    /// A token is a control frame.
    pub control_frames: Bucket,
    /// Pings sent that may still be answered.
    pub pings: u16,
    /// Since when the application keeps the client waiting.
    pub held_since: Instant,
    /// The timer is set no later than this on behalf of this slot.
    pub covered: Instant,
    /// Of all clients that were here.
    pub traffic: Traffic,
}

/// What a deadline that came due asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not come yet.
    NotYet,
    /// A keep-alive ping is to be sent.
    Ping,
    /// The client was silent for too long.
    Silent,
    /// The connection is being cut off.
    Aborted,
    /// The connection ends as it should.
    Over,
}

impl<P: Port> Inner<P> {
    fn new(storage: P::Storage) -> Self {
        let incoming = Incoming::new(storage, 0, false);
        Self {
            owner: Owner::Free,
            phase: Phase::Dead,
            asked: Asked::No,
            runs: 0,
            generation: 0,
            inbound: Some(Inbound {
                incoming,
                undelivered: None,
                unanswered: None,
            }),
            socket: None,
            outgoing: Outgoing::default(),
            fragment_thread: 0,
            output: Output::new(),
            pending: [EventMask::empty(); MAX_SINKS],
            delivering: None,
            held: 0,
            stalled: 0,
            shut: Shut::No,
            watched: Interest::empty(),
            since: Instant(0),
            heard: Instant(0),
            pinged: Instant(0),
            keep_alive: (0, 0),
            peer: None,
            control_frames: Bucket::full(),
            pings: 0,
            held_since: Instant(0),
            covered: Instant::NEVER,
            traffic: Traffic::default(),
        }
    }

    pub fn id(&self, slot: usize) -> ClientId {
        ClientId::new(slot, self.generation)
    }

    // Who works on the slot.

    /// Free: makes the incoming half ready for a connection of which this was received already. False
    /// if that is too long.
    pub fn prepare(&mut self, config: &Config, received: &[u8], opening: Opening) -> bool {
        self.inbound.as_mut().is_some_and(|inbound| {
            inbound.undelivered = None;
            inbound.unanswered = None;
            let incoming = &mut inbound.incoming;
            incoming.restart(config.handshake_limit, config.streaming);
            if P::LIMITS.contains(Limits::FRAGMENTS) {
                incoming.limit_fragments(config.fragments_per_message);
            }
            if opening == Opening::Upgraded {
                incoming.skip_request();
            }
            incoming.preload(received)
        })
    }

    /// Free → Queued: a connection was accepted, for which the slot is prepared.
    pub fn occupy(&mut self, socket: P::Socket, now: Instant, masks: &[EventMask; MAX_SINKS]) {
        self.owner = Owner::Queued;
        self.phase = Phase::Handshake;
        self.asked = Asked::No;
        self.runs = 0;
        self.socket = Some(socket);
        self.outgoing = Outgoing::default();
        self.output = Output::new();
        self.shut = Shut::No;
        self.stalled = 0;
        self.watched = Interest::empty();
        self.since = now;
        self.keep_alive = (0, 0);
        if P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            self.control_frames = Bucket::full();
            self.pings = 0;
        }
        self.covered = Instant::NEVER;
        self.tell(EventMask::CONNECTING, masks);
    }

    /// Asks for the work item to run: true if it has to be put on the work queue for that.
    pub fn kick(&mut self) -> bool {
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
    pub fn start(&mut self) -> Option<Inbound<P>> {
        if self.owner != Owner::Queued {
            return None;
        }
        let inbound = self.inbound.take()?;
        self.owner = Owner::Running;
        Some(inbound)
    }

    /// Running, with more to receive: whether it may run again before the others were polled for.
    pub fn may_run_again(&mut self) -> bool {
        self.runs = self.runs.saturating_add(1);
        let may = P::RUNS_IN_A_ROW.is_none_or(|most| self.runs < most);
        if !may {
            self.runs = 0;
        }
        may
    }

    /// Running: gives up what of the receive buffer nobody reads any more, the opening request or what
    /// follows the last frame.
    pub fn finish_reading(&self, inbound: &mut Inbound<P>) {
        match self.phase {
            _ if self.has_pending(EventMask::CONNECTED) => {}
            Phase::Handshake => {}
            Phase::Open | Phase::CloseSent => inbound.incoming.upgrade(),
            Phase::Lingering | Phase::Dead => inbound.incoming.end(),
        }
    }

    /// Running → Idle, or Queued if something happened meanwhile: true if the work item has to be
    /// put on the work queue again.
    pub fn park(&mut self, inbound: Inbound<P>) -> bool {
        self.inbound = Some(inbound);
        let again = self.owner == Owner::RunningAgain;
        self.owner = if again { Owner::Queued } else { Owner::Idle };
        again
    }

    /// Running → Free: the connection is gone and everybody knows.
    pub fn vacate(&mut self, inbound: Inbound<P>) {
        self.inbound = Some(inbound);
        self.owner = Owner::Free;
        self.generation = self.generation.wrapping_add(1);
        self.held = 0;
        self.pending = [EventMask::empty(); MAX_SINKS];
    }

    // How far the connection is.

    /// Notes a state event for every sink that wants it.
    pub fn tell(&mut self, event: EventMask, masks: &[EventMask; MAX_SINKS]) {
        for (pending, mask) in self.pending.iter_mut().zip(masks) {
            *pending |= event & *mask;
        }
    }

    /// Whether some sink is still to be told this state event.
    pub fn has_pending(&self, event: EventMask) -> bool {
        self.pending.iter().any(|pending| pending.contains(event))
    }

    /// Whether the application may answer the opening request now.
    pub fn awaits_answer(&self) -> bool {
        self.phase == Phase::Handshake && self.asked == Asked::Waiting
    }

    /// Handshake → Open: the 101 response is on its way.
    pub fn open(&mut self, now: Instant, masks: &[EventMask; MAX_SINKS]) {
        self.phase = Phase::Open;
        (self.since, self.heard, self.pinged) = (now, now, now);
        self.tell(EventMask::CONNECTED, masks);
    }

    /// On to a later phase. Every connection passes out of `Handshake` or `Open` once, and tells
    /// CLOSING then.
    pub fn advance(&mut self, phase: Phase, now: Instant, masks: &[EventMask; MAX_SINKS]) {
        if phase <= self.phase {
            return;
        }
        if self.phase <= Phase::Open {
            self.tell(EventMask::CLOSING, masks);
        }
        self.phase = phase;
        self.since = now;
        if phase == Phase::Dead {
            self.tell(EventMask::CLOSED, masks);
        }
    }

    /// Starts the closing handshake, or answers it, with a close frame behind all other output.
    pub fn close(
        &mut self,
        code: Option<CloseCode>,
        phase: Phase,
        now: Instant,
        masks: &[EventMask; MAX_SINKS],
    ) {
        if self.phase == Phase::Open {
            self.output.close(code);
        }
        self.advance(phase, now, masks);
    }

    // What it may do.

    /// A ping was sent, and may be answered.
    pub fn ping_sent(&mut self) {
        if P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            self.pings = self.pings.saturating_add(1);
        }
    }

    /// Whether this keep-alive ping was sent and not answered yet. It is then, and so are those before it, which
    /// a client need not answer (RFC 6455 section 5.5.3).
    pub fn keep_alive_answered(&mut self, count: u8) -> bool {
        let (last, answered) = self.keep_alive;
        let is_open = last.wrapping_sub(count) < last.wrapping_sub(answered);
        if is_open {
            self.keep_alive = (last, count);
        }
        is_open
    }

    /// Whether the client may send this control frame: one that was asked for, or no more in a second
    /// than the limit.
    pub fn allows_control(&mut self, step: &Step, config: &Config, now: Instant) -> bool {
        if !P::LIMITS.contains(Limits::CONTROL_FRAMES) {
            return true;
        }
        if matches!(step, Step::Pong(_)) && self.pings > 0 {
            self.pings = self.pings.saturating_sub(1);
            return true;
        }
        let rate = config.control_frames_per_second;
        self.control_frames.take(rate, now)
    }

    // What it waits for.

    /// The application keeps the client waiting: it holds messages or takes no events.
    pub fn is_held_up(&self) -> bool {
        self.held > 0 || self.stalled != 0
    }

    /// A sink took an event.
    pub fn taken(&mut self, sink: usize, now: Instant) {
        let bit = 1 << sink;
        if self.stalled & bit != 0 {
            self.stalled &= !bit;
            self.held_since = now;
            // The client had no chance to be heard while it was held up.
            self.heard = now;
        }
    }

    /// The application keeps what was received from a client that is gone.
    fn holds_data(&self) -> bool {
        let inbound = self.inbound.as_ref();
        let untaken = inbound.is_some_and(|inbound| inbound.undelivered.is_some());
        self.held > 0 || untaken
    }

    /// What the socket has to be watched for while the slot is idle.
    pub fn interest(&self) -> Interest {
        let mut interest = Interest::empty();
        let unsent = self.output.blocked || self.output.caller;
        // Before its request is answered a client need not send more, and can only for as much as there
        // is room for.
        let has_room = || {
            let inbound = self.inbound.as_ref();
            inbound.is_some_and(|inbound| inbound.incoming.has_room())
        };
        let reads = self.phase != Phase::Dead
            && !self.is_held_up()
            && !unsent
            && (!self.awaits_answer() || has_room());
        interest.set(Interest::READ, reads);
        interest.set(Interest::WRITE, self.output.blocked);
        interest
    }

    /// When something has to be done although nothing happens.
    pub fn next_deadline(&self, config: &Config) -> Instant {
        match self.phase {
            _ if self.owner == Owner::Free => Instant::NEVER,
            // The rest of its request may wait to be received.
            Phase::Handshake if self.owner != Owner::Idle => Instant::NEVER,
            Phase::Handshake => self.since + config.handshake_timeout_ms,
            Phase::Open => {
                let (sending, waiting) = self.waiting_deadlines(config);
                sending.min(waiting)
            }
            Phase::CloseSent | Phase::Lingering => self.since + config.close_timeout_ms,
            Phase::Dead if self.holds_data() => self.held_since + config.hold_timeout_ms,
            Phase::Dead => Instant::NEVER,
        }
    }

    /// In phase `Open`: when output has to have gone, and when the application has to have released
    /// something or else the client has to be heard of.
    fn waiting_deadlines(&self, config: &Config) -> (Instant, Instant) {
        // A sender in the middle of its frame minds its own deadline.
        let sending = if self.output.blocked && !self.output.caller {
            self.output.since + config.send_timeout_ms
        } else {
            Instant::NEVER
        };
        let waiting = if self.is_held_up() {
            self.held_since + config.hold_timeout_ms
        } else if self.output.blocked || self.owner != Owner::Idle {
            // Not read from, so its silence says nothing; or it may have said something.
            Instant::NEVER
        } else {
            let silence = self.heard + config.client_timeout_ms;
            match config.ping_interval() {
                0 => silence,
                interval => silence.min(self.heard.max(self.pinged) + interval),
            }
        };
        (sending, waiting)
    }

    /// Whether the client is cut off if its connection ends now: it has not finished the closing handshake,
    /// or not taken what was sent. One that the application has held up was counted before.
    pub fn is_cut_off(&self) -> bool {
        match self.phase {
            Phase::CloseSent => true,
            Phase::Lingering => self.output.blocked && !self.is_held_up(),
            _ => false,
        }
    }

    /// Does what is due at `now`.
    pub fn expire(&mut self, now: Instant, config: &Config, masks: &[EventMask; MAX_SINKS]) -> Due {
        if now < self.next_deadline(config) {
            return Due::NotYet;
        }
        match self.phase {
            Phase::Handshake => {
                self.tell(EventMask::TIMEOUT, masks);
                self.advance(Phase::Dead, now, masks);
                Due::Silent
            }
            Phase::Open if now >= self.waiting_deadlines(config).0 => {
                self.advance(Phase::Dead, now, masks);
                Due::Aborted
            }
            Phase::Open if self.is_held_up() => {
                self.close(
                    Some(CloseCode::INTERNAL_ERROR),
                    Phase::Lingering,
                    now,
                    masks,
                );
                Due::Aborted
            }
            Phase::Open if now >= self.heard + config.client_timeout_ms => {
                self.tell(EventMask::TIMEOUT, masks);
                self.close(Some(CloseCode::NORMAL), Phase::CloseSent, now, masks);
                Due::Silent
            }
            Phase::Open => {
                self.pinged = now;
                Due::Ping
            }
            Phase::CloseSent | Phase::Lingering => {
                let aborted = self.is_cut_off();
                self.advance(Phase::Dead, now, masks);
                if aborted { Due::Aborted } else { Due::Over }
            }
            Phase::Dead => {
                // The application had its time; what it still holds, or has not taken, is void.
                self.held = 0;
                if let Some(inbound) = &mut self.inbound {
                    inbound.undelivered = None;
                }
                Due::Over
            }
        }
    }

    /// Whether a frame was refused, and one from `thread` would not be again, a free block assumed.
    pub fn can_send_again(&self, thread: usize) -> bool {
        let fragmented = self.outgoing.is_fragmented() && self.fragment_thread != thread;
        self.output.refused && self.output.is_clear() && !fragmented
    }

    /// Whether `payload` is the whole of the text being delivered, which was checked to be UTF-8.
    pub fn is_own_text(&self, payload: &[u8]) -> bool {
        self.delivering.is_some_and(|delivering| {
            let same =
                (delivering.address, delivering.len) == (payload.as_ptr() as usize, payload.len());
            delivering.is_text && same
        })
    }

    /// Where `payload` lies in the receive buffer, if it is (part of) the message being delivered.
    pub fn own_range(&self, payload: &[u8]) -> Option<Range<usize>> {
        let delivering = self.delivering?;
        if payload.is_empty() {
            // No bytes, which are anywhere.
            return Some(delivering.start..delivering.start);
        }
        let offset = (payload.as_ptr() as usize).checked_sub(delivering.address)?;
        let end = offset.checked_add(payload.len())?;
        if end > delivering.len {
            return None;
        }
        let start = delivering.start;
        Some(start.checked_add(offset)?..start.checked_add(end)?)
    }
}

impl<P: Port> Inbound<P> {
    /// The bytes that a step speaks of.
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.incoming.bytes(range.clone())
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The service: client slots, events, keep-alive, back-pressure and limits, over a [`Port`].
//!
//! Three kinds of threads meet here, and the port runs the first two:
//!
//! - the *serving thread* in [`Service::serve`]: it waits for sockets and deadlines, accepts
//!   connections, and finds out which clients are ready (`serve.rs`);
//! - whatever runs *work items* by [`Service::run`]: a work queue, or the serving thread itself
//!   ([`Port::INLINE`]), and on a host further loops. An item receives, parses, delivers events and sends
//!   the answers of one client; no two threads run the same client (`run.rs`);
//! - *application threads* calling [`Service::send`], [`Service::close`], … (`send.rs`).
//!
//! They share the slots (`slot.rs`), each behind its own lock. No lock is held while an event is
//! delivered, and never two slots' locks at once; inside a slot's lock only the locks of the pool
//! and of the shared state are taken, each on its own.

mod admit;
mod announce;
mod bucket;
mod clients;
mod config;
mod event;
mod inbound;
mod logins;
mod opening;
mod output;
mod pages;
mod pool;
mod port;
mod queue;
mod run;
mod send;
mod serve;
mod slot;
mod stats;
mod stop;
mod time;
mod tls;
mod verdict;

pub use admit::{AdoptError, Opening};
pub use config::{Config, Limits, TooLong};
pub use event::{ClientId, Event, EventMask, MAX_SINKS, Message};
pub use inbound::Inbound;
pub use logins::{Login, LoginTable};
pub use pool::Pool;
pub use port::{Interest, Lock, Port, Ready, Socket, SocketError, Work};
pub use queue::{Entry, KeptEvent, Queue, QueueSink, QueueState, QueueStorage, RecvError};
pub use send::{MAX_VECTORED, SendError, Target};
pub use serve::Serving;
pub use slot::{Inner as SlotState, Slot};
pub use stats::{Stats, Traffic};
pub use time::{Instant, MAX_LIMIT_MS, TIMER_GRANULARITY_MS};
pub use verdict::{Answer, AnswerError, Answered, Verdict};

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use crate::protocol::{OriginMatch, Page, Request};
use bucket::Bucket;
use config::Settings;
use slot::{Asked, Guard, Inner, Owner, Phase};
use stats::{Counter, Counters};
use stop::Life;

/// How long all output is paused when the network has no buffers, in milliseconds.
const PAUSE_MS: u32 = TIMER_GRANULARITY_MS;

/// The most lines about clients in the log in a second.
const LOG_LINES: u16 = 10;

/// How far a client's connection is (the C interface's `SYS_WSS_STATE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// There is no such client.
    Closed,
    /// The connection is ending.
    Closing,
    /// The opening handshake is under way.
    Connecting,
    /// Messages can be sent.
    Connected,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is done with; the bytes it spoke of are free.
    Done,
    /// It was taken, and its bytes must stay until [`Service::release`] for it.
    Held,
    /// There was no room; it is delivered again after [`Service::room`].
    Full,
}

/// The application of a service, which receives the events.
pub trait Application<P: Port>: Sized {
    /// Whether [`tick`](Self::tick) does anything. If not, there is no code for it.
    const TICKS: bool = false;

    /// Returns which events each sink wants. A sink that is not there wants none. Called on any thread, with a lock
    /// of the service held: it must not wait, nor call the service.
    fn masks(&self) -> [EventMask; MAX_SINKS];

    /// Whether responses may have header fields and challenges of the application's, see [`Verdict::fields`] and
    /// [`Verdict::challenge`]. If not, there is no code for that, and such an answer is not possible.
    const RESPONSE_FIELDS: bool = false;

    /// Returns the names of the header fields that [`accept`](Self::accept) needs, separated by spaces and compared
    /// without regard to case: `"Authorization Cookie"`. They have to pass
    /// [`check_field_names`](crate::protocol::check_field_names) and to stay the same. The values are kept in the
    /// client's receive buffer, which has to have room for them. Where this is a constant that is empty, there is no
    /// code for it.
    #[inline(always)]
    fn request_fields(&self) -> &str {
        ""
    }

    /// Whether the service refuses pages of other origins where there is no list of origins. If not, there is no code
    /// for that: for an application that does it in [`match_origin`](Self::match_origin).
    const CHECKS_SAME_ORIGIN: bool = true;

    /// Returns what the list of origins that may connect says about a request. Without a list
    /// ([`OriginMatch::NoList`]), clients without an origin and pages of the server itself may connect, see
    /// [`Verdict::any_origin`]. Called before [`accept`](Self::accept) and when it is answered, perhaps with a lock
    /// of the service held: it must not wait, nor call the service. By default there is no code for origins.
    #[inline(always)]
    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        let _ = request;
        OriginMatch::Listed
    }

    /// Returns the page with this number, from 0 without gaps, of which there are at most 65,535. They have to stay
    /// the same while the service serves. Only where [`Port::PAGES`] is set. Called with a lock of the service held:
    /// it must not wait, nor call the service.
    #[inline(always)]
    fn page(&self, number: usize) -> Option<Page<'_>> {
        let _ = number;
        None
    }

    /// Decides on an opening request, or on a request for a page ([`Request::is_page`]), whatever its path. One that
    /// is accepted gets the page, or 404 if there is none. Called on the work queue. The response is sent when the
    /// answer is given; what is not answered is refused with 500.
    fn accept(&self, client: ClientId, request: &Request<'_>, answer: Answer<'_>);

    /// Delivers an event to a sink; `client` is `None` for events of the service as a whole. Called
    /// on the work queue with no lock held; every method of the service may be called from inside.
    fn deliver(
        &self,
        service: &Service<P, Self>,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery;

    /// Whether a whole text that only one sink wants goes to [`deliver_text`](Self::deliver_text) instead of
    /// [`deliver`](Self::deliver). If not, there is no code for that. The storage needs a byte in
    /// [`FRONT`](crate::protocol::Storage::FRONT).
    const WRITES_TEXT: bool = false;

    /// Delivers a whole text to the only sink that wants it, as [`deliver`](Self::deliver). `text` is its bytes and a
    /// NUL behind them, which are the application's until this returns, or with [`Delivery::Held`] until
    /// [`Service::release`]: there is no reference to them, and it may write to all of them. What is sent of them is
    /// checked to be UTF-8 again. Only sink 0 may send them back from where they are, and leaves them as they are
    /// after that; the others are queues, which hold messages.
    fn deliver_text(
        &self,
        service: &Service<P, Self>,
        sink: usize,
        client: ClientId,
        text: NonNull<[u8]>,
    ) -> Delivery {
        let _ = (service, sink, client, text);
        Delivery::Done
    }

    /// Runs every [`Config::tick_ms`] milliseconds, on the work queue with no lock held: every method of
    /// the service may be called from inside. Never twice at a time; a call that would be late by a whole
    /// period is left out, and so are those after [`Service::stop`]. Only where [`TICKS`](Self::TICKS) is set.
    fn tick(&self, service: &Service<P, Self>) {
        let _ = service;
    }

    /// Handles the end of the service: every event was delivered, except to a callback that did not return in time.
    /// Called on the serving thread by [`Service::serve`].
    fn ended(&self) {}
}

/// A WebSocket server.
pub struct Service<P: Port, A: Application<P>> {
    port: P,
    application: A,
    settings: Settings,
    slots: P::Slots,
    /// The size of each block of the pool, in bytes.
    block_size: AtomicUsize,
    first_generation: AtomicU32,
    pool: P::Lock<Pool<P>>,
    shared: P::Lock<Shared<P::Logins>>,
    /// Until when all output is paused, because the network has no buffers; 0: it is not. Read with a
    /// slot's lock held.
    paused_until: AtomicU32,
    /// The application's tick is due.
    tick_due: AtomicBool,
}

/// What all threads share beside the slots, behind its lock.
pub struct Shared<L> {
    life: Life,
    /// Slots in use or set aside, and the lowest slot that may be free.
    used: usize,
    lowest: usize,
    /// When the timer is set for.
    timer: Option<Instant>,
    /// Events of the service that each sink has yet to get.
    pending: [EventMask; MAX_SINKS],
    counters: Counters,
    most_clients: u32,
    /// A token is a line about a client in the log.
    log_lines: Bucket,
    /// Lines that were left out since the last one.
    lines_left_out: u32,
    /// Failed logins by address.
    logins: L,
}

impl<L: LoginTable> Shared<L> {
    /// Of a service that was never opened. All zeros, so that a static one takes no flash.
    pub const NEW: Self = Self {
        life: Life::Stopped,
        used: 0,
        lowest: 0,
        timer: None,
        pending: [EventMask::empty(); MAX_SINKS],
        counters: Counters::NONE,
        most_clients: 0,
        log_lines: Bucket::full(),
        lines_left_out: 0,
        logins: L::NEW,
    };
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Creates a service for as many clients as there are slots. It needs memory, see [`equip`](Self::equip), and
    /// serves from [`open`](Self::open) until [`stop`](Self::stop).
    pub const fn new(
        port: P,
        application: A,
        slots: P::Slots,
        pool: P::Lock<Pool<P>>,
        shared: P::Lock<Shared<P::Logins>>,
    ) -> Self {
        Self {
            port,
            application,
            settings: Settings::new(),
            slots,
            block_size: AtomicUsize::new(0),
            first_generation: AtomicU32::new(0),
            pool,
            shared,
            paused_until: AtomicU32::new(0),
            tick_due: AtomicBool::new(false),
        }
    }

    /// Gives the service its memory: for each slot an incoming half, and blocks for output that clients do
    /// not take at once. The blocks are of one size: the largest frame that can be sent without waiting. To be
    /// called once.
    #[inline(never)] // for size
    pub fn equip(&self, mut inbound: impl FnMut() -> P::Inbound, blocks: P::Blocks) {
        let slots = self.slots.as_ref();
        for (index, slot) in slots.iter().enumerate() {
            self.port.place_lock(slot.monitor(), index);
            slot.lock().inbound = Some(inbound());
        }
        self.port.place_lock(&self.pool, slots.len());
        self.port
            .place_lock(&self.shared, slots.len().saturating_add(1));
        let block_size = self.pool.lock().equip(blocks);
        self.block_size.store(block_size, Relaxed);
    }

    /// Begins to serve, with these limits and new statistics. The first clients have this generation: an owner
    /// that keeps ids for longer passes [`next_generation`](Self::next_generation). Returns false if the
    /// service serves already, or if work for a client of the time before (a callback) was not finished when
    /// it stopped, and still is not.
    pub fn open(&self, config: &Config, generation: u32) -> bool {
        let mut shared = self.shared.lock();
        if shared.life != Life::Stopped || shared.used > 0 {
            return false;
        }
        self.settings.set(config);
        // Each by itself: as a whole they would lie in flash, all zeros.
        shared.life = Life::Serving;
        shared.lowest = 0;
        shared.timer = None;
        shared.pending = [EventMask::empty(); MAX_SINKS];
        shared.counters = Counters::NONE;
        shared.logins = P::Logins::NEW;
        shared.most_clients = 0;
        drop(shared);
        self.pool.lock().restart();
        self.paused_until.store(0, Relaxed);
        self.tick_due.store(false, Relaxed);
        self.first_generation.store(generation, Relaxed);
        for slot in self.slots.as_ref() {
            let mut inner = slot.lock();
            inner.generation = generation;
            inner.traffic = Traffic::NONE;
        }
        true
    }

    /// Returns the port.
    pub const fn port(&self) -> &P {
        &self.port
    }

    /// Returns the application.
    pub const fn application(&self) -> &A {
        &self.application
    }

    /// Returns how many clients there may be.
    pub fn max_clients(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// Returns a generation that no client has had since the service was opened: ids of those that come after it
    /// differ. Call it after [`stop`](Self::stop), when no further client gets a slot.
    pub fn next_generation(&self) -> u32 {
        let first = self.first_generation.load(Relaxed);
        let slots = self.slots.as_ref().iter();
        let used = slots.map(|slot| slot.lock().generation.wrapping_sub(first));
        first.wrapping_add(used.max().unwrap_or(0)).wrapping_add(1)
    }

    /// Returns what the service has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let shared = self.shared.lock();
        shared.counters.write_to(&mut stats);
        stats.most_clients = shared.most_clients;
        drop(shared);
        for slot in self.slots.as_ref() {
            stats.traffic.add(&slot.lock().traffic);
        }
        (stats.blocks_used, stats.most_blocks) = self.pool.lock().used();
        stats
    }

    /// Releases a message of this client that was taken with [`Delivery::Held`]. Once all are
    /// released, the client is received from again.
    pub fn release(&self, client: ClientId) {
        let index = client.slot();
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut inner = slot.lock();
        if inner.generation != client.generation() || inner.held == 0 {
            return;
        }
        inner.held = inner.held.saturating_sub(1);
        inner.held_since = self.port.now();
        if inner.held == 0 {
            // The client had no chance to be heard while it was held up.
            let now = inner.held_since;
            inner.hear(now);
            self.kick(index, &mut inner);
        }
    }

    /// Calls `read` if a message of this client, taken with [`Delivery::Held`], is still held. Until
    /// that returns the bytes that are held stay as they are, even if the client is cut off; it must
    /// not call the service.
    pub fn while_held<T>(&self, client: ClientId, read: impl FnOnce() -> T) -> Option<T> {
        let inner = self.slot(client.slot())?.lock();
        (inner.generation == client.generation() && inner.held > 0).then(read)
    }

    /// Notifies the service that a sink that was [`Delivery::Full`] has room again.
    pub fn room(&self) {
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            // One that runs may just have found that there is no room.
            if inner.stalled != 0 || inner.owner == Owner::Running {
                self.kick(index, &mut inner);
            }
        }
        self.port.submit(Work::Service);
    }

    fn slot(&self, index: usize) -> Option<&Slot<P>> {
        self.slots.as_ref().get(index)
    }

    /// Adds one to a counter.
    #[inline(never)] // for size
    fn count(&self, counter: Counter) {
        self.shared.lock().counters.add(counter);
    }

    /// Logs a line about a client, but no more than some in a second. Called with no lock held, since a logger
    /// may send what it is given.
    fn log_client(&self, line: core::fmt::Arguments<'_>) {
        let now = self.port.now();
        let mut shared = self.shared.lock();
        if !shared.log_lines.take(LOG_LINES, now) {
            shared.lines_left_out = shared.lines_left_out.saturating_add(1);
            return;
        }
        let left_out = core::mem::take(&mut shared.lines_left_out);
        let may = left_out == 0 || shared.log_lines.take(LOG_LINES, now);
        if !may {
            shared.lines_left_out = 1;
        }
        drop(shared);
        if left_out > 0 {
            log::info!("{left_out} lines about clients were left out");
        }
        if may {
            log::info!("{line}");
        }
    }

    /// Returns the socket of a client that is connected, for [`log_connected`](Self::log_connected), if that is logged.
    fn socket_to_log(inner: &Inner<P>) -> Option<P::Socket> {
        let is_logged = log::log_enabled!(log::Level::Info) && inner.phase == Phase::Open;
        inner.socket.as_ref().filter(|_| is_logged).cloned()
    }

    /// Logs that a client is connected.
    fn log_connected(&self, client: ClientId, socket: &P::Socket) {
        if log::log_enabled!(log::Level::Info) {
            self.log_client(format_args!("{client}: connected from {}", socket.name()));
        }
    }

    /// Logs that a client that was connected has gone.
    fn log_closed(&self, client: ClientId) {
        if log::log_enabled!(log::Level::Info) {
            self.log_client(format_args!("{client}: closed"));
        }
    }

    /// Has the slot's work item run soon.
    fn kick(&self, index: usize, inner: &mut Inner<P>) {
        if inner.kick() {
            self.port.submit(Work::Client(index));
        }
    }

    /// Watches an idle slot's socket for what it waits for, and sets the timer to its next deadline.
    fn settle(&self, index: usize, inner: &mut Inner<P>) {
        if inner.owner == Owner::Idle {
            let interest = inner.interest();
            if interest != inner.watched {
                if let Some(socket) = &inner.socket {
                    self.port.watch(index, socket, interest);
                    inner.watched = interest;
                }
            }
        }
        self.set_timer(inner.uncovered_deadline(&self.settings));
    }

    /// Has the serving thread look at all deadlines at `at` or earlier, if there is one.
    fn set_timer(&self, at: Option<Instant>) {
        let Some(at) = at else {
            return;
        };
        let mut shared = self.shared.lock();
        if shared.timer.is_none_or(|timer| !at.has_reached(timer)) {
            // A deadline that has passed already is no sign of a suspension.
            let at = at.later(self.port.now());
            // Deadlines that are close together come due together.
            let at = at + (TIMER_GRANULARITY_MS - 1);
            let at = Instant(at.0 - at.0 % TIMER_GRANULARITY_MS);
            shared.timer = Some(at);
            self.port.set_timer(at);
        }
    }

    /// Has the serving thread call the application at `at`, which is not rounded, or earlier.
    fn set_tick(&self, at: Instant) {
        let mut shared = self.shared.lock();
        if shared.timer.is_none_or(|timer| !at.has_reached(timer)) {
            shared.timer = Some(at);
            self.port.set_timer(at);
        }
    }

    /// Makes sure that the output has a block, if one is free.
    fn reserve(&self, inner: &mut Inner<P>) -> bool {
        if !inner.output.has_block() {
            match self.pool.lock().take() {
                Some(block) => inner.output.give_block(block),
                None => return false,
            }
        }
        true
    }

    /// Returns whether all output is paused.
    fn is_paused(&self) -> bool {
        P::LACKS_BUFFERS && self.paused_until.load(Relaxed) != 0
    }

    /// Pauses all output after the network had no buffers for this client's: there is one pool for all.
    fn pause_if_starved(&self, inner: &Inner<P>) {
        if P::LACKS_BUFFERS && inner.output.is_starved() && !self.is_paused() {
            // Any time but 0.
            let until = Instant((self.port.now() + PAUSE_MS).0 | 1);
            self.paused_until.store(until.0, Relaxed);
            self.set_timer(Some(until));
        }
    }

    /// Returns whether the pause of all output ends now: unsent output is tried again, and WRITABLE is emitted where a
    /// frame was refused. The first that finds no buffers begins the next pause.
    fn ends_pause(&self, now: Instant) -> bool {
        let until = self.paused_until.load(Relaxed);
        let ends = P::LACKS_BUFFERS && until != 0 && now.has_reached(Instant(until));
        if ends {
            // Before the slots are looked at: what is put off from now on is of the next pause.
            self.paused_until.store(0, Relaxed);
        }
        ends
    }

    /// Gives the output's block back unless something unsent is in it.
    fn give_back(&self, inner: &mut Inner<P>) {
        if let Some(block) = inner.output.take_empty_block() {
            self.return_block(block);
        }
    }

    /// Drops everything unsent: nothing goes out any more.
    fn discard_output(&self, inner: &mut Inner<P>) {
        if let Some(block) = inner.output.discard() {
            self.return_block(block);
        }
    }

    fn return_block(&self, block: P::Storage) {
        if self.pool.lock().give(block) {
            // A send was refused because no block was free.
            self.port.submit(Work::Service);
        }
    }

    /// Sends what is unsent, as far as it goes, and lets others have their turn if all has gone.
    fn flush_output(
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
            // It was not received from meanwhile.
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

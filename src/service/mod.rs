// SPDX-License-Identifier: Apache-2.0
//! The service: client slots, events, keep-alive, back-pressure and limits, over a [`Port`].
//!
//! Three kinds of threads meet here, and the port runs the first two:
//!
//! - the *serving thread* in [`Service::serve`]: it waits for sockets and deadlines, accepts connections, and finds out
//!   which clients are ready (`serve.rs`);
//! - threads that run *work items* by [`Service::run`]: a work queue, or the serving thread itself ([`Port::INLINE`]),
//!   and on a host further loops. An item receives, parses, delivers events, and sends the answers of one client; no
//!   two threads run the same client (`run.rs`);
//! - *application threads* that call [`Service::send`], [`Service::close`], … (`send.rs`).
//!
//! They share the slots (`slot.rs`), each with its own lock. No thread holds a lock while it delivers an event, or the
//! locks of two slots at once. Inside a slot's lock, only the lock of the pool or that of the shared state is taken.

mod admit;
mod announce;
mod application;
mod bucket;
mod client_log;
mod clients;
mod config;
mod control_frames;
mod deadlines;
mod deliver;
mod event;
mod inbound;
mod keep_alive;
mod logins;
mod opening;
mod output;
mod pages;
mod pause;
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
mod write;

pub use admit::{AdoptError, Opening};
pub use application::{Application, Delivery};
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

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use bucket::Bucket;
use config::Settings;
use slot::{Inner, Owner};
use stats::{Counter, Counters};
use stop::Life;

/// The state of a client (`SYS_WSS_STATE` in the C interface).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// There is no such client.
    Closed,
    /// The connection is ending.
    Closing,
    /// The opening handshake is in progress.
    Connecting,
    /// Messages can be sent.
    Connected,
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
    /// The end of the pause of all output, while the network has no buffers; 0: there is no pause. Read with a slot's
    /// lock held.
    paused_until: AtomicU32,
    /// The application's tick is due.
    tick_due: AtomicBool,
}

/// State that all threads share besides the slots, behind its own lock.
pub struct Shared<L> {
    life: Life,
    /// Slots in use or set aside, and the lowest slot that may be free.
    used: usize,
    lowest: usize,
    /// The time that the timer is set for.
    timer: Option<Instant>,
    /// Events of the service that each sink has not received yet.
    pending: [EventMask; MAX_SINKS],
    counters: Counters,
    most_clients: u32,
    /// Has a token for each log line about a client.
    log_lines: Bucket,
    /// Log lines that were skipped since the last one.
    lines_left_out: u32,
    /// Failed logins by address.
    logins: L,
}

impl<L: LoginTable> Shared<L> {
    /// The state of a service that was never opened. All zeros, so that a static one takes no flash.
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
    /// Creates a service with a client for each slot. It needs memory, see [`equip`](Self::equip), and serves from
    /// [`open`](Self::open) until [`stop`](Self::stop).
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

    /// Sets the memory of the service: an incoming half for each slot, and blocks for output that clients do not take
    /// at once. All blocks have the same size: the largest frame that can be sent without waiting. Call this once.
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

    /// Starts to serve, with these limits and new statistics. The first clients have this generation: an owner that
    /// keeps ids for longer passes [`next_generation`](Self::next_generation). Returns false if the service runs
    /// already, or if work for a previous client (a callback) was not finished when the service stopped, and still is
    /// not.
    pub fn open(&self, config: &Config, generation: u32) -> bool {
        let mut shared = self.shared.lock();
        if shared.life != Life::Stopped || shared.used > 0 {
            return false;
        }
        self.settings.set(config);
        // One by one: as a whole, the zeros would be stored in flash.
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

    /// Returns the maximum number of clients.
    pub fn max_clients(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// Returns a generation that no client has had since the service was opened, so ids of later clients differ. Call
    /// it after [`stop`](Self::stop), when no further client gets a slot.
    pub fn next_generation(&self) -> u32 {
        let first = self.first_generation.load(Relaxed);
        let slots = self.slots.as_ref().iter();
        let used = slots.map(|slot| slot.lock().generation.wrapping_sub(first));
        first.wrapping_add(used.max().unwrap_or(0)).wrapping_add(1)
    }

    /// Returns the counters of the service.
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

    /// Releases a message of this client that was taken with [`Delivery::Held`]. When all are released, the service
    /// reads from the client again.
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
            // While the client was held up, its input was not received: that silence does not count.
            let now = inner.held_since;
            inner.hear(now);
            self.kick(index, &mut inner);
        }
    }

    /// Calls `read` if a message of this client, taken with [`Delivery::Held`], is still held. The bytes stay until
    /// `read` returns, even if the client is aborted. `read` must not call the service.
    pub fn while_held<T>(&self, client: ClientId, read: impl FnOnce() -> T) -> Option<T> {
        let inner = self.slot(client.slot())?.lock();
        (inner.generation == client.generation() && inner.held > 0).then(read)
    }

    /// Notifies the service that a sink that was [`Delivery::Full`] has room again.
    pub fn room(&self) {
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            // A work item that runs may just have found that there is no room.
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

    /// Schedules the slot's work item.
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

    /// Makes the serving thread call the application's tick at `at`, which is not rounded, or earlier.
    fn set_tick(&self, at: Instant) {
        let mut shared = self.shared.lock();
        if shared.timer.is_none_or(|timer| !at.has_reached(timer)) {
            shared.timer = Some(at);
            self.port.set_timer(at);
        }
    }
}

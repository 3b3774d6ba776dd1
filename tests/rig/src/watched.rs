// SPDX-License-Identifier: Apache-2.0
//! A server in this process: its events, its counters, and the memory.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wss::host::{Options, Server};
use wss::service::ClientState;
use wss::{ClientId, Clients, Event, MessageKind, SendError};

use crate::closure;
use crate::process::descriptors;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Memory that threads, channels, and the test harness may keep, in bytes. Far less than a receive buffer for every
/// attacker of the smallest attack.
const SLACK: usize = 8 * 1024;

/// Bytes on the heap of this process.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// A server, and the state before the first attack.
pub struct Watched {
    server: Server,
    order: Order,
    heap: usize,
    descriptors: usize,
}

impl Watched {
    /// Starts an echo server.
    pub fn start(options: &Options) -> Self {
        let order = Order::new(options);
        let told = order.clone();
        let server = order.start(options, move |clients, client, event| {
            let (kind, message) = match event {
                Event::Text(message) => (MessageKind::Text, message),
                Event::Binary(message) => (MessageKind::Binary, message),
                _ => return,
            };
            let Some(id) = client else { return };
            match clients.send(id, kind, message) {
                // The client may have disconnected.
                Ok(()) | Err(SendError::NotConnected) => {}
                Err(error) => told.wrong(format!("{id}: an echo was not sent: {error}")),
            }
        });
        Self {
            server,
            order,
            heap: usize::MAX,
            descriptors: usize::MAX,
        }
    }

    /// The server.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// From now on, memory and descriptors must be the same after each attack.
    pub fn set_baseline(&mut self) {
        (self.heap, self.descriptors) = (heap(), descriptors("self"));
    }

    /// Checks that nothing is left of any client.
    pub fn settle(&self, until: Instant) {
        let clients = self.server.clients();
        settle(clients, until, || self.more_than_before());
        let (ended, wrong) = self.order.summary();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(
            ended,
            u64::from(clients.stats().closed),
            "each is closed once"
        );
    }

    /// Returns what has grown since before the first attack.
    fn more_than_before(&self) -> Option<String> {
        let (heap, descriptors) = (heap(), descriptors("self"));
        let back = heap <= self.heap.saturating_add(SLACK) && descriptors <= self.descriptors;
        (!back).then(|| {
            format!(
                "heap {heap} of {}, descriptors {descriptors} of {}",
                self.heap, self.descriptors
            )
        })
    }
}

/// Waits until every slot of a server is free, all accepted clients have disconnected, and `left` finds nothing else
/// that is left of them.
pub fn settle(clients: &Clients, until: Instant, left: impl Fn() -> Option<String>) {
    loop {
        let stats = clients.stats();
        let mut slots = 0..clients.max_clients();
        let free = slots.all(|slot| clients.state(slot) == ClientState::Closed);
        let left = left();
        if free && stats.accepted == stats.closed && left.is_none() {
            return;
        }
        assert!(
            Instant::now() < until,
            "not as before: every slot is free: {free}, {stats:?}, {left:?}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// The order of events: every CONNECTING is followed by one CLOSING and then one CLOSED, and all other events of the
/// client are between.
#[derive(Clone)]
pub struct Order {
    shared: Arc<Mutex<Told>>,
}

struct Told {
    /// By slot.
    clients: Vec<Option<(ClientId, Stage)>>,
    ended: u64,
    wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    Connected,
    Closing,
}

impl Order {
    /// Creates it for a server with these options.
    pub fn new(options: &Options) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Told {
                clients: vec![None; options.max_clients.into()],
                ended: 0,
                wrong: Vec::new(),
            })),
        }
    }

    /// Starts a server whose events are recorded here, and then passed to `react`.
    pub fn start(
        &self,
        options: &Options,
        react: impl Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
    ) -> Server {
        let told = self.clone();
        let handler = move |clients: &Clients, client: Option<ClientId>, event: &Event<'_>| {
            told.tell(client, event);
            react(clients, client, event);
        };
        closure::start(options, handler).expect("it listens")
    }

    /// Another error.
    pub fn wrong(&self, what: String) {
        self.shared.lock().unwrap().wrong.push(what);
    }

    /// Returns how many clients have connected and disconnected, and the errors.
    pub fn summary(&self) -> (u64, Vec<String>) {
        let told = self.shared.lock().unwrap();
        (told.ended, told.wrong.clone())
    }

    /// Records an event.
    pub fn tell(&self, client: Option<ClientId>, event: &Event<'_>) {
        let Some(id) = client else { return };
        let mut told = self.shared.lock().unwrap();
        let Told {
            clients,
            ended,
            wrong,
        } = &mut *told;
        let place = &mut clients[id.slot()];
        let stage = place.and_then(|(of, stage)| (of == id).then_some(stage));
        let next = match (event, stage) {
            (Event::Connecting, None) if place.is_none() => Some(Stage::Connecting),
            (Event::Connected(_), Some(Stage::Connecting)) => Some(Stage::Connected),
            (Event::Closing, Some(Stage::Connecting | Stage::Connected)) => Some(Stage::Closing),
            (Event::Closed, Some(Stage::Closing)) => {
                *ended += 1;
                None
            }
            (Event::Timeout | Event::TlsFailed, Some(stage)) => Some(stage),
            (
                Event::Text(_)
                | Event::Binary(_)
                | Event::Ping(_)
                | Event::Pong(_)
                | Event::CloseFrame { .. }
                | Event::InvalidFrame
                | Event::Writable,
                Some(stage @ (Stage::Connected | Stage::Closing)),
            ) => Some(stage),
            _ => {
                wrong.push(format!("{id}: {event:?} after {stage:?}"));
                stage
            }
        };
        *place = next.map(|stage| (id, stage));
    }
}

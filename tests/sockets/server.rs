// SPDX-License-Identifier: Apache-2.0
//! Servers for tests, a log of the events of their handlers, and waiting for conditions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use wss::host::{Options, Server};
use wss::protocol::Opcode;
use wss::service::{ClientState, Config, Message};
use wss::{ClientId, Clients, Event, MessageKind, SendError};

use super::client::{Client, PATIENCE};
use super::closure;

/// Options with any free port, few clients, and timeouts that no test reaches unless it sets them.
pub fn options() -> Options {
    Options {
        port: 0,
        max_clients: 4,
        limits: Config {
            handshake_timeout_ms: 20_000,
            client_timeout_ms: 40_000,
            ping_interval_ms: 0,
            send_timeout_ms: 20_000,
            close_timeout_ms: 2_000,
            hold_timeout_ms: 40_000,
            ..Config::default()
        },
        ..Options::default()
    }
}

/// The same with other limits.
pub fn limited(limit: impl FnOnce(&mut Config)) -> Options {
    let mut options = options();
    limit(&mut options.limits);
    options
}

/// Starts a server whose handler records every event in the log, and echoes messages.
pub fn echo_server(options: &Options) -> (Server, Log) {
    logging_server(options, |clients, client, event| {
        if let Some(id) = client {
            echo(clients, id, event);
        }
    })
}

/// Sends a message back, or a piece of it.
pub fn echo(clients: &Clients, id: ClientId, event: &Event<'_>) {
    let (kind, message): (_, &Message<'_>) = match event {
        Event::Text(message) => (MessageKind::Text, message),
        Event::Binary(message) => (MessageKind::Binary, message),
        _ => return,
    };
    let opcode = if message.first {
        kind.into()
    } else {
        Opcode::Continuation
    };
    match clients.send_frame(id, message.last, opcode, message.bytes) {
        // The client may have disconnected.
        Ok(()) | Err(SendError::NotConnected) => {}
        Err(error) => panic!("{id}: {error}"),
    }
}

/// Starts a server whose handler records every event in the log, and then calls a function.
pub fn logging_server(
    options: &Options,
    handler: impl Fn(&Clients, Option<ClientId>, &Event<'_>) + Send + Sync + 'static,
) -> (Server, Log) {
    watch_for_panics();
    let log = Log::default();
    let told = log.clone();
    let server = closure::start(
        options,
        move |clients: &Clients, client: Option<ClientId>, event: &Event<'_>| {
            told.push(client, event);
            handler(clients, client, event);
        },
    );
    (server.unwrap(), log)
}

/// An event by its name, and its client.
type Told = (Option<ClientId>, String);

/// The events of a handler.
#[derive(Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Vec<Told>>, Condvar)>,
}

impl Log {
    fn push(&self, client: Option<ClientId>, event: &Event<'_>) {
        let name = match event {
            Event::Connected(request) => format!("connected {}", request.path()),
            Event::Text(message) => format!("text {}", message.text()),
            Event::Binary(message) => format!("binary {}", message.len()),
            Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
            Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(payload)),
            Event::CloseFrame { code, .. } => {
                format!("close frame {}", code.map_or(0, |code| code.get()))
            }
            event => format!("{event:?}").to_lowercase(),
        };
        self.shared.0.lock().unwrap().push((client, name));
        self.shared.1.notify_all();
    }

    /// Waits until `found` finds something in the log.
    pub fn wait<T>(&self, found: impl Fn(&[Told]) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut events = self.shared.0.lock().unwrap();
        loop {
            if let Some(found) = found(&events) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it did not happen; what did: {events:?}");
            events = self.shared.1.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Waits until an event with this name came `count` times, and returns the client of the last one.
    pub fn wait_for(&self, name: &str, count: usize) -> ClientId {
        self.wait(|events| {
            let mut told = events.iter().filter(|(_, event)| event == name);
            told.nth(count - 1).map(|(client, _)| *client)
        })
        .unwrap()
    }

    /// Returns all events, once the first client is gone.
    pub fn until_closed(&self) -> Vec<String> {
        self.wait_for("closed", 1);
        self.so_far()
    }

    pub fn so_far(&self) -> Vec<String> {
        let events = self.shared.0.lock().unwrap();
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Returns the events of one client.
    pub fn of(&self, client: ClientId) -> Vec<String> {
        let events = self.shared.0.lock().unwrap();
        let of_client = events.iter().filter(|(of, _)| *of == Some(client));
        of_client.map(|(_, event)| event.clone()).collect()
    }
}

/// Waits until a condition holds.
pub fn eventually(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "never came true: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Checks that every slot is freed, nothing has panicked, and the server still serves.
pub fn assert_unharmed(server: &Server) {
    let clients = server.clients();
    eventually("every slot comes back", || {
        let stats = clients.stats();
        let mut slots = 0..clients.max_clients();
        stats.accepted == stats.closed
            && slots.all(|slot| clients.state(slot) == ClientState::Closed)
    });
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread panicked");
    Client::open(server.local_addr()).echo("still there?");
}

/// Panics on threads of servers.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of servers, for `assert_unharmed`.
pub fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if matches!(thread::current().name(), Some("wss" | "wss-work")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            default(panic);
        }));
    });
}

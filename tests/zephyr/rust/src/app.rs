// SPDX-License-Identifier: Apache-2.0
//! The handler of the servers here, which have one type, and its calls.

use wss::service::Lock as _;
use wss::{
    Answer, Answered, ClientId, Clients, CloseCode, Handler, MessageKind, Request, Status, Target,
    Verdict,
};
use wss_zephyr::internal::KernelLock;
use wss_zephyr::{on_service_thread, uptime_ms};

use crate::PATIENCE_MS;

/// The role of the handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs the commands in texts, and otherwise echoes.
    Judge,
    /// The same, and greets with the path of the request.
    Greet,
    /// Echoes texts, and nothing else.
    Text,
    /// Sends the number of each tick to a client, from 1.
    Tick,
}

/// The calls of the handler.
#[derive(Debug)]
pub struct Seen {
    /// The client whose answer is still to come.
    pub asked: Option<ClientId>,
    calls: [&'static str; 16],
    pub count: usize,
    /// The close code of the last client that has disconnected.
    pub code: Option<CloseCode>,
}

// SAFETY: nothing here locks it twice.
pub static SEEN: KernelLock<Seen> = unsafe { KernelLock::new(Seen::NOTHING) };

impl Seen {
    pub const NOTHING: Self = Self {
        asked: None,
        calls: [""; 16],
        count: 0,
        code: None,
    };

    pub fn calls(&self) -> &[&'static str] {
        &self.calls[..self.count.min(self.calls.len())]
    }
}

/// Waits for a condition.
#[track_caller]
pub fn seen<T>(what: &str, look: impl Fn(&Seen) -> Option<T>) -> T {
    let until = uptime_ms() + u64::from(PATIENCE_MS);
    let mut seen = SEEN.lock();
    loop {
        if let Some(found) = look(&seen) {
            return found;
        }
        let left = until.saturating_sub(uptime_ms());
        assert!(left > 0, "waited in vain for {what}: {:?}", seen.calls());
        seen = SEEN.wait(seen, left as u32);
    }
}

/// Waits for as many calls, and compares them.
#[track_caller]
pub fn expect_calls(wanted: &[&str]) {
    seen("calls", |seen| (seen.count >= wanted.len()).then_some(()));
    assert_eq!(SEEN.lock().calls(), wanted);
}

pub struct App {
    clients: Clients,
    role: Role,
    ticks: u8,
}

impl App {
    pub const fn new(clients: Clients, role: Role) -> Self {
        Self {
            clients,
            role,
            ticks: 0,
        }
    }

    fn call(&self, name: &'static str) {
        assert!(on_service_thread());
        let mut seen = SEEN.lock();
        let at = seen.count;
        if let Some(place) = seen.calls.get_mut(at) {
            *place = name;
        }
        seen.count += 1;
        drop(seen);
        SEEN.notify_all();
    }
}

impl Handler for App {
    /// Returns the number of messages.
    type Session = u8;

    fn on_request(
        &mut self,
        _: &mut u8,
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        self.call("request");
        match request.path() {
            "/forbidden" => answer.refuse(Status::FORBIDDEN),
            "/later" => {
                SEEN.lock().asked = Some(client);
                SEEN.notify_all();
                answer.later()
            }
            _ => match request.subprotocols().find(|name| *name == "chat.v2") {
                Some(name) => answer.give(Verdict::accept().subprotocol(name)),
                None => answer.accept(),
            },
        }
    }

    fn on_open(&mut self, _: &mut u8, client: ClientId, request: &Request<'_>) {
        self.call("open");
        let done = match request.path() {
            "/greet" => {
                let query = request.query().unwrap_or_default();
                self.clients.send_text(client, query)
            }
            path if self.role == Role::Greet => self.clients.send_text(client, path),
            _ => Ok(()),
        };
        assert_eq!(done, Ok(()));
    }

    fn on_text(&mut self, count: &mut u8, client: ClientId, text: &str) {
        self.call("text");
        *count += 1;
        let clients = &self.clients;
        let done = match text {
            "all" => clients.send_text(Target::All, "for all"),
            "close" => clients.close(client, CloseCode::NORMAL, "as asked for"),
            "count" => clients.send_binary(client, &[*count]),
            text => clients.send_text(client, text),
        };
        assert_eq!(done, Ok(()));
    }

    fn on_binary(&mut self, count: &mut u8, client: ClientId, bytes: &[u8]) {
        self.call("binary");
        *count += 1;
        if self.role != Role::Text {
            assert_eq!(self.clients.send_binary(client, bytes), Ok(()));
        }
    }

    fn on_ping(&mut self, _: &mut u8, _: ClientId, _: &[u8]) {
        self.call("ping");
    }

    fn on_pong(&mut self, _: &mut u8, _: ClientId, _: &[u8]) {
        self.call("pong");
    }

    fn on_close(&mut self, _: u8, _: ClientId, code: CloseCode) {
        SEEN.lock().code = Some(code);
        self.call("close");
    }

    fn on_tick(&mut self) {
        if self.role == Role::Tick {
            let tick = [self.ticks + 1];
            let reached = self.clients.broadcast_to_all(MessageKind::Binary, &tick);
            self.ticks += reached.expect("it is sent") as u8;
        }
    }
}

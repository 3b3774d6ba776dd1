// SPDX-License-Identifier: Apache-2.0
//! A device: clients log in, subscribe to telemetry, and send commands. Runs on a host and on Zephyr.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use wss::{Answer, Answered, ClientId, Clients, CloseCode, Event, EventMask, EventReader, Handler};
use wss::{MessageKind, Request, Status, Verdict};

/// The user that may change something, and the token for all others. A product must not keep these in its source.
const ADMIN: (&str, &str) = ("admin", "correct horse");
const TOKEN: &str = "look-only";
/// The group of the clients that get telemetry.
const SUBSCRIBERS: u32 = 1;
/// The period of telemetry.
pub const PERIOD: Duration = Duration::from_millis(500);
/// The events that `audit` reads.
pub const AUDITED: EventMask = EventMask::CONNECTED.union(EventMask::CLOSED);

/// A command of a client, such as `{"subscribe":true}`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Command {
    subscribe: Option<bool>,
    /// A number to send back, so that the dashboard can measure the round trip.
    ping: Option<u32>,
    led: Option<bool>,
    shutdown: bool,
}

/// The state of a client, which is also the answer to a command.
#[derive(Default, Serialize)]
pub struct Session {
    admin: bool,
    subscribed: bool,
    commands: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping: Option<u32>,
}

#[derive(Default, Serialize)]
struct Telemetry {
    count: u32,
    temperature_mc: u32,
    led: bool,
}

pub struct Device {
    clients: Clients,
    telemetry: Telemetry,
}

impl Device {
    pub fn new(clients: Clients) -> Self {
        let telemetry = Telemetry::default();
        Self { clients, telemetry }
    }

    fn obey(&mut self, session: &mut Session, text: &str) -> Result<(), &'static str> {
        let parsed = serde_json_core::from_str::<Command>(text);
        let (command, _) = parsed.map_err(|_| "not a command")?;
        if (command.led.is_some() || command.shutdown) && !session.admin {
            return Err("only for the administrator");
        }
        session.commands += 1;
        session.ping = command.ping;
        session.subscribed = command.subscribe.unwrap_or(session.subscribed);
        self.telemetry.led = command.led.unwrap_or(self.telemetry.led);
        if command.shutdown {
            self.clients.stop();
        }
        Ok(())
    }
}

impl Handler for Device {
    type Session = Session;

    fn on_request(
        &mut self,
        session: &mut Session,
        _: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        session.admin = request.is_basic(ADMIN.0, ADMIN.1);
        let token = request.is_bearer(TOKEN) || request.is_query_param("token", TOKEN);
        if session.admin || token {
            return answer.accept();
        }
        answer.give(Verdict::refuse(Status::UNAUTHORIZED).challenge("Basic realm=\"device\""))
    }

    fn on_text(&mut self, session: &mut Session, client: ClientId, text: &str) {
        let obeyed = self.obey(session, text);
        let clients = &self.clients;
        clients.set_groups(client, if session.subscribed { SUBSCRIBERS } else { 0 });
        if let Err(reason) = obeyed {
            let _ = clients.close(client, CloseCode::POLICY_VIOLATION, reason);
        } else if let Ok(line) = serde_json_core::to_vec::<_, 96>(session) {
            let _ = clients.send(client, MessageKind::Text, &line);
        }
    }

    fn on_tick(&mut self) {
        let Self { clients, telemetry } = self;
        telemetry.count += 1;
        telemetry.temperature_mc = 20_000 + telemetry.count % 50 * 100;
        if let Ok(line) = serde_json_core::to_vec::<_, 96>(telemetry) {
            let _ = clients.broadcast(SUBSCRIBERS, MessageKind::Text, &line);
        }
    }
}

/// Logs logins and disconnects, on its own thread, until the server has stopped.
pub fn audit(queue: &impl EventReader) {
    let log = |client: Option<ClientId>, event: &Event<'_>| match (client, event) {
        (Some(client), Event::Connected(_)) => log::info!("{client}: logged in"),
        (Some(client), _) => log::info!("{client}: has disconnected"),
        _ => {}
    };
    while queue.read(None, log).is_ok() {}
    let logins = queue.clients().stats().connected;
    log::info!("the server has ended after {logins} logins");
}

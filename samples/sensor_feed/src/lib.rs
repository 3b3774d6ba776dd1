// SPDX-License-Identifier: Apache-2.0
//! A device that sends the readings of a sensor to every client, and handles commands.
//!
//! One thread does both: it takes events from a queue and, when it is time, sends a reading. It never waits for a
//! client: a broadcast skips clients that do not read, and closing does not wait. (Sending to one client waits for up
//! to the send timeout.)
#![no_std]

mod sensor;

use core::ops::RangeInclusive;
use core::time::Duration;

use sensor::SimulatedSensor;
use serde::{Deserialize, Serialize};
use wss::{
    ClientId, Clients, CloseCode, Event, EventMask, EventReader as _, Message, MessageKind,
    RecvError,
};
use wss_zephyr::{EventQueue, Options, Server, kconfig, uptime_ms};
// For its panic handler.
use zephyr as _;

/// The maximum length of a JSON text, in bytes.
const LINE: usize = 128;
/// The possible intervals between readings, in milliseconds.
const INTERVALS_MS: RangeInclusive<u32> = 10..=60_000;

/// A command of a client, such as `{"interval_ms":250}`, `{"paused":true}`, or `{}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    #[serde(default)]
    interval_ms: Option<u32>,
    #[serde(default)]
    paused: Option<bool>,
}

/// The new settings, which every client gets.
#[derive(Clone, Copy, Debug, Serialize)]
struct Settings {
    interval_ms: u32,
    paused: bool,
}

struct Feed {
    queue: EventQueue,
    settings: Settings,
    sensor: SimulatedSensor,
    /// The uptime at which the next reading is due, in milliseconds.
    due: u64,
}

impl Feed {
    /// Runs until the server has stopped.
    fn run(&mut self) {
        // On this thread's stack: a large CONFIG_WSS_RX_BUFFER_SIZE needs a large CONFIG_MAIN_STACK_SIZE.
        let mut buffer = [0; kconfig::RX_BUFFER_SIZE as usize];
        loop {
            let wait = self.due.saturating_sub(uptime_ms());
            match self
                .queue
                .recv_timeout(&mut buffer, Duration::from_millis(wait))
            {
                Ok((Some(client), Event::Text(message))) => match command(message) {
                    Ok(command) => self.obey(&command),
                    Err(error) => self.refuse(client, CloseCode::POLICY_VIOLATION, error),
                },
                Ok((Some(client), Event::Binary(_))) => {
                    self.refuse(client, CloseCode::UNSUPPORTED_DATA, "commands are text");
                }
                Ok((None, Event::LinkDown)) => log::warn!("the network is down"),
                // The service itself logs clients that connect and disconnect.
                Ok(_) | Err(RecvError::Timeout) => {}
                Err(_) => return,
            }
            // Also during a flood of commands.
            if uptime_ms() >= self.due {
                self.feed();
            }
        }
    }

    fn feed(&mut self) {
        self.due = uptime_ms() + u64::from(self.settings.interval_ms);
        if !self.settings.paused {
            let reading = self.sensor.read();
            send_to_all(&self.queue.clients(), &reading);
        }
    }

    fn obey(&mut self, command: &Command) {
        let settings = &mut self.settings;
        settings.interval_ms = command.interval_ms.unwrap_or(settings.interval_ms);
        settings.paused = command.paused.unwrap_or(settings.paused);
        let soonest = uptime_ms() + u64::from(settings.interval_ms);
        self.due = self.due.min(soonest);
        send_to_all(&self.queue.clients(), &self.settings);
    }

    fn refuse(&self, client: ClientId, code: CloseCode, reason: &str) {
        if let Err(error) = self.queue.clients().close(client, code, reason) {
            log::info!("{client}: {error}");
        }
    }
}

/// Parses a command. Returns the reason if the message is not valid.
fn command(message: Message<'_>) -> Result<Command, &'static str> {
    if !message.is_whole() {
        return Err("too long for a command");
    }
    let parsed = serde_json_core::from_slice::<Command>(message.bytes);
    let (command, _) = parsed.map_err(|_| "not a command")?;
    match command.interval_ms {
        Some(interval) if !INTERVALS_MS.contains(&interval) => Err("interval_ms is 10 to 60000"),
        _ => Ok(command),
    }
}

/// Sends a value as JSON to every client that has room for it.
fn send_to_all(clients: &Clients, value: &impl Serialize) {
    let mut line = [0; LINE];
    let Ok(len) = serde_json_core::to_slice(value, &mut line) else {
        log::error!("a line is longer than {LINE} bytes");
        return;
    };
    let json = line.get(..len).unwrap_or_default();
    if let Err(error) = clients.broadcast_to_all(MessageKind::Text, json) {
        log::debug!("not sent to all: {error}");
    }
}

static SERVER: Server = Server::new();

#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    wss_zephyr::set_logger();
    let wanted = EventMask::all().difference(EventMask::PING | EventMask::PONG);
    let depth = kconfig::QUEUE_DEPTH as usize;
    let queue = match SERVER.start_with_queue(&Options::new(), wanted, depth) {
        Ok(queue) => queue,
        Err(error) => return log::error!("cannot start: {error}"),
    };
    let mut feed = Feed {
        queue,
        settings: Settings {
            interval_ms: 1000,
            paused: false,
        },
        sensor: SimulatedSensor::default(),
        due: 0,
    };
    feed.run();
}

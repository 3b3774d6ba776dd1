// SPDX-License-Identifier: Apache-2.0
//! The interface of `wss_zephyr` on Zephyr, over Zephyr's own TCP: server and clients are in one image.
//! `main.c` has a case of ztest for each function here that C can call.
//!
//! Assertions may be anywhere, also in handlers: one that fails ends the case.
#![no_std]

mod adopting;
mod app;
mod client;
mod handler;
mod queue;
mod shell;
mod starting;

use core::ops::Deref;

use wss::service::Lock as _;
use wss::{ClientId, ClientState, Clients};
use wss_zephyr::{ListenError, Options, StartError, kconfig, uptime_ms};
// For its panic handler.
use zephyr as _;

use app::{App, Role, SEEN, Seen};

/// Longer than anything takes, in milliseconds.
const PATIENCE_MS: u32 = 5000;

/// Checks a condition every millisecond.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = uptime_ms() + u64::from(PATIENCE_MS);
    while !is_so() {
        assert!(uptime_ms() < until, "waited in vain until {what}");
        pause(1);
    }
}

/// Lets the other threads run.
fn pause(ms: u32) {
    wss_port_sleep_ms(ms);
}

// In the port.
unsafe extern "C" {
    safe fn wss_port_sleep_ms(ms: u32);
}

type Server = wss_zephyr::Server<app::App>;

static SERVERS: [Server; kconfig::SERVERS as usize] =
    [const { Server::new() }; kconfig::SERVERS as usize];

/// A running server, which is stopped when this is dropped.
struct Running(&'static Server);

impl Running {
    fn clients(&self) -> Clients {
        self.0.clients()
    }
}

impl Deref for Running {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Starts the first server that does not run.
fn started<T>(
    start: impl Fn(&'static Server) -> Result<T, StartError>,
) -> Result<(Running, T), StartError> {
    let mut outcome = Err(StartError::Listen(ListenError::Running));
    for server in &SERVERS {
        outcome = start(server).map(|started| (Running(server), started));
        if !matches!(outcome, Err(StartError::Listen(ListenError::Running))) {
            break;
        }
    }
    outcome
}

/// Returns the client in this slot, once it is connected.
#[track_caller]
fn connected(clients: &Clients, slot: usize) -> ClientId {
    let is_connected = || clients.state(slot) == ClientState::Connected;
    wait_until("the client is connected", is_connected);
    clients.client(slot).expect("there is a client")
}

/// Returns the options of Kconfig, with another port.
fn at_port(port: u16) -> Options<'static> {
    Options::new().port(port)
}

/// Starts a server with the handler in this role.
#[track_caller]
fn start_as(role: Role, options: &Options<'_>) -> Running {
    *SEEN.lock() = Seen::NOTHING;
    let start = started(|server| server.start(options, |clients| App::new(clients, role)));
    let (server, ()) = start.expect("the server starts");
    server
}

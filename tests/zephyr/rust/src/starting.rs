// SPDX-License-Identifier: Apache-2.0
//! Starting and stopping servers.

use wss::service::Config;
use wss::{ClientState, Clients};
use wss_zephyr::{ListenError, Options, StartError, kconfig};

use crate::app::{App, Role};
use crate::client::{Client, TEXT};
use crate::{Running, Server, at_port, connected, start_as, started, wait_until};

// In main.c.
unsafe extern "C" {
    safe static errno_invalid: u32;
}

const PORT: u16 = kconfig::PORT as u16;

#[track_caller]
pub fn start(port: u16) -> Running {
    start_with(&at_port(port))
}

#[track_caller]
fn start_with(options: &Options<'_>) -> Running {
    start_as(Role::Judge, options)
}

fn judge(clients: Clients) -> App {
    App::new(clients, Role::Judge)
}

/// Returns the error of a start.
#[track_caller]
fn refused(options: &Options<'_>) -> ListenError {
    match started(|server| server.start(options, judge)) {
        Err(StartError::Listen(error)) => error,
        Err(error) => panic!("{error}"),
        Ok((server, ())) => panic!("it listens on port {}", server.local_port()),
    }
}

/// Checks that a client is served on this port.
#[track_caller]
fn works(port: u16) {
    let client = Client::connect_at(port, c"/");
    client.sends(TEXT, b"hello");
    client.gets(TEXT, b"hello");
    client.closes();
}

#[unsafe(no_mangle)]
extern "C" fn a_server_can_be_started_again() {
    for _ in 0..4 {
        let server = start(PORT);
        works(PORT);
        assert!(server.stop());
        // It counts from its own start.
        assert_eq!(server.clients().stats().connected, 1);
    }
}

#[unsafe(no_mangle)]
extern "C" fn a_stopped_server_closes_with_1001() {
    let server = start(PORT);
    let client = Client::connect(c"/");
    let id = connected(&server.clients(), 0);
    let clients = server.0.clients();
    clients.stop();
    client.closed_with(b"\x03\xe9");
    assert!(server.stop());
    drop(server);
    assert_eq!(clients.state(0), ClientState::Closed);
    assert!(clients.send_text(id, "too late").is_err());
    let stats = clients.stats();
    assert_eq!((stats.connected, stats.closed, stats.aborted), (1, 1, 0));

    // A client that does not answer is aborted.
    let mut options = Options::new();
    options.limits.close_timeout_ms = 200;
    let server = start_with(&options);
    let client = Client::connect(c"/");
    connected(&server.clients(), 0);
    assert!(server.stop());
    assert_eq!(server.clients().stats().aborted, 1);
    client.gets(crate::client::CLOSE, b"\x03\xe9");
    client.ends();
}

#[unsafe(no_mangle)]
extern "C" fn there_are_as_many_servers_as_kconfig_says() {
    const SERVERS: usize = kconfig::SERVERS as usize;
    let mut next = PORT;
    let mut servers = [(); SERVERS].map(|()| {
        next += 1;
        Some(start(next))
    });
    for (port, server) in (PORT + 1..).zip(servers.iter().flatten()) {
        assert_eq!(server.local_port(), port);
        works(port);
        assert_eq!(server.clients().stats().connected, 1);
    }
    assert_eq!(refused(&Options::new()), ListenError::Running);
    static ONE_MORE: Server = Server::new();
    let one_more = ONE_MORE.start(&Options::new(), judge);
    assert_eq!(one_more, Err(StartError::Listen(ListenError::Servers)));
    servers[0] = None;
    servers[0] = Some(start(PORT));
    works(PORT);
    works(PORT + 2);
    wait_until("it is counted", || {
        let stats = servers[1].as_ref().map(|server| server.clients().stats());
        stats.is_some_and(|stats| stats.closed == 2)
    });
}

#[unsafe(no_mangle)]
extern "C" fn a_port_in_use_is_told() {
    let server = start(PORT);
    assert_eq!(refused(&Options::new()), ListenError::InUse(PORT));
    works(PORT);
    drop(server);

    let options = Options::new().addr(c"no address");
    assert_eq!(refused(&options), ListenError::Failed(errno_invalid));
    // Without a listener no port is in use.
    let (first, options) = (start(PORT), Options::new().listen(false));
    let second = start_with(&options);
    assert_eq!((first.local_port(), second.local_port()), (PORT, 0));
}

#[unsafe(no_mangle)]
extern "C" fn limits_that_kconfig_has_at_0_are_refused() {
    let set: [fn(&mut Config); 4] = [
        |limits| limits.clients_per_address = 1,
        |limits| limits.handshakes_per_second = 1,
        |limits| limits.control_frames_per_second = 1,
        |limits| limits.fragments_per_message = 1,
    ];
    for set in set {
        let mut options = Options::new();
        set(&mut options.limits);
        assert_eq!(refused(&options), ListenError::NoLimit);
    }
    start(PORT);
}

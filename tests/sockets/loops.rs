// SPDX-License-Identifier: Apache-2.0
//! One server with several loops that share its clients.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use wss::host::Options;
use wss::service::Target;
use wss::{ClientId, Clients, Event};

use super::client::{Client, PING, PONG, TEXT};
use super::closure;
use super::server::{assert_unharmed, echo, eventually, options};

fn loops(loops: u16, max_clients: u16) -> Options {
    Options {
        loops,
        max_clients,
        ..options()
    }
}

#[test]
fn every_loop_serves_clients_and_no_client_two_loops() {
    let threads: Arc<Mutex<HashSet<(usize, ThreadId)>>> = Arc::default();
    let seen = Arc::clone(&threads);
    let handler = move |clients: &Clients, id: Option<ClientId>, event: &Event<'_>| {
        if let Some(id) = id {
            seen.lock()
                .unwrap()
                .insert((id.slot(), thread::current().id()));
            echo(clients, id, event);
        }
    };
    let server = closure::start(&loops(3, 9), handler).unwrap();
    let mut clients: Vec<_> = (0..9).map(|_| Client::open(server.local_addr())).collect();
    for _ in 0..20 {
        for client in &mut clients {
            client.echo("anyone?");
        }
    }
    let seen = threads.lock().unwrap().clone();
    assert_eq!(seen.len(), 9, "each slot has one thread");
    let used: HashSet<_> = seen.iter().map(|(_, thread)| thread).collect();
    assert_eq!(used.len(), 3);
    drop(clients);
    assert_unharmed(&server);
    assert!(server.stop());
}

#[test]
fn limits_count_for_all_loops_together() {
    let handler = |_: &Clients, _: Option<ClientId>, _: &Event<'_>| {};
    let server = closure::start(&loops(2, 4), handler).unwrap();
    let addr = server.local_addr();
    let mut clients: Vec<_> = (0..4).map(|_| Client::open(addr)).collect();
    let mut refused = Client::connect(addr);
    refused.write(super::client::REQUEST.as_bytes());
    assert_eq!(refused.response().status, 503);
    // Whichever loop it is of, a slot that is free is given.
    for index in [1, 0, 3, 2] {
        drop(clients.remove(index));
        eventually("a slot is free", || {
            server.clients().stats().closed == server.clients().stats().accepted - 3
        });
        clients.insert(index, Client::open(addr));
    }
    let sent = server.clients().send_text(Target::All, "to all loops");
    assert_eq!(sent, Ok(()));
    for client in &mut clients {
        client.expect(TEXT, b"to all loops");
    }
}

#[test]
fn a_callback_sends_to_clients_of_other_loops() {
    let relay = |clients: &Clients, _: Option<ClientId>, event: &Event<'_>| {
        if let Event::Text(message) = event {
            let _ = clients.send_text(Target::All, message.text());
        }
    };
    let server = closure::start(&loops(4, 8), relay).unwrap();
    let mut clients: Vec<_> = (0..8).map(|_| Client::open(server.local_addr())).collect();
    for turn in 0..8 {
        let text = format!("from {turn}");
        clients[turn].send(TEXT, text.as_bytes());
        for client in &mut clients {
            client.expect(TEXT, text.as_bytes());
        }
    }
    // Stopping wakes every loop.
    assert!(server.stop() || server.stop());
}

#[test]
fn a_loop_that_is_busy_keeps_only_its_own_clients_waiting() {
    let (busy, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let wait = Mutex::new(wait);
    let handler = move |clients: &Clients, id: Option<ClientId>, event: &Event<'_>| {
        let Some(id) = id else { return };
        match event {
            Event::Text(message) if message.text() == "compute" => {
                let _ = wait.lock().unwrap().recv();
            }
            event => echo(clients, id, event),
        }
    };
    let server = closure::start(&loops(2, 4), handler).unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Client::open(server.local_addr())).collect();
    // Of the second loop, since the first one serves.
    clients[1].send(TEXT, b"compute");
    clients[0].echo("goes on");
    clients[2].echo("goes on");
    clients[3].send(TEXT, b"waits");
    clients[0].echo("goes on");
    busy.send(()).unwrap();
    clients[3].expect(TEXT, b"waits");
}

#[test]
fn a_server_needs_a_loop() {
    let handler = |_: &Clients, _: Option<ClientId>, _: &Event<'_>| {};
    let error = closure::start(&loops(0, 4), handler).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("loops"));
}

#[test]
fn a_loop_that_computes_times_out_no_client_that_answers() {
    let handler = |clients: &Clients, id: Option<ClientId>, event: &Event<'_>| {
        let Some(id) = id else { return };
        match event {
            Event::Text(message) if message.text() == "compute" => {
                thread::sleep(std::time::Duration::from_millis(3_000));
            }
            event => echo(clients, id, event),
        }
    };
    let mut options = loops(2, 4);
    options.limits.client_timeout_ms = 1_500;
    options.limits.ping_interval_ms = 750;
    let server = closure::start(&options, handler).unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Client::open(server.local_addr())).collect();
    // It is of the same loop as the one that makes it compute.
    let mut patient = clients.remove(3);
    clients[1].send(TEXT, b"compute");
    let answering = thread::spawn(move || {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(5_000);
        while std::time::Instant::now() < until {
            match patient.frame() {
                frame if frame.opcode == PING => patient.send(PONG, &frame.payload),
                frame => panic!("{frame:?}"),
            }
        }
        patient
    });
    let mut patient = answering.join().unwrap();
    patient.send(TEXT, b"still there");
    // Pings may come before it.
    while patient.frame().opcode != TEXT {}
    assert_eq!(
        server.clients().stats().timeouts,
        3,
        "the others answered none"
    );
}

// SPDX-License-Identifier: Apache-2.0
//! Several servers in one process.

use std::sync::{Arc, OnceLock};
use std::thread;

use wss::host::{Options, Server};
use wss::service::Target;
use wss::{Event, SendError};

use super::client::{Client, PONG, TEXT};
use super::server::{assert_unharmed, echo_server, eventually, limited, logging_server, options};

#[test]
fn clients_with_the_same_id_are_those_of_their_servers() {
    let (one, first) = echo_server(&options());
    let (two, second) = echo_server(&options());
    let mut alice = Client::open(one.local_addr());
    let mut bob = Client::open(two.local_addr());
    let id = first.wait_for("connected /chat", 1);
    assert_eq!(second.wait_for("connected /chat", 1), id);
    one.clients().send_text(id, "to alice").unwrap();
    two.clients().send_text(id, "to bob").unwrap();
    alice.expect(TEXT, b"to alice");
    bob.expect(TEXT, b"to bob");
    one.clients().send_text(Target::All, "all of one").unwrap();
    alice.expect(TEXT, b"all of one");
    bob.echo("nothing else came");
    assert_eq!(first.of(id).len(), 2);
    assert!(!first.so_far().contains(&"text nothing else came".into()));
    drop(alice);
    first.wait_for("closed", 1);
    assert_eq!(
        one.clients().send_text(id, "x"),
        Err(SendError::NotConnected)
    );
    two.clients().send_text(id, "still there").unwrap();
    bob.expect(TEXT, b"still there");
    assert_eq!(two.clients().stats().accepted, 1);
    assert_eq!(one.clients().stats().traffic.messages_received, 0);
}

#[test]
fn a_server_has_limits_of_its_own() {
    let (strict, told) = echo_server(&Options {
        max_clients: 1,
        ..limited(|limits| limits.client_timeout_ms = 200)
    });
    let (other, _) = echo_server(&options());
    let mut patient = Client::open(other.local_addr());
    let mut silent = Client::open(strict.local_addr());
    silent.expect_close(1000, "");
    drop(silent);
    told.wait_for("closed", 1);
    patient.echo("still here");
    drop(patient);
    assert_unharmed(&strict);
    assert_unharmed(&other);
}

#[test]
fn a_handler_sends_to_clients_of_another_server_at_once() {
    let other: Arc<OnceLock<Server>> = Arc::default();
    let to = Arc::clone(&other);
    let (server, _) = logging_server(&options(), move |_, _, event| {
        if let (Event::Text(text), Some(other)) = (event, to.get()) {
            let sent = other.clients().send_text(Target::All, text.text());
            assert_eq!(sent, Ok(()));
        }
    });
    let (receiving, told) = echo_server(&options());
    let mut listener = Client::open(receiving.local_addr());
    told.wait_for("connected /chat", 1);
    assert!(other.set(receiving).is_ok());
    let mut sender = Client::open(server.local_addr());
    for number in 0..100 {
        // Nothing else happens on the other one.
        sender.send(TEXT, number.to_string().as_bytes());
        listener.expect(TEXT, number.to_string().as_bytes());
    }
}

#[test]
fn ending_another_server_inside_a_handler_does_not_wait() {
    let other: Arc<OnceLock<Server>> = Arc::default();
    let to = Arc::clone(&other);
    let (server, _) = logging_server(&options(), move |_, _, event| {
        if let (Event::Text(_), Some(other)) = (event, to.get()) {
            assert!(!other.stop(), "it has not ended yet");
        }
    });
    let (ending, told) = echo_server(&limited(|limits| limits.close_timeout_ms = 20_000));
    let mut last = Client::open(ending.local_addr());
    told.wait_for("connected /chat", 1);
    assert!(other.set(ending).is_ok());
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"end it");
    last.expect_close(1001, "");
    // The handler has returned: this server continues, while the other one waits for its client.
    client.send(super::client::PING, b"?");
    client.expect(PONG, b"?");
    drop(last);
    told.wait_for("closed", 1);
    assert!(other.get().unwrap().stop());
}

#[test]
fn a_busy_server_does_not_mind_restarts_of_another() {
    let (busy, told) = echo_server(&options());
    let addr = busy.local_addr();
    let clients: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Client::open(addr);
                for number in 0..300 {
                    client.echo(&number.to_string());
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let (server, _) = echo_server(&limited(|limits| limits.close_timeout_ms = 100));
        let mut client = Client::open(server.local_addr());
        client.echo("hello");
        if server.clients().stats().accepted % 2 == 0 {
            client.reset();
        }
        assert!(server.stop());
    }
    for client in clients {
        client.join().unwrap();
    }
    told.wait_for("closed", 2);
    eventually("both slots come back", || {
        busy.clients().stats().closed == 2
    });
    assert_unharmed(&busy);
}

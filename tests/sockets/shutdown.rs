// SPDX-License-Identifier: Apache-2.0
//! Stopping a server, and starting the next one.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use wss::host::{Options, Server};
use wss::{ClientId, Clients, Event, EventMask, Handler};

use super::client::{CLOSE, Client, PATIENCE, TEXT, close_body};
use super::closure::{closure, start};
use super::server::{echo_server, eventually, limited, logging_server, options};

#[test]
fn stop_closes_every_client_with_1001() {
    let (server, log) = echo_server(&options());
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Client::open(server.local_addr());
            std::thread::spawn(move || {
                client.expect_close(1001, "");
                client.send(CLOSE, &close_body(1001, ""));
                client.expect_end();
            })
        })
        .collect();
    log.wait_for("connected /chat", 3);
    assert!(server.stop());
    for reader in readers {
        reader.join().unwrap();
    }
    let closed = log.so_far().iter().filter(|e| *e == "closed").count();
    assert_eq!(closed, 3);
    // Repeating it is allowed.
    assert!(server.stop());
}

#[test]
fn stop_cuts_off_clients_that_do_not_answer() {
    for _ in 0..3 {
        let (server, log) = echo_server(&Options {
            max_clients: 16,
            ..limited(|limits| limits.close_timeout_ms = 100)
        });
        let mut clients: Vec<_> = (0..16).map(|_| Client::open(server.local_addr())).collect();
        log.wait_for("connected /chat", 16);
        assert!(server.stop(), "handlers are not running");
        for client in &mut clients {
            client.expect_close(1001, "");
            client.expect_end();
        }
    }
}

#[test]
fn stop_from_inside_a_callback_ends_after_it() {
    let (server, log) = logging_server(&options(), |clients, _, event| {
        if let Event::Text(_) = event {
            clients.stop();
        }
    });
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"stop");
    client.expect_close(1001, "");
    client.send(CLOSE, &close_body(1001, ""));
    client.expect_end();
    drop(client);
    log.wait_for("closed", 1);
    assert!(server.stop());
}

#[test]
fn stop_tells_when_a_handler_is_still_running() {
    let (server, log) = logging_server(
        &limited(|limits| limits.close_timeout_ms = 100),
        |_, _, event| {
            if let Event::Text(_) = event {
                std::thread::sleep(Duration::from_millis(2500));
            }
        },
    );
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"sleep");
    log.wait_for("text sleep", 1);
    let began = Instant::now();
    assert!(!server.stop());
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn server_dropped_under_a_running_handler_is_freed_after_it() {
    let token = Arc::new(());
    let kept = Arc::clone(&token);
    let (server, log) = logging_server(
        &limited(|limits| limits.close_timeout_ms = 100),
        move |_, _, event| {
            if let Event::Text(_) = event {
                std::thread::sleep(Duration::from_millis(1500));
            }
            let _ = &kept;
        },
    );
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"sleep");
    log.wait_for("text sleep", 1);
    drop(server);
    eventually("the handler is dropped", || Arc::strong_count(&token) == 1);
}

#[test]
fn port_in_use_is_an_error_and_free_again_after_the_end() {
    let (server, _log) = echo_server(&options());
    let port = server.local_addr().port();
    let same = Options { port, ..options() };
    let error = start(&same, |_: &_, _, _: &Event<'_>| {}).err();
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::AddrInUse));
    let mut client = Client::open(server.local_addr());
    client.echo("the first one serves on");
    drop(server);
    client.expect_close(1001, "");
    client.expect_end();
    for _ in 0..3 {
        let (server, _log) = echo_server(&same);
        let mut client = Client::open(server.local_addr());
        client.echo("restarted");
        client.send(CLOSE, b"");
    }
}

#[test]
fn servers_of_one_process_know_nothing_of_each_other() {
    let (one, one_log) = echo_server(&options());
    let (other, other_log) = echo_server(&options());
    let mut client = Client::open(one.local_addr());
    let mut other_client = Client::open(other.local_addr());
    client.echo("for one");
    other_client.echo("for the other");
    drop(client);
    one_log.wait_for("closed", 1);
    assert!(one.stop());
    other_client.echo("still there");
    assert!(!other_log.so_far().contains(&"text for one".to_owned()));
}

#[test]
fn options_that_cannot_work_are_errors() {
    let none = Options {
        max_clients: 0,
        ..options()
    };
    let small = Options {
        rx_buffer: 3,
        ..options()
    };
    let large = Options {
        rx_buffer: usize::MAX,
        ..options()
    };
    for options in [none, small, large] {
        let error = start(&options, |_: &_, _, _: &Event<'_>| {}).err();
        let kind = error.map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::InvalidInput), "{options:?}");
    }
}

#[test]
fn queue_ends_with_its_server() {
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 64).unwrap();
    let client = Client::open(server.local_addr());
    drop(client);
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| {
            let mut names = Vec::new();
            while let Some(event) = queue.recv() {
                names.push(format!("{:?}", event.event().mask()));
            }
            names.len()
        });
        assert!(server.stop());
        assert_eq!(taken.join().unwrap(), 4);
    });
}

#[test]
fn a_queue_does_not_end_before_a_server_that_is_stopped_inside_its_handler() {
    let server = Arc::new(OnceLock::<Server>::new());
    let stopped = Arc::clone(&server);
    let handler = move |_: &Clients, _: Option<ClientId>, _: &Event<'_>| {
        assert!(!stopped.get().unwrap().stop());
    };
    let options = options();
    let (started, [queue]) = Server::builder(&options)
        .events(EventMask::TEXT, closure(handler))
        .start([(EventMask::TEXT | EventMask::CLOSED, 4)])
        .unwrap();
    let mut client = Client::open(started.local_addr());
    assert!(server.set(started).is_ok());
    client.send(TEXT, b"stop");
    assert_eq!(queue.recv().unwrap().event().mask(), EventMask::TEXT);
    client.expect_close(1001, "");
    std::thread::scope(|scope| {
        let closed = scope.spawn(|| queue.recv().map(|event| event.event().mask()));
        // It waits by now.
        std::thread::sleep(Duration::from_millis(100));
        client.send(CLOSE, &close_body(1001, ""));
        client.expect_end();
        drop(client);
        assert_eq!(closed.join().unwrap(), Some(EventMask::CLOSED));
    });
    assert!(queue.recv().is_none());
}

/// Each tick lasts until the test ends it.
struct Ticking {
    told: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Handler for Ticking {
    type Session = ();

    fn on_tick(&mut self) {
        self.told.send(()).unwrap();
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

#[test]
fn stop_does_not_wait_for_a_handler_that_is_told_something_of_the_server() {
    let (told, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let mut ended = Some(ended);
    let options = limited(|limits| {
        limits.close_timeout_ms = 100;
        limits.tick_ms = 1;
    });
    let make = |_| Ticking {
        told: told.clone(),
        ended: ended.take().unwrap(),
    };
    let server = Server::start(&options, make).unwrap();
    begun.recv().unwrap();
    let began = Instant::now();
    assert!(!server.stop());
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(end);
    assert!(server.stop());
}

#[test]
fn stop_inside_a_handler_that_outlasts_its_server_is_false() {
    let server = Arc::new(OnceLock::<Server>::new());
    let stopped = Arc::clone(&server);
    let (told, outcome) = mpsc::channel();
    let told = Mutex::new(told);
    let handler = move |clients: &Clients, _: Option<ClientId>, event: &Event<'_>| {
        if let Event::Text(_) = event {
            clients.stop();
            std::thread::sleep(Duration::from_millis(1500));
            told.lock()
                .unwrap()
                .send(stopped.get().unwrap().stop())
                .unwrap();
        }
    };
    let started = start(&limited(|limits| limits.close_timeout_ms = 100), handler).unwrap();
    let mut client = Client::open(started.local_addr());
    assert!(server.set(started).is_ok());
    client.send(TEXT, b"stop");
    assert_eq!(outcome.recv_timeout(PATIENCE), Ok(false));
    eventually("it can be waited for", || server.get().unwrap().stop());
}

#[test]
fn an_id_of_a_server_that_has_ended_refers_to_no_client_of_the_next_one() {
    let (server, log) = echo_server(&options());
    let _client = Client::open(server.local_addr());
    let old = log.wait_for("connected /chat", 1);
    drop(server);
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    let new = log.wait_for("connected /chat", 1);
    assert_eq!(old.slot(), new.slot());
    let sent = server.clients().send_text(old, "to the one before");
    assert_eq!(sent, Err(wss::SendError::NotConnected));
    client.echo("alone");
}

// SPDX-License-Identifier: Apache-2.0
//! Applications that misbehave, with a server in this process and normal clients.

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wss::Clients;
use wss::host::Server;
use wss::protocol::CloseCode;
use wss::service::Target as To;
use wss::{ClientId, Event, EventMask, MessageKind, SendError};

use crate::client::{BINARY, CLOSE, Client, PING, PONG, TEXT, close_body};
use crate::numbers::Numbers;
use crate::options;
use crate::target::{open_when_free, refuses};
use crate::watched::{self, Order};

/// Their names and functions.
pub const SCENARIOS: &[(&str, fn())] = &[
    ("never_takes_events", never_takes_events),
    ("takes_events_late", takes_events_late),
    ("sends_from_eight_threads", sends_from_eight_threads),
    ("closes_from_everywhere", closes_from_everywhere),
    ("shuts_down_in_a_callback", shuts_down_in_a_callback),
    ("shuts_down_under_load", shuts_down_under_load),
];

/// Every slot of the server is freed.
fn settle(server: &Server) {
    let until = Instant::now() + crate::client::PATIENCE * 2;
    watched::settle(server.clients(), until, || None);
}

/// A queue of one event that is never taken: clients are disconnected at the hold timeout, and slots without an event
/// in the queue are freed.
fn never_takes_events() {
    let (server, queue) = Server::with_queue(&options(), EventMask::TEXT, 1).unwrap();
    let addr = server.local_addr();
    let mut clients: Vec<_> = (0..options().max_clients)
        .map(|_| Client::open(addr))
        .collect();
    for client in &mut clients {
        for number in 0..20 {
            client.send(TEXT, format!("{number}").as_bytes());
        }
    }
    for client in &mut clients {
        client.expect_close(1011, "");
        client.expect_end();
    }
    drop(clients);
    // A client whose event is on the queue, or waits for it, keeps its slot until the application's time is over.
    let mut client = open_when_free(addr);
    client.send(PING, b"served by the service");
    client.expect(PONG, b"served by the service");
    drop(client);
    while queue.recv_timeout(Duration::from_millis(200)).is_ok() {}
    settle(&server);
}

/// A queue that is emptied slowly: nothing is lost, and the order is kept.
fn takes_events_late() {
    const MESSAGES: u32 = 200;
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 2).unwrap();
    let addr = server.local_addr();
    let order = Order::new(&options());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let mut client = Client::open(addr);
                for number in 0..MESSAGES {
                    client.send(BINARY, &number.to_be_bytes());
                }
                client.send(CLOSE, b"");
                client.expect(CLOSE, b"");
                client.expect_end();
            });
        }
        let mut next: HashMap<ClientId, u32> = HashMap::new();
        let mut closed = 0;
        while closed < 3 {
            let queued = queue.recv().expect("the server runs");
            order.tell(queued.client(), &queued.event());
            match queued.event() {
                Event::Binary(message) => {
                    let next = next.entry(queued.client().unwrap()).or_default();
                    assert_eq!(message.bytes, next.to_be_bytes());
                    *next += 1;
                    thread::sleep(Duration::from_millis(1));
                }
                Event::Closed => closed += 1,
                _ => {}
            }
        }
        assert_eq!(next.values().sum::<u32>(), 3 * MESSAGES);
    });
    assert_eq!(order.summary(), (3, Vec::new()));
    settle(&server);
}

/// Eight threads that send to single clients and to all, whole messages and fragments, while clients connect and
/// disconnect: every frame is whole, and the messages of a thread arrive in order.
fn sends_from_eight_threads() {
    const THREADS: u32 = 8;
    let order = Order::new(&options());
    let server = order.start(&options(), |_, _, _| {});
    let addr = server.local_addr();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (server, over) = (&server, &over);
            scope.spawn(move || keep_sending(server.clients(), number, over));
        }
        let receivers: Vec<_> = (0..options().max_clients)
            .map(|number| scope.spawn(move || receive_in_order(addr, number.into())))
            .collect();
        join_and_end(receivers, &over);
    });
    settle(&server);
    let (_, wrong) = order.summary();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Waits for the clients, stops everything that runs until then, and fails if one of them failed.
fn join_and_end(clients: Vec<thread::ScopedJoinHandle<'_, ()>>, over: &AtomicBool) {
    let joined = clients.into_iter().map(thread::ScopedJoinHandle::join);
    let failed: Vec<_> = joined.filter_map(Result::err).collect();
    over.store(true, Ordering::SeqCst);
    if let Some(panic) = failed.into_iter().next() {
        std::panic::resume_unwind(panic);
    }
}

/// Sends numbered messages with the sender's name, to random clients, until the end.
fn keep_sending(clients: &Clients, thread: u32, over: &AtomicBool) {
    let mut numbers = Numbers::new(u64::from(thread) + 1);
    let mut count = 0_u32;
    while !over.load(Ordering::SeqCst) {
        count += 1;
        let mut message = [thread.to_be_bytes(), count.to_be_bytes()].concat();
        message.resize(8 + numbers.below(600), thread as u8);
        let to = match numbers.below(4) {
            0 => To::All,
            _ => To::Slot(numbers.below(clients.max_clients())),
        };
        let sent = match numbers.below(8) {
            0 if to != To::All => {
                let (first, rest) = message.split_at(8);
                let begun = clients.send_frame(to, false, wss::protocol::Opcode::Binary, first);
                begun.and_then(|()| {
                    clients.send_frame(to, true, wss::protocol::Opcode::Continuation, rest)
                })
            }
            1 => clients.ping(to, &message[..8]),
            _ => clients.send(to, MessageKind::Binary, &message),
        };
        match sent {
            Ok(())
            | Err(
                SendError::NotConnected
                | SendError::WouldBlock
                | SendError::Aborted
                // The client of the first fragment has disconnected meanwhile.
                | SendError::Frame(wss::protocol::FrameError::NothingToContinue),
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Clients that connect, check their messages, and disconnect.
fn receive_in_order(addr: std::net::SocketAddr, seed: u64) {
    let mut numbers = Numbers::new(seed + 100);
    for _ in 0..10 {
        let mut client = open_when_free(addr);
        let mut last: HashMap<u32, u32> = HashMap::new();
        for _ in 0..numbers.below(300) {
            let first = client.frame();
            let mut payload = first.payload;
            if !first.fin {
                // Pings may come between fragments, messages may not.
                loop {
                    let frame = client.frame();
                    if frame.opcode == PING {
                        continue;
                    }
                    assert_eq!(frame.opcode, crate::client::CONTINUATION);
                    payload.extend(frame.payload);
                    if frame.fin {
                        break;
                    }
                }
            }
            let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            let (thread, count) = (word(0), word(4));
            assert!(
                payload[8..].iter().all(|byte| *byte == thread as u8),
                "mixed"
            );
            let before = last.insert(thread, count);
            assert!(
                before < Some(count),
                "{thread}: {count} came after {before:?}"
            );
        }
        match numbers.below(3) {
            0 => client.reset(),
            1 => drop(client),
            _ => {
                client.send(CLOSE, b"");
                while client.discard() {}
            }
        }
    }
}

/// Closes in the callback and on threads, single clients and all of them, while clients close at the same time: each
/// ends once, with one close frame.
fn closes_from_everywhere() {
    let order = Order::new(&options());
    let seen = AtomicU32::new(0);
    let server = order.start(&options(), move |clients, client, _| {
        let Some(id) = client else { return };
        let count = seen.fetch_add(1, Ordering::SeqCst);
        if count % 3 == 0 {
            let _ = clients.close(id, CloseCode::NORMAL, "in a callback");
        }
    });
    let addr = server.local_addr();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (clients, over) = (server.clients(), &over);
            scope.spawn(move || {
                let mut numbers = Numbers::new(seed + 1);
                while !over.load(Ordering::SeqCst) {
                    let to = match numbers.below(5) {
                        0 => To::All,
                        _ => To::Slot(numbers.below(clients.max_clients())),
                    };
                    let _ = clients.close(to, CloseCode::GOING_AWAY, "from a thread");
                    thread::sleep(Duration::from_micros(numbers.below(700) as u64));
                }
            });
        }
        let comers: Vec<_> = (0..4)
            .map(|seed| scope.spawn(move || come_and_close(addr, seed)))
            .collect();
        join_and_end(comers, &over);
    });
    settle(&server);
    let (_, wrong) = order.summary();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Clients that close by themselves, unless they are closed before.
fn come_and_close(addr: std::net::SocketAddr, seed: u64) {
    use std::io::Write as _;
    let mut numbers = Numbers::new(seed + 50);
    for _ in 0..200 {
        let mut client = Client::connect(addr);
        client.write(crate::client::REQUEST.as_bytes());
        match client.try_response().map(|response| response.status) {
            Some(101) => {}
            Some(503) | None => continue,
            Some(other) => panic!("{other}"),
        }
        for _ in 0..numbers.below(3) {
            let _ = client
                .stream
                .write_all(&crate::client::frame(true, TEXT, b"hello"));
        }
        let close = crate::client::frame(true, CLOSE, &close_body(3000, "mine"));
        let _ = client.stream.write_all(&close);
        let mut closes = 0;
        while let Some(frame) = client.try_frame() {
            closes += u32::from(frame.opcode == CLOSE);
        }
        assert!(closes <= 1, "one close frame");
    }
}

/// Stops the server inside one of its callbacks.
fn shuts_down_in_a_callback() {
    for round in 0..30 {
        let order = Order::new(&options());
        let server = order.start(&options(), |clients, _, event| {
            if let Event::Text(_) = event {
                clients.stop();
            }
        });
        let mut clients: Vec<_> = (0..4).map(|_| Client::open(server.local_addr())).collect();
        clients[round % 4].send(TEXT, b"end");
        for client in &mut clients {
            client.expect_close(1001, "");
            client.send(CLOSE, &close_body(1001, ""));
            client.expect_end();
        }
        drop(clients);
        assert!(server.stop(), "it ends by itself");
        assert_eq!(order.summary(), (4, Vec::new()));
        refuses(server.local_addr());
    }
}

/// Stops the server on another thread while messages are exchanged.
fn shuts_down_under_load() {
    use std::io::Write as _;
    for round in 0..10 {
        let order = Order::new(&options());
        let server = order.start(&options(), |clients, id, event| {
            if let (Some(id), Event::Binary(message)) = (id, event) {
                let _ = clients.send_binary(id, message.bytes);
            }
        });
        let addr = server.local_addr();
        let open = &Barrier::new(5);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let mut client = Client::open(addr);
                    open.wait();
                    let mut stream = client.stream.try_clone().unwrap();
                    let message = crate::client::frame(true, BINARY, &[7; 500]);
                    scope.spawn(move || while stream.write_all(&message).is_ok() {});
                    let mut last = None;
                    while let Some(frame) = client.try_frame() {
                        assert!(last != Some(CLOSE), "nothing follows a close frame");
                        last = Some(frame.opcode);
                    }
                    // A connection that ends while data is being sent to it is reset.
                    let _ = client.stream.shutdown(std::net::Shutdown::Both);
                });
            }
            open.wait();
            thread::sleep(Duration::from_millis(20 + round));
            assert!(server.stop(), "no callback hangs");
        });
        let (ended, wrong) = order.summary();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(ended, u64::from(server.clients().stats().accepted));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Sending, pinging and closing from any thread.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use wss::protocol::{FrameError, Opcode};
use wss::service::{ClientState, Target};
use wss::{ClientId, CloseCode, Event, MessageKind, SendError};

use super::client::{BINARY, CLOSE, CONTINUATION, Client, PING, PONG, TEXT, close_body, frame};
use super::server::{
    assert_unharmed, echo, echo_server, eventually, limited, logging_server, options,
};

#[test]
fn frames_of_eight_threads_are_whole_and_each_threads_are_in_order() {
    const MESSAGES: u32 = 300;
    let (server, log) = logging_server(&options(), |_, _, _| {});
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    thread::scope(|scope| {
        for thread in 0..8_u8 {
            let clients = server.clients();
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    // Lengths in each of the encodings, some over a block.
                    let len = [5, 200, 1400, 9000, 70_000][number as usize % 5];
                    let mut payload = vec![thread; len];
                    payload[1..5].copy_from_slice(&number.to_be_bytes());
                    clients.send_binary(id, &payload).unwrap();
                }
            });
        }
        let mut expected = [0; 8];
        for _ in 0..8 * MESSAGES {
            let frame = client.frame();
            assert_eq!((frame.fin, frame.opcode), (true, BINARY));
            let thread = frame.payload[0];
            let number = u32::from_be_bytes(frame.payload[1..5].try_into().unwrap());
            assert!(frame.payload[5..].iter().all(|byte| *byte == thread));
            assert_eq!(number, expected[usize::from(thread)], "thread {thread}");
            expected[usize::from(thread)] += 1;
        }
    });
}

#[test]
fn fragmented_message_is_not_interleaved_by_others() {
    const FRAGMENTS: usize = 200;
    let (server, log) = logging_server(&options(), |_, _, _| {});
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    let clients = server.clients();
    let begun = Barrier::new(5);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            clients
                .send_frame(id, false, Opcode::Text, b"begin")
                .unwrap();
            begun.wait();
            for _ in 0..FRAGMENTS {
                clients
                    .send_frame(id, false, Opcode::Continuation, b"more")
                    .unwrap();
                thread::yield_now();
            }
            clients
                .send_frame(id, true, Opcode::Continuation, b"end")
                .unwrap();
            done.store(true, Ordering::SeqCst);
        });
        for _ in 0..3 {
            scope.spawn(|| {
                begun.wait();
                clients.send_text(id, "other").unwrap();
            });
        }
        scope.spawn(|| {
            begun.wait();
            while !done.load(Ordering::SeqCst) {
                clients.ping(id, b"between").unwrap();
                thread::yield_now();
            }
        });
        let mut data = Vec::new();
        while data.len() < FRAGMENTS + 2 + 3 {
            let frame = client.frame();
            if frame.opcode != PING {
                data.push((frame.opcode, frame.payload));
            }
        }
        assert_eq!(data[0], (TEXT, b"begin".to_vec()));
        for fragment in &data[1..=FRAGMENTS] {
            assert_eq!(*fragment, (CONTINUATION, b"more".to_vec()));
        }
        assert_eq!(data[FRAGMENTS + 1], (CONTINUATION, b"end".to_vec()));
        for other in &data[FRAGMENTS + 2..] {
            assert_eq!(*other, (TEXT, b"other".to_vec()));
        }
    });
}

#[test]
fn sender_to_a_client_that_does_not_read_gives_up_at_the_deadline() {
    let (server, log) = echo_server(&limited(|limits| limits.send_timeout_ms = 300));
    let addr = server.local_addr();
    let clients = server.clients();
    for len in [1400, 1_000_000] {
        let closed = log.so_far().iter().filter(|e| *e == "closed").count();
        let stuck = Client::connect_narrow(addr).upgraded();
        let id = eventually_connected(&server);
        let mut neighbour = Client::open(addr);
        let payload = vec![0; len];
        let failed = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let error = loop {
                    let began = Instant::now();
                    let sent = clients.send_binary(id, &payload);
                    let took = began.elapsed();
                    assert!(took < Duration::from_secs(5), "waited {took:?}");
                    if let Err(error) = sent {
                        break error;
                    }
                };
                let expected = [
                    SendError::WouldBlock,
                    SendError::Aborted,
                    SendError::NotConnected,
                ];
                assert!(expected.contains(&error), "{error}");
                failed.store(true, Ordering::SeqCst);
            });
            while !failed.load(Ordering::SeqCst) {
                let asked = Instant::now();
                neighbour.echo("still quick?");
                assert!(asked.elapsed() < Duration::from_secs(2));
            }
        });
        log.wait_for("closed", closed + 1);
        drop((stuck, neighbour));
        assert_unharmed(&server);
    }
}

/// Returns the only client, once it is connected.
fn eventually_connected(server: &wss::host::Server) -> ClientId {
    let clients = server.clients();
    let connected = || {
        let mut slots = 0..clients.max_clients();
        slots.find(|slot| clients.state(*slot) == ClientState::Connected)
    };
    eventually("a client is connected", || connected().is_some());
    clients.client(connected().unwrap()).unwrap()
}

#[test]
fn sends_inside_a_callback_never_wait_and_writable_follows() {
    static SLOWEST_MS: AtomicU32 = AtomicU32::new(0);
    let limits = limited(|limits| limits.send_timeout_ms = 10_000);
    let (server, log) = logging_server(&limits, |clients, client, event| {
        let (Some(id), Event::Text(_)) = (client, event) else {
            return;
        };
        loop {
            let began = Instant::now();
            let sent = clients.send_binary(id, &[0; 1400]);
            SLOWEST_MS.fetch_max(began.elapsed().as_millis() as u32, Ordering::SeqCst);
            match sent {
                Ok(()) => {}
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // Longer than a block: never, from here.
        let too_long = clients.send_binary(Target::All, &[0; 10_000]);
        assert!(too_long.is_err());
    });
    let mut client = Client::connect_narrow(server.local_addr()).upgraded();
    client.send(TEXT, b"go");
    eventually("a send is refused", || {
        server.clients().stats().would_block > 0
    });
    assert!(!log.so_far().contains(&"writable".to_owned()));
    while !log.so_far().contains(&"writable".to_owned()) {
        client.expect(BINARY, &[0; 1400]);
    }
    assert!(SLOWEST_MS.load(Ordering::SeqCst) < 3000);
}

#[test]
fn writable_is_not_told_while_anothers_fragmented_message_is_unfinished() {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Like every application with unsent messages: it tries again at WRITABLE.
    let (server, log) = logging_server(&options(), |clients, client, event| {
        let Some(id) = client else { return };
        match event {
            Event::Text(message) if message.text() == "try" => {}
            Event::Writable if TRIED.load(Ordering::SeqCst) < 100_000 => {}
            event => return echo(clients, id, event),
        }
        TRIED.fetch_add(1, Ordering::SeqCst);
        let _ = clients.send_text(id, "at last");
    });
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    let clients = server.clients();
    clients
        .send_frame(id, false, Opcode::Text, b"begin")
        .unwrap();
    client.send(TEXT, b"try");
    log.wait_for("text try", 1);
    // Others are served meanwhile, which takes some turns of the work queue.
    let mut neighbour = Client::open(server.local_addr());
    for _ in 0..10 {
        neighbour.echo("and me?");
    }
    let tried = TRIED.load(Ordering::SeqCst);
    assert!(tried <= 2, "told to try again {tried} times, in vain");
    clients
        .send_frame(id, true, Opcode::Continuation, b"end")
        .unwrap();
    assert_eq!(client.frame().payload, b"begin");
    assert_eq!(client.frame().payload, b"end");
    client.expect(TEXT, b"at last");
}

#[test]
fn every_ping_is_answered_in_order_while_others_send() {
    const PINGS: u32 = 20_000;
    let (server, log) = logging_server(&options(), |_, _, _| {});
    let client = Client::connect_narrow(server.local_addr()).upgraded();
    let id = log.wait_for("connected /chat", 1);
    let clients = server.clients();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let payload = vec![0; 20_000];
                while !done.load(Ordering::SeqCst) {
                    let _ = clients.send_binary(id, &payload);
                }
            });
        }
        let mut writer = client.stream.try_clone().unwrap();
        scope.spawn(move || {
            for number in 0..PINGS {
                let ping = frame(true, PING, &number.to_be_bytes());
                std::io::Write::write_all(&mut writer, &ping).unwrap();
            }
        });
        let mut client = client;
        let mut lost = Vec::new();
        let mut next = 0;
        while next < PINGS {
            let Some(frame) = client.try_frame() else {
                break;
            };
            if frame.opcode == PONG {
                let number = u32::from_be_bytes(frame.payload.try_into().unwrap());
                lost.extend(next..number);
                next = number + 1;
            }
            // The last pings might be the lost ones.
            if next + 1 == PINGS {
                break;
            }
        }
        done.store(true, Ordering::SeqCst);
        client.reset();
        assert!(lost.is_empty(), "{} pings unanswered: {lost:?}", lost.len());
    });
}

#[test]
fn stale_id_reaches_nobody() {
    let (server, log) = echo_server(&options());
    let old = Client::open(server.local_addr());
    let stale = log.wait_for("connected /chat", 1);
    drop(old);
    log.wait_for("closed", 1);
    eventually("the slot is free", || server.clients().stats().closed == 1);
    let mut new = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 2);
    assert_eq!(stale.slot(), id.slot());
    let clients = server.clients();
    let unreached = Err(SendError::NotConnected);
    assert_eq!(clients.send_text(stale, "for the old one"), unreached);
    assert_eq!(clients.ping(stale, b""), unreached);
    assert_eq!(clients.close(stale, CloseCode::NORMAL, ""), unreached);
    new.echo("for the new one");
}

#[test]
fn close_carries_code_and_reason() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    let clients = server.clients();
    let reason = "ä".repeat(61);
    clients.send_text(id, "before").unwrap();
    clients
        .close(id, CloseCode::POLICY_VIOLATION, &reason)
        .unwrap();
    assert_eq!(clients.state(id.slot()), ClientState::Closing);
    assert_eq!(clients.send_text(id, "after"), Err(SendError::NotConnected));
    client.expect(TEXT, b"before");
    client.expect_close(1008, &reason);
    client.send(CLOSE, &close_body(1008, ""));
    client.expect_end();
}

#[test]
fn wrong_calls_fail_and_touch_nothing() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    let clients = server.clients();
    let not_connected = Err(SendError::NotConnected);
    for slot in [1, 3, 4, usize::MAX] {
        let to = Target::Slot(slot);
        assert_eq!(clients.send_text(to, ""), not_connected);
        assert_eq!(clients.ping(to, b""), not_connected);
        assert_eq!(clients.close(to, CloseCode::NORMAL, ""), not_connected);
        assert_eq!(clients.state(slot), ClientState::Closed);
        assert_eq!(clients.client(slot), None);
    }
    let wrong = |error| Err(SendError::Frame(error));
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        let sent = clients.send_frame(id, true, opcode, b"");
        assert_eq!(sent, wrong(FrameError::ControlOpcode));
    }
    let sent = clients.send_frame(id, true, Opcode::Continuation, b"");
    assert_eq!(sent, wrong(FrameError::NothingToContinue));
    let sent = clients.send(id, MessageKind::Text, b"\xff");
    assert_eq!(sent, wrong(FrameError::NotUtf8));
    assert_eq!(clients.ping(id, &[0; 126]), Err(SendError::PingTooLong));
    let bad = Err(SendError::Close);
    for code in [
        CloseCode::NO_STATUS_RECEIVED,
        CloseCode::ABNORMAL_CLOSURE,
        CloseCode::TLS_HANDSHAKE,
    ] {
        assert_eq!(clients.close(id, code, ""), bad);
    }
    assert_eq!(clients.close(id, CloseCode::NORMAL, &"x".repeat(124)), bad);
    clients.send_frame(id, false, Opcode::Text, b"a").unwrap();
    let sent = clients.send_text(id, "b");
    assert_eq!(sent, wrong(FrameError::InsideFragmented));
    let sent = clients.send_frame(id, true, Opcode::Continuation, b"\xff");
    assert_eq!(sent, wrong(FrameError::NotUtf8));
    clients
        .send_frame(id, true, Opcode::Continuation, b"c")
        .unwrap();
    clients.ping(id, &[7; 125]).unwrap();
    // Only what was right is seen.
    let first = client.frame();
    assert_eq!((first.fin, first.payload), (false, b"a".to_vec()));
    client.expect(CONTINUATION, b"c");
    client.expect(PING, &[7; 125]);
    client.echo("well");
}

#[test]
fn message_to_all_reaches_every_connected_client() {
    let (server, log) = logging_server(&options(), |clients, _, event| {
        if let Event::Text(message) = event {
            clients.send_text(Target::All, message.text()).unwrap();
        }
    });
    let mut some: Vec<_> = (0..3).map(|_| Client::open(server.local_addr())).collect();
    let _connecting = Client::connect(server.local_addr());
    log.wait_for("connecting", 4);
    some[1].send(TEXT, b"to all");
    for client in &mut some {
        client.expect(TEXT, b"to all");
    }
}

#[test]
fn panic_of_a_handler_harms_nobody() {
    // The hook counts panics of the server's threads; this one is on its work queue, so it is
    // raised without one.
    let server = super::closure::start(
        &options(),
        |clients: &wss::Clients, client: Option<ClientId>, event: &Event<'_>| {
            if let (Some(id), Event::Text(message)) = (client, event) {
                if message.text() == "panic" {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                echo(clients, id, event);
            }
        },
    )
    .unwrap();
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"panic");
    client.echo("and on");
}

#[test]
fn messages_sent_and_connection_closed_from_a_callback_arrive_in_order() {
    let numbers = Mutex::new(0);
    let (server, _log) = logging_server(&options(), move |clients, client, event| {
        if let (Some(id), Event::Text(_)) = (client, event) {
            let mut number = numbers.lock().unwrap();
            for _ in 0..10 {
                clients.send_text(id, &number.to_string()).unwrap();
                *number += 1;
            }
            if *number == 50 {
                clients.close(id, CloseCode::NORMAL, "fifty").unwrap();
            }
        }
    });
    let mut client = Client::open(server.local_addr());
    let five: Vec<u8> = (0..5).flat_map(|_| frame(true, TEXT, b"ten")).collect();
    client.write(&five);
    for number in 0..50 {
        client.expect(TEXT, number.to_string().as_bytes());
    }
    client.expect_close(1000, "fifty");
}

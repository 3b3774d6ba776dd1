// SPDX-License-Identifier: Apache-2.0
//! Servers with a handler.

use core::time::Duration;

use wss::service::Lock as _;
use wss::{CloseCode, MessageKind, Opcode, Status, Target, Verdict};
use wss_zephyr::{Options, kconfig, on_service_thread, uptime_ms};

use crate::app::{Role, SEEN, expect_calls, seen};
use crate::client::{BINARY, CONTINUATION, Client, PING, PONG, TEXT};
use crate::{Running, connected, pause, start_as, wait_until};

/// The responses of a size-optimized build share one reason phrase.
const FORBIDDEN: &[u8] = if cfg!(feature = "wss_packages") {
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
} else {
    b"HTTP/1.1 403 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
};
const FULL: &[u8] = if cfg!(feature = "wss_packages") {
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"
} else {
    b"HTTP/1.1 503 Refused\r\nContent-Length: 0\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"
};

#[track_caller]
fn start() -> Running {
    start_as(Role::Judge, &Options::new())
}

#[unsafe(no_mangle)]
extern "C" fn a_handler_is_told_everything_in_order() {
    let server = start();
    assert_eq!(u32::from(server.local_port()), kconfig::PORT);
    assert!(!on_service_thread());

    let client = Client::connect(c"/greet?name=value");
    client.gets(TEXT, b"name=value");
    client.sends(TEXT, "Grüße".as_bytes());
    client.gets(TEXT, "Grüße".as_bytes());
    client.sends(BINARY, b"\x00\xff");
    client.gets(BINARY, b"\x00\xff");
    client.sends(PING, b"there?");
    client.gets(PONG, b"there?");
    client.sends(PONG, b"unasked");
    client.closes();

    let wanted = ["request", "open", "text", "binary", "ping", "pong", "close"];
    expect_calls(&wanted);
    assert_eq!(SEEN.lock().code, Some(CloseCode::NORMAL));

    assert!(server.stop());
    assert_eq!(SEEN.lock().calls(), wanted);
    let stats = server.clients().stats();
    assert_eq!((stats.accepted, stats.connected, stats.closed), (1, 1, 1));
    assert_eq!(
        (stats.most_clients, stats.aborted, stats.blocks_used),
        (1, 0, 0)
    );
    let traffic = stats.traffic;
    assert_eq!(
        (traffic.messages_received, traffic.bytes_received),
        (2, 7 + 2)
    );
    assert_eq!((traffic.messages_sent, traffic.bytes_sent), (3, 10 + 7 + 2));
}

#[unsafe(no_mangle)]
extern "C" fn the_application_closes() {
    let server = start();
    let clients = server.clients();

    // In the handler.
    let client = Client::connect(c"/");
    let first = connected(&clients, 0);
    client.sends(TEXT, b"close");
    client.closed_with(b"\x03\xe8as asked for");
    seen("the answer", |seen| {
        (seen.code == Some(CloseCode::NORMAL)).then_some(())
    });
    wait_until("the slot is free", || clients.client(0).is_none());

    // On another thread.
    let client = Client::connect(c"/");
    let id = connected(&clients, 0);
    assert_ne!(id, first);
    assert_eq!(clients.close(id, CloseCode::POLICY_VIOLATION, "no"), Ok(()));
    client.closed_with(b"\x03\xf0no");
    seen("the answer", |seen| {
        (seen.code == Some(CloseCode::POLICY_VIOLATION)).then_some(())
    });
    wait_until("the slot is free", || clients.client(0).is_none());
    assert!(clients.close(id, CloseCode::NORMAL, "").is_err());
    assert_eq!(clients.stats().aborted, 0);
}

#[unsafe(no_mangle)]
extern "C" fn all_clients_are_sent_to() {
    let server = start();
    let all = [(); kconfig::MAX_CLIENTS as usize].map(|()| Client::connect(c"/"));
    for slot in 0..all.len() {
        connected(&server.clients(), slot);
    }

    // On another thread.
    assert_eq!(server.clients().send_text(Target::All, "one"), Ok(()));
    assert_eq!(
        server.clients().send_binary(Target::Slot(1), b"two"),
        Ok(())
    );
    assert_eq!(server.clients().ping(Target::All, b"three"), Ok(()));
    for (slot, client) in all.iter().enumerate() {
        client.gets(TEXT, b"one");
        if slot == 1 {
            client.gets(BINARY, b"two");
        }
        client.gets(PING, b"three");
        client.sends(PONG, b"three");
    }

    // In the handler.
    all[2].sends(TEXT, b"all");
    for client in &all {
        client.gets(TEXT, b"for all");
    }
    assert_eq!(server.clients().stats().most_clients, kconfig::MAX_CLIENTS);
    for client in all {
        client.closes();
    }
}

#[unsafe(no_mangle)]
extern "C" fn messages_wait_for_each_other_until_they_are_flushed() {
    let server = start();
    let clients = server.clients();
    let client = Client::connect(c"/");
    let id = connected(&clients, 0);
    assert_eq!(clients.send_more(id, MessageKind::Text, b"one"), Ok(()));
    assert_eq!(clients.send_more(id, MessageKind::Binary, b"two"), Ok(()));
    pause(50);
    client.has_nothing();
    assert_eq!(clients.flush(id), Ok(()));
    client.gets(TEXT, b"one");
    client.gets(BINARY, b"two");
    // One that does not wait also sends what is queued before it.
    assert_eq!(clients.send_more(id, MessageKind::Text, b"three"), Ok(()));
    assert_eq!(clients.send_text(id, "four"), Ok(()));
    client.gets(TEXT, b"three");
    client.gets(TEXT, b"four");
    client.closes();
}

#[unsafe(no_mangle)]
extern "C" fn a_message_is_sent_in_fragments() {
    let server = start();
    let clients = server.clients();
    let client = Client::connect(c"/");
    let id = connected(&clients, 0);
    let text = |fin, opcode, part: &[u8]| clients.send_frame(id, fin, opcode, part);
    assert_eq!(text(false, Opcode::Text, b"a message "), Ok(()));
    client.gets_fragment(TEXT, b"a message ");
    // Control frames may come in between.
    assert_eq!(clients.ping(id, b"there?"), Ok(()));
    client.gets(PING, b"there?");
    assert_eq!(text(false, Opcode::Continuation, b"in "), Ok(()));
    assert_eq!(text(true, Opcode::Continuation, b"fragments"), Ok(()));
    client.gets_fragment(CONTINUATION, b"in ");
    client.gets(CONTINUATION, b"fragments");
    // There is nothing to continue any more.
    assert!(text(true, Opcode::Continuation, b"").is_err());
    client.closes();
}

#[unsafe(no_mangle)]
extern "C" fn the_accept_hook_picks_a_subprotocol() {
    let server = start();
    let client = Client::ask(c"/", c"Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n");
    client.accepted_with(b"Sec-WebSocket-Protocol: chat.v2\r\n");
    client.closes();
    let client = Client::ask(c"/", c"Sec-WebSocket-Protocol: chat.v1\r\n");
    client.accepted_with(b"");
    client.closes();
    assert_eq!(server.clients().stats().connected, 2);
}

#[unsafe(no_mangle)]
extern "C" fn the_accept_hook_refuses_with_403() {
    let server = start();
    let client = Client::ask(c"/forbidden", c"");
    client.refused_with(FORBIDDEN);
    wait_until("the slot is free", || server.clients().client(0).is_none());
    expect_calls(&["request"]);
    let stats = server.clients().stats();
    assert_eq!((stats.refused_forbidden, stats.refused_requests), (1, 0));
    assert_eq!((stats.accepted, stats.connected), (1, 0));
}

#[unsafe(no_mangle)]
extern "C" fn the_accept_hook_answers_later() {
    let server = start();
    let asks = || {
        let client = Client::ask(c"/later", c"Sec-WebSocket-Protocol: chat.v1\r\n");
        (client, seen("the request", |seen| seen.asked))
    };

    let (client, id) = asks();
    assert!(server.clients().send_text(id, "too early").is_err());
    let verdict = Verdict::accept().subprotocol("chat.v1");
    assert_eq!(server.clients().answer(id, verdict), Ok(()));
    client.accepted_with(b"Sec-WebSocket-Protocol: chat.v1\r\n");
    client.sends(TEXT, b"hello");
    client.gets(TEXT, b"hello");
    client.closes();

    SEEN.lock().asked = None;
    let (client, id) = asks();
    let verdict = Verdict::refuse(Status::FORBIDDEN);
    assert_eq!(server.clients().answer(id, verdict), Ok(()));
    client.refused_with(FORBIDDEN);
}

#[unsafe(no_mangle)]
extern "C" fn one_client_too_many_gets_503() {
    let server = start();
    let all = [(); kconfig::MAX_CLIENTS as usize].map(|()| Client::connect(c"/"));
    let client = Client::ask(c"/", c"");
    client.refused_with(FULL);
    let stats = server.clients().stats();
    assert_eq!(
        (stats.refused_full, stats.accepted),
        (1, kconfig::MAX_CLIENTS)
    );
    for client in all {
        client.closes();
    }
    wait_until("there is a place again", || {
        server.clients().stats().closed == kconfig::MAX_CLIENTS
    });
    Client::connect(c"/").closes();
}

#[unsafe(no_mangle)]
extern "C" fn each_client_has_a_session_of_its_own() {
    let server = start();
    for _ in 0..2 {
        let clients = [Client::connect(c"/"), Client::connect(c"/")];
        for count in 1..4 {
            for client in &clients {
                client.sends(TEXT, b"count");
                client.gets(BINARY, &[count]);
            }
        }
        for client in clients {
            client.closes();
        }
        // The next ones have the same slots.
        wait_until("all are gone", || server.clients().iter().next().is_none());
    }
}

#[unsafe(no_mangle)]
extern "C" fn groups_are_sent_to() {
    let server = start();
    let clients = server.clients();
    let all = [(); 3].map(|()| Client::connect(c"/"));
    for (slot, groups) in [1, 2, 3].into_iter().enumerate() {
        let id = connected(&clients, slot);
        assert!(clients.peer(id).is_some());
        assert!(clients.set_groups(id, groups));
    }
    assert_eq!(clients.broadcast_text(1, "one"), Ok(2));
    assert_eq!(clients.broadcast_text(4, "four"), Ok(0));
    all[0].gets(TEXT, b"one");
    all[2].gets(TEXT, b"one");
    for client in all {
        client.closes();
    }
}

#[unsafe(no_mangle)]
extern "C" fn ticks_come_with_their_period() {
    let options = Options::new().tick(Duration::from_millis(100));
    let server = start_as(Role::Tick, &options);
    let client = Client::connect(c"/");
    client.gets(BINARY, &[1]);
    let began = uptime_ms();
    for count in 2..=6 {
        client.gets(BINARY, &[count]);
    }
    let took = uptime_ms() - began;
    assert!((400..=600).contains(&took), "{took} ms");
    server.clients().stop();
    client.closed_with(b"\x03\xe9");
}

// SPDX-License-Identifier: Apache-2.0
//! The events of a connection: their exact order, however it ends.

use std::time::{Duration, Instant};

use wss::host::Options;
use wss::{CloseCode, Event};

use super::client::{BINARY, CLOSE, Client, PING, PONG, TEXT, close_body, frame};
use super::server::{assert_unharmed, echo_server, limited, logging_server, options};

const CONNECTED: &[&str] = &["connecting", "connected /chat"];
const GONE: &[&str] = &["closing", "closed"];

fn story(between: &[&'static str]) -> Vec<&'static str> {
    [CONNECTED, between, GONE].concat()
}

#[test]
fn client_that_closes_is_answered_with_its_code() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    client.echo("hello");
    client.send(CLOSE, &close_body(3000, "done"));
    client.expect_close(3000, "");
    client.expect_end();
    drop(client);
    assert_eq!(
        log.until_closed(),
        story(&["text hello", "close frame 3000"])
    );
    assert_unharmed(&server);
}

#[test]
fn empty_close_is_answered_with_an_empty_close() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    client.send(CLOSE, b"");
    client.expect(CLOSE, b"");
    client.expect_end();
    drop(client);
    assert_eq!(log.until_closed(), story(&["close frame 0"]));
}

#[test]
fn server_that_closes_waits_for_the_answer() {
    let (server, log) = logging_server(&options(), |clients, client, event| {
        if let (Some(id), Event::Text(_)) = (client, event) {
            clients.close(id, CloseCode::NORMAL, "enough").unwrap();
        }
    });
    let mut client = Client::open(server.local_addr());
    client.send(TEXT, b"go");
    client.expect_close(1000, "enough");
    client.send(CLOSE, &close_body(1000, ""));
    client.expect_end();
    drop(client);
    let told = [
        "connecting",
        "connected /chat",
        "text go",
        "closing",
        "close frame 1000",
        "closed",
    ];
    assert_eq!(log.until_closed(), told);
}

#[test]
fn end_of_the_stream_is_noticed_at_once() {
    let (server, log) = echo_server(&options());
    let client = Client::open(server.local_addr());
    client.end_of_stream();
    assert_eq!(log.until_closed(), story(&[]));
}

#[test]
fn end_of_the_stream_in_the_segment_of_the_last_message_is_noticed_at_once() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    let began = Instant::now();
    client.write_and_end(&frame(true, TEXT, b"bye"));
    client.expect(TEXT, b"bye");
    client.expect_end();
    assert_eq!(log.until_closed(), story(&["text bye"]));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn end_of_the_stream_in_the_segment_of_half_a_request_is_noticed_at_once() {
    let (server, log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    client.write_and_end(b"GET / HTTP/1.1\r\nHost: ");
    client.expect_end();
    assert_eq!(log.until_closed(), ["connecting", "closing", "closed"]);
}

#[test]
fn reset_is_noticed_at_once() {
    let (server, log) = echo_server(&options());
    Client::open(server.local_addr()).reset();
    assert_eq!(log.until_closed(), story(&[]));
    assert_unharmed(&server);
}

#[test]
fn violations_fail_the_connection_with_their_code() {
    let unmasked = vec![0x81, 1, b'x'];
    let reserved_bit = {
        let mut bytes = frame(true, TEXT, b"x");
        bytes[0] |= 0x40;
        bytes
    };
    let cases = [
        (1002, unmasked),
        (1002, reserved_bit),
        (1002, frame(true, 3, b"x")),
        (1002, frame(true, 0, b"nothing to continue")),
        (1002, frame(false, PING, b"fragmented")),
        (1002, frame(true, CLOSE, b"x")),
        (1002, frame(true, CLOSE, &close_body(1005, ""))),
        (1007, frame(true, TEXT, b"\xff")),
        (1007, frame(false, TEXT, b"\xc3(")),
        (1009, frame(true, BINARY, &[0; 1401])),
    ];
    for (code, bytes) in cases {
        let (server, log) = echo_server(&options());
        let mut client = Client::open(server.local_addr());
        client.write(&bytes);
        client.expect_close(code, "");
        client.expect_end();
        drop(client);
        assert_eq!(log.until_closed(), story(&["invalidframe"]), "{code}");
    }
}

#[test]
fn silent_client_is_closed_with_1000() {
    let (server, log) = echo_server(&limited(|limits| limits.client_timeout_ms = 200));
    let mut client = Client::open(server.local_addr());
    client.expect_close(1000, "");
    // It gets no closing handshake (interface.md, event 11).
    client.expect_end();
    let told = [
        "connecting",
        "connected /chat",
        "timeout",
        "closing",
        "closed",
    ];
    assert_eq!(log.until_closed(), told);
    assert_eq!(server.clients().stats().timeouts, 1);
}

#[test]
fn client_that_answers_pings_stays_and_the_pongs_raise_no_event() {
    let (server, log) = echo_server(&limited(|limits| {
        limits.client_timeout_ms = 1500;
        limits.ping_interval_ms = 200;
    }));
    let mut client = Client::open(server.local_addr());
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2200) {
        let ping = client.frame();
        assert_eq!(ping.opcode, PING, "{ping:?}");
        client.send(PONG, &ping.payload);
    }
    client.send(PONG, b"of my own accord");
    log.wait_for("pong of my own accord", 1);
    assert_eq!(
        log.so_far(),
        [CONNECTED, &["pong of my own accord"]].concat()
    );
}

#[test]
fn refused_handshake_closes_without_connecting() {
    let (server, log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    client.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 405);
    client.expect_end();
    drop(client);
    assert_eq!(log.until_closed(), ["connecting", "closing", "closed"]);
}

#[test]
fn shutdown_closes_once() {
    let (server, log) = echo_server(&options());
    let client = Client::open(server.local_addr());
    let reader = std::thread::spawn(move || {
        let mut client = client;
        client.expect_close(1001, "");
        client.send(CLOSE, &close_body(1001, ""));
        client.expect_end();
    });
    assert!(server.stop());
    reader.join().unwrap();
    let told = [
        "connecting",
        "connected /chat",
        "closing",
        "close frame 1001",
        "closed",
    ];
    assert_eq!(log.so_far(), told);
}

#[test]
fn client_that_never_answers_a_close_is_cut_off() {
    let options = Options {
        max_clients: 1,
        ..limited(|limits| limits.close_timeout_ms = 200)
    };
    let (server, log) = echo_server(&options);
    let mut client = Client::open(server.local_addr());
    let id = log.wait_for("connected /chat", 1);
    server.clients().close(id, CloseCode::NORMAL, "").unwrap();
    client.expect_close(1000, "");
    // The client keeps quiet, and its connection open.
    assert_eq!(log.until_closed(), story(&[]));
    client.expect_end();
    assert_unharmed(&server);
}

#[test]
fn pings_are_answered_in_order() {
    let (server, log) = echo_server(&options());
    let mut client = Client::open(server.local_addr());
    let pings: Vec<u8> = (0..100)
        .flat_map(|number: u32| frame(true, PING, number.to_string().as_bytes()))
        .collect();
    client.write(&pings);
    for number in 0..100 {
        client.expect(PONG, number.to_string().as_bytes());
    }
    log.wait_for("ping 99", 1);
}

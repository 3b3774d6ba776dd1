// SPDX-License-Identifier: Apache-2.0
//! Defects of other servers. Each test is named after the defect that it guards against.
//!
//! The table in docs/reliability.md has the source of each defect. The last test here compares it with this file.
//!
//! They run against any echo server; see `target.rs`.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use wss::host::Options;

use super::client::{
    ACCEPT, BINARY, CLOSE, CONTINUATION, Client, Frame, PING, PONG, REQUEST, TEXT, close_body,
    frame, request_with,
};
use super::server::{limited, options};
use super::target::{Server, each_server};

/// Lets the written bytes arrive separately, before anything else.
fn arrive() {
    thread::sleep(Duration::from_millis(10));
}

/// Writes the bytes in two segments.
fn write_cut(client: &mut Client, bytes: &[u8], at: usize) {
    let (first, second) = bytes.split_at(at);
    client.write(first);
    arrive();
    client.write(second);
}

/// The server must close the connection within a message, part of which it may have sent back before.
fn expect_close_in(client: &mut Client, code: u16) {
    let frame = loop {
        let frame = client.frame();
        if frame.opcode >= CLOSE || frame.fin {
            break frame;
        }
    };
    assert_eq!((frame.opcode, frame.payload), (CLOSE, close_body(code, "")));
    client.expect_end();
}

// The opening handshake.

#[test]
fn first_frame_is_lost_with_the_upgrade() {
    each_server(|server| {
        let mut bytes = REQUEST.as_bytes().to_vec();
        bytes.extend(frame(true, TEXT, b"first"));
        let second = frame(true, TEXT, b"second");
        // The last frame is cut, too.
        let (begin, rest) = second.split_at(3);
        bytes.extend(begin);
        let (mut client, response) = server.request(&bytes);
        assert_eq!(response.status, 101);
        client.expect_message(TEXT, b"first");
        client.write(rest);
        client.expect_message(TEXT, b"second");
    });
}

#[test]
fn connection_has_to_be_nothing_but_upgrade() {
    each_server(|server| {
        for list in [
            "keep-alive, Upgrade",
            "Upgrade,Keep-Alive",
            "keep-alive\t,\tupgrade , x",
            "close,upgrade",
        ] {
            let request = REQUEST.replace("Connection: Upgrade", &format!("Connection: {list}"));
            let (mut client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 101, "{list}");
            client.echo(list);
        }
        let two_lines = REQUEST.replace(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: Upgrade",
        );
        assert_eq!(server.request(two_lines.as_bytes()).1.status, 101);
        let within_a_word = REQUEST.replace("Connection: Upgrade", "Connection: no-upgrade");
        assert_eq!(server.request(within_a_word.as_bytes()).1.status, 426);
    });
}

#[test]
fn names_of_fields_in_another_case_are_not_known() {
    each_server(|server| {
        for request in [
            lower_names(REQUEST),
            REQUEST.replace("websocket", "WebSocket"),
        ] {
            let (_client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 101, "{request}");
            assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
        }
    });
}

/// A request with its field names in lower case.
fn lower_names(request: &str) -> String {
    let lines = request
        .split("\r\n")
        .map(|line| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_lowercase()),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\r\n")
}

#[test]
fn request_cut_within_a_field_is_misread() {
    each_server(|server| {
        let cuts = [
            "Upgr",
            "Connection: Up",
            "Key: dGhl",
            "Version: 1",
            "\r\n\r",
        ];
        for cut in cuts {
            let at = REQUEST.find(cut).unwrap() + cut.len();
            let (first, second) = REQUEST.as_bytes().split_at(at);
            // Until a slot is free: a client beyond the limit is answered before it has sent everything.
            drop(server.open());
            let mut client = Client::connect(server.addr);
            client.write(first);
            arrive();
            client.write(second);
            assert_eq!(client.response().status, 101, "{cut}");
            client.echo(cut);
        }
    });
}

#[test]
fn last_field_is_cut_short() {
    each_server(|server| {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let request = REQUEST.replace(key, "");
        let key_last = request.replace("\r\n\r\n", &format!("\r\n{key}\r\n"));
        let (_client, response) = server.request(key_last.as_bytes());
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    });
}

#[test]
fn key_that_is_too_long_is_copied_without_its_end() {
    each_server(|server| {
        for len in [25, 28, 31, 32, 33, 47, 48, 49, 50, 64, 200, 1000] {
            let request = REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", &"A".repeat(len));
            let (mut client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 400, "a key of {len} characters");
            client.expect_end();
        }
        // Nothing of it affects the next one.
        let (_client, response) = server.request(REQUEST.as_bytes());
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    });
}

#[test]
fn cookies_do_not_fit() {
    each_server(|server| {
        let cookies = |len| request_with(&format!("Cookie: id={}\r\n", "c".repeat(len)));
        let (mut client, response) = server.request(cookies(3000).as_bytes());
        assert_eq!(response.status, 101);
        client.echo("in");
        let (mut client, response) = server.request(cookies(5000).as_bytes());
        assert_eq!(response.status, 431);
        client.expect_end();
    });
}

#[test]
fn subprotocol_that_begins_alike_is_taken_for_the_servers() {
    each_server(|server| {
        let spoken = |offered: &str| {
            let request = request_with(&format!("Sec-WebSocket-Protocol: {offered}\r\n"));
            let (_client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 101, "{offered}");
            response.header("Sec-WebSocket-Protocol").map(str::to_owned)
        };
        for offered in [
            "chat",
            "chat.v10",
            "chat.v2",
            "CHAT.V1",
            "chat.v",
            "soap, wamp",
        ] {
            assert_eq!(spoken(offered), None, "{offered}");
        }
        // One of them, not the list.
        let chosen = server.own.is_some().then(|| "chat.v1".to_owned());
        assert_eq!(spoken("chat.v10, chat.v1"), chosen);
    });
}

// Frames.

#[test]
fn unmasked_frames_are_let_through() {
    each_server(|server| {
        server.assert_fails(b"\x81\x05hello", 1002);
        server.assert_fails(b"\x89\x00", 1002);
        server.assert_fails(b"\x88\x02\x03\xe8", 1002);
    });
}

#[test]
fn reserved_bits_are_let_through() {
    each_server(|server| {
        for bit in [0x40, 0x20, 0x10] {
            for opcode in [TEXT, PING] {
                let mut bytes = frame(true, opcode, b"x");
                bytes[0] |= bit;
                server.assert_fails(&bytes, 1002);
            }
        }
    });
}

#[test]
fn reserved_opcodes_are_let_through() {
    each_server(|server| {
        for opcode in [3, 7, 11, 15] {
            server.assert_fails(&frame(true, opcode, b"x"), 1002);
        }
    });
}

#[test]
fn frame_cut_within_its_header_is_misread() {
    each_server(|server| {
        let mut client = server.open();
        for len in [0, 5, 125, 126, 300] {
            let payload = vec![b'p'; len];
            let bytes = frame(true, BINARY, &payload);
            for at in 1..bytes.len().min(11) {
                write_cut(&mut client, &bytes, at);
                client.expect_message(BINARY, &payload);
            }
        }
        let bytes = frame(true, PING, b"p");
        for at in 1..bytes.len() {
            write_cut(&mut client, &bytes, at);
            client.expect(PONG, b"p");
        }
    });
}

#[test]
fn mask_starts_again_with_each_segment() {
    each_server(|server| {
        let mut client = server.open();
        let payload: Vec<u8> = (0..=200).collect();
        let bytes = frame(true, BINARY, &payload);
        for count in [1, 3, 5, 7] {
            let (header, masked) = bytes.split_at(bytes.len() - payload.len());
            client.write(header);
            for part in masked.chunks(count * 13) {
                arrive();
                client.write(part);
            }
            client.expect_message(BINARY, &payload);
        }
    });
}

#[test]
fn length_of_64_bits_wraps_around() {
    each_server(|server| {
        let with_length = |len: u64| {
            let header = [&[0x82, 0xff], &len.to_be_bytes()[..], &[0; 4]].concat();
            [header, b"payload".to_vec()].concat()
        };
        // Lengths that overflow when a header is added, or look negative; the highest bit must be 0.
        for len in [u64::MAX, u64::MAX - 3, u64::MAX - 13, 1 << 63] {
            server.assert_fails(&with_length(len), 1002);
        }
        // A length of 32 bits would be 5, and the rest of the payload a frame.
        for len in [(1 << 32) + 5, (1 << 48) + 5, i64::MAX as u64] {
            let mut client = server.open();
            client.write(&with_length(len));
            client.write(&frame(true, TEXT, b"smuggled"));
            client.end_of_stream();
            // Too big; or, in pieces, without an end.
            while let Some(frame) = client.try_frame() {
                let too_big = frame.opcode == CLOSE && frame.payload == close_body(1009, "");
                assert!(too_big || !frame.fin, "{frame:?}");
            }
        }
    });
}

#[test]
fn length_at_an_edge_is_encoded_wrongly() {
    // The client checks that the length of each frame has its shortest encoding.
    let server = Server::start(&Options {
        rx_buffer: 70_000,
        ..options()
    });
    let mut client = server.open();
    for len in [124, 125, 126, 127, 1399, 1400] {
        client.send(BINARY, &vec![1; len]);
        client.expect_message(BINARY, &vec![1; len]);
    }
    if server.own.is_some() {
        for len in [65_534, 65_535, 65_536, 65_537] {
            client.send(BINARY, &vec![2; len]);
            client.expect(BINARY, &vec![2; len]);
        }
    }
}

// Control frames.

#[test]
fn ping_without_a_payload_spoils_the_next_frame() {
    each_server(|server| {
        let mut client = server.open();
        client.write(&frame(true, PING, b""));
        client.write(&frame(true, TEXT, b"next"));
        client.expect(PONG, b"");
        client.expect_message(TEXT, b"next");
        // In a segment of its own, and an empty message, too.
        for opcode in [PING, TEXT] {
            client.send(opcode, b"");
            let (answer, payload) = client.message();
            assert_eq!(answer, if opcode == PING { PONG } else { TEXT });
            assert!(payload.is_empty());
            arrive();
            client.echo("next");
        }
    });
}

#[test]
fn ping_becomes_part_of_the_message_around_it() {
    each_server(|server| {
        let mut client = server.open();
        client.write(&frame(false, TEXT, b"one "));
        client.write(&frame(true, PING, b"PING"));
        client.write(&frame(false, CONTINUATION, b"message"));
        client.write(&frame(true, PONG, b"PONG"));
        client.write(&frame(true, PING, b""));
        client.write(&frame(true, CONTINUATION, b""));
        let mut frames: Vec<Frame> = Vec::new();
        while frames
            .iter()
            .filter(|frame| frame.opcode < CLOSE && frame.fin)
            .count()
            == 0
            || frames.iter().filter(|frame| frame.opcode == PONG).count() < 2
        {
            frames.push(client.frame());
        }
        let (pongs, message): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| frame.opcode == PONG);
        assert_eq!(
            (&pongs[0].payload[..], &pongs[1].payload[..]),
            (&b"PING"[..], &b""[..])
        );
        let text: Vec<_> = message
            .into_iter()
            .flat_map(|frame| frame.payload)
            .collect();
        assert_eq!(text, b"one message");
    });
}

#[test]
fn fragmented_or_long_pings_are_let_through() {
    each_server(|server| {
        server.assert_fails(&frame(false, PING, b"frag"), 1002);
        server.assert_fails(&frame(true, PING, &[b'x'; 126]), 1002);
        server.assert_fails(&frame(true, CLOSE, &[b'x'; 126]), 1002);
    });
}

#[test]
fn pongs_carry_the_payload_of_another_ping() {
    // The service pings, too, with its own payloads.
    let server = Server::start(&limited(|limits| limits.ping_interval_ms = 100));
    let mut client = server.open();
    let until = Instant::now() + Duration::from_millis(500);
    for number in 0_u32.. {
        if Instant::now() > until {
            break;
        }
        client.send(PING, &number.to_be_bytes());
        loop {
            let frame = client.frame();
            if frame.opcode == PONG {
                assert_eq!(frame.payload, number.to_be_bytes());
                break;
            }
            assert_eq!(frame.opcode, PING, "{frame:?}");
            client.send(PONG, &frame.payload);
        }
        // Silent for long enough to be pinged, sometimes.
        thread::sleep(Duration::from_millis(u64::from(number % 8) * 30));
    }
}

// Messages of several frames.

#[test]
fn opcode_of_a_message_outlives_it() {
    each_server(|server| {
        let mut client = server.open();
        client.write(&frame(false, TEXT, b"te"));
        client.write(&frame(true, CONTINUATION, b"xt"));
        client.write(&frame(true, BINARY, b"\xff"));
        client.expect_message(TEXT, b"text");
        client.expect_message(BINARY, b"\xff");
        // Nothing is left to be continued.
        client.write(&frame(true, CONTINUATION, b"more"));
        client.expect_close(1002, "");
    });
}

#[test]
fn new_message_overwrites_one_that_is_unfinished() {
    each_server(|server| {
        let mut client = server.open();
        client.write(&frame(false, TEXT, b"unfinished"));
        client.write(&frame(true, TEXT, b"new"));
        expect_close_in(&mut client, 1002);
        server.assert_fails(&frame(true, CONTINUATION, b"of nothing"), 1002);
    });
}

#[test]
fn character_cut_between_fragments_is_not_utf_8() {
    each_server(|server| {
        let mut client = server.open();
        let text = "æ€🦀".as_bytes();
        for at in 1..text.len() {
            let (first, second) = text.split_at(at);
            client.write(&frame(false, TEXT, first));
            arrive();
            client.write(&frame(true, CONTINUATION, second));
            client.expect_message(TEXT, text);
            // The same in one frame that comes in two segments.
            let whole = frame(true, TEXT, text);
            write_cut(&mut client, &whole, whole.len() - text.len() + at);
            client.expect_message(TEXT, text);
        }
        client.write(&frame(true, TEXT, &text[..4]));
        expect_close_in(&mut client, 1007);
    });
}

// Closing.

#[test]
fn fin_bit_hides_the_close() {
    each_server(|server| {
        let mut client = server.open();
        // FIN and the opcode are one byte.
        client.write(&frame(true, CLOSE, &close_body(1000, "")));
        client.expect_close(1000, "");
        client.expect_end();
        server.assert_fails(&frame(false, CLOSE, &close_body(1000, "")), 1002);
    });
}

#[test]
fn close_is_not_answered() {
    each_server(|server| {
        for body in [close_body(1000, "bye"), Vec::new()] {
            let mut client = server.open();
            client.echo("before");
            client.send(CLOSE, &body);
            client.expect(CLOSE, &body[..body.len().min(2)]);
            client.expect_end();
        }
    });
}

#[test]
fn code_of_a_close_loses_a_byte() {
    each_server(|server| {
        for code in [1000, 1001, 3000, 4095, 4096, 4999] {
            let mut client = server.open();
            client.send(CLOSE, &close_body(code, ""));
            client.expect_close(code, "");
        }
    });
}

#[test]
fn second_close_follows_the_first() {
    each_server(|server| {
        for close in [
            frame(true, CLOSE, &close_body(1000, "bye")),
            b"\x81\x00".to_vec(),
        ] {
            let mut client = server.open();
            client.echo("before");
            client.write(&close);
            assert_eq!(client.frame().opcode, CLOSE);
            // As an answer to it, or for good measure.
            let _ = client
                .stream
                .write_all(&frame(true, CLOSE, &close_body(1000, "")));
            client.expect_end();
        }
    });
}

#[test]
fn frames_behind_a_close_are_taken() {
    each_server(|server| {
        let mut client = server.open();
        let mut bytes = frame(true, CLOSE, &close_body(1000, ""));
        bytes.extend(frame(true, TEXT, b"behind"));
        bytes.extend(frame(true, PING, b"behind"));
        client.write(&bytes);
        client.expect_close(1000, "");
        client.expect_end();
    });
}

// Several clients.

#[test]
fn receive_buffer_is_shared_by_all_clients() {
    each_server(|server| {
        let mut clients = [server.open(), server.open()];
        let messages = [[b'a'; 300], [b'b'; 300]].map(|payload| frame(true, TEXT, &payload));
        // Their frames arrive in turn, a few bytes at a time.
        for at in (0..messages[0].len()).step_by(50) {
            for (client, message) in clients.iter_mut().zip(&messages) {
                client.write(&message[at..message.len().min(at + 50)]);
                arrive();
            }
        }
        for (client, letter) in clients.iter_mut().zip([b'a', b'b']) {
            client.expect_message(TEXT, &[letter; 300]);
        }
    });
}

#[test]
fn reader_that_stops_stalls_the_others() {
    each_server(|server| {
        let stopped = server.open_on(Client::connect_narrow);
        let mut neighbour = server.open();
        // It sends until nothing more is taken, and never reads.
        let mut stream = stopped.stream.try_clone().unwrap();
        let flood = thread::spawn(move || {
            let message = frame(true, BINARY, &[9; 1400]);
            while stream.write_all(&message).is_ok() {}
        });
        let mut slowest = Duration::ZERO;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(700) {
            let asked = Instant::now();
            neighbour.echo("quick?");
            slowest = slowest.max(asked.elapsed());
        }
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        stopped.stream.shutdown(std::net::Shutdown::Both).unwrap();
        flood.join().unwrap();
    });
}

#[test]
fn table_of_defects_names_every_test() {
    let tests = include_str!("defects.rs")
        .split("#[test]\nfn ")
        .skip(1)
        .map(|test| test.split_once('(').unwrap().0)
        .filter(|name| *name != "table_of_defects_names_every_test");
    let docs = include_str!("../../docs/reliability.md");
    let section = docs.split_once("\n## Defects of others\n").unwrap().1;
    let table = section.split("\n## ").next().unwrap();
    let mut named: Vec<_> = table
        .lines()
        .filter_map(|row| row.strip_suffix("` |")?.rsplit_once('`'))
        .map(|(_, name)| name)
        .collect();
    let mut tests: Vec<_> = tests.collect();
    tests.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, tests);
}

// SPDX-License-Identifier: Apache-2.0
//! Writes the first inputs for fuzzing, from the byte scripts of the tests, into the directory of `fuzz/run`. They are
//! in the corpus by now; this is for a new one.
//!
//!     cargo run --example seeds      # also prints the plans

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary as _, Unstructured};
use wss_fuzz::service::Plan;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const FIELDS: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Version: 13\r\n";

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xFFFF => bytes.extend([&[0xFE], &(len as u16).to_be_bytes()[..]].concat()),
        len => bytes.extend([&[0xFF], &(len as u64).to_be_bytes()[..]].concat()),
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

fn frames() -> Vec<Vec<u8>> {
    let big = [7; 300];
    let huge = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
    vec![
        [
            frame(0x81, b"Hello"),
            frame(0x82, &big),
            frame(0x81, "ä€😀".as_bytes()),
        ]
        .concat(),
        [
            frame(0x01, b"ab\xc3"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x00, b"\xa4"),
            frame(0x8A, b""),
            frame(0x80, &big[..200]),
        ]
        .concat(),
        [
            frame(0x02, &big),
            frame(0x89, &[2; 125]),
            frame(0x80, &[1; 1200]),
        ]
        .concat(),
        [
            frame(0x81, b"bye"),
            frame(0x88, b"\x03\xe8why"),
            frame(0x81, b"late"),
        ]
        .concat(),
        frame(0x88, b""),
        frame(0x88, b"\x03"),
        frame(0x88, b"\x03\xed"),
        frame(0x88, b"\x03\xe8\xff"),
        frame(0x81, b"\xc3\x28"),
        frame(0x81, b"\xed\xa0\x80"),
        [frame(0x01, b"\xf0\x9f"), frame(0x80, b"\x98\x80")].concat(),
        [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        frame(0x80, b"nothing to continue"),
        vec![0xC1, 0x80],
        vec![0x83, 0x80],
        vec![0x09, 0x80],
        vec![0x89, 0xFE],
        vec![0x81, 0x05],
        vec![0x82, 0xFE, 0, 125],
        vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0],
        [&huge[..], &big].concat(),
        (0..20u8)
            .flat_map(|i| frame(0x82, &vec![i; usize::from(i) * 7]))
            .collect(),
    ]
}

fn requests() -> Vec<String> {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\n{FIELDS}{KEY}\r\n");
    vec![
        get("/"),
        get("/chat?room=1&x=%20"),
        get("ws://h:1/a?b"),
        get("wss://h?b"),
        get("*"),
        "GET /chat HTTP/1.1\r\nHost: localhost:8000\r\n\
         User-Agent: Mozilla/5.0 (with, a long value)\r\n\
         connection: keep-alive,\tUPGRADE \r\nUpgrade: h2c, WebSocket\r\n\
         Origin:  http://localhost \r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat.v2, chat\r\nSec-WebSocket-Protocol:soap\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nrest"
            .into(),
        format!("\r\n\r\nGET / HTTP/1.9\r\n{FIELDS}Content-Length: 0\r\n{KEY}\r\n"),
        get("ws://[::1]:8000?a=%41+b&a&c=d%26"),
        get("/%zz"),
        format!(
            "GET /?a=b HTTP/1.1\r\n{FIELDS}Authorization: Basic YTpi\r\nCookie: a=b; c=\"d\"\r\n\
             cookie: e=f\r\nX: y\r\nOrigin: http://h\r\n\
             Sec-WebSocket-Extensions: a; b=\"c\\d\", e\r\n{KEY}\r\n"
        ),
        format!("GET / HTTP/1.1\r\n{FIELDS}Authorization: bearer  a.b==\r\n{KEY}\r\n"),
        format!("POST / HTTP/1.1\r\n{FIELDS}{KEY}\r\n"),
        format!("GET / HTTP/1.0\r\n{FIELDS}{KEY}\r\n"),
        format!("GET / HTTP/1.1\r\n{FIELDS}\r\n"),
        format!("GET / HTTP/1.1\r\n{FIELDS}Transfer-Encoding: chunked\r\n{KEY}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 8\r\n{KEY}\r\n"),
        format!(
            "GET / HTTP/1.1\r\n{FIELDS}X: {}\r\n{KEY}\r\n",
            "a".repeat(200)
        ),
    ]
}

/// The bytes that `arbitrary` converts to a plan for the service (`src/service/plan.rs`): fields in order,
/// little-endian; the variant of an enumeration as its share of `u32`; a byte 1 before each element of a list, and 0
/// after the last.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn variant(mut self, index: u64, of: u64) -> Self {
        let share = (index << 32).div_ceil(of) as u32;
        self.0.extend(share.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn number(self, number: u16) -> Self {
        self.bytes(&number.to_le_bytes())
    }
}

fn act(index: u64) -> Bytes {
    Bytes::default().variant(index, 7)
}

/// A frame of the first client; `kind` is a number of `ClientFrame`.
fn client_frame(kind: u64, len: u16) -> Vec<u8> {
    act(0).bytes(&[0]).variant(kind, 10).number(len).0
}

fn client(index: u64, rest: &[u8]) -> Vec<u8> {
    act(1).bytes(&[0]).variant(index, 9).bytes(rest).0
}

fn other_client(index: u64, rest: &[u8]) -> Vec<u8> {
    act(1).bytes(&[1]).variant(index, 9).bytes(rest).0
}

fn window(bytes: Option<u8>) -> Vec<u8> {
    client(6, &bytes.map_or(vec![0], |bytes| vec![1, bytes]))
}

/// A whole message to the first client from this thread.
fn send(thread: u8, len: u16) -> Vec<u8> {
    let to_slot = act(2)
        .bytes(&[thread])
        .variant(0, 6)
        .variant(0, 3)
        .bytes(&[0]);
    to_slot.variant(0, 7).number(len).bytes(&[0]).0
}

/// A fragment of a text, by the number of its `Shape`.
fn fragment(shape: u64) -> Vec<u8> {
    let to_slot = act(2).bytes(&[0]).variant(0, 6).variant(0, 3).bytes(&[0]);
    to_slot.variant(shape, 7).number(20).bytes(&[0]).0
}

fn connect() -> Vec<u8> {
    act(6).variant(0, 7).bytes(&[0, 0]).0
}

fn close(thread: u8) -> Vec<u8> {
    let to_slot = act(2)
        .bytes(&[thread])
        .variant(2, 6)
        .variant(0, 3)
        .bytes(&[0]);
    to_slot.number(1000).bytes(&[9]).0
}

fn release() -> Vec<u8> {
    act(2).bytes(&[0]).variant(4, 6).bytes(&[0]).0
}

fn sink(sink: u8, mode: u64) -> Vec<u8> {
    act(3).bytes(&[sink]).variant(mode, 3).0
}

fn step(index: u64) -> Vec<u8> {
    act(4).variant(index, 4).0
}

/// A plan with one connected client, or two.
fn plan(slots: u8, [streaming, stepwise]: [u8; 2], reaction: u64, acts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Bytes::default().bytes(&[slots - 1, 0, 2, 0, slots, 1, 0, 0]);
    for _ in 0..4 {
        bytes = bytes.variant(0, 3);
    }
    bytes = bytes.bytes(&[streaming, 0, 0, 0, 0, 0, 0, 7, stepwise, 1]);
    // The callback does one thing each time.
    bytes = bytes.bytes(&[1]).variant(reaction, 7);
    bytes = match reaction {
        // To the client in the last slot.
        3 => {
            let to_slot = bytes.variant(0, 3).bytes(&[slots - 1]);
            to_slot.variant(0, 7).number(100).bytes(&[0])
        }
        5 => bytes.bytes(&[3]),
        _ => bytes,
    };
    bytes = bytes.bytes(&[0]);
    for act in acts {
        bytes = bytes.bytes(&[1]).bytes(act);
    }
    bytes.bytes(&[0]).0
}

fn plans() -> Vec<Vec<u8>> {
    let echoes = [
        client_frame(0, 50),
        client_frame(6, 9),
        client_frame(1, 300),
    ];
    let fragments = [client_frame(2, 20), client_frame(6, 5), client_frame(5, 30)];
    // A close, an end, and a reset in the middle of a frame whose sender waits.
    let in_the_middle = |what| {
        [
            window(Some(3)),
            send(0, 2900),
            window(Some(50)),
            what,
            window(None),
            step(2),
            step(3),
        ]
    };
    let slow = [
        window(Some(3)),
        send(0, 100),
        client_frame(6, 9),
        send(1, 50),
        window(None),
    ];
    let held = [sink(0, 1), sink(1, 1)];
    let held = [
        &held[..],
        &echoes,
        &fragments,
        &[release(), release(), release()],
    ]
    .concat();
    let full = [sink(1, 2)];
    let full = [&full[..], &echoes, &[sink(1, 0)], &fragments].concat();
    let slow_echoes = [
        &[window(Some(90))],
        &echoes[..],
        &[window(Some(90)), window(None)],
    ]
    .concat();
    let meanwhile = [client_frame(0, 20), send(0, 2900), close(1), step(3)];
    // The callback is refused while the other client takes nothing, or while a message is unfinished.
    let refused = [
        other_client(6, &[1, 3]),
        client_frame(0, 20),
        client_frame(0, 20),
        other_client(6, &[0]),
    ];
    let unfinished = [fragment(2), client_frame(0, 20), fragment(5)];
    // A sender that waits for room does not get the room of the next client.
    let reused = [
        window(Some(3)),
        send(0, 100),
        send(1, 2900),
        client(8, &[]),
        connect(),
        step(2),
        other_client(0, &[]),
        step(2),
        step(3),
    ];
    let mut plans = Vec::new();
    for flags in [[0, 0], [0, 1], [1, 0]] {
        for what in [close(1), client(7, &[]), client(8, &[])] {
            plans.push(plan(1, flags, 0, &in_the_middle(what)));
        }
        for acts in [&held, &full, &slow_echoes, &slow.to_vec()] {
            plans.push(plan(2, flags, 0, acts));
            plans.push(plan(1, flags, 1, acts));
        }
        plans.push(plan(2, flags, 5, &meanwhile));
        plans.push(plan(2, flags, 3, &refused));
        plans.push(plan(1, flags, 3, &unfinished));
        plans.push(plan(1, flags, 0, &reused));
    }
    plans
}

fn main() -> std::io::Result<()> {
    let write = |target: &str, name: usize, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/fuzz/corpus")
            .join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{name:02}")), bytes)
    };
    for (at, stream) in frames().iter().enumerate() {
        for options in 0..4 {
            let head = [options, at as u8, 1, 2, 3, 4];
            let input = [&head[..], stream].concat();
            write("frames", at * 4 + usize::from(options), &input)?;
            write("session", at * 4 + usize::from(options), &input)?;
        }
    }
    for (at, plan) in plans().iter().enumerate() {
        let whole = Plan::arbitrary_take_rest(Unstructured::new(plan));
        println!("{whole:?}");
        write("service", at, plan)?;
    }
    for (at, request) in requests().iter().enumerate() {
        for size in 0..6 {
            // With all kinds of fields to keep.
            let head = [size, at as u8 % 2 + 6 * (size % 4), 1, 2, 3, 4];
            let follows = frame(0x81, b"first");
            let input = [&head[..], request.as_bytes(), &follows].concat();
            write("handshake", at * 6 + usize::from(size), &input)?;
        }
    }
    Ok(())
}

//! Writes the inputs that fuzzing began with to where `fuzz/run` keeps what it finds: what the scripts
//! of bytes in the tests send. They are part of the corpus since; this is for a new one.
//!
//!     cargo run --example seeds

use std::fs;
use std::path::Path;

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
        frame(0x80, b"nothing to go on with"),
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
    for (at, request) in requests().iter().enumerate() {
        for size in 0..6 {
            let head = [size, at as u8 % 2, 1, 2, 3, 4];
            let follows = frame(0x81, b"first");
            let input = [&head[..], request.as_bytes(), &follows].concat();
            write("handshake", at * 6 + usize::from(size), &input)?;
        }
    }
    Ok(())
}

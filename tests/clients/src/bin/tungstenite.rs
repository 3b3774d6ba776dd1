// SPDX-License-Identifier: Apache-2.0
//! `tungstenite` as a client of the tests. Reads the scenarios as JSON on standard input, and prints what it observed.
//! See `tests/clients/scenarios.py`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Map, Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::error::{Error, ProtocolError, SubProtocolError};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tungstenite::protocol::CloseFrame;
use tungstenite::{HandshakeError, Message, WebSocket};

/// The maximum time of any step. After it, nothing was observed.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let scenarios: Map<String, Value> = serde_json::from_str(&input).unwrap();
    let seen: Map<_, _> = scenarios
        .iter()
        .map(|(name, scenario)| (name.clone(), run(scenario)))
        .collect();
    println!("{}", Value::Object(seen));
}

/// Runs a scenario. Returns what was observed.
fn run(scenario: &Value) -> Value {
    let mut seen = Vec::new();
    match open(scenario) {
        Ok((mut socket, opened)) => {
            seen.push(opened);
            play(&mut socket, &scenario["steps"], &mut seen);
        }
        Err(refused) => seen.push(refused),
    }
    Value::Array(seen)
}

/// A connection, perhaps with TLS.
trait Wire: Read + Write {
    fn stream(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn stream(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ClientConnection, TcpStream> {
    fn stream(&self) -> &TcpStream {
        &self.sock
    }
}

fn connect(url: &str) -> Box<dyn Wire> {
    let (scheme, address) = url.trim_end_matches('/').split_once("://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    if scheme == "ws" {
        return Box::new(stream);
    }
    let ca = std::env::var("WSS_TEST_CA").unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    Box::new(StreamOwned::new(tls, stream))
}

fn open(scenario: &Value) -> Result<(WebSocket<Box<dyn Wire>>, Value), Value> {
    let url = scenario["url"].as_str().unwrap();
    let mut request = url.into_client_request().unwrap();
    let protocols: Vec<_> = scenario["protocols"].as_array().unwrap().iter().collect();
    if !protocols.is_empty() {
        let names: Vec<_> = protocols
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let names = HeaderValue::from_str(&names.join(", ")).unwrap();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, names);
    }
    match tungstenite::client(request, connect(url)) {
        Ok((socket, response)) => {
            let header = |name| match response.headers().get(name) {
                Some(value) => value.to_str().unwrap(),
                None => "",
            };
            let opened = json!({"open": {
                "protocol": header("sec-websocket-protocol"),
                "extensions": header("sec-websocket-extensions"),
            }});
            Ok((socket, opened))
        }
        Err(HandshakeError::Failure(Error::Http(response))) => {
            Err(json!({"refused": response.status().as_u16()}))
        }
        Err(HandshakeError::Failure(Error::Protocol(
            ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol),
        ))) => Err(json!({"refused": "no subprotocol"})),
        Err(error) => Err(json!({"error": error.to_string()})),
    }
}

fn play(socket: &mut WebSocket<Box<dyn Wire>>, steps: &Value, seen: &mut Vec<Value>) {
    for step in steps.as_array().unwrap() {
        let (what, value) = step.as_object().unwrap().iter().next().unwrap();
        let text = || value.as_str().unwrap();
        let done = match what.as_str() {
            "text" => socket.send(Message::text(text())),
            "binary" => socket.send(Message::binary(from_hex(text()))),
            "ping" => socket.send(Message::Ping(text().to_owned().into())),
            "close" => close(socket, value),
            "wait" => wait(socket, value.as_u64().unwrap(), seen),
            "receive" => {
                for _ in 0..value.as_u64().unwrap() {
                    if seen.last().is_some_and(|last| last.get("closed").is_some()) {
                        break;
                    }
                    receive(socket, seen);
                }
                Ok(())
            }
            other => panic!("no such step: {other}"),
        };
        if let Err(error) = done {
            seen.push(json!({"error": error.to_string()}));
            return;
        }
    }
}

fn close(socket: &mut WebSocket<Box<dyn Wire>>, how: &Value) -> Result<(), Error> {
    socket.close(how["code"].as_u64().map(|code| CloseFrame {
        code: u16::try_from(code).unwrap().into(),
        reason: how["reason"].as_str().unwrap().into(),
    }))
}

/// Listens for some milliseconds, in which nothing must arrive; pings are answered.
fn wait(
    socket: &mut WebSocket<Box<dyn Wire>>,
    ms: u64,
    seen: &mut Vec<Value>,
) -> Result<(), Error> {
    let until = std::time::Instant::now() + Duration::from_millis(ms);
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return socket
                .get_ref()
                .stream()
                .set_read_timeout(Some(PATIENCE))
                .map_err(Error::Io);
        }
        socket.get_ref().stream().set_read_timeout(Some(left))?;
        match socket.read() {
            Ok(Message::Ping(_)) => {}
            Ok(message) => seen.push(json!({"unexpected": message.to_string()})),
            Err(Error::Io(error)) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn receive(socket: &mut WebSocket<Box<dyn Wire>>, seen: &mut Vec<Value>) {
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => json!({"text": text.as_str()}),
            Ok(Message::Binary(bytes)) => json!({"binary": to_hex(&bytes)}),
            Ok(Message::Pong(payload)) => json!({"pong": String::from_utf8_lossy(&payload)}),
            // It answers by itself, in its next action.
            Ok(Message::Ping(_)) => continue,
            Ok(Message::Close(frame)) => closed(socket, frame),
            Ok(Message::Frame(frame)) => panic!("never read: {frame}"),
            Err(Error::Io(error)) if is_timeout(&error) => json!({"nothing": "in time"}),
            Err(error) => json!({"error": error.to_string()}),
        });
        return;
    }
}

/// The end of the connection after a close frame.
fn closed(socket: &mut WebSocket<Box<dyn Wire>>, frame: Option<CloseFrame>) -> Value {
    // A clean end: both sides have closed, and then the server has closed the connection.
    let clean = matches!(socket.read(), Err(Error::ConnectionClosed));
    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
        (frame.code.into(), frame.reason.to_string())
    });
    json!({"closed": {"code": code, "reason": reason, "clean": clean}})
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

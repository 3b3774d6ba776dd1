// SPDX-License-Identifier: Apache-2.0
//! A page and its WebSocket on one port. A small HTTP server reads every request, answers those for the page itself,
//! and lets the service adopt the connections that ask for an upgrade.
//!
//! `cargo run --example page`, then open <http://127.0.0.1:8080> in two windows.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wss::host::{Options, Server};
use wss::{ClientId, Clients, Handler, Opening, Target};

const PAGE: &str = include_str!("page.html");
/// The maximum size of a request.
const REQUEST: usize = 4096;
const FIELDS: usize = 64;
/// How long to wait after accepting has failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// The maximum time between two requests of a connection, and for the client to take the response.
const PATIENCE: Duration = Duration::from_secs(10);

#[allow(dead_code)] // in the tests, which have their own
fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 8080))?;
    println!("http://{}", listener.local_addr()?);
    // The connections come from the HTTP server.
    let options = Options::new().listen(false);
    serve(&listener, &Arc::new(Server::start(&options, Chat)?));
    Ok(())
}

/// Sends the messages of each client to all clients.
pub struct Chat(pub Clients);

impl Handler for Chat {
    type Session = ();

    fn on_text(&mut self, (): &mut (), _: ClientId, text: &str) {
        // Clients without room are skipped.
        let _ = self.0.send_text(Target::All, text);
    }
}

/// Serves connections, each on its own thread. A public server would have to limit their number.
pub fn serve(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let server = Arc::clone(server);
                thread::spawn(move || answer(stream, &server));
            }
            Err(error) => {
                // The client has disconnected, or no descriptor is free. Try the next one.
                eprintln!("cannot accept a connection: {error}");
                thread::sleep(ACCEPT_AGAIN);
            }
        }
    }
}

/// Answers the requests of a connection until it ends or becomes a WebSocket.
fn answer(mut stream: TcpStream, server: &Server) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = [0; REQUEST];
    let mut len = 0;
    loop {
        let free = buffer.get_mut(len..).unwrap_or_default();
        match stream.read(free)? {
            0 => return Ok(()),
            count => len += count,
        }
        while let Some((request, head)) = parse(buffer.get(..len).unwrap_or_default())? {
            if request == Request::Upgrade {
                // The service reads the request again, answers it, and continues with the bytes after it.
                let received = buffer.get(..len).unwrap_or_default();
                return match server.adopt(stream, received, Opening::Request) {
                    Ok(_) => Ok(()),
                    Err(mut refused) => respond(&mut refused.stream, "503 Service Unavailable", ""),
                };
            }
            match request {
                Request::Page => respond(&mut stream, "200 OK", PAGE)?,
                _ => respond(&mut stream, "404 Not Found", "")?,
            }
            buffer.copy_within(head..len, 0);
            len -= head;
        }
        if len == buffer.len() {
            return respond(&mut stream, "431 Request Header Fields Too Large", "");
        }
    }
}

#[derive(PartialEq, Eq)]
enum Request {
    Page,
    Upgrade,
    Unknown,
}

/// Parses the first request, once it is complete. Returns it with its length. A request with a body, which this server
/// does not support, ends the connection, because the body is not a valid request.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let parsed = head.parse(bytes);
    let status = parsed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(len) = status else {
        return Ok(None);
    };
    // The field is a list: `websocket, h2c` (RFC 9110 section 7.8).
    let upgrades = head.headers.iter().any(|field| {
        let mut protocols = field.value.split(|byte| *byte == b',');
        field.name.eq_ignore_ascii_case("upgrade")
            && protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    });
    let request = match (head.method, head.path) {
        (Some("GET"), Some("/")) if !upgrades => Request::Page,
        _ if upgrades => Request::Upgrade,
        _ => Request::Unknown,
    };
    Ok(Some((request, len)))
}

fn respond(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len}\r\n\r\n"
    );
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())
}

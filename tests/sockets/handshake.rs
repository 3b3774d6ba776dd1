// SPDX-License-Identifier: Apache-2.0
//! The opening handshake (RFC 6455 section 4), over a socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use wss::host::{Options, Server};
use wss::{
    Answer, AnswerError, Answered, ClientId, Clients, Handler, Request, SendError, Status, Verdict,
};

use super::client::{ACCEPT, Client, PATIENCE, REQUEST, TEXT, frame, request_with};
use super::server::{assert_unharmed, echo_server, eventually, limited, options};

/// Has only `/chat`, with two subprotocols, and echoes.
struct Chat(Clients);

impl Handler for Chat {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        _: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        if request.path() != "/chat" {
            return answer.refuse(Status::NOT_FOUND);
        }
        let mut offered = request.subprotocols();
        match offered.find(|name| ["chat.v1", "chat.v2"].contains(name)) {
            Some(name) => answer.give(Verdict::accept().subprotocol(name)),
            None => answer.accept(),
        }
    }

    fn on_text(&mut self, (): &mut (), client: ClientId, text: &str) {
        assert_eq!(self.0.send_text(client, text), Ok(()));
    }
}

#[test]
fn upgrade_answers_101_with_the_accept_key_of_the_rfc() {
    let (server, _log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    client.write(REQUEST.as_bytes());
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    assert_eq!(response.header("Upgrade"), Some("websocket"));
    assert_eq!(response.header("Connection"), Some("Upgrade"));
    assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
    assert_eq!(response.header("Sec-WebSocket-Extensions"), None);
    client.echo("hello");
}

#[test]
fn frame_in_the_same_segment_as_the_request_is_not_lost() {
    let (server, _log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame(true, TEXT, b"first"));
    bytes.extend(frame(true, TEXT, b"second"));
    client.write(&bytes);
    assert_eq!(client.response().status, 101);
    client.expect(TEXT, b"first");
    client.expect(TEXT, b"second");
}

#[test]
fn request_and_frame_one_byte_at_a_time_are_the_same() {
    let (server, _log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame(true, TEXT, "zwölf".as_bytes()));
    for byte in bytes {
        client.write(&[byte]);
    }
    assert_eq!(client.response().status, 101);
    client.expect(TEXT, "zwölf".as_bytes());
}

#[test]
fn refusals_are_complete_responses_and_end_the_connection() {
    let server = Server::start(&options(), Chat).unwrap();
    let post = REQUEST.replacen("GET", "POST", 1);
    let plain = "GET /chat HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let version_8 = REQUEST.replace("Version: 13", "Version: 8");
    let too_long = request_with(&format!("X: {}\r\n", "x".repeat(5000)));
    let bad_key = REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==");
    let two_hosts = request_with("Host: other\r\n");
    let elsewhere = REQUEST.replace("/chat", "/elsewhere");
    let cases = [
        (400, "garbage\r\n\r\n".to_owned(), None),
        (400, bad_key, None),
        (400, two_hosts, None),
        (404, elsewhere, None),
        (405, post, Some(("Allow", "GET"))),
        (426, plain, Some(("Upgrade", "websocket"))),
        (426, version_8, Some(("Sec-WebSocket-Version", "13"))),
        (431, too_long, None),
    ];
    for (status, request, field) in cases {
        let mut client = Client::connect(server.local_addr());
        client.write(request.as_bytes());
        let response = client.response();
        assert_eq!(response.status, status, "{request}");
        assert!(response.header("Content-Length").is_some(), "{response:?}");
        let connection = response.header("Connection").unwrap_or_default();
        assert!(connection.to_lowercase().contains("close"), "{response:?}");
        if let Some((name, value)) = field {
            assert_eq!(response.header(name), Some(value));
        }
        client.expect_end();
    }
    assert_unharmed(&server);
}

#[test]
fn only_listed_origins_may_connect() {
    let origins = vec!["https://good.example".to_owned()];
    let (server, _log) = echo_server(&Options {
        origins,
        ..options()
    });
    let cases = [
        ("Origin: https://good.example\r\n", 101),
        ("Origin: https://bad.example\r\n", 403),
        ("Origin: https://good.example.bad\r\n", 403),
        ("", 403),
    ];
    for (line, status) in cases {
        let mut client = Client::connect(server.local_addr());
        client.write(request_with(line).as_bytes());
        assert_eq!(client.response().status, status, "{line}");
    }
    eventually("three refusals are counted", || {
        server.clients().stats().refused_forbidden == 3
    });
}

#[test]
fn one_of_the_offered_subprotocols_is_spoken_or_none() {
    let server = Server::start(&options(), Chat).unwrap();
    let cases = [
        ("Sec-WebSocket-Protocol: soap, chat.v2\r\n", Some("chat.v2")),
        ("Sec-WebSocket-Protocol: soap\r\n", None),
        ("", None),
    ];
    for (line, spoken) in cases {
        let mut client = Client::connect(server.local_addr());
        client.write(request_with(line).as_bytes());
        let response = client.response();
        assert_eq!(response.status, 101);
        assert_eq!(response.header("Sec-WebSocket-Protocol"), spoken);
    }
}

#[test]
fn client_too_many_gets_503_and_the_next_one_the_slot_that_is_left() {
    let (server, log) = echo_server(&Options {
        max_clients: 2,
        ..options()
    });
    let mut first = Client::open(server.local_addr());
    let second = Client::open(server.local_addr());
    let mut third = Client::connect(server.local_addr());
    third.write(REQUEST.as_bytes());
    let response = third.response();
    assert_eq!(response.status, 503);
    assert!(response.header("Content-Length").is_some());
    third.expect_end();
    drop(third);
    drop(second);
    log.wait_for("closed", 1);
    eventually("the slot is free", || server.clients().stats().closed == 1);
    Client::open(server.local_addr()).echo("in the slot of the second");
    first.echo("not disturbed");
    // The third had no event.
    let told = log.so_far();
    let connecting = told.iter().filter(|event| *event == "connecting");
    assert_eq!(connecting.count(), 3);
    assert_eq!(server.clients().stats().refused_full, 1);
}

#[test]
fn dripping_handshake_ends_at_its_deadline_and_delays_nobody() {
    let (server, log) = echo_server(&limited(|limits| limits.handshake_timeout_ms = 300));
    let addr = server.local_addr();
    let mut neighbour = Client::open(addr);
    let began = Instant::now();
    let done = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(addr);
            let wait = Some(Duration::from_millis(10));
            client.stream.set_read_timeout(wait).unwrap();
            // A header that never ends: bytes follow until the server refuses.
            client.write(b"GET / HTTP/1.1\r\nX: ");
            let mut byte = [0];
            while let Err(error) = std::io::Read::read(&mut client.stream, &mut byte) {
                if error.kind() == std::io::ErrorKind::ConnectionReset {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(10), "still there");
                let _ = std::io::Write::write(&mut client.stream, b"x");
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut slowest = Duration::ZERO;
        while !done.load(Ordering::SeqCst) {
            let asked = Instant::now();
            neighbour.echo("quick?");
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    });
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(299), "{took:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let dripping = log.wait_for("closed", 1);
    let told = ["connecting", "timeout", "closing", "closed"];
    assert_eq!(log.of(dripping), told);
}

/// Defers every answer, and echoes. The question goes to another thread, and the hook then waits a while for it.
struct Later {
    clients: Clients,
    asked: Sender<(ClientId, String)>,
    pause: Duration,
}

impl Handler for Later {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        let asked = (client, request.path().to_owned());
        self.asked.send(asked).unwrap();
        thread::sleep(self.pause);
        answer.later()
    }

    fn on_text(&mut self, (): &mut (), client: ClientId, text: &str) {
        let sent = self.clients.send_text(client, text);
        assert!(matches!(sent, Ok(()) | Err(SendError::NotConnected)));
    }
}

fn later(pause: Duration) -> (Server, Receiver<(ClientId, String)>) {
    let (asked, requests) = channel();
    let make = |clients| Later {
        clients,
        asked: asked.clone(),
        pause,
    };
    (Server::start(&options(), make).unwrap(), requests)
}

#[test]
fn answers_may_come_later_and_in_any_order() {
    let (server, requests) = later(Duration::ZERO);
    let addr = server.local_addr();
    let mut clients = ["/a", "/b", "/c"].map(|path| {
        let mut client = Client::connect(addr);
        client.write(REQUEST.replace("/chat", path).as_bytes());
        client.write(&frame(true, TEXT, path.as_bytes()));
        client
    });
    let mut asked: Vec<_> = (0..3)
        .map(|_| requests.recv_timeout(PATIENCE).unwrap())
        .collect();
    asked.sort_by(|one, other| other.1.cmp(&one.1));
    for (id, path) in asked {
        let verdict = match path.as_str() {
            "/b" => Verdict::refuse(Status::NOT_FOUND),
            _ => Verdict::accept(),
        };
        assert_eq!(server.clients().answer(id, verdict), Ok(()));
    }
    let [a, b, c] = &mut clients;
    assert_eq!(b.response().status, 404);
    for (client, path) in [(a, "/a"), (c, "/c")] {
        assert_eq!(client.response().status, 101);
        client.expect(TEXT, path.as_bytes());
        client.echo("on it goes");
    }
}

#[test]
fn an_answer_that_is_faster_than_the_hook_waits_for_it() {
    let (server, requests) = later(Duration::from_millis(300));
    let mut client = Client::connect(server.local_addr());
    client.write(REQUEST.as_bytes());
    let (id, _) = requests.recv_timeout(PATIENCE).unwrap();
    let began = Instant::now();
    assert_eq!(server.clients().answer(id, Verdict::accept()), Ok(()));
    assert!(began.elapsed() > Duration::from_millis(100));
    assert_eq!(client.response().status, 101);
    client.echo("hello");
}

/// Answers inside the hook, whose result is the answer.
struct Twice(Clients);

impl Handler for Twice {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        client: ClientId,
        _: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        let inside = self.0.answer(client, Verdict::accept());
        assert_eq!(inside, Err(AnswerError::NotWaiting));
        answer.refuse(Status::FORBIDDEN)
    }
}

#[test]
fn an_answer_inside_the_hook_is_what_it_returns() {
    let server = Server::start(&options(), Twice).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.write(REQUEST.as_bytes());
    assert_eq!(client.response().status, 403);
    assert!(server.stop());
}

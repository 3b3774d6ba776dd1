// SPDX-License-Identifier: Apache-2.0
//! The possible content of opening requests, the way handlers read it, and responses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wss::host::{Options, Server};
use wss::{Answer, Answered, ClientId, Clients, Handler, Request, Status, Verdict};

use super::client::{Client, REQUEST, Response, request_with};
use super::server::{assert_unharmed, echo_server, options};

fn ask(server: &Server, request: &str) -> (Client, Response) {
    let mut client = Client::connect(server.local_addr());
    client.write(request.as_bytes());
    let response = client.response();
    (client, response)
}

fn status(server: &Server, request: &str) -> u16 {
    ask(server, request).1.status
}

#[test]
fn a_request_gets_the_status_that_fits() {
    let (server, _log) = echo_server(&options());
    let host = |host: &str| REQUEST.replace("Host: localhost", &format!("Host: {host}"));
    let target = |target: &str| REQUEST.replace("GET /chat", &format!("GET {target}"));
    let cases = [
        (400, host("a:b:c")),
        (400, host("[::1")),
        (400, host("u@h")),
        (400, host("h:x")),
        (400, target("ws://h:x/")),
        (400, target("ws://u@h/")),
        (400, target("/%zz")),
        (400, request_with("Sec-WebSocket-Extensions: a;;b\r\n")),
        (400, request_with("Sec-WebSocket-Protocol: a b\r\n")),
        (426, REQUEST.replace("HTTP/1.1", "HTTP/1.0")),
        (505, REQUEST.replace("HTTP/1.1", "HTTP/2.0")),
        (405, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (414, target(&format!("/{}", "a".repeat(5_000)))),
        (431, request_with(&format!("X: {}\r\n", "a".repeat(5_000)))),
        (101, host("[::1]:8000")),
        (
            101,
            request_with("Sec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol:\r\n"),
        ),
        // A token in the query has room, however small messages are.
        (101, target(&format!("/chat?token={}", "a".repeat(3_000)))),
    ];
    for (expected, request) in cases {
        assert_eq!(status(&server, &request), expected, "{request}");
    }
    assert_unharmed(&server);
}

#[test]
fn room_for_a_request_is_no_room_for_a_message() {
    let (server, _log) = echo_server(&options());
    let mut client = Client::connect(server.local_addr());
    client.write(
        REQUEST
            .replace("/chat", &format!("/{}", "a".repeat(3_000)))
            .as_bytes(),
    );
    assert_eq!(client.response().status, 101);
    client.echo(&"m".repeat(1_400));
    client.send(super::client::TEXT, &[b'm'; 1_401]);
    client.expect_close(1009, "");
}

#[test]
fn responses_have_a_date() {
    let (server, _log) = echo_server(&options());
    for request in [REQUEST, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let response = ask(&server, request).1;
        let date = response.header("Date").unwrap();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    }
}

#[test]
fn options_that_cannot_work_are_refused_at_the_start() {
    let refused = |options: Options| Server::start(&options, |_| ()).err().unwrap().to_string();
    for origin in [
        "http://device.local/page",
        "device.local",
        "ws://device.local",
        "http://h:080",
    ] {
        let text = refused(options().origin(origin));
        assert!(text.contains(origin), "{text}");
    }
    let text = refused(options().request_field("Origin"));
    assert!(text.contains("Origin"), "{text}");
    let server = Server::start(&options().origin("http://h:80/"), |_| ()).unwrap();
    assert_eq!(status(&server, &request_with("Origin: http://h\r\n")), 101);
}

/// Accepts clients with a password, a token, a session's cookie, or a ticket in the query.
struct Door {
    clients: Clients,
    asked: Arc<AtomicUsize>,
}

impl Handler for Door {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut buffer = [0; 20];
        let ticket = request.query_param("ticket", &mut buffer);
        if request.is_basic("Aladdin", "open sesame") {
            // Made where only this function has it.
            let cookie = format!("id={}; HttpOnly", client.slot());
            return answer
                .give(Verdict::accept().fields(&[("Set-Cookie", &cookie), ("X-Two", "2")]));
        }
        if request.is_bearer("s3cret")
            || request.cookie("id") == Some("0")
            || ticket == Ok(Some("a b"))
        {
            return answer.accept();
        }
        match request.path() {
            "/split" => answer.give(Verdict::accept().fields(&[("X", "a\r\nSet-Cookie: b")])),
            "/late" => {
                let clients = self.clients.clone();
                std::thread::spawn(move || {
                    let bad = Verdict::accept().fields(&[("Connection", "close")]);
                    assert_eq!(clients.answer(client, bad), Err(wss::AnswerError::Field));
                    let fields = [("Set-Cookie", "late=1")];
                    assert_eq!(
                        clients.answer(client, Verdict::accept().fields(&fields)),
                        Ok(())
                    );
                });
                answer.later()
            }
            _ => {
                let refuse = Verdict::refuse(Status::UNAUTHORIZED);
                answer.give(
                    refuse
                        .challenge("Bearer realm=\"door\"")
                        .fields(&[("X-Why", "no key")]),
                )
            }
        }
    }
}

fn door(options: &Options) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let make = |clients| Door {
        clients,
        asked: Arc::clone(&asked),
    };
    let options = options
        .clone()
        .request_field("Authorization")
        .request_field("cookie");
    (Server::start(&options, make).unwrap(), asked)
}

const BASIC: &str = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";

#[test]
fn a_hook_reads_credentials_and_answers_with_fields() {
    let (server, _) = door(&options());
    let (mut client, response) = ask(&server, &request_with(BASIC));
    assert_eq!(response.status, 101);
    assert!(
        response
            .header("Set-Cookie")
            .unwrap()
            .ends_with("; HttpOnly")
    );
    assert_eq!(response.header("X-Two"), Some("2"));
    client.send(super::client::PING, b"well framed");
    client.expect(super::client::PONG, b"well framed");
    let query = REQUEST.replace("/chat", "/chat?x&ticket=a+%62");
    for request in [
        request_with("authorization: bearer s3cret\r\n"),
        request_with("Cookie: theme=dark; id=0\r\n"),
        query,
    ] {
        assert_eq!(status(&server, &request), 101, "{request}");
    }
    let (mut client, response) = ask(&server, &request_with("Authorization: Bearer s3cre\r\n"));
    assert_eq!(response.status, 401);
    assert_eq!(
        response.header("WWW-Authenticate"),
        Some("Bearer realm=\"door\"")
    );
    assert_eq!(response.header("X-Why"), Some("no key"));
    client.expect_end();
    let response = ask(&server, &REQUEST.replace("/chat", "/late")).1;
    assert_eq!(
        (response.status, response.header("Set-Cookie")),
        (101, Some("late=1"))
    );
}

#[test]
fn an_answer_that_is_not_possible_is_500() {
    let (server, _) = door(&options());
    let response = ask(&server, &REQUEST.replace("/chat", "/split")).1;
    assert_eq!(
        (response.status, response.header("Set-Cookie")),
        (500, None)
    );
}

#[test]
fn with_a_hook_and_no_list_only_pages_of_the_server_may_connect() {
    let (server, _) = door(&options());
    let from = |server: &Server, origin: &str| {
        status(
            server,
            &request_with(&format!("{BASIC}Origin: {origin}\r\n")),
        )
    };
    for (origin, expected) in [
        ("http://localhost", 101),
        ("https://localhost", 101),
        ("http://localhost:8080", 403),
        ("http://evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(from(&server, origin), expected, "{origin}");
    }
    let (server, _) = door(&options().origin("*"));
    assert_eq!(from(&server, "http://evil.example"), 101);
    let (server, asked) = door(&options().origin("http://good.example"));
    assert_eq!(from(&server, "http://good.example"), 101);
    assert_eq!(from(&server, "http://localhost"), 403);
    // The list comes before the hook.
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Without a hook there is nothing to protect.
    let server = Server::start(&options(), |_| ()).unwrap();
    assert_eq!(from(&server, "http://evil.example"), 101);
}

#[test]
fn after_failed_logins_an_address_is_refused_without_asking() {
    let (server, asked) = door(&options().login_failures_per_minute(3));
    for _ in 0..3 {
        assert_eq!(status(&server, REQUEST), 401);
    }
    let response = ask(&server, &request_with(BASIC)).1;
    assert_eq!(
        (response.status, response.header("Retry-After")),
        (429, Some("60"))
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(server.clients().stats().refused_logins, 1);
    // Other addresses are not affected.
    let mut other = Client::connect_from([127, 0, 0, 2].into(), server.local_addr());
    other.write(request_with(BASIC).as_bytes());
    assert_eq!(other.response().status, 101);
    let (server, _) = door(&options().login_failures_per_minute(0));
    for _ in 0..15 {
        assert_eq!(status(&server, REQUEST), 401);
    }
}

#[test]
fn the_target_replaces_the_host_that_a_hook_sees() {
    struct Hosts(Arc<OnceLock<String>>);

    impl Handler for Hosts {
        type Session = ();

        fn on_request(
            &mut self,
            (): &mut (),
            _: ClientId,
            request: &Request<'_>,
            answer: Answer<'_>,
        ) -> Answered {
            self.0.set(request.host().to_owned()).unwrap();
            answer.accept()
        }
    }

    let host = Arc::default();
    let server = Server::start(&options(), |_| Hosts(Arc::clone(&host))).unwrap();
    let request = REQUEST.replace("/chat", "ws://device.example:1/chat");
    assert_eq!(status(&server, &request), 101);
    assert_eq!(host.get().map(String::as_str), Some("device.example:1"));
}

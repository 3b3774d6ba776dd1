// SPDX-License-Identifier: Apache-2.0
//! Connections that another server has accepted, and the example that serves a page on the same port.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wss::host::{Options, Server};
use wss::service::{AdoptError, Opening};

use super::client::{ACCEPT, BINARY, Client, PING, PONG, REQUEST, TEXT, frame, request_with};
use super::page;
use super::server::{Log, assert_unharmed, echo_server, eventually, options};

/// A server that does not listen.
fn unheard() -> (Server, Log) {
    let options = Options {
        listen: false,
        ..options()
    };
    echo_server(&options)
}

/// A client, and the other end of its connection.
fn pair() -> (Client, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = Client::connect(listener.local_addr().unwrap());
    (client, listener.accept().unwrap().0)
}

#[test]
fn an_adopted_request_is_answered_and_its_frames_follow() {
    let (server, log) = unheard();
    assert_eq!(server.local_addr().port(), 0);
    let (mut client, stream) = pair();
    let received = [REQUEST.as_bytes(), &frame(true, TEXT, b"early")].concat();
    let clients = server.clients();
    let adopted = server.adopt(stream, &received, Opening::Request);
    assert_eq!(clients.client(0), Some(adopted.unwrap()));
    let response = client.response();
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    client.expect(TEXT, b"early");
    client.echo("late");
    drop(client);
    let told = [
        "connecting",
        "connected /chat",
        "text early",
        "text late",
        "closing",
        "closed",
    ];
    assert_eq!(log.until_closed(), told);
}

#[test]
fn a_connection_upgraded_elsewhere_goes_on_with_frames() {
    let (server, log) = unheard();
    let (mut client, stream) = pair();
    let first = frame(true, TEXT, b"cut in two");
    let adopted = server.adopt(stream, &first[..4], Opening::Upgraded);
    let id = adopted.unwrap();
    assert_eq!(server.clients().send_binary(id, b"at once"), Ok(()));
    client.expect(BINARY, b"at once");
    client.write(&first[4..]);
    client.expect(TEXT, b"cut in two");
    client.send(PING, b"?");
    client.expect(PONG, b"?");
    drop(client);
    let told = [
        "connecting",
        "connected ",
        "text cut in two",
        "ping ?",
        "closing",
        "closed",
    ];
    assert_eq!(log.until_closed(), told);
}

#[test]
fn a_connection_that_is_not_adopted_is_given_back() {
    let (server, _log) = echo_server(&Options {
        max_clients: 1,
        ..options()
    });
    let first = Client::open(server.local_addr());
    let (mut client, stream) = pair();
    let adopt = |stream, received| {
        let adopted = server.adopt(stream, received, Opening::Upgraded);
        adopted.map_err(|refused| (refused.error, refused.stream))
    };
    let (error, mut stream) = adopt(stream, &[]).unwrap_err();
    assert_eq!(error, AdoptError::Full);
    // It is blocking, as before.
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut byte = [0];
    let nothing = std::io::Read::read(&mut stream, &mut byte).unwrap_err();
    assert!(matches!(
        nothing.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 503 No\r\n\r\n").unwrap();
    assert_eq!(client.response().status, 503);
    drop(first);
    eventually("the slot is free", || server.clients().client(0).is_none());
    let (error, stream) = adopt(stream, &[0; 10_000]).unwrap_err();
    assert_eq!(error, AdoptError::TooLong);
    let hello = frame(true, TEXT, b"hello");
    eventually("it is adopted", || {
        // Until the work item that freed the slot has finished.
        let copy = stream.try_clone().unwrap();
        adopt(copy, &hello).is_ok()
    });
    drop(stream);
    client.expect(TEXT, b"hello");
    drop(client);
    assert_unharmed(&server);
}

#[test]
fn connections_are_adopted_on_many_threads_while_others_are_accepted() {
    let (server, _log) = echo_server(&Options {
        max_clients: 64,
        ..options()
    });
    let addr = server.local_addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let (mut client, stream) = pair();
                    let adopted = server.adopt(stream, REQUEST.as_bytes(), Opening::Request);
                    adopted.unwrap();
                    assert_eq!(client.response().status, 101);
                    client.echo("adopted");
                }
            });
            scope.spawn(move || {
                for _ in 0..50 {
                    Client::open(addr).echo("accepted");
                }
            });
        }
    });
    assert_unharmed(&server);
}

/// The example, on any free port.
fn page_server(max_clients: u16) -> (Arc<Server>, SocketAddr) {
    let options = Options {
        listen: false,
        max_clients,
        ..options()
    };
    let server = Arc::new(Server::start(&options, page::Chat).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = Arc::clone(&server);
    thread::spawn(move || page::serve(&listener, &serving));
    (server, addr)
}

#[test]
fn a_page_and_its_websocket_are_at_one_port() {
    let (_server, addr) = page_server(4);
    let mut client = Client::connect(addr);
    client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = client.response();
    assert_eq!(page.status, 200);
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("new WebSocket(")
    );
    client.write(b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().status, 404);
    // The same connection, and the first frame in the same segment as the request.
    client.write(&[REQUEST.as_bytes(), &frame(true, TEXT, b"first")].concat());
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    client.expect(TEXT, b"first");
    // A separate connection, whose request offers several protocols and arrives byte by byte.
    let mut other = Client::connect(addr);
    for byte in REQUEST
        .replace(": websocket", ": WebSocket , h2c")
        .as_bytes()
    {
        other.write(&[*byte]);
    }
    assert_eq!(other.response().status, 101);
    other.send(TEXT, b"to all");
    other.expect(TEXT, b"to all");
    client.expect(TEXT, b"to all");
}

#[test]
fn the_service_refuses_what_the_page_server_hands_over_wrongly() {
    let (server, addr) = page_server(1);
    let mut client = Client::connect(addr);
    client.write(REQUEST.replace(": 13", ": 12").as_bytes());
    assert_eq!(client.response().status, 426);
    drop(client);
    eventually("the slot is free", || server.clients().client(0).is_none());
    let mut client = Client::connect(addr);
    let cookie = format!("Cookie: {}\r\n", "c".repeat(2_000));
    client.write(request_with(&cookie).as_bytes());
    assert_eq!(client.response().status, 101);
    // Full: the page server reports it, and still serves pages.
    let mut late = Client::connect(addr);
    late.write(REQUEST.as_bytes());
    assert_eq!(late.response().status, 503);
    late.expect_end();
    let mut page = Client::connect(addr);
    page.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(page.response().status, 200);
}

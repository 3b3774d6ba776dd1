// SPDX-License-Identifier: Apache-2.0
//! Pages, and the connections that request them.

use wss::protocol::{CloseCode, Status};
use wss::service::{Config, Interest, Lock as _};
use wss::{Answer, EventMask, Page, Request, Verdict};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, echo, frame, ignore, server_frame};

const BODY: &[u8] = b"<p>hello";
static BIG: [u8; 5_000] = {
    let mut bytes = [0; 5_000];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = b'a' + (at % 23) as u8;
        at += 1;
    }
    bytes
};
static PAGES: [Page<'static>; 3] = [
    Page::new("/", "text/html", BODY).etag("v1"),
    Page::new("/big", "text/plain", &BIG).gzip(),
    Page::new("/empty", "text/plain", b""),
];
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_BIG: &str = "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\
                    ETag: \"v1\"\r\nCache-Control: no-cache\r\n\
                    X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
const NOT_MODIFIED: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nCache-Control: no-cache\r\n\
                            X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// The events of a connection that requests a page.
const PAGE_EVENTS: [&str; 3] = ["0 connecting", "0 closing", "0 closed"];

fn with_pages(slots: usize, config: Config) -> Harness {
    let h = Harness::new(slots, config, echo);
    let app = h.service.application();
    app.pages.set(&PAGES);
    h
}

fn text(client: &Client) -> String {
    String::from_utf8(client.take()).unwrap()
}

/// Returns the response to a request, after which the client has closed the connection.
fn fetch(h: &mut Harness, request: &str) -> String {
    let client = h.connect();
    client.send(request.as_bytes());
    h.settle();
    assert!(client.0.lock().shut, "the response says that it ends");
    client.eof();
    h.settle();
    h.assert_all_closed();
    text(&client)
}

#[test]
fn a_page_is_sent_whole_and_ends_the_connection() {
    let mut h = with_pages(1, Config::default());
    assert_eq!(fetch(&mut h, GET), format!("{HEAD}<p>hello"));
    assert_eq!(h.events(), PAGE_EVENTS);
    let big = fetch(&mut h, GET_BIG);
    let (head, body) = big.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Length: 5000\r\nContent-Encoding: gzip\r\nETag: \""));
    assert_eq!(body.as_bytes(), BIG);
    let empty = fetch(&mut h, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(empty.contains("\r\nContent-Length: 0\r\n") && empty.ends_with("\r\n\r\n"));
    // The query belongs to the page.
    let query = fetch(&mut h, "GET /?a=b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(query.ends_with("<p>hello"));
    let stats = h.service.stats();
    assert_eq!((stats.accepted, stats.connected), (4, 0));
    assert_eq!(
        (stats.refused_requests, stats.aborted, stats.timeouts),
        (0, 0, 0)
    );
}

#[test]
fn a_response_leaves_in_one_write_where_there_is_a_block() {
    let mut h = with_pages(1, Config::default());
    let client = h.connect();
    client.send(GET.as_bytes());
    h.settle();
    assert_eq!(client.writes(), 1);
}

#[test]
fn a_response_needs_no_block() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), echo);
    h.service.application().pages.set(&PAGES);
    assert_eq!(fetch(&mut h, GET), format!("{HEAD}<p>hello"));
}

#[test]
fn head_has_no_body() {
    let mut h = with_pages(1, Config::default());
    assert_eq!(fetch(&mut h, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD);
    assert_eq!(h.events(), PAGE_EVENTS);
}

#[test]
fn a_client_with_this_version_gets_304() {
    let mut h = with_pages(1, Config::default());
    let with = |tag: &str| format!("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n");
    assert_eq!(fetch(&mut h, &with("\"v1\"")), NOT_MODIFIED);
    assert_eq!(fetch(&mut h, &with("W/\"v1\", \"x\"")), NOT_MODIFIED);
    assert_eq!(fetch(&mut h, &with("\"v0\"")), format!("{HEAD}<p>hello"));
    // The checksum that replaces a tag.
    let big = fetch(&mut h, GET_BIG);
    let tag = big
        .split_once("ETag: ")
        .unwrap()
        .1
        .split_once("\r\n")
        .unwrap()
        .0;
    let again = GET_BIG.replace("\r\n\r\n", &format!("\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert!(fetch(&mut h, &again).starts_with("HTTP/1.1 304 "), "{tag}");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let mut h = with_pages(1, Config::default());
    for path in ["/chat", "//", "/%2f", "/big/", "/BIG"] {
        let request = GET.replace(" / ", &format!(" {path} "));
        assert_eq!(fetch(&mut h, &request), NOT_FOUND, "{path}");
    }
    for method in ["POST", "PUT", "OPTIONS", "get"] {
        let request = GET.replace("GET", method);
        assert_eq!(
            fetch(&mut h, &request),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nAllow: GET, HEAD\r\n\
             Connection: close\r\n\r\n"
        );
    }
    assert_eq!(h.service.stats().refused_requests, 9);
}

#[test]
fn without_pages_requests_are_answered_as_ever() {
    let mut h = Harness::new(1, Config::default(), echo);
    assert!(fetch(&mut h, GET).starts_with("HTTP/1.1 426 "));
    let head = fetch(&mut h, &GET.replace("GET", "HEAD"));
    assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET\r\n"));
}

#[test]
fn websocket_requests_go_on_as_ever() {
    let mut h = with_pages(2, Config::default());
    // Also where there is a page.
    for path in ["/chat", "/"] {
        let client = h.connect();
        client.send(REQUEST.replace("/chat", path).as_bytes());
        client.send(&frame(0x81, b"hi"));
        h.settle();
        let echoed = [ACCEPTED.as_bytes(), &server_frame(0x81, b"hi")].concat();
        assert_eq!(client.take(), echoed);
    }
}

#[test]
fn requests_are_the_same_split_at_every_byte() {
    for request in [
        GET.to_owned(),
        GET.replace("GET", "HEAD"),
        GET.replace(" / ", " /none "),
        GET.replace("GET", "POST"),
        GET.replace("\r\n\r\n", "\r\nIf-None-Match: \"x\", \"v1\"\r\n\r\n"),
        format!("{GET}{GET}"),
        format!(
            "{}12345",
            GET.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n")
        ),
    ] {
        let whole = fetch(&mut with_pages(1, Config::default()), &request);
        for at in 1..request.len() {
            let mut h = with_pages(1, Config::default());
            let client = h.connect();
            client.send(&request.as_bytes()[..at]);
            h.settle();
            client.send(&request.as_bytes()[at..]);
            h.settle();
            assert_eq!(text(&client), whole, "{request:?} at {at}");
            client.eof();
            h.settle();
            h.assert_all_closed();
            assert_eq!(h.events(), PAGE_EVENTS);
        }
        let mut h = with_pages(1, Config::default());
        let client = h.connect();
        for byte in request.bytes() {
            client.send(&[byte]);
            h.settle();
        }
        assert_eq!(text(&client), whole);
    }
}

#[test]
fn what_follows_a_request_is_dropped() {
    let mut h = with_pages(1, Config::default());
    for request in [
        format!("{GET}{GET}{}", GET.repeat(50)),
        format!(
            "{}{}",
            GET.replace("\r\n\r\n", "\r\nContent-Length: 9000\r\n\r\n"),
            "x".repeat(9_000)
        ),
        format!(
            "{}5\r\nhello\r\n0\r\n\r\n",
            GET.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")
        ),
    ] {
        let client = h.connect();
        client.send(request.as_bytes());
        h.settle();
        assert_eq!(text(&client), format!("{HEAD}<p>hello"));
        // Closing with unread bytes would reset the connection, and lose the response.
        assert!(client.0.lock().to_server.is_empty());
        assert!(!client.is_closed());
        client.eof();
        h.settle();
        h.assert_all_closed();
    }
}

#[test]
fn a_response_is_sent_as_the_client_takes_it() {
    for step in [1, 7, 300, 4_999] {
        let mut h = with_pages(2, Config::default());
        let other = h.connected();
        let client = h.connect();
        client.set_window(0);
        client.send(GET_BIG.as_bytes());
        h.settle();
        assert_eq!(h.service.port().watched(1), Interest::WRITE);
        let mut got = Vec::new();
        while !client.0.lock().shut {
            client.set_window(step);
            h.settle();
            assert_eq!(client.take().len().min(step), {
                let taken = client.0.lock().window;
                step - taken
            });
            got.extend(client.take());
        }
        drop(got);
        // Other clients are served meanwhile.
        other.send(&frame(0x81, b"hi"));
        h.settle();
        assert_eq!(other.take(), server_frame(0x81, b"hi"));
    }
}

#[test]
fn the_bytes_of_a_response_are_right_whatever_the_client_takes_at_a_time() {
    let whole = fetch(&mut with_pages(1, Config::default()), GET_BIG);
    for blocks in [0, 2] {
        for step in [1, 64, 777] {
            let mut h = Harness::with_blocks(1, blocks, Config::default(), echo);
            h.service.application().pages.set(&PAGES);
            let client = h.connect();
            if blocks == 0 {
                // What is not taken of the head has no place then.
                client.set_window(400);
            } else {
                client.set_window(0);
            }
            client.send(GET_BIG.as_bytes());
            h.settle();
            let mut got = client.take();
            while !client.0.lock().shut {
                client.set_window(step);
                h.settle();
                got.extend(client.take());
            }
            assert_eq!(String::from_utf8(got).unwrap(), whole);
            client.eof();
            h.settle();
            h.assert_all_closed();
        }
    }
}

#[test]
fn a_slow_download_goes_on_as_long_as_it_moves() {
    let config = Config::default();
    let mut h = with_pages(1, config);
    let client = h.connect();
    client.set_window(0);
    client.send(GET_BIG.as_bytes());
    h.settle();
    let whole = fetch(&mut with_pages(1, config), GET_BIG).len();
    let mut got = 0;
    // Much longer than any limit: 100 bytes in almost the send timeout.
    while got < whole {
        h.pass(u64::from(config.send_timeout_ms) - 200);
        client.set_window(100);
        h.settle();
        got += client.take().len();
        assert!(!client.is_closed());
    }
    client.eof();
    h.settle();
    assert_eq!(h.events(), PAGE_EVENTS);
    assert_eq!(h.service.stats().aborted, 0);
}

#[test]
fn a_client_that_takes_nothing_loses_its_slot_after_the_send_timeout() {
    let config = Config::default();
    for taken in [0, 1_000] {
        let mut h = with_pages(1, config);
        let client = h.connect();
        client.set_window(taken);
        client.send(GET_BIG.as_bytes());
        h.settle();
        h.pass(u64::from(config.send_timeout_ms) - 100);
        assert!(!client.is_closed());
        h.pass(400);
        assert!(client.is_closed(), "{taken}");
        assert_eq!(h.events(), PAGE_EVENTS, "no TIMEOUT");
        assert_eq!(h.service.stats().aborted, 1);
        h.assert_all_closed();
    }
}

#[test]
fn a_deadline_looks_for_room_that_the_socket_has_not_reported() {
    let config = Config::default();
    let mut h = with_pages(1, config);
    let client = h.connect();
    client.set_window(0);
    client.send(GET_BIG.as_bytes());
    h.settle();
    let mut got = 0;
    for _ in 0..5 {
        // The socket is not reported as writable, as one that has less room than it means to.
        h.service.port().unwatch(0);
        client.set_window(100);
        h.pass(u64::from(config.send_timeout_ms) + 200);
        assert!(!client.is_closed());
        got += client.take().len();
    }
    assert_eq!(got, 500);
}

#[test]
fn a_client_that_does_not_close_is_closed_after_the_close_timeout() {
    let config = Config::default();
    let mut h = with_pages(1, config);
    let client = h.connect();
    client.set_window(0);
    client.send(GET.as_bytes());
    h.settle();
    // The time counts from the end of the response.
    h.pass(u64::from(config.send_timeout_ms) - 500);
    client.set_window(usize::MAX);
    h.pass(u64::from(config.close_timeout_ms) - 100);
    assert!(client.0.lock().shut && !client.is_closed());
    h.pass(300);
    assert!(client.is_closed());
    assert_eq!(h.events(), PAGE_EVENTS);
    assert_eq!(h.service.stats().aborted, 0);
}

#[test]
fn a_client_may_shut_its_side_before_it_has_the_response() {
    let mut h = with_pages(1, Config::default());
    let client = h.connect();
    client.set_window(0);
    client.send(GET_BIG.as_bytes());
    client.eof();
    h.settle();
    assert!(!client.is_closed());
    client.set_window(usize::MAX);
    h.settle();
    assert!(client.take().ends_with(&BIG));
    assert!(client.is_closed());
    h.assert_all_closed();
}

#[test]
fn a_reset_ends_a_response_wherever_it_is() {
    let whole = fetch(&mut with_pages(1, Config::default()), GET_BIG).len();
    for at in (0..whole).step_by(37).chain(0..300) {
        let mut h = with_pages(1, Config::default());
        let client = h.connect();
        client.set_window(at);
        client.send(GET_BIG.as_bytes());
        h.settle();
        client.reset();
        h.settle();
        assert!(client.is_closed());
        h.assert_all_closed();
        assert_eq!(h.events(), PAGE_EVENTS);
        assert_eq!(h.service.stats().blocks_used, 0);
    }
}

#[test]
fn where_the_network_has_no_buffers_a_response_goes_on_after_the_pause() {
    let mut h = with_pages(1, Config::default());
    let client = h.connect();
    client.set_window(1_000);
    client.send(GET_BIG.as_bytes());
    h.settle();
    let mut got = client.take();
    Harness::set_buffers(false);
    client.set_window(usize::MAX);
    h.pass(30_000);
    assert_eq!(client.take(), b"");
    assert!(!client.is_closed(), "the client is not the reason");
    Harness::set_buffers(true);
    h.pass(200);
    got.extend(client.take());
    assert!(got.ends_with(&BIG));
    client.eof();
    h.settle();
    h.assert_all_closed();
}

#[test]
fn where_no_half_can_be_shut_the_connection_is_closed_after_the_response() {
    let mut h = with_pages(1, Config::default());
    let client = h.connect();
    client.0.lock().no_shutdown = true;
    client.send(GET.as_bytes());
    h.settle();
    assert_eq!(text(&client), format!("{HEAD}<p>hello"));
    assert!(client.is_closed());
    h.assert_all_closed();
}

// The hook

#[test]
fn the_application_is_asked_about_a_page() {
    let mut h = with_pages(1, Config::default());
    h.service.application().request_fields.set("Authorization");
    let decide = |request: &Request<'_>, answer: Answer<'_>| {
        assert!(request.is_page());
        let verdict = if request.is_basic("admin", "correct horse") {
            Verdict::accept().fields(&[("Set-Cookie", "id=1")])
        } else {
            Verdict::refuse(Status::UNAUTHORIZED).challenge("Basic realm=\"device\"")
        };
        let _ = answer.give(verdict);
    };
    *h.service.application().on_request.borrow_mut() = Some(Box::new(decide));
    // Also for one that does not exist.
    for request in [GET, GET_BIG, "HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n"] {
        assert_eq!(
            fetch(&mut h, request),
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
             WWW-Authenticate: Basic realm=\"device\"\r\nConnection: close\r\n\r\n"
        );
    }
    let login = "\r\nAuthorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ==\r\n\r\n";
    let page = fetch(&mut h, &GET.replace("\r\n\r\n", login));
    let head = HEAD.strip_suffix("\r\n").unwrap();
    assert_eq!(page, format!("{head}Set-Cookie: id=1\r\n\r\n<p>hello"));
}

#[test]
fn the_application_may_answer_about_a_page_later() {
    let mut h = with_pages(1, Config::default());
    h.service.application().verdict.set(Verdict::Later);
    let client = h.connect();
    client.send(GET.as_bytes());
    h.settle();
    assert_eq!(client.take(), b"");
    let id = h.service.client(0).unwrap();
    h.as_thread(1, |service| {
        let subprotocol = service.answer(id, Verdict::accept().subprotocol("chat"));
        assert!(subprotocol.is_err(), "a page has none");
        assert_eq!(service.answer(id, Verdict::accept()), Ok(()));
        assert!(service.answer(id, Verdict::accept()).is_err());
    });
    h.settle();
    assert_eq!(text(&client), format!("{HEAD}<p>hello"));
}

#[test]
fn a_page_is_for_every_origin_and_a_websocket_is_not() {
    let mut h = with_pages(1, Config::default());
    h.service.application().origins.set(Some(&["http://h"]));
    let foreign = "\r\nOrigin: http://evil\r\n\r\n";
    assert_eq!(fetch(&mut h, GET), format!("{HEAD}<p>hello"));
    let cors = fetch(&mut h, &GET.replace("\r\n\r\n", foreign));
    assert_eq!(
        cors,
        format!("{HEAD}<p>hello"),
        "which its site cannot read"
    );
    let refused = fetch(&mut h, &REQUEST.replace("\r\n\r\n", foreign));
    assert!(refused.starts_with("HTTP/1.1 403 "));
}

#[test]
fn failed_logins_are_counted_for_pages_too() {
    let config = Config {
        login_failures_per_minute: 2,
        ..Config::default()
    };
    let mut h = with_pages(1, config);
    h.service
        .application()
        .verdict
        .set(Verdict::refuse(Status::UNAUTHORIZED));
    for status in ["401", "401", "429"] {
        let response = fetch(&mut h, GET);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
    }
}

#[test]
fn only_the_sinks_that_want_them_get_the_events_of_a_page() {
    let mut h = with_pages(1, Config::default());
    let app = h.service.application();
    let mut masks = app.masks.get();
    masks[0] = EventMask::CLOSED;
    masks[1] = EventMask::TIMEOUT | EventMask::CONNECTED | EventMask::CONNECTING;
    app.masks.set(masks);
    fetch(&mut h, GET);
    assert_eq!(h.events(), ["@1 0 connecting", "0 closed"]);
}

// Making room

#[test]
fn a_connection_that_says_nothing_makes_room_the_oldest_first() {
    let mut h = with_pages(2, Config::default());
    let first = h.connect();
    h.pass(1_000);
    let second = h.connect();
    h.pass(1_000);
    h.events();
    let client = h.connected();
    assert!(first.is_closed() && !second.is_closed());
    assert_eq!(
        h.events(),
        ["0 closing", "0 closed", "0 connecting", "0 connected /chat"]
    );
    let other = h.connected();
    assert!(second.is_closed());
    // Those that have connected stay.
    let third = h.connect();
    third.send(REQUEST.as_bytes());
    h.pass(2_000);
    assert!(text(&third).starts_with("HTTP/1.1 503 "));
    for client in [client, other] {
        client.send(&frame(0x81, b"hi"));
        h.settle();
        assert_eq!(client.take(), server_frame(0x81, b"hi"));
    }
    let stats = h.service.stats();
    assert_eq!(
        (stats.timeouts, stats.aborted, stats.refused_full),
        (0, 0, 1)
    );
}

#[test]
fn a_connection_that_was_answered_makes_room_at_once() {
    for request in [GET, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let mut h = with_pages(1, Config::default());
        let page = h.connect();
        page.send(request.as_bytes());
        h.settle();
        assert!(!page.is_closed());
        h.connected();
        assert!(page.is_closed());
        assert_eq!(h.service.stats().refused_full, 0);
    }
}

#[test]
fn a_connection_that_was_answered_makes_room_before_a_silent_one() {
    let mut h = with_pages(3, Config::default());
    let silent = h.connect();
    h.pass(1_000);
    let pages = [h.connect(), h.connect()];
    for page in &pages {
        page.send(GET.as_bytes());
        h.pass(100);
    }
    for page in &pages {
        h.connected();
        assert!(page.is_closed() && !silent.is_closed(), "the oldest first");
    }
    h.connected();
    assert!(silent.is_closed());
}

#[test]
fn a_client_has_its_time_between_two_messages_of_a_tls_handshake() {
    Harness::use_tls(true);
    let mut h = with_pages(1, Config::default());
    let (first, second) = (Client::holding_back(), Client::holding_back());
    h.come(&first);
    first.send(GET.as_bytes());
    first.let_go(10);
    h.settle();
    h.come(&second);
    h.pass(400);
    first.let_go(10);
    h.settle();
    h.pass(400);
    assert!(!first.is_closed());
    h.pass(400);
    assert!(first.is_closed());
}

#[test]
fn a_response_is_never_cut_off_to_make_room() {
    let mut h = with_pages(1, Config::default());
    let page = h.connect();
    page.set_window(1_000);
    page.send(GET_BIG.as_bytes());
    h.settle();
    h.pass(2_000);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.pass(200);
    assert!(!page.is_closed());
    assert!(text(&client).starts_with("HTTP/1.1 503 "));
    page.set_window(usize::MAX);
    h.settle();
    assert!(page.take().ends_with(&BIG));
    h.connected();
    assert!(page.is_closed());
}

#[test]
fn a_websocket_whose_closing_handshake_is_done_makes_room_at_once() {
    let mut h = with_pages(1, Config::default());
    let first = h.connected();
    first.send(&frame(0x88, b"\x03\xe9"));
    h.settle();
    assert_eq!(first.take(), server_frame(0x88, b"\x03\xe9"));
    assert!(first.0.lock().shut && !first.is_closed(), "it waits");
    h.events();
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.settle();
    assert!(first.is_closed());
    assert_eq!(second.take(), ACCEPTED.as_bytes());
    assert_eq!(
        h.events(),
        ["0 closed", "0 connecting", "0 connected /chat"]
    );
    let stats = h.service.stats();
    assert_eq!((stats.refused_full, stats.aborted), (0, 0));
}

#[test]
fn a_websocket_that_reads_slowly_gets_what_was_sent_before_it_makes_room() {
    let mut h = with_pages(1, Config::default());
    let first = h.connected();
    first.set_window(3);
    first.send(&frame(0x81, b"hello"));
    first.send(&frame(0x88, b"\x03\xe8"));
    h.settle();
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.pass(3_000);
    assert!(!first.is_closed());
    assert_eq!(second.take(), b"", "it waits to be accepted");
    first.set_window(usize::MAX);
    h.settle();
    let sent = [
        server_frame(0x81, b"hello"),
        server_frame(0x88, b"\x03\xe8"),
    ];
    assert_eq!(first.take(), sent.concat());
    h.pass(2_000);
    assert!(first.is_closed());
    assert_eq!(second.take(), ACCEPTED.as_bytes());
    assert_eq!(h.service.stats().refused_full, 0);
}

#[test]
fn the_end_of_a_closing_handshake_is_waited_for() {
    let config = Config::default();
    for answers in [true, false] {
        let mut h = with_pages(1, config);
        let first = h.connected();
        let id = h.service.client(0).unwrap();
        assert_eq!(h.service.close(id, CloseCode::NORMAL, ""), Ok(()));
        h.settle();
        let second = h.connect();
        second.send(REQUEST.as_bytes());
        h.pass(u64::from(config.close_timeout_ms) - 500);
        // It may be sending still, and does not know that it is to close.
        assert!(!first.is_closed());
        assert_eq!(second.take(), b"", "it waits to be accepted");
        if answers {
            first.send(&frame(0x88, b"\x03\xe8"));
            h.pass(200);
        } else {
            h.pass(1_000);
        }
        assert!(first.is_closed());
        assert_eq!(second.take(), ACCEPTED.as_bytes());
        assert_eq!(h.service.stats().refused_full, 0);
    }
}

#[test]
fn a_client_that_broke_the_protocol_makes_no_room_before_it_closes() {
    let mut h = with_pages(1, Config::default());
    // A close frame of the client that had the slot before it changes nothing.
    let earlier = h.connected();
    earlier.send(&frame(0x88, b"\x03\xe8"));
    earlier.eof();
    h.settle();
    h.assert_all_closed();
    let first = h.connected();
    first.send(&frame(0xF1, b"?"));
    h.settle();
    assert_eq!(first.take(), server_frame(0x88, b"\x03\xea"));
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.settle();
    assert!(!first.is_closed(), "it may not have read why");
    assert_eq!(second.take(), b"", "it waits to be accepted");
    first.eof();
    h.settle();
    assert_eq!(second.take(), ACCEPTED.as_bytes());
}

#[test]
fn over_tls_a_connection_makes_room_once_its_end_is_sent() {
    Harness::use_tls(true);
    for closes in [false, true] {
        let begin = |h: &mut Harness| {
            let first = if closes { h.connected() } else { h.connect() };
            first.take();
            h.events();
            first
        };
        let finish = |first: &Client| {
            if closes {
                first.send(&frame(0x88, b"\x03\xe8"));
            } else {
                first.send(GET.as_bytes());
            }
        };
        // How much all that is sent is, the alert that ends TLS included.
        let mut h = with_pages(1, Config::default());
        let first = begin(&mut h);
        first.set_window(10_000);
        finish(&first);
        h.settle();
        let whole = 10_000 - first.0.lock().window;
        for missing in 1..whole.min(40) {
            let mut h = with_pages(1, Config::default());
            let first = begin(&mut h);
            first.set_window(whole - missing);
            finish(&first);
            h.settle();
            let second = h.connect();
            second.send(REQUEST.as_bytes());
            h.settle();
            assert!(!first.is_closed(), "{missing} bytes are missing");
            first.set_window(missing);
            h.pass(200);
            assert!(first.0.lock().shut);
            if closes {
                assert!(first.is_closed());
                assert_eq!(second.take(), ACCEPTED.as_bytes());
            }
        }
    }
}

#[test]
fn a_connection_waits_a_moment_for_a_slot_before_it_is_refused() {
    let mut h = with_pages(1, Config::default());
    // A browser connects for a reload, and closes the WebSocket of the page then.
    let first = h.connected();
    let second = h.connect();
    second.send(GET.as_bytes());
    h.settle();
    assert_eq!(second.take(), b"");
    first.send(&frame(0x88, b"\x03\xe8"));
    h.pass(200);
    assert_eq!(text(&second), format!("{HEAD}<p>hello"));
    // The same where the WebSocket just ends.
    let first = h.connected();
    let second = h.connect();
    second.send(GET.as_bytes());
    h.settle();
    assert_eq!(second.take(), b"");
    first.eof();
    h.settle();
    assert_eq!(text(&second), format!("{HEAD}<p>hello"), "at once");
    assert_eq!(h.service.stats().refused_full, 0);
}

#[test]
fn connections_that_have_waited_are_refused_together() {
    let mut h = with_pages(1, Config::default());
    h.connected();
    for _ in 0..2 {
        let late: Vec<_> = (0..10).map(|_| h.connect()).collect();
        late.iter().for_each(|late| late.send(GET.as_bytes()));
        h.settle();
        assert!(late.iter().all(|late| late.take().is_empty()));
        h.pass(150);
        for late in &late {
            assert!(text(late).starts_with("HTTP/1.1 503 "));
        }
    }
    assert_eq!(h.service.stats().refused_full, 20);
}

#[test]
fn a_connection_has_a_moment_for_its_request() {
    let mut h = with_pages(1, Config::default());
    let first = h.connect();
    h.settle();
    h.pass(50);
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.settle();
    // It waits to be accepted, and nothing is refused.
    assert_eq!(second.take(), b"");
    assert!(!first.is_closed());
    // A part of a request gives it another moment.
    first.send(b"GET / HT");
    h.settle();
    h.pass(50);
    assert!(!first.is_closed());
    h.pass(300);
    assert!(first.is_closed());
    assert_eq!(second.take(), ACCEPTED.as_bytes());
    assert_eq!(h.service.stats().refused_full, 0);
}

#[test]
fn a_request_that_was_not_looked_at_is_no_silence() {
    let mut h = with_pages(1, Config::default());
    let first = h.connect();
    h.pass(1_000);
    // Both have come when the service looks for them, and the listener is reported first.
    first.send(REQUEST.as_bytes());
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.pass(1_000);
    assert_eq!(first.take(), ACCEPTED.as_bytes());
    assert!(!first.is_closed());
    assert!(text(&second).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_request_that_waits_for_its_answer_makes_no_room() {
    let mut h = with_pages(1, Config::default());
    h.service.application().verdict.set(Verdict::Later);
    let first = h.connect();
    first.send(GET.as_bytes());
    h.pass(2_000);
    let second = h.connect();
    second.send(REQUEST.as_bytes());
    h.pass(200);
    assert!(!first.is_closed());
    assert!(text(&second).starts_with("HTTP/1.1 503 "));
}

#[test]
fn nobody_makes_room_before_another_connection_comes() {
    let mut h = with_pages(2, Config::default());
    // Both are there when the listener is looked at.
    let (first, second) = (h.connect(), h.connect());
    h.pass(3_000);
    assert!(!first.is_closed() && !second.is_closed());
}

#[test]
fn room_is_made_for_each_of_many() {
    let mut h = with_pages(4, Config::default());
    let silent: Vec<_> = (0..4).map(|_| h.connect()).collect();
    h.pass(1_000);
    let pages: Vec<_> = (0..20).map(|_| h.connect()).collect();
    pages.iter().for_each(|page| page.send(GET.as_bytes()));
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
    for page in &pages {
        assert_eq!(text(page), format!("{HEAD}<p>hello"));
    }
    // After the first, those that were answered made room.
    let closed = silent.iter().map(Client::is_closed);
    assert!(closed.eq([true, false, false, false]));
    assert_eq!(h.service.stats().refused_full, 0);
}

#[test]
fn a_sink_that_takes_no_event_holds_up_the_room_and_nothing_else() {
    let full = std::rc::Rc::new(std::cell::Cell::new(false));
    let is_full = std::rc::Rc::clone(&full);
    let h = Harness::new(1, Config::default(), move |_, _, _, _| {
        if is_full.get() {
            wss::service::Delivery::Full
        } else {
            wss::service::Delivery::Done
        }
    });
    h.service.application().pages.set(&PAGES);
    let mut h = h;
    let page = h.connect();
    page.send(GET.as_bytes());
    h.settle();
    full.set(true);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.pass(500);
    assert!(page.is_closed());
    assert_eq!(client.take(), b"", "it is not refused yet");
    full.set(false);
    h.service.room();
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
}

#[test]
fn without_pages_a_silent_connection_keeps_its_slot() {
    let mut h = Harness::new(1, Config::default(), echo);
    let silent = h.connect();
    h.pass(2_000);
    let client = h.connect();
    client.send(REQUEST.as_bytes());
    h.settle();
    assert!(!silent.is_closed());
    assert!(text(&client).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_connection_that_never_says_anything_is_no_timeout() {
    let config = Config::default();
    let mut h = with_pages(2, config);
    let silent = h.connect();
    let slow = h.connect();
    slow.send(b"GET");
    h.pass(u64::from(config.handshake_timeout_ms) + 200);
    assert!(silent.is_closed() && slow.is_closed());
    let mut events = h.events();
    events.sort_by_key(|event| event.starts_with('1'));
    assert_eq!(events[..3], PAGE_EVENTS);
    assert_eq!(
        events[3..],
        ["1 connecting", "1 timeout", "1 closing", "1 closed"]
    );
    assert_eq!(h.service.stats().timeouts, 1);
    // Without pages it is one.
    let mut h = Harness::new(1, config, ignore);
    h.connect();
    h.pass(u64::from(config.handshake_timeout_ms) + 200);
    assert_eq!(
        h.events(),
        ["0 connecting", "0 timeout", "0 closing", "0 closed"]
    );
}

#[test]
fn a_service_that_stops_waits_for_a_response_no_longer_than_for_a_client() {
    let config = Config::default();
    let mut h = with_pages(1, config);
    let client = h.connect();
    client.set_window(100);
    client.send(GET_BIG.as_bytes());
    h.settle();
    h.service.stop();
    h.pass(u64::from(config.close_timeout_ms) + 500);
    assert!(h.has_stopped() && client.is_closed());
    assert_eq!(h.events(), PAGE_EVENTS);
}

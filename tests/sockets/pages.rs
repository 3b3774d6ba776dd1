// SPDX-License-Identifier: Apache-2.0
//! Pages over real sockets: slow downloads, resets, floods, and browsers that reload.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wss::Page;
use wss::host::{Options, Server};

use super::client::{Client, PATIENCE};
use super::server::{assert_unharmed, echo_server, eventually, limited, options};

/// More than a socket takes at once.
static BIG: [u8; 8_000_000] = [b'x'; 8_000_000];
static PAGES: [Page<'static>; 2] = [
    Page::new("/", "text/html", b"<p>hello"),
    Page::new("/big", "application/octet-stream", &BIG).etag("v1"),
];
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_BIG: &str = "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";

fn with_pages(options: Options) -> Options {
    options.pages(&PAGES)
}

fn fetch(addr: SocketAddr, request: &str) -> String {
    let mut client = Client::connect(addr);
    client.write(request.as_bytes());
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn a_page_and_its_websocket_are_at_one_port() {
    let (server, _log) = echo_server(&with_pages(options()));
    let page = fetch(server.local_addr(), GET);
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n")
    );
    assert!(page.contains("\r\nDate: ") && page.ends_with("\r\n\r\n<p>hello"));
    let two = fetch(server.local_addr(), &format!("{GET}{GET}"));
    assert_eq!(two.matches("<p>hello").count(), 1);
    assert!(
        fetch(server.local_addr(), "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 404 ")
    );
    Client::open(server.local_addr()).echo("hello");
    assert_unharmed(&server);
}

#[test]
fn a_page_that_cannot_be_served_is_an_error_at_the_start() {
    let options = options().page(Page::new("no slash", "text/html", b""));
    let error = Server::start(&options, |_| ()).err().unwrap();
    assert!(error.to_string().contains("no slash"), "{error}");
}

#[test]
fn a_large_page_arrives_whole() {
    let (server, _log) = echo_server(&with_pages(options()));
    let page = fetch(server.local_addr(), GET_BIG);
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Length: 8000000\r\n"));
    assert_eq!(body.as_bytes(), BIG);
}

#[test]
fn a_slow_download_goes_on_and_delays_nobody() {
    let mut options = with_pages(options());
    options.limits.send_timeout_ms = 500;
    let (server, _log) = echo_server(&options);
    let mut slow = Client::connect_narrow(server.local_addr());
    slow.write(GET_BIG.as_bytes());
    let mut other = Client::open(server.local_addr());
    let end = Instant::now() + Duration::from_secs(4);
    let (mut got, mut taken) = ([0; 4096], 0);
    while Instant::now() < end {
        // A few bytes at a time, for much longer than the send timeout.
        taken += slow.stream.read(&mut got).unwrap();
        let asked = Instant::now();
        other.echo("hello");
        assert!(asked.elapsed() < Duration::from_secs(1));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(taken > 0);
    // One that takes nothing at all loses its slot.
    let aborted = server.clients().stats().aborted;
    assert_eq!(aborted, 0);
    eventually("the dead download is aborted", || {
        server.clients().stats().aborted == 1
    });
    other.echo("hello");
    drop((slow, other));
    assert_unharmed(&server);
}

#[test]
fn downloads_at_100_bytes_a_second_delay_no_client() {
    // One slot is left.
    let (server, _log) = echo_server(&with_pages(limited(|_| {})));
    let addr = server.local_addr();
    let slots = server.clients().max_clients();
    let over = AtomicBool::new(false);
    let begun = AtomicU32::new(0);
    thread::scope(|scope| {
        let downloads: Vec<_> = (1..slots)
            .map(|_| {
                scope.spawn(|| {
                    let mut slow = Client::connect_narrow(addr);
                    slow.write(GET_BIG.as_bytes());
                    let mut got = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let mut part = [0; 10];
                        slow.stream.read_exact(&mut part).unwrap();
                        if got.is_empty() {
                            begun.fetch_add(1, Ordering::Relaxed);
                        }
                        got.extend(part);
                        thread::sleep(Duration::from_millis(100));
                    }
                    got
                })
            })
            .collect();
        eventually("every download has begun", || {
            begun.load(Ordering::Relaxed) == u32::try_from(downloads.len()).unwrap()
        });
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            let asked = Instant::now();
            let mut client = Client::open(addr);
            for _ in 0..10 {
                client.echo("hello");
            }
            assert!(asked.elapsed() < Duration::from_secs(1));
            drop(client);
            // A page in the same slot.
            assert!(fetch(addr, GET).ends_with("<p>hello"));
            assert!(asked.elapsed() < Duration::from_secs(2));
        }
        over.store(true, Ordering::Relaxed);
        for download in downloads {
            let got = download.join().unwrap();
            assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!((100..500).contains(&got.len()), "{} bytes", got.len());
        }
    });
    assert_eq!(server.clients().stats().aborted, 0);
    assert_unharmed(&server);
}

#[test]
fn resets_at_any_byte_of_a_response_leave_nothing_behind() {
    let (server, _log) = echo_server(&with_pages(options()));
    for at in 0..300 {
        let mut client = Client::connect_narrow(server.local_addr());
        client.write(GET_BIG.as_bytes());
        let mut some = vec![0; at];
        client.stream.read_exact(&mut some).unwrap();
        client.reset();
    }
    for at in 0..GET.len() {
        let mut client = Client::connect(server.local_addr());
        client.write(&GET.as_bytes()[..at]);
        client.reset();
    }
    assert_unharmed(&server);
}

#[test]
fn browsers_that_reload_do_not_keep_a_websocket_client_out() {
    // Clients of a test connect within milliseconds.
    let (server, _log) = echo_server(&with_pages(limited(|limits| {
        limits.handshake_timeout_ms = 20_000;
    })));
    let (addr, ends, loads) = (
        server.local_addr(),
        AtomicBool::new(false),
        AtomicU32::new(0),
    );
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut speculative = Vec::new();
                while !ends.load(Ordering::Relaxed) {
                    // A connection that may be needed, and is not, until the next reload.
                    speculative.push(TcpStream::connect(addr).unwrap());
                    if speculative.len() > 3 {
                        speculative.remove(0);
                    }
                    let mut stream = TcpStream::connect(addr).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut got = Vec::new();
                    if stream.write_all(GET.as_bytes()).is_ok()
                        && stream.read_to_end(&mut got).is_ok()
                        && got.ends_with(b"<p>hello")
                    {
                        loads.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..5 {
            let asked = Instant::now();
            let mut client = Client::open(addr);
            client.echo("hello");
            assert!(asked.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(100));
        }
        // It stays connected while they go on.
        let mut client = Client::open(addr);
        for _ in 0..20 {
            client.echo("hello");
            thread::sleep(Duration::from_millis(20));
        }
        ends.store(true, Ordering::Relaxed);
    });
    assert!(loads.load(Ordering::Relaxed) > 5);
    assert_eq!(server.clients().stats().timeouts, 0);
    assert_unharmed(&server);
}

#[test]
fn a_flood_of_page_requests_delays_no_client() {
    let (server, _log) = echo_server(&with_pages(options()));
    let addr = server.local_addr();
    let mut client = Client::open(addr);
    thread::scope(|scope| {
        let flood = scope.spawn(move || {
            for _ in 0..1_000 {
                let mut stream = TcpStream::connect(addr).unwrap();
                // Leaves without reading.
                let _ = stream.write_all(GET.as_bytes());
            }
        });
        while !flood.is_finished() {
            let asked = Instant::now();
            client.echo("hello");
            assert!(asked.elapsed() < Duration::from_secs(2));
        }
    });
    drop(client);
    assert_unharmed(&server);
}

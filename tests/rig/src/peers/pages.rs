// SPDX-License-Identifier: Apache-2.0
//! Clients that request pages, and connections that send nothing, on a server with few slots and with pages.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wss::Page;

use super::{BOUND, beside_a_good_client};
use crate::Scenario;
use crate::client::{Client, PATIENCE};
use crate::options;
use crate::target::Target;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    ("page_cut_at_every_byte", cut_at_every_byte),
    ("page_slow_downloads", slow_downloads),
    ("page_readers_that_stop", readers_that_stop),
    ("page_requests", requests),
    ("page_silent_connections", silent_connections),
    ("page_reloads", reloads),
];

/// More than the buffers of a socket take.
static BIG: [u8; 16_000_000] = [b'x'; 16_000_000];
/// The pages of the server.
pub static PAGES: [Page<'static>; 2] = [
    Page::new("/", "text/html", b"<p>hello").etag("v1"),
    Page::new("/big", "application/octet-stream", &BIG).etag("v1"),
];

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_BIG: &str = "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";

/// A client that has sent a request.
fn asking(target: &Target, request: &str) -> Client {
    let mut client = Client::connect(target.addr);
    // A rejected one may be reset before.
    let _ = client.try_write(request.as_bytes());
    client
}

/// Requests the page. Returns whether there was a slot for that. A response is whole.
fn fetch(target: &Target) -> bool {
    match asking(target, GET).try_response() {
        Some(response) if response.status == 200 => {
            assert_eq!(response.body, b"<p>hello");
            true
        }
        Some(response) => {
            assert_eq!(response.status, 503, "{}", response.head);
            false
        }
        None => false,
    }
}

/// Returns the length of the response to `GET`.
fn response_size(target: &Target) -> usize {
    let until = Instant::now() + PATIENCE;
    loop {
        let response = asking(target, GET).try_response();
        if let Some(response) = response.filter(|response| response.status == 200) {
            return response.head.len() + response.body.len();
        }
        assert!(Instant::now() < until, "no slot for a page");
    }
}

/// Runs `attack` together with a normal client, while further ones connect repeatedly, each of them in time.
fn beside_clients_that_come(target: &Target, attack: impl FnOnce(&AtomicBool)) {
    let over = AtomicBool::new(false);
    beside_a_good_client(target, || {
        thread::scope(|scope| {
            let coming = scope.spawn(|| {
                for _ in 0..10 {
                    let began = Instant::now();
                    target.open().echo("in");
                    let took = began.elapsed();
                    assert!(took < BOUND, "a client was kept out for {took:?}");
                    thread::sleep(Duration::from_millis(100));
                }
            });
            let ends = super::Ends(&over);
            scope.spawn(|| {
                let joined = coming.join();
                drop(ends);
                if let Err(panic) = joined {
                    std::panic::resume_unwind(panic);
                }
            });
            attack(&over);
        });
    });
}

/// A request that is reset after each of its bytes, and a response after each of its own.
fn cut_at_every_byte(target: &Target) {
    let size = response_size(target);
    beside_a_good_client(target, || {
        super::flood::on_threads(target.slots - 1, |first| {
            for cut in (first..=GET.len()).step_by(target.slots - 1) {
                asking(target, &GET[..cut]).reset();
            }
            for cut in (first..=size).step_by(target.slots - 1) {
                let mut client = asking(target, GET);
                let mut taken = vec![0; cut];
                // Without a slot the response is shorter.
                let _ = client.stream.read_exact(&mut taken);
                client.reset();
            }
        });
    });
}

/// Slow downloads continue for longer than any timeout, and are not aborted to make room.
fn slow_downloads(target: &Target) {
    let limits = options().limits;
    let long = Duration::from_millis((limits.send_timeout_ms * 2).into());
    beside_a_good_client(target, || {
        super::flood::on_threads(target.slots - 1, |_| {
            let mut client = Client::connect_narrow(target.addr);
            client.write(GET_BIG.as_bytes());
            let mut part = [0; 4096];
            let until = Instant::now() + long;
            while Instant::now() < until {
                let count = client.stream.read(&mut part).expect("it continues");
                assert!(count > 0, "it was aborted");
                thread::sleep(Duration::from_millis(20));
                // It would have to go, if any.
                if let Some(response) = asking(target, GET).try_response() {
                    assert!(matches!(response.status, 503 | 200), "{}", response.head);
                }
            }
            client.reset();
        });
    });
}

/// Downloads that stall lose their slot after the send timeout.
fn readers_that_stop(target: &Target) {
    let mut stopped = Vec::new();
    beside_a_good_client(target, || {
        for _ in 0..target.slots - 1 {
            let mut client = target.connect_narrow();
            client.write(GET_BIG.as_bytes());
            stopped.push(client);
        }
    });
    target.settle_slots();
}

/// Thousands of requests: most get the page, none gets part of one, and WebSocket clients are not kept out.
fn requests(target: &Target) {
    let (served, count) = (AtomicU32::new(0), AtomicU32::new(0));
    beside_clients_that_come(target, |over| {
        super::flood::on_threads(8, |_| {
            while !over.load(Ordering::SeqCst) || count.load(Ordering::SeqCst) < 2_000 {
                count.fetch_add(1, Ordering::SeqCst);
                served.fetch_add(fetch(target).into(), Ordering::SeqCst);
            }
        });
    });
    let (served, count) = (served.into_inner(), count.into_inner());
    assert!(served > count / 2, "{served} of {count} got the page");
}

/// Connections that browsers open in advance: they make room, even if there are always more of them.
fn silent_connections(target: &Target) {
    beside_clients_that_come(target, |over| {
        super::flood::on_threads(target.slots, |_| {
            let mut silent = Vec::new();
            while !over.load(Ordering::SeqCst) {
                silent.push(Client::connect(target.addr));
                thread::sleep(Duration::from_millis(20));
                if silent.len() > 8 {
                    silent.remove(0);
                }
            }
        });
    });
}

/// Browsers that reload: each visit has a page, a WebSocket, and an unused connection.
fn reloads(target: &Target) {
    // One slot is for the normal client, and one for further ones.
    beside_clients_that_come(target, |over| {
        super::flood::on_threads(target.slots - 2, |_| {
            while !over.load(Ordering::SeqCst) {
                let _speculative = Client::connect(target.addr);
                fetch(target);
                let mut client = asking(target, crate::client::REQUEST);
                if let Some(response) = client.try_response() {
                    assert!(matches!(response.status, 101 | 503), "{}", response.head);
                }
                client.reset();
            }
        });
    });
}

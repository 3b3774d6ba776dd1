// SPDX-License-Identifier: Apache-2.0
//! The opening requests of browsers, replayed byte by byte, and their frames.
//!
//! `tests/clients` runs current browsers. The requests of Chromium and Firefox were captured from these scenarios; that
//! of the older Firefox is from nodejs/node#588, and WebKit's from whatwg/html#852 (issues on GitHub).

use super::client::{CLOSE, TEXT, close_body, frame};
use super::target::each_server;

/// A browser's request, its accept key, and the subprotocols that it offers.
const REQUESTS: [(&str, &str, bool); 4] = [
    (
        include_str!("requests/chromium_156.http"),
        "h5f+J1mGOReAR0sgarL5bKgLe4Q=",
        true,
    ),
    (
        include_str!("requests/firefox_153.http"),
        "pC5v9zyfgUT9skZX9baBN+v68PI=",
        true,
    ),
    (
        include_str!("requests/firefox_35.http"),
        "zyrm60YDKibZmIlXiMcq1sxHFx8=",
        false,
    ),
    (
        include_str!("requests/webkit.http"),
        "dwX5uxB9tidGXjxIzsyxtOmShWs=",
        false,
    ),
];

#[test]
fn requests_of_browsers_are_upgraded_without_an_extension() {
    each_server(|server| {
        for (request, accept, offers) in REQUESTS {
            let request = request.replace('\n', "\r\n");
            let (mut client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 101, "{request}");
            assert_eq!(response.header("Sec-WebSocket-Accept"), Some(accept));
            // All of them offer compression.
            assert_eq!(response.header("Sec-WebSocket-Extensions"), None);
            let spoken = response.header("Sec-WebSocket-Protocol");
            let chosen = (offers && server.own.is_some()).then_some("chat.v1");
            assert_eq!(spoken, chosen);
            client.echo("hello");
        }
    });
}

#[test]
fn frame_of_safari_in_two_segments_is_one() {
    each_server(|server| {
        let request = include_str!("requests/webkit.http").replace('\n', "\r\n");
        let (mut client, _) = server.request(request.as_bytes());
        // The first two bytes, then the mask and the payload; the close without a reason, too.
        for bytes in [
            frame(true, TEXT, b"hello"),
            frame(true, CLOSE, &close_body(1001, "")),
        ] {
            client.write(&bytes[..2]);
            std::thread::sleep(std::time::Duration::from_millis(10));
            client.write(&bytes[2..]);
        }
        client.expect_message(TEXT, b"hello");
        client.expect_close(1001, "");
        client.expect_end();
    });
}

#[test]
fn page_that_is_left_frees_its_slot() {
    each_server(|server| {
        for (request, ..) in REQUESTS.repeat(3) {
            let request = request.replace('\n', "\r\n");
            let (mut client, response) = server.request(request.as_bytes());
            assert_eq!(response.status, 101);
            // It announces that, and waits for nothing.
            client.send(CLOSE, &close_body(1001, ""));
            client.reset();
        }
    });
}

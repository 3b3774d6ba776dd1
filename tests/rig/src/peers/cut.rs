// SPDX-License-Identifier: Apache-2.0
//! A session that ends at each of its bytes.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use super::beside_a_good_client;
use crate::client::Client;
use crate::session::Session;
use crate::target::Target;

/// Ends with a reset.
pub fn reset_at_every_byte(target: &Target) {
    at_every_byte(target, |client, _, _| client.reset());
}

/// Ends regularly. Messages that were received whole before are answered, whole.
pub fn end_at_every_byte(target: &Target) {
    at_every_byte(target, |mut client, session, cut| {
        client.end_of_stream();
        let mut answer = Vec::new();
        client.stream.read_to_end(&mut answer).expect("an end");
        if cut < crate::client::REQUEST.len() {
            assert_eq!(answer, b"", "of a request that is not complete");
            return;
        }
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let head = head.expect("a response") + 4;
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "after {cut} bytes");
        let expected = session.answer(cut);
        assert!(
            answer[head..] == expected,
            "after {cut} bytes: {} instead of {} bytes, {:?}",
            answer.len() - head,
            expected.len(),
            &answer[head..answer.len().min(head + 100)]
        );
    });
}

/// Ends without reading the answers, so that the operating system sooner or later resets the connection.
pub fn gone_at_every_byte(target: &Target) {
    at_every_byte(target, |client, _, _| drop(client));
}

/// Cuts a session after each of its bytes.
fn at_every_byte(target: &Target, end: impl Fn(Client, &Session, usize) + Sync) {
    let session = Session::new();
    let (session, end) = (&session, &end);
    beside_a_good_client(target, || {
        // One slot is for the normal client; of many slots, only a few are used.
        let threads = (target.slots - 1).clamp(1, 4);
        thread::scope(|scope| {
            for first in 0..threads {
                scope.spawn(move || {
                    for cut in (first..=session.bytes.len()).step_by(threads) {
                        end(session_until(target, session, cut), session, cut);
                    }
                });
            }
        });
    });
}

/// A client that has sent this many bytes of the session, and has a slot if the server must answer.
fn session_until(target: &Target, session: &Session, cut: usize) -> Client {
    let request = crate::client::REQUEST.len();
    loop {
        let mut client = Client::connect(target.addr);
        client.write(&session.bytes[..cut.min(request)]);
        if cut >= request {
            // The slots of those before may not be free yet. It has to be seen without reading, since
            // what is answered is looked at later.
            let mut status = [0; 12];
            let full = loop {
                match client.stream.peek(&mut status) {
                    Ok(count) if count == status.len() => break &status != b"HTTP/1.1 101",
                    Ok(0) | Err(_) => break true,
                    Ok(_) => thread::sleep(Duration::from_millis(1)),
                }
            };
            if full {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            // The session ends with a close, after which the server may have closed the connection.
            let _ = client.stream.write_all(&session.bytes[request..cut]);
        }
        return client;
    }
}

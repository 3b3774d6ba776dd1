// SPDX-License-Identifier: Apache-2.0
//! Slow peers.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use super::beside_a_good_client;
use crate::client::{BINARY, Client, PATIENCE, REQUEST, TEXT, frame};
use crate::session::Session;
use crate::target::Target;

/// A whole session that arrives byte by byte is answered as if it had arrived at once.
pub fn one_byte_at_a_time(target: &Target) {
    let session = Session::new();
    beside_a_good_client(target, || {
        let mut client = Client::connect(target.addr);
        for byte in &session.bytes {
            client.write(&[*byte]);
        }
        assert_eq!(client.response().status, 101);
        let expected = session.answer(session.bytes.len());
        assert!(client.rest() == expected, "the answers");
    });
}

/// A request that arrives slowly, byte by byte, does not hold a slot beyond the handshake timeout.
pub fn slow_drip(target: &Target) {
    beside_a_good_client(target, || {
        thread::scope(|scope| {
            for _ in 0..target.slots - 1 {
                scope.spawn(|| {
                    let mut client = Client::connect(target.addr);
                    let until = Instant::now() + PATIENCE * 2;
                    for byte in REQUEST.bytes().cycle() {
                        assert!(Instant::now() < until, "it was never aborted");
                        // Headers without end.
                        let byte = if byte == b'\r' { b'x' } else { byte };
                        if client.stream.write_all(&[byte]).is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(40));
                    }
                });
            }
        });
    });
}

/// Readers that take a few bytes at a time, through the smallest window, get everything.
pub fn slow_readers(target: &Target) {
    const MESSAGES: usize = 40;
    beside_a_good_client(target, || {
        thread::scope(|scope| {
            for _ in 0..(target.slots - 1).min(4) {
                scope.spawn(|| {
                    let mut client = target.connect_narrow().upgraded();
                    let mut stream = client.stream.try_clone().unwrap();
                    thread::scope(|scope| {
                        scope.spawn(move || {
                            for number in 0..MESSAGES {
                                let payload = vec![number as u8; 1000];
                                stream.write_all(&frame(true, BINARY, &payload)).unwrap();
                            }
                            // Not after reading everything: the server, which has received nothing meanwhile, may have
                            // sent a ping by then.
                            stream.write_all(&frame(true, TEXT, b"as before")).unwrap();
                        });
                        for number in 0..MESSAGES {
                            client.expect_slowly(BINARY, &vec![number as u8; 1000]);
                        }
                        client.expect_slowly(TEXT, b"as before");
                    });
                });
            }
        });
    });
}

/// Readers that stop lose their slot, and no other client is affected.
pub fn readers_that_stop(target: &Target) {
    let mut stopped = Vec::new();
    beside_a_good_client(target, || {
        thread::scope(|scope| {
            let writers: Vec<_> = (0..target.slots - 1)
                .map(|_| {
                    scope.spawn(|| {
                        let client = target.connect_narrow().upgraded();
                        let mut stream = client.stream.try_clone().unwrap();
                        let message = frame(true, TEXT, &[b'x'; 1200]);
                        let until = Instant::now() + PATIENCE * 2;
                        while stream.write_all(&message).is_ok() {
                            assert!(Instant::now() < until, "it was never aborted");
                        }
                        client
                    })
                })
                .collect();
            for writer in writers {
                match writer.join() {
                    Ok(client) => stopped.push(client),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    });
    target.settle_slots();
}

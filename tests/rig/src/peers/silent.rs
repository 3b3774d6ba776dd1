// SPDX-License-Identifier: Apache-2.0
//! Peers that are silent: not yet, or never again.

use std::io::Write as _;

use socket2::{SockFilter, SockRef};

use super::beside_a_good_client;
use crate::client::{BINARY, Client, REQUEST, frame};
use crate::target::{Target, open_when_free};

/// Connections without a complete request hold no slot for longer than the handshake timeout.
pub fn silent_connections(target: &Target) {
    let mut silent = Vec::new();
    beside_a_good_client(target, || {
        for number in 0..target.slots * 3 {
            let mut client = Client::connect(target.addr);
            let sent = number * 7 % REQUEST.len();
            // Connections without a slot are rejected.
            let _ = client.stream.write_all(&REQUEST.as_bytes()[..sent]);
            silent.push(client);
        }
    });
    target.settle_slots();
}

/// Hosts that disappear, without the end of a stream or a reset, are detected.
pub fn half_open_peers(target: &Target) {
    let mut gone = Vec::new();
    beside_a_good_client(target, || {
        for _ in 0..target.slots - 1 {
            let client = Client::open(target.addr);
            vanish(&client);
            gone.push(client);
        }
        // The silence of those, beside the sound of this one.
        open_when_free(target.addr).echo("in");
    });
    target.settle_slots();
}

/// The same if the server has data to send to them.
pub fn half_open_peers_with_output(target: &Target) {
    let mut gone = Vec::new();
    beside_a_good_client(target, || {
        for _ in 0..target.slots - 1 {
            let client = Client::open(target.addr);
            vanish(&client);
            let stream = client.stream.try_clone().unwrap();
            stream.set_nonblocking(true).unwrap();
            let message = frame(true, BINARY, &[5; 1000]);
            // Nothing is acknowledged, so it stops when the socket's buffer is full.
            for _ in 0..10_000 {
                if (&stream).write(&message).is_err() {
                    break;
                }
            }
            gone.push(client);
        }
        open_when_free(target.addr).echo("in");
    });
    target.settle_slots();
}

/// Makes the client's host drop all packets, as if it no longer existed.
fn vanish(client: &Client) {
    const RETURN: u16 = 0x06;
    let nothing = SockFilter::new(RETURN, 0, 0, 0);
    SockRef::from(&client.stream)
        .attach_filter(&[nothing])
        .unwrap();
}

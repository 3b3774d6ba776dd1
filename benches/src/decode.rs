// SPDX-License-Identifier: Apache-2.0
//! Decoding: masked client frames to messages, unmasked and, if text, checked to be UTF-8.
//!
//! All candidates read the same frames from the same endless [`Stream`] in memory. Like a busy socket, it fills the
//! buffer that they provide: with many small frames at once, and with frames that are cut in two. Each candidate drops
//! a message before it decodes the next one.

use std::hint::black_box;

use crate::frames::Content;
use crate::measure::{Candidate, Role, Run, compare_in_memory};
use crate::memory::{BUFFER, Stream};
use crate::peers::{fastwebsockets, sockudo_ws, tungstenite, wss, yawc};

/// Measures and prints the table.
pub fn run(run: &Run) {
    compare_in_memory("Decoding", run, &Content::ALL, |content, payload| {
        let stream = || Stream::new(content, payload);
        vec![
            Candidate::new("wss", Role::Own, wss::decode(stream())),
            Candidate::new("sockudo-ws", Role::Peer, sockudo_ws::decode(stream())),
            Candidate::new(
                "fastwebsockets",
                Role::Peer,
                fastwebsockets::decode(stream()),
            ),
            Candidate::new("yawc", Role::Peer, yawc::decode(stream())),
            Candidate::new("tungstenite", Role::Peer, tungstenite::decode(stream())),
            Candidate::new("memcpy", Role::Reference, memcpy(stream())),
        ]
    });
}

/// Copies the stream into a buffer, which all others have to do as well.
fn memcpy(mut stream: Stream) -> impl FnMut(u64) {
    let mut buffer = vec![0; BUFFER];
    let mut ahead = 0;
    move |messages| {
        let bytes = messages as usize * stream.frame_len();
        while ahead < bytes {
            ahead += stream.give(&mut buffer);
            black_box(&mut buffer);
        }
        ahead -= bytes;
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Encoding: messages to server frames.
//!
//! Each candidate creates frames in its own buffer, from existing payloads. No peer checks text that it sends: types or
//! callers guarantee it. So wss gets its text as a `str`, too. "wss, bytes" gets bytes, as from an application in C,
//! and checks that they are UTF-8.

use std::hint::black_box;

use bytes::Bytes;

use crate::frames::Content;
use crate::measure::{Candidate, Role, Run, compare_in_memory};
use crate::memory::Output;
use crate::peers::{fastwebsockets, sockudo_ws, tungstenite, wss, yawc};

const CONTENTS: [Content; 3] = [Content::Binary, Content::Ascii, Content::Mixed];

/// Measures and prints the table.
pub fn run(run: &Run) {
    compare_in_memory("Encoding", run, &CONTENTS, |content, payload| {
        vec![
            Candidate::new("wss", Role::Own, wss::encode(content, payload, true)),
            Candidate::new(
                "sockudo-ws",
                Role::Peer,
                sockudo_ws::encode(content, payload),
            ),
            Candidate::new(
                "fastwebsockets",
                Role::Peer,
                fastwebsockets::encode(content, payload),
            ),
            Candidate::new("yawc", Role::Peer, yawc::encode(content, payload)),
            Candidate::new(
                "tungstenite",
                Role::Peer,
                tungstenite::encode(content, payload),
            ),
            Candidate::new(
                "wss, bytes",
                Role::Reference,
                wss::encode(content, payload, false),
            ),
            Candidate::new("memcpy", Role::Reference, memcpy(payload)),
        ]
    });
}

/// Copies the payload into a buffer.
fn memcpy(payload: &Bytes) -> impl FnMut(u64) + use<> {
    let payload = payload.clone();
    let mut output = Output::new(&payload);
    move |messages| {
        for _ in 0..messages {
            let payload = black_box(&payload);
            output.with_room(payload).extend_from_slice(payload);
        }
    }
}

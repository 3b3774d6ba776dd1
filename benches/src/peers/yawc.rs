// SPDX-License-Identifier: Apache-2.0
//! `yawc`: its [`Decoder`] and [`Encoder`] over a [`BytesMut`], without its asynchronous stream.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};
use yawc::Role;
use yawc::codec::{Decoder, Encoder};
use yawc::frame::{Frame, OpCode};

use crate::frames::Content;
use crate::memory::{BUFFER, MAX_HEADER, Stream, output_size};

/// Decodes frames, and checks text like its own stream with the feature `simd`.
pub fn decode(mut stream: Stream) -> impl FnMut(u64) {
    let mut decoder = Decoder::new(Role::Server, usize::MAX);
    let mut buffer = BytesMut::with_capacity(BUFFER);
    move |messages| {
        let mut got = 0;
        while got < messages {
            match decoder.decode(&mut buffer).expect("the frames are valid") {
                Some(frame) => {
                    if frame.opcode() == OpCode::Text {
                        simdutf8::basic::from_utf8(frame.payload()).expect("the text is valid");
                    }
                    black_box(frame);
                    got += 1;
                }
                None => {
                    buffer.reserve(BUFFER - buffer.len());
                    stream.append_to(&mut buffer);
                }
            }
        }
    }
}

/// Appends frames with shared payloads to a buffer that is emptied when it is full.
pub fn encode(content: Content, payload: &Bytes) -> impl FnMut(u64) + use<> {
    let mut encoder = Encoder::new(Role::Server);
    let frame_len = MAX_HEADER + payload.len();
    let mut buffer = BytesMut::with_capacity(output_size(payload));
    let payload = payload.clone();
    move |messages| {
        for _ in 0..messages {
            if buffer.capacity() - buffer.len() < frame_len {
                black_box(&buffer);
                buffer.clear();
            }
            let payload = black_box(&payload).clone();
            let frame = if content.is_text() {
                Frame::text(payload)
            } else {
                Frame::binary(payload)
            };
            encoder
                .encode(frame, &mut buffer)
                .expect("the frame is valid");
        }
    }
}

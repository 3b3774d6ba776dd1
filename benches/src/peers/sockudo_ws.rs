// SPDX-License-Identifier: Apache-2.0
//! `sockudo-ws`: its [`Protocol`] over a [`BytesMut`], without its asynchronous stream.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use sockudo_ws::protocol::{Message, Protocol};
use sockudo_ws::{Config, Role};

use crate::frames::Content;
use crate::memory::{BUFFER, MAX_HEADER, Stream, output_size};

fn protocol() -> Protocol {
    let config = Config::default();
    Protocol::new(Role::Server, config.max_frame_size, config.max_message_size)
}

/// Decodes everything that has arrived into a vector of messages that is reused.
pub fn decode(mut stream: Stream) -> impl FnMut(u64) {
    let mut protocol = protocol();
    let mut buffer = BytesMut::with_capacity(BUFFER);
    let mut messages = Vec::new();
    let mut ahead = 0;
    move |wanted| {
        while ahead < wanted {
            buffer.reserve(BUFFER - buffer.len());
            stream.append_to(&mut buffer);
            protocol
                .process_into(&mut buffer, &mut messages)
                .expect("the frames are valid");
            ahead += messages.len() as u64;
            messages.drain(..).for_each(|message| {
                black_box(message);
            });
        }
        ahead -= wanted;
    }
}

/// Appends frames to a buffer that is emptied when it is full.
pub fn encode(content: Content, payload: &Bytes) -> impl FnMut(u64) + use<> {
    let mut protocol = protocol();
    let mut buffer = BytesMut::with_capacity(output_size(payload));
    let frame_len = MAX_HEADER + payload.len();
    let payload = payload.clone();
    let message = if content.is_text() {
        Message::Text(payload)
    } else {
        Message::Binary(payload)
    };
    move |messages| {
        for _ in 0..messages {
            if buffer.capacity() - buffer.len() < frame_len {
                black_box(&buffer);
                buffer.clear();
            }
            protocol
                .encode_message(black_box(&message), &mut buffer)
                .expect("the message is valid");
        }
    }
}

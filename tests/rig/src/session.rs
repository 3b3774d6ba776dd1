// SPDX-License-Identifier: Apache-2.0
//! A session of a client that uses every kind of frame, and the answers of an echo server.

use crate::client::{BINARY, CLOSE, CONTINUATION, PING, PONG, REQUEST, TEXT, close_body, frame};

/// A session, and its answers.
pub struct Session {
    /// The input of the server.
    pub bytes: Vec<u8>,
    /// The output after this many bytes were received.
    answers: Vec<(usize, Vec<u8>)>,
}

impl Session {
    /// From the opening request to the close frame.
    pub fn new() -> Self {
        let mut session = Self {
            bytes: REQUEST.as_bytes().to_vec(),
            answers: Vec::new(),
        };
        session.sends(true, TEXT, "grüß dich".as_bytes());
        session.answers(TEXT, "grüß dich".as_bytes());
        session.sends(false, BINARY, &[1; 130]);
        session.sends(true, PING, b"between");
        session.answers(PONG, b"between");
        session.sends(false, CONTINUATION, b"");
        session.sends(true, CONTINUATION, &[2; 70]);
        session.answers(BINARY, &[[1; 130].as_slice(), &[2; 70]].concat());
        session.sends(true, PONG, b"unasked");
        session.sends(true, TEXT, b"");
        session.answers(TEXT, b"");
        session.sends(true, BINARY, &[3; 300]);
        session.answers(BINARY, &[3; 300]);
        session.sends(true, CLOSE, &close_body(1000, "bye"));
        // The code is echoed, the reason is not.
        session.answers(CLOSE, &close_body(1000, ""));
        session
    }

    fn sends(&mut self, fin: bool, opcode: u8, payload: &[u8]) {
        self.bytes.extend(frame(fin, opcode, payload));
    }

    fn answers(&mut self, opcode: u8, payload: &[u8]) {
        let mut answer = vec![0x80 | opcode];
        match payload.len() {
            len @ 0..=125 => answer.push(len as u8),
            len => {
                answer.push(126);
                answer.extend((len as u16).to_be_bytes());
            }
        }
        answer.extend(payload);
        self.answers.push((self.bytes.len(), answer));
    }

    /// Returns the frames that a server must answer if it receives only the first `cut` bytes.
    pub fn answer(&self, cut: usize) -> Vec<u8> {
        let answers = self.answers.iter();
        answers
            .filter(|(after, _)| *after <= cut)
            .flat_map(|(_, answer)| answer.iter().copied())
            .collect()
    }
}

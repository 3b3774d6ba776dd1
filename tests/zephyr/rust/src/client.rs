// SPDX-License-Identifier: Apache-2.0
//! A client of the server, in the same image: that of `tests/zephyr/client`, in C. If something is wrong, or does not
//! arrive in time, the case fails, and reports the step.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::panic::Location;

use wss_zephyr::kconfig;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

/// The body of a close frame with 1000.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// The key in RFC 6455, section 1.3, and its accept key.
const FIELDS: &CStr = c" HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPTED: [&[u8]; 2] = [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
];

unsafe extern "C" {
    fn client_dial(address: *const c_char, port: u16) -> c_int;
    fn client_says(fd: c_int, text: *const c_char);
    fn client_sends_frame(fd: c_int, opcode: u8, payload: *const c_void, len: usize);
    fn client_receives(fd: c_int, bytes: *const c_void, len: usize);
    safe fn client_ends(fd: c_int);
    // In main.c.
    safe fn client_is_impatient(fd: c_int);
    safe fn client_has_nothing(fd: c_int);
    fn client_steps(file: *const u8, len: usize, line: u32);
}

/// Reports the location of the client's next step, in case it fails.
#[track_caller]
fn step() {
    let here = Location::caller();
    // SAFETY: file names are static.
    unsafe { client_steps(here.file().as_ptr(), here.file().len(), here.line()) };
}

/// A connection.
pub struct Client(c_int);

impl Client {
    /// Connects to `CONFIG_WSS_PORT` and is upgraded.
    #[track_caller]
    pub fn connect(target: &CStr) -> Self {
        Self::connect_at(kconfig::PORT as u16, target)
    }

    /// The same at another port.
    #[track_caller]
    pub fn connect_at(port: u16, target: &CStr) -> Self {
        let client = Self::ask_at(port, target, c"");
        client.accepted_with(b"");
        client
    }

    /// Connects and sends a request, with further fields.
    #[track_caller]
    pub fn ask(target: &CStr, fields: &CStr) -> Self {
        Self::ask_at(kconfig::PORT as u16, target, fields)
    }

    #[track_caller]
    fn ask_at(port: u16, target: &CStr, fields: &CStr) -> Self {
        let client = Self::dial(port);
        client.says(c"GET ");
        client.asks(target, fields);
        client
    }

    /// Connects, and sends nothing.
    #[track_caller]
    pub fn dial(port: u16) -> Self {
        step();
        // SAFETY: the address is a C string.
        let fd = unsafe { client_dial(c"127.0.0.1".as_ptr(), port) };
        client_is_impatient(fd);
        Self(fd)
    }

    /// Sends (the rest of) the request from the target on, with further fields.
    #[track_caller]
    pub fn asks(&self, target: &CStr, fields: &CStr) {
        for part in [target, FIELDS, fields, c"\r\n"] {
            self.says(part);
        }
    }

    #[track_caller]
    pub fn says(&self, text: &CStr) {
        step();
        // SAFETY: it is a C string.
        unsafe { client_says(self.0, text.as_ptr()) };
    }

    /// Checks that nothing has arrived yet.
    #[track_caller]
    pub fn has_nothing(&self) {
        step();
        client_has_nothing(self.0);
    }

    /// Expects a 101 response with these fields after those of every such response.
    #[track_caller]
    pub fn accepted_with(&self, fields: &[u8]) {
        for part in ACCEPTED.into_iter().chain([fields, b"\r\n"]) {
            self.receives(part);
        }
    }

    /// Expects exactly this response, and the end of the connection.
    #[track_caller]
    pub fn refused_with(self, answer: &[u8]) {
        self.receives(answer);
        self.ends();
    }

    #[track_caller]
    pub fn sends(&self, opcode: u8, payload: &[u8]) {
        step();
        // SAFETY: the bytes are valid.
        unsafe { client_sends_frame(self.0, opcode, payload.as_ptr().cast(), payload.len()) };
    }

    /// Waits for a frame, of up to 125 bytes.
    #[track_caller]
    pub fn gets(&self, opcode: u8, payload: &[u8]) {
        self.gets_fragment(0x80 | opcode, payload);
    }

    /// Waits for a frame without FIN.
    #[track_caller]
    pub fn gets_fragment(&self, opcode: u8, payload: &[u8]) {
        self.receives(&[opcode, payload.len() as u8]);
        self.receives(payload);
    }

    #[track_caller]
    fn receives(&self, bytes: &[u8]) {
        step();
        // SAFETY: the bytes are valid.
        unsafe { client_receives(self.0, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Closes with 1000, expects the answer, and the end of the connection.
    #[track_caller]
    pub fn closes(self) {
        self.sends(CLOSE, &NORMAL);
        self.gets(CLOSE, &NORMAL);
        self.ends();
    }

    /// Expects a close with this body, answers it, and expects the end of the connection.
    #[track_caller]
    pub fn closed_with(self, body: &[u8]) {
        self.gets(CLOSE, body);
        self.sends(CLOSE, &body[..2]);
        self.ends();
    }

    /// Expects the end of the connection.
    #[track_caller]
    pub fn ends(self) {
        step();
        client_ends(self.0);
    }
}

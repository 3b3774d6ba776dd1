// SPDX-License-Identifier: Apache-2.0
//! The shell command `wss`, with several servers.

use core::ffi::{CStr, c_char, c_int};

use wss_zephyr::kconfig;

use crate::client::{Client, PING, TEXT};
use crate::starting::start;
use crate::{connected, wait_until};

// In main.c.
unsafe extern "C" {
    fn shell_prints(command: *const c_char, result: c_int, text: *const c_char);
    safe static errno_no_entry: c_int;
}

/// The command must succeed, and its output must contain this.
fn prints(command: &CStr, text: &CStr) {
    // SAFETY: both are C strings.
    unsafe { shell_prints(command.as_ptr(), 0, text.as_ptr()) };
}

/// The command must fail with ENOENT, and its output must contain this.
fn fails(command: &CStr, text: &CStr) {
    // SAFETY: both are C strings.
    unsafe { shell_prints(command.as_ptr(), -errno_no_entry, text.as_ptr()) };
}

const PORT: u16 = kconfig::PORT as u16;

#[unsafe(no_mangle)]
extern "C" fn the_shell_knows_servers_and_clients() {
    prints(c"wss status", c"No server is running");
    fails(c"wss send all hello", c"No server is running");
    let server = start(PORT);
    prints(
        c"wss status",
        c"Server 0: Listening on port 8000, 0 of 3 clients",
    );
    prints(c"wss clients", c"Server 0: no clients");
    fails(c"wss send 1/0 hello", c"Server 1 is not running");

    let further = start(PORT + 1);
    let first = Client::connect(c"/first");
    let second = Client::connect_at(PORT + 1, c"/second");
    connected(&server.clients(), 0);
    connected(&further.clients(), 0);
    prints(c"wss status", c"Server 1: Listening on port 8001, 1 of 3");
    prints(c"wss clients", c"0/0: connected, 127.0.0.1:");
    prints(c"wss clients", c"1/0: connected, 127.0.0.1:");

    prints(c"wss send 1/0 hello", c"");
    second.gets(TEXT, b"hello");
    prints(c"wss send all \"to all\"", c"");
    first.gets(TEXT, b"to all");
    second.gets(TEXT, b"to all");
    prints(c"wss ping 0/all x", c"");
    first.gets(PING, b"x");
    second.has_nothing();
    fails(
        c"wss send 0 hello",
        c"There is no client 0: use SERVER/CLIENT",
    );
    fails(c"wss send 0/3 hello", c"There is no client 0/3");
    fails(c"wss send 0/1 hello", c"There is no client 0/1");
    fails(c"wss send 2/0 hello", c"There is no client 2/0");

    prints(c"wss close 0/0 1001 bye", c"");
    first.closed_with(b"\x03\xe9bye");
    wait_until("the slot is free", || server.clients().client(0).is_none());
    prints(c"wss clients", c"Server 0: no clients");
    prints(c"wss stats", c"1 accepted, 1 upgraded, 1 closed");
    second.closes();
}

// SPDX-License-Identifier: Apache-2.0
//! How the program stops.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[allow(dead_code, reason = "the tests of sockets need the rest")]
#[path = "../../tests/sockets/client.rs"]
mod client;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::{CLOSE, Client, close_body};

/// The default server as a separate process, with a client that answers no close frame.
fn program_with_a_client(arguments: &[&str]) -> (Child, Client) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_wss"))
        .args(["--port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let addr = line.trim().rsplit('/').next().unwrap().parse().unwrap();
    let mut client = Client::open(addr);
    client.echo("a");
    (program, client)
}

fn interrupt(program: &Child) {
    let pid = program.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_second_signal_does_not_wait_for_clients() {
    let (mut program, mut client) = program_with_a_client(&[]);
    let began = Instant::now();
    interrupt(&program);
    client.expect_close(1001, "");
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        program.try_wait().unwrap().is_none(),
        "it waits for the client"
    );
    interrupt(&program);
    assert!(program.wait().unwrap().success());
    // The close timeout is 5 s.
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn one_signal_ends_a_program_whose_clients_answer() {
    for loops in ["1", "3"] {
        let (mut program, mut client) = program_with_a_client(&["--loops", loops]);
        interrupt(&program);
        client.expect_close(1001, "");
        client.send(CLOSE, &close_body(1001, ""));
        client.expect_end();
        // The server waits for that.
        drop(client);
        assert!(program.wait().unwrap().success());
    }
}

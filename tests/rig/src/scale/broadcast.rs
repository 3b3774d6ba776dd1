// SPDX-License-Identifier: Apache-2.0
//! Broadcasts to many clients, some of which do not read.

use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::client::{BINARY, Client};
use crate::server::Server;

const CLIENTS: usize = 1_000;
const SILENT: [usize; 2] = [0, 50];
/// Enough to fill the buffers of clients that do not read many times over.
const MESSAGES: usize = 3_000;
const PAYLOAD: usize = 1_000;

/// Measures the rate of messages to the clients that read, and the number of missing ones.
pub fn run(program: &Path) {
    println!(
        "\n{MESSAGES} messages of {PAYLOAD} bytes to each of {CLIENTS} clients, each sent when the last has come back\n"
    );
    println!(
        "{:>12}{:>16}{:>10}{:>14}",
        "not reading", "delivered/s", "missing", "ms/message"
    );
    for silent in SILENT {
        // Long enough to have no pings between.
        let server = Server::start(
            program,
            &[
                "--max-clients",
                "1000",
                "--broadcast",
                "--client-timeout-ms",
                "600000",
            ],
        );
        let mut readers = server.clients(CLIENTS - silent - 1);
        let mut silent_clients = Vec::new();
        for _ in 0..silent {
            silent_clients.push(Client::connect_narrow(server.addr).upgraded());
        }
        let mut sender = Client::connect_from(crate::server::source(0), server.addr).upgraded();
        let began = Instant::now();
        let delivered: usize = thread::scope(|scope| {
            let share = readers.len().div_ceil(8);
            let threads: Vec<_> = readers
                .chunks_mut(share)
                .map(|clients| scope.spawn(|| receive(clients)))
                .collect();
            for number in 0..MESSAGES {
                sender.send(BINARY, &message(number));
                sender.expect(BINARY, &message(number));
            }
            let counts = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            counts.sum()
        });
        let elapsed = began.elapsed().as_secs_f64();
        println!(
            "{silent:>12}{:>16.0}{:>10}{:>14.2}",
            delivered as f64 / elapsed,
            readers.len() * MESSAGES - delivered,
            elapsed * 1e3 / MESSAGES as f64
        );
    }
}

fn message(number: usize) -> Vec<u8> {
    let mut message = (number as u32).to_be_bytes().to_vec();
    message.resize(PAYLOAD, number as u8);
    message
}

/// Receives until each client has the last message. Returns the number of messages.
fn receive(clients: &mut [Client]) -> usize {
    let mut count = 0;
    let mut next = vec![0; clients.len()];
    while next.iter().any(|next| *next < MESSAGES) {
        for (client, next) in clients.iter_mut().zip(&mut next) {
            if *next == MESSAGES {
                continue;
            }
            let frame = client.frame();
            let number = u32::from_be_bytes(frame.payload[..4].try_into().expect("4 bytes"));
            let number = number as usize;
            assert!(number >= *next, "in order");
            assert!(frame.payload == message(number), "whole");
            *next = number + 1;
            count += 1;
        }
    }
    count
}

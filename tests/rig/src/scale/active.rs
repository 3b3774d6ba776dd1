// SPDX-License-Identifier: Apache-2.0
//! A thousand clients that send, together with others that do not.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{BINARY, Client};
use crate::process::time_running;
use crate::server::Server;

const ACTIVE: usize = 1_000;
const IDLE: [usize; 3] = [0, 2_000, 10_000];
const MEASURED: Duration = Duration::from_secs(10);
const PAYLOAD: [u8; 125] = [7; 125];
/// Threads of the generator.
const THREADS: usize = 2;

/// The rate of echoes, and the server's time for one.
pub fn run(program: &Path) {
    println!(
        "\n{ACTIVE} active clients, one message of {} bytes each in flight\n",
        PAYLOAD.len()
    );
    println!("{:>8}{:>14}{:>20}", "idle", "echoes/s", "server us/echo");
    for idle in IDLE {
        let server = Server::start(
            program,
            &[
                "--max-clients",
                "11000",
                "--client-timeout-ms",
                "60000000",
                "--ping-interval-ms",
                "0",
            ],
        );
        let _idle = server.clients(idle);
        let mut active = server.clients(ACTIVE);
        let (began, running) = (Instant::now(), time_running(server.id()));
        let share = ACTIVE / THREADS;
        let echoes: usize = thread::scope(|scope| {
            let threads: Vec<_> = active
                .chunks_mut(share)
                .map(|clients| scope.spawn(|| keep_busy(clients, began)))
                .collect();
            let echoes = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            echoes.sum()
        });
        let elapsed = began.elapsed();
        let running = time_running(server.id()) - running;
        println!(
            "{idle:>8}{:>14.0}{:>20.2}",
            echoes as f64 / elapsed.as_secs_f64(),
            running.as_secs_f64() * 1e6 / echoes as f64
        );
    }
}

/// Runs rounds in which every client gets an echo. Returns the number of messages.
fn keep_busy(clients: &mut [Client], began: Instant) -> usize {
    let mut echoes = 0;
    while began.elapsed() < MEASURED {
        for client in &mut *clients {
            client.send(BINARY, &PAYLOAD);
        }
        for client in &mut *clients {
            client.expect(BINARY, &PAYLOAD);
        }
        echoes += clients.len();
    }
    echoes
}

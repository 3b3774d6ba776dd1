// SPDX-License-Identifier: Apache-2.0
//! Clients that only listen.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::process::{memory_kb, time_running};
use crate::server::Server;

const CLIENTS: [usize; 4] = [1_000, 2_000, 5_000, 10_000];
const WATCHED: Duration = Duration::from_secs(10);

/// Measures the cost of each client: memory of the process (not the kernel's for the socket), and time, without and
/// with pings.
pub fn run(program: &Path) {
    println!("\nIdle clients, over {} s\n", WATCHED.as_secs());
    println!(
        "{:>8}{:>16}{:>22}{:>26}",
        "clients", "bytes/client", "CPU ms/s, no pings", "CPU us/ping, one a second"
    );
    // The server allocates the buffers for all clients when it starts.
    let base = memory_kb(server(program, 1, "0").id());
    for count in CLIENTS {
        let quiet = server(program, count, "0");
        let clients = quiet.clients(count);
        let bytes = (memory_kb(quiet.id()) - base) * 1024 / count as u64;
        let time = time_of(&quiet);
        drop((clients, quiet));
        let pinging = server(program, count, "1000");
        let clients = pinging.clients(count);
        // They answer none, which does not matter before the timeout.
        let pings = WATCHED.as_secs() * count as u64;
        let time_pinging = time_of(&pinging);
        drop((clients, pinging));
        println!(
            "{count:>8}{bytes:>16}{:>22.2}{:>26.2}",
            time.as_secs_f64() * 1e3 / WATCHED.as_secs_f64(),
            time_pinging.as_secs_f64() * 1e6 / pings as f64
        );
    }
}

fn server(program: &Path, clients: usize, ping_interval_ms: &str) -> Server {
    let clients = clients.to_string();
    let arguments = [
        "--max-clients",
        &clients,
        "--client-timeout-ms",
        "60000000",
        "--ping-interval-ms",
        ping_interval_ms,
    ];
    Server::start(program, &arguments)
}

/// Returns the processor time of the server while nothing happens.
fn time_of(server: &Server) -> Duration {
    thread::sleep(Duration::from_millis(500));
    let before = time_running(server.id());
    thread::sleep(WATCHED);
    time_running(server.id()) - before
}

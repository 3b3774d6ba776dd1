// SPDX-License-Identifier: Apache-2.0
//! Echo servers in separate processes, side by side, under the load of [`load`].
//!
//! ```text
//! cargo run --release -p wss-bench -- [--quick] connect NAME ADDRESS COMMAND [NAME ADDRESS COMMAND]...
//! ```
//!
//! `COMMAND`, a program and its arguments separated by spaces, is started for each load and stopped after it, so that
//! no server takes processor time while another one is measured: a simulated board is never idle. `-` means a server
//! that runs already.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::load::{self, End, Load, Outcome};
use crate::measure::Quartiles;

struct Server<'a> {
    name: &'a str,
    addr: SocketAddr,
    command: Option<&'a str>,
}

/// Measures the servers in `arguments`, and prints the table.
pub fn run(quick: bool, arguments: &[String]) -> ExitCode {
    let servers: Option<Vec<_>> = arguments.chunks(3).map(Server::parse).collect();
    let Some(servers) = servers.filter(|servers| !servers.is_empty()) else {
        eprintln!("usage: wss-bench [--quick] connect NAME ADDRESS COMMAND|- ...");
        return ExitCode::FAILURE;
    };
    let time = Duration::from_millis(if quick { 100 } else { 1000 });
    let number_of_turns = if quick { 1 } else { 5 };
    println!("\nEcho: messages/s | generator's load\n");
    print!("payload clients depth");
    for server in &servers {
        print!(" {:>17}", server.name);
    }
    for server in servers.iter().skip(1) {
        print!(" {:>17}", format!("{}/{}", server.name, servers[0].name));
    }
    println!();
    for load in Load::grid(&[16, 125, 1024, 16384], &[1, 2, 8]) {
        let turn = |_| servers.iter().map(|server| server.measure(load, time));
        let turns: Vec<Vec<_>> = (0..number_of_turns)
            .map(|number| turn(number).collect())
            .collect();
        let figures = |figure: fn(&Outcome) -> f64| -> Vec<f64> {
            let of = |server: usize| turns.iter().map(move |turn| figure(&turn[server]));
            (0..servers.len())
                .map(|server| Quartiles::of(of(server)).middle)
                .collect()
        };
        let rates = figures(|outcome| outcome.per_second);
        print!("{load}");
        for (rate, busy) in rates.iter().zip(figures(|outcome| outcome.busy)) {
            print!(" {:>17}", format!("{rate:.0} {:3.0}%", busy * 100.0));
        }
        for rate in rates.iter().skip(1) {
            print!(" {:>17.2}", rate / rates[0]);
        }
        println!();
    }
    ExitCode::SUCCESS
}

impl<'a> Server<'a> {
    fn parse(arguments: &'a [String]) -> Option<Self> {
        let [name, addr, command] = arguments else {
            return None;
        };
        Some(Self {
            name,
            addr: addr.parse().ok()?,
            command: (command != "-").then_some(command),
        })
    }

    fn measure(&self, load: Load, time: Duration) -> Outcome {
        if let Some(command) = self.command {
            assert!(
                TcpStream::connect(self.addr).is_err(),
                "something is at {} already",
                self.addr
            );
            *running() = Some(start(command));
        }
        let outcome = load::run(self.addr, false, load, time, End::Connection);
        end_server();
        outcome
    }
}

fn start(command: &str) -> Child {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a program");
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The server that was started, if there is one.
fn running() -> MutexGuard<'static, Option<Child>> {
    static RUNNING: Mutex<Option<Child>> = Mutex::new(None);
    RUNNING.lock().expect("no thread panics with it")
}

/// Stops the server that was started, if there is one, also before the benchmark fails.
pub fn end_server() {
    if let Some(mut server) = running().take() {
        server.kill().expect("it can be ended");
        server.wait().expect("it has ended");
    }
}

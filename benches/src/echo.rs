// SPDX-License-Identifier: Apache-2.0
//! Echo over TCP on the loopback interface: whole messages per second, there and back.
//!
//! All servers run in this process, with the same generator, [`load`]. They are measured in turn. Each has its default
//! buffers, except that the receive buffers of wss are as large as tungstenite's. wss and the servers on tokio have one
//! thread, or with `--threads` one for each processor. See [`peers`](crate::peers) for each.
//!
//! Messages per second depend on the time to wake a thread. On a virtual machine with an idle processor, that can be
//! far more than everything else, so the processor time of the server for a message is printed, too. A `*` marks a rate
//! at which the generator was running nearly all of the time: it shows the limit of the generator, not of the server.

use std::iter::zip;
use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{self, End, Load, Outcome};
use crate::measure::{Quartiles, Role, Run};
use crate::peers::{fastwebsockets, tokio_tungstenite, tungstenite, wss};
use crate::servers::Threads;

/// tokio-tungstenite, flushing once for all messages that have arrived, like wss.
const IN_BATCHES: &str = "tt, in batches";

/// If the generator runs for a larger share of the time, it is the limit.
const BUSY: f64 = 0.9;

struct Server {
    name: &'static str,
    addr: SocketAddr,
    has_tls: bool,
}

/// A name, its kind in the comparison, and the function that starts it.
type Candidate = (&'static str, Role, fn(Threads) -> SocketAddr);

const PLAIN: [Candidate; 5] = [
    ("wss", Role::Own, |threads| wss::echo(threads, false)),
    ("tungstenite", Role::Peer, |_| tungstenite::echo()),
    ("fastwebsockets", Role::Peer, fastwebsockets::echo),
    ("tokio-tungstenite", Role::Peer, tokio_tungstenite::echo),
    (IN_BATCHES, Role::Peer, tokio_tungstenite::echo_in_batches),
];

const WITH_TLS: [Candidate; 2] = [
    ("wss", Role::Own, |threads| wss::echo(threads, true)),
    ("tungstenite", Role::Peer, |_| tungstenite::echo_with_tls()),
];

/// A load, and the outcomes of each server, turn by turn.
struct Cell {
    load: Load,
    outcomes: Vec<Vec<Outcome>>,
}

/// Measures and prints the tables.
pub fn run(run: &Run) {
    measure(run, "Echo", &PLAIN, false);
}

/// The same over TLS.
pub fn run_with_tls(run: &Run) {
    measure(run, "Echo over TLS", &WITH_TLS, true);
}

fn measure(run: &Run, title: &str, candidates: &[Candidate], has_tls: bool) {
    let (time, turns) = if run.quick {
        (Duration::from_millis(20), 1)
    } else {
        (Duration::from_millis(120), 15)
    };
    let servers = start(run, candidates, has_tls);
    print_head(
        &format!("{title}: messages/s, ± half the interquartile range"),
        &servers,
        ["wss/best", "wss/best unbatched"],
    );
    let loads = Load::grid(&[16, 125, 1400, 16384, 65536], &[1, 8]);
    let measure = |load| {
        let outcomes = by_turns(&servers, load, time, turns);
        let cell = Cell { load, outcomes };
        print_rates(&servers, &cell);
        cell
    };
    let wanted = loads.filter(|load| load.is_wanted(run));
    let cells: Vec<Cell> = wanted.map(measure).collect();
    print_head(
        &format!("{title}: µs of the server's processor time for a message"),
        &servers,
        ["best/wss", "best unbatched/wss"],
    );
    for cell in &cells {
        print_costs(&servers, cell);
    }
}

/// Starts the selected servers, wss first.
fn start(run: &Run, candidates: &[Candidate], has_tls: bool) -> Vec<Server> {
    let wanted = candidates
        .iter()
        .filter(|(name, role, _)| run.wants(name, *role));
    let start = |(name, _, start): &Candidate| Server {
        name,
        addr: start(run.threads),
        has_tls,
    };
    wanted.map(start).collect()
}

/// Runs `load` on all servers in turn. Returns their outcomes, turn by turn.
fn by_turns(servers: &[Server], load: Load, time: Duration, turns: usize) -> Vec<Vec<Outcome>> {
    let mut outcomes = vec![Vec::new(); servers.len()];
    for _ in 0..turns {
        for (server, outcomes) in zip(servers, &mut outcomes) {
            outcomes.push(load::run(
                server.addr,
                server.has_tls,
                load,
                time,
                End::Handshake,
            ));
        }
    }
    outcomes
}

fn print_head(title: &str, servers: &[Server], ratios: [&str; 2]) {
    println!("\n{title}\n");
    print!("payload clients depth");
    servers
        .iter()
        .for_each(|server| print!(" {:>17}", server.name));
    ratios.iter().for_each(|ratio| print!(" {ratio:>19}"));
    println!();
}

fn print_rates(servers: &[Server], cell: &Cell) {
    print!("{}", cell.load);
    for outcomes in &cell.outcomes {
        let rates = Quartiles::of(outcomes.iter().map(|outcome| outcome.per_second));
        let busy = Quartiles::of(outcomes.iter().map(|outcome| outcome.busy)).middle;
        let mark = if busy > BUSY { "*" } else { "" };
        let cell = format!("{:.0}{mark} ±{}%", rates.middle, rates.spread());
        print!(" {cell:>17}");
    }
    print_ratios(servers, cell, |outcome| outcome.per_second);
}

fn print_costs(servers: &[Server], cell: &Cell) {
    print!("{}", cell.load);
    for outcomes in &cell.outcomes {
        let costs = Quartiles::of(outcomes.iter().map(|outcome| outcome.server_time));
        print!(" {:>17.2}", costs.middle);
    }
    print_ratios(servers, cell, |outcome| 1.0 / outcome.server_time);
}

/// Prints the ratio of wss to the best peer, and to the best one that sends each message separately, turn by turn.
fn print_ratios(servers: &[Server], cell: &Cell, good: fn(&Outcome) -> f64) {
    let median = |outcomes: &[Outcome]| Quartiles::of(outcomes.iter().map(good)).middle;
    for batches in [true, false] {
        let peers = zip(servers, &cell.outcomes).skip(1);
        let peers = peers.filter(|(server, _)| batches || server.name != IN_BATCHES);
        let best = peers.max_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)));
        let ratio = best.map(|(_, best)| {
            let turns = zip(&cell.outcomes[0], best);
            Quartiles::of(turns.map(|(own, best)| good(own) / good(best))).ratio()
        });
        print!(" {:>19}", ratio.unwrap_or_default());
    }
    println!();
}

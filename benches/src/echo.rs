//! Echo over TCP on the loopback interface: whole messages in a second, there and back.
//!
//! - wss: [`Server::start`] with a closure that sends each message back;
//! - tungstenite: a thread for each client that reads a message and sends it back, as in its
//!   examples, on sockets with `TCP_NODELAY`, which wss sets too.
//!
//! Both run in this process beside the generator of load, which is the same for both, and have
//! receive buffers of the same size. They are measured by turns.
//!
//! Messages in a second depend on what it takes to wake a thread, which on a virtual machine with an
//! idle processor can be far more than everything else together; so the processor time that the
//! server took for a message is given too. Where the generator was running nearly all of the time,
//! the figures are more its own than the server's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tungstenite::protocol::WebSocketConfig;
use wss::host::{Clients, Options, Server};
use wss::{ClientId, Event, MessageKind};

use crate::load::{self, End, Load, Outcome};
use crate::measure::median;

/// Room for two of the largest messages.
const BUFFER: usize = 32 * 1024;

/// Measures and prints the table.
pub fn run(quick: bool) {
    let time = Duration::from_millis(if quick { 50 } else { 400 });
    let options = Options {
        port: 0,
        rx_buffer: BUFFER,
        ..Options::default()
    };
    let wss = Server::start(&options, echo).expect("the server starts");
    let tungstenite = start_tungstenite();
    println!(
        "\nEcho: messages/s | µs of processor time of the server for one | generator's load\n"
    );
    println!(
        "payload clients depth                      wss              tungstenite  \
         wss/tungstenite  by processor time"
    );
    for load in Load::all() {
        compare(load, time, [wss.local_addr(), tungstenite]);
    }
}

/// Puts `load` on both servers, by turns, and prints the medians.
fn compare(load: Load, time: Duration, servers: [SocketAddr; 2]) {
    let turns = [(); 5].map(|()| servers.map(|addr| load::run(addr, load, time, End::Handshake)));
    let [wss, tungstenite] = [0, 1].map(|server| {
        let figure = |figure: fn(&Outcome) -> f64| {
            median(turns.iter().map(|turn| figure(&turn[server])).collect())
        };
        Outcome {
            per_second: figure(|outcome| outcome.per_second),
            server_time: figure(|outcome| outcome.server_time),
            busy: figure(|outcome| outcome.busy),
        }
    });
    let cell = |outcome: Outcome| {
        let Outcome {
            per_second,
            server_time,
            busy,
        } = outcome;
        format!("{per_second:.0} {server_time:6.2} {:3.0}%", busy * 100.0)
    };
    println!(
        "{:>7} {:>7} {:>5} {:>24} {:>24} {:>16.2} {:>18.2}",
        load.payload,
        load.clients,
        load.depth,
        cell(wss),
        cell(tungstenite),
        wss.per_second / tungstenite.per_second,
        tungstenite.server_time / wss.server_time
    );
}

fn echo(clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
    let (kind, message) = match event {
        Event::Binary(message) => (MessageKind::Binary, message),
        Event::Text(message) => (MessageKind::Text, message),
        _ => return,
    };
    if let Some(client) = client {
        clients
            .send(client, kind, message.bytes)
            .expect("the echo is sent");
    }
}

/// Starts an echo server that ends with the process.
fn start_tungstenite() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let addr = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a client is accepted");
            thread::spawn(move || echo_tungstenite(stream));
        }
    });
    addr
}

/// Echoes until the client closes the connection.
fn echo_tungstenite(stream: TcpStream) {
    stream.set_nodelay(true).expect("TCP_NODELAY is set");
    let config = WebSocketConfig::default().read_buffer_size(BUFFER);
    let Ok(mut socket) = tungstenite::accept_with_config(stream, Some(config)) else {
        return;
    };
    while let Ok(message) = socket.read() {
        if message.is_binary() || message.is_text() {
            socket.send(message).expect("the echo is sent");
        }
    }
}

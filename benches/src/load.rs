// SPDX-License-Identifier: Apache-2.0
//! A load generator for an echo server: clients that keep a number of messages in flight.
//!
//! Clients are blocking sockets, and their frames are prepared. A thread serves its clients one after the other: it
//! reads the available part of the echo, waiting for the first byte, and writes as many new messages as came back. So a
//! client costs one `read` and one `write` for a burst of messages, and the generator does not delay a server that
//! gives every client its turn.
//!
//! There are as many threads as processors, but not more than clients. With fewer, a server must always be woken on
//! another processor than the one that has finished with the client; with a thread for each of many clients, switching
//! between them takes more time.
//!
//! The first echo of each connection is compared byte by byte, after that the bytes are counted. At the end everything
//! that was sent must have come back, and nothing else.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::external;
use crate::frames::Content;
use crate::measure::Run;
use crate::tls::Wire;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A close frame with code 1000, masked with zeros, and its answer.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
const CLOSE_ECHO: [u8; 4] = [0x88, 2, 0x03, 0xe8];

/// The size of the receive buffer of wss: tungstenite's default.
pub const ECHO_BUFFER: usize = 128 * 1024;

/// A server that does not answer for this long, or does not listen, has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A load.
#[derive(Clone, Copy)]
pub struct Load {
    /// The size of a message, in bytes.
    pub payload: usize,
    /// The number of clients.
    pub clients: usize,
    /// The number of messages in flight of each client.
    pub depth: usize,
}

impl Load {
    /// Returns all loads of these sizes and numbers of clients, with one and with many messages in flight.
    pub fn grid(sizes: &[usize], clients: &[usize]) -> impl Iterator<Item = Self> {
        let with_clients = sizes.iter().flat_map(move |payload| {
            let each = clients.iter();
            each.map(move |clients| (*payload, *clients))
        });
        with_clients.flat_map(|(payload, clients)| {
            [1, 16].map(|depth| Self {
                payload,
                clients,
                depth,
            })
        })
    }

    /// Returns whether to measure this load.
    pub fn is_wanted(&self, run: &Run) -> bool {
        let coordinates = [self.payload, self.clients, self.depth].map(|number| number.to_string());
        run.wants_cell(&coordinates.each_ref().map(String::as_str))
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            payload,
            clients,
            depth,
        } = self;
        write!(f, "{payload:>7} {clients:>7} {depth:>5}")
    }
}

/// The way clients disconnect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a closing handshake, by RFC 6455.
    Handshake,
    /// By ending the connection once all echoes are there, for servers that do no such handshake.
    Connection,
}

/// The outcome of a load.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// The number of messages per second that came back.
    pub per_second: f64,
    /// The server's processor time for a message, in microseconds. This and the next one are zero on operating systems
    /// other than Linux.
    pub server_time: f64,
    /// The share of the time in which a thread of the generator was running.
    pub busy: f64,
}

/// Runs the load on the echo server at `addr` for some time. Its processor time is only known if it runs in this
/// process.
pub fn run(addr: SocketAddr, has_tls: bool, load: Load, time: Duration, end: End) -> Outcome {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let number_of_threads = load.clients.min(processors);
    let ready = Barrier::new(number_of_threads + 1);
    let generate = |number: usize| {
        let clients = (number..load.clients).step_by(number_of_threads);
        let clients = clients.map(|number| Client::connect((addr, has_tls), load, number as u32));
        let mut clients: Vec<Client> = clients.map(unless_failed).collect();
        ready.wait();
        let running = time_running("/proc/thread-self");
        let messages = unless_failed(keep_busy(&mut clients, time));
        let running = time_running("/proc/thread-self").saturating_sub(running);
        ready.wait();
        // The threads of the server must not end before their time is read.
        ready.wait();
        clients
            .drain(..)
            .map(|client| client.finish(end))
            .for_each(unless_failed);
        (messages, running)
    };
    thread::scope(|scope| {
        let generate = &generate;
        let threads = (0..number_of_threads).map(|number| scope.spawn(move || generate(number)));
        let threads: Vec<_> = threads.collect();
        ready.wait();
        let (start, running) = (Instant::now(), time_all_running());
        ready.wait();
        let elapsed = start.elapsed().as_secs_f64();
        let all = time_all_running().saturating_sub(running);
        ready.wait();
        let (mut messages, mut generator) = (0, Duration::ZERO);
        for thread in threads {
            let (its_messages, running) = thread.join().expect("it has not panicked");
            messages += its_messages;
            generator += running;
        }
        let server = all.saturating_sub(generator);
        Outcome {
            per_second: messages as f64 / elapsed,
            server_time: server.as_secs_f64() * 1e6 / messages as f64,
            busy: generator.as_secs_f64() / elapsed / number_of_threads as f64,
        }
    })
}

/// Lets `clients` work for some time. Returns how many messages came back.
fn keep_busy(clients: &mut [Client], time: Duration) -> io::Result<usize> {
    let mut buffer = vec![0; 256 * 1024];
    let start = Instant::now();
    for client in &mut *clients {
        client.send(client.depth)?;
    }
    let mut messages = 0;
    while start.elapsed() < time {
        for client in &mut *clients {
            messages += client.turn(&mut buffer)?;
        }
    }
    Ok(messages)
}

/// Returns the processor time of the threads of this process, as reported by Linux.
fn time_all_running() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks.flatten().map(|task| time_running(task.path())).sum()
}

fn time_running(task: impl AsRef<Path>) -> Duration {
    let stat = std::fs::read_to_string(task.as_ref().join("schedstat")).unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Ends the benchmark if the server fails, because other threads wait for this one.
fn unless_failed<T>(outcome: io::Result<T>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("the server does not echo: {error}");
        external::end_server();
        std::process::exit(1);
    })
}

struct Client {
    stream: Wire,
    depth: usize,
    /// The frames that are sent at once.
    frames: Vec<u8>,
    frame_len: usize,
    /// The length of the echo of one of them.
    echo_len: usize,
    /// The number of received bytes of an incomplete echo.
    partial: usize,
}

impl Client {
    fn connect((addr, has_tls): (SocketAddr, bool), load: Load, number: u32) -> io::Result<Self> {
        let stream = connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut stream = Wire::new(stream, has_tls);
        stream.write_all(REQUEST)?;
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            response.extend(byte);
        }
        check(response.starts_with(b"HTTP/1.1 101 "), "not upgraded")?;
        let payload = Content::Binary.payload(load.payload);
        let mask = number.wrapping_mul(0x9e37_79b9) | 1;
        let frame = Content::Binary.client_frame(&payload, mask.to_be_bytes());
        let expected = Content::Binary.server_frame(&payload);
        stream.write_all(&frame)?;
        let mut echo = vec![0; expected.len()];
        stream.read_exact(&mut echo)?;
        check(echo == expected, "not what was sent")?;
        Ok(Self {
            stream,
            depth: load.depth,
            frames: frame.repeat(load.depth),
            frame_len: frame.len(),
            echo_len: expected.len(),
            partial: 0,
        })
    }

    fn send(&mut self, messages: usize) -> io::Result<()> {
        self.stream
            .write_all(&self.frames[..messages * self.frame_len])
    }

    /// Reads once, and sends as many messages as have come back. Returns their number.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        check(count > 0, "closed")?;
        self.partial += count;
        let messages = self.partial / self.echo_len;
        self.partial %= self.echo_len;
        check(messages <= self.depth, "more than was sent")?;
        self.send(messages)?;
        Ok(messages)
    }

    /// Closes the connection, and checks everything that arrives before its end.
    fn finish(mut self, end: End) -> io::Result<()> {
        let missing = self.depth * self.echo_len - self.partial;
        if end == End::Handshake {
            self.stream.write_all(&CLOSE)?;
        }
        let mut echoes = vec![0; missing];
        self.stream.read_exact(&mut echoes)?;
        if end == End::Connection {
            self.stream.shutdown()?;
        }
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            // tungstenite ends TLS without close_notify.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            read => _ = read?,
        }
        match end {
            End::Handshake => check(rest == CLOSE_ECHO, "not closed"),
            // There may be a close frame.
            End::Connection => check(
                rest.first().is_none_or(|first| *first == CLOSE[0]),
                "more than was sent",
            ),
        }
    }
}

/// Connects to a server that may be about to start.
fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(addr) {
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && start.elapsed() < TIMEOUT =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            connected => return connected,
        }
    }
}

fn check(fine: bool, what: &str) -> io::Result<()> {
    if fine {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidData, what))
}

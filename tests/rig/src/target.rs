// SPDX-License-Identifier: Apache-2.0
//! What is attacked, and what has to be true of it after each attack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};

use crate::client::{CLOSE, Client, close_body};
use crate::process::Process;
use crate::watched::Watched;

/// How long a server may take until an attack has left nothing behind: longer than any of its timeouts.
const PATIENCE: Duration = Duration::from_secs(40);

/// An echo server.
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddr,
    /// It has TLS, and clients connect so.
    pub tls: Option<Arc<ClientConfig>>,
    /// How many clients it serves at one time.
    pub slots: usize,
    /// It is in this process, where more can be seen of it.
    pub watched: Option<Watched>,
    /// It is in this one.
    pub process: Option<Process>,
}

impl Target {
    /// Nothing is left of those who were there: every slot can be used, counters add up, and memory and
    /// descriptors are as before.
    pub fn settle(&self) {
        self.settle_slots();
        let until = Instant::now() + PATIENCE;
        if let Some(watched) = &self.watched {
            watched.settle(until);
        }
        if let Some(process) = &self.process {
            process.settle(until);
        }
    }

    /// Every slot can be used, and no more than there are.
    pub fn settle_slots(&self) {
        let until = Instant::now() + PATIENCE;
        let mut clients = loop {
            if let Some(clients) = self.fill() {
                break clients;
            }
            assert!(Instant::now() < until, "not every slot came back");
            thread::sleep(Duration::from_millis(50));
        };
        let mut refused = Client::connect(self.addr);
        if self.tls.is_some() {
            // An answer would take a handshake.
            refused.expect_end();
        } else {
            refused.write(crate::client::REQUEST.as_bytes());
            let answer = refused.try_response().map(|response| response.status);
            assert_eq!(answer, Some(503), "one client too many");
        }
        drop(refused);
        for client in &mut clients {
            client.send(CLOSE, &close_body(1000, ""));
        }
        for client in &mut clients {
            client.expect_close(1000, "");
            client.expect_end();
        }
    }

    /// A client on every slot, each of which echoes; or not, as long as some slot is in use.
    fn fill(&self) -> Option<Vec<Client>> {
        let mut clients: Vec<Client> = (0..self.slots).map(|_| self.connect()).collect();
        for client in &mut clients {
            // One that was turned away may have been reset.
            client.try_write(crate::client::REQUEST.as_bytes()).ok()?;
        }
        for client in &mut clients {
            if client.try_response()?.status != 101 {
                return None;
            }
            client.echo("in");
        }
        Some(clients)
    }

    /// A connection on which nothing was said yet.
    pub fn connect(&self) -> Client {
        let client = Client::connect(self.addr);
        match &self.tls {
            Some(tls) => client.secured(tls),
            None => client,
        }
    }

    /// A client that is upgraded.
    pub fn open(&self) -> Client {
        self.connect().upgraded()
    }

    /// A connection whose receive buffer is as small as the operating system has it.
    pub fn connect_narrow(&self) -> Client {
        let socket = Socket::new(Domain::for_address(self.addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&self.addr.into()).unwrap();
        Client::new(socket.into())
    }
}

/// A client, as soon as there is a slot for it.
pub fn open_when_free(addr: SocketAddr) -> Client {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(addr);
        client.write(crate::client::REQUEST.as_bytes());
        match client.try_response().map(|response| response.status) {
            Some(101) => return client,
            Some(503) | None => {}
            Some(other) => panic!("{other}"),
        }
        assert!(Instant::now() < until, "no slot came back");
        thread::sleep(Duration::from_millis(5));
    }
}

/// No server listens there.
pub fn refuses(addr: SocketAddr) {
    let connected = std::net::TcpStream::connect(addr);
    assert!(connected.is_err(), "a server still listens on {addr}");
}

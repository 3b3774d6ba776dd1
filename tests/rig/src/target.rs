// SPDX-License-Identifier: Apache-2.0
//! The target of the attacks, and the conditions that must hold after each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};

use crate::client::{CLOSE, Client, close_body};
use crate::process::Process;
use crate::watched::Watched;

/// The maximum time until an attack has left nothing behind: longer than any timeout of the server.
const PATIENCE: Duration = Duration::from_secs(40);

/// An echo server.
pub struct Target {
    /// The address that it listens on.
    pub addr: SocketAddr,
    /// It uses TLS, and so do its clients.
    pub tls: Option<Arc<ClientConfig>>,
    /// The maximum number of clients.
    pub slots: usize,
    /// It runs in this process, where more can be observed.
    pub watched: Option<Watched>,
    /// It is in this one.
    pub process: Option<Process>,
}

impl Target {
    /// Checks that nothing is left of earlier clients: every slot can be used, counters add up, and memory and
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

    /// Checks that every slot can be used, and no more than there are.
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
            // A response would need a handshake.
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

    /// Connects a client on every slot, each of which gets echoes. Returns false while some slot is in use.
    fn fill(&self) -> Option<Vec<Client>> {
        let mut clients: Vec<Client> = (0..self.slots).map(|_| self.connect()).collect();
        for client in &mut clients {
            // A rejected client may have been reset.
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

    /// Opens a connection, and sends nothing.
    pub fn connect(&self) -> Client {
        let client = Client::connect(self.addr);
        match &self.tls {
            Some(tls) => client.secured(tls),
            None => client,
        }
    }

    /// Connects a client, and upgrades it.
    pub fn open(&self) -> Client {
        self.connect().upgraded()
    }

    /// Opens a connection with the smallest receive buffer of the operating system.
    pub fn connect_narrow(&self) -> Client {
        let socket = Socket::new(Domain::for_address(self.addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&self.addr.into()).unwrap();
        Client::new(socket.into())
    }
}

/// Connects a client, as soon as there is a slot for it.
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

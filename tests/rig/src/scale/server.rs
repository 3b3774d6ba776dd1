// SPDX-License-Identifier: Apache-2.0
//! The default server as another process.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::client::Client;

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    /// The address that it listens on.
    pub addr: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it with these arguments, on any free port.
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            // It warns of every client that a broadcast skips.
            .stderr(Stdio::null())
            .spawn()
            .expect("the server's program");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let addr = line.trim().strip_prefix("listening on ws://");
        let addr = addr.expect("its address").parse().expect("an address");
        Self {
            child,
            addr,
            _stdout: stdout,
        }
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Connects and upgrades this many clients. They use several addresses, because one address does not have enough
    /// ports.
    pub fn clients(&self, count: usize) -> Vec<Client> {
        (0..count)
            .map(|number| Client::connect_from(source(number), self.addr).upgraded())
            .collect()
    }
}

/// Returns the address of a client.
pub fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, (number / 1000 % 200) as u8 + 1)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

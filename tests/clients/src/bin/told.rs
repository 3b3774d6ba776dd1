// SPDX-License-Identifier: Apache-2.0
//! A server that follows commands of its clients, sent as text messages:
//!
//! - `ping X`: pings the client with the payload X, and sends `pong X` when the client has answered;
//! - `close CODE REASON`: closes the connection to the client;
//! - `stop`: ends the service, which closes every connection.

use std::io::Write as _;

use wss::host::{Options, Server};
use wss::{ClientId, Clients, CloseCode, Handler};

fn main() -> std::io::Result<()> {
    let server = Server::start(&Options::new().port(0), Obedient)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on ws://{}", server.local_addr())?;
    stdout.flush()?;
    // Until it is killed.
    loop {
        std::thread::park();
    }
}

/// Follows the commands of its clients.
struct Obedient(Clients);

impl Handler for Obedient {
    type Session = ();

    fn on_text(&mut self, (): &mut (), client: ClientId, text: &str) {
        let clients = &self.0;
        let done = match text.split_once(' ') {
            Some(("ping", payload)) => clients.ping(client, payload.as_bytes()),
            Some(("close", how)) => {
                let (code, reason) = how.split_once(' ').unwrap_or((how, ""));
                let code = code.parse().ok().and_then(CloseCode::new);
                clients.close(client, code.expect("a close code"), reason)
            }
            _ if text == "stop" => {
                clients.stop();
                Ok(())
            }
            _ => panic!("not a command: {text}"),
        };
        done.expect("the command");
    }

    fn on_pong(&mut self, (): &mut (), client: ClientId, payload: &[u8]) {
        let told = format!("pong {}", String::from_utf8_lossy(payload));
        self.0.send_text(client, &told).expect("the report");
    }
}

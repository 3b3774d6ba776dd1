// SPDX-License-Identifier: Apache-2.0
//! A server that does what its clients tell it, by text messages:
//!
//! - `ping X`: pings the client with the payload X, and sends `pong X` when the client has answered;
//! - `close CODE REASON`: closes the connection to the client;
//! - `stop`: ends the service, which closes every connection.

use std::io::Write as _;

use wss::host::{Clients, Options, Server};
use wss::{ClientId, CloseCode, Event};

fn main() -> std::io::Result<()> {
    let options = Options {
        port: 0,
        ..Options::default()
    };
    let server = Server::start(&options, obey)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on ws://{}", server.local_addr())?;
    stdout.flush()?;
    // Until it is killed.
    loop {
        std::thread::park();
    }
}

fn obey(clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
    let Some(id) = client else { return };
    let done = match event {
        Event::Text(message) => match message.text().split_once(' ') {
            Some(("ping", payload)) => clients.ping(id, payload.as_bytes()),
            Some(("close", how)) => {
                let (code, reason) = how.split_once(' ').unwrap_or((how, ""));
                let code = code.parse().ok().and_then(CloseCode::new);
                clients.close(id, code.expect("a close code"), reason)
            }
            _ if message.text() == "stop" => {
                clients.stop();
                Ok(())
            }
            _ => panic!("not told what to do: {message:?}"),
        },
        Event::Pong(payload) => {
            let told = format!("pong {}", String::from_utf8_lossy(payload));
            clients.send_text(id, &told)
        }
        _ => Ok(()),
    };
    done.expect("what it was told");
}

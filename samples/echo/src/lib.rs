// SPDX-License-Identifier: Apache-2.0
//! A WebSocket server that echoes every message.
#![no_std]

use wss::{ClientId, Clients, Handler, Message, MessageKind, Request};
use wss_zephyr::{Options, Server, Tls, kconfig};
// For its panic handler.
use zephyr as _;

struct Echo(Clients);

impl Handler for Echo {
    type Session = ();

    fn on_open(&mut self, (): &mut (), client: ClientId, request: &Request<'_>) {
        log::info!("{client}: requested {}", request.path());
    }

    /// Sends back a message, or with `CONFIG_WSS_STREAMING` a piece of one.
    fn on_message(
        &mut self,
        (): &mut (),
        client: ClientId,
        kind: MessageKind,
        message: &Message<'_>,
    ) {
        if let Err(error) = self.0.send_piece(client, kind, message) {
            let len = message.len();
            log::warn!("{client}: {len} bytes were not sent: {error}");
        }
    }

    fn on_link(&mut self, is_up: bool) {
        if !is_up {
            log::warn!("the network is down");
        }
    }
}

static SERVER: Server<Echo> = Server::new();

#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    wss_zephyr::set_logger();
    // The server does not need this thread: it has its own.
    let mut options = Options::new();
    if kconfig::TLS {
        options = options.tls(Tls::OF_TAGS);
    }
    if let Err(error) = SERVER.start(&options, Echo) {
        log::error!("cannot start: {error}");
    }
}

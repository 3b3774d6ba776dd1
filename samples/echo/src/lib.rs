// SPDX-License-Identifier: Apache-2.0
//! A WebSocket server that echoes every message.
#![no_std]

use wss::{ClientId, Event, Message, MessageKind, Opcode};
use wss_zephyr::{Clients, Handler, Options, Server};
// It has the panic handler.
use zephyr as _;

struct Echo;

impl Handler for Echo {
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
        let Some(id) = client else {
            if let Event::LinkDown = event {
                log::warn!("the network is down");
            }
            return;
        };
        match event {
            Event::Text(message) => echo(clients, id, MessageKind::Text, message),
            Event::Binary(message) => echo(clients, id, MessageKind::Binary, message),
            Event::Connected(request) => log::info!("{id}: asked for {}", request.path()),
            _ => {}
        }
    }
}

/// Sends a message, or with `CONFIG_WSS_STREAMING` a piece of one, back.
fn echo(clients: &Clients, id: ClientId, kind: MessageKind, message: &Message<'_>) {
    let opcode = if message.first {
        kind.into()
    } else {
        Opcode::Continuation
    };
    if let Err(error) = clients.send_frame(id, message.last, opcode, message.bytes) {
        log::warn!("{id}: {} bytes were not sent: {error}", message.len());
    }
}

static SERVER: Server = Server::new();

#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    wss_zephyr::set_logger();
    // Its threads need nothing of this one.
    if let Err(error) = SERVER.start(&Options::new(), &Echo) {
        log::error!("cannot start: {error}");
    }
}

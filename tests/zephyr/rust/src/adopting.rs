// SPDX-License-Identifier: Apache-2.0
//! Connections that the application has accepted.

use wss::{AdoptError, ClientId, Event, Opening};
use wss_zephyr::{Clients, Handler, Options, Server, kconfig};

use crate::client::{Client, TEXT};
use crate::{Running, connected, started, wait_until};

// In main.c.
unsafe extern "C" {
    safe fn application_listens(port: u16) -> i32;
    safe fn application_accepts(listener: i32) -> i32;
    safe fn application_closes(fd: i32);
}

/// Where the application listens.
const PORT: u16 = kconfig::PORT as u16 + 1;

/// Echoes, and greets with the target of the request.
struct Adopter;

impl Handler for Adopter {
    fn on_event(&self, clients: &Clients, client: Option<ClientId>, event: &Event<'_>) {
        let Some(id) = client else { return };
        let done = match event {
            Event::Connected(request) => clients.send_text(id, request.path()),
            Event::Text(message) => clients.send_text(id, message.text()),
            _ => Ok(()),
        };
        assert_eq!(done, Ok(()));
    }
}

/// A server that does not listen.
fn start() -> Running {
    let options = Options {
        listen: false,
        ..Options::new()
    };
    let start = started(|server| server.start(&options, &Adopter));
    let (server, ()) = start.expect("the server starts");
    server
}

/// A listener of the application.
struct Listener(i32);

impl Listener {
    fn new() -> Self {
        Self(application_listens(PORT))
    }

    /// A client that connects, and the application's descriptor of it.
    #[track_caller]
    fn accept(&self) -> (Client, i32) {
        let client = Client::dial(PORT);
        (client, application_accepts(self.0))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        application_closes(self.0);
    }
}

/// Has the server take over a connection.
#[track_caller]
fn adopt(
    server: &Server,
    fd: i32,
    received: &[u8],
    opening: Opening,
) -> Result<ClientId, AdoptError> {
    // SAFETY: the descriptor is the test's, until it is adopted.
    unsafe { server.clients().adopt(fd, received, opening) }
}

#[unsafe(no_mangle)]
extern "C" fn a_connection_is_adopted_in_the_middle_of_its_request() {
    let (server, listener) = (start(), Listener::new());
    let (client, fd) = listener.accept();
    let adopted = adopt(&server, fd, b"GET /pa", Opening::Request);
    client.asks(c"ge", c"");
    client.accepted_with(b"");
    client.gets(TEXT, b"/page");
    assert_eq!(adopted, Ok(connected(server.clients(), 0)));
    client.closes();
}

#[unsafe(no_mangle)]
extern "C" fn an_upgraded_connection_is_adopted_with_the_frame_it_has_received() {
    let (server, listener) = (start(), Listener::new());
    let (client, fd) = listener.accept();
    // Masked with 0; the rest of the message comes by the socket.
    let adopted = adopt(&server, fd, b"\x81\x85\0\0\0\0he", Opening::Upgraded);
    client.says(c"llo");
    // The request is not known.
    client.gets(TEXT, b"");
    client.gets(TEXT, b"hello");
    assert_eq!(adopted, Ok(connected(server.clients(), 0)));
    client.closes();
}

#[unsafe(no_mangle)]
extern "C" fn a_connection_that_is_not_adopted_stays_the_applications() {
    let (server, listener) = (start(), Listener::new());
    let none = adopt(&server, -1, b"", Opening::Request);
    assert_eq!(none, Err(AdoptError::Failed));

    let (client, fd) = listener.accept();
    let much = [0; kconfig::RX_BUFFER_SIZE as usize + 256];
    let refused = adopt(&server, fd, &much, Opening::Upgraded);
    assert_eq!(refused, Err(AdoptError::TooLong));

    let others = [(); kconfig::MAX_CLIENTS as usize].map(|()| {
        let (other, fd) = listener.accept();
        assert!(adopt(&server, fd, b"", Opening::Upgraded).is_ok());
        other.gets(TEXT, b"");
        other
    });
    assert_eq!(
        adopt(&server, fd, b"", Opening::Upgraded),
        Err(AdoptError::Full)
    );
    for other in others {
        other.closes();
    }

    // A slot whose last connection the WSS thread is still to close is taken.
    wait_until("there is a place", || {
        adopt(&server, fd, b"", Opening::Upgraded).is_ok()
    });
    client.gets(TEXT, b"");

    server.begin_stop();
    client.closed_with(b"\x03\xe9");
    assert!(server.stop());
    let (client, fd) = listener.accept();
    let refused = adopt(&server, fd, b"", Opening::Upgraded);
    assert_eq!(refused, Err(AdoptError::Stopping));
    application_closes(fd);
    client.ends();
}

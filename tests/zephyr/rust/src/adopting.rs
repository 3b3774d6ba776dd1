// SPDX-License-Identifier: Apache-2.0
//! Connections that the application has accepted.

use wss::{AdoptError, ClientId, Opening};
use wss_zephyr::{Options, kconfig};

use crate::app::Role;
use crate::client::{Client, TEXT};
use crate::{Running, Server, connected, start_as, wait_until};

// In main.c.
unsafe extern "C" {
    safe fn application_listens(port: u16) -> i32;
    safe fn application_accepts(listener: i32) -> i32;
    safe fn application_closes(fd: i32);
}

/// The port of the application's listener.
const PORT: u16 = kconfig::PORT as u16 + 1;

/// A server that does not listen. It greets with the path of the request.
fn start() -> Running {
    start_as(Role::Greet, &Options::new().listen(false))
}

/// A listener of the application.
struct Listener(i32);

impl Listener {
    fn new() -> Self {
        Self(application_listens(PORT))
    }

    /// Connects a client. Returns it with the application's descriptor.
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

/// Lets the server take over a connection.
#[track_caller]
fn adopt(
    server: &Server,
    fd: i32,
    received: &[u8],
    opening: Opening,
) -> Result<ClientId, AdoptError> {
    // SAFETY: the test owns the descriptor until it is adopted.
    unsafe { server.adopt(fd, received, opening) }
}

#[unsafe(no_mangle)]
extern "C" fn a_connection_is_adopted_in_the_middle_of_its_request() {
    let (server, listener) = (start(), Listener::new());
    let (client, fd) = listener.accept();
    let adopted = adopt(&server, fd, b"GET /pa", Opening::Request);
    client.asks(c"ge", c"");
    client.accepted_with(b"");
    client.gets(TEXT, b"/page");
    assert_eq!(adopted, Ok(connected(&server.clients(), 0)));
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
    assert_eq!(adopted, Ok(connected(&server.clients(), 0)));
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

    // A slot is in use until the WSS thread has closed its last connection.
    wait_until("there is a place", || {
        adopt(&server, fd, b"", Opening::Upgraded).is_ok()
    });
    client.gets(TEXT, b"");

    server.clients().stop();
    client.closed_with(b"\x03\xe9");
    assert!(server.stop());
    let (client, fd) = listener.accept();
    let refused = adopt(&server, fd, b"", Opening::Upgraded);
    assert_eq!(refused, Err(AdoptError::Stopping));
    application_closes(fd);
    client.ends();
}

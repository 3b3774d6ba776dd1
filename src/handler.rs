// SPDX-License-Identifier: Apache-2.0
//! How an application handles the events of a server, on a host and on Zephyr alike.

use crate::protocol::{CloseCode, MessageKind, Request, Status};
use crate::service::{Answer, Answered, ClientId, Event, Message, Verdict};

/// An application: it answers opening requests, and handles what clients send.
///
/// Every method has a default, which accepts a client and ignores everything else. A server calls them on its loop, one
/// at a time, so they need no locks: the loop owns the handler and the [`Session`](Self::Session) of each client. While
/// a method runs, the loop does nothing else: the method must not wait. Sending from it never waits either.
///
/// A function creates the handler. It gets the [`Clients`](crate::Clients) to send with:
///
/// ```
/// use wss::{ClientId, Clients, Handler};
///
/// /// Echoes text, and counts the messages of each client.
/// struct Echo(Clients);
///
/// impl Handler for Echo {
///     type Session = u32;
///
///     fn on_text(&mut self, count: &mut u32, client: ClientId, text: &str) {
///         *count += 1;
///         if let Err(error) = self.0.send_text(client, text) {
///             log::warn!("{client}: message {count} was not sent: {error}");
///         }
///     }
/// }
/// # #[cfg(feature = "host")]
/// # fn main() -> std::io::Result<()> {
/// # use wss::host::{Options, Server};
/// # let options = Options::new().port(0);
/// let server = Server::start(&options, Echo)?;
/// # Ok(())
/// # }
/// ```
///
/// A server with several loops has a handler for each. A client belongs to one loop while it is connected. Events of
/// the server as a whole ([`on_link`](Self::on_link), [`on_error`](Self::on_error) without a client) go to the first
/// loop's handler; [`on_tick`](Self::on_tick) runs on every loop.
#[allow(unused_variables)]
pub trait Handler: Send + 'static {
    /// The state that the application keeps for a client, from its opening request until its connection has ended.
    ///
    /// A method gets the session of its own client only. Data that the application reads for other clients, such as the
    /// names in a chat room, belongs in the handler, by [`ClientId`].
    type Session: Default + Send;

    /// Answers an opening request whose origin is allowed. `session` is new.
    ///
    /// If the server has no list of origins, a request from a page of another site that is accepted gets 403, unless
    /// the verdict allows [any origin](Verdict::any_origin). The default method, which protects nothing, allows it.
    ///
    /// Called before [`on_open`](Self::on_open), unless the connection was adopted after its opening handshake.
    /// After [`Answer::later`], any thread can answer by [`Clients::answer`](crate::Clients::answer).
    ///
    /// The session of a client that is refused, or disconnects before `on_open`, is dropped without a call of
    /// [`on_close`](Self::on_close). So do in `on_open` what `on_close` must undo.
    ///
    /// The example authenticates by Basic credentials, which need the field `Authorization` in the options of the
    /// server (`Options::request_field`), or by `?token=`, because browsers cannot add header fields to a WebSocket
    /// request:
    ///
    /// ```
    /// use wss::{Answer, Answered, ClientId, Handler, Request, Status, Verdict};
    ///
    /// const USERS: [(&str, &str, &str); 2] = [("ann", "s3cret", "d5c0ffee"), ("bob", "pa55", "0ddba11")];
    ///
    /// struct Chat;
    ///
    /// impl Handler for Chat {
    ///     /// The name of the user.
    ///     type Session = &'static str;
    ///
    ///     fn on_request(
    ///         &mut self,
    ///         name: &mut &'static str,
    ///         _: ClientId,
    ///         request: &Request<'_>,
    ///         answer: Answer<'_>,
    ///     ) -> Answered {
    ///         let user = USERS.iter().find(|(user, password, token)| {
    ///             request.is_basic(user, password) || request.is_query_param("token", token)
    ///         });
    ///         let Some((user, ..)) = user else {
    ///             let refused = Verdict::refuse(Status::UNAUTHORIZED);
    ///             return answer.give(refused.challenge("Basic realm=\"chat\""));
    ///         };
    ///         *name = user;
    ///         match request.path() {
    ///             "/chat" => answer.accept(),
    ///             _ => answer.refuse(Status::NOT_FOUND),
    ///         }
    ///     }
    /// }
    /// ```
    fn on_request(
        &mut self,
        session: &mut Self::Session,
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        answer.give(Verdict::accept().any_origin())
    }

    /// Handles a client that has connected (RFC 6455 section 4.2.2): messages can now be sent to it. The request is
    /// empty if another server has read it.
    fn on_open(&mut self, session: &mut Self::Session, client: ClientId, request: &Request<'_>) {}

    /// Handles a whole text message. See also [`on_message`](Self::on_message).
    fn on_text(&mut self, session: &mut Self::Session, client: ClientId, text: &str) {}

    /// Handles a whole binary message. See also [`on_message`](Self::on_message).
    fn on_binary(&mut self, session: &mut Self::Session, client: ClientId, bytes: &[u8]) {}

    /// Handles a message or, with streaming, a piece of a message that does not fit into the receive buffer. By
    /// default, whole messages go to [`on_text`](Self::on_text) and [`on_binary`](Self::on_binary), and pieces are
    /// ignored.
    fn on_message(
        &mut self,
        session: &mut Self::Session,
        client: ClientId,
        kind: MessageKind,
        message: &Message<'_>,
    ) {
        match kind {
            _ if !message.is_whole() => {}
            MessageKind::Text => self.on_text(session, client, message.text()),
            MessageKind::Binary => self.on_binary(session, client, message.bytes),
        }
    }

    /// Handles a ping, which the service has answered (RFC 6455 section 5.5.2).
    fn on_ping(&mut self, session: &mut Self::Session, client: ClientId, payload: &[u8]) {}

    /// Handles a pong that does not answer the service's own keep-alive pings (RFC 6455 section 5.5.3).
    fn on_pong(&mut self, session: &mut Self::Session, client: ClientId, payload: &[u8]) {}

    /// Handles room for output: a send that returned [`SendError::WouldBlock`](crate::SendError::WouldBlock) can be
    /// tried again.
    fn on_writable(&mut self, session: &mut Self::Session, client: ClientId) {}

    /// Handles the end of a connection, once after each [`on_open`](Self::on_open). `code` is the code of the client's
    /// close frame, [`NO_STATUS_RECEIVED`](CloseCode::NO_STATUS_RECEIVED) if the frame had none, and
    /// [`ABNORMAL_CLOSURE`](CloseCode::ABNORMAL_CLOSURE) if there was no close frame (RFC 6455 section 7.1.5).
    ///
    /// During the closing handshake a client still has its session, but nothing can be sent to it:
    /// [`Clients::state`](crate::Clients::state) is `Closing`.
    fn on_close(&mut self, session: Self::Session, client: ClientId, code: CloseCode) {}

    /// Runs periodically, if the options of the server have a period. A call that would be late by a whole period is
    /// skipped.
    fn on_tick(&mut self) {}

    /// Handles a network interface that came up or went down. Not called on a host.
    fn on_link(&mut self, is_up: bool) {}

    /// Handles an error of a client, which is being closed, or of the server as a whole.
    fn on_error(&mut self, client: Option<ClientId>, error: ErrorEvent) {}
}

/// Accepts every client, for a server whose events all go to queues.
impl Handler for () {
    type Session = ();
}

/// What [`Handler::on_error`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorEvent {
    /// The client violated RFC 6455.
    InvalidFrame,
    /// The client was silent, or did not finish its opening handshake in time.
    Timeout,
    /// TLS failed for the client.
    Tls,
    /// The server could not listen.
    Listen,
    /// The server lacks memory, descriptors, or sockets.
    Resources,
}

impl core::fmt::Display for ErrorEvent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::InvalidFrame => "the client violated the protocol",
            Self::Timeout => "the client was silent for too long",
            Self::Tls => "TLS failed",
            Self::Listen => "the server cannot listen",
            Self::Resources => "no memory, descriptors or sockets",
        })
    }
}

impl core::error::Error for ErrorEvent {}

/// Receives the events of a loop from a port: a [`Dispatcher`]. Not for applications.
#[doc(hidden)]
pub trait EventHandler {
    /// Answers an opening request.
    fn request(&mut self, client: ClientId, request: &Request<'_>, answer: Answer<'_>) -> Answered;

    /// Handles an event.
    fn event(&mut self, client: Option<ClientId>, event: &Event<'_>);

    /// Handles a tick.
    fn tick(&mut self);
}

/// A client of a [`Dispatcher`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Entry<S> {
    session: S,
    is_open: bool,
    code: CloseCode,
}

impl<S: Default> Default for Entry<S> {
    fn default() -> Self {
        Self {
            session: S::default(),
            is_open: false,
            code: CloseCode::ABNORMAL_CLOSURE,
        }
    }
}

/// A handler and the sessions of its clients, for the events of a loop. Not for applications.
#[doc(hidden)]
#[derive(Debug)]
pub struct Dispatcher<H, E> {
    handler: H,
    entries: E,
    loops: usize,
}

impl<H: Handler, E: AsMut<[Option<Entry<H::Session>>]>> Dispatcher<H, E> {
    /// Creates the dispatcher of one of `loops` loops, with an entry for each of its slots: those with the same
    /// remainder. All entries are `None`.
    pub const fn new(handler: H, entries: E, loops: usize) -> Self {
        Self {
            handler,
            entries,
            loops,
        }
    }

    /// Returns the handler, and the entry of a client.
    fn parts(&mut self, client: ClientId) -> Option<(&mut H, &mut Option<Entry<H::Session>>)> {
        let index = client.slot().checked_div(self.loops)?;
        let entry = self.entries.as_mut().get_mut(index)?;
        Some((&mut self.handler, entry))
    }

    fn client_event(&mut self, client: ClientId, event: &Event<'_>) {
        let Some((handler, place)) = self.parts(client) else {
            debug_assert!(false, "there is an entry for each slot");
            return;
        };
        match event {
            Event::Connected(request) => {
                // A connection that was adopted after its opening handshake has none yet.
                let entry = place.get_or_insert_default();
                entry.is_open = true;
                return handler.on_open(&mut entry.session, client, request);
            }
            Event::Closed => {
                if let Some(entry) = place.take().filter(|entry| entry.is_open) {
                    handler.on_close(entry.session, client, entry.code);
                }
                return;
            }
            Event::InvalidFrame => {
                return handler.on_error(Some(client), ErrorEvent::InvalidFrame);
            }
            Event::Timeout => return handler.on_error(Some(client), ErrorEvent::Timeout),
            Event::TlsFailed => return handler.on_error(Some(client), ErrorEvent::Tls),
            _ => {}
        }
        let Some(entry) = place else {
            return;
        };
        let session = &mut entry.session;
        match event {
            Event::Text(message) => {
                handler.on_message(session, client, MessageKind::Text, message);
            }
            Event::Binary(message) => {
                handler.on_message(session, client, MessageKind::Binary, message);
            }
            Event::Ping(payload) => handler.on_ping(session, client, payload),
            Event::Pong(payload) => handler.on_pong(session, client, payload),
            Event::Writable => handler.on_writable(session, client),
            Event::CloseFrame { code, .. } => {
                entry.code = code.unwrap_or(CloseCode::NO_STATUS_RECEIVED);
            }
            _ => {}
        }
    }
}

impl<H: Handler, E: AsMut<[Option<Entry<H::Session>>]>> EventHandler for Dispatcher<H, E> {
    fn request(&mut self, client: ClientId, request: &Request<'_>, answer: Answer<'_>) -> Answered {
        match self.parts(client) {
            Some((handler, place)) => {
                let entry = place.insert(Entry::default());
                handler.on_request(&mut entry.session, client, request, answer)
            }
            None => answer.refuse(Status::INTERNAL_ERROR),
        }
    }

    fn event(&mut self, client: Option<ClientId>, event: &Event<'_>) {
        if let Some(client) = client {
            return self.client_event(client, event);
        }
        match event {
            Event::LinkUp => self.handler.on_link(true),
            Event::LinkDown => self.handler.on_link(false),
            Event::ListenFailed => self.handler.on_error(None, ErrorEvent::Listen),
            _ => self.handler.on_error(None, ErrorEvent::Resources),
        }
    }

    fn tick(&mut self) {
        self.handler.on_tick();
    }
}

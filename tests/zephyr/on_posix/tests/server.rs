// SPDX-License-Identifier: Apache-2.0
//! Servers in Rust with the Zephyr port, on a host.

use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::os::fd::IntoRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::{Error, Message, WebSocket};
use wss::{
    AdoptError, Answer, Answered, ClientId, ClientState, Clients, CloseCode, Event, EventMask,
    EventReader, Handler, MessageKind, Opening, RecvError, Request, Status, Target, Verdict,
};
use wss_on_posix as _;
use wss_zephyr::{EventQueue, ListenError, MessageBuffer, Options, StartError, kconfig};

/// The maximum time of any step.
const PATIENCE: Duration = Duration::from_secs(20);

/// The numbers of servers and queues are limited.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options() -> Options<'static> {
    let mut options = Options::new();
    options.port = 0;
    // Some clients here never answer.
    options.limits.close_timeout_ms = 500;
    options
}

/// All handlers in one type, because all servers have the same one.
struct App {
    clients: Clients,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    /// Sends messages back.
    Echo,
    /// Sends only texts back.
    EchoText,
    /// Refuses `/no`, and sends messages back with the client's number of messages.
    Count,
    /// Forwards messages to the clients of another server, and stops it.
    Relay(&'static Mutex<Option<Running>>),
    /// Does not return from a text before the test allows it.
    Slow(&'static AtomicBool),
    /// Defers every answer, and sends messages back.
    Later(&'static Mutex<Vec<ClientId>>),
    /// Counts the existing handlers.
    Alive(&'static AtomicUsize),
    /// Sends to all clients.
    Tick,
}

/// The number of messages.
#[derive(Default)]
struct Session(usize);

impl App {
    fn new(clients: Clients, role: Role) -> Self {
        if let Role::Alive(count) = role {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Self { clients, role }
    }

    fn echo(&self, client: ClientId, kind: MessageKind, bytes: &[u8]) {
        self.clients.send(client, kind, bytes).expect("sent");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Role::Alive(count) = self.role {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Handler for App {
    type Session = Session;

    fn on_request(
        &mut self,
        _: &mut Session,
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        match self.role {
            Role::Later(asked) => {
                asked.lock().expect("no panic").push(client);
                answer.later()
            }
            _ if request.path() == "/no" => answer.refuse(Status::NOT_FOUND),
            _ => answer.accept(),
        }
    }

    fn on_text(&mut self, session: &mut Session, client: ClientId, text: &str) {
        match self.role {
            Role::Relay(to) => relay(to, text),
            Role::Slow(may_return) => {
                while !may_return.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Role::Count => {
                session.0 += 1;
                let text = format!("{} {text}", session.0);
                self.clients.send_text(client, &text).expect("sent");
            }
            _ => self.echo(client, MessageKind::Text, text.as_bytes()),
        }
    }

    fn on_binary(&mut self, _: &mut Session, client: ClientId, bytes: &[u8]) {
        if !matches!(self.role, Role::EchoText) {
            self.echo(client, MessageKind::Binary, bytes);
        }
    }

    fn on_tick(&mut self) {
        if let Role::Tick = self.role {
            let sent = self.clients.broadcast_to_all(MessageKind::Text, b"tick");
            sent.expect("sent");
        }
    }
}

fn relay(to: &Mutex<Option<Running>>, text: &str) {
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(server) = &*to else { return };
    let sent = server.clients().send_text(Target::All, text);
    sent.expect("sent");
    if text == "end" {
        assert!(!server.stop(), "it is not waited for");
        *to = None;
    }
}

type Server = wss_zephyr::Server<App>;

static SERVERS: [Server; kconfig::SERVERS as usize] = [const { Server::new() }; 3];

/// A running server, which is stopped when this is dropped.
struct Running(&'static Server);

impl Running {
    fn clients(&self) -> Clients {
        self.0.clients()
    }
}

impl Deref for Running {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Starts a server that does not run. The end of its previous run may take a moment.
fn until_started<T>(start: impl Fn(&'static Server) -> Result<T, StartError>) -> (Running, T) {
    let since = Instant::now();
    loop {
        for server in &SERVERS {
            match start(server) {
                Ok(started) => return (Running(server), started),
                Err(StartError::Listen(ListenError::Running) | StartError::NoQueue)
                    if since.elapsed() < Duration::from_secs(20) => {}
                Err(error) => panic!("{error}"),
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn with_handler(options: &Options<'_>, role: Role) -> Running {
    until_started(|server| server.start(options, |clients| App::new(clients, role))).0
}

fn with_queue(mask: EventMask, depth: usize) -> (Running, EventQueue) {
    until_started(|server| server.start_with_queue(&options(), mask, depth))
}

type Client = WebSocket<TcpStream>;

fn try_connect(port: u16, path: &str) -> Result<Client, Box<Error>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("ws://127.0.0.1:{port}{path}");
    match tungstenite::client(url, stream) {
        Ok((client, _)) => Ok(client),
        Err(tungstenite::HandshakeError::Failure(error)) => Err(Box::new(error)),
        Err(error) => panic!("{error}"),
    }
}

fn connect(server: &Server) -> Client {
    try_connect(server.local_port(), "/").expect("a connection")
}

/// Returns the next event, as text.
fn next(queue: &EventQueue) -> Option<(Option<ClientId>, String)> {
    let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
    let (client, event) = queue.recv_timeout(&mut buffer, PATIENCE).ok()?;
    let text = match event {
        Event::Text(message) => format!("Text {}", message.text()),
        Event::Binary(message) => format!("Binary {}", message.len()),
        Event::Ping(bytes) => format!("Ping {}", bytes.len()),
        Event::Pong(bytes) => format!("Pong {}", bytes.len()),
        Event::CloseFrame { code, .. } => format!("CloseFrame {:?}", code.map(CloseCode::get)),
        Event::Connected(request) => {
            assert_eq!((request.path(), request.host()), ("", ""));
            "Connected".into()
        }
        event => format!("{event:?}"),
    };
    Some((client, text))
}

fn expect(queue: &EventQueue, events: &[&str]) {
    for event in events {
        assert_eq!(next(queue).expect("an event").1, *event);
    }
}

#[test]
fn a_handler_gets_the_events_and_decides_on_requests() {
    let _alone = alone();
    let server = with_handler(&options(), Role::Echo);
    let mut client = connect(&server);
    for message in [Message::text("héllo"), Message::binary(vec![7; 1400])] {
        client.send(message.clone()).expect("sent");
        assert_eq!(client.read().expect("an echo"), message);
    }
    match try_connect(server.local_port(), "/no").map_err(|error| *error) {
        Err(Error::Http(response)) => assert_eq!(response.status(), 404),
        other => panic!("{:?}", other.err()),
    }
    assert!(server.stop());
    assert!(
        matches!(client.read(), Ok(Message::Close(Some(frame))) if u16::from(frame.code) == 1001)
    );
}

#[test]
fn limits_against_abuse_are_those_of_the_options() {
    let _alone = alone();
    let mut options = options();
    options.limits.clients_per_address = 1;
    options.limits.control_frames_per_second = 2;
    let server = with_handler(&options, Role::Echo);
    let mut client = connect(&server);
    match try_connect(server.local_port(), "/").map_err(|error| *error) {
        Err(Error::Http(response)) => assert_eq!(response.status(), 429),
        other => panic!("{:?}", other.err()),
    }
    for _ in 0..3 {
        client.write(Message::Ping(vec![1].into())).expect("sent");
    }
    client.flush().expect("sent");
    let closed = loop {
        match client.read().expect("a message") {
            Message::Close(frame) => break frame,
            Message::Pong(_) => {}
            other => panic!("{other}"),
        }
    };
    assert_eq!(closed.map(|frame| u16::from(frame.code)), Some(1008));
    let stats = server.clients().stats();
    assert_eq!((stats.refused_address, stats.policy_violations), (1, 1));
}

#[test]
fn a_queue_gets_the_events_in_order() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 8);
    let mut client = connect(&server);
    client.send(Message::text("one")).expect("sent");
    client.send(Message::binary(vec![1, 2])).expect("sent");
    client.send(Message::Ping(vec![1].into())).expect("sent");
    client.close(None).expect("closing");
    while client.read().is_ok() {}
    expect(
        &queue,
        &["Connecting", "Connected", "Text one", "Binary 2", "Ping 1"],
    );
    expect(&queue, &["CloseFrame None", "Closing", "Closed"]);
    assert!(server.stop());
    assert_eq!(next(&queue), None);
}

#[test]
fn a_full_queue_loses_nothing() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 2);
    let mut seen = [0, 0];
    let mut connected = 0;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = connect(&server);
                for number in 0..200 {
                    let message = Message::text(number.to_string());
                    client.send(message).expect("sent");
                }
                // Until all is taken.
                let _ = client.read();
            });
        }
        while seen != [200, 200] {
            let (client, event) = next(&queue).expect("an event");
            match event.strip_prefix("Text ") {
                Some(number) => {
                    let seen = &mut seen[client.expect("a client").slot()];
                    assert_eq!(number, seen.to_string());
                    *seen += 1;
                }
                None => connected += usize::from(event == "Connected"),
            }
            if seen[0] % 10 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let closed = server.clients().close(Target::All, CloseCode::NORMAL, "");
        closed.expect("closing");
    });
    assert_eq!(connected, 2);
}

#[test]
fn a_client_that_is_cut_off_takes_its_messages_with_it() {
    let _alone = alone();
    let mut options = options();
    options.limits.hold_timeout_ms = 100;
    let (server, queue) =
        until_started(|server| server.start_with_queue(&options, EventMask::all(), 8));
    let mut first = connect(&server);
    first.send(Message::text("first")).expect("sent");
    while first.read().is_ok() {}
    drop(first);
    // Closed is soon; what it had sent is void when the slot is free.
    while server.clients().client(0).is_some() {
        thread::sleep(Duration::from_millis(1));
    }
    let mut second = connect(&server);
    second.send(Message::text("other")).expect("sent");
    expect(&queue, &["Connecting", "Connected", "Closing", "Closed"]);
    expect(&queue, &["Connecting", "Connected", "Text other"]);
}

#[test]
fn only_what_the_mask_asks_for_is_told() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::TEXT, 2);
    for number in 0..10 {
        let mut client = connect(&server);
        client.send(Message::binary(vec![0])).expect("sent");
        client
            .send(Message::text(number.to_string()))
            .expect("sent");
        client.close(None).expect("closing");
        expect(&queue, &[&format!("Text {number}")]);
        while client.read().is_ok() {}
    }
    let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
    assert!(
        queue
            .recv_timeout(&mut buffer, Duration::from_millis(50))
            .is_err()
    );
}

#[test]
fn the_end_is_told_to_all_who_wait() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 1);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
                assert!(queue.recv(&mut buffer).is_none());
            });
        }
        thread::sleep(Duration::from_millis(20));
        assert!(server.stop());
    });
    // And for later readers.
    assert_eq!(next(&queue), None);
}

#[test]
fn a_server_starts_again_once_it_has_ended() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 8);
    let this = server.0;
    let clients = this.clients();
    let again = || this.start(&options(), |clients| App::new(clients, Role::Echo));
    assert_eq!(again(), Err(StartError::Listen(ListenError::Running)));
    let mut client = connect(&server);
    expect(&queue, &["Connecting", "Connected"]);
    let id = clients.client(0).expect("a client");
    drop(server);
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    let gone = Err(wss::SendError::NotConnected);
    assert_eq!(clients.send_text(id, "x"), gone);
    for _ in 0..20 {
        // The previous queue has ended, although not all of its events were taken. Dropping it does not affect the next
        // one.
        let next_queue = this.start_with_queue(&options(), EventMask::all(), 8);
        let next_queue = next_queue.expect("it starts");
        assert_eq!(next(&queue), None);
        let _client = connect(this);
        expect(&next_queue, &["Connecting", "Connected"]);
        assert_eq!(clients.send_text(id, "x"), gone);
        assert_eq!(clients.stats().accepted, 1);
        assert!(this.stop());
    }
    drop(queue);
    drop(with_queue(EventMask::all(), 8));
}

#[test]
fn there_are_no_more_servers_than_kconfig_says() {
    static ONE_MORE: Server = Server::new();
    let _alone = alone();
    // Each has its own once it was started.
    let all: Vec<_> = SERVERS
        .iter()
        .map(|_| with_handler(&options(), Role::Echo))
        .collect();
    drop(all);
    let error = ONE_MORE
        .start(&options(), |clients| App::new(clients, Role::Echo))
        .expect_err("there are three");
    assert_eq!(error, StartError::Listen(ListenError::Servers));
    let clients = ONE_MORE.clients();
    assert_eq!(
        clients.send_text(Target::All, "x"),
        Err(wss::SendError::NotConnected)
    );
    assert_eq!(
        (clients.state(0), clients.client(0)),
        (ClientState::Closed, None)
    );
    assert!(ONE_MORE.stop());
}

#[test]
fn servers_have_clients_queues_and_limits_of_their_own() {
    let _alone = alone();
    let (one, first) = with_queue(EventMask::all(), 8);
    let mut strict = options();
    strict.limits.client_timeout_ms = 200;
    strict.limits.ping_interval_ms = 0;
    let (two, second) =
        until_started(|server| server.start_with_queue(&strict, EventMask::all(), 8));
    let three = with_handler(&options(), Role::Echo);
    let mut alice = connect(&one);
    let mut bob = connect(&two);
    let mut carol = connect(&three);
    for queue in [&first, &second] {
        let told = next(queue).expect("an event");
        assert_eq!(told.0.map(|client| client.slot()), Some(0));
        assert_eq!(told.1, "Connecting");
        expect(queue, &["Connected"]);
    }
    let clients = one.clients();
    let sent = clients.send_text(Target::Slot(0), "to alice");
    sent.expect("sent");
    let sent = two.clients().send_text(Target::All, "to bob");
    sent.expect("sent");
    assert_eq!(alice.read().expect("read"), Message::text("to alice"));
    assert_eq!(bob.read().expect("read"), Message::text("to bob"));
    carol.send(Message::text("carol")).expect("sent");
    assert_eq!(carol.read().expect("read"), Message::text("carol"));
    alice.send(Message::text("alice")).expect("sent");
    expect(&first, &["Text alice"]);
    // Bob is silent for too long; the other servers are not affected.
    assert!(matches!(bob.read(), Ok(Message::Close(_))));
    expect(&second, &["Timeout", "Closing"]);
    assert!(two.stop());
    drop((two, bob));
    alice.send(Message::text("still here")).expect("sent");
    expect(&first, &["Text still here"]);
    assert_eq!(three.clients().stats().accepted, 1);
}

#[test]
fn a_server_restarts_while_another_is_busy() {
    let _alone = alone();
    let busy = with_handler(&options(), Role::Echo);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = connect(&busy);
            for number in 0..2000 {
                let message = Message::text(number.to_string());
                client.send(message.clone()).expect("sent");
                assert_eq!(client.read().expect("an echo"), message);
            }
        });
        for _ in 0..20 {
            let (server, queue) = with_queue(EventMask::all(), 8);
            let _client = connect(&server);
            expect(&queue, &["Connecting", "Connected"]);
        }
    });
}

#[test]
fn a_handler_calls_another_server_and_ends_it() {
    static RELAY: Mutex<Option<Running>> = Mutex::new(None);
    let _alone = alone();
    let other = with_handler(&options(), Role::Echo);
    let mut listener = connect(&other);
    let server = with_handler(&options(), Role::Relay(&RELAY));
    let mut client = connect(&server);
    *RELAY.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
    for number in 0..100 {
        let message = Message::text(number.to_string());
        client.send(message.clone()).expect("sent");
        assert_eq!(listener.read().expect("a message"), message);
    }
    client.send(Message::text("end")).expect("sent");
    assert_eq!(listener.read().expect("a message"), Message::text("end"));
    assert!(matches!(listener.read(), Ok(Message::Close(_))));
    client.send(Message::Ping(vec![1].into())).expect("sent");
    assert_eq!(
        client.read().expect("a pong"),
        Message::Pong(vec![1].into())
    );
}

#[test]
fn queues_are_as_many_and_as_deep_as_kconfig_says() {
    let _alone = alone();
    let deeper = SERVERS[0].start_with_queue(&options(), EventMask::all(), 9);
    let deeper = deeper.map(|_| ());
    assert_eq!(deeper, Err(StartError::NoQueue));
    drop(with_queue(EventMask::all(), 8));
}

#[test]
fn a_server_goes_on_without_its_queue() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 1);
    let mut before = connect(&server);
    // All events except the first one wait for room.
    drop(queue);
    let mut after = connect(&server);
    for client in [&mut before, &mut after] {
        client.send(Message::text("for no one")).expect("sent");
        client.send(Message::Ping(vec![1].into())).expect("sent");
        assert_eq!(
            client.read().expect("a pong"),
            Message::Pong(vec![1].into())
        );
        client.close(None).expect("closing");
        while client.read().is_ok() {}
    }
    while (0..2).any(|slot| server.clients().client(slot).is_some()) {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_late_handler_keeps_until_after_the_end_is_not_lost() {
    static MAY_RETURN: AtomicBool = AtomicBool::new(false);
    let _alone = alone();
    let ends = EventMask::CLOSING | EventMask::CLOSED;
    let options = options();
    let (server, [queue]) = until_started(|server| {
        let make = |clients| App::new(clients, Role::Slow(&MAY_RETURN));
        let builder = server.builder(&options).handler(make);
        builder.start([(ends, 4)])
    });
    let mut client = connect(&server);
    client.send(Message::text("wait")).expect("sent");
    while server.clients().stats().traffic.messages_received == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!server.stop(), "the handler still runs");
    assert_eq!(next(&queue), None, "it has ended");
    MAY_RETURN.store(true, Ordering::SeqCst);
    while server.clients().client(0).is_some() {
        thread::sleep(Duration::from_millis(1));
    }
    expect(&queue, &["Closing", "Closed"]);
    assert_eq!(next(&queue), None);
}

#[test]
fn a_share_sends_on_another_thread() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::all(), 8);
    let mut client = connect(&server);
    expect(&queue, &["Connecting", "Connected"]);
    let share = server.0.clients();
    let sender = thread::spawn(move || {
        for number in 0..1000 {
            share
                .send_text(Target::Slot(0), &number.to_string())
                .expect("sent");
        }
    });
    for number in 0..1000 {
        let message = client.read().expect("a message");
        assert_eq!(message, Message::text(number.to_string()));
    }
    sender.join().expect("all sent");
}

/// Nothing comes within a time in which it would have.
fn expect_nothing(queue: &EventQueue) {
    let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
    let nothing = queue.recv_timeout(&mut buffer, Duration::from_millis(100));
    assert_eq!(nothing.err(), Some(RecvError::Timeout));
}

#[test]
fn a_handler_and_queues_get_the_events_of_their_masks() {
    let _alone = alone();
    let start = |server: &'static Server| {
        server
            .builder(&options())
            .handler(|clients| App::new(clients, Role::EchoText))
            .start([
                (EventMask::CONNECTED | EventMask::CLOSED, 4),
                (EventMask::TEXT | EventMask::BINARY, 4),
            ])
    };
    let (server, [states, messages]) = until_started(start);
    let mut client = connect(&server);
    client.send(Message::text("hello")).expect("sent");
    assert_eq!(client.read().expect("an echo"), Message::text("hello"));
    client.send(Message::binary(vec![1, 2])).expect("sent");
    expect(&messages, &["Text hello", "Binary 2"]);
    client.send(Message::Ping(vec![1].into())).expect("sent");
    // Only text is echoed.
    assert_eq!(
        client.read().expect("a pong"),
        Message::Pong(vec![1].into())
    );
    drop(client);
    expect(&states, &["Connected", "Closed"]);
    expect_nothing(&states);
    expect_nothing(&messages);
    // A queue without a reader is abandoned.
    drop(messages);
    let mut client = connect(&server);
    for _ in 0..10 {
        client.send(Message::text("again")).expect("sent");
        assert_eq!(client.read().expect("an echo"), Message::text("again"));
    }
    expect(&states, &["Connected"]);
    assert!(server.stop());
    expect(&states, &["Closed"]);
    assert_eq!(next(&states), None);
}

#[test]
fn a_client_goes_on_when_the_last_has_taken_its_message() {
    let _alone = alone();
    let text = (EventMask::TEXT, 4);
    let (server, [one, other]) =
        until_started(|server| server.builder(&options()).start([text, text]));
    let mut client = connect(&server);
    client.send(Message::text("first")).expect("sent");
    expect(&one, &["Text first"]);
    client.send(Message::text("second")).expect("sent");
    expect_nothing(&one);
    expect(&other, &["Text first", "Text second"]);
    expect(&one, &["Text second"]);
}

#[test]
fn there_are_as_many_sinks_as_the_service_has() {
    let _alone = alone();
    let queue = (EventMask::TEXT, 1);
    // Kconfig has three queues here, and the service has four sinks.
    drop(until_started(|server| {
        server
            .builder(&options())
            .handler(|clients| App::new(clients, Role::Echo))
            .start([queue; 3])
    }));
    let too_many = SERVERS[0].builder(&options()).start([queue; 4]).map(|_| ());
    assert_eq!(too_many, Err(StartError::NoQueue));
    // The queues that were taken for it were returned.
    drop(until_started(|server| {
        server.builder(&options()).start([queue; 3])
    }));
}

#[test]
fn room_to_write_again_is_told_to_queues() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::WRITABLE | EventMask::TEXT, 4);
    let mut client = connect(&server);
    client.send(Message::text("go")).expect("sent");
    expect(&queue, &["Text go"]);
    // To all, so that no thread waits: until the client, which takes nothing, has no more room.
    let clients = server.clients();
    while clients.send_binary(Target::All, &[0; 1400]).is_ok() {}
    expect_nothing(&queue);
    let reading = thread::spawn(move || while client.read().is_ok() {});
    expect(&queue, &["Writable"]);
    assert!(server.stop());
    reading.join().expect("read");
}

#[test]
fn requests_are_answered_later_on_another_thread() {
    static LATER: Mutex<Vec<ClientId>> = Mutex::new(Vec::new());
    let _alone = alone();
    let server = with_handler(&options(), Role::Later(&LATER));
    let asked = || loop {
        if let Some(client) = LATER.lock().expect("no panic").pop() {
            return client;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let port = server.local_port();
    for status in [101, 403] {
        let connecting = thread::spawn(move || try_connect(port, "/"));
        let client = asked();
        let verdict = match status {
            101 => Verdict::accept(),
            _ => Verdict::refuse(Status::FORBIDDEN),
        };
        assert_eq!(server.clients().answer(client, verdict), Ok(()));
        assert_eq!(
            server.clients().answer(client, Verdict::accept()),
            Err(wss::AnswerError::NotWaiting)
        );
        match connecting.join().expect("no panic").map_err(|error| *error) {
            Ok(mut client) => {
                client.send(Message::text("hello")).expect("sent");
                assert_eq!(client.read().expect("an echo"), Message::text("hello"));
                assert_eq!(status, 101);
            }
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn connections_of_the_application_are_adopted() {
    let _alone = alone();
    let mut options = options();
    options.listen = false;
    let server = with_handler(&options, Role::Echo);
    assert_eq!(server.local_port(), 0);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    // As often as slots change between servers.
    for round in 0..200 {
        let connecting = thread::spawn(move || try_connect(port, "/"));
        let (stream, _) = listener.accept().expect("a connection");
        let fd = stream.into_raw_fd();
        let id = loop {
            // SAFETY: the test owns the descriptor until it is adopted.
            let adopted = unsafe { server.adopt(fd, b"", Opening::Request) };
            match adopted {
                // The WSS thread has not closed the previous one yet.
                Err(AdoptError::Full) => thread::sleep(Duration::from_millis(1)),
                adopted => break adopted.expect("adopted"),
            }
        };
        assert_eq!(server.clients().client(id.slot()), Some(id));
        let mut client = connecting.join().expect("no panic").expect("upgraded");
        client.send(Message::text(round.to_string())).expect("sent");
        assert_eq!(
            client.read().expect("an echo"),
            Message::text(round.to_string())
        );
    }
    // SAFETY: -1 is not a descriptor.
    let none = unsafe { server.adopt(-1, b"", Opening::Request) };
    assert_eq!(none, Err(AdoptError::Failed));
    assert!(server.stop());
}

#[test]
fn each_client_has_a_session_of_its_own() {
    let _alone = alone();
    let server = with_handler(&options(), Role::Count);
    for _ in 0..3 {
        let mut clients = [connect(&server), connect(&server)];
        for count in 1..5 {
            for client in &mut clients {
                client.send(Message::text("a")).expect("sent");
                let answer = Message::text(format!("{count} a"));
                assert_eq!(client.read().expect("an answer"), answer);
            }
        }
        for mut client in clients {
            client.close(None).expect("closing");
            while client.read().is_ok() {}
        }
        // The next ones have the same slots.
        while server.clients().iter().next().is_some() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_handler_is_dropped_before_the_next_one_is_made() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    let _alone = alone();
    let server = with_handler(&options(), Role::Alive(&ALIVE));
    let this = server.0;
    // A failed start creates no handler.
    let again = this.start(&options(), |clients| App::new(clients, Role::Alive(&ALIVE)));
    assert!(again.is_err());
    for _ in 0..3 {
        assert_eq!(ALIVE.load(Ordering::SeqCst), 1);
        assert!(this.stop());
        let again = this.start(&options(), |clients| App::new(clients, Role::Alive(&ALIVE)));
        again.expect("it starts");
    }
    assert!(this.stop());
    drop(this.start_with_queue(&options(), EventMask::TEXT, 1));
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
}

#[test]
fn ticks_come_with_their_period() {
    let _alone = alone();
    let server = with_handler(&options().tick(Duration::from_millis(20)), Role::Tick);
    let mut client = connect(&server);
    let since = Instant::now();
    for _ in 0..20 {
        assert_eq!(client.read().expect("a tick"), Message::text("tick"));
    }
    let took = since.elapsed();
    assert!(took > Duration::from_millis(370), "{took:?}");
    let wait = Duration::from_millis(3_000);
    assert!(took < wait, "{took:?}");
}

#[test]
fn the_end_that_a_handle_begins_wakes_the_readers_of_a_queue() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::TEXT, 4);
    let clients = server.clients();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer: MessageBuffer = [0; kconfig::RX_BUFFER_SIZE as usize];
            queue.recv_timeout(&mut buffer, PATIENCE).err()
        });
        thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        clients.stop();
        assert_eq!(reader.join().expect("no panic"), Some(RecvError::Ended));
        assert!(began.elapsed() < PATIENCE / 2);
    });
}

#[test]
fn a_reader_of_either_platform_takes_the_events_of_a_queue() {
    let _alone = alone();
    let (server, queue) = with_queue(EventMask::TEXT, 4);
    let none = queue.read(Some(Duration::ZERO), |_, _| ());
    assert_eq!(none, Err(RecvError::Timeout));
    let mut client = connect(&server);
    client.send(Message::text("hello")).expect("sent");
    let sent = queue.read(None, |client, event| match (client, event) {
        (Some(client), Event::Text(text)) => queue.clients().send_text(client, text.text()),
        _ => panic!("{event:?}"),
    });
    assert_eq!(sent, Ok(Ok(())));
    assert_eq!(client.read().expect("an echo"), Message::text("hello"));
    server.clients().stop();
    assert_eq!(queue.read(None, |_, _| ()), Err(RecvError::Ended));
}

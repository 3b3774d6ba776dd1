// SPDX-License-Identifier: Apache-2.0
//! Handlers: the arguments of each method, and the sessions of their clients.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use wss::host::{Options, Server};
use wss::service::{ClientState, RecvError};
use wss::{
    Answer, Answered, ClientId, Clients, CloseCode, ErrorEvent, Event, EventMask, EventReader,
    Handler, Message, MessageKind, Opening, Request, SendError, Status, Verdict,
};

use super::client::{
    BINARY, CLOSE, Client, PATIENCE, PING, PONG, REQUEST, TEXT, close_body, frame,
};
use super::server::{assert_unharmed, eventually, limited, options};

/// Sends a line for each call, with the count of its session.
struct Recorder {
    clients: Clients,
    lines: Sender<String>,
    alive: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Count(usize);

impl Recorder {
    fn line(&self, session: &mut Count, line: String) {
        session.0 += 1;
        let _ = self.lines.send(format!("{} {line}", session.0));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handler for Recorder {
    type Session = Count;

    fn on_request(
        &mut self,
        session: &mut Count,
        client: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        self.line(session, format!("request {}", request.path()));
        match request.path() {
            "/refused" => answer.refuse(Status::FORBIDDEN),
            "/later" => {
                let clients = self.clients.clone();
                thread::spawn(move || clients.answer(client, Verdict::accept()));
                answer.later()
            }
            _ => answer.accept(),
        }
    }

    fn on_open(&mut self, session: &mut Count, _: ClientId, request: &Request<'_>) {
        self.line(session, format!("open {}", request.path()));
    }

    fn on_text(&mut self, session: &mut Count, client: ClientId, text: &str) {
        self.line(session, format!("text {text}"));
        let sent = self.clients.send_text(client, text);
        assert!(matches!(sent, Ok(()) | Err(SendError::NotConnected)));
    }

    fn on_binary(&mut self, session: &mut Count, _: ClientId, bytes: &[u8]) {
        self.line(session, format!("binary {}", bytes.len()));
    }

    fn on_ping(&mut self, session: &mut Count, _: ClientId, payload: &[u8]) {
        self.line(session, format!("ping {}", payload.len()));
    }

    fn on_pong(&mut self, session: &mut Count, _: ClientId, payload: &[u8]) {
        self.line(session, format!("pong {}", payload.len()));
    }

    fn on_close(&mut self, mut session: Count, _: ClientId, code: CloseCode) {
        self.line(&mut session, format!("close {code}"));
    }

    fn on_error(&mut self, client: Option<ClientId>, error: ErrorEvent) {
        let _ = self.lines.send(format!("{} {error:?}", client.is_some()));
    }
}

struct Recorded {
    server: Server,
    lines: Receiver<String>,
    /// The number of handlers.
    alive: Arc<AtomicUsize>,
}

impl Recorded {
    fn start(options: &Options) -> Self {
        let (lines, received) = channel();
        let alive = Arc::new(AtomicUsize::new(0));
        let make = |clients| {
            alive.fetch_add(1, Ordering::SeqCst);
            Recorder {
                clients,
                lines: lines.clone(),
                alive: Arc::clone(&alive),
            }
        };
        Self {
            server: Server::start(options, make).unwrap(),
            lines: received,
            alive: Arc::clone(&alive),
        }
    }

    /// The next lines must be these.
    fn expect(&self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.lines.recv_timeout(PATIENCE).as_deref(), Ok(*line));
        }
    }
}

#[test]
fn each_event_has_its_method_and_the_session_of_its_client() {
    let recorded = Recorded::start(&options());
    let mut client = Client::open(recorded.server.local_addr());
    client.echo("hello");
    client.send(BINARY, b"four");
    client.send(PING, b"?");
    client.expect(PONG, b"?");
    client.send(PONG, b"!!");
    client.send(CLOSE, &close_body(1000, "bye"));
    client.expect_close(1000, "");
    drop(client);
    recorded.expect(&[
        "1 request /chat",
        "2 open /chat",
        "3 text hello",
        "4 binary 4",
        "5 ping 1",
        "6 pong 2",
        "7 close 1000",
    ]);
}

#[test]
fn a_client_in_the_same_slot_has_a_session_of_its_own() {
    let recorded = Recorded::start(&Options {
        max_clients: 1,
        ..options()
    });
    for _ in 0..3 {
        let mut client = Client::open(recorded.server.local_addr());
        client.echo("a");
        drop(client);
        recorded.expect(&[
            "1 request /chat",
            "2 open /chat",
            "3 text a",
            "4 close 1006",
        ]);
        let clients = recorded.server.clients();
        eventually("the slot is free", || {
            clients.state(0) == ClientState::Closed && clients.client(0).is_none()
        });
    }
}

#[test]
fn the_close_code_is_the_one_of_rfc_6455() {
    let recorded = Recorded::start(&options());
    let addr = recorded.server.local_addr();
    let opens = ["1 request /chat", "2 open /chat"];
    // Without a code; with one of the application; aborted; and after a violation.
    for (bytes, lines) in [
        (frame(true, CLOSE, b""), &["3 close 1005"][..]),
        (frame(true, CLOSE, &close_body(4000, "")), &["3 close 4000"]),
        (Vec::new(), &["3 close 1006"]),
        (
            frame(true, TEXT, b"\xff"),
            &["true InvalidFrame", "3 close 1006"],
        ),
    ] {
        let mut client = Client::open(addr);
        client.write(&bytes);
        recorded.expect(&opens);
        drop(client);
        recorded.expect(lines);
    }
    // The server's own close frame is answered.
    let mut client = Client::open(addr);
    recorded.expect(&opens);
    let id = recorded.server.clients().iter().next().unwrap();
    let clients = recorded.server.clients();
    clients.close(id, CloseCode::GOING_AWAY, "").unwrap();
    client.expect_close(1001, "");
    client.send(CLOSE, &close_body(1001, ""));
    drop(client);
    recorded.expect(&["3 close 1001"]);
}

#[test]
fn a_refused_client_is_neither_opened_nor_closed() {
    let recorded = Recorded::start(&Options {
        max_clients: 1,
        ..options()
    });
    let mut refused = Client::connect(recorded.server.local_addr());
    refused.write(REQUEST.replace("/chat", "/refused").as_bytes());
    assert_eq!(refused.response().status, 403);
    drop(refused);
    let clients = recorded.server.clients();
    eventually("the slot is free", || clients.client(0).is_none());
    let mut client = Client::open(recorded.server.local_addr());
    client.echo("a");
    recorded.expect(&[
        "1 request /refused",
        "1 request /chat",
        "2 open /chat",
        "3 text a",
    ]);
}

#[test]
fn an_answer_that_comes_later_finds_the_session_of_the_request() {
    let recorded = Recorded::start(&options());
    let mut client = Client::connect(recorded.server.local_addr());
    client.write(REQUEST.replace("/chat", "/later").as_bytes());
    assert_eq!(client.response().status, 101);
    recorded.expect(&["1 request /later", "2 open /later"]);
}

#[test]
fn a_client_that_was_upgraded_elsewhere_has_a_new_session() {
    let recorded = Recorded::start(&options());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap());
    let (stream, _) = listener.accept().unwrap();
    let adopted = recorded.server.adopt(stream, &[], Opening::Upgraded);
    adopted.unwrap();
    client.echo("a");
    recorded.expect(&["1 open ", "2 text a"]);
}

#[test]
fn a_client_that_does_not_finish_its_request_is_reported_and_never_open() {
    let options = limited(|limits| limits.handshake_timeout_ms = 200);
    let recorded = Recorded::start(&options);
    let mut client = Client::connect(recorded.server.local_addr());
    client.write(b"GET / HTTP/1.1\r\n");
    client.expect_end();
    recorded.expect(&["true Timeout"]);
    let nothing = recorded.lines.recv_timeout(Duration::from_millis(100));
    assert!(nothing.is_err(), "{nothing:?}");
}

#[test]
fn sessions_stay_with_the_loop_of_their_client() {
    let recorded = Recorded::start(&Options {
        loops: 3,
        max_clients: 7,
        ..options()
    });
    assert_eq!(
        recorded.alive.load(Ordering::SeqCst),
        3,
        "one for each loop"
    );
    let addr = recorded.server.local_addr();
    let mut clients: Vec<_> = (0..7).map(|_| Client::open(addr)).collect();
    for turn in 0..20 {
        for client in &mut clients {
            client.echo(&turn.to_string());
        }
    }
    let lines: Vec<_> = recorded.lines.try_iter().collect();
    for turn in 0..20 {
        // After the request and the opening.
        let line = format!("{} text {turn}", turn + 3);
        assert_eq!(lines.iter().filter(|other| **other == line).count(), 7);
    }
    drop(clients);
    assert_unharmed(&recorded.server);
    assert!(recorded.server.stop());
    assert_eq!(recorded.alive.load(Ordering::SeqCst), 0, "all are dropped");
}

#[test]
fn handlers_are_dropped_with_the_server_and_where_it_does_not_start() {
    let recorded = Recorded::start(&options());
    let port = recorded.server.local_addr().port();
    let clients = recorded.server.clients().clone();
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let again = Server::start(&options().port(port), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert!(again.is_err() && made.load(Ordering::SeqCst) == 0);
    drop(recorded.server);
    assert_eq!(recorded.alive.load(Ordering::SeqCst), 0);
    // Its remaining handle has no clients.
    assert_eq!(clients.iter().next(), None);
    let sent = clients.send_text(ClientId::new(0, 0), "too late");
    assert_eq!(sent, Err(SendError::NotConnected));
}

/// The number of ticks.
struct Ticks(Arc<Mutex<Vec<thread::ThreadId>>>);

impl Handler for Ticks {
    type Session = ();

    fn on_tick(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn every_loop_has_its_ticks() {
    for loops in [1, 3] {
        let ticks: Arc<Mutex<Vec<_>>> = Arc::default();
        let options = options()
            .loops(loops)
            .tick(Duration::from_millis(10))
            .max_clients(3);
        let server = Server::start(&options, |_| Ticks(Arc::clone(&ticks))).unwrap();
        eventually("each has many", || {
            let ticks = ticks.lock().unwrap();
            let threads: HashSet<_> = ticks.iter().collect();
            let many = |thread| ticks.iter().filter(|tick| *tick == thread).count() > 10;
            threads.len() == usize::from(loops) && threads.into_iter().all(many)
        });
        assert!(server.stop());
        let count = ticks.lock().unwrap().len();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(ticks.lock().unwrap().len(), count, "none after the end");
    }
}

/// Puts each client into the group in its path, and sends to the group in its text. `//` is all.
struct Groups(Clients);

impl Handler for Groups {
    type Session = ();

    fn on_open(&mut self, (): &mut (), client: ClientId, request: &Request<'_>) {
        let groups = request.path().trim_start_matches('/').parse().unwrap_or(0);
        assert!(self.0.set_groups(client, groups));
    }

    fn on_text(&mut self, (): &mut (), client: ClientId, text: &str) {
        let reached = match text.parse() {
            Ok(groups) => self.0.broadcast_text(groups, text),
            Err(_) => self.0.broadcast_to_all(MessageKind::Text, text.as_bytes()),
        };
        let reached = reached.unwrap();
        self.0.send_binary(client, &[reached as u8]).unwrap();
    }
}

#[test]
fn broadcasts_reach_groups_and_say_how_many() {
    let server = Server::start(&options(), Groups).unwrap();
    let mut clients = ["/1", "/2", "/3", "/none"].map(|path| {
        let mut client = Client::connect(server.local_addr());
        client.write(REQUEST.replace("/chat", path).as_bytes());
        assert_eq!(client.response().status, 101);
        client
    });
    let ids: Vec<_> = server.clients().iter().collect();
    let groups: Vec<_> = ids.iter().map(|id| server.clients().groups(*id)).collect();
    assert_eq!(groups, [Some(1), Some(2), Some(3), Some(0)]);
    for (text, reached) in [
        ("1", &[0, 2][..]),
        ("2", &[1, 2]),
        ("3", &[0, 1, 2]),
        ("8", &[]),
        ("all", &[0, 1, 2, 3]),
    ] {
        clients[3].send(TEXT, text.as_bytes());
        for index in reached {
            clients[*index].expect(TEXT, text.as_bytes());
        }
        clients[3].expect(BINARY, &[reached.len() as u8]);
    }
}

#[test]
fn the_peer_of_a_client_is_known_while_it_is_there() {
    let server = Server::start(&options(), |_| ()).unwrap();
    let client = Client::open(server.local_addr());
    let clients = server.clients();
    let id = clients.iter().next().unwrap();
    let peer = clients.peer(id).unwrap();
    let addr = client.stream.local_addr().unwrap();
    assert_eq!(peer.as_str(), addr.to_string());
    drop(client);
    eventually("it is gone", || clients.peer(id).is_none());
}

/// Sends its messages back piece by piece.
struct Pieces(Clients, Sender<(bool, bool)>);

impl Handler for Pieces {
    type Session = ();

    fn on_message(&mut self, (): &mut (), id: ClientId, kind: MessageKind, piece: &Message<'_>) {
        self.1.send((piece.first, piece.last)).unwrap();
        self.0.send_piece(id, kind, piece).unwrap();
    }
}

#[test]
fn with_streaming_a_handler_gets_pieces_and_can_send_them() {
    let (pieces, received) = channel();
    let options = options().streaming(true).rx_buffer(64);
    let make = |clients| Pieces(clients, pieces.clone());
    let server = Server::start(&options, make).unwrap();
    let mut client = Client::open(server.local_addr());
    client.send(BINARY, &[7; 200]);
    let mut echoed = Vec::new();
    while echoed.len() < 200 {
        echoed.extend(client.frame().payload);
    }
    assert_eq!(echoed, [7; 200]);
    let pieces: Vec<_> = received.try_iter().collect();
    assert!(pieces.len() > 1, "{pieces:?}");
    assert_eq!(pieces.first(), Some(&(true, false)));
    assert_eq!(pieces.last(), Some(&(false, true)));
}

/// Sends until there is no more room, and once more when there is.
struct Flood(Clients, Sender<&'static str>);

impl Handler for Flood {
    type Session = ();

    fn on_text(&mut self, (): &mut (), client: ClientId, _: &str) {
        while self.0.send_binary(client, &[0; 1400]).is_ok() {}
        self.1.send("full").unwrap();
    }

    fn on_writable(&mut self, (): &mut (), client: ClientId) {
        let _ = self.0.send_text(client, "room");
        let _ = self.1.send("writable");
    }
}

#[test]
fn a_handler_hears_when_there_is_room_again() {
    let (told, hears) = channel();
    let make = |clients| Flood(clients, told.clone());
    let server = Server::start(&options(), make).unwrap();
    let mut client = Client::connect_narrow(server.local_addr()).upgraded();
    client.send(TEXT, b"go");
    assert_eq!(hears.recv_timeout(PATIENCE), Ok("full"));
    while client.frame().opcode != TEXT {}
    assert_eq!(hears.recv_timeout(PATIENCE), Ok("writable"));
}

/// Panics when it is asked to.
struct Panics;

impl Handler for Panics {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        _: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        if request.path() == "/panic" {
            // Without the hook, which counts the panics of servers.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        answer.accept()
    }
}

#[test]
fn a_request_whose_handler_panics_is_refused_with_500() {
    let server = Server::start(&options(), |_| Panics).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.write(REQUEST.replace("/chat", "/panic").as_bytes());
    assert_eq!(client.response().status, 500);
    Client::open(server.local_addr());
}

#[test]
fn a_reader_of_a_queue_tells_the_end_from_a_timeout() {
    let (server, queue) = Server::with_queue(&options(), EventMask::CONNECTED, 4).unwrap();
    let short = Duration::from_millis(50);
    assert_eq!(queue.recv_timeout(short).err(), Some(RecvError::Timeout));
    thread::scope(|scope| {
        let reader = scope.spawn(|| queue.recv_timeout(PATIENCE).err());
        // It waits by now, and is woken by the end of the server.
        thread::sleep(short);
        server.clients().stop();
        assert_eq!(reader.join().unwrap(), Some(RecvError::Ended));
    });
    assert_eq!(queue.recv_timeout(short).err(), Some(RecvError::Ended));
}

/// The interface of an application on either platform.
fn echo_from(queue: &impl EventReader) -> RecvError {
    let clients = queue.clients();
    loop {
        let sent = queue.read(Some(PATIENCE), |client, event| match (client, event) {
            (Some(client), Event::Text(message)) => clients.send_text(client, message.text()),
            _ => Ok(()),
        });
        match sent {
            Ok(sent) => assert!(matches!(sent, Ok(()) | Err(SendError::NotConnected))),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_reader_of_either_platform_takes_the_events_of_a_queue() {
    let (server, queue) = Server::with_queue(&options(), EventMask::all(), 4).unwrap();
    let none = queue.read(Some(Duration::ZERO), |_, _| ());
    assert_eq!(none, Err(RecvError::Timeout));
    let reader = thread::spawn(move || echo_from(&queue));
    let mut client = Client::open(server.local_addr());
    client.echo("one");
    client.echo("two");
    drop(client);
    assert!(server.stop());
    assert_eq!(reader.join().unwrap(), RecvError::Ended);
}

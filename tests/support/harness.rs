// SPDX-License-Identifier: Apache-2.0
//! A service on a scripted port, driven step by step on one thread, with its own clock.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

use wss::protocol::{FrameHeader, OVERHEAD, Opcode, OriginMatch, unmask};
use wss::service::{Application, Config, Delivery, Lock, MAX_SINKS, Service, Serving, Work};
use wss::{Answer, ClientId, Event, EventMask, Page, Request, Verdict};

use crate::port::{Kind, NewLock, ScriptPort, ScriptSocket, Wire, instant, service};
use crate::records::{Tls, TlsClient};

/// The receive size of the clients under test.
pub const RX: usize = 300;
/// The response to a client whose request is accepted.
pub const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                            Connection: Upgrade\r\n\
                            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
                           Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static ON_SERVICE_THREAD: Cell<bool> = const { Cell::new(false) };
    static THREAD: Cell<usize> = const { Cell::new(0) };
    static FIRST_GENERATION: Cell<u32> = const { Cell::new(0) };
    static HAS_BUFFERS: Cell<bool> = const { Cell::new(true) };
    static WAIT: RefCell<Option<Rc<Wait>>> = const { RefCell::new(None) };
    static DURING_STEP: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
    static LOCKS: Cell<usize> = const { Cell::new(0) };
    static TLS: Cell<bool> = const { Cell::new(false) };
}

/// Actions of others while a thread waits for up to this many milliseconds.
type Wait = dyn Fn(u32);

/// One real thread plays all threads.
pub struct Single;

impl Kind for Single {
    const WAITS: bool = false;
    type Lock<T> = Alone<T>;

    fn on_service_thread() -> bool {
        ON_SERVICE_THREAD.get()
    }

    fn thread() -> usize {
        THREAD.get()
    }

    fn now() -> u64 {
        NOW.get()
    }

    fn has_buffers() -> bool {
        HAS_BUFFERS.get()
    }

    fn holds_locks() -> bool {
        LOCKS.get() > 0
    }

    fn during_step() {
        if let Some(act) = DURING_STEP.with_borrow(Clone::clone) {
            act();
        }
    }
}

/// A lock that panics if a thread takes it twice, where a real one would deadlock.
pub struct Alone<T>(RefCell<T>);

impl<T> NewLock<T> for Alone<T> {
    fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }
}

/// A guard of such a lock. Guards are counted.
pub struct Held<'a, T>(RefMut<'a, T>);

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        LOCKS.set(LOCKS.get() - 1);
    }
}

impl<T> Lock<T> for Alone<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        T: 'a;

    fn lock(&self) -> Held<'_, T> {
        let guard = self.0.borrow_mut();
        LOCKS.set(LOCKS.get() + 1);
        Held(guard)
    }

    fn wait<'a>(&'a self, guard: Held<'a, T>, timeout_ms: u32) -> Held<'a, T> {
        assert!(
            !ON_SERVICE_THREAD.get(),
            "the service's own threads never wait"
        );
        match WAIT.with_borrow(Clone::clone) {
            // No other thread could do anything meanwhile.
            None => {
                NOW.set(NOW.get() + u64::from(timeout_ms));
                guard
            }
            Some(wait) => {
                drop(guard);
                wait(timeout_ms);
                self.lock()
            }
        }
    }

    fn notify_all(&self) {}
}

pub type Svc = Service<ScriptPort<Single>, App>;
type Tick = dyn Fn(&Svc);
type OnRequest = dyn Fn(&Request<'_>, Answer<'_>);
type React = dyn Fn(&Svc, usize, Option<ClientId>, &Event<'_>) -> Delivery;

/// Records every event, then calls the test.
pub struct App {
    pub masks: Cell<[EventMask; MAX_SINKS]>,
    pub events: RefCell<Vec<String>>,
    pub verdict: Cell<Verdict<'static>>,
    /// Answers requests, in place of the verdict.
    pub on_request: RefCell<Option<Box<OnRequest>>>,
    pub request_fields: Cell<&'static str>,
    /// The list of origins; none: the application does not check them.
    pub origins: Cell<Option<&'static [&'static str]>>,
    pub pages: Cell<&'static [Page<'static>]>,
    react: Box<React>,
    /// The action of a tick.
    on_tick: RefCell<Box<Tick>>,
}

impl Application<ScriptPort<Single>> for App {
    const TICKS: bool = true;

    fn masks(&self) -> [EventMask; MAX_SINKS] {
        self.masks.get()
    }

    const RESPONSE_FIELDS: bool = true;

    fn request_fields(&self) -> &str {
        self.request_fields.get()
    }

    fn match_origin(&self, request: &Request<'_>) -> OriginMatch {
        let list = self.origins.get();
        list.map_or(OriginMatch::Listed, |list| {
            OriginMatch::of(request.origin(), list.iter().copied())
        })
    }

    fn page(&self, number: usize) -> Option<Page<'_>> {
        self.pages.get().get(number).copied()
    }

    fn accept(&self, _client: ClientId, request: &Request<'_>, answer: Answer<'_>) {
        assert!(
            ON_SERVICE_THREAD.get(),
            "requests are shown on the work queue"
        );
        match &*self.on_request.borrow() {
            Some(on_request) => on_request(request, answer),
            None => {
                let _ = answer.give(self.verdict.get());
            }
        }
    }

    fn deliver(
        &self,
        service: &Svc,
        sink: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        assert!(
            ON_SERVICE_THREAD.get(),
            "events are delivered on the work queue"
        );
        let delivery = (self.react)(service, sink, client, event);
        if delivery != Delivery::Full {
            let who = client.map_or("service".into(), |client| client.slot().to_string());
            let sink = if sink == 0 {
                String::new()
            } else {
                format!("@{sink} ")
            };
            let text = format!("{sink}{who} {}", describe(event));
            self.events.borrow_mut().push(text);
        }
        delivery
    }

    fn tick(&self, service: &Svc) {
        assert!(ON_SERVICE_THREAD.get(), "ticks are of the work queue");
        (self.on_tick.borrow())(service);
        self.events.borrow_mut().push("tick".into());
    }
}

fn describe(event: &Event<'_>) -> String {
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match event {
        Event::Connected(request) => format!("connected {}", request.path()),
        Event::Text(message) if message.is_whole() => format!("text {}", message.text()),
        Event::Binary(message) if message.is_whole() => format!("binary {}", message.len()),
        Event::Text(message) | Event::Binary(message) => {
            format!("piece {} {} {}", message.first, message.last, message.len())
        }
        Event::Ping(bytes) => format!("ping {}", lossy(bytes)),
        Event::Pong(bytes) => format!("pong {}", lossy(bytes)),
        Event::CloseFrame { code, .. } => {
            format!("close frame {}", code.map_or(0, |code| code.get()))
        }
        event => format!("{event:?}").to_lowercase(),
    }
}

pub struct Harness {
    pub service: Svc,
    serving: RefCell<Serving<ScriptPort<Single>>>,
    /// A work item is running.
    working: Cell<bool>,
    /// A step of a TLS handshake is running, on its own thread.
    stepping: Cell<bool>,
    /// The serving thread has ended.
    stopped: Cell<bool>,
}

/// Runs a function as a thread of the service, or as another thread, from any context.
fn on_service_thread<T>(is_service: bool, thread: usize, act: impl FnOnce() -> T) -> T {
    let before = (
        ON_SERVICE_THREAD.replace(is_service),
        THREAD.replace(thread),
    );
    let result = act();
    ON_SERVICE_THREAD.set(before.0);
    THREAD.set(before.1);
    result
}

/// Echoes every message.
pub fn echo(service: &Svc, _: usize, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
    if let (Some(client), Event::Text(message) | Event::Binary(message)) = (client, event) {
        let opcode = match (event, message.first) {
            (_, false) => Opcode::Continuation,
            (Event::Text(_), _) => Opcode::Text,
            _ => Opcode::Binary,
        };
        let sent = service.send_frame(client, message.last, opcode, message.bytes);
        assert_eq!(sent, Ok(()), "an echo is never refused");
    }
    Delivery::Done
}

/// Ignores all events.
pub fn ignore(_: &Svc, _: usize, _: Option<ClientId>, _: &Event<'_>) -> Delivery {
    Delivery::Done
}

impl Harness {
    pub fn new(
        slots: usize,
        config: Config,
        react: impl Fn(&Svc, usize, Option<ClientId>, &Event<'_>) -> Delivery + 'static,
    ) -> Self {
        Self::with_blocks(slots, 2, config, react)
    }

    pub fn with_blocks(
        slots: usize,
        blocks: usize,
        config: Config,
        react: impl Fn(&Svc, usize, Option<ClientId>, &Event<'_>) -> Delivery + 'static,
    ) -> Self {
        Self::with_sizes(slots, RX, (blocks, RX + 10), config, react)
    }

    /// With a receive size, and this many blocks of this size.
    pub fn with_sizes(
        slots: usize,
        rx: usize,
        (blocks, block_size): (usize, usize),
        config: Config,
        react: impl Fn(&Svc, usize, Option<ClientId>, &Event<'_>) -> Delivery + 'static,
    ) -> Self {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        masks[0] = EventMask::all();
        let app = App {
            masks: Cell::new(masks),
            events: RefCell::default(),
            verdict: Cell::new(Verdict::accept()),
            on_request: RefCell::default(),
            request_fields: Cell::new(""),
            origins: Cell::new(None),
            pages: Cell::new(&[]),
            react: Box::new(react),
            on_tick: RefCell::new(Box::new(|_| {})),
        };
        let slots = (slots, rx + OVERHEAD);
        let generation = FIRST_GENERATION.get();
        Self {
            service: service(app, &config, slots, (blocks, block_size), generation),
            serving: RefCell::default(),
            working: Cell::new(false),
            stepping: Cell::new(false),
            stopped: Cell::new(false),
        }
    }

    /// A connection that waits to be accepted.
    pub fn connect(&self) -> Client {
        self.connect_from(0)
    }

    /// A connection from this address that waits to be accepted.
    pub fn connect_from(&self, peer: u32) -> Client {
        let client = Client::elsewhere();
        client.0.lock().peer = peer;
        self.come(&client);
        client
    }

    /// This connection waits to be accepted.
    pub fn come(&self, client: &Client) {
        let socket = client.socket();
        let mut port = self.service.port().state.lock();
        port.backlog.push_back(Some(socket));
    }

    /// A client that has been upgraded.
    pub fn connected(&mut self) -> Client {
        let client = self.connect();
        client.send(REQUEST.as_bytes());
        self.settle();
        assert_eq!(client.take(), ACCEPTED.as_bytes());
        client
    }

    /// Runs the service until nothing more happens at the current time.
    pub fn settle(&mut self) {
        self.rest();
    }

    /// The same, from within a turn of other threads.
    pub fn rest(&self) {
        for round in 0.. {
            // Many more than needed to receive the clients' input byte by byte.
            assert!(round < 200_000, "the service never becomes idle");
            if !self.work() && !self.serve() && self.next_work().is_none() {
                break;
            }
        }
    }

    /// Runs the first queued item. Returns false if there is none, or another one is running.
    pub fn work(&self) -> bool {
        let Some(at) = self.next_work() else {
            return false;
        };
        let queued = self.service.port().state.lock().work.remove(at);
        let work = queued.expect("an item that is queued");
        let runs = self.thread_of(work);
        runs.set(true);
        on_service_thread(true, 0, || self.service.run(work));
        runs.set(false);
        true
    }

    /// Returns the position of the next item that can run now.
    fn next_work(&self) -> Option<usize> {
        let queued = self.queued();
        queued.iter().position(|work| !self.thread_of(*work).get())
    }

    /// Returns whether the thread for such work has something to do.
    fn thread_of(&self, work: Work) -> &Cell<bool> {
        match work {
            Work::Tls(_) => &self.stepping,
            Work::Client(_) | Work::Service => &self.working,
        }
    }

    /// Lets the serving thread handle what is ready. Returns false if nothing was.
    pub fn serve(&self) -> bool {
        if self.stopped.get() {
            return false;
        }
        let told = || self.service.port().state.lock().told;
        let before = told();
        let goes_on = on_service_thread(true, 0, || {
            self.service.serve_once(&mut self.serving.borrow_mut())
        });
        self.stopped.set(!goes_on);
        told() != before
    }

    /// Lets `ms` milliseconds pass, in steps, as timers would see it.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            NOW.set(NOW.get() + 10);
            self.settle();
        }
    }

    /// Sets the action of each tick.
    pub fn on_tick(&self, act: impl Fn(&Svc) + 'static) {
        *self.service.application().on_tick.borrow_mut() = Box::new(act);
    }

    /// Returns the events since the last call.
    pub fn events(&self) -> Vec<String> {
        self.service.application().events.take()
    }

    /// Runs a function as a thread of the application.
    pub fn as_thread<T>(&self, thread: usize, act: impl FnOnce(&Svc) -> T) -> T {
        on_service_thread(false, thread, || act(&self.service))
    }

    /// Sets the actions of others while a thread waits. By default, its whole time passes.
    pub fn while_waiting(wait: Option<Rc<Wait>>) {
        WAIT.set(wait);
    }

    /// Sets the actions of others in the middle of each step of a TLS handshake.
    pub fn during_steps(act: Option<Rc<dyn Fn()>>) {
        DURING_STEP.set(act);
    }

    /// Sets whether clients use TLS from now on.
    pub fn use_tls(tls: bool) {
        TLS.set(tls);
    }

    pub fn has_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Opens the stopped service again.
    pub fn reopen(&mut self, config: &Config) {
        let generation = self.service.next_generation();
        assert!(self.service.open(config, generation));
        self.serving = RefCell::default();
        self.stopped.set(false);
        let mut port = self.service.port().state.lock();
        port.listening = true;
        port.listener_watched = true;
    }

    /// Sets the generation of the first clients of services made from now on.
    pub fn set_first_generation(generation: u32) {
        FIRST_GENERATION.set(generation);
    }

    pub fn set_now(ms: u64) {
        NOW.set(ms);
    }

    /// Sets whether the network has buffers.
    pub fn set_buffers(has_buffers: bool) {
        HAS_BUFFERS.set(has_buffers);
    }

    /// Returns the items on the work queue.
    pub fn queued(&self) -> Vec<Work> {
        self.service
            .port()
            .state
            .lock()
            .work
            .iter()
            .copied()
            .collect()
    }

    /// Returns the time of the timer.
    pub fn timer(&self) -> Option<u64> {
        let timer = self.service.port().state.lock().timer;
        timer.map(|at| NOW.get() + u64::from(at.from(instant(NOW.get()))))
    }

    pub fn now() -> u64 {
        NOW.get()
    }

    /// Checks that every slot is free and every connection is accounted for.
    pub fn assert_all_closed(&self) {
        let stats = self.service.stats();
        assert_eq!(stats.accepted, stats.closed, "{stats:?}");
        for slot in 0..self.service.max_clients() {
            assert_eq!(self.service.client(slot), None);
        }
    }
}

/// The client's side of a connection.
pub struct Client(pub Arc<Alone<Wire>>);

impl Client {
    /// A client that the service does not know yet.
    pub fn elsewhere() -> Self {
        Self::with_wire(|wire| {
            if TLS.get() {
                Tls::begin(wire, false);
            }
        })
    }

    /// A client without TLS.
    pub fn plain() -> Self {
        Self::with_wire(|_| {})
    }

    /// A client that uses TLS. Its output is kept until [`let_go`](Self::let_go).
    pub fn holding_back() -> Self {
        Self::with_wire(|wire| Tls::begin(wire, true))
    }

    fn with_wire(begin: impl FnOnce(&mut Wire)) -> Self {
        let mut wire = Wire {
            window: usize::MAX,
            ..Wire::default()
        };
        begin(&mut wire);
        Self(Arc::new(Alone::new(wire)))
    }

    /// Calls a function with the client's TLS.
    pub fn tls<T>(&self, act: impl FnOnce(&mut TlsClient, &mut Wire) -> T) -> T {
        let mut wire = self.0.lock();
        wire.with_tls(|tls, wire| act(&mut tls.client, wire))
    }

    /// Passes up to this many kept bytes to the server. Returns how many it got.
    pub fn let_go(&self, count: usize) -> usize {
        self.tls(|tls, wire| tls.let_go(wire, count))
    }

    /// Returns the server's side of the connection.
    pub fn socket(&self) -> ScriptSocket<Single> {
        ScriptSocket(Arc::clone(&self.0))
    }

    pub fn send(&self, bytes: &[u8]) {
        self.0.lock().say(bytes);
    }

    /// Returns the server's output since the last call.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().from_server)
    }

    pub fn writes(&self) -> usize {
        std::mem::take(&mut self.0.lock().writes)
    }

    /// Returns how often the server tried to send something.
    pub fn sends(&self) -> usize {
        std::mem::take(&mut self.0.lock().sends)
    }

    pub fn set_window(&self, bytes: usize) {
        self.0.lock().window = bytes;
    }

    pub fn eof(&self) {
        self.0.lock().end();
    }

    pub fn reset(&self) {
        self.0.lock().reset = true;
    }

    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

/// A masked frame; `first` is its first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut masked = payload.to_vec();
    unmask(&mut masked, mask);
    let mut header = server_frame(first, payload);
    header.truncate(header.len() - payload.len());
    header[1] |= 0x80;
    [header.as_slice(), &mask, &masked].concat()
}

/// Returns a frame of the server.
pub fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader::new(true, Opcode::Binary, payload.len());
    [&[first], &header.as_bytes()[1..], payload].concat()
}

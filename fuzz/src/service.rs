// SPDX-License-Identifier: Apache-2.0
//! A whole service: several clients, threads of the application, a callback and queues, a clock.
//!
//! An input is a [`Plan`]. One real thread plays all the others: while a thread of the application waits, and inside a
//! callback, the plan decides which others run.

mod application;
mod judge;
mod plan;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};

use wss::protocol::Status;
use wss::service::{Delivery, Lock as _, MAX_SINKS, Opening};
use wss::{ClientId, EventMask, Page, Verdict};

use crate::harness::{Client, Harness, REQUEST, Svc, frame};
use crate::received::{Received, received, received_frames};
use application::Held;
use judge::Log;
pub use plan::Plan;
use plan::{Act, ClientAct, ClientFrame, Origin, RareAct, Reaction, Setup, SinkMode, Step, TlsAct};

/// The maximum numbers of clients and acts of a plan: more would find nothing new, but take longer.
const MAX_PEERS: usize = 10;
const MAX_ACTS: usize = 200;
/// The maximum depth of waiting threads and callbacks inside each other.
const MAX_DEPTH: usize = 4;

/// The pages of a service that has pages.
static PAGES: [Page<'static>; 2] = [
    Page::new("/", "text/html", b"<p>hello"),
    Page::new("/big", "text/plain", &[b'x'; 3_000]),
];
/// The requests of clients for a page. One has a body, and one is followed by another request.
const PAGE_REQUESTS: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /big HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /none HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\n",
];

/// A client, with its input and output so far.
struct Peer {
    client: Client,
    /// Output that it keeps back.
    corked: Option<Vec<u8>>,
    sent: Vec<u8>,
    received: Vec<u8>,
    /// The number of the server's frames that it has answered.
    answered: usize,
    /// Its opening request was answered before the service adopted it.
    upgraded: bool,
    /// Its request.
    request: &'static str,
}

impl Peer {
    fn new(client: Client, upgraded: bool) -> Self {
        Self {
            client,
            corked: None,
            sent: Vec::new(),
            received: Vec::new(),
            answered: 0,
            upgraded,
            request: REQUEST,
        }
    }

    /// Returns its input so far, which must be valid output of a server.
    fn got(&self) -> Received {
        if self.upgraded {
            received_frames(&self.received)
        } else {
            received(&self.received)
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.corked {
            Some(corked) => corked.extend(bytes),
            None => self.put(bytes),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if !self.client.0.lock().eof {
            self.client.send(bytes);
            self.sent.extend(bytes);
        }
    }

    fn uncork(&mut self, count: usize) {
        if let Some(mut corked) = self.corked.take() {
            let rest = corked.split_off(count.min(corked.len()));
            self.put(&corked);
            self.corked = (!rest.is_empty()).then_some(rest);
        }
    }

    fn take(&mut self) {
        self.received.extend(self.client.take());
    }

    fn perform(&mut self, act: &ClientAct) {
        match act {
            ClientAct::Request => self.send(self.request.as_bytes()),
            ClientAct::Raw(bytes) => self.send(bytes),
            ClientAct::Cork => {
                self.corked.get_or_insert_default();
            }
            ClientAct::Uncork(count) => self.uncork(usize::from(*count)),
            ClientAct::Answer => self.answer(),
            ClientAct::Segment(len) => self.client.0.lock().segment = usize::from(*len),
            ClientAct::Window(bytes) => {
                let bytes = bytes.map_or(usize::MAX, usize::from);
                self.client.set_window(bytes);
            }
            ClientAct::Eof => self.client.eof(),
            ClientAct::Reset => self.client.reset(),
        }
    }

    /// Nothing, without TLS.
    fn perform_tls(&self, act: TlsAct) {
        let mut wire = self.client.0.lock();
        if wire.tls.is_some() {
            wire.with_tls(|tls, wire| match act {
                TlsAct::Truncate => wire.eof = true,
                TlsAct::Blunder => tls.client.blunder(wire),
                TlsAct::UpdateKey => tls.client.update_key(wire),
            });
        }
    }

    /// Returns whether TLS has failed, so that the server's last output was not sent.
    fn has_failed(&self) -> bool {
        let wire = self.client.0.lock();
        wire.tls.as_ref().is_some_and(|tls| tls.is_plain())
    }

    /// Answers pings and the close frame, like all clients.
    fn answer(&mut self) {
        self.take();
        let got = self.got();
        for (first, payload) in got.frames.iter().skip(self.answered) {
            match first {
                0x89 => self.send(&frame(0x8A, payload)),
                0x88 => self.send(&frame(0x88, payload)),
                _ => {}
            }
        }
        self.answered = got.frames.len();
    }
}

struct World {
    harness: Harness,
    setup: Setup,
    acts: RefCell<VecDeque<Act>>,
    reactions: Vec<Reaction>,
    next_reaction: Cell<usize>,
    peers: RefCell<Vec<Peer>>,
    sinks: [Cell<SinkMode>; MAX_SINKS],
    held: RefCell<VecDeque<Held>>,
    logs: RefCell<BTreeMap<ClientId, Log>>,
    /// Numbers sent messages, to identify each.
    numbers: Cell<u32>,
    depth: Cell<usize>,
    waiting: RefCell<Vec<usize>>,
    /// The callback does nothing any more.
    quiet: Cell<bool>,
}

fn verdict(number: u8) -> Verdict<'static> {
    match number % 8 {
        0 => Verdict::refuse(Status::FORBIDDEN),
        1 => Verdict::accept().subprotocol("not offered"),
        2 => Verdict::Later,
        _ => Verdict::accept(),
    }
}

/// Runs a plan, and checks the result.
pub fn check(plan: &Plan) {
    Harness::set_now(0);
    let world = World::new(plan);
    let weak = Rc::downgrade(&world);
    Harness::while_waiting(Some(Rc::new(move |ms| {
        if let Some(world) = weak.upgrade() {
            world.wait(ms);
        }
    })));
    let weak = Rc::downgrade(&world);
    Harness::during_steps(Some(Rc::new(move || {
        if let Some(world) = weak.upgrade() {
            world.during_step();
        }
    })));
    world.begin();
    while let Some(act) = world.next_act() {
        world.perform(act);
    }
    world.end();
    Harness::while_waiting(None);
    Harness::during_steps(None);
}

impl World {
    fn new(plan: &Plan) -> Rc<Self> {
        let setup = plan.setup.clone();
        Rc::new_cyclic(|weak: &Weak<Self>| {
            let weak = weak.clone();
            let (slots, rx, blocks) = (setup.slots(), setup.rx(), setup.blocks());
            let harness = Harness::with_sizes(slots, rx, blocks, setup.config(), {
                move |_, sink, client, event| match weak.upgrade() {
                    Some(world) => world.deliver(sink, client, event),
                    None => Delivery::Done,
                }
            });
            let app = harness.service.application();
            app.masks.set(setup.masks());
            app.verdict.set(verdict(setup.verdict));
            if setup.pages() {
                app.pages.set(&PAGES);
            }
            Self {
                harness,
                setup,
                acts: RefCell::new(plan.acts.iter().take(MAX_ACTS).cloned().collect()),
                reactions: plan.reactions.clone(),
                next_reaction: Cell::new(0),
                peers: RefCell::default(),
                sinks: Default::default(),
                held: RefCell::default(),
                logs: RefCell::default(),
                numbers: Cell::new(0),
                depth: Cell::new(0),
                waiting: RefCell::default(),
                quiet: Cell::new(false),
            }
        })
    }

    fn begin(&self) {
        self.quiet.set(true);
        for _ in 0..self.setup.clients() {
            self.connect(self.setup.origin(), false);
            if let Some(peer) = self.peers.borrow_mut().last_mut() {
                peer.send(REQUEST.as_bytes());
            }
            self.rest();
        }
        self.quiet.set(false);
        for (sink, mode) in self.setup.sinks.iter().enumerate() {
            self.set_sink(sink, *mode);
        }
    }

    fn service(&self) -> &Svc {
        &self.harness.service
    }

    fn next_act(&self) -> Option<Act> {
        self.acts.borrow_mut().pop_front()
    }

    fn number(&self) -> u32 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// While a thread of the application waits, others run until it wakes.
    fn wait(&self, ms: u32) {
        let until = Harness::now() + u64::from(ms);
        let thread = wss::service::Port::thread(self.service().port());
        self.waiting.borrow_mut().push(thread);
        self.depth.set(self.depth.get() + 1);
        while Harness::now() < until {
            match self.next_act() {
                Some(Act::Step(Step::Wake)) => break,
                Some(act) => self.perform(act),
                None => {
                    Harness::set_now(until.min(self.next_time()));
                    self.rest();
                }
            }
        }
        self.depth.set(self.depth.get() - 1);
        self.waiting.borrow_mut().pop();
    }

    /// When the timer comes, but not now.
    fn next_time(&self) -> u64 {
        let timer = self.harness.timer().unwrap_or(u64::MAX);
        timer.max(Harness::now() + 1)
    }

    /// Starts a thread of the application that does not wait, if there may be more.
    fn as_thread(&self, thread: u8, act: impl FnOnce()) {
        if self.depth.get() >= MAX_DEPTH {
            return;
        }
        let waiting = self.waiting.borrow();
        let threads = (0..=MAX_DEPTH).map(|at| 1 + (usize::from(thread) + at) % (MAX_DEPTH + 1));
        let free = threads.into_iter().find(|thread| !waiting.contains(thread));
        drop(waiting);
        if let Some(thread) = free {
            self.harness.as_thread(thread, |_| act());
        }
    }

    /// Runs the service until nothing more happens.
    fn rest(&self) {
        self.harness.rest();
        for peer in &mut *self.peers.borrow_mut() {
            peer.take();
        }
    }

    fn with_peer(&self, who: u8, act: impl FnOnce(&mut Peer)) {
        let mut peers = self.peers.borrow_mut();
        let count = peers.len().max(1);
        if let Some(peer) = peers.get_mut(usize::from(who) % count) {
            act(peer);
        }
    }

    fn connect(&self, from: Origin, cannot_shut: bool) {
        let mut peers = self.peers.borrow_mut();
        if peers.len() < MAX_PEERS {
            Harness::use_tls(from.uses_tls());
            let client = self.harness.connect_from(from.address());
            let mut wire = client.0.lock();
            wire.no_shutdown = cannot_shut;
            if let Some(tls) = &mut wire.tls {
                tls.one_by_one = from.one_by_one();
                tls.client.record = from.record();
            }
            drop(wire);
            let mut peer = Peer::new(client, false);
            if self.setup.pages() && !self.quiet.get() {
                // Every second one is a browser's.
                let number = peers.len();
                if let Some(request) = PAGE_REQUESTS
                    .get(number / 2 % 5)
                    .filter(|_| number % 2 == 1)
                {
                    peer.request = request;
                }
            }
            peers.push(peer);
        }
    }

    /// During a step of a TLS handshake, others run.
    fn during_step(&self) {
        if self.setup.stepwise && !self.quiet.get() && self.depth.get() < MAX_DEPTH {
            self.depth.set(self.depth.get() + 1);
            if let Some(act) = self.next_act() {
                self.perform(act);
            }
            self.depth.set(self.depth.get() - 1);
        }
    }

    /// Adopts a connection of which `count` bytes were received before.
    fn adopt(&self, opening: Opening, count: u16) {
        let frame = self.client_frame(ClientFrame::Text, 100);
        let sent = match opening {
            Opening::Request => [REQUEST.as_bytes(), &frame].concat(),
            Opening::Upgraded => frame,
        };
        let (taken, rest) = sent.split_at(sent.len().min(count.into()));
        let client = Client::plain();
        let adopted = self.service().adopt(&client.socket(), taken, opening);
        if adopted.is_ok() {
            client.send(rest);
            let mut peer = Peer::new(client, opening == Opening::Upgraded);
            peer.sent = sent;
            self.peers.borrow_mut().push(peer);
        }
    }

    fn client_frame(&self, kind: ClientFrame, len: u16) -> Vec<u8> {
        let len = usize::from(len) % 2000;
        let first = match kind {
            ClientFrame::Text => 0x81,
            ClientFrame::Binary => 0x82,
            ClientFrame::FirstText => 0x01,
            ClientFrame::FirstBinary => 0x02,
            ClientFrame::Middle => 0x00,
            ClientFrame::Last => 0x80,
            ClientFrame::Ping => 0x89,
            ClientFrame::Pong => 0x8A,
            ClientFrame::Close => {
                return frame(0x88, &[&[3, 232], &vec![b'r'; len % 124][..]].concat());
            }
            ClientFrame::Wrong => 0xC1,
        };
        let len = if first & 8 != 0 { len % 126 } else { len };
        frame(first, &self.payload(b'c', len))
    }

    /// Creates a text that is sent only once, if it is long enough for that.
    fn payload(&self, by: u8, len: usize) -> Vec<u8> {
        let mut payload = format!("{}{:06}", char::from(by), self.number()).into_bytes();
        // Characters of several bytes, for texts that are cut.
        payload.extend(
            "é€😀x"
                .bytes()
                .cycle()
                .take(len.saturating_sub(payload.len()) / 10 * 10),
        );
        payload.resize(len.max(if by == b'c' { 0 } else { 7 }), b'.');
        payload
    }

    fn perform(&self, act: Act) {
        match act {
            Act::Frame { who, kind, len } => {
                let bytes = self.client_frame(kind, len);
                self.with_peer(who, |peer| peer.send(&bytes));
            }
            Act::Client(who, act) => self.with_peer(who, |peer| peer.perform(&act)),
            Act::Thread(thread, act) => self.as_thread(thread, || self.perform_as_thread(&act)),
            Act::Sink(sink, mode) => self.set_sink(usize::from(sink), mode),
            Act::Step(Step::Work) => {
                self.harness.work();
                return;
            }
            Act::Step(Step::Serve) => {
                self.harness.serve();
                return;
            }
            Act::Step(Step::Rest) => self.rest(),
            Act::Step(Step::Wake) => {}
            Act::Pass(ms) => {
                Harness::set_now(Harness::now() + u64::from(ms));
                self.harness.serve();
            }
            Act::Rare(act) => self.perform_rarely(&act),
        }
        if !self.setup.stepwise {
            self.rest();
        }
    }

    fn perform_rarely(&self, act: &RareAct) {
        let port = self.service().port();
        match *act {
            RareAct::Connect { from, cannot_shut } => self.connect(from, cannot_shut),
            RareAct::Tls(who, act) => self.with_peer(who, |peer| peer.perform_tls(act)),
            RareAct::Adopt { opening, count } => self.as_thread(0, || {
                let is_there = self.peers.borrow().len() < MAX_PEERS;
                if is_there {
                    self.adopt(opening.into(), count);
                }
            }),
            RareAct::Verdict(number) => {
                let app = self.service().application();
                app.verdict.set(verdict(number));
            }
            RareAct::CannotAccept => port.state.lock().backlog.push_back(None),
            RareAct::CannotWatch => port.state.lock().unwatchable = 1,
            RareAct::Announce(event) => {
                let events = [EventMask::ERROR, EventMask::LINK_DOWN, EventMask::LINK_UP];
                self.service()
                    .announce(events[usize::from(event) % events.len()]);
            }
            RareAct::Stop { wait } => self.as_thread(0, || {
                self.service().stop();
                if wait {
                    self.service().wait_stopped();
                }
            }),
        }
    }
}

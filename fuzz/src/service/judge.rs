// SPDX-License-Identifier: Apache-2.0
//! The conditions that must hold in the end.

use wss::service::{ClientState, Lock as _, MAX_SINKS};
use wss::{ClientId, Event, EventMask};

use super::plan::SinkMode;
use super::{Peer, World};
use crate::harness::{Harness, server_frame};
use crate::oracle::{Decoded, Item, Limits, decode};
use crate::received::Received;

/// All deadlines, one after the other, take less time than this, in milliseconds.
const ALL_DEADLINES: u64 = 150_000;

/// The events of a client, and the application's messages to it.
#[derive(Default)]
pub struct Log {
    told: [Vec<Told>; MAX_SINKS],
    /// The sent frames, in order.
    pub sent: Vec<Sent>,
    /// A send was refused for lack of room, and WRITABLE has not followed yet.
    pub refused: bool,
    /// Some output may still be held back by `more`.
    pub unflushed: bool,
    /// The frame that may be incomplete, because the connection was aborted.
    pub aborted: Vec<(u8, Vec<u8>)>,
}

/// A frame that was accepted for sending.
pub struct Sent {
    pub first: u8,
    pub payload: Vec<u8>,
    /// If not, it was a broadcast, which may have skipped this client.
    pub certain: bool,
}

enum Told {
    State(EventMask),
    Item(Item),
    Piece(Item, bool, bool),
}

impl Log {
    pub fn note(&mut self, sink: usize, event: &Event<'_>) {
        let told = match event {
            Event::Text(message) => {
                assert!(std::str::from_utf8(message.bytes).is_ok());
                Told::Piece(Item::Text(message.to_vec()), message.first, message.last)
            }
            Event::Binary(message) => {
                Told::Piece(Item::Binary(message.to_vec()), message.first, message.last)
            }
            Event::Ping(bytes) => Told::Item(Item::Ping(bytes.to_vec())),
            Event::Pong(bytes) => Told::Item(Item::Pong(bytes.to_vec())),
            Event::CloseFrame { body, .. } => Told::Item(Item::Close(body.to_vec())),
            event => Told::State(event.mask()),
        };
        if sink == 0 && event.mask() == EventMask::WRITABLE {
            self.refused = false;
        }
        self.told[sink].push(told);
    }

    fn was_told(&self, event: EventMask) -> bool {
        let is_it = |told: &Told| matches!(told, Told::State(state) if *state == event);
        self.told[0].iter().any(is_it)
    }

    /// Returns the messages and control frames that a sink got, with pieces assembled, including an unfinished one.
    fn items(&self, sink: usize) -> (Vec<Item>, Vec<u8>) {
        let mut items = Vec::new();
        let mut message: Option<Item> = None;
        for told in &self.told[sink] {
            match told {
                Told::State(_) => {}
                Told::Item(item) => items.push(item.clone()),
                Told::Piece(piece, first, last) => {
                    assert_eq!(
                        *first,
                        message.is_none(),
                        "the first piece begins a message"
                    );
                    match (&mut message, piece) {
                        (None, piece) => message = Some(piece.clone()),
                        (Some(Item::Text(all)), Item::Text(piece))
                        | (Some(Item::Binary(all)), Item::Binary(piece)) => all.extend(piece),
                        _ => panic!("pieces of two kinds"),
                    }
                    items.extend(message.take_if(|_| *last));
                }
            }
        }
        let unfinished = match message {
            Some(Item::Text(bytes) | Item::Binary(bytes)) => bytes,
            _ => Vec::new(),
        };
        (items, unfinished)
    }
}

impl World {
    /// Brings everything to an end, and checks it.
    pub fn end(&self) {
        self.quiet.set(true);
        for sink in 0..MAX_SINKS {
            if self.setup.fair || self.sinks[sink].get() == SinkMode::IsFull {
                self.set_sink(sink, SinkMode::Takes);
            }
        }
        if self.setup.fair {
            self.be_fair();
            self.judge_progress();
        }
        self.rest();
        let latest = Harness::now() + ALL_DEADLINES;
        while let Some(timer) = self.harness.timer().filter(|_| !self.harness.has_stopped()) {
            assert!(timer <= latest, "all deadlines are over");
            Harness::set_now(timer.max(Harness::now()));
            self.rest();
        }
        if self.harness.has_stopped() {
            // A callback may have outlasted the shutdown: then no deadline applies any more.
            self.release_all();
        }
        self.judge_service();
        self.judge_clients();
        self.release_all();
    }

    fn release_all(&self) {
        while !self.held.borrow().is_empty() {
            self.release(0);
        }
        self.rest();
    }

    /// All parties do what the service waits for.
    fn be_fair(&self) {
        for peer in &mut *self.peers.borrow_mut() {
            peer.client.set_window(usize::MAX);
            peer.client.0.lock().segment = 0;
            peer.uncork(usize::MAX);
        }
        self.release_all();
        // Output that was sent with `more`.
        for (client, log) in &*self.logs.borrow() {
            if log.unflushed {
                let _ = self.service().flush(*client);
            }
        }
        self.rest();
        // Time to retry failed accepts.
        for _ in 0..3 {
            Harness::set_now(Harness::now() + 100);
            self.rest();
        }
    }

    /// Checks that nothing is left to do without more input from the clients.
    fn judge_progress(&self) {
        let peers = self.peers.borrow();
        let logs = self.logs.borrow();
        for (client, log) in &*logs {
            let slot = client.slot();
            let is_connected = self.service().state(slot) == ClientState::Connected;
            if self.service().client(slot) != Some(*client) || !is_connected {
                continue;
            }
            let peer = self.peer(&peers, *client);
            assert!(peer.client.0.lock().to_server.is_empty(), "all is received");
            let got = peer.got();
            let decoded = self.decoded(peer);
            assert_eq!(got.torn, 0, "all is sent");
            assert!(peer.upgraded || got.status == Some(101));
            assert_eq!(
                log.items(0).0.len(),
                without_keep_alive(&decoded).len(),
                "all is delivered"
            );
            let pings = decoded
                .items
                .iter()
                .filter(|item| matches!(item, Item::Ping(_)));
            let pongs = got.frames.iter().filter(|(first, _)| *first == 0x8A);
            assert_eq!(pings.count(), pongs.count(), "all pings are answered");
            judge_sent(log, &got, true);
            let last = got.frames.iter().rfind(|(first, _)| first & 8 == 0);
            let finished = last.is_none_or(|(first, _)| first & 0x80 != 0);
            let has_room = self.setup.blocks().0 > 0;
            assert!(
                !log.refused || !finished || !has_room,
                "there is room, but no event was emitted"
            );
        }
    }

    /// Checks that every slot, socket, and block is free, and the counters add up.
    fn judge_service(&self) {
        let stats = self.service().stats();
        let slots = self.service().max_clients();
        assert_eq!(self.harness.queued(), []);
        self.harness.assert_all_closed();
        assert_eq!(stats.blocks_used, 0, "every block is free");
        assert!(stats.most_blocks as usize <= self.setup.blocks().0);
        assert!(stats.most_clients as usize <= slots);
        assert!(stats.connected <= stats.accepted);
        let peers = self.peers.borrow();
        let at = |wanted: &dyn Fn(usize) -> bool| {
            let is_there = |peer: &&Peer| peer.client.0.lock().slot.is_some_and(wanted);
            peers.iter().filter(is_there).count()
        };
        assert_eq!(stats.accepted as usize, at(&|slot| slot < slots));
        let turned_away = stats.refused_full + stats.refused_address;
        assert!(turned_away as usize >= at(&|slot| slot == slots));
        for peer in &*peers {
            let wire = peer.client.0.lock();
            assert!(wire.closed || wire.slot.is_none(), "every socket is closed");
        }
    }

    fn judge_clients(&self) {
        let peers = self.peers.borrow();
        let logs = self.logs.borrow();
        let masks = self.setup.masks();
        for peer in &*peers {
            // Also those of rejected connections.
            peer.got();
        }
        for (client, log) in &*logs {
            let peer = self.peer(&peers, *client);
            let got = peer.got();
            if peer.client.0.lock().shut && !peer.has_failed() {
                assert_eq!(got.torn, 0, "a regular end loses nothing");
            }
            for (sink, mask) in masks.iter().enumerate() {
                // At the end of a shutdown, a sink that takes no events gets none.
                let to_the_end = !self.harness.has_stopped();
                judge_order(&log.told[sink], *mask, to_the_end);
            }
            if !log.was_told(EventMask::CONNECTED) {
                assert!(got.status != Some(101) || self.harness.has_stopped());
                continue;
            }
            let decoded = self.decoded(peer);
            for (sink, mask) in masks.iter().enumerate() {
                judge_items(log, sink, *mask, &decoded);
            }
            judge_sent(log, &got, got.is_closed());
            judge_torn(log, &peer.received[peer.received.len() - got.torn..]);
            judge_pongs(&got, &decoded);
            if log.was_told(EventMask::INVALID_FRAME) {
                let Some(Item::Fail(code)) = decoded.items.last() else {
                    panic!("the client did nothing wrong");
                };
                if got.is_closed() {
                    let close = got.frames.last().expect("a close frame");
                    assert_eq!(close.1, code.to_be_bytes());
                }
            }
        }
    }

    /// Returns the peer of this client.
    fn peer<'a>(&self, peers: &'a [Peer], client: ClientId) -> &'a Peer {
        let nth = client.generation() as usize;
        let is_it = |peer: &&Peer| {
            let wire = peer.client.0.lock();
            (wire.slot, wire.nth) == (Some(client.slot()), nth)
        };
        peers.iter().find(is_it).expect("a client that connected")
    }

    /// Returns the input of an upgraded client.
    fn decoded(&self, peer: &Peer) -> Decoded {
        // Exceeding another limit is not an INVALID_FRAME.
        let limits = Limits {
            message: (!self.setup.streaming).then_some(self.setup.rx()),
            fragments: None,
        };
        let mut bytes = &peer.sent[..];
        if peer.upgraded {
            return decode(bytes, limits);
        }
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let head = head.expect("the request is complete");
        decode(&bytes[head + 4..], limits)
    }
}

fn is_keep_alive(payload: &[u8]) -> bool {
    payload.len() == 4 && payload.starts_with(b"wss")
}

fn without_keep_alive(decoded: &Decoded) -> Vec<&Item> {
    let is_told = |item: &&Item| match item {
        Item::Pong(payload) => !is_keep_alive(payload),
        Item::Fail(_) => false,
        _ => true,
    };
    decoded.items.iter().filter(is_told).collect()
}

/// Checks the order: CONNECTING, CONNECTED, messages, CLOSING, CLOSED, each once, as far as they are wanted.
fn judge_order(told: &[Told], mask: EventMask, to_the_end: bool) {
    let mut stage = EventMask::empty();
    for told in told {
        let event = match told {
            Told::State(event) => *event,
            Told::Item(_) | Told::Piece(..) => {
                let closed = stage == EventMask::CLOSED || stage == EventMask::CLOSING;
                let closing_close =
                    matches!(told, Told::Item(Item::Close(_))) && stage == EventMask::CLOSING;
                assert!(!closed || closing_close, "messages after the end");
                assert!(
                    stage == EventMask::CONNECTED
                        || closing_close
                        || !mask.contains(EventMask::CONNECTED)
                );
                continue;
            }
        };
        assert!(mask.contains(event), "{event:?} is not wanted");
        match event {
            EventMask::CONNECTING
            | EventMask::CONNECTED
            | EventMask::CLOSING
            | EventMask::CLOSED => {
                assert!(event.bits() > stage.bits(), "{event:?} after {stage:?}");
                let whole = mask.contains(EventMask::CONNECTING | EventMask::CLOSING);
                assert!(!whole || event != EventMask::CLOSED || stage == EventMask::CLOSING);
                assert!(!whole || event == EventMask::CONNECTING || !stage.is_empty());
                stage = event;
            }
            EventMask::TIMEOUT
            | EventMask::TLS_FAILED
            | EventMask::INVALID_FRAME
            | EventMask::WRITABLE => {
                assert!(
                    !stage.intersects(EventMask::CLOSING | EventMask::CLOSED),
                    "{event:?} after {stage:?}"
                );
            }
            event => panic!("{event:?} is of the service as a whole"),
        }
    }
    if to_the_end && mask.contains(EventMask::CLOSED) {
        assert_eq!(stage, EventMask::CLOSED, "each client ends with CLOSED");
    }
}

/// Checks that the events are the client's input, from the beginning: nothing is missing before the end. Only the
/// client's close frame may follow messages that came too late.
fn judge_items(log: &Log, sink: usize, mask: EventMask, decoded: &Decoded) {
    let (mut items, unfinished) = log.items(sink);
    let is_wanted = |item: &&Item| {
        mask.intersects(match item {
            Item::Text(_) => EventMask::TEXT,
            Item::Binary(_) => EventMask::BINARY,
            Item::Ping(_) => EventMask::PING,
            Item::Pong(_) => EventMask::PONG,
            Item::Close(_) => EventMask::CLOSE_FRAME,
            Item::Fail(_) => EventMask::empty(),
        })
    };
    let mut said = decoded.items.iter().filter(is_wanted).peekable();
    if let Some(Item::Close(_)) = items.last() {
        assert_eq!(items.pop().as_ref(), said.clone().last());
    }
    for item in &items {
        while let Some(Item::Pong(payload)) = said.peek() {
            if is_keep_alive(payload) && *said.peek().expect("peeked") != item {
                said.next();
            } else {
                break;
            }
        }
        assert_eq!(
            Some(item),
            said.next(),
            "told on the left, said on the right"
        );
    }
    if !unfinished.is_empty() {
        let mut next = said.filter_map(|item| match item {
            Item::Text(bytes) | Item::Binary(bytes) => Some(bytes),
            _ => None,
        });
        let next = next.next().unwrap_or(&decoded.unfinished);
        assert!(next.starts_with(&unfinished));
    }
}

/// Checks that the client's frames are those that were sent to it, in order, each once and whole; with `all`, none is
/// missing.
fn judge_sent(log: &Log, got: &Received, all: bool) {
    let mut sent = log.sent.iter();
    for (first, payload) in &got.frames {
        if matches!(first, 0x88 | 0x8A) || *first == 0x89 && is_keep_alive(payload) {
            continue;
        }
        loop {
            let next = sent.next().expect("nothing that was not sent");
            if next.first == *first && next.payload == *payload {
                break;
            }
            assert!(!next.certain, "an accepted frame is missing");
        }
    }
    assert!(
        !all || !sent.any(|sent| sent.certain),
        "an accepted frame is missing"
    );
}

/// Checks that the beginning of an incomplete frame is that of a sent frame.
fn judge_torn(log: &Log, torn: &[u8]) {
    let is_data = matches!(torn.first(), Some(first) if first & 8 == 0);
    let sent = log.sent.iter().map(|sent| (sent.first, &sent.payload));
    let aborted = log.aborted.iter().map(|(first, payload)| (*first, payload));
    let mut frames = sent
        .chain(aborted)
        .map(|(first, payload)| server_frame(first, payload));
    assert!(
        !is_data || frames.any(|frame| frame.starts_with(torn)),
        "what is torn was not sent"
    );
}

/// Checks that the pings are answered in order.
fn judge_pongs(got: &Received, decoded: &Decoded) {
    let mut pings = decoded.items.iter().filter_map(|item| match item {
        Item::Ping(payload) => Some(payload),
        _ => None,
    });
    for (first, payload) in &got.frames {
        assert!(
            *first != 0x8A || pings.next() == Some(payload),
            "a pong for each ping"
        );
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The application of the service under test: the actions of its threads, and its handling of events.

use wss::protocol::{CloseCode, Opcode};
use wss::service::{ClientState, Delivery, Target};
use wss::{ClientId, Event, MessageKind, SendError};

use super::judge::Sent;
use super::plan::{Close, RareReaction, Reaction, Send, Shape, SinkMode, ThreadAct, To};
use super::{World, verdict};
use crate::harness::Svc;

/// A message that a queue holds.
pub struct Held {
    client: ClientId,
    bytes: *const u8,
    copy: Vec<u8>,
}

impl World {
    /// An event, for the callback or for a queue.
    pub fn deliver(&self, sink: usize, client: Option<ClientId>, event: &Event<'_>) -> Delivery {
        if self.sinks[sink].get() == SinkMode::IsFull {
            return Delivery::Full;
        }
        if let Some(client) = client {
            let mut logs = self.logs.borrow_mut();
            logs.entry(client).or_default().note(sink, event);
        }
        if sink == 0 {
            self.react(client, event);
        }
        let bytes = match event {
            Event::Text(message) | Event::Binary(message) => message.bytes,
            Event::Ping(bytes) | Event::Pong(bytes) => bytes,
            Event::CloseFrame { body, .. } => body,
            _ => return Delivery::Done,
        };
        match (self.sinks[sink].get(), client) {
            (SinkMode::Holds, Some(client)) => {
                self.held.borrow_mut().push_back(Held {
                    client,
                    bytes: bytes.as_ptr(),
                    copy: bytes.to_vec(),
                });
                Delivery::Held
            }
            // It was taken before it got full.
            _ => Delivery::Done,
        }
    }

    fn react(&self, client: Option<ClientId>, event: &Event<'_>) {
        if self.quiet.get() || self.reactions.is_empty() || self.depth.get() >= super::MAX_DEPTH {
            return;
        }
        let at = self.next_reaction.get();
        self.next_reaction.set((at + 1) % self.reactions.len());
        match (&self.reactions[at], event) {
            (Reaction::Echo, Event::Text(message) | Event::Binary(message)) => {
                let opcode = match (event, message.first) {
                    (_, false) => Opcode::Continuation,
                    (Event::Text(_), _) => Opcode::Text,
                    _ => Opcode::Binary,
                };
                if let Some(client) = client {
                    self.send_frame(client.into(), message.last, opcode, message.bytes, false);
                }
            }
            (Reaction::EchoPart { from, len }, Event::Text(message) | Event::Binary(message)) => {
                let from = usize::from(*from).min(message.len());
                let part = &message.bytes[from..];
                let part = &part[..part.len().min(usize::from(*len))];
                if let Some(client) = client {
                    self.send_frame(client.into(), true, Opcode::Binary, part, false);
                }
            }
            (Reaction::Nothing | Reaction::Echo | Reaction::EchoPart { .. }, _) => {}
            (Reaction::Send(send), _) => self.send(send),
            (Reaction::Release(at), _) => self.release(usize::from(*at)),
            (Reaction::Rare(RareReaction::Ping(to, len)), _) => self.ping(*to, *len),
            (Reaction::Rare(RareReaction::Close(close)), _) => self.close(close),
            (Reaction::Rare(RareReaction::Flush(to)), _) => self.flush(*to),
            (Reaction::Rare(RareReaction::Stop), _) => {
                self.service().stop();
                self.service().wait_stopped();
            }
            (Reaction::Meanwhile(acts), _) => {
                self.depth.set(self.depth.get() + 1);
                for _ in 0..*acts {
                    if let Some(act) = self.next_act() {
                        self.perform(act);
                    }
                }
                self.depth.set(self.depth.get() - 1);
            }
        }
    }

    pub fn perform_as_thread(&self, act: &ThreadAct) {
        match act {
            ThreadAct::Send(send) => self.send(send),
            ThreadAct::Ping(to, len) => self.ping(*to, *len),
            ThreadAct::Close(close) => self.close(close),
            ThreadAct::Flush(to) => self.flush(*to),
            ThreadAct::Release(at) => self.release(usize::from(*at)),
            ThreadAct::Decide(slot, number) => {
                if let Some(client) = self.service().client(usize::from(slot % 4)) {
                    let _ = self.service().answer(client, verdict(*number));
                }
            }
        }
    }

    fn target(&self, to: To) -> Target {
        match to {
            To::Slot(slot) => Target::Slot(usize::from(slot % 4)),
            To::All => Target::All,
            To::Client(at) => {
                let logs = self.logs.borrow();
                let count = logs.len().max(1);
                match logs.keys().nth(usize::from(at) % count) {
                    Some(client) => Target::Client(*client),
                    None => Target::Slot(0),
                }
            }
        }
    }

    /// Returns the clients of a target now.
    fn meant(&self, target: Target) -> Vec<ClientId> {
        match target {
            Target::Client(client) => vec![client],
            Target::Slot(slot) => self.service().client(slot).into_iter().collect(),
            Target::All => (0..self.service().max_clients())
                .filter(|slot| self.service().state(*slot) == ClientState::Connected)
                .filter_map(|slot| self.service().client(slot))
                .collect(),
        }
    }

    fn send(&self, send: &Send) {
        let (fin, opcode) = match send.shape {
            Shape::Text => (true, Opcode::Text),
            Shape::Binary | Shape::NotUtf8 => (true, Opcode::Binary),
            Shape::FirstText => (false, Opcode::Text),
            Shape::FirstBinary => (false, Opcode::Binary),
            Shape::Middle => (false, Opcode::Continuation),
            Shape::Last => (true, Opcode::Continuation),
        };
        let payload = self.payload(b's', usize::from(send.len) % 3000);
        if matches!(send.shape, Shape::NotUtf8) {
            let sent = self
                .service()
                .send(self.target(send.to), MessageKind::Text, b"\xFF");
            assert!(matches!(
                sent,
                Err(SendError::Frame(_) | SendError::NotConnected | SendError::WouldBlock)
            ));
            return;
        }
        self.send_frame(self.target(send.to), fin, opcode, &payload, send.more);
    }

    fn send_frame(&self, to: Target, fin: bool, opcode: Opcode, payload: &[u8], more: bool) {
        let first = if fin { 0x80 } else { 0 } | opcode as u8;
        if more {
            for client in self.meant(to) {
                self.logs.borrow_mut().entry(client).or_default().unflushed = true;
            }
        }
        self.note_sent(to, first, payload, |service| match opcode {
            Opcode::Text if more && fin => service.send_more(to, MessageKind::Text, payload),
            Opcode::Binary if more && fin => service.send_more(to, MessageKind::Binary, payload),
            _ => service.send_frame(to, fin, opcode, payload),
        });
    }

    fn ping(&self, to: To, len: u8) {
        let payload = self.payload(b'p', usize::from(len));
        let to = self.target(to);
        self.note_sent(to, 0x89, &payload, |service| service.ping(to, &payload));
    }

    /// Sends, and records the result for the client.
    fn note_sent(
        &self,
        to: Target,
        first: u8,
        payload: &[u8],
        send: impl FnOnce(&Svc) -> Result<(), SendError>,
    ) {
        let meant = self.meant(to);
        let outcome = send(self.service());
        let mut logs = self.logs.borrow_mut();
        for client in meant {
            let log = logs.entry(client).or_default();
            if outcome.is_ok() || to == Target::All {
                log.sent.push(Sent {
                    first,
                    payload: payload.to_vec(),
                    certain: outcome.is_ok() && to != Target::All,
                });
            }
            if outcome == Err(SendError::Aborted) {
                log.aborted.push((first, payload.to_vec()));
            }
            if to != Target::All && outcome == Err(SendError::WouldBlock) {
                log.refused = true;
            }
        }
    }

    fn close(&self, close: &Close) {
        let code = CloseCode::new(close.code).unwrap_or(CloseCode::NORMAL);
        let reason = "r".repeat(usize::from(close.reason));
        let closed = self.service().close(self.target(close.to), code, &reason);
        assert!(close.reason > 123 || closed != Err(SendError::Close));
    }

    fn flush(&self, to: To) {
        let _ = self.service().flush(self.target(to));
    }

    pub fn set_sink(&self, sink: usize, mode: SinkMode) {
        let sink = &self.sinks[sink % self.sinks.len()];
        if sink.replace(mode) == SinkMode::IsFull {
            self.service().room();
        }
    }

    /// Releases one of the held messages.
    pub fn release(&self, at: usize) {
        let mut held = self.held.borrow_mut();
        let count = held.len().max(1);
        let Some(Held {
            client,
            bytes,
            copy,
        }) = held.remove(at % count)
        else {
            return;
        };
        drop(held);
        self.service().while_held(client, || {
            // SAFETY: the bytes of a held message stay valid and unchanged, which is what this checks.
            let now = unsafe { std::slice::from_raw_parts(bytes, copy.len()) };
            assert_eq!(now, copy, "what is held stays as it is");
        });
        self.service().release(client);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The application: records every event, and echoes every message.

use core::cell::Cell;
use core::hint::black_box;
use wss::protocol::Opcode;
use wss::service::{Application, Delivery, MAX_SINKS, Service};
use wss::{Answer, ClientId, Event, EventMask, Request, SendError, Status, Verdict};

use super::port::ScriptPort;

pub type Svc = Service<ScriptPort, Echo>;

/// An event, and the length of its payload or the code of a close frame.
pub type Told = (EventMask, usize);

const NOTES: usize = 16;

pub struct Echo {
    noted: [Cell<(usize, Told)>; NOTES],
    len: Cell<usize>,
    /// The reaction to messages.
    pub delivery: Cell<Delivery>,
}

impl Echo {
    pub const fn new() -> Self {
        Self {
            noted: [const { Cell::new((0, (EventMask::empty(), 0))) }; NOTES],
            len: Cell::new(0),
            delivery: Cell::new(Delivery::Done),
        }
    }

    /// Forgets the previous test.
    pub fn restart(&self) {
        self.forget();
        self.delivery.set(Delivery::Done);
    }

    /// Returns whether these were all events of the client in `slot` since `forget`.
    pub fn told(&self, slot: usize, expected: &[Told]) -> bool {
        let noted = self.noted.iter().take(self.len.get()).map(Cell::get);
        let of_slot = noted.filter(|(of, _)| *of == slot);
        of_slot.map(|(_, told)| told).eq(expected.iter().copied())
    }

    pub fn forget(&self) {
        self.len.set(0);
    }

    fn note(&self, slot: usize, told: Told) {
        // The check detects an event too many, because it is missing.
        if let Some(place) = self.noted.get(self.len.get()) {
            place.set((slot, told));
            self.len.set(self.len.get() + 1);
        }
    }
}

impl Application<ScriptPort> for Echo {
    #[inline(never)]
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let none = EventMask::empty();
        black_box([EventMask::all(), none, none, none])
    }

    #[inline(never)]
    fn accept(&self, _: ClientId, request: &Request<'_>, answer: Answer<'_>) {
        let verdict = black_box(match (request.path(), request.subprotocols().next()) {
            ("/nowhere", _) => Verdict::refuse(Status::NOT_FOUND),
            (_, Some(name)) => Verdict::accept().subprotocol(name),
            _ => Verdict::accept(),
        });
        let _ = answer.give(verdict);
    }

    #[inline(never)]
    fn deliver(
        &self,
        service: &Svc,
        _: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        let slot = client.map_or(usize::MAX, ClientId::slot);
        let (detail, echoed) = match event {
            Event::Text(message) | Event::Binary(message) => {
                if self.delivery.get() == Delivery::Full {
                    return Delivery::Full;
                }
                let opcode = match (event, message.first) {
                    (_, false) => Opcode::Continuation,
                    (Event::Text(_), _) => Opcode::Text,
                    _ => Opcode::Binary,
                };
                (message.len(), Some((message, opcode)))
            }
            Event::Ping(bytes) | Event::Pong(bytes) => (bytes.len(), None),
            Event::CloseFrame { code, .. } => (code.map_or(0, |code| code.get().into()), None),
            _ => (0, None),
        };
        self.note(slot, (event.mask(), detail));
        let (Some(client), Some((message, opcode))) = (client, echoed) else {
            return Delivery::Done;
        };
        let send: Send = black_box(Svc::send_frame);
        if send(service, client, message.last, opcode, message.bytes).is_err() {
            self.note(slot, (EventMask::ERROR, 0));
        }
        self.delivery.get()
    }
}

type Send = fn(&Svc, ClientId, bool, Opcode, &[u8]) -> Result<(), SendError>;

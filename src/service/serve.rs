//! The serving thread: it waits for sockets and deadlines, accepts connections, and hands clients to
//! the work queue.

use super::admit::{AdoptError, Opening};
use super::bucket::Bucket;
use super::config::Limits;
use super::event::EventMask;
use super::port::{Instant, Interest, Lock as _, Port, Ready, Socket as _, SocketError, Work};
use super::slot::{Due, Owner, Phase};
use super::{Application, Life, Service};
use crate::protocol::{CloseCode, Refusal, Status};

/// The most connections that are accepted in a row before the clients have their turn.
const ACCEPT_AT_ONCE: usize = 16;
/// How long a connection that is turned away may take to read the answer.
const LOBBY_MS: u32 = 1_000;
/// After accepting failed for want of memory or descriptors, it is tried again after this long.
const ACCEPT_AGAIN_MS: u32 = 100;

/// How long the work queue has, at the end of shutting down, to see that clients are cut off.
const FORCED_MS: u32 = 400;

/// What only the serving thread knows.
pub struct Serving<P: Port> {
    lobby: Option<Lobby<P>>,
    accept_again: Option<Instant>,
    /// A token is a slot given to a connection.
    handshakes: Bucket,
    /// Shutting down has begun.
    stopping: bool,
    /// How long after the end of shutting down clients that are left are cut off, once more each time.
    force_after: u32,
}

/// A connection that gets no slot. It is answered once its request begins to arrive, since
/// clients are not prepared for an answer before that, and has some time to read the answer, since
/// closing at once could lose it. Only the last one has that time.
struct Lobby<P: Port> {
    socket: P::Socket,
    /// When it is closed if it does not close itself.
    until: Instant,
    /// What it is answered.
    status: Status,
    answered: bool,
}

impl<P: Port> Lobby<P> {
    /// Says why, if that was not said before.
    fn answer(&mut self) {
        if !self.answered {
            self.answered = true;
            // The other status that there is need not be there.
            let status = if P::LIMITS.contains(Limits::CLIENTS_PER_ADDRESS) {
                self.status
            } else {
                Status::UNAVAILABLE
            };
            let _ = self.socket.send(&Refusal::new(status).parts());
            // Where this cannot be said, the client reads it from the response.
            let _ = self.socket.shutdown_write();
        }
    }
}

impl<P: Port> Serving<P> {
    /// To be kept from one [`Service::serve_once`] to the next.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lobby: None,
            accept_again: None,
            handshakes: Bucket::full(),
            stopping: false,
            force_after: 0,
        }
    }
}

impl<P: Port> Default for Serving<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Serves until [`stop`](Self::stop). To be called once, on the thread that serves.
    pub fn serve(&self) {
        let mut serving = Serving::new();
        while self.serve_once(&mut serving) {}
    }

    /// Waits once, for a thread that has a loop of its own, and does what there is to do: false once
    /// the service has stopped.
    pub fn serve_once(&self, serving: &mut Serving<P>) -> bool {
        self.port.wait(&mut |ready| self.on_ready(serving, ready));
        self.progress_stop(serving);
        self.shared.lock().life != Life::Stopped
    }

    fn on_ready(&self, serving: &mut Serving<P>, ready: Ready) {
        match ready {
            Ready::Listener if !serving.stopping => self.accept(serving),
            Ready::Client { slot, writable } => self.on_client(slot, writable),
            Ready::Lobby => self.on_lobby(serving),
            Ready::Timer => self.on_timer(serving),
            Ready::Listener | Ready::Wake => {}
        }
    }

    fn on_client(&self, index: usize, writable: bool) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut inner = slot.lock();
        inner.watched = Interest::empty();
        if inner.output.caller && writable {
            // A sender in the middle of its frame goes on itself.
            inner.output.blocked = false;
            inner.heard = self.port.now();
            slot.notify_all();
        } else if inner.kick() {
            // Not with the lock held: the work queue may have the higher priority, and would only come
            // to wait for it.
            drop(inner);
            self.port.submit(Work::Client(index));
        }
    }

    fn accept(&self, serving: &mut Serving<P>) {
        for turn in 0..ACCEPT_AT_ONCE {
            if let Some(until) = self.handshakes_pause(serving) {
                if turn > 0 {
                    // Perhaps nobody waits any more.
                    break;
                }
                // Whoever waits is left where the operating system keeps it: that costs less than an
                // answer, and nobody is lost.
                self.count(|stats| &mut stats.accept_pauses);
                log::debug!("too many connections in a second: accepting pauses");
                return self.accept_later(serving, until);
            }
            match self.port.accept() {
                Ok(socket) => self.welcome(serving, socket),
                Err(SocketError::WouldBlock) => break,
                Err(SocketError::Failed) => {
                    self.tell_not_accepted();
                    // It would fail again at once.
                    let again = self.port.now() + ACCEPT_AGAIN_MS;
                    return self.accept_later(serving, again);
                }
            }
        }
        self.port.watch_listener();
    }

    /// A connection could not be had, or not be watched.
    fn tell_not_accepted(&self) {
        self.count(|stats| &mut stats.accept_errors);
        self.announce(EventMask::ERROR);
    }

    /// Accepts again at `again`. The listener is not watched until then.
    fn accept_later(&self, serving: &mut Serving<P>, again: Instant) {
        serving.accept_again = Some(again);
        self.set_timer(again);
    }

    /// When the next connection may be given a slot, if none may be now.
    fn handshakes_pause(&self, serving: &Serving<P>) -> Option<Instant> {
        if !P::LIMITS.contains(Limits::HANDSHAKES) {
            return None;
        }
        let rate = self.config.handshakes_per_second;
        serving.handshakes.empty_until(rate, self.port.now())
    }

    /// A connection was given a slot.
    fn take_handshake(&self, serving: &mut Serving<P>) {
        if P::LIMITS.contains(Limits::HANDSHAKES) {
            let rate = self.config.handshakes_per_second;
            serving.handshakes.take(rate, self.port.now());
        }
    }

    /// Gives a connection a slot, or turns it away.
    fn welcome(&self, serving: &mut Serving<P>, socket: P::Socket) {
        match self.adopt(&socket, &[], Opening::Request) {
            Ok(_) => self.take_handshake(serving),
            Err(AdoptError::Full) => {
                self.count(|stats| &mut stats.refused_full);
                self.turn_away(serving, socket, Status::UNAVAILABLE);
            }
            Err(AdoptError::AddressFull) if P::LIMITS.contains(Limits::CLIENTS_PER_ADDRESS) => {
                log::debug!("refused: {:?} has as many clients as it may", socket.peer());
                self.count(|stats| &mut stats.refused_address);
                self.turn_away(serving, socket, Status::TOO_MANY_REQUESTS);
            }
            Err(error) => {
                self.port.close(self.max_clients(), socket);
                if error == AdoptError::Failed {
                    self.tell_not_accepted();
                }
            }
        }
    }

    /// Has the connection wait in the lobby for its request, and for its answer.
    fn turn_away(&self, serving: &mut Serving<P>, socket: P::Socket, status: Status) {
        self.clear_lobby(serving);
        let lobby = self.max_clients();
        if self.port.attach(lobby, &socket).is_err() {
            return self.port.close(lobby, socket);
        }
        self.port.watch(lobby, &socket, Interest::READ);
        let until = self.port.now() + LOBBY_MS;
        serving.lobby = Some(Lobby {
            socket,
            until,
            status,
            answered: false,
        });
        self.set_timer(until);
    }

    fn on_lobby(&self, serving: &mut Serving<P>) {
        let Some(lobby) = &mut serving.lobby else {
            return;
        };
        let mut dropped = [0; 64];
        match lobby.socket.receive(&mut dropped) {
            Ok(0) | Err(SocketError::Failed) => return self.clear_lobby(serving),
            Ok(_) => lobby.answer(),
            Err(SocketError::WouldBlock) => {}
        }
        self.port
            .watch(self.max_clients(), &lobby.socket, Interest::READ);
    }

    fn clear_lobby(&self, serving: &mut Serving<P>) {
        if let Some(mut lobby) = serving.lobby.take() {
            lobby.answer();
            self.port.close(self.max_clients(), lobby.socket);
        }
    }

    /// Does what is due, and sets the timer for what will be next.
    fn on_timer(&self, serving: &mut Serving<P>) {
        self.shared.lock().timer = None;
        let now = self.port.now();
        let mut next = Instant::NEVER;
        match &serving.lobby {
            Some(lobby) if now >= lobby.until => self.clear_lobby(serving),
            Some(lobby) => next = lobby.until,
            None => {}
        }
        match serving.accept_again {
            Some(again) if now >= again => {
                serving.accept_again = None;
                if !serving.stopping {
                    self.accept(serving);
                }
            }
            Some(again) => next = next.min(again),
            None => {}
        }
        for index in 0..self.max_clients() {
            next = next.min(self.expire(index, now));
        }
        if let Life::Stopping(until) = self.shared.lock().life {
            next = next.min(until.max(now + 1));
        }
        self.set_timer(next);
    }

    /// Does what is due for a client; when something will be next.
    fn expire(&self, index: usize, now: Instant) -> Instant {
        let Some(slot) = self.slot(index) else {
            return Instant::NEVER;
        };
        let mut inner = slot.lock();
        if inner.owner == Owner::Free {
            return Instant::NEVER;
        }
        let masks = self.application.masks();
        let due = inner.expire(now, &self.config, &masks);
        match due {
            Due::Silent => self.count(|stats| &mut stats.timeouts),
            Due::Aborted => self.count(|stats| &mut stats.aborted),
            Due::NotYet | Due::Ping | Due::Over => {}
        }
        match due {
            Due::NotYet => {}
            Due::Ping => {
                self.keep_alive(&mut inner);
                self.after_send(index, slot, &mut inner);
            }
            Due::Silent | Due::Aborted | Due::Over => {
                self.flush_output(slot, &mut inner, None);
                slot.notify_all();
                self.kick(index, &mut inner);
            }
        }
        inner.covered = inner.next_deadline(&self.config);
        inner.covered
    }

    /// Shuts down: clients are closed, and at the end cut off.
    fn progress_stop(&self, serving: &mut Serving<P>) {
        let Life::Stopping(until) = self.shared.lock().life else {
            return;
        };
        if !serving.stopping {
            serving.stopping = true;
            self.port.close_listener();
            self.clear_lobby(serving);
            self.end_clients(false);
            self.set_timer(until);
        }
        let mut shared = self.shared.lock();
        if shared.free == self.max_clients()
            || serving.force_after >= FORCED_MS && self.port.now() >= until + FORCED_MS
        {
            drop(shared);
            self.port.stopped();
            shared = self.shared.lock();
            shared.life = Life::Stopped;
            drop(shared);
            self.shared.notify_all();
        } else if self.port.now() >= until + serving.force_after {
            drop(shared);
            // Two more rounds for the work queue to tell and to close what is left: in the first one there
            // may be no room for the last events.
            serving.force_after = serving.force_after.saturating_add(FORCED_MS / 2);
            self.end_clients(true);
            self.set_timer(until + serving.force_after);
        }
    }

    /// Starts closing every client with 1001, or, with `force`, cuts it off with whatever events have
    /// not been taken.
    fn end_clients(&self, force: bool) {
        let masks = self.application.masks();
        let now = self.port.now();
        for (index, slot) in self.slots.as_ref().iter().enumerate() {
            let mut inner = slot.lock();
            if inner.owner == Owner::Free {
                continue;
            }
            match inner.phase {
                _ if force => {
                    if inner.is_cut_off() {
                        self.count(|stats| &mut stats.aborted);
                    }
                    inner.advance(Phase::Dead, now, &masks);
                    inner.held = 0;
                    // Who takes none is told nothing more; the others are told the end.
                    let stalled = inner.stalled;
                    for (sink, pending) in inner.pending.iter_mut().enumerate() {
                        if stalled & 1 << sink != 0 {
                            *pending = EventMask::empty();
                        }
                    }
                    if let Some(inbound) = &mut inner.inbound {
                        inbound.undelivered = None;
                    }
                }
                Phase::Handshake => inner.advance(Phase::Dead, now, &masks),
                _ => {
                    let code = Some(CloseCode::GOING_AWAY);
                    inner.close(code, Phase::CloseSent, now, &masks);
                    self.flush_output(slot, &mut inner, None);
                }
            }
            slot.notify_all();
            self.kick(index, &mut inner);
        }
    }
}

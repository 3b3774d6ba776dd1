// SPDX-License-Identifier: Apache-2.0
//! The serving thread: it waits for sockets and deadlines, accepts connections, and hands clients to
//! the work queue.

use core::sync::atomic::Ordering::Relaxed;

use super::admit::{AdoptError, Opening};
use super::bucket::Bucket;
use super::config::Limits;
use super::event::EventMask;
use super::logins::{self, LoginTable as _};
use super::opening::head_end;
use super::port::{Interest, Lock as _, Port, Ready, Socket as _, SocketError, Work};
use super::stats::Counter;
use super::stop::{Life, Stopping};
use super::time::{Instant, TIMER_GRANULARITY_MS};
use super::{Application, Service};
use crate::protocol::{Refusal, Status};

/// The maximum number of connections accepted in a row before the clients have their turn.
const ACCEPT_AT_ONCE: usize = 16;
/// How long a rejected connection has to read the response, in milliseconds.
const LOBBY_MS: u32 = 1_000;
/// How long to wait before accepting again after it failed for lack of memory or descriptors, in milliseconds.
const ACCEPT_AGAIN_MS: u32 = 100;
/// With pages: how long a connection waits before it is refused because every slot is in use, in milliseconds. A
/// browser that reloads a page connects before it closes the WebSocket of that page.
const FULL_MS: u32 = 100;

/// State of the serving thread.
pub struct Serving<P: Port> {
    lobby: Option<Lobby<P>>,
    accept_again: Option<Instant>,
    /// Accepting waits for room in a slot.
    awaits_room: bool,
    /// No connection makes any, and this is the last wait before one is refused.
    awaits_change: bool,
    /// When the application's next tick is due.
    tick: Option<Instant>,
    /// Connections cannot be accepted. Set when this was emitted.
    accept_fails: bool,
    /// Has a token for each connection that gets a slot.
    handshakes: Bucket,
    /// The port was woken since the last check.
    woken: bool,
    pub(super) stopping: Stopping,
}

/// A connection that gets no slot. It is answered once its request begins to arrive, because clients do not expect a
/// response before that. Then it has some time to read the response, because closing at once could lose it. Only the
/// last such connection has that time.
struct Lobby<P: Port> {
    socket: P::Socket,
    /// The time when it is closed, unless the client closes it.
    until: Instant,
    /// The status of the response.
    status: Status,
    answered: bool,
}

impl<P: Port> Lobby<P> {
    /// Sends the response, unless it was sent before.
    fn answer(&mut self, port: &P) {
        if !self.answered {
            self.answered = true;
            let date = port.date();
            let end = head_end(date.as_ref());
            // Without this limit, 503 is the only status, and there is no code for the other.
            let status = if P::LIMITS.contains(Limits::CLIENTS_PER_ADDRESS) {
                self.status
            } else {
                Status::SERVICE_UNAVAILABLE
            };
            let _ = self.socket.send(&Refusal::new(status, None).parts(end));
            // If this is not possible, the response itself announces the end.
            let _ = self.socket.shutdown_write();
        }
    }
}

impl<P: Port> Serving<P> {
    /// Creates the state for [`Service::serve_once`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lobby: None,
            accept_again: None,
            awaits_room: false,
            awaits_change: false,
            tick: None,
            accept_fails: false,
            handshakes: Bucket::full(),
            // The service may have been stopped before it is served.
            woken: true,
            stopping: Stopping::new(),
        }
    }
}

impl<P: Port> Default for Serving<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Port, A: Application<P>> Service<P, A> {
    /// Serves until [`stop`](Self::stop). Call it once, on the serving thread.
    pub fn serve(&self) {
        let mut serving = Serving::new();
        while self.serve_once(&mut serving) {}
        self.application.ended();
    }

    /// Waits once, and handles what is ready: for a thread with its own loop. Returns false once the service has
    /// stopped.
    pub fn serve_once(&self, serving: &mut Serving<P>) -> bool {
        if A::TICKS && serving.tick.is_none() {
            self.begin_ticks(serving);
        }
        self.port.wait(&mut |ready| self.on_ready(serving, ready));
        if P::PAGES && serving.awaits_room && self.has_room() && !serving.stopping.begun {
            serving.accept_again = None;
            self.accept(serving);
        }
        if !core::mem::take(&mut serving.woken) && !serving.stopping.begun {
            return true;
        }
        if let Life::Stopping(until) = self.life() {
            self.progress_stop(serving, until);
        }
        self.life() != Life::Stopped
    }

    fn life(&self) -> Life {
        self.shared.lock().life
    }

    fn on_ready(&self, serving: &mut Serving<P>, ready: Ready) {
        match ready {
            Ready::Client { slot, writable } => self.on_client(slot, writable),
            Ready::Work(work) => self.run(work),
            Ready::Listener if !serving.stopping.begun => self.accept(serving),
            Ready::Listener => {}
            Ready::Lobby => self.on_lobby(serving),
            Ready::Timer(at) => self.on_timer(serving, at),
            Ready::Wake => serving.woken = true,
        }
    }

    /// Handles a ready socket of a client, like [`Ready::Client`]: for ports that wait on further threads besides the
    /// serving one.
    pub fn on_client(&self, index: usize, writable: bool) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut inner = slot.lock();
        inner.watched = Interest::empty();
        if inner.output.has_caller() && writable {
            // A sender in the middle of its frame continues by itself.
            inner.output.unblock();
            inner.hear(self.port.now());
            slot.notify_all();
        } else if inner.kick() {
            if P::INLINE {
                return self.run_client(index, slot, inner);
            }
            // Not with the lock held: a work queue with a higher priority would wait for it at once.
            drop(inner);
            self.port.submit(Work::Client(index));
        }
    }

    fn accept(&self, serving: &mut Serving<P>) {
        // The time until which all input is known, if the timer has come.
        let known_until = if P::PAGES {
            serving.accept_again.take()
        } else {
            None
        };
        let mut refuses = false;
        for turn in 0..ACCEPT_AT_ONCE {
            if let Some(until) = self.handshakes_pause(serving) {
                if turn > 0 {
                    // There may be no further connection.
                    break;
                }
                // Leave connections in the operating system's backlog: that costs less than a response, and none is
                // lost.
                self.count(Counter::AcceptPauses);
                log::debug!("too many connections in a second: accepting pauses");
                return self.accept_later(serving, until);
            }
            if P::PAGES && self.has_pages() {
                serving.awaits_room = false;
                let has_waited = core::mem::take(&mut serving.awaits_change);
                // Those that have waited are refused together.
                if !refuses && !self.has_room() {
                    if turn > 0 {
                        // There may be no further connection, for which another one would have to be closed.
                        break;
                    }
                    let mut until = self.make_room(known_until);
                    if until.is_none() && !has_waited {
                        serving.awaits_change = true;
                        until = Some(self.port.now() + FULL_MS);
                    }
                    if let Some(until) = until {
                        serving.awaits_room = true;
                        return self.accept_later(serving, until);
                    }
                    refuses = true;
                }
            }
            match self.port.accept() {
                Ok(socket) => self.welcome(serving, socket),
                Err(SocketError::WouldBlock) => break,
                Err(_) => {
                    self.accept_failed(serving);
                    // It would fail again at once.
                    let again = self.port.now() + ACCEPT_AGAIN_MS;
                    return self.accept_later(serving, again);
                }
            }
        }
        self.port.watch_listener();
    }

    /// Handles a connection that could not be accepted or watched. Emits that once, until accepting works again.
    fn accept_failed(&self, serving: &mut Serving<P>) {
        if !core::mem::replace(&mut serving.accept_fails, true) {
            self.count(Counter::AcceptErrors);
            self.announce(EventMask::ERROR);
        }
    }

    /// Accepts again at `again`. The listener is not watched until then.
    fn accept_later(&self, serving: &mut Serving<P>, again: Instant) {
        serving.accept_again = Some(again);
        self.set_timer(Some(again));
    }

    /// Returns when the next connection may get a slot, if none may now.
    fn handshakes_pause(&self, serving: &mut Serving<P>) -> Option<Instant> {
        if !P::LIMITS.contains(Limits::HANDSHAKES) {
            return None;
        }
        let rate = self.settings.handshakes_per_second();
        serving.handshakes.empty_until(rate, self.port.now())
    }

    /// Counts a connection that got a slot.
    fn take_handshake(&self, serving: &mut Serving<P>) {
        if P::LIMITS.contains(Limits::HANDSHAKES) {
            let rate = self.settings.handshakes_per_second();
            serving.handshakes.take(rate, self.port.now());
        }
    }

    /// Gives a connection a slot, or rejects it.
    fn welcome(&self, serving: &mut Serving<P>, socket: P::Socket) {
        match self.adopt(&socket, &[], Opening::Request) {
            Ok(_) => {
                serving.accept_fails = false;
                self.take_handshake(serving);
            }
            Err(AdoptError::Full) => {
                self.count(Counter::RefusedFull);
                self.turn_away(serving, socket, Status::SERVICE_UNAVAILABLE);
            }
            Err(AdoptError::AddressFull) if P::LIMITS.contains(Limits::CLIENTS_PER_ADDRESS) => {
                log::debug!("refused: {:?} has too many clients", socket.peer());
                self.count(Counter::RefusedAddress);
                self.turn_away(serving, socket, Status::TOO_MANY_REQUESTS);
            }
            Err(error) => {
                self.port.close(self.max_clients(), socket);
                if error == AdoptError::Failed {
                    self.accept_failed(serving);
                }
            }
        }
    }

    /// Puts the connection into the lobby, where it waits for its request, and for its response.
    fn turn_away(&self, serving: &mut Serving<P>, socket: P::Socket, status: Status) {
        let lobby = self.max_clients();
        if P::TLS && socket.is_tls() {
            // A response would need a TLS handshake, and its memory.
            return self.port.close(lobby, socket);
        }
        self.clear_lobby(serving);
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
        self.set_timer(Some(until));
    }

    fn on_lobby(&self, serving: &mut Serving<P>) {
        let Some(lobby) = &mut serving.lobby else {
            return;
        };
        let mut dropped = [0; 64];
        match lobby.socket.receive(&mut dropped) {
            Err(SocketError::WouldBlock | SocketError::NoBuffers) => {}
            Ok(0) | Err(_) => return self.clear_lobby(serving),
            Ok(_) => lobby.answer(&self.port),
        }
        self.port
            .watch(self.max_clients(), &lobby.socket, Interest::READ);
    }

    pub(super) fn clear_lobby(&self, serving: &mut Serving<P>) {
        if let Some(mut lobby) = serving.lobby.take() {
            lobby.answer(&self.port);
            self.port.close(self.max_clients(), lobby.socket);
        }
    }

    /// Handles expired deadlines, and sets the timer for the next one. `now` is the time when the port last looked at
    /// the sockets: all input until then is known.
    fn on_timer(&self, serving: &mut Serving<P>, now: Instant) {
        let due = self.shared.lock().timer.take();
        if due.is_some_and(|at| at.until(now) > self.settings.suspension() && now.has_reached(at)) {
            self.forgive(now);
        }
        let mut next = None;
        match &serving.lobby {
            Some(lobby) if now.has_reached(lobby.until) => self.clear_lobby(serving),
            Some(lobby) => next = Some(lobby.until),
            None => {}
        }
        match serving.accept_again {
            Some(again) if now.has_reached(again) => {
                // For a service with pages, all input is known until then.
                serving.accept_again = P::PAGES.then_some(now);
                if !serving.stopping.begun {
                    self.accept(serving);
                }
            }
            again => next = Instant::earlier(next, again),
        }
        let ends_pause = self.ends_pause(now);
        let count = self.max_clients();
        for turn in 0..count {
            // After a pause, start with a different client each time.
            let index = if P::LACKS_BUFFERS {
                (now.0 as usize / TIMER_GRANULARITY_MS as usize).wrapping_add(turn) % count
            } else {
                turn
            };
            next = Instant::earlier(next, self.expire(index, now, ends_pause));
        }
        if self.is_paused() {
            next = Instant::earlier(next, Some(Instant(self.paused_until.load(Relaxed))));
        }
        if P::LIMITS.contains(Limits::HANDSHAKES) {
            let rate = self.settings.handshakes_per_second();
            serving.handshakes.refresh(rate, self.port.now());
        }
        if P::LIMITS.contains(Limits::LOGIN_FAILURES) {
            logins::refresh(self.shared.lock().logins.entries(), self.port.now());
        }
        self.set_timer(next);
        if A::TICKS && !serving.stopping.begun {
            self.tick(serving, now);
        }
    }

    /// Sets the time of the application's first tick.
    #[inline(never)] // Nearly always there is one.
    fn begin_ticks(&self, serving: &mut Serving<P>) {
        let period = self.settings.tick_ms();
        if period > 0 {
            let at = self.port.now() + period;
            serving.tick = Some(at);
            self.set_tick(at);
        }
    }

    /// Schedules the application's tick if it is due, and sets the time of the next one.
    fn tick(&self, serving: &mut Serving<P>, now: Instant) {
        let Some(at) = &mut serving.tick else {
            return;
        };
        if now.has_reached(*at) {
            self.tick_due.store(true, Relaxed);
            self.port.submit(Work::Service);
            // Missed ticks are skipped, and do not shift the following ones.
            let period = self.settings.tick_ms().max(1);
            *at = now + (period - at.until(now) % period);
        }
        self.set_tick(*at);
    }
}

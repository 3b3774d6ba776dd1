// SPDX-License-Identifier: Apache-2.0
//! A port whose sockets, clock and work queue are scripts, over any kind of lock.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use wss::service::{
    Application, Config, Inbound, Instant, Interest, Lock, Login, Pool, Port, Ready, Service,
    Shared, Slot, SlotState, Socket, SocketError, Work,
};

use crate::records::Tls;

/// A lock that can be created when it is needed.
pub trait NewLock<T>: Lock<T> {
    fn new(value: T) -> Self;
}

/// The kind of locks and threads that a scripted port uses.
pub trait Kind: Sized + Send + Sync + 'static {
    /// Whether waiting for readiness blocks, because there are other threads.
    const WAITS: bool;
    type Lock<T>: NewLock<T>;
    fn on_service_thread() -> bool;
    fn thread() -> usize;
    fn now() -> u64;
    /// Whether the network has buffers.
    fn has_buffers() -> bool {
        true
    }
    /// Whether this thread holds a lock, as far as known.
    fn holds_locks() -> bool {
        false
    }
    /// Actions of others during a step of a TLS handshake.
    fn during_step() {}
}

/// The test's clock does not wrap; the service's does.
pub fn instant(ms: u64) -> Instant {
    Instant(ms as u32)
}

/// Creates an open service with `slots` slots, each with a receive buffer of `len` bytes, and `blocks` blocks of
/// `block_size` bytes. Its first clients have this generation.
pub fn service<K: Kind, A: Application<ScriptPort<K>>>(
    application: A,
    config: &Config,
    (slots, len): (usize, usize),
    (blocks, block_size): (usize, usize),
    generation: u32,
) -> Service<ScriptPort<K>, A> {
    let bytes = |len| vec![0xEE; len].into_boxed_slice();
    let free = (0..slots).map(|_| Slot::new(K::Lock::new(SlotState::FREE)));
    let service = Service::new(
        ScriptPort::new(slots),
        application,
        free.collect(),
        K::Lock::new(Pool::new(Vec::new())),
        K::Lock::new(Shared::NEW),
    );
    let blocks = (0..blocks).map(|_| Some(bytes(block_size))).collect();
    service.equip(|| Box::new(Inbound::new(bytes(len))), blocks);
    assert!(service.open(config, generation));
    service
}

/// The two directions of a connection, from the view of the server's operating system.
#[derive(Default)]
pub struct Wire {
    /// The client's address.
    pub peer: u32,
    /// Bytes from the client that the server has not received.
    pub to_server: VecDeque<u8>,
    /// The client has shut down its sending side.
    pub eof: bool,
    /// The client has reset the connection.
    pub reset: bool,
    /// The output of the server.
    pub from_server: Vec<u8>,
    /// The number of bytes that the client still takes.
    pub window: usize,
    /// The window after a send was refused.
    pub opens_to: Option<usize>,
    /// The client uses TLS: the server's output is what the client has decrypted.
    pub tls: Option<Box<Tls>>,
    /// The maximum that one receive returns; 0: no limit.
    pub segment: usize,
    /// The slot of the connection, or the number of slots for the lobby.
    pub slot: Option<usize>,
    /// The number of earlier sockets in that slot.
    pub nth: usize,
    /// How often the server wrote something.
    pub writes: usize,
    /// How often the server tried to write.
    pub sends: usize,
    /// The server cannot shut down its sending side.
    pub no_shutdown: bool,
    /// The server has shut down its sending side.
    pub shut: bool,
    /// The server has closed the socket.
    pub closed: bool,
}

impl Wire {
    /// Limits what one receive returns.
    pub fn most(&self) -> usize {
        match self.segment {
            0 => usize::MAX,
            segment => segment,
        }
    }

    /// Sends these bytes from the client.
    pub fn say(&mut self, bytes: &[u8]) {
        match self.tls() {
            Some(mut tls) => {
                tls.client.say(self, bytes);
                self.tls = Some(tls);
            }
            None => self.to_server.extend(bytes),
        }
    }

    /// Ends the client's side regularly.
    pub fn end(&mut self) {
        match self.tls() {
            Some(mut tls) => {
                tls.client.end(self);
                self.tls = Some(tls);
            }
            None => self.eof = true,
        }
    }

    /// Calls a function with TLS and the wire below it.
    pub fn with_tls<T>(&mut self, act: impl FnOnce(&mut Tls, &mut Self) -> T) -> T {
        let mut tls = self.tls.take().expect("a client that uses TLS");
        let result = act(&mut tls, self);
        self.tls = Some(tls);
        result
    }

    /// Takes TLS while the server has it. The caller puts it back.
    fn tls(&mut self) -> Option<Box<Tls>> {
        self.tls.take_if(|tls| !tls.is_plain())
    }

    fn assert_usable(&self) {
        assert!(!self.closed, "a closed socket is not used");
        let is_stepping = self.tls.as_ref().is_some_and(|tls| tls.is_stepping);
        assert!(!is_stepping, "a step of the handshake has the socket");
    }
}

pub struct ScriptSocket<K: Kind>(pub Arc<K::Lock<Wire>>);

impl<K: Kind> Clone for ScriptSocket<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Kind> Socket for ScriptSocket<K> {
    type Peer = u32;

    fn peer(&self) -> u32 {
        self.0.lock().peer
    }

    fn network(&self) -> u64 {
        self.0.lock().peer.into()
    }

    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        assert!(!space.is_empty(), "nothing can be received into no space");
        let mut wire = self.0.lock();
        wire.assert_usable();
        if wire.reset {
            return Err(SocketError::Failed);
        }
        if let Some(mut tls) = wire.tls() {
            assert!(
                tls.is_open(),
                "nothing is received before the handshake is done"
            );
            let received = tls.receive(&mut wire, space);
            wire.tls = Some(tls);
            return received;
        }
        if wire.to_server.is_empty() {
            return if wire.eof {
                Ok(0)
            } else {
                Err(SocketError::WouldBlock)
            };
        }
        let count = space.len().min(wire.to_server.len()).min(wire.most());
        for (place, byte) in space.iter_mut().zip(wire.to_server.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError> {
        let mut wire = self.0.lock();
        wire.assert_usable();
        assert!(!wire.shut, "a shut socket is not written to");
        if wire.reset {
            return Err(SocketError::Failed);
        }
        let bytes = parts.concat();
        wire.sends += 1;
        if wire.tls.as_ref().is_some_and(|tls| !tls.is_http()) {
            return wire.with_tls(|tls, wire| tls.send(wire, &bytes, K::has_buffers()));
        }
        let count = bytes.len().min(wire.window);
        if count == 0 && !bytes.is_empty() {
            if let Some(window) = wire.opens_to.take() {
                wire.window = window;
            }
            return Err(SocketError::WouldBlock);
        }
        if !K::has_buffers() {
            return Err(SocketError::NoBuffers);
        }
        wire.window -= count;
        wire.writes += 1;
        wire.from_server.extend(&bytes[..count]);
        Ok(count)
    }

    fn has_buffers(&self) -> bool {
        K::has_buffers()
    }

    fn is_tls(&self) -> bool {
        self.0.lock().tls.is_some()
    }

    fn is_handshaking(&self) -> bool {
        let wire = self.0.lock();
        wire.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn handshake(&self) -> Result<(), SocketError> {
        assert!(!K::holds_locks(), "a step is done without locks");
        let mut wire = self.0.lock();
        wire.assert_usable();
        wire.with_tls(|tls, _| {
            assert!(tls.is_handshaking(), "there is no step left to be done");
            tls.is_stepping = true;
        });
        drop(wire);
        K::during_step();
        let mut wire = self.0.lock();
        assert!(!wire.closed, "not closed in the middle of a step");
        wire.with_tls(|tls, wire| {
            tls.is_stepping = false;
            tls.handshake(wire, K::has_buffers())
        })
    }

    fn has_unsent(&self) -> bool {
        let wire = self.0.lock();
        wire.tls.as_ref().is_some_and(|tls| tls.has_unsent())
    }

    fn has_buffered(&self) -> bool {
        let wire = self.0.lock();
        wire.tls.as_ref().is_some_and(|tls| tls.has_buffered())
    }

    fn tls_error(&self) -> impl Display {
        self.0.lock().tls.as_ref().map_or("", |tls| tls.error)
    }

    fn shutdown_write(&self) -> Result<(), SocketError> {
        let mut wire = self.0.lock();
        wire.assert_usable();
        if wire.tls.is_some() {
            wire.with_tls(|tls, wire| tls.shut(wire, K::has_buffers()))?;
        }
        if wire.no_shutdown {
            return Err(SocketError::Failed);
        }
        wire.shut = true;
        Ok(())
    }
}

/// The state of the scripted network, and the requests of the service.
pub struct State<K: Kind> {
    /// Connections that wait to be accepted; `None` represents a failure to accept.
    pub backlog: VecDeque<Option<ScriptSocket<K>>>,
    pub listening: bool,
    pub listener_watched: bool,
    pub work: VecDeque<Work>,
    watched: Vec<(Option<ScriptSocket<K>>, Interest)>,
    pub timer: Option<Instant>,
    pub woken: bool,
    /// How often something was ready.
    pub told: usize,
    /// The number of sockets that each slot has had.
    sockets: Vec<usize>,
    /// The number of further sockets that cannot be watched.
    pub unwatchable: usize,
}

pub struct ScriptPort<K: Kind> {
    pub state: K::Lock<State<K>>,
}

impl<K: Kind> State<K> {
    /// Returns the socket of the client in this slot.
    pub fn socket(&self, slot: usize) -> Option<ScriptSocket<K>> {
        self.watched[slot].0.clone()
    }
}

impl<K: Kind> ScriptPort<K> {
    pub fn new(slots: usize) -> Self {
        Self {
            state: K::Lock::new(State {
                backlog: VecDeque::new(),
                listening: true,
                listener_watched: true,
                work: VecDeque::new(),
                // One more, for the lobby.
                watched: vec![(None, Interest::empty()); slots + 1],
                timer: None,
                woken: false,
                told: 0,
                sockets: vec![0; slots + 1],
                unwatchable: 0,
            }),
        }
    }

    /// Returns what is ready now. None of it is watched any more.
    fn take_ready(state: &mut State<K>) -> Vec<Ready> {
        let now = instant(K::now());
        let mut ready = Vec::new();
        if state.listening && state.listener_watched && !state.backlog.is_empty() {
            state.listener_watched = false;
            ready.push(Ready::Listener);
        }
        let lobby = state.watched.len() - 1;
        for (slot, (socket, interest)) in state.watched.iter_mut().enumerate() {
            let Some(socket) = socket else { continue };
            let wire = socket.0.lock();
            let readable = wire.reset || wire.eof || !wire.to_server.is_empty();
            let writable = wire.reset || wire.window > 0;
            if interest.contains(Interest::READ) && readable
                || interest.contains(Interest::WRITE) && writable
            {
                *interest = Interest::empty();
                ready.push(if slot == lobby {
                    Ready::Lobby
                } else {
                    Ready::Client { slot, writable }
                });
            }
        }
        if std::mem::take(&mut state.woken) {
            ready.push(Ready::Wake);
        }
        if state.timer.take_if(|at| now.has_reached(*at)).is_some() {
            ready.push(Ready::Timer(now));
        }
        state.told += ready.len();
        ready
    }

    /// Does not report a socket until it is watched again.
    pub fn unwatch(&self, slot: usize) {
        self.state.lock().watched[slot].1 = Interest::empty();
    }

    pub fn watched(&self, slot: usize) -> Interest {
        self.state.lock().watched[slot].1
    }
}

impl<K: Kind> Port for ScriptPort<K> {
    const RUNS_IN_A_ROW: Option<u8> = Some(3);
    const LACKS_BUFFERS: bool = true;
    const TLS: bool = true;
    const PAGES: bool = true;

    type Lock<T> = K::Lock<T>;
    type Socket = ScriptSocket<K>;
    type Storage = Box<[u8]>;
    type Inbound = Box<Inbound<Self::Storage>>;
    type Slots = Vec<Slot<Self>>;
    type Logins = [Login; 3];
    type Blocks = Vec<Option<Box<[u8]>>>;

    fn now(&self) -> Instant {
        instant(K::now())
    }

    fn submit(&self, work: Work) {
        let mut state = self.state.lock();
        let queued = state.work.contains(&work);
        assert!(!queued || work == Work::Service, "{work:?} is queued twice");
        if !queued {
            state.work.push_back(work);
        }
        drop(state);
        self.state.notify_all();
    }

    fn on_service_thread(&self) -> bool {
        K::on_service_thread()
    }

    fn thread(&self) -> usize {
        K::thread()
    }

    fn accept(&self) -> Result<ScriptSocket<K>, SocketError> {
        match self.state.lock().backlog.pop_front() {
            None => Err(SocketError::WouldBlock),
            Some(None) => Err(SocketError::Failed),
            Some(Some(socket)) => Ok(socket),
        }
    }

    fn watch_listener(&self) {
        self.state.lock().listener_watched = true;
    }

    fn close_listener(&self) {
        self.state.lock().listening = false;
    }

    fn attach(&self, slot: usize, socket: &ScriptSocket<K>) -> Result<(), SocketError> {
        let mut state = self.state.lock();
        if state.unwatchable > 0 {
            state.unwatchable -= 1;
            return Err(SocketError::Failed);
        }
        let place = &mut state.watched[slot];
        assert!(place.0.is_none(), "slot {slot} has a socket already");
        *place = (Some(socket.clone()), Interest::empty());
        let mut wire = socket.0.lock();
        (wire.slot, wire.nth) = (Some(slot), state.sockets[slot]);
        state.sockets[slot] += 1;
        Ok(())
    }

    fn watch(&self, slot: usize, _socket: &ScriptSocket<K>, interest: Interest) {
        self.state.lock().watched[slot].1 = interest;
        self.state.notify_all();
    }

    fn close(&self, slot: usize, socket: ScriptSocket<K>) {
        self.state.lock().watched[slot] = (None, Interest::empty());
        let mut wire = socket.0.lock();
        wire.assert_usable();
        wire.closed = true;
    }

    fn set_timer(&self, at: Instant) {
        self.state.lock().timer = Some(at);
        self.state.notify_all();
    }

    fn wake(&self) {
        self.state.lock().woken = true;
        self.state.notify_all();
    }

    fn wait(&self, ready: &mut dyn FnMut(Ready)) {
        let mut state = self.state.lock();
        let mut all = Self::take_ready(&mut state);
        while K::WAITS && all.is_empty() {
            state = self.state.wait(state, u32::MAX);
            all = Self::take_ready(&mut state);
        }
        drop(state);
        for what in all {
            ready(what);
        }
    }
}

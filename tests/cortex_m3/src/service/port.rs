// SPDX-License-Identifier: Apache-2.0
//! The port: sockets are scripted clients, and the tests drive the clock and the work queue.
//!
//! It is not that of `tests/support`, which has a heap, and whose panics format messages: here these would be measured
//! as flash of the service.

use crate::{Alone, client, give_up, text};
use core::cell::{Cell, UnsafeCell};
use core::hint::black_box;
use core::num::NonZeroUsize;
use core::ops::{Deref, DerefMut};
use wss::service::{
    Inbound, Instant, Interest, Limits, Lock, Login, Port, Ready, Slot, Socket, SocketError, Work,
};

use super::CLIENTS;

/// Milliseconds.
pub static NOW: Alone<Cell<u32>> = Alone(Cell::new(0));

/// Whether the thread that polls also does the work.
pub const INLINE: bool = cfg!(feature = "inline");

/// A lock for a program without threads.
pub struct Single<T> {
    lock: Flag,
    value: UnsafeCell<T>,
}

impl<T> Single<T> {
    pub const fn new(value: T) -> Self {
        Self {
            lock: Flag(Cell::new(false)),
            value: UnsafeCell::new(value),
        }
    }
}

/// Whether a lock is taken. Separate from the value, so that all types of values share the code, as in an operating
/// system.
struct Flag(Cell<bool>);

impl Flag {
    #[inline(never)]
    fn lock(&self) {
        if self.0.replace(true) {
            give_up(text!("a lock was taken twice\n"));
        }
    }

    #[inline(never)]
    fn unlock(&self) {
        self.0.set(false);
    }
}

/// Access to the value of a lock that is taken.
pub struct Guard<'a, T>(&'a Single<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the flag is set while there is a guard, so this is the only one.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is borrowed mutably.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}

impl<T> Lock<T> for Single<T> {
    type Guard<'a>
        = Guard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> Guard<'_, T> {
        self.lock.lock();
        Guard(self)
    }

    /// No other thread could do anything meanwhile.
    #[inline(never)]
    fn wait<'a>(&'a self, guard: Guard<'a, T>, timeout_ms: u32) -> Guard<'a, T> {
        NOW.0.set(NOW.0.get() + timeout_ms);
        guard
    }

    #[inline(never)]
    fn notify_all(&self) {}
}

/// The server's end of a client's connection. Its results are hidden from the compiler, like those of an operating
/// system.
#[derive(Clone, Copy)]
pub struct ScriptSocket(u8);

impl ScriptSocket {
    fn client<T>(self, act: impl FnOnce(&mut client::Client) -> T) -> T {
        client::with(usize::from(self.0), |client| {
            if client.closed {
                give_up(text!("a closed socket was used\n"));
            }
            act(client)
        })
    }
}

impl Socket for ScriptSocket {
    type Peer = ();

    fn peer(&self) {}

    fn network(&self) -> u64 {
        0
    }

    #[inline(never)]
    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        if space.is_empty() {
            give_up(text!("nothing can be received into no space\n"));
        }
        let read = self.client(|client| client.read(space));
        black_box(read.ok_or(SocketError::WouldBlock))
    }

    #[inline(never)]
    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError> {
        let (mut wanted, mut sent) = (0, 0);
        for part in parts {
            if sent == wanted {
                sent += self.client(|client| client.write(part));
            }
            wanted += part.len();
        }
        let nothing = sent == 0 && wanted > 0;
        black_box(if nothing {
            Err(SocketError::WouldBlock)
        } else {
            Ok(sent)
        })
    }

    #[inline(never)]
    fn shutdown_write(&self) -> Result<(), SocketError> {
        self.client(|client| client.ended = true);
        black_box(Ok(()))
    }
}

pub struct ScriptPort {
    /// Clients that wait to be accepted, a bit each.
    calling: Cell<u8>,
    listening: Cell<bool>,
    listener_watched: Cell<bool>,
    /// The items of all clients and of the service, once each, by [`number`].
    work: [Cell<Option<NonZeroUsize>>; CLIENTS + 1],
    /// One more than there are slots, for the lobby.
    watched: [Cell<Option<(ScriptSocket, Interest)>>; CLIENTS + 1],
    timer: Cell<Option<Instant>>,
    woken: Cell<bool>,
    /// Something was ready since the last check.
    pub told: Cell<bool>,
    pub on_service_thread: Cell<bool>,
}

impl ScriptPort {
    pub const fn new() -> Self {
        Self {
            calling: Cell::new(0),
            listening: Cell::new(false),
            listener_watched: Cell::new(false),
            work: [const { Cell::new(None) }; CLIENTS + 1],
            watched: [const { Cell::new(None) }; CLIENTS + 1],
            timer: Cell::new(None),
            woken: Cell::new(false),
            told: Cell::new(false),
            on_service_thread: Cell::new(false),
        }
    }

    /// Listens, and forgets the previous test.
    pub fn restart(&self) {
        self.calling.set(0);
        self.listening.set(true);
        self.listener_watched.set(true);
        self.work.iter().for_each(|place| place.set(None));
        self.watched.iter().for_each(|place| place.set(None));
        self.timer.set(None);
        self.woken.set(false);
        self.told.set(false);
        self.on_service_thread.set(false);
    }

    /// Connects a client.
    pub fn call(&self, client: usize) {
        self.calling.set(self.calling.get() | 1 << client);
    }

    /// Returns the first item of the work queue.
    pub fn next_work(&self) -> Option<Work> {
        let first = self.work[0].take()?.get() - 1;
        for pair in self.work.windows(2) {
            pair[0].swap(&pair[1]);
        }
        Some(match first {
            CLIENTS => Work::Service,
            slot => Work::Client(slot),
        })
    }

    fn wait_for(&self, tell: &mut dyn FnMut(Ready)) {
        while let (true, Some(work)) = (INLINE, self.next_work()) {
            tell(Ready::Work(work));
        }
        if self.listening.get() && self.calling.get() != 0 && self.listener_watched.take() {
            tell(Ready::Listener);
        }
        for (slot, place) in self.watched.iter().enumerate() {
            let Some((socket, interest)) = place.get() else {
                continue;
            };
            let (readable, writable) =
                socket.client(|client| (client.is_readable(), client.room > 0));
            if interest.contains(Interest::READ) && readable
                || interest.contains(Interest::WRITE) && writable
            {
                place.set(Some((socket, Interest::empty())));
                tell(match slot {
                    CLIENTS => Ready::Lobby,
                    slot => Ready::Client { slot, writable },
                });
            }
        }
        if self.woken.take() {
            tell(Ready::Wake);
        }
        if self
            .timer
            .get()
            .is_some_and(|at| self.now().has_reached(at))
        {
            self.timer.set(None);
            tell(Ready::Timer(self.now()));
        }
    }
}

/// A number other than 0, so that no work is all zeros.
const fn number(work: Work) -> Option<NonZeroUsize> {
    NonZeroUsize::new(match work {
        Work::Client(slot) | Work::Tls(slot) => slot + 1,
        Work::Service => CLIENTS + 1,
    })
}

impl Port for ScriptPort {
    const INLINE: bool = INLINE;
    // This application has no logins.
    const LIMITS: Limits = Limits::all().difference(Limits::LOGIN_FAILURES);

    type Lock<T> = Single<T>;
    type Socket = ScriptSocket;
    type Storage = &'static mut [u8];
    type Inbound = &'static mut Inbound<&'static mut [u8]>;
    type Slots = [Slot<Self>; CLIENTS];
    type Logins = [Login; 0];
    type Blocks = [Option<&'static mut [u8]>; 1];

    #[inline(never)]
    fn now(&self) -> Instant {
        Instant(NOW.0.get())
    }

    #[inline(never)]
    fn submit(&self, work: Work) {
        for place in &self.work {
            match place.get() {
                None => return place.set(number(work)),
                queued if queued != number(work) => {}
                _ if work == Work::Service => return,
                _ => break,
            }
        }
        give_up(text!("a client's work was queued twice\n"));
    }

    #[inline(never)]
    fn on_service_thread(&self) -> bool {
        self.on_service_thread.get()
    }

    #[inline(never)]
    fn thread(&self) -> usize {
        black_box(1)
    }

    #[inline(never)]
    fn accept(&self) -> Result<ScriptSocket, SocketError> {
        let calling = self.calling.get();
        let first = calling.trailing_zeros() as u8;
        self.calling.set(calling & calling.wrapping_sub(1));
        black_box(match calling {
            0 => Err(SocketError::WouldBlock),
            _ => Ok(ScriptSocket(first)),
        })
    }

    #[inline(never)]
    fn watch_listener(&self) {
        self.listener_watched.set(true);
    }

    #[inline(never)]
    fn close_listener(&self) {
        self.listening.set(false);
    }

    #[inline(never)]
    fn attach(&self, slot: usize, socket: &ScriptSocket) -> Result<(), SocketError> {
        if self.watched[slot].get().is_some() {
            give_up(text!("the slot has a socket already\n"));
        }
        self.watched[slot].set(Some((*socket, Interest::empty())));
        black_box(Ok(()))
    }

    #[inline(never)]
    fn watch(&self, slot: usize, socket: &ScriptSocket, interest: Interest) {
        self.watched[slot].set(Some((*socket, interest)));
    }

    #[inline(never)]
    fn close(&self, slot: usize, socket: ScriptSocket) {
        self.watched[slot].set(None);
        socket.client(|client| client.closed = true);
    }

    #[inline(never)]
    fn set_timer(&self, at: Instant) {
        self.timer.set(Some(at));
    }

    #[inline(never)]
    fn wake(&self) {
        self.woken.set(true);
    }

    #[inline(never)]
    fn wait(&self, ready: &mut dyn FnMut(Ready)) {
        self.wait_for(&mut |what| {
            self.told.set(true);
            ready(what);
        });
    }
}

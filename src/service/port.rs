// SPDX-License-Identifier: Apache-2.0
//! What the service needs from an operating system.

use core::fmt::{Debug, Display};
use core::ops::DerefMut;

use super::config::Limits;
use super::inbound::Inbound;
use super::logins::LoginTable;
use super::slot::Slot;
use super::time::Instant;
use crate::protocol::{Date, Storage};

/// A work item, which [`Service::run`](super::Service::run) runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Work for the client in this slot. Never queued twice at the same time.
    Client(usize),
    /// The next step of the TLS handshake of the client in this slot. It takes long, so a port may use a separate work
    /// queue that connected clients do not wait for. Only if [`Port::TLS`] is set, and never queued together with
    /// `Client`.
    Tls(usize),
    /// Work for the service as a whole. May be submitted while it is queued; running it once is enough.
    Service,
}

/// The readiness that [`Port::wait`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A connection can be accepted. Not reported again until [`Port::watch_listener`].
    Listener,
    /// The client's socket is ready for what it was watched for, or has failed. It is not watched again until the next
    /// [`Port::watch`].
    Client {
        /// The client's slot.
        slot: usize,
        /// Whether it can be written to.
        writable: bool,
    },
    /// The connection in the lobby, which is being rejected, can be read or has ended.
    Lobby,
    /// The time of [`Port::set_timer`] has come. Contains the time at which the port looked at the sockets; what it saw
    /// then has been reported before.
    Timer(Instant),
    /// [`Port::wake`] was called.
    Wake,
    /// This work was submitted, and must run on this thread. Only if [`Port::INLINE`] is set.
    Work(Work),
}

bitflags::bitflags! {
    /// The readiness that a socket is watched for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Interest: u8 {
        /// Bytes, or the end of the stream, can be received.
        const READ = 1;
        /// Bytes can be sent.
        const WRITE = 2;
    }
}

/// Errors of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketError {
    /// Nothing can be done now; nothing was done.
    WouldBlock,
    /// The network has no buffers, and does not report when it has some. The service pauses all output for a while.
    /// Only for [`Socket::send`]; nothing was done.
    NoBuffers,
    /// The connection has failed. For [`Port::accept`]: there is no memory or descriptor for a connection.
    Failed,
    /// TLS failed: the peer's is not acceptable, or it accepts none of ours. [`Socket::tls_error`] returns the reason.
    /// Ignore further input. Only if [`Port::TLS`] is set, like the next two.
    Tls,
    /// The stream ended without the peer's close_notify (RFC 8446 section 6.1).
    Truncated,
    /// The peer sent an HTTP request instead of a TLS handshake. From now on the socket works without TLS; of the
    /// request, no more than the first byte has been received. Only for [`Socket::handshake`].
    PlainHttp,
}

/// A connected, non-blocking stream socket. Clones share it.
pub trait Socket: Clone {
    /// The address of a peer without its port, for [`Config::clients_per_address`](super::Config).
    type Peer: Copy + Eq + Debug;

    /// Returns the peer of the connection. Only called if clients per address are limited.
    fn peer(&self) -> Self::Peer;

    /// Returns the network of the peer, by which failed logins are counted
    /// ([`Config::login_failures_per_minute`](super::Config)): an IPv4 address, or the first 64 bits of an IPv6
    /// address, because a single user may have all addresses with this prefix. Only called if failed logins are
    /// limited.
    fn network(&self) -> u64;

    /// Returns the peer's address and port, for display.
    fn name(&self) -> impl Display {
        "?"
    }

    /// Receives into `space`; 0 means the end of the stream.
    ///
    /// # Errors
    /// See [`SocketError`].
    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError>;

    /// Sends the bytes of `parts` in order, as far as there is room. Returns the number of bytes sent.
    ///
    /// # Errors
    /// See [`SocketError`].
    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError>;

    /// Returns whether the network has buffers for the response to an opening request. Only called if
    /// [`Port::LACKS_BUFFERS`] is set.
    fn has_buffers(&self) -> bool {
        true
    }

    /// Returns whether the connection uses TLS, or will. This method and the following ones, up to
    /// [`tls_error`](Self::tls_error), are only called if [`Port::TLS`] is set. Only one thread at a time calls methods
    /// that change the socket: the one with the slot's lock, or, for [`handshake`](Self::handshake), the one that runs
    /// [`Work::Tls`].
    fn is_tls(&self) -> bool {
        false
    }

    /// Returns whether the TLS handshake is not finished yet. Until then nothing is received or sent, except that
    /// [`send`](Self::send) without bytes sends what the socket keeps.
    fn is_handshaking(&self) -> bool {
        false
    }

    /// Continues the TLS handshake as far as possible without waiting, or by one step: while it [is not
    /// finished](Self::is_handshaking), this is called again soon. Called without locks.
    ///
    /// # Errors
    /// See [`SocketError`]; [`SocketError::WouldBlock`] if the peer must act first, or must take [unsent
    /// bytes](Self::has_unsent).
    fn handshake(&self) -> Result<(), SocketError> {
        Ok(())
    }

    /// Returns whether the socket itself keeps bytes that the network has not taken: ciphertext of what
    /// [`send`](Self::send) counted as sent, or TLS messages. The next `send`, which may have no bytes, sends them.
    fn has_unsent(&self) -> bool {
        false
    }

    /// Returns whether more can be received at once that polling does not report.
    fn has_buffered(&self) -> bool {
        false
    }

    /// Returns why TLS failed, for display.
    fn tls_error(&self) -> impl Display {
        ""
    }

    /// Shuts down the sending side: with TLS, by a close_notify first (RFC 8446 section 6.1).
    ///
    /// # Errors
    /// [`SocketError`] if this is not possible without closing the socket, as on Zephyr. [`SocketError::WouldBlock`] if
    /// the network must first take [unsent bytes](Self::has_unsent): it is called again then. Only if [`Port::TLS`] is
    /// set.
    fn shutdown_write(&self) -> Result<(), SocketError>;
}

/// A mutex with a condition variable: a monitor.
pub trait Lock<T> {
    /// Access to the value; the lock is held until this is dropped.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a,
        T: 'a;

    /// Acquires the lock.
    fn lock(&self) -> Self::Guard<'_>;
    /// Releases the lock until [`notify_all`](Self::notify_all), or for `timeout_ms` milliseconds. May wake up
    /// spuriously.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>, timeout_ms: u32) -> Self::Guard<'a>;
    /// Wakes all waiting threads.
    fn notify_all(&self);
}

/// The operating system for a [`Service`](super::Service).
///
/// Unless documented otherwise, every method may be called from any thread, with locks of the service held. No method
/// may call the service.
pub trait Port: Sized {
    /// How often in a row a client runs that has more input than one run receives. After that it is watched, so that
    /// the other clients get their turn: if the work queue has priority over the serving thread, a client that sends
    /// without a pause would starve it. `None`: no limit, because the serving thread polls while there is work.
    const RUNS_IN_A_ROW: Option<u8> = None;

    /// Whether the waiting thread also does the work: a ready client runs at once, and submitted work is reported as
    /// [`Ready::Work`]. Otherwise there is a work queue.
    const INLINE: bool = false;

    /// The type of locks.
    type Lock<T>: Lock<T>;
    /// The type of sockets.
    type Socket: Socket;
    /// Receive buffers and blocks for unsent output.
    type Storage: Storage;
    /// A reference to the incoming half of a client, which is lent to the thread that works for it: a `Box`, or
    /// `&'static mut`.
    type Inbound: DerefMut<Target = Inbound<Self::Storage>>;
    /// The client slots.
    type Slots: AsRef<[Slot<Self>]>;
    /// Memory for failed logins: `[Login; N]`, with an entry for each of the last addresses. Empty if
    /// [`LIMITS`](Self::LIMITS) lack this limit.
    type Logins: LoginTable;
    /// The blocks for unsent output.
    type Blocks: AsMut<[Option<Self::Storage>]>;

    /// Whether sockets may use TLS. If not, there is no code for it.
    const TLS: bool = false;

    /// Whether [`Socket::send`] may return [`SocketError::NoBuffers`]. If not, there is no code for it.
    const LACKS_BUFFERS: bool = false;

    /// Whether the service may have pages, see [`Application::page`](super::Application::page). If not, there is no
    /// code for them.
    const PAGES: bool = false;

    /// The limits against abuse that there is code for. All others stay off, whatever the [`Config`](super::Config)
    /// contains, and take no memory.
    const LIMITS: Limits = Limits::all();

    /// Initializes a lock of the service. Its number is unique, and below twice the number of slots. Called once,
    /// before the lock is used; for ports whose kernel objects are separate from the values.
    fn place_lock<T>(&self, lock: &Self::Lock<T>, number: usize) {
        let _ = (lock, number);
    }

    /// Returns the time.
    fn now(&self) -> Instant;

    /// Returns the date for responses, if a clock knows it (RFC 9110 section 6.6.1).
    #[inline(always)]
    fn date(&self) -> Option<Date> {
        None
    }

    /// Puts `work` on the work queue.
    fn submit(&self, work: Work);

    /// Returns whether this is a thread of the service (the serving thread or the work queue's), which must never wait.
    fn on_service_thread(&self) -> bool;

    /// Returns a number that is unique among all living threads.
    fn thread(&self) -> usize;

    /// Accepts a connection. Only called on the serving thread.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if there is none.
    fn accept(&self) -> Result<Self::Socket, SocketError>;

    /// Reports [`Ready::Listener`], once, when a connection can be accepted. The service calls this after each report;
    /// the listener is watched from the start. Only called on the serving thread.
    fn watch_listener(&self);

    /// Stops listening. Only called on the serving thread.
    fn close_listener(&self);

    /// Attaches the socket to the client in `slot`, or to the lobby, whose number is the number of slots. It is not
    /// watched yet.
    ///
    /// # Errors
    /// [`SocketError::Failed`] if it cannot be watched. [`SocketError::WouldBlock`] if the previous socket is not
    /// closed yet; never on the serving thread.
    fn attach(&self, slot: usize, socket: &Self::Socket) -> Result<(), SocketError>;

    /// Watches the socket for `interest`, once, instead of what it was watched for before. It may be ready already.
    /// Without any interest it is not watched.
    fn watch(&self, slot: usize, socket: &Self::Socket, interest: Interest);

    /// Closes the socket, now or as soon as the serving thread can. It is not used afterwards. The slot's next socket
    /// may be attached before that.
    fn close(&self, slot: usize, socket: Self::Socket);

    /// Prepares for the end of the service: [`wait`](Self::wait) is not called again, so everything that was left to
    /// the serving thread must be done now, and sockets must be closed at once from now on. Only called on the serving
    /// thread.
    fn stopped(&self) {}

    /// Returns the time until which all input of the client in `slot` is known, at the time `now` of a
    /// [`Ready::Timer`]. It is earlier if a thread other than the serving one waits for the client's socket, and is
    /// busy.
    fn heard_until(&self, slot: usize, now: Instant) -> Instant {
        let _ = slot;
        now
    }

    /// Ends [`wait`](Self::wait) at `at`, instead of the time set before.
    fn set_timer(&self, at: Instant);

    /// Ends [`wait`](Self::wait).
    fn wake(&self);

    /// Waits until something is ready, and reports it. Only called on the serving thread, with no lock held.
    fn wait(&self, ready: &mut dyn FnMut(Ready));
}

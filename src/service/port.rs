// SPDX-License-Identifier: Apache-2.0
//! What the service needs of an operating system.

use core::fmt::{Debug, Display};
use core::ops::DerefMut;

use super::config::Limits;
use super::inbound::Inbound;
use super::logins::LoginTable;
use super::slot::Slot;
use super::time::Instant;
use crate::protocol::{Date, Storage};

/// A piece of work, which is run by [`Service::run`](super::Service::run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// What is to be done for the client in this slot. Never queued twice at the same time.
    Client(usize),
    /// The next step of the TLS handshake of the client in this slot, which takes long: a port may have a
    /// work queue for these that connected clients do not wait for. Only where [`Port::TLS`] is set, and
    /// never queued while `Client` is.
    Tls(usize),
    /// What concerns the service as a whole. May be asked for while it is queued; once is enough.
    Service,
}

/// What [`Port::wait`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A connection can be accepted. Not reported again until [`Port::watch_listener`].
    Listener,
    /// The client's socket is ready for something it was watched for, or has failed. It is no longer
    /// watched until the next [`Port::watch`].
    Client {
        /// The client's slot.
        slot: usize,
        /// Whether it can be written to.
        writable: bool,
    },
    /// The connection that is being turned away can be read, or has ended.
    Lobby,
    /// The time of [`Port::set_timer`] had come at this time, when the port looked at the sockets. What
    /// it saw then has been reported before.
    Timer(Instant),
    /// [`Port::wake`] was called.
    Wake,
    /// This was submitted, and is to be done on this thread. Only where [`Port::INLINE`] is set.
    Work(Work),
}

bitflags::bitflags! {
    /// What a socket is watched for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Interest: u8 {
        /// Bytes, or the end of them, can be received.
        const READ = 1;
        /// Bytes can be sent.
        const WRITE = 2;
    }
}

/// Why a socket did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketError {
    /// Not now; nothing was done.
    WouldBlock,
    /// Not now: the network has no buffers, and nothing says when it has some. The service pauses all
    /// output for a while. Only for [`Socket::send`]; nothing was done.
    NoBuffers,
    /// Never again: the connection is gone. For [`Port::accept`]: no connection could be had, for
    /// want of memory or descriptors.
    Failed,
    /// The peer's TLS is not acceptable, or it accepts none of ours: [`Socket::tls_error`] says why. What is
    /// received from now on is meaningless. Only where [`Port::TLS`] is set, as the next two.
    Tls,
    /// The stream ended without the peer's close_notify (RFC 8446 section 6.1).
    Truncated,
    /// The peer began with an HTTP request where a TLS handshake should be. The socket is as one without TLS
    /// from now on, and has not received the request yet. Only for [`Socket::handshake`].
    PlainHttp,
}

/// A connected, non-blocking stream socket. Clones are the same socket.
pub trait Socket: Clone {
    /// The address of a peer, as far as [`Config::clients_per_address`](super::Config) distinguishes
    /// peers: without its port.
    type Peer: Copy + Eq + Debug;

    /// Returns the peer of the connection. Only called where clients per address are limited.
    fn peer(&self) -> Self::Peer;

    /// Returns the network that the peer is in, as far as failed logins tell peers apart
    /// ([`Config::login_failures_per_minute`](super::Config)): an IPv4 address, or the first 64 bits of an IPv6
    /// address, which all belong to one user. Only called where failed logins are limited.
    fn network(&self) -> u64;

    /// Returns the peer's address and port, for people.
    fn name(&self) -> impl Display {
        "?"
    }

    /// Receives into `space`; 0 is the end of the stream.
    ///
    /// # Errors
    /// See [`SocketError`].
    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError>;

    /// Sends the bytes of `parts`, one after the other, as far as there is room; how many went.
    ///
    /// # Errors
    /// See [`SocketError`].
    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError>;

    /// Returns whether the network has buffers for the response to an opening request. Only asked where
    /// [`Port::LACKS_BUFFERS`] is set.
    fn has_buffers(&self) -> bool {
        true
    }

    /// Returns whether the connection is encrypted, or is going to be. This and what follows up to
    /// [`tls_error`](Self::tls_error) is only called where [`Port::TLS`] is set. One thread at a time calls what
    /// changes the socket: the one with the slot's lock, or, for [`handshake`](Self::handshake), the one that does
    /// [`Work::Tls`].
    fn is_tls(&self) -> bool {
        false
    }

    /// Returns whether the TLS handshake has still to be finished. Nothing is received or sent before, except that
    /// [`send`](Self::send) without bytes sends what the socket keeps.
    fn is_handshaking(&self) -> bool {
        false
    }

    /// Goes on with the TLS handshake, as far as that is possible without waiting, or one step: while it
    /// [is not finished](Self::is_handshaking), it is called again soon. Called without locks.
    ///
    /// # Errors
    /// See [`SocketError`]; [`SocketError::WouldBlock`] if the peer has to do something first, or has to take
    /// [what is unsent](Self::has_unsent).
    fn handshake(&self) -> Result<(), SocketError> {
        Ok(())
    }

    /// Returns whether the socket itself keeps bytes that the network has not taken: encrypted, of what
    /// [`send`](Self::send) counted as gone, or of TLS itself. They go with the next `send`, which may have no bytes.
    fn has_unsent(&self) -> bool {
        false
    }

    /// Returns whether more can be received at once, of which polling does not know.
    fn has_buffered(&self) -> bool {
        false
    }

    /// Returns why TLS failed, for people.
    fn tls_error(&self) -> impl Display {
        ""
    }

    /// Says that nothing more will be sent: with TLS, by a close_notify first (RFC 8446 section 6.1).
    ///
    /// # Errors
    /// [`SocketError`] if that cannot be said without closing the socket, as on Zephyr.
    /// [`SocketError::WouldBlock`] if the network has to take [what is unsent](Self::has_unsent) first: it is called
    /// again then. Only where [`Port::TLS`] is set.
    fn shutdown_write(&self) -> Result<(), SocketError>;
}

/// A lock around a value, and a place to wait for a change of it: a monitor.
pub trait Lock<T> {
    /// Access to the value for as long as it is kept.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a,
        T: 'a;

    /// Waits for the lock.
    fn lock(&self) -> Self::Guard<'_>;
    /// Gives up the lock until [`notify_all`](Self::notify_all), or for `timeout_ms` milliseconds, or
    /// for no reason at all.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>, timeout_ms: u32) -> Self::Guard<'a>;
    /// Wakes all threads that wait.
    fn notify_all(&self);
}

/// The operating system beneath a [`Service`](super::Service).
///
/// Every method may be called from any thread, with locks of the service held unless it says
/// otherwise; none may call back into the service.
pub trait Port: Sized {
    /// How often in a row a client is run of which more has arrived than one run receives, before it is
    /// watched, so that the others are polled for: where the work queue comes before the serving thread,
    /// one that sends without a pause would keep the service from them. `None`: without an end, since the
    /// serving thread gets to poll while there is work.
    const RUNS_IN_A_ROW: Option<u8> = None;

    /// Whether the thread that waits also does the work: a client that is ready runs at once, and what is
    /// submitted is reported as [`Ready::Work`]. Otherwise there is a work queue.
    const INLINE: bool = false;

    /// Locks.
    type Lock<T>: Lock<T>;
    /// Sockets.
    type Socket: Socket;
    /// Receive buffers and blocks for unsent output.
    type Storage: Storage;
    /// A reference to the incoming half of a client, which is lent to the thread that works for it:
    /// a `Box`, or `&'static mut`.
    type Inbound: DerefMut<Target = Inbound<Self::Storage>>;
    /// The client slots: as many as there may be clients.
    type Slots: AsRef<[Slot<Self>]>;
    /// Memory for failed logins: `[Login; N]`, with an entry for each of the last addresses. None where
    /// [`LIMITS`](Self::LIMITS) do not have them.
    type Logins: LoginTable;
    /// The blocks for unsent output.
    type Blocks: AsMut<[Option<Self::Storage>]>;

    /// Whether sockets may use TLS. If not, there is no code for that.
    const TLS: bool = false;

    /// Whether [`Socket::send`] may return [`SocketError::NoBuffers`]. If not, there is no code for that.
    const LACKS_BUFFERS: bool = false;

    /// Whether the service may have pages, see [`Application::page`](super::Application::page). If not, there is no
    /// code for them.
    const PAGES: bool = false;

    /// The limits against abuse that there is code for; all others stay off whatever the
    /// [`Config`](super::Config) says, and cost nothing.
    const LIMITS: Limits = Limits::all();

    /// Makes one of the service's locks usable, which has a number of its own: below twice the number of
    /// slots. Called once, before it is used; for ports whose kernel objects are apart from the values.
    fn place_lock<T>(&self, lock: &Self::Lock<T>, number: usize) {
        let _ = (lock, number);
    }

    /// Returns the time.
    fn now(&self) -> Instant;

    /// Returns the date for responses, if there is a clock that has it (RFC 9110 section 6.6.1).
    #[inline(always)]
    fn date(&self) -> Option<Date> {
        None
    }

    /// Puts `work` on the work queue.
    fn submit(&self, work: Work);

    /// Returns whether this is a thread of the service's own (the serving thread or the work queue's), which
    /// must never wait.
    fn on_service_thread(&self) -> bool;

    /// Returns a number that only the calling thread has, of all living ones.
    fn thread(&self) -> usize;

    /// Accepts a connection. Only called on the serving thread.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if there is none.
    fn accept(&self) -> Result<Self::Socket, SocketError>;

    /// Has [`Ready::Listener`] reported, once, when a connection can be accepted. The service asks for it
    /// after each time; it is watched from the start. Only called on the serving thread.
    fn watch_listener(&self);

    /// Stops listening. Only called on the serving thread.
    fn close_listener(&self);

    /// Attaches the socket to the client in `slot` (or to the one in the lobby, whose number is
    /// that of the slots); it is not watched yet.
    ///
    /// # Errors
    /// [`SocketError::Failed`] if it cannot be watched. [`SocketError::WouldBlock`] if the socket before
    /// is still to be closed; never on the serving thread.
    fn attach(&self, slot: usize, socket: &Self::Socket) -> Result<(), SocketError>;

    /// Watches the socket for `interest`, once, instead of what it was watched for before. It may be
    /// ready already. With no interest it is not watched.
    fn watch(&self, slot: usize, socket: &Self::Socket, interest: Interest);

    /// Closes the socket, now or as soon as the serving thread can. It is not used afterwards. The
    /// slot's next socket may be attached before that.
    fn close(&self, slot: usize, socket: Self::Socket);

    /// Prepares for the end of the service: [`wait`](Self::wait) is not called again, so that whatever was
    /// left to the serving thread has to be done, and sockets are closed at once from now on. Only
    /// called on the serving thread.
    fn stopped(&self) {}

    /// Returns until when everything is known that the client in `slot` has sent, at the time `now` of a
    /// [`Ready::Timer`]. Earlier where another thread than the serving one waits for its socket, and is busy.
    fn heard_until(&self, slot: usize, now: Instant) -> Instant {
        let _ = slot;
        now
    }

    /// Ends [`wait`](Self::wait) at `at`, instead of the time set before.
    fn set_timer(&self, at: Instant);

    /// Ends [`wait`](Self::wait).
    fn wake(&self);

    /// Waits until something is ready and reports it. Only called on the serving thread, with no lock
    /// held.
    fn wait(&self, ready: &mut dyn FnMut(Ready));
}

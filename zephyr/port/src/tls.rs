// SPDX-License-Identifier: Apache-2.0
//! TLS: a session for each client, over its socket, and the limit of concurrent handshakes.
//!
//! `zephyr/tls.c` has the structures of Mbed TLS. This file interprets its results, and gives out the places for
//! handshakes, `CONFIG_WSS_TLS_HANDSHAKES` of them: a handshake needs memory from the client's complete first message
//! on. Until then [`Hello`] keeps back the last byte of that message, so that Mbed TLS does not
//! begin.

use core::cell::Cell;
use core::fmt::{self, Display, Formatter};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32};

use wss::service::SocketError;

use crate::client_hello::Hello;
use crate::kconfig;
use crate::options::Tls;
use crate::port::{CLIENTS, number};
use crate::sys;

/// The number of sessions: one for each client of all servers.
const SESSIONS: usize = if kconfig::TLS {
    CLIENTS * kconfig::SERVERS as usize
} else {
    0
};

/// While clients wait for a place, one whose handshake makes no progress for this long loses its place, in
/// milliseconds.
const IDLE_MS: u32 = 1000;

/// The maximum number of bytes received in a row, so that a client that sends without a pause does not starve others.
const BUDGET: usize = 4 * kconfig::TLS_IN_SIZE as usize;

/// `internal_error` (RFC 8446 section 6).
const INTERNAL_ERROR: u8 = 80;

static ALL: [Session; SESSIONS] = [const { Session::new() }; SESSIONS];
/// The number of handshakes that have a place.
static PLACES: AtomicU32 = AtomicU32::new(0);
/// The number of handshakes that wait for one.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// The state of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The handshake is in progress.
    Handshake,
    /// The handshake is finished.
    Open,
    /// TLS has failed: only an alert is sent, and input is dropped.
    Broken,
    /// The client does not use TLS.
    Plain,
}

/// Whether a handshake has a place.
mod place {
    /// It needs no place yet, or no more.
    pub const NONE: u8 = 0;
    /// It waits for a place.
    pub const WAITS: u8 = 1;
    /// It has a place.
    pub const HAS: u8 = 2;
    /// It has a place, and must give it back.
    pub const YIELDS: u8 = 3;
}

/// The reason why TLS failed.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// The error of Mbed TLS, and the client's alert, or -1.
    Code(i32, i32),
    /// It was idle while others waited.
    Idle,
    /// The client did not use TLS.
    Plain,
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Idle => "it was idle, and others waited",
            Self::Plain => "it sent HTTP without TLS",
            Self::Code(_, alert) if alert >= 0 => {
                let name = match alert {
                    0 => " close_notify",
                    42 => " bad_certificate",
                    46 => " certificate_unknown",
                    48 => " unknown_ca",
                    70 => " protocol_version",
                    _ => "",
                };
                return write!(f, "the client sent the alert {alert}{name}");
            }
            Self::Code(code, _) => match code {
                -0x7280 => "the connection ended",
                -0x004E | -0x004C => "the connection was reset",
                -0x7200 | -0x7100 => "a record is malformed, or larger than CONFIG_WSS_TLS_IN_SIZE",
                -0x7180 => "a record was modified",
                -0x2700 => "the client's certificate is not valid",
                -0x7480 => "the client has no certificate",
                -0x7F00 | -0x008D | -0x3F00 => "there is not enough memory",
                -0x6E80 => "no common version",
                -0x6E00 => "no common cipher suite or curve",
                -0x7580 => "no common application protocol",
                _ => return write!(f, "Mbed TLS error -{:#06x}", code.unsigned_abs()),
            },
        };
        f.write_str(text)
    }
}

/// The TLS session of a client.
pub(crate) struct Session {
    is_used: AtomicBool,
    fd: AtomicI32,
    /// One of [`place`].
    place: AtomicU8,
    /// The time since when it waits for a place, or makes no progress.
    since: AtomicU32,
    // Only the thread that may change the socket uses the following fields.
    mode: Cell<Mode>,
    /// The first byte, which was received to recognise TLS.
    first: Cell<Option<u8>>,
    hello: Cell<Hello>,
    /// The number of bytes that it may still receive in a row.
    budget: Cell<usize>,
    /// The network had no buffers for the last send.
    no_buffers: Cell<bool>,
    /// close_notify was sent.
    is_notified: Cell<bool>,
    /// The reason why it failed, if it is not an error of Mbed TLS.
    reason: Cell<Option<Reason>>,
}

// SAFETY: only one thread at a time uses the cells: see `Socket::is_tls`.
unsafe impl Sync for Session {}

/// Identifies a session by its number, or says that there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId(u16);

impl SessionId {
    /// The connection does not use TLS.
    pub const PLAIN: Self = Self(u16::MAX);
    /// There was no session left: close the connection.
    const NONE: Self = Self(u16::MAX - 1);

    /// Returns the session, if there is one.
    pub fn session(self) -> Option<&'static Session> {
        ALL.get(usize::from(self.0))
    }

    const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Returns the numbers of the sessions of a server.
fn numbers(server: usize) -> core::ops::Range<usize> {
    let first = server.saturating_mul(CLIENTS);
    first..first.saturating_add(CLIENTS)
}

/// Prepares the sessions of a server that does not run for these credentials.
pub(crate) fn start(server: usize, tls: &Tls) -> Result<(), i32> {
    let bytes = |bytes: &'static [u8]| match bytes {
        [] => (core::ptr::null(), 0),
        _ => (bytes.as_ptr(), bytes.len()),
    };
    let (cert, cert_len) = bytes(tls.cert);
    let (key, key_len) = bytes(tls.key);
    let (ca, ca_len) = bytes(tls.client_ca);
    let credentials = sys::TlsCredentials {
        cert,
        cert_len,
        key,
        key_len,
        ca,
        ca_len,
        client_auth: tls.client_auth as u32,
    };
    static SOCKET: sys::TlsSocket = sys::TlsSocket {
        receive: receive_raw,
        send: send_raw,
    };
    // SAFETY: the credentials are valid until this returns, and the data and functions that they point to for ever.
    let error = unsafe { sys::wss_tls_start(server, &raw const credentials, &raw const SOCKET) };
    if error < 0 { Err(error) } else { Ok(()) }
}

/// Assigns a session to a connection of a server.
pub(crate) fn open(server: usize, fd: i32) -> SessionId {
    for number in numbers(server) {
        let Some(session) = ALL.get(number) else {
            break;
        };
        if !session.is_used.swap(true, SeqCst) {
            let id = u16::try_from(number).map_or(SessionId::NONE, SessionId);
            session.begin(fd);
            return id;
        }
    }
    SessionId::NONE
}

/// Frees the session of a connection that ends.
pub(crate) fn close(id: SessionId) {
    if let Some(session) = id.session() {
        // Before another handshake gets its memory.
        sys::wss_tls_reset(id.number());
        session.leave();
        session.is_used.store(false, SeqCst);
    }
}

/// Gives places to handshakes of a server that wait for one, as far as there are any. The socket of each is given to
/// `goes_on`.
pub(crate) fn give_places(server: usize, now: u32, mut goes_on: impl FnMut(i32)) {
    let own = ALL.get(numbers(server)).unwrap_or_default();
    // The one that has waited longest comes next.
    while let Some(session) = own
        .iter()
        .filter(|session| session.place.load(SeqCst) == place::WAITS)
        .max_by_key(|session| now.wrapping_sub(session.since.load(Relaxed)))
    {
        if !take_place() {
            break;
        }
        session.since.store(now, Relaxed);
        if session.moves(place::WAITS, place::HAS) {
            WAITING.fetch_sub(1, SeqCst);
            goes_on(session.fd());
        } else {
            PLACES.fetch_sub(1, SeqCst);
        }
    }
}

/// Returns the handshakes of a server that have a place while others wait for one, and for how long each does not
/// go on.
fn holders(server: usize, now: u32) -> impl Iterator<Item = (&'static Session, u32)> {
    let own = ALL.get(numbers(server)).unwrap_or_default();
    own.iter()
        .filter(|session| session.place.load(SeqCst) == place::HAS && is_contended())
        .map(move |session| (session, now.wrapping_sub(session.since.load(Relaxed))))
}

/// Returns in how many milliseconds to ask for [idle](yield_places) handshakes among those whose sockets are polled, or
/// below 0: not before it is woken.
pub(crate) fn yield_ms(server: usize, now: u32, is_polled: impl Fn(i32) -> bool) -> i32 {
    holders(server, now)
        .filter(|(session, _)| is_polled(session.fd()))
        .map(|(_, idle)| i32::try_from(IDLE_MS.saturating_sub(idle)).unwrap_or(0))
        .min()
        .unwrap_or(-1)
}

/// Has idle handshakes of a server give back their places to those that wait. `goes_on` is given a socket, and returns
/// whether nothing has come: what waits for the processor is not idle.
pub(crate) fn yield_places(server: usize, now: u32, mut goes_on: impl FnMut(i32) -> bool) {
    let mut waiting = WAITING.load(SeqCst);
    for (session, idle) in holders(server, now) {
        if waiting > 0
            && idle >= IDLE_MS
            && goes_on(session.fd())
            && session.moves(place::HAS, place::YIELDS)
        {
            waiting -= 1;
        }
    }
}

/// Returns whether a handshake waits for a place.
pub(crate) fn is_contended() -> bool {
    kconfig::TLS && WAITING.load(SeqCst) > 0
}

fn take_place() -> bool {
    let most = kconfig::TLS_HANDSHAKES;
    let more = |taken: u32| (taken < most).then_some(taken.wrapping_add(1));
    PLACES.fetch_update(SeqCst, SeqCst, more).is_ok()
}

impl Session {
    const fn new() -> Self {
        Self {
            is_used: AtomicBool::new(false),
            fd: AtomicI32::new(-1),
            place: AtomicU8::new(place::NONE),
            since: AtomicU32::new(0),
            mode: Cell::new(Mode::Plain),
            first: Cell::new(None),
            hello: Cell::new(Hello::NONE),
            budget: Cell::new(0),
            no_buffers: Cell::new(false),
            is_notified: Cell::new(false),
            reason: Cell::new(None),
        }
    }

    fn begin(&self, fd: i32) {
        self.fd.store(fd, Relaxed);
        self.mode.set(Mode::Handshake);
        self.first.set(None);
        self.hello.set(Hello::NONE);
        self.is_notified.set(false);
        self.reason.set(None);
    }

    fn id(&self) -> u32 {
        // `self` is an element of `ALL`.
        let offset = core::ptr::from_ref(self).addr() - ALL.as_ptr().addr();
        u32::try_from(offset / size_of::<Self>()).unwrap_or(0)
    }

    fn fd(&self) -> i32 {
        self.fd.load(Relaxed)
    }

    /// Changes its place from one state to another. Returns false if it was in a different one.
    fn moves(&self, from: u8, to: u8) -> bool {
        self.place
            .compare_exchange(from, to, SeqCst, SeqCst)
            .is_ok()
    }

    /// Returns whether the handshake may continue. Otherwise it waits.
    fn has_place(&self) -> bool {
        match self.place.load(SeqCst) {
            place::HAS | place::YIELDS => return true,
            place::WAITS => return false,
            _ => {}
        }
        self.since.store(sys::wss_port_uptime_ms32(), Relaxed);
        // Not before those that wait already.
        if WAITING.load(SeqCst) == 0 && take_place() {
            self.place.store(place::HAS, SeqCst);
            return true;
        }
        WAITING.fetch_add(1, SeqCst);
        self.place.store(place::WAITS, SeqCst);
        // There may be a place by now, or another server may have one that makes no progress.
        sys::wss_port_wake_all();
        false
    }

    /// Gives back its place, or stops waiting.
    fn leave(&self) {
        match self.place.swap(place::NONE, SeqCst) {
            place::HAS | place::YIELDS => {
                PLACES.fetch_sub(1, SeqCst);
                if WAITING.load(SeqCst) > 0 {
                    sys::wss_port_wake_all();
                }
            }
            place::WAITS => {
                WAITING.fetch_sub(1, SeqCst);
            }
            _ => {}
        }
    }

    /// Returns whether it is encrypted, or will be.
    pub fn is_tls(&self) -> bool {
        self.mode.get() != Mode::Plain
    }

    /// Returns whether it is encrypted.
    fn is_open(&self) -> bool {
        self.mode.get() == Mode::Open
    }

    pub fn is_handshaking(&self) -> bool {
        self.mode.get() == Mode::Handshake
    }

    /// Returns whether input is received without TLS.
    pub fn receives_raw(&self) -> bool {
        matches!(self.mode.get(), Mode::Plain | Mode::Broken)
    }

    pub fn has_unsent(&self) -> bool {
        self.is_tls() && sys::wss_tls_has_unsent(self.id())
    }

    pub fn has_buffered(&self) -> bool {
        self.is_open() && sys::wss_tls_has_buffered(self.id())
    }

    pub fn reason(&self) -> Reason {
        self.reason.get().unwrap_or_else(|| {
            let (mut error, mut alert) = (0, 0);
            // SAFETY: both are valid for writes.
            unsafe { sys::wss_tls_reason(self.id(), &raw mut error, &raw mut alert) };
            Reason::Code(error, alert)
        })
    }

    /// Prepares for a call of Mbed TLS.
    fn prepare(&self) {
        self.budget.set(BUDGET);
        self.no_buffers.set(false);
    }

    /// Converts a result below 0.
    fn error(&self, result: i32) -> SocketError {
        match result {
            sys::TLS_FAILED => {
                self.mode.set(Mode::Broken);
                SocketError::Tls
            }
            sys::TLS_TRUNCATED => SocketError::Truncated,
            sys::AGAIN if self.no_buffers.get() => SocketError::NoBuffers,
            sys::AGAIN => SocketError::WouldBlock,
            _ => SocketError::Failed,
        }
    }

    /// See [`Socket::handshake`](wss::service::Socket::handshake).
    pub fn handshake(&self) -> Result<(), SocketError> {
        if self.hello.get().is_untouched() && self.first.get().is_none() {
            self.recognise()?;
        }
        loop {
            if self.place.load(SeqCst) == place::YIELDS {
                sys::wss_tls_alert(self.id(), INTERNAL_ERROR);
                self.mode.set(Mode::Broken);
                self.reason.set(Some(Reason::Idle));
                return Err(SocketError::Tls);
            }
            if self.hello.get().is_complete() && !self.has_place() {
                return Err(SocketError::WouldBlock);
            }
            let before = sys::wss_tls_progress(self.id());
            self.prepare();
            let result = sys::wss_tls_handshake(self.id());
            if sys::wss_tls_progress(self.id()) != before {
                self.since.store(sys::wss_port_uptime_ms32(), Relaxed);
            }
            match result {
                0.. => {
                    self.mode.set(Mode::Open);
                    self.leave();
                    return Ok(());
                }
                // The last byte was received just now.
                sys::AGAIN if self.hello.get().is_complete() => {}
                error => return Err(self.error(error)),
            }
        }
    }

    /// Checks the first byte: HTTP methods begin with a capital letter, TLS with 22.
    fn recognise(&self) -> Result<(), SocketError> {
        let mut first = 0;
        // Zephyr 4.3 puts a packet that was peeked at behind those that followed it.
        // SAFETY: the buffer has one byte.
        match number(unsafe { sys::wss_port_receive(self.fd(), &raw mut first, 1) })? {
            0 => {
                self.reason.set(Some(Reason::Code(-0x7280, -1)));
                Err(SocketError::Truncated)
            }
            _ if first.is_ascii_uppercase() => {
                self.mode.set(Mode::Plain);
                self.reason.set(Some(Reason::Plain));
                Err(SocketError::PlainHttp)
            }
            _ => {
                self.first.set(Some(first));
                Ok(())
            }
        }
    }

    /// Receives and decrypts.
    pub fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        self.prepare();
        // SAFETY: the buffer has that size.
        let result = unsafe { sys::wss_tls_receive(self.id(), space.as_mut_ptr(), space.len()) };
        match usize::try_from(result) {
            Ok(count) => Ok(count),
            // Pending output leaves with the next send.
            Err(_) if result == sys::AGAIN => Err(SocketError::WouldBlock),
            Err(_) => Err(self.error(result)),
        }
    }

    /// Encrypts and sends. Returns the number of bytes encrypted; `None` without TLS.
    pub fn send(&self, parts: &[sys::Part]) -> Option<Result<usize, SocketError>> {
        match self.mode.get() {
            Mode::Plain => return None,
            Mode::Open | Mode::Handshake | Mode::Broken => {}
        }
        self.prepare();
        let flushed = sys::wss_tls_flush(self.id());
        let total = parts.iter().map(|part| part.len).sum();
        if !self.is_open() {
            // Only an alert is sent; other output is lost.
            return Some(match flushed {
                0.. | sys::AGAIN if self.no_buffers.get() => Err(SocketError::NoBuffers),
                0.. | sys::AGAIN => Ok(total),
                _ => Err(SocketError::Failed),
            });
        }
        if flushed < 0 {
            return Some(Err(self.error(flushed)));
        }
        let mut sent = 0;
        while sent < total && !sys::wss_tls_has_unsent(self.id()) {
            // SAFETY: the array has that many parts, which live until the call returns.
            let result = unsafe { sys::wss_tls_send(self.id(), parts.as_ptr(), parts.len(), sent) };
            match usize::try_from(result) {
                Ok(count) => sent = sent.saturating_add(count),
                // The next call returns the error again.
                Err(_) if sent > 0 => break,
                Err(_) => return Some(Err(self.error(result))),
            }
        }
        Some(Ok(sent))
    }

    /// Sends close_notify. Returns false if the network must first take unsent bytes.
    pub fn close_notify(&self) -> bool {
        if self.is_open() && !self.has_unsent() && !self.is_notified.replace(true) {
            self.prepare();
            sys::wss_tls_close_notify(self.id());
        }
        !self.has_unsent()
    }

    /// Receives for Mbed TLS.
    fn receive_raw(&self, space: &mut [u8]) -> i32 {
        let mut hello = self.hello.get();
        if hello.is_complete() {
            if self.place.load(SeqCst) < place::HAS {
                return sys::AGAIN;
            }
            let kept = hello.give_kept();
            self.hello.set(hello);
            return kept.zip(space.first_mut()).map_or(0, |(kept, place)| {
                *place = kept;
                1
            });
        }
        let budget = self.budget.get();
        if budget == 0 {
            return sys::AGAIN;
        }
        let result = match self.first.take().zip(space.first_mut()) {
            Some((first, place)) => {
                *place = first;
                1
            }
            None => {
                let len = space.len().min(budget);
                // SAFETY: the buffer has that size.
                unsafe { sys::wss_port_receive(self.fd(), space.as_mut_ptr(), len) }
            }
        };
        let Ok(count) = usize::try_from(result) else {
            return result;
        };
        self.budget.set(budget - count.min(budget));
        if hello.is_over() || count == 0 {
            return result;
        }
        let passed = hello.take(space.get(..count).unwrap_or_default());
        self.hello.set(hello);
        match passed {
            0 => sys::AGAIN,
            _ => i32::try_from(passed).unwrap_or(result),
        }
    }

    /// Sends for Mbed TLS.
    fn send_raw(&self, bytes: sys::Part) -> i32 {
        // SAFETY: there is one part, which lives until the call returns.
        let result = unsafe { sys::wss_port_send(self.fd(), &raw const bytes, 1) };
        if result == sys::NO_BUFFERS {
            self.no_buffers.set(true);
        }
        result
    }
}

/// Returns the session with a number from C, which only has numbers that it got from here.
fn of_c(session: u32) -> Option<&'static Session> {
    ALL.get(session as usize)
}

/// # Safety
/// There are `len` bytes at `data`.
unsafe extern "C" fn receive_raw(session: u32, data: *mut u8, len: usize) -> i32 {
    // SAFETY: the caller guarantees it. They are initialised: the buffer of Mbed TLS is zeroed when it is allocated.
    let space = unsafe { core::slice::from_raw_parts_mut(data, len) };
    of_c(session).map_or(0, |session| session.receive_raw(space))
}

/// # Safety
/// There are `len` bytes at `data`.
unsafe extern "C" fn send_raw(session: u32, data: *const u8, len: usize) -> i32 {
    of_c(session).map_or(0, |session| session.send_raw(sys::Part { data, len }))
}

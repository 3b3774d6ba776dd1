// SPDX-License-Identifier: Apache-2.0
//! Sockets, polling, the timer, and the work queue.
//!
//! Constraints (see ARCHITECTURE.md): only the WSS thread polls and closes, a descriptor is in one poll at a time, all
//! sockets are non-blocking, and only closing can end a connection.

use core::ffi::{CStr, c_void};
use core::fmt::{self, Display, Formatter};
use core::num::NonZeroI32;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wss::AdoptError;
use wss::protocol::Storage;
use wss::service::{
    Inbound, Instant, Interest, Limits, Lock as _, Login, Port, Ready, Slot, Socket, SocketError,
    Work,
};

use crate::kconfig;
use crate::lock::KernelLock;
use crate::options::{ListenError, Options, Tls};
use crate::sys::{self, Once};
use crate::tls::{self, Reason, Session, SessionId};

/// The number of clients of each server.
pub(crate) const CLIENTS: usize = kconfig::MAX_CLIENTS as usize;
/// The number of blocks for unsent output.
pub(crate) const BLOCKS: usize = kconfig::TX_BLOCKS as usize;
/// The number of listeners: one for IPv4, one for IPv6.
pub(crate) const LISTENERS: usize = kconfig::LISTENERS as usize;
/// The entry of the connection that is being rejected, after those of clients.
const LOBBY: usize = CLIENTS;
/// The number of poll entries: clients, the lobby, listeners, and the wake-up.
const POLLS: usize = LOBBY + 1 + LISTENERS + 1;
const WAKE: usize = POLLS - 1;
/// The maximum number of parts of a frame.
const PARTS: usize = 8;

/// A run of bytes in static memory.
///
/// A pointer, and not a slice, because C may read a message in one part while another part is received into.
pub struct Buffer {
    data: NonNull<u8>,
    len: usize,
}

// SAFETY: no other object refers to its bytes.
unsafe impl Send for Buffer {}

impl Buffer {
    /// # Safety
    /// There are `len` initialised bytes, for ever, and only this writes to them.
    pub(crate) const unsafe fn new(data: NonNull<u8>, len: usize) -> Self {
        Self { data, len }
    }

    // Used in many places: inlined it takes 290 bytes more.
    #[inline(never)]
    fn part(&self, range: &Range<usize>) -> Option<(*mut u8, usize)> {
        let len = range.end.checked_sub(range.start)?;
        // Within the allocation, so this cannot wrap around.
        (range.end <= self.len).then(|| (self.data.as_ptr().wrapping_add(range.start), len))
    }
}

impl Storage for Buffer {
    // Applications in C may write to texts.
    const FRONT: usize = kconfig::C_LIBRARY as usize;

    fn capacity(&self) -> usize {
        self.len
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.part(&range).map_or(&[], |(data, len)| {
            // SAFETY: the range is within the bytes, which are not written to while it is borrowed.
            unsafe { core::slice::from_raw_parts(data, len) }
        })
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.part(&range).map_or(&mut [], |(data, len)| {
            // SAFETY: the range is within the bytes, and the buffer is borrowed mutably.
            unsafe { core::slice::from_raw_parts_mut(data, len) }
        })
    }
}

/// How long to wait before it tries to listen again, in milliseconds.
const LISTEN_AGAIN_MS: u64 = 1000;
/// A listener that fails sooner than this after it was opened, several times in a row, is reopened later: Zephyr closes
/// all listeners that it finds while an interface goes down, but that takes only a short time.
const QUICK_MS: u64 = 20;
const QUICK_FAILURES: u8 = 8;

/// The address of a peer; empty if it is not used.
type Peer = [u8; kconfig::PEER_SIZE as usize];

/// The number of addresses whose failed logins are counted.
const LOGINS: usize = if Options::new().limits.login_failures_per_minute > 0 {
    8
} else {
    0
};

/// The descriptor of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// All bits inverted, so that it is never 0, which saves four bytes in an `Option`.
    inverted: NonZeroI32,
    peer: Peer,
    tls: [SessionId; kconfig::TLS as usize],
}

impl Descriptor {
    /// Returns `None` for -1, which is not a descriptor.
    const fn new(fd: i32, peer: Peer) -> Option<Self> {
        match NonZeroI32::new(!fd) {
            Some(inverted) => Some(Self {
                inverted,
                peer,
                tls: [SessionId::PLAIN; kconfig::TLS as usize],
            }),
            None => None,
        }
    }

    const fn fd(&self) -> i32 {
        !self.inverted.get()
    }

    /// Returns its TLS session, if there is one.
    #[inline(always)]
    fn session(&self) -> Option<&'static Session> {
        match self.tls.as_slice() {
            [id] => id.session(),
            _ => None,
        }
    }

    /// Prepares the descriptor of a connection that the application has accepted for
    /// [`Service::adopt`](wss::service::Service::adopt).
    ///
    /// # Errors
    /// [`AdoptError::Failed`] if it is not a socket.
    ///
    /// # Safety
    /// The caller owns the descriptor, and no thread polls it any more. Once it is adopted, the service owns it.
    pub unsafe fn adopt(fd: i32) -> Result<Self, AdoptError> {
        let mut peer: Peer = Default::default();
        // SAFETY: the buffer has that size.
        let error = unsafe { sys::wss_port_adopt(fd, peer.as_mut_ptr()) };
        if error < 0 {
            log::error!(
                "descriptor {fd} cannot be adopted: errno {}",
                sys::errno(error)
            );
            return Err(AdoptError::Failed);
        }
        Self::new(fd, peer).ok_or(AdoptError::Failed)
    }
}

/// An address and a port, NUL-terminated.
struct Name([u8; sys::NAME_SIZE]);

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = CStr::from_bytes_until_nul(&self.0).unwrap_or_default();
        f.write_str(name.to_str().unwrap_or_default())
    }
}

/// Converts the result of a call that returns a number or an error.
pub(crate) fn number(result: i32) -> Result<usize, SocketError> {
    usize::try_from(result).map_err(|_| match result {
        sys::AGAIN => SocketError::WouldBlock,
        sys::NO_BUFFERS => SocketError::NoBuffers,
        _ => SocketError::Failed,
    })
}

impl Descriptor {
    /// Returns whether the peer has an IPv4 address, as `wss_port_accept` writes it.
    fn is_ipv4(&self) -> bool {
        match &self.peer[..] {
            [front @ .., 0xFF, 0xFF, _, _, _, _] => front.iter().all(|byte| *byte == 0),
            address => address.len() == 4,
        }
    }
}

impl Socket for Descriptor {
    type Peer = Peer;

    fn peer(&self) -> Peer {
        self.peer
    }

    fn network(&self) -> u64 {
        match &self.peer[..] {
            // No IPv6 client has an address that begins like this (RFC 4291 section 2.7).
            [.., a, b, c, d] if self.is_ipv4() => {
                0xFFFF_FFFF_0000_0000 | u64::from(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            [a, b, c, d, e, f, g, h, ..] => u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            _ => 0,
        }
    }

    fn name(&self) -> impl Display {
        let mut name = [0; sys::NAME_SIZE];
        // SAFETY: the buffer has that size.
        unsafe { sys::wss_port_name(self.fd(), name.as_mut_ptr().cast()) };
        Name(name)
    }

    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        if let Some(session) = self.session().filter(|session| !session.receives_raw()) {
            return session.receive(space);
        }
        // SAFETY: the buffer has that size.
        number(unsafe { sys::wss_port_receive(self.fd(), space.as_mut_ptr(), space.len()) })
    }

    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError> {
        let mut list = heapless::Vec::<sys::Part, PARTS>::new();
        // Offloaded sockets reject empty parts.
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let _ = list.push(sys::Part {
                data: part.as_ptr(),
                len: part.len(),
            });
        }
        if let Some(sent) = self.session().and_then(|session| session.send(&list)) {
            return sent;
        }
        // SAFETY: the array has that many parts, which live until the call returns.
        number(unsafe { sys::wss_port_send(self.fd(), list.as_ptr(), list.len()) })
    }

    fn has_buffers(&self) -> bool {
        sys::wss_port_has_buffers(self.fd())
    }

    fn is_tls(&self) -> bool {
        match self.tls.as_slice() {
            [id] => *id != SessionId::PLAIN && id.session().is_none_or(Session::is_tls),
            _ => false,
        }
    }

    fn is_handshaking(&self) -> bool {
        self.session().is_some_and(Session::is_handshaking)
    }

    fn handshake(&self) -> Result<(), SocketError> {
        self.session().map_or(Ok(()), Session::handshake)
    }

    fn has_unsent(&self) -> bool {
        self.session().is_some_and(Session::has_unsent)
    }

    fn has_buffered(&self) -> bool {
        self.session().is_some_and(Session::has_buffered)
    }

    fn tls_error(&self) -> impl Display {
        self.session().map_or(Reason::Plain, Session::reason)
    }

    fn shutdown_write(&self) -> Result<(), SocketError> {
        if self
            .session()
            .is_some_and(|session| !session.close_notify())
        {
            return Err(SocketError::WouldBlock);
        }
        // Zephyr's own stack and offloaded sockets do not support it.
        Err(SocketError::Failed)
    }
}

struct Table {
    /// The descriptor that wakes the poll up.
    wake: i32,
    /// By slot: the descriptor; below 0: none.
    descriptors: [i32; LOBBY + 1],
    /// By slot: a descriptor that only the WSS thread may close.
    closing: [i32; LOBBY + 1],
    /// Whether `closing` has any.
    closes: bool,
    /// The table for the next poll. An entry that is not watched has no descriptor.
    polls: [sys::Poll; POLLS],
    listeners: [i32; LISTENERS],
    /// Whether it should listen, even if it cannot now.
    listens: bool,
    /// The uptime at which it tries to listen again, if a listener is missing.
    listen_at: u64,
    /// The uptime at which it last listened again, and how often in a row this was soon after the time before.
    listened_at: u64,
    quick_failures: u8,
    /// The listener to accept from next.
    next_listener: usize,
    listener_watched: bool,
    /// The WSS thread polls the current table, and no thread has woken it since.
    polling: bool,
    /// The WSS thread has ended.
    ended: bool,
}

impl Table {
    /// The state before [`ZephyrPort::begin`].
    const NONE: Self = Self {
        wake: 0,
        descriptors: [0; LOBBY + 1],
        closing: [0; LOBBY + 1],
        closes: false,
        polls: [sys::Poll {
            fd: 0,
            events: 0,
            revents: 0,
        }; POLLS],
        listeners: [0; LISTENERS],
        listens: false,
        listen_at: 0,
        listened_at: 0,
        quick_failures: 0,
        next_listener: 0,
        listener_watched: false,
        polling: false,
        ended: false,
    };

    /// Handles a listener that has failed: its network interface went down, and everything on it was closed.
    fn listener_failed(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            sys::wss_port_close(*listener);
            *listener = -1;
        }
        self.poll_listeners();
        let now = sys::wss_port_uptime_ms();
        self.listen_at = if self.quick_failures < QUICK_FAILURES {
            now
        } else {
            now.saturating_add(LISTEN_AGAIN_MS)
        };
    }

    /// Closes the descriptor that was left to the WSS thread.
    fn reap(&mut self, slot: usize) {
        if let Some(closing) = self.closing.get_mut(slot) {
            if *closing >= 0 {
                sys::wss_port_close(*closing);
                *closing = -1;
            }
        }
    }

    /// Closes all descriptors that were left to the WSS thread.
    fn reap_all(&mut self) {
        if core::mem::take(&mut self.closes) {
            for slot in 0..self.closing.len() {
                self.reap(slot);
            }
        }
    }

    /// Returns the slot of a client's descriptor.
    fn slot_of(&self, fd: i32) -> Option<usize> {
        let mut slots = self.descriptors.iter().take(LOBBY);
        slots.position(|descriptor| *descriptor == fd)
    }

    /// Polls a slot's socket for `interest` from the next poll on.
    fn poll_for(&mut self, slot: usize, interest: Interest) {
        let (Some(poll), Some(fd)) = (self.polls.get_mut(slot), self.descriptors.get(slot)) else {
            return;
        };
        poll.fd = if interest.is_empty() { -1 } else { *fd };
        poll.events = asked(interest);
    }

    /// Polls the listeners from the next poll on, if they are watched.
    fn poll_listeners(&mut self) {
        let watched = self.listener_watched;
        let polls = self.polls.iter_mut().skip(LOBBY + 1);
        for (poll, listener) in polls.zip(&self.listeners) {
            poll.fd = if watched { *listener } else { -1 };
        }
    }
}

/// The port of a service to Zephyr.
pub struct ZephyrPort {
    server: Once,
    /// Whether connections use TLS.
    tls: [AtomicBool; kconfig::TLS as usize],
    table: KernelLock<Table>,
    woken: AtomicBool,
}

impl ZephyrPort {
    /// Creates the port of a server that is not bound yet. All zeros, so that a static one takes no flash.
    pub(crate) const fn new() -> Self {
        Self {
            server: Once::new(),
            tls: [const { AtomicBool::new(false) }; kconfig::TLS as usize],
            // SAFETY: no method here locks it again while it is locked.
            table: unsafe { KernelLock::new(Table::NONE) },
            woken: AtomicBool::new(false),
        }
    }

    /// Binds a server. Called once, before anything else.
    ///
    /// # Safety
    /// `object` is static, and `calls` are for its type. No thread uses the port yet.
    pub(crate) unsafe fn bind(
        &self,
        object: *const c_void,
        calls: &'static sys::Calls,
    ) -> Result<(), ListenError> {
        // SAFETY: the caller guarantees it.
        if !unsafe { self.server.bind(object, calls) } {
            return Err(ListenError::Servers);
        }
        // SAFETY: the caller guarantees it.
        unsafe { self.place(&self.table, CLIENTS + 2) };
        let wake = sys::wss_port_wake_open(self.server());
        if wake < 0 {
            return Err(ListenError::Failed(sys::errno(wake)));
        }
        self.table.lock().wake = wake;
        Ok(())
    }

    /// Gives a lock the server's mutex with this number.
    ///
    /// # Safety
    /// No thread uses the lock yet.
    unsafe fn place<T>(&self, lock: &KernelLock<T>, number: usize) {
        let own = sys::wss_port_lock_of(self.server(), number);
        // SAFETY: the caller guarantees it.
        unsafe { lock.place(own) };
    }

    /// Returns the bound server.
    pub(crate) fn server(&self) -> sys::Server {
        self.server.server()
    }

    /// Sets the credentials of TLS for connections from now on; `None`: no TLS.
    pub(crate) fn use_tls(&self, tls: Option<&Tls>) -> Result<(), ListenError> {
        let Some(has_tls) = self.tls.first() else {
            return tls.map_or(Ok(()), |_| Err(ListenError::Tls));
        };
        if let Some(tls) = tls {
            tls::start(self.number(), tls).map_err(|_| ListenError::Tls)?;
        }
        has_tls.store(tls.is_some(), Ordering::Relaxed);
        let scheme = match tls {
            Some(_) => "wss://",
            None => "ws://, its configuration has no TLS",
        };
        log::info!("Server {}: {scheme}", self.number());
        Ok(())
    }

    /// Returns the index of the server.
    fn number(&self) -> usize {
        sys::wss_port_number(self.server())
    }

    /// Returns the socket of a connection that was accepted.
    fn connection(&self, fd: i32, peer: Peer) -> Option<Descriptor> {
        let mut socket = Descriptor::new(fd, peer)?;
        if let ([has_tls], [id]) = (&self.tls[..], &mut socket.tls[..]) {
            if has_tls.load(Ordering::Relaxed) {
                *id = tls::open(self.number(), fd);
            }
        }
        Some(socket)
    }

    /// Resets everything, and starts with these listeners.
    pub(crate) fn begin(&self, listeners: [i32; LISTENERS]) {
        let mut table = self.table.lock();
        table.descriptors = [-1; LOBBY + 1];
        table.closing = [-1; LOBBY + 1];
        table.closes = false;
        table.polls.iter_mut().for_each(|poll| {
            poll.fd = -1;
            poll.events = sys::IN;
        });
        let wake = table.wake;
        if let Some(poll) = table.polls.last_mut() {
            poll.fd = wake;
        }
        table.listeners = listeners;
        table.listens = listeners.iter().any(|listener| *listener >= 0);
        table.listen_at = u64::MAX;
        table.listener_watched = true;
        table.polling = false;
        table.ended = false;
        table.poll_listeners();
    }

    /// Tries again to listen after a change of the network: the address may be available now.
    pub(crate) fn network_changed(&self) {
        let mut table = self.table.lock();
        table.listen_at = 0;
        self.changed(&mut table);
    }

    /// Listens again if a listener is missing and it is time, unless the service is stopping. Returns the milliseconds
    /// until it is time, below 0 if never.
    fn listen_again(&self, table: &mut Table) -> i32 {
        if !table.listens || table.listen_at == u64::MAX {
            return -1;
        }
        let now = sys::wss_port_uptime_ms();
        if now >= table.listen_at {
            let is_quick = now.saturating_sub(table.listened_at) < QUICK_MS;
            table.quick_failures = if is_quick {
                table.quick_failures.saturating_add(1)
            } else {
                0
            };
            table.listened_at = now;
            // SAFETY: the array has that many entries.
            let error =
                unsafe { sys::wss_port_listen_again(self.server(), table.listeners.as_mut_ptr()) };
            table.poll_listeners();
            if error >= 0 || error == sys::AGAIN {
                table.listen_at = u64::MAX;
                return -1;
            }
            log::warn!("cannot listen again: errno {}", sys::errno(error));
            table.listen_at = now + LISTEN_AGAIN_MS;
        }
        i32::try_from(table.listen_at.saturating_sub(now)).unwrap_or(-1)
    }

    /// Makes the WSS thread poll again, because the table has changed.
    fn changed(&self, table: &mut Table) {
        if core::mem::take(&mut table.polling) {
            sys::wss_port_wake(self.server());
        }
    }
}

impl Port for ZephyrPort {
    // The work queue's thread has priority over the one that polls.
    const RUNS_IN_A_ROW: Option<u8> = Some(8);
    const INLINE: bool = !kconfig::WORK_QUEUE;
    const LACKS_BUFFERS: bool = true;
    const PAGES: bool = kconfig::PAGES;
    const TLS: bool = kconfig::TLS;

    type Lock<T> = KernelLock<T>;
    type Socket = Descriptor;
    type Storage = Buffer;
    type Inbound = &'static mut Inbound<Buffer>;
    type Slots = [Slot<Self>; CLIENTS];
    type Logins = [Login; LOGINS];
    type Blocks = [Option<Buffer>; BLOCKS];

    const LIMITS: Limits = Options::new().limits.limits();

    fn place_lock<T>(&self, lock: &KernelLock<T>, number: usize) {
        // SAFETY: the service is not used yet when it sets its locks.
        unsafe { self.place(lock, number) };
    }

    fn now(&self) -> Instant {
        Instant(sys::wss_port_uptime_ms32())
    }

    fn submit(&self, work: Work) {
        let item = |item| u32::try_from(item).unwrap_or(u32::MAX);
        let item = match work {
            Work::Tls(slot) if kconfig::TLS => item(slot) | sys::TLS_ITEM,
            Work::Client(slot) | Work::Tls(slot) => item(slot),
            Work::Service => kconfig::MAX_CLIENTS,
        };
        sys::wss_port_submit(self.server(), item);
    }

    fn on_service_thread(&self) -> bool {
        crate::on_service_thread()
    }

    fn thread(&self) -> usize {
        sys::wss_port_thread()
    }

    fn accept(&self) -> Result<Descriptor, SocketError> {
        let mut table = self.table.lock();
        let listeners = table.listeners;
        // In turn, so that a flood on one does not starve the other.
        let mut next = table.next_listener;
        table.next_listener = after(next);
        drop(table);
        let mut outcome = Err(SocketError::WouldBlock);
        for _ in 0..LISTENERS {
            let listener = listeners.get(next).copied().unwrap_or(-1);
            next = after(next);
            if listener >= 0 {
                let mut peer: Peer = Default::default();
                let server = self.server();
                // SAFETY: the buffer has that size.
                let accepted = unsafe { sys::wss_port_accept(server, listener, peer.as_mut_ptr()) };
                match number(accepted) {
                    Ok(fd) => {
                        let fd = i32::try_from(fd).unwrap_or(-1);
                        return self.connection(fd, peer).ok_or(SocketError::Failed);
                    }
                    Err(SocketError::WouldBlock) => {}
                    Err(error) => outcome = Err(error),
                }
            }
        }
        outcome
    }

    fn watch_listener(&self) {
        let mut table = self.table.lock();
        table.listener_watched = true;
        table.poll_listeners();
    }

    fn close_listener(&self) {
        let mut table = self.table.lock();
        table.listens = false;
        close_all(&mut table.listeners);
        table.poll_listeners();
    }

    fn attach(&self, slot: usize, socket: &Descriptor) -> Result<(), SocketError> {
        let mut table = self.table.lock();
        if sys::wss_port_on_wss_thread(self.server()) {
            // The previous connection may have been closed since the last poll. No poll is running now.
            table.reap(slot);
        }
        let closing = table.closing.get(slot).ok_or(SocketError::Failed)?;
        if *closing >= 0 {
            // There is room for only one that only the WSS thread may close.
            return Err(SocketError::WouldBlock);
        }
        if let Some(fd) = table.descriptors.get_mut(slot) {
            *fd = socket.fd();
        }
        table.poll_for(slot, Interest::empty());
        Ok(())
    }

    fn watch(&self, slot: usize, socket: &Descriptor, interest: Interest) {
        let mut table = self.table.lock();
        if table.descriptors.get(slot) == Some(&socket.fd()) {
            table.poll_for(slot, interest);
            if !interest.is_empty() {
                self.changed(&mut table);
            }
        }
    }

    fn close(&self, slot: usize, socket: Descriptor) {
        if let [id] = socket.tls.as_slice() {
            tls::close(*id);
        }
        let mut table = self.table.lock();
        if table.descriptors.get(slot) == Some(&socket.fd()) {
            table.poll_for(slot, Interest::empty());
            if let Some(fd) = table.descriptors.get_mut(slot) {
                *fd = -1;
            }
        }
        let closes_now = table.ended || sys::wss_port_on_wss_thread(self.server());
        match table.closing.get_mut(slot) {
            Some(closing) if !closes_now => {
                *closing = socket.fd();
                table.closes = true;
                self.changed(&mut table);
            }
            _ => sys::wss_port_close(socket.fd()),
        }
    }

    fn stopped(&self) {
        let mut table = self.table.lock();
        table.ended = true;
        table.reap_all();
    }

    fn set_timer(&self, at: Instant) {
        sys::wss_port_timer_start(self.server(), at.from(self.now()));
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        // Also while nothing is polled: the next poll must end at once.
        sys::wss_port_wake(self.server());
    }

    fn wait(&self, ready: &mut dyn FnMut(Ready)) {
        sys::wss_port_work(self.server());
        self.poll(ready);
    }
}

impl ZephyrPort {
    /// Gives places to TLS handshakes that wait for one. Returns for how many milliseconds the poll may wait, and the
    /// slots (a bit each) whose handshake must continue.
    fn tend_handshakes(&self, table: &mut Table, ms: i32) -> (i32, u64) {
        if !tls::is_contended() {
            return (ms, 0);
        }
        let mut going_on = 0;
        let now = sys::wss_port_uptime_ms32();
        tls::give_places(self.number(), now, |fd| {
            if let Some(slot) = table.slot_of(fd) {
                table.poll_for(slot, Interest::empty());
                going_on |= 1 << slot;
            }
        });
        let again = tls::yield_ms(self.number(), now, |fd| {
            table.polls.iter().take(LOBBY).any(|poll| poll.fd == fd)
        });
        let ms = match (again, ms) {
            _ if going_on != 0 => 0,
            (..0, ms) => ms,
            (again, ..0) => again,
            (again, ms) => again.min(ms),
        };
        (ms, going_on)
    }

    /// Takes away the places of idle TLS handshakes, if others wait. Returns the slots (a bit each) that have to go on.
    fn end_idle_handshakes(&self, table: &mut Table, polled: &[sys::Poll]) -> u64 {
        let mut going_on = 0;
        if tls::is_contended() {
            tls::yield_places(self.number(), sys::wss_port_uptime_ms32(), |fd| {
                let Some(slot) = table.slot_of(fd) else {
                    return false;
                };
                // Polled then and now, and nothing has come.
                let is_silent = |poll: &sys::Poll| poll.fd == fd && poll.revents == 0;
                let is_idle = polled.get(slot).is_some_and(is_silent)
                    && table.polls.get(slot).is_some_and(|poll| poll.fd == fd);
                if is_idle {
                    table.poll_for(slot, Interest::empty());
                    going_on |= 1 << slot;
                }
                is_idle
            });
        }
        going_on
    }

    /// Polls once.
    // Separate, so that its variables are not on the stack while work is done.
    #[inline(never)]
    fn poll(&self, ready: &mut dyn FnMut(Ready)) {
        let mut table = self.table.lock();
        table.reap_all();
        let ms = self.listen_again(&mut table);
        let (ms, mut going_on) = self.tend_handshakes(&mut table, ms);
        let mut polls = table.polls;
        table.polling = true;
        drop(table);
        // SAFETY: the array has that many entries.
        let result = unsafe { sys::wss_port_poll(polls.as_mut_ptr(), polls.len(), ms) };
        let mut table = self.table.lock();
        table.polling = false;
        if result < 0 {
            drop(table);
            log::error!("poll failed: {result}");
            return sys::wss_port_sleep_ms(100);
        }
        going_on |= self.end_idle_handshakes(&mut table, &polls);
        let mut listening = false;
        for (index, poll) in polls.iter_mut().enumerate() {
            match poll.revents {
                0 => continue,
                _ if index == WAKE => {
                    sys::wss_port_wake_take(self.server());
                    continue;
                }
                revents if index > LOBBY => {
                    if revents & !(sys::IN | sys::OUT) == 0 {
                        listening = true;
                    } else if table.listens {
                        table.listener_failed(index - LOBBY - 1);
                    }
                    continue;
                }
                // Report it as ready: the next call on the socket returns the error.
                revents if revents & !(sys::IN | sys::OUT) != 0 => poll.revents = poll.events,
                _ => {}
            }
            // The slot may have been closed, or be watched for something else, since.
            match table.polls.get_mut(index) {
                Some(watched) if watched.fd == poll.fd && watched.events & poll.revents != 0 => {
                    watched.fd = -1;
                }
                _ => poll.revents = 0,
            }
        }
        if listening {
            table.listener_watched = false;
            table.poll_listeners();
        }
        drop(table);
        // Before anything that may take long: all input until now is reported below.
        let timer = sys::wss_port_timer_take(self.server()).then(|| self.now());
        for (slot, poll) in polls.iter().take(LOBBY + 1).enumerate() {
            match poll.revents {
                0 if kconfig::TLS && slot < LOBBY && going_on >> slot & 1 != 0 => {
                    ready(Ready::Client {
                        slot,
                        writable: false,
                    });
                }
                0 => {}
                _ if slot == LOBBY => ready(Ready::Lobby),
                revents => ready(Ready::Client {
                    slot,
                    writable: revents & sys::OUT != 0,
                }),
            }
        }
        if self.woken.swap(false, Ordering::SeqCst) {
            ready(Ready::Wake);
        }
        if let Some(now) = timer {
            ready(Ready::Timer(now));
        }
        // Last, because it assigns slots, and the events above are for their previous clients.
        if listening {
            ready(Ready::Listener);
        }
    }
}

/// Returns the listener that follows this one.
const fn after(listener: usize) -> usize {
    if listener + 1 < LISTENERS {
        listener + 1
    } else {
        0
    }
}

/// Closes listeners.
pub(crate) fn close_all(listeners: &mut [i32; LISTENERS]) {
    for listener in listeners {
        if *listener >= 0 {
            sys::wss_port_close(*listener);
            *listener = -1;
        }
    }
}

const fn asked(interest: Interest) -> i16 {
    let read = if interest.contains(Interest::READ) {
        sys::IN
    } else {
        0
    };
    let write = if interest.contains(Interest::WRITE) {
        sys::OUT
    } else {
        0
    };
    read | write
}
